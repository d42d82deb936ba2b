//! What a node says to a transaction that it is given. The one place where those words are read.
//!
//! The words are those of geth, Bor, Erigon, Nethermind (old and new), Besu, Reth, OpenEthereum and anvil. Codes are not
//! looked at: all of them use -32000 or -32003 for nearly everything. Deliberately absent: what follows from it.

use alloy::primitives::B256;
use serde_json::value::RawValue;

use crate::ports::sender::SendAnswer;

use super::classify::Class;
use super::failure::{Failure, Reach};
use super::rpc;

/// What an endpoint's answer to the transaction with this hash means.
pub(super) fn read(hash: B256, answer: &Result<Box<RawValue>, Failure>) -> SendAnswer {
    let failure = match answer {
        Ok(answer) => match rpc::read::<B256>(answer, "a transaction's hash") {
            Ok(said) if said == hash => return SendAnswer::Accepted,
            Ok(said) => {
                return SendAnswer::Unclear(format!("it answered with the hash of another transaction, {said}"));
            }
            Err(failure) => return SendAnswer::Unclear(failure.text),
        },
        Err(failure) => failure,
    };
    let text = failure.text.clone();
    match failure.reach {
        Reach::Unsent => SendAnswer::NotReached(text),
        Reach::Unknown => without_words(failure.class, text),
        Reach::Answered => by_words(&failure.words, &text).unwrap_or_else(|| answered_otherwise(failure.class, text)),
    }
}

/// No JSON-RPC answer came. A gateway that turns requests away has not passed them on; of all else nobody knows.
fn without_words(class: Class, text: String) -> SendAnswer {
    match class {
        Class::RateLimit | Class::Quota | Class::Denied => SendAnswer::NotReached(text),
        _ => SendAnswer::Unclear(text),
    }
}

/// A JSON-RPC error that says nothing of the transaction.
fn answered_otherwise(class: Class, text: String) -> SendAnswer {
    match class {
        Class::RateLimit | Class::Quota | Class::Denied => SendAnswer::NotReached(text),
        // The gateway lost its node, or the node is not ready: it may have taken the transaction, or may take it soon.
        Class::Timeout
        | Class::Connection
        | Class::Server
        | Class::Garbage
        | Class::Inconsistent
        | Class::RetryOrSplit
        | Class::Behind
        | Class::BehindOrRange => SendAnswer::Unclear(text),
        _ => SendAnswer::Refused(text),
    }
}

/// What the words say, if they speak of the transaction. The order matters: the words of a later row can be part of
/// an earlier one's ("replacement transaction underpriced").
fn by_words(words: &str, text: &str) -> Option<SendAnswer> {
    let words = words.to_lowercase();
    let has = |any: &[&str]| any.iter().any(|word| words.contains(word));
    if has(KNOWN) || words == "mined" || words.ends_with(": mined") {
        return Some(SendAnswer::AlreadyKnown);
    }
    if has(NOT_ENOUGH_MORE) {
        return Some(SendAnswer::Underpriced);
    }
    if has(NONCE_AHEAD) {
        return Some(SendAnswer::NonceTooHigh);
    }
    if has(NONCE_BEHIND) {
        return Some(SendAnswer::NonceTooLow);
    }
    // Limits that the node's owner has set on what may be offered at most.
    if has(OFFERS_TOO_MUCH) {
        return Some(SendAnswer::Refused(text.to_owned()));
    }
    if has(FUNDS) {
        return Some(SendAnswer::InsufficientFunds);
    }
    has(OFFERS_TOO_LITTLE).then(|| SendAnswer::FeeTooLow(text.to_owned()))
}

/// It has this very transaction.
const KNOWN: &[&str] = &[
    "already known",
    "alreadyknown",
    "known transaction",
    "already imported",
    "same hash",
    "already in mempool",
    "already in the mempool",
    "already in the pool",
    "already in pool",
    "already exists in the pool",
    "tx already exist",
    "transaction already exist",
    "already finalized",
    "already mined",
];

/// It has another one with this nonce.
const NOT_ENOUGH_MORE: &[&str] = &[
    "replacement transaction underpriced",
    "replace transaction underpriced",
    "replacement underpriced",
    "replacementnotallowed",
    "could not replace existing",
    "to replace existing",
    "another transaction with same nonce",
    "another tx which has the same nonce",
    "same nonce already inserted",
    "ownnoncealreadyused",
];

const NONCE_AHEAD: &[&str] = &[
    "nonce too high",
    "nonce is too high",
    "noncegap",
    "nonce gap",
    "gapped nonce",
    "nonce too far in future",
    "nonce too far in the future",
    "nonce is too distant",
    "future transaction tries to replace pending",
];

const NONCE_BEHIND: &[&str] = &[
    "nonce too low",
    "nonce is too low",
    "oldnonce",
    "nonce has already been used",
    "nonce already used",
    "nonce below current",
    "too stale nonce",
];

const OFFERS_TOO_MUCH: &[&str] = &[
    "exceeds the configured cap",
    "fee cap exceeded",
    "higher than max fee per gas",
    "exceeds max fee per gas",
    "greater than max fee per gas",
    "greater than `max_fee_per_gas`",
];

const FUNDS: &[&str] = &[
    "insufficient funds",
    "insufficientfunds",
    "insufficient balance",
    "not enough funds",
    "upfront cost exceeds",
    "exceeds account balance",
    "overdraft",
    "out of balance",
];

const OFFERS_TOO_LITTLE: &[&str] = &[
    "underpriced",
    "price below minimum",
    "price below configured minimum",
    "fee per gas below configured minimum",
    "gas tip cap",
    "less than block base fee",
    "less than the block base fee",
    "less than the current basefee",
    "below current base fee",
    "below the current base fee",
    "below base fee",
    "below chain minimum",
    "fee too low",
    "feetoolow",
    "gas price too low",
    "gas price is too low",
    "gas price supplied is too low",
    // The pool keeps those that offer more.
    "pool is full",
    "pool overflow",
    "too many transactions in the queue",
];

#[cfg(test)]
#[path = "send_answer_tests.rs"]
mod tests;
