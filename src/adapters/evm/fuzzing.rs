//! What nodes and providers say, for fuzzing (`make fuzz`): logs, headers, and errors in their own words.

use alloy::primitives::{Address, B256};
use alloy::rpc::types::Log;
use serde_json::value::RawValue;

use super::classify::{classify, is_halt};
use super::decode::{Decoded, Side, Wanted, decode};
use super::named_limits::{suggested_blocks, suggested_recipients};
use super::redact::Redactor;
use super::reply::rpc_failure;
use super::{rpc, send_answer};

/// How many blocks were asked for.
const ASKED: u64 = 2_000;

/// Reads the bytes as logs, and as a header. Everything that the logs name is asked for, so that nothing is passed over as
/// foreign. Returns the words that people would be shown.
pub(crate) fn logs(data: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let Ok(text) = std::str::from_utf8(data) else { return words };
    let Ok(raw) = RawValue::from_string(text.to_owned()) else { return words };
    words.extend(rpc::read_header(&raw).err().map(|failure| failure.text));
    words.extend(rpc::read_priced_header(&raw).err().map(|failure| failure.text));
    let logs: Vec<Log> = match rpc::read(&raw, "a list of logs") {
        Ok(logs) => logs,
        Err(failure) => {
            words.push(failure.text);
            return words;
        }
    };
    let tokens: Vec<Address> = logs.iter().map(Log::address).collect();
    let mut accounts: Vec<Address> =
        logs.iter().flat_map(|log| log.topics()).map(|topic| Address::from_word(*topic)).collect();
    accounts.sort_unstable();
    for side in [Side::To, Side::From] {
        let wanted = Wanted { from: 0, to: u64::MAX, tokens: &tokens, accounts: &accounts, side };
        for log in &logs {
            match decode(log, &wanted) {
                Decoded::Transfer(transfer) => {
                    assert_eq!(Some(transfer.tx_hash), log.transaction_hash);
                    assert!(tokens.contains(&transfer.token) && !log.removed);
                    assert!(accounts.binary_search(&transfer.to).is_ok());
                }
                Decoded::Malformed(why) => words.push(why),
                Decoded::Foreign => {}
                Decoded::Placeless(account) => assert!(accounts.binary_search(&account).is_ok()),
            }
        }
    }
    words
}

/// Reads the bytes as the text of a provider's error, with a code in the first two. Returns what would be logged of it.
pub(crate) fn error(data: &[u8]) -> Vec<String> {
    let (code, text) = match data {
        [high, low, text @ ..] => (Some(i64::from(i16::from_be_bytes([*high, *low]))), text),
        text => (None, text),
    };
    let text = String::from_utf8_lossy(text);
    let class = classify(code, &text);
    if let Some(blocks) = suggested_blocks(class, &text, ASKED) {
        assert!(blocks > 0 && blocks < ASKED, "{blocks} blocks would be asked for after {ASKED}");
    }
    if let Some(recipients) = suggested_recipients(&text, ASKED) {
        assert!(recipients > 0 && recipients < ASKED, "{recipients} recipients would be asked for after {ASKED}");
    }
    // Whatever it says, it is no yes or no to a contract's decision by accident.
    let _halted: bool = is_halt(&text);
    let failure = rpc_failure(code, &text, Some(&text), &Redactor::default());
    let said = send_answer::read(B256::ZERO, &Err(failure.clone()));
    vec![failure.text, failure.words, format!("{said:?}")]
}
