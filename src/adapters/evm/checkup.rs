//! Asks every endpoint how it is, for a person: each by itself, also those that rest, and within bounds.
//!
//! Deliberately absent: what follows from the answers, and any effect on how endpoints are chosen.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use futures_util::future::{join, join_all};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::domain::chain::{BlockNumber, Header};
use crate::domain::checkup::{EndpointCheckup, HashesAt, LogRange, TokenCheckup, Told};
use crate::domain::text::is_hidden;
use crate::ports::chain::WatchSet;

use super::EvmChain;
use super::classify::Class;
use super::decode::{Side, abi};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::reads::next;
use super::rpc::{self, Ask};
use super::subscription::{Push, Subscription};

/// How long a subscription may take to bring a head. Polygon makes a block every two seconds.
const PUSH_WITHIN: Duration = Duration::from_secs(15);

/// Nobody sends anything to this address, so that the answer is short, whatever the range.
const NOBODY: Address = Address::repeat_byte(0x5a);

/// What is tried when the configured range is refused, in blocks.
const SMALLER: [u64; 4] = [500, 100, 10, 1];

type Answer = Result<Box<RawValue>, Failure>;

impl EvmChain {
    /// Asks each endpoint whether it can be reached, for its newest and its finalized block, for logs of the token, and
    /// for a new head over its websocket.
    pub async fn checkup(&self, token: Address) -> Vec<EndpointCheckup> {
        let range = self.settings.max_block_range;
        join_all(self.pool.endpoints.iter().map(|endpoint| checkup(endpoint, token, range))).await
    }

    /// Asks each endpoint for the block that it has at this height.
    pub async fn hashes_at(&self, number: BlockNumber) -> HashesAt {
        let hashes = join_all(self.pool.endpoints.iter().map(|endpoint| async {
            let told = match one(endpoint, rpc::header_of(number)).await {
                Ok(answer) => rpc::read_header(&answer).map(|header| header.map(|header| header.block.hash)),
                Err(failure) if failure.class.is_behind() => Ok(None),
                Err(failure) => Err(failure),
            };
            (endpoint.name.clone(), in_words(told))
        }));
        HashesAt { number, hashes: hashes.await }
    }

    /// Asks the first endpoint that answers for everything that a token's contract says of itself.
    pub async fn token_checkup(&self, token: Address) -> Told<TokenCheckup> {
        let mut why = "there is no endpoint".to_owned();
        for endpoint in &self.pool.endpoints {
            match token_at(endpoint, token).await {
                Ok(found) => return Ok(found),
                Err(failure) => why = format!("{:?}: {}", endpoint.name, failure.text),
            }
        }
        Err(why)
    }
}

fn in_words<T>(told: Result<T, Failure>) -> Told<T> {
    told.map_err(|failure| failure.text)
}

async fn one(endpoint: &Endpoint, ask: Ask) -> Answer {
    next(&mut endpoint.ask(&[ask]).await?.into_iter())
}

async fn checkup(endpoint: &Arc<Endpoint>, token: Address, range: u64) -> EndpointCheckup {
    let mut wrong_chain = None;
    let mut sides = Vec::new();
    for (side, answer) in endpoint.verify().await {
        wrong_chain = wrong_chain.or_else(|| answer.as_ref().err().and_then(|failure| failure.chain));
        sides.push((side, in_words(answer)));
    }
    let name = endpoint.name.clone();
    if wrong_chain.is_some() || sides.iter().all(|(_, answer)| answer.is_err()) {
        let push = endpoint.has_ws().then(unasked);
        return EndpointCheckup {
            name,
            sides,
            wrong_chain,
            head: unasked(),
            finalized: unasked(),
            logs: unasked(),
            push,
        };
    }
    let ((head, finalized, logs), push) = join(readings(endpoint, token, range), push(endpoint)).await;
    EndpointCheckup { name, sides, wrong_chain, head, finalized, logs, push }
}

fn unasked<T>() -> Told<T> {
    Err("it was not asked".to_owned())
}

type Readings = (Told<Header>, Told<Option<Header>>, Told<LogRange>);

/// The finalized block is asked for first, so that the head, read after it, can't be below it.
async fn readings(endpoint: &Endpoint, token: Address, range: u64) -> Readings {
    let finalized = match one(endpoint, rpc::header_under("finalized")).await {
        Ok(answer) => rpc::read_header(&answer),
        Err(failure) if failure.class == Class::NoFinality || failure.class.is_behind() => Ok(None),
        Err(failure) => Err(failure),
    };
    let head = match one(endpoint, rpc::header_under("latest")).await {
        Ok(answer) => rpc::read_header(&answer)
            .and_then(|head| head.ok_or_else(|| Failure::garbage("the node has no latest block"))),
        Err(failure) => Err(failure),
    };
    let logs = match &head {
        Ok(head) => logs(endpoint, token, head.block.number, range).await,
        Err(failure) => Err(failure.clone()),
    };
    (in_words(head), in_words(finalized), in_words(logs))
}

/// Asks for the logs of the configured range, and of ever fewer blocks while that is refused.
async fn logs(endpoint: &Endpoint, token: Address, head: BlockNumber, range: u64) -> Result<LogRange, Failure> {
    let mut said = None;
    for blocks in std::iter::once(range).chain(SMALLER.into_iter().filter(|smaller| *smaller < range)) {
        // A block below the newest, which every node behind a balancer should have.
        let to = head.saturating_sub(2);
        let from = to.saturating_add(1).saturating_sub(blocks);
        match one(endpoint, rpc::transfer_logs(from, to, &[token], &[NOBODY], Side::To)).await {
            Ok(_) => return Ok(LogRange { asked: range, taken: blocks, said }),
            Err(failure) if failure.was_answered() || failure.class == Class::RetryOrSplit => {
                said = said.or(Some(failure.text));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(LogRange { asked: range, taken: 0, said })
}

async fn push(endpoint: &Arc<Endpoint>) -> Option<Told<()>> {
    if !endpoint.has_ws() {
        return None;
    }
    let heard = async {
        let opened = Subscription::open(Arc::clone(endpoint), &WatchSet::default()).await;
        let mut subscription = opened.map_err(|failure| failure.text)?;
        loop {
            match subscription.next().await {
                Push::Head(_) => return Ok(()),
                Push::Transfer(_) | Push::Lost(_) => {}
                Push::Unreadable(why) => return Err(why),
                Push::Closed => return Err("the connection was closed".to_owned()),
            }
        }
    };
    let late = || Err(format!("nothing came within {} s", PUSH_WITHIN.as_secs()));
    Some(timeout(PUSH_WITHIN, heard).await.unwrap_or_else(|_| late()))
}

async fn token_at(endpoint: &Endpoint, token: Address) -> Result<TokenCheckup, Failure> {
    let code: Bytes = rpc::read(&one(endpoint, Ask::new("eth_getCode", json!([token, "latest"]))).await?, "code")?;
    if code.is_empty() {
        return Ok(TokenCheckup { has_code: false, decimals: None, symbol: None, paused: false });
    }
    let decimals = view(endpoint, token, &abi::Usdc::decimalsCall {}).await?;
    let symbol = view(endpoint, token, &abi::Usdc::symbolCall {}).await?;
    let paused = view(endpoint, token, &abi::Usdc::pausedCall {}).await?;
    let number = |bytes: &Bytes| <[u8; 32]>::try_from(bytes.as_ref()).ok().map(U256::from_be_bytes);
    Ok(TokenCheckup {
        has_code: true,
        decimals: decimals.as_ref().and_then(number).map(|decimals| decimals.to_string()),
        symbol: symbol.as_ref().and_then(|bytes| abi::Usdc::symbolCall::abi_decode_returns(bytes).ok()).map(plain),
        paused: paused.as_ref().and_then(number).is_some_and(|flag| !flag.is_zero()),
    })
}

/// What a view returned; `None` when the contract has none of that name.
async fn view(endpoint: &Endpoint, token: Address, call: &impl SolCall) -> Result<Option<Bytes>, Failure> {
    match one(endpoint, rpc::view_of(token, call)).await {
        Ok(answer) => rpc::read(&answer, "bytes").map(Some),
        Err(failure) if failure.class == Class::Reverted => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Anybody can give a contract any symbol: on one line, and not too long.
fn plain(symbol: String) -> String {
    symbol.chars().filter(|letter| !is_hidden(*letter)).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_short_and_on_one_line() {
        assert_eq!(plain(format!("US\nDC{}", "x".repeat(100))), format!("USDC{}", "x".repeat(28)));
    }
}
