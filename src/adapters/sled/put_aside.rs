//! Records that do not read. They stay where they are, byte for byte: nothing is moved or removed, so that a newer program, or a
//! person with a copy of the folder, finds them as they were.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::keys;
use super::reader::number_of;
use crate::domain::chain::{Address, B256};
use crate::domain::deposit::DepositKey;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::text::short;
use crate::ports::store::Unreadable;

/// How many are remembered. Beyond that each stands still all the same, and only is not told of.
const MOST: usize = 1_000;

/// What was found not to read since the store was opened.
#[derive(Default)]
pub(super) struct PutAside(Mutex<BTreeMap<Vec<u8>, Unreadable>>);

impl PutAside {
    /// Notes what lies under the key. Gives what it is called, and whether it is news.
    pub(super) fn note(&self, key: &[u8], why: &str) -> (String, bool) {
        let (what, record) = name(key);
        let mut found = self.found();
        let is_news = !found.contains_key(key) && found.len() < MOST;
        if is_news {
            found.insert(key.to_vec(), Unreadable { what: what.clone(), record, why: short(why) });
        }
        (what, is_news)
    }

    /// All of it, by key.
    pub(super) fn all(&self) -> Vec<Unreadable> {
        self.found().values().cloned().collect()
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Unreadable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record is called, by its key alone; and its [`RecordKey`], where it has one.
fn name(key: &[u8]) -> (String, Option<RecordKey>) {
    let (space, rest) = key.split_at_checked(1).unwrap_or_default();
    let record = (space == b"K").then(|| record_key(rest)).flatten();
    let named = match space {
        keys::PAYMENTS => Some(format!("payment {}", text(rest))),
        keys::ORDERS => order(rest),
        keys::DEPOSITS => deposit(rest),
        b"C" => Address::try_from(rest).ok().map(|address| format!("the coverage of {address}")),
        keys::EVENTS => number_of(key).ok().map(|number| format!("event record {number}")),
        keys::WALLET => Some("the wallet's record".to_owned()),
        _ => record.as_ref().map(ToString::to_string),
    };
    (named.unwrap_or_else(|| format!("the record {}", key.escape_ascii())), record)
}

fn text(bytes: &[u8]) -> String {
    short(&String::from_utf8_lossy(bytes))
}

/// What is before the first zero byte, and what is after it.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..at)?, bytes.get(at.saturating_add(1)..)?))
}

fn order(rest: &[u8]) -> Option<String> {
    let (payment, turn) = parts(rest)?;
    let turn = turn.try_into().map(u32::from_be_bytes).ok()?;
    Some(format!("order {}:{turn}", text(payment)))
}

fn deposit(rest: &[u8]) -> Option<String> {
    let (chain_id, rest) = rest.split_first_chunk::<8>()?;
    let (block_hash, rest) = rest.split_first_chunk::<32>()?;
    let (tx_hash, rest) = rest.split_first_chunk::<32>()?;
    let key = DepositKey {
        chain_id: u64::from_be_bytes(*chain_id),
        block_hash: B256::from(*block_hash),
        tx_hash: B256::from(*tx_hash),
        log_index: u64::from_be_bytes(rest.try_into().ok()?),
    };
    Some(format!("deposit {key}"))
}

fn record_key(rest: &[u8]) -> Option<RecordKey> {
    let (kind, id) = parts(rest)?;
    let kind = RecordKind::ALL.iter().copied().find(|known| known.name().as_bytes() == kind)?;
    Some(RecordKey { kind, id: text(id) })
}
