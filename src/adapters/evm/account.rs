//! What the nodes say of the wallet and of a transfer that it is about to make: balances, nonces, prices, and whether
//! the token would let it through.
//!
//! Calls name no gas price: with one, nodes check the wallet's balance first, and a wallet without gas money would look
//! like a token that refuses. The base fee is the newest block's: the next one may ask for an eighth more at most, for a
//! twentieth on Polygon, which a cap of twice the base fee leaves room for. All answers of one batch are for the newest
//! block, but a block may be made between two of them. Deliberately absent: what follows from any of it.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U64, U256};
use alloy::sol_types::{Panic, Revert, SolError as _};
use futures_util::FutureExt as _;
use serde_json::json;
use serde_json::value::RawValue;

use crate::domain::amount::Amount;
use crate::domain::chain::BlockNumber;
use crate::domain::text::is_hidden;
use crate::domain::wallet::{CallResult, Market, NonceCount, TransferView};
use crate::domain::wei::Wei;
use crate::ports::chain::ChainError;
use crate::ports::sender::{EndpointAnswer, TransferSpec};

use super::abilities::Ability;
use super::classify::{Class, is_halt};
use super::decode::abi;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::pool::Pool;
use super::reads::next;
use super::rpc::{self, Ask};
use super::{spread, tx};

/// The longest reason of a revert that is passed on, in characters.
const MAX_REASON: usize = 200;
/// How many bytes of an answer that makes no sense are shown.
const SHOWN: usize = 32;

type Answer = Result<Box<RawValue>, Failure>;

/// What one endpoint says of a transfer.
pub(super) async fn view(pool: &Pool, transfer: &TransferSpec) -> Result<TransferView, ChainError> {
    let transfer = *transfer;
    let ask = |endpoint: Arc<Endpoint>| async move { view_at(pool, &endpoint, &transfer).await }.boxed();
    spread::first(pool, Ability::State, ask, |view: &TransferView| Some(view.head.block.number)).await
}

async fn view_at(pool: &Pool, endpoint: &Endpoint, transfer: &TransferSpec) -> Result<TransferView, Failure> {
    let token = transfer.token;
    let blacklisted = |account| rpc::view_of(token, &abi::Usdc::isBlacklistedCall { account }).that_may_fail();
    let call = json!({ "from": transfer.wallet, "to": token, "data": tx::call_data(transfer) });
    let asks = [
        rpc::header_under("latest"),
        tip_ask(),
        rpc::view_of(token, &abi::Usdc::pausedCall {}).that_may_fail(),
        blacklisted(transfer.wallet),
        blacklisted(transfer.to),
        token_balance_ask(token, transfer.wallet),
        native_balance_ask(transfer.wallet),
        Ask::new("eth_call", json!([call, "latest"])).that_may_fail(),
        Ask::new("eth_estimateGas", json!([call, "latest"])).that_may_fail(),
    ];
    let mut answers = endpoint.ask(&asks).await?.into_iter();
    let mut next = || next(&mut answers);
    let (head, base_fee) = rpc::read_priced_header(&next()?)?;
    pool.believe(endpoint, &head)?;
    Ok(TransferView {
        head,
        base_fee,
        market_tip: read_tip(next())?,
        paused: read_flag(next(), "paused()")?,
        wallet_blacklisted: read_flag(next(), "isBlacklisted() of the wallet")?,
        recipient_blacklisted: read_flag(next(), "isBlacklisted() of the recipient")?,
        token_balance: read_token_balance(&next()?)?,
        native_balance: rpc::read_wei(&next()?, "a balance")?,
        call: read_call(next())?,
        gas_estimate: read_estimate(next())?,
    })
}

/// What the market asks for.
pub(super) async fn market(pool: &Pool) -> Result<Market, ChainError> {
    let ask = |endpoint: Arc<Endpoint>| {
        async move {
            let mut answers = endpoint.ask(&[rpc::header_under("latest"), tip_ask()]).await?.into_iter();
            let (head, base_fee) = rpc::read_priced_header(&next(&mut answers)?)?;
            pool.believe(&endpoint, &head)?;
            Ok(Market { head, base_fee, tip: read_tip(next(&mut answers))? })
        }
        .boxed()
    };
    spread::first(pool, Ability::State, ask, |market: &Market| Some(market.head.block.number)).await
}

/// The balances of the token and of the native coin.
pub(super) async fn balances(pool: &Pool, wallet: Address, token: Address) -> Result<(Amount, Wei), ChainError> {
    let ask = |endpoint: Arc<Endpoint>| {
        async move {
            let asks = [token_balance_ask(token, wallet), native_balance_ask(wallet)];
            let mut answers = endpoint.ask(&asks).await?.into_iter();
            let in_token = read_token_balance(&next(&mut answers)?)?;
            Ok((in_token, rpc::read_wei(&next(&mut answers)?, "a balance")?))
        }
        .boxed()
    };
    spread::first(pool, Ability::State, ask, |_| None).await
}

/// The balance of the token after a block; `None` when no endpoint that answers has that block's state any more.
pub(super) async fn balance_at(
    pool: &Pool,
    wallet: Address,
    token: Address,
    block: BlockNumber,
) -> Result<Option<Amount>, ChainError> {
    let ask = |endpoint: Arc<Endpoint>| {
        async move {
            let ask = rpc::view_at(token, &abi::Usdc::balanceOfCall(wallet), block).that_may_fail();
            let mut answers = endpoint.ask(&[ask]).await?.into_iter();
            match next(&mut answers) {
                Ok(answer) => read_token_balance(&answer).map(Some),
                // Most nodes keep the state of some hundred blocks only.
                Err(failure) if failure.is_an_answer() => Ok(None),
                Err(failure) => Err(failure),
            }
        }
        .boxed()
    };
    spread::first(pool, Ability::State, ask, |_| None).await
}

/// What every endpoint says of the wallet's nonces.
pub(super) async fn nonces(
    pool: &Pool,
    wallet: Address,
    at: Option<BlockNumber>,
) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>> {
    let ask = |endpoint: Arc<Endpoint>| async move { nonces_at(&endpoint, wallet, at).await }.boxed();
    spread::everywhere(pool, Ability::State, ask).await
}

/// The counts are asked for from the lowest to the highest, and each is at least the one before: behind a balancer they
/// may come from two nodes, and a transaction may be mined between them.
async fn nonces_at(endpoint: &Endpoint, wallet: Address, at: Option<BlockNumber>) -> Result<NonceCount, Failure> {
    let count = |tag: String| Ask::new("eth_getTransactionCount", json!([wallet, tag]));
    let tags = at.map(|number| format!("{number:#x}")).into_iter();
    let asks: Vec<Ask> = tags.chain(["latest".to_owned(), "pending".to_owned()]).map(count).collect();
    let mut answers = endpoint.ask(&asks).await?.into_iter();
    let mut read = || rpc::read::<U64>(&next(&mut answers)?, "a nonce").map(|count| count.to::<u64>());
    let at_block = at.map(|_| read()).transpose()?;
    let latest = read()?.max(at_block.unwrap_or_default());
    Ok(NonceCount { latest, pending: read()?.max(latest), at_block })
}

fn tip_ask() -> Ask {
    Ask::new("eth_maxPriorityFeePerGas", json!([])).that_may_fail()
}

fn token_balance_ask(token: Address, owner: Address) -> Ask {
    rpc::view_of(token, &abi::Usdc::balanceOfCall(owner))
}

fn native_balance_ask(owner: Address) -> Ask {
    Ask::new("eth_getBalance", json!([owner, "latest"]))
}

/// Zero when the node will not say: the configured floor then stands alone.
fn read_tip(answer: Answer) -> Result<Wei, Failure> {
    match answer {
        Ok(answer) => rpc::read_wei(&answer, "a tip"),
        Err(failure) if failure.was_answered() => Ok(Wei::ZERO),
        Err(failure) => Err(failure),
    }
}

/// A yes or no of the token. It has no such function, which is a no, if and only if the call was carried out and
/// either returned nothing at all (no code, or a fallback) or reverted: that is what contracts do with calls that they
/// do not know. Any other error is the node's, and is no answer.
fn read_flag(answer: Answer, what: &str) -> Result<bool, Failure> {
    let bytes: Bytes = match answer {
        Ok(answer) => rpc::read(&answer, "bytes")?,
        Err(failure) if failure.class == Class::Reverted => return Ok(false),
        Err(failure) => return Err(failure),
    };
    if bytes.is_empty() {
        return Ok(false);
    }
    let word = word(&bytes).filter(|word| *word <= U256::from(1));
    let flag = word.ok_or_else(|| Failure::unreadable(format!("{what} returned {}", shown(&bytes))))?;
    Ok(!flag.is_zero())
}

fn read_token_balance(answer: &RawValue) -> Result<Amount, Failure> {
    let bytes: Bytes = rpc::read(answer, "bytes")?;
    let word = word(&bytes).ok_or_else(|| Failure::unreadable(format!("balanceOf() returned {}", shown(&bytes))))?;
    // More than 128 bits is more than any token has: the largest amount then stands for it.
    Ok(Amount::from_base_units(u128::try_from(word).unwrap_or(u128::MAX)))
}

fn read_call(answer: Answer) -> Result<CallResult, Failure> {
    let bytes: Bytes = match answer {
        Ok(answer) => rpc::read(&answer, "bytes")?,
        Err(failure) if failure.class == Class::Reverted => return Ok(CallResult::Reverted(reason(&failure))),
        Err(failure) if failure.is_an_answer() && is_halt(&failure.words) => {
            return Ok(CallResult::Other(plain(&failure.words)));
        }
        Err(failure) => return Err(failure),
    };
    let is_true = word(&bytes) == Some(U256::from(1));
    Ok(if is_true { CallResult::True } else { CallResult::Other(format!("it returned {}", shown(&bytes))) })
}

/// `None` when the transfer would fail. anvil also says "insufficient funds" then.
fn read_estimate(answer: Answer) -> Result<Option<u64>, Failure> {
    match answer {
        Ok(answer) => rpc::read::<U64>(&answer, "an amount of gas").map(|gas| Some(gas.to())),
        Err(failure) if matches!(failure.class, Class::Reverted | Class::Transaction) => Ok(None),
        Err(failure) if failure.is_an_answer() && is_halt(&failure.words) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Why a call reverted: what the contract returned, else the node's words.
fn reason(failure: &Failure) -> String {
    let returned = failure.returned.as_ref().filter(|data| !data.is_empty());
    if let Some(data) = returned {
        if let Ok(revert) = Revert::abi_decode(data) {
            return plain(&revert.reason);
        }
        if let Ok(panic) = Panic::abi_decode(data) {
            return plain(&panic.to_string());
        }
    }
    let said = after_the_verdict(&failure.words);
    match (said, returned) {
        ("", Some(data)) => format!("it returned {}", shown(data)),
        ("", None) => "without a reason".to_owned(),
        (said, _) => plain(said),
    }
}

/// The node's words after "execution reverted".
fn after_the_verdict(words: &str) -> &str {
    let verdict = "execution reverted";
    let at = words.to_ascii_lowercase().find(verdict).map(|at| at.saturating_add(verdict.len()));
    at.and_then(|at| words.get(at..)).unwrap_or_default().trim_matches([':', ' '])
}

/// On one line, and not too long.
fn plain(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).take(MAX_REASON).collect();
    if text.chars().nth(MAX_REASON).is_some() {
        line.push('…');
    }
    line
}

fn word(bytes: &Bytes) -> Option<U256> {
    <[u8; 32]>::try_from(bytes.as_ref()).ok().map(U256::from_be_bytes)
}

/// Bytes in words.
fn shown(bytes: &Bytes) -> String {
    let start = bytes.get(..SHOWN).unwrap_or(bytes);
    match bytes.len() {
        0 => "nothing".to_owned(),
        length if length <= SHOWN => Bytes::copy_from_slice(start).to_string(),
        length => format!("{length} bytes that begin with {}", Bytes::copy_from_slice(start)),
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
