//! Asks every endpoint how it is, for a person: each by itself, also those that rest, and within bounds.
//!
//! Deliberately absent: what follows from the answers, and any effect on how endpoints are chosen.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::SolCall;
use futures_util::future::{join, join_all};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::domain::chain::{BlockNumber, Header};
use crate::domain::checkup::{
    AbilityCheckup, EndpointCheckup, HashesAt, LogRange, LogRefusal, SideTrouble, TokenCheckup, Told,
};
use crate::domain::text::is_hidden;
use crate::ports::chain::WatchSet;

use super::EvmChain;
use super::classify::Class;
use super::decode::{Side, abi, parts};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::reads::next;
use super::receipts;
use super::rpc::{self, Ask};
use super::subscription::{Push, Subscription};

/// How long a subscription may take to bring a head. Polygon makes a block every two seconds.
const PUSH_WITHIN: Duration = Duration::from_secs(15);

/// Nobody sends anything to this address, so that the answer is short, whatever the range.
const NOBODY: Address = Address::repeat_byte(0x5a);

/// How many calls are tried in one batch: as many as are asked for at once elsewhere.
const BATCH: usize = 20;

/// In how many blocks a transfer is looked for to try filters with.
const LATELY: u64 = 8;

/// So many blocks are made in a day, at two seconds each.
const A_DAY: u64 = 43_200;

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
        let trouble = |failure: Failure| SideTrouble { is_reached: failure.is_reached(), why: failure.text };
        sides.push((side, answer.map_err(trouble)));
    }
    let name = endpoint.name.clone();
    if wrong_chain.is_some() || sides.iter().all(|(_, answer)| answer.is_err()) {
        let push = endpoint.has_ws().then(unasked);
        let abilities =
            AbilityCheckup { batch: unasked(), filters: unasked(), receipts: unasked(), history: unasked() };
        let (head, finalized, logs) = (unasked(), unasked(), unasked());
        return EndpointCheckup { name, sides, wrong_chain, head, finalized, logs, abilities, push };
    }
    let ((head, finalized, logs), push) = join(readings(endpoint, token, range), push(endpoint)).await;
    let abilities = abilities(endpoint, token, head.as_ref().ok()).await;
    EndpointCheckup { name, sides, wrong_chain, head, finalized, logs, abilities, push }
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
                said = said.or_else(|| Some((refusal(&failure), failure.text)));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(LogRange { asked: range, taken: 0, said })
}

/// What a refusal of logs is about.
const fn refusal(failure: &Failure) -> LogRefusal {
    match failure.class {
        Class::NoHistory => LogRefusal::History,
        Class::Range
        | Class::Results
        | Class::Addresses
        | Class::Topics
        | Class::BehindOrRange
        | Class::RetryOrSplit
        | Class::Timeout => LogRefusal::Size,
        _ => LogRefusal::Unknown,
    }
}

/// Tries what not every endpoint can. That its filters find anything is tried with a transfer that is there.
async fn abilities(endpoint: &Endpoint, token: Address, head: Option<&Header>) -> AbilityCheckup {
    let Some(head) = head.map(|head| head.block.number) else {
        return AbilityCheckup { batch: unasked(), filters: unasked(), receipts: unasked(), history: unasked() };
    };
    let found = a_transfer(endpoint, token, head).await;
    let filters = match &found {
        Ok(Some(transfer)) => finds(endpoint, token, transfer).await.map(Some),
        Ok(None) => Ok(None),
        Err(failure) => Err(failure.clone()),
    };
    let receipts = match &found {
        Ok(Some(transfer)) => has_receipt(endpoint, transfer).await.map(Some),
        Ok(None) => Ok(None),
        Err(failure) => Err(failure.clone()),
    };
    AbilityCheckup {
        batch: in_words(batch(endpoint, head).await),
        filters: in_words(filters),
        receipts: in_words(receipts),
        history: in_words(history(endpoint, token, head).await),
    }
}

/// Asks so many questions at once, and looks how many it takes.
async fn batch(endpoint: &Endpoint, head: BlockNumber) -> Result<usize, Failure> {
    let asks: Vec<Ask> = (0..BATCH).map(|_| rpc::header_of(head).that_may_fail()).collect();
    endpoint.ask(&asks).await?;
    Ok(endpoint.limits().batch_of(BATCH))
}

/// One of the token's transfers of late, by the logs without recipients.
async fn a_transfer(endpoint: &Endpoint, token: Address, head: BlockNumber) -> Result<Option<FoundTransfer>, Failure> {
    let to = head.saturating_sub(2);
    let from = to.saturating_sub(LATELY);
    let answer = one(endpoint, rpc::everybodys_transfer_logs(from, to, &[token])).await?;
    let logs: Vec<Log> = rpc::read(&answer, "a list of logs")?;
    let found = logs.iter().rev().find_map(|log| {
        let (_, recipient, _) = parts(log).ok()?;
        Some(FoundTransfer { recipient, tx_hash: log.transaction_hash?, blocks: (from, to) })
    });
    Ok(found)
}

struct FoundTransfer {
    recipient: Address,
    tx_hash: B256,
    blocks: (BlockNumber, BlockNumber),
}

async fn finds(endpoint: &Endpoint, token: Address, it: &FoundTransfer) -> Result<bool, Failure> {
    let (from, to) = it.blocks;
    let answer = one(endpoint, rpc::transfer_logs(from, to, &[token], &[it.recipient], Side::To)).await?;
    let logs: Vec<Log> = rpc::read(&answer, "a list of logs")?;
    Ok(logs.iter().any(|log| log.transaction_hash == Some(it.tx_hash)))
}

async fn has_receipt(endpoint: &Endpoint, it: &FoundTransfer) -> Result<bool, Failure> {
    let answer = one(endpoint, receipts::ask_for(it.tx_hash)).await?;
    receipts::read(&answer, it.tx_hash).map(|receipt| receipt.is_some())
}

/// What it says instead of the logs of a day ago.
async fn history(endpoint: &Endpoint, token: Address, head: BlockNumber) -> Result<Option<String>, Failure> {
    let block = head.saturating_sub(A_DAY).max(1);
    match one(endpoint, rpc::transfer_logs(block, block, &[token], &[NOBODY], Side::To)).await {
        Ok(_) => Ok(None),
        Err(failure) if failure.class == Class::NoHistory => Ok(Some(failure.text)),
        Err(failure) => Err(failure),
    }
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
                Push::Closed => return Err(subscription.why_closed()),
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
