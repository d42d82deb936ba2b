//! The words of real nodes.

use super::*;

use crate::adapters::evm::redact::Redactor;
use crate::adapters::evm::reply::rpc_failure;

const HASH: B256 = B256::repeat_byte(0x11);

fn said(code: i64, words: &str) -> SendAnswer {
    read(HASH, &Err(rpc_failure(Some(code), words, None, &Redactor::default())))
}

fn answered(json: &str) -> SendAnswer {
    read(HASH, &Ok(RawValue::from_string(json.to_owned()).unwrap()))
}

/// The variant of [`SendAnswer`], and what is said.
const SAID: &[(&str, &[&str])] = &[
    (
        "AlreadyKnown",
        &[
            "already known",                                               // geth, Bor, Erigon, Reth, Nethermind
            "known transaction: 9fd3d601f1d7c3952fdc9cf4ddf04e629e507bc8", // old geth
            "Known transaction",                                           // Besu
            "transaction already imported",                                // anvil
            "INTERNAL_ERROR: existing tx with same hash",                  // Erigon
            "existing txn with same hash",                                 // Erigon 3
            "RPC error response: ALREADY_EXISTS: already known",           // Erigon
            "AlreadyKnown",                                                // old Nethermind
            "Transaction with the same hash was already imported.",        // OpenEthereum
            "mined",                                                       // Erigon
            "ALREADY_EXISTS: mined",
        ],
    ),
    (
        "NonceTooLow",
        &[
            "nonce too low",
            "nonce too low: next nonce 7, tx nonce 3", // geth, Bor
            "nonce too low: address 0x51, tx: 3 state: 7",
            "Nonce too low",                                             // Besu
            "OldNonce, Current nonce: 7, nonce of rejected tx: 3",       // old Nethermind
            "Transaction nonce is too low. Try incrementing the nonce.", // OpenEthereum
            "INTERNAL_ERROR: nonce too low",                             // Erigon
        ],
    ),
    (
        "NonceTooHigh",
        &[
            "nonce too high",
            "nonce too high: tx nonce 9, gapped nonce 7", // geth
            "NonceGap, Future nonce. Expected nonce: 7",  // old Nethermind
            "nonce too far in future",                    // Nethermind
            "Transaction nonce is too distant from current sender nonce", // Besu
            "future transaction tries to replace pending", // geth with a full pool
        ],
    ),
    (
        "Underpriced",
        &[
            "replacement transaction underpriced", // geth, Bor, Reth, anvil, Nethermind
            "Replacement transaction underpriced", // Besu
            "INTERNAL_ERROR: replacement transaction underpriced", // Erigon
            "INTERNAL_ERROR: could not replace existing tx", // Erigon
            "insufficient gas price to replace existing transaction", // Reth
            "Transaction gas price is too low. There is another transaction with same nonce in the queue. Try \
                 increasing the gas price or incrementing the nonce.", // OpenEthereum
        ],
    ),
    (
        "FeeTooLow",
        &[
            "transaction underpriced", // geth, Reth, Nethermind
            "transaction underpriced: gas tip cap 1, minimum needed 25000000000",
            "transaction gas price below minimum: gas tip cap 1500000000, minimum needed 25000000000", // Bor
            "INTERNAL_ERROR: underpriced",                                                             // Erigon
            "INTERNAL_ERROR: fee too low",                                                             // Erigon
            "max fee per gas less than block base fee",                                                // Reth, anvil
            "max fee per gas less than block base fee: address 0x51, maxFeePerGas: 1, baseFee: 7",     // geth
            "Gas price below configured minimum gas price",                                            // Besu
            "Max priority fee per gas below configured minimum",                                       // Besu
            "gasPrice is less than the current BaseFee",                                               // Besu
            "FeeTooLow, EffectivePriorityFeePerGas too low 1 < 2, BaseFee: 7",                         // old Nethermind
            "FeeTooLowToCompete",
            "Transaction gas price is too low. It does not satisfy your node's minimal gas price",
            "txpool is full",                           // geth, Bor
            "INTERNAL_ERROR: pending sub-pool is full", // Erigon
            "There are too many transactions in the queue. Your transaction was dropped due to limit. Try \
                 increasing the fee.",
        ],
    ),
    (
        "InsufficientFunds",
        &[
            "insufficient funds for gas * price + value",
            "insufficient funds for gas * price + value: balance 1, tx cost 9, overshot 8",
            "insufficient funds for gas * price + value: balance 9, queued cost 8, tx cost 9, overshot 8",
            "Insufficient funds for gas * price + value", // anvil
            "INTERNAL_ERROR: insufficient funds",         // Erigon
            "Upfront cost exceeds account balance",       // Besu
            "InsufficientFunds, Account balance: 1, cumulative cost: 9", // old Nethermind
            "transaction would cause overdraft",
        ],
    ),
    (
        "Refused",
        &[
            "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)", // geth, Bor
            "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: 9, maxFeePerGas: 8",
            "Invalid input: `max_priority_fee_per_gas` greater than `max_fee_per_gas`", // anvil
            "exceeds block gas limit",
            "transaction gas limit too high (cap: 16777216, tx: 30000000)", // geth, Bor
            "intrinsic gas too low: gas 20000, minimum needed 21000",
            "insufficient gas for floor data gas cost: gas 21000, minimum needed 30000",
            "invalid sender: invalid chain id for signer: have 137 want 1",
            "oversized data: transaction size 200000, limit 131072",
            "transaction type not supported",
            "rlp: expected input list for types.DynamicFeeTx",
            "sender not an eoa",
            "address already reserved",
            "account limit exceeded: pooled 16 txs",                      // geth
            "in-flight transaction limit reached for delegated accounts", // geth, Bor
            "unknown transaction type",
            "a sentence that nobody knows",
            "method not allowed",
        ],
    ),
    (
        "Unclear",
        &[
            "no backend is currently healthy to serve traffic",
            "request timed out",
            "context deadline exceeded",
            "header not found",
            "unknown block",
        ],
    ),
    (
        "NotReached",
        &[
            "daily request count exceeded, request rate limited",
            "Your app has exceeded its compute units per second capacity.",
            "Monthly capacity limit exceeded",
            "Unauthorized: invalid api key",
        ],
    ),
];

#[test]
fn what_nodes_say() {
    for (class, texts) in SAID {
        for words in *texts {
            for code in [-32_000, -32_003, -32_010] {
                let answer = format!("{:?}", said(code, words));
                let name = answer.split('(').next().unwrap();
                assert_eq!(name, *class, "{words:?}");
            }
        }
    }
}

#[test]
fn the_words_are_kept_where_a_person_needs_them() {
    let text = "transaction gas price below minimum: gas tip cap 1, minimum needed 25000000000";
    assert_eq!(said(-32_000, text), SendAnswer::FeeTooLow(format!("{text} (code -32000)")));
    assert_eq!(said(-32_603, "Internal error"), SendAnswer::Unclear("Internal error (code -32603)".to_owned()));
    assert_eq!(said(-32_603, "nonce too low"), SendAnswer::NonceTooLow, "the words go before the code");
    let at_the_provider = said(402, "insufficient funds: top up your account");
    assert!(matches!(at_the_provider, SendAnswer::NotReached(_)), "{at_the_provider:?}");
}

#[test]
fn hashes() {
    assert_eq!(answered(&format!("\"{HASH}\"")), SendAnswer::Accepted);
    for other in [format!("\"{}\"", B256::ZERO), "null".to_owned(), "true".to_owned(), "\"0x\"".to_owned()] {
        assert!(matches!(answered(&other), SendAnswer::Unclear(_)), "{other}");
    }
}

#[test]
fn without_an_answer() {
    let failed = |class, reach| read(HASH, &Err(Failure { reach, ..Failure::new(class, "text") }));
    for class in Class::ALL.iter().copied() {
        let unsent = failed(class, Reach::Unsent);
        assert_eq!(unsent, SendAnswer::NotReached("text".to_owned()), "{class:?}");
        let turned_away = matches!(class, Class::RateLimit | Class::Quota | Class::Denied);
        let unknown = failed(class, Reach::Unknown);
        assert_eq!(matches!(unknown, SendAnswer::NotReached(_)), turned_away, "{class:?}");
        assert_eq!(matches!(unknown, SendAnswer::Unclear(_)), !turned_away, "{class:?}");
    }
}
