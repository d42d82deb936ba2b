//! Likely repeats: what was placed of late, by what later payouts are compared with, and the one check that all placing passes.
//!
//! A payout claims its place here before it is committed, and another one that is like it finds the claim: of two that come at
//! the same moment one is asked about. The payouts within the window are read once, before the first one is placed; after
//! that every question is a look into memory. One process has the store, so what is here is all that there is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::domain::chain::{Address, B256};
use crate::domain::payment::PayoutReference;
use crate::domain::record::{Record, RecordKind};
use crate::domain::time::{Span, Timestamp};
use crate::engine::EngineSettings;
use crate::engine::payout_repository::Kept;
use crate::engine::transaction;
use crate::policy::repeats::{Earlier, repeated};
use crate::ports::store::{Commit, Store, StoreError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::payout_requests::{invalid, reference, wish_of};
use crate::view::moment;
use crate::view::payout::{EarlierView, PayoutRequest, RepeatView};

pub use crate::policy::repeats::{Alike, Likeness};

/// How long a payout whose placing was given up half way may still come to be stored. A store that takes so long has failed.
const MAY_BE_STORED: Span = Span::from_secs(600);

/// How many payouts are read at once.
const CHUNK: usize = 500;

/// What was placed of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentPayouts {
    is_read: Arc<OnceCell<()>>,
    index: Arc<Mutex<Index>>,
}

/// Payouts by the order in which they came here, and found by what they are compared by.
#[derive(Debug, Default)]
struct Index {
    all: BTreeMap<u64, Earlier>,
    by_content: HashMap<B256, Vec<u64>>,
    by_name: HashMap<String, Vec<u64>>,
    next: u64,
}

/// The place that a payout has taken.
pub(crate) struct Claim {
    place: u64,
    /// The payout that it repeats, which was allowed.
    pub(crate) repeats: Option<PayoutReference>,
}

impl Index {
    fn add(&mut self, earlier: Earlier) -> u64 {
        let place = self.next;
        self.next = self.next.saturating_add(1);
        self.by_content.entry(earlier.likeness.content).or_default().push(place);
        self.by_name.entry(earlier.likeness.name.clone()).or_default().push(place);
        self.all.insert(place, earlier);
        place
    }

    fn remove(&mut self, place: u64) {
        let Some(gone) = self.all.remove(&place) else { return };
        let Likeness { content, name } = gone.likeness;
        if let Some(places) = self.by_content.get_mut(&content) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.by_content.remove(&content);
            }
        }
        if let Some(places) = self.by_name.get_mut(&name) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.by_name.remove(&name);
            }
        }
    }

    /// Lets go of what came first and is too old to be repeated.
    fn forget_old(&mut self, window: Span, now: Timestamp) {
        while let Some((place, _)) = self.all.first_key_value().filter(|(_, old)| now.since(old.placed_at) > window) {
            let place = *place;
            self.remove(place);
        }
    }

    /// Those that could be alike.
    fn candidates<'a>(&'a self, likeness: &Likeness) -> impl Iterator<Item = &'a Earlier> {
        let places = [self.by_content.get(&likeness.content), self.by_name.get(&likeness.name)];
        places.into_iter().flatten().flatten().filter_map(|place| self.all.get(place))
    }

    /// Lets go of a payout that does not count any more.
    fn forget(&mut self, earlier: &Earlier) {
        let places = self.by_content.get(&earlier.likeness.content).into_iter().flatten();
        let is_it = |place: &&u64| self.all.get(place).is_some_and(|other| other.reference == earlier.reference);
        let gone: Vec<u64> = places.filter(is_it).copied().collect();
        gone.into_iter().for_each(|place| self.remove(place));
    }
}

impl RecentPayouts {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was placed within the window, once.
    async fn read(&self, store: &Arc<dyn Store>, window: Span, now: Timestamp) -> Result<(), StoreError> {
        let read = async || {
            let mut found: Vec<Earlier> = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let chunk = store.records_page(RecordKind::Payout, after.as_deref(), CHUNK).await?;
                let is_last = chunk.len() < CHUNK;
                after = chunk.last().map(|record: &Record| record.body.key().id);
                let payouts = chunk.into_iter().filter_map(Kept::of).filter_map(|kept| Earlier::of(&kept.payout));
                found.extend(payouts.filter(|earlier| now.since(earlier.placed_at) <= window));
                if is_last {
                    break;
                }
            }
            // The oldest first: that is the order in which they are let go.
            found.sort_by_key(|earlier| earlier.placed_at);
            let mut index = self.index();
            for earlier in found {
                index.add(earlier);
            }
            Ok(())
        };
        self.is_read.get_or_try_init(read).await.copied()
    }

    /// Stores a payout that has claimed its place; it gives the place back if that fails. Where nobody waits for it any more, the
    /// place stays taken: the payout may be stored all the same.
    pub(crate) async fn keep(&self, store: &Arc<dyn Store>, claim: Claim, commit: Commit) -> Result<u64, StoreError> {
        let stored = transaction::commit(&**store, commit).await;
        if stored.is_err() {
            self.index().remove(claim.place);
        }
        stored
    }
}

impl OperatorService {
    /// Takes a place for a payout that is to be stored now, unless it repeats an earlier one and that is not allowed.
    ///
    /// # Errors
    /// [`OperatorError::Repeat`], or the store fails.
    pub(crate) async fn claim(&self, wanted: Earlier, is_allowed: bool) -> Result<Claim, OperatorError> {
        let (earlier, alike) = loop {
            let found = {
                let (window, now) = self.recent_payouts().await?;
                let mut index = self.recent.index();
                index.forget_old(window, now);
                let candidates = index.candidates(&wanted.likeness);
                let found = repeated(&wanted.reference, &wanted.likeness, candidates, window, now);
                match found.map(|(earlier, alike)| (earlier.clone(), alike)) {
                    Some(found) if !is_allowed => found,
                    found => {
                        let repeats = found.map(|(earlier, _)| earlier.reference);
                        return Ok(Claim { place: index.add(wanted), repeats });
                    }
                }
            };
            if self.still_counts(&found.0).await? {
                break found;
            }
        };
        Err(OperatorError::Repeat(format!(
            "payout {} {}, and was not placed: the same may be paid twice. If it is to be paid all the same, allow it by its \
             own reference: --allow-repeat {0} (in the operator API: \"allow_repeat\": true)",
            wanted.reference,
            words(&earlier, alike)
        )))
    }

    /// Whether a payout would repeat an earlier one, and which. Nothing is placed.
    ///
    /// # Errors
    /// A field is not what it must be, or the store fails.
    pub async fn repeat_of(&self, request: &PayoutRequest) -> Result<RepeatView, OperatorError> {
        let none = RepeatView { earlier: None };
        let named =
            request.reference.as_deref().ok_or_else(|| invalid("reference", "give the one that it is to have"))?;
        let named = reference(named)?;
        let likeness = likeness(&self.settings, &named, request)?;
        if self.payout_repository().read(&named).await?.is_some() {
            return Ok(none);
        }
        loop {
            let found = {
                let (window, now) = self.recent_payouts().await?;
                let index = self.recent.index();
                let found = repeated(&named, &likeness, index.candidates(&likeness), window, now);
                found.map(|(earlier, alike)| (earlier.clone(), alike))
            };
            let Some((earlier, alike)) = found else { return Ok(none) };
            if self.still_counts(&earlier).await? {
                let text = words(&earlier, alike);
                let (reference, placed_at) = (earlier.reference, moment(earlier.placed_at));
                return Ok(RepeatView { earlier: Some(EarlierView { reference, placed_at, text }) });
            }
        }
    }

    /// Sees that what was placed of late is known; the window, and now.
    async fn recent_payouts(&self) -> Result<(Span, Timestamp), StoreError> {
        let (window, now) = (self.settings.payouts.repeat_window, self.clock.now());
        if window > Span::ZERO {
            self.recent.read(&self.store, window, now).await?;
        }
        Ok((window, now))
    }

    /// Whether an earlier payout counts: it is stored and may pay somebody, or it may be stored yet. One that does not is let go
    /// of.
    async fn still_counts(&self, earlier: &Earlier) -> Result<bool, StoreError> {
        let counts = match self.payout_repository().read(&earlier.reference).await? {
            Some(kept) => Earlier::of(&kept.payout).is_some(),
            None => self.clock.now().since(earlier.placed_at) <= MAY_BE_STORED,
        };
        if !counts {
            self.recent.index().forget(earlier);
        }
        Ok(counts)
    }
}

/// What a payout that is asked for is compared by.
///
/// # Errors
/// A field is not what it must be.
pub fn likeness(
    settings: &EngineSettings,
    named: &PayoutReference,
    request: &PayoutRequest,
) -> Result<Likeness, OperatorError> {
    // Who sends is not compared.
    Ok(Likeness::of(named, &wish_of(settings, request, Address::ZERO)?))
}

fn words(earlier: &Earlier, alike: Alike) -> String {
    let (reference, placed_at) = (&earlier.reference, moment(earlier.placed_at));
    match alike {
        Alike::Content => format!("equals payout {reference}, placed {placed_at}, in everything but its reference"),
        Alike::Name => format!(
            "has the reference of payout {reference}, placed {placed_at}, as a spreadsheet rewrites it (leading zeros, \
             exponents, upper and lower case)"
        ),
    }
}
