//! The chain adapter against scripted nodes.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use rampwatch::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmSettings, KnownToken};
use rampwatch::domain::chain::LogFilter;
use rampwatch::domain::operator::Operator;
use rampwatch::outbound::Outbound;
use rampwatch::ports::chain::{Chain, EndpointId, Hint, TransferQuery, WatchSet};

use crate::support::node::{Balancer, LogSpec, Node, NodeOptions, ScriptedChain, Token};

mod account;
mod checks;
mod endpoints;
mod heads;
mod hints;
mod met;
mod reads;
mod sending;
mod sweep;
mod watching;

/// How long a test waits for something that should happen at once.
const SOON: Duration = Duration::from_secs(20);
/// How long a test looks at something that should not happen.
const A_WHILE: Duration = Duration::from_millis(150);

const TOKEN: Address = Address::repeat_byte(0xaa);
const OTHER_TOKEN: Address = Address::repeat_byte(0xbb);
const SENDER: Address = Address::repeat_byte(0x51);

/// The nth watched address; spread like real ones.
fn watched(nth: u64) -> Address {
    Address::from_word(alloy::primitives::keccak256(nth.to_be_bytes()))
}

fn everybody(count: u64) -> Arc<Vec<Address>> {
    let mut all: Vec<Address> = (0..count).map(watched).collect();
    all.sort();
    Arc::new(all)
}

fn deposit(to: Address, value: u128) -> LogSpec {
    LogSpec::transfer(TOKEN, SENDER, to, value)
}

fn http(name: &str, url: String) -> EndpointSettings {
    EndpointSettings { name: name.to_owned(), operator: Operator::named(name), http: Some(url.into()), ws: None }
}

fn ws(name: &str, url: String) -> EndpointSettings {
    EndpointSettings { name: name.to_owned(), operator: Operator::named(name), http: None, ws: Some(url.into()) }
}

fn both(name: &str, node: &Node) -> EndpointSettings {
    EndpointSettings {
        name: name.to_owned(),
        operator: Operator::named(name),
        http: Some(node.url().into()),
        ws: Some(node.ws_url().into()),
    }
}

fn settings(endpoints: Vec<EndpointSettings>) -> EvmSettings {
    EvmSettings {
        chain_id: 137,
        tokens: vec![KnownToken { setting: "chain.token".to_owned(), address: TOKEN, decimals: 6 }],
        endpoints,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        silence_timeout: Duration::from_secs(60),
        max_block_range: 100,
        max_addresses: 50,
        max_in_flight: 4,
        cool_down: CoolDown { first: Duration::from_millis(20), longest: Duration::from_millis(200) },
        outbound: Outbound::local(),
    }
}

fn chain_of(endpoints: Vec<EndpointSettings>) -> EvmChain {
    EvmChain::new(settings(endpoints)).unwrap()
}

fn query(from: u64, to: u64, recipients: Arc<Vec<Address>>) -> TransferQuery {
    TransferQuery {
        tokens: Arc::new(vec![TOKEN]),
        recipients,
        from,
        to,
        filter: LogFilter::Recipients,
        avoid: None,
        by: None,
    }
}

fn set(recipients: Arc<Vec<Address>>) -> WatchSet {
    WatchSet { tokens: Arc::new(vec![TOKEN]), recipients, heads_only: false }
}

/// A chain that knows the token, and one node that serves it.
fn one_node() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.set_token(TOKEN, Token::new("USDC", 6));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

/// The next hint; fails when none comes.
async fn next_hint(chain: &EvmChain) -> Hint {
    tokio::time::timeout(SOON, chain.hint()).await.expect("a hint comes")
}

/// Takes hints until one fits, and returns all of them; fails when none does in time, however many others come.
async fn hints_until(chain: &EvmChain, what: &str, fits: impl Fn(&Hint) -> bool) -> Vec<Hint> {
    let mut seen = Vec::new();
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let Ok(hint) = tokio::time::timeout_at(end, chain.hint()).await else {
            panic!(
                "{what} did not come, but {} hints, the last ones {:?}",
                seen.len(),
                seen.iter().rev().take(20).collect::<Vec<_>>()
            );
        };
        let last = fits(&hint);
        seen.push(hint);
        if last {
            return seen;
        }
    }
}

fn is_gap(hint: &Hint) -> bool {
    matches!(hint, Hint::Gap { .. })
}

fn is_down(hint: &Hint) -> bool {
    matches!(hint, Hint::Down { .. })
}
