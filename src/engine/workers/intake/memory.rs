//! What intake remembers between rounds, so that it neither asks nor tells the same again and again. Nothing depends on it: a
//! restart asks once more.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::payment::{ApiStatus, PaymentId};
use crate::domain::time::Timestamp;

/// The most that is remembered of each kind; beyond that it begins anew.
const MOST: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Payments that were looked at and left alone, and until when.
    left: BTreeMap<PaymentId, Timestamp>,
    /// What the lists said of known payments when the reconciler was woken for it.
    woken: BTreeMap<PaymentId, (ApiStatus, Option<String>)>,
    /// What was said of entries that cannot be read.
    unreadable: BTreeSet<String>,
}

impl Memory {
    /// Leaves a payment alone until then.
    pub(super) fn leave(&mut self, id: &PaymentId, until: Timestamp) {
        make_room(&mut self.left);
        self.left.insert(id.clone(), until);
    }

    /// Whether a payment is left alone now.
    pub(super) fn is_left(&self, id: &PaymentId, now: Timestamp) -> bool {
        self.left.get(id).is_some_and(|until| now < *until)
    }

    /// Drops what is over.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.left.retain(|_, until| now < *until);
    }

    /// Whether the list's word on a known payment is news since it was last told here.
    pub(super) fn is_news(&mut self, id: &PaymentId, status: &ApiStatus, tx_hash: Option<&String>) -> bool {
        let word = (status.clone(), tx_hash.cloned());
        if self.woken.get(id) == Some(&word) {
            return false;
        }
        make_room(&mut self.woken);
        self.woken.insert(id.clone(), word);
        true
    }

    /// Whether this was not said before of an entry that cannot be read.
    pub(super) fn is_new_trouble(&mut self, detail: &str) -> bool {
        if self.unreadable.len() >= MOST {
            self.unreadable.clear();
        }
        self.unreadable.insert(detail.to_owned())
    }
}

fn make_room<V>(map: &mut BTreeMap<PaymentId, V>) {
    if map.len() >= MOST {
        map.clear();
    }
}
