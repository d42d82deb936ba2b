//! Everything that reads strangers' bytes, for a fuzzer (`make fuzz`) and for the tests below: whatever comes, nothing
//! panics, each target's own laws hold, and what people would be shown is short and plain, so that nobody can write into a
//! terminal or a log what was never said.
//!
//! Deliberately absent from the program: this is compiled for tests and with `--cfg fuzzing` only.

use std::path::Path;

use crate::config::Settings;
use crate::domain::amount::Amount;
use crate::domain::decimal::Decimal;
use crate::{adapters, cli, http};

/// The most characters of one text that people are shown. A configuration's error lists every problem.
const MOST_SHOWN: usize = 200_000;

/// Takes bytes, and returns the words that people would be shown because of them.
type Reads = fn(&[u8]) -> Vec<String>;

/// What can be fuzzed, by name. `fuzz/seeds` has a folder of examples for each.
pub const TARGETS: [(&str, Reads); 8] = [
    ("api_answer", adapters::payment_http::fuzzing::answer),
    ("logs", adapters::evm::fuzzing::logs),
    ("provider_error", adapters::evm::fuzzing::error),
    ("webhook_delivery", http::inlet::fuzzing::delivery),
    ("batch_file", cli::fuzzing::batch),
    ("config", config),
    ("keystore", adapters::signer::fuzzing::keystore),
    ("amount", amount),
];

/// Gives the bytes to a target.
///
/// # Panics
/// When a law is broken: that is what it is for.
pub fn run(reads: Reads, data: &[u8]) {
    for words in reads(data) {
        let strange = words.chars().find(|c| c.is_control() && *c != '\n');
        assert!(strange.is_none(), "people would be shown {strange:?}, in {words:?}");
        assert!(words.chars().count() <= MOST_SHOWN, "people would be shown {} characters", words.chars().count());
    }
}

/// A configuration file. What the environment says is tested by itself.
fn config(data: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(data) else { return Vec::new() };
    let read = Settings::read(Path::new("config.toml"), text, std::iter::empty());
    read.err().map(|error| error.to_string()).into_iter().collect()
}

/// An amount that a person types, or that stands in the API's JSON.
fn amount(data: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(data);
    let mut words = Vec::new();
    for decimals in [0, 6, 18] {
        for read in [Amount::from_person(&text, decimals), Amount::from_json_number(&text, decimals)] {
            match read {
                Ok(amount) => {
                    let written = amount.to_decimal(decimals);
                    assert_eq!(Amount::from_person(&written, decimals).ok(), Some(amount), "{text:?} became {written}");
                }
                Err(error) => words.push(error.to_string()),
            }
        }
    }
    for read in [Decimal::from_person(&text), Decimal::from_json_number(&text)] {
        match read {
            Ok(decimal) => {
                let written = decimal.to_string();
                assert_eq!(Decimal::from_person(&written).ok(), Some(decimal), "{text:?} became {written}");
            }
            Err(error) => words.push(error.to_string()),
        }
    }
    words
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy excuses only functions marked as tests, not what they call"
)]
mod tests;
