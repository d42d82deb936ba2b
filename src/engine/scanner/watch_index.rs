//! Keeps the index of the watched addresses in step with the store: what others changed comes in, what readings have added
//! goes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;

use super::absorb::all;
use super::gauge;
use super::{Scanner, Trouble};
use crate::domain::chain::Address;
use crate::domain::coverage::Coverage;
use crate::engine::transaction;
use crate::policy::log_filter;
use crate::ports::chain::WatchSet;
use crate::ports::store::{Commit, Store, StoreError, if_readable};

/// How many addresses are read from the store at once.
const PAGE: usize = 4_096;

/// How many stretches of the addresses are read at once at the start.
const STRETCHES_AT_ONCE: usize = 4;

/// How many addresses' coverage goes into one commit.
const BATCH: usize = 512;

impl Scanner {
    /// Learns from the store which addresses are watched, or only what has changed of them since the last time, and tells
    /// the chain's subscription.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        // What is stored from here on is looked at again the next time.
        let count = self.ports.store.changes().borrow().coverage;
        let changed = match self.known.learnt {
            Some(learnt) => self.ports.store.coverage_since(learnt).await?,
            None => None,
        };
        let others = match changed {
            Some(changed) => self.take_changes(changed).await?,
            None => self.take_everything().await?,
        };
        self.known.learnt = Some(count);
        if others {
            self.announce();
        } else if self.index.unplaced().iter().any(|it| !self.readings.unplaced.contains(&it.address)) {
            self.schedule.sweep_whole_at(self.ports.clock.now());
        }
        Ok(())
    }

    /// Whoever is watched from now on is swept at once: the money may be there already.
    fn announce(&mut self) {
        let count = self.index.len();
        self.health.update(|health| health.watched = count);
        metrics::gauge!("rampwatch_watched_addresses").set(gauge(u64::try_from(count).unwrap_or(u64::MAX)));
        self.schedule.sweep_whole_at(self.ports.clock.now());
        let tokens = if count == 0 { Arc::default() } else { self.tokens.clone() };
        self.schedule.heads_only = log_filter::hears_of_heads_only(count, self.settings.sweep.filter);
        let (recipients, heads_only) = (Arc::clone(self.index.addresses()), self.schedule.heads_only);
        self.ports.chain.watch(WatchSet { tokens, recipients, heads_only });
    }

    /// Reads those of the changed that the watch index has not got already. True when somebody came or went.
    async fn take_changes(&mut self, changed: Vec<(Address, u64)>) -> Result<bool, StoreError> {
        let is_news =
            |(address, version): &(Address, u64)| self.index.version(address).is_none_or(|known| known < *version);
        let news: BTreeSet<Address> = changed.into_iter().filter(is_news).map(|(address, _)| address).collect();
        let store = &self.ports.store;
        let reading = news.into_iter().map(|address| async move { Ok(if_readable(store.coverage(address).await)?) });
        match all(reading).await {
            Ok(found) => Ok(self.index.put(found.into_iter().flatten().collect())),
            Err(Trouble::Store(error)) => Err(error),
            // Only the store was asked.
            Err(Trouble::Chain(error)) => Err(StoreError::Failed(error.to_string())),
        }
    }

    /// Reads everything. True when somebody came or went.
    async fn take_everything(&mut self) -> Result<bool, StoreError> {
        let mut others = self.known.learnt.is_none();
        let first = self.ports.store.watched(None, PAGE).await?;
        let through = first.last().filter(|_| first.len() >= PAGE).map(|last| last.address);
        others |= self.index.put_page(None, through, first);
        let Some(after) = through else { return Ok(others) };
        // Where one page does not hold all, several stretches are read at once.
        let store = &self.ports.store;
        let reading = stretches(after).map(|(after, through)| async move {
            let found = stretch(&**store, after, through).await?;
            Ok::<_, StoreError>((after, through, found))
        });
        let mut reading = futures_util::stream::iter(reading).buffered(STRETCHES_AT_ONCE);
        while let Some(read) = reading.next().await {
            let (after, through, found) = read?;
            others |= self.index.put_page(Some(after), through, found);
        }
        Ok(others)
    }

    /// Learns from the store which addresses have deposits, and where the newest is.
    pub(super) async fn load_tips(&mut self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.ports.store.deposits(after.as_ref(), PAGE).await?;
            for deposit in &page {
                self.known.newest_deposits.note(deposit.to, deposit.block_number);
            }
            after = match page.last() {
                Some(last) if page.len() >= PAGE => Some(last.key),
                Some(_) | None => return Ok(()),
            };
        }
    }

    /// Stores what readings have added to the coverage, of some of the addresses. The others are written after the next
    /// readings: a crash before that costs a repeated reading.
    pub(super) async fn keep_some(&mut self) -> Result<(), Trouble> {
        let raised = self.index.unkept(self.settings.sweep.kept_at_once);
        for batch in raised.chunks(BATCH) {
            if self.store_coverage(Commit { coverage: batch.to_vec(), ..Commit::default() }).await? {
                self.index.kept(batch);
            }
        }
        Ok(())
    }

    /// Whether it was stored. A conflict means that a payment was added or ended meanwhile: the coverage stays as it is.
    pub(super) async fn store_coverage(&self, commit: Commit) -> Result<bool, Trouble> {
        if commit.is_empty() {
            return Ok(true);
        }
        match transaction::commit(&*self.ports.store, commit).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(what) | StoreError::Corrupt(what)) => {
                tracing::debug!(what, "coverage changed meanwhile, or does not read; written again later");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The coverage of these addresses, as far as readings have come.
    pub(super) fn coverage_of(&self, addresses: &[Address]) -> Vec<Coverage> {
        addresses.iter().filter_map(|address| self.index.coverage(address)).collect()
    }
}

/// The stretches into which all addresses above this one are cut, each from above its first to its second one, or to the
/// end. The addresses of a chain are spread evenly.
fn stretches(after: Address) -> impl Iterator<Item = (Address, Option<Address>)> {
    let first = after.first().copied().unwrap_or(0);
    let last_of = |byte: u8| {
        let bytes: [u8; 20] = std::array::from_fn(|place| if place == 0 { byte } else { 0xff });
        Address::from(bytes)
    };
    (first..=u8::MAX).map(move |byte| {
        let from = if byte == first { after } else { last_of(byte.saturating_sub(1)) };
        (from, (byte < u8::MAX).then(|| last_of(byte)))
    })
}

/// The coverage of all watched addresses above `after`, up to and including `through`.
async fn stretch(store: &dyn Store, after: Address, through: Option<Address>) -> Result<Vec<Coverage>, StoreError> {
    let mut found: Vec<Coverage> = Vec::new();
    loop {
        let from = found.last().map_or(after, |last| last.address);
        let page = store.watched(Some(from), PAGE).await?;
        let is_last = page.len() < PAGE;
        found.extend(page);
        let end = found.partition_point(|coverage| through.is_none_or(|through| coverage.address <= through));
        if is_last || end < found.len() {
            found.truncate(end);
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_leave_nobody_out() {
        for after in [Address::ZERO, Address::repeat_byte(0x3c), Address::repeat_byte(0xff)] {
            let all: Vec<_> = stretches(after).collect();
            assert_eq!(all.first().map(|(from, _)| *from), Some(after));
            assert_eq!(all.last().map(|(_, through)| *through), Some(None));
            for pair in all.windows(2) {
                assert_eq!(pair[0].1, Some(pair[1].0), "one begins where the other ends");
                assert!(pair[0].0 <= pair[1].0);
            }
        }
    }
}
