//! The list of everything that a person must decide, part by part: payments, deposits, candidates, payouts.
//!
//! Deliberately absent: what a review says and what would settle it (`view::reviews`, `view::candidate_text`, `view::payout_review`).

use crate::domain::chain::Address;
use crate::domain::deposit::{Deposit, Verdict};
use crate::domain::record::RecordKind;
use crate::engine::address_repository;
use crate::policy::payment_machine::Context;
use crate::policy::resolve::{IgnoredAll, Said, ignore_all};
use crate::ports::store::if_readable;
use crate::service::candidates;
use crate::service::operator_service::{OperatorError, OperatorService, not_resolved};
use crate::service::payout_reviews;
use crate::service::queries::{MAX_PAGE, parse_key};
use crate::view::reviews;
use crate::view::{Page, ReviewView};

/// How many records are read at once.
const CHUNK: usize = 500;

/// The most records that one question looks at.
const MAX_SCAN: usize = 10_000;

impl OperatorService {
    /// Ignores all deposits at an address that could pay nothing there, for one reason: a bounded number in each commit, until
    /// none is left. Returns how many, counted ones included.
    ///
    /// # Errors
    /// When there are none, some of them could pay together, or the store fails.
    pub async fn ignore_all_at(&self, address: Address, reason: &str) -> Result<u64, OperatorError> {
        let mut count: u64 = 0;
        loop {
            let mut ignored = IgnoredAll::default();
            let decide = |unit: &mut address_repository::AddressUnit, context: &Context<'_>| {
                let said = Said { by: &self.actor, reason };
                ignored = ignore_all(&mut unit.book, said, &self.settings.matching, context)?;
                Ok(())
            };
            self.addresses.change(address, decide).await.map_err(not_resolved)?;
            count = count.saturating_add(ignored.count);
            if !ignored.more {
                break;
            }
        }
        if count == 0 {
            let problem = format!("at {address} there is no deposit to ignore that could pay nothing");
            return Err(OperatorError::Refused(problem));
        }
        Ok(count)
    }

    /// Everything that a person must decide: first payments, then deposits, then candidates, then payouts.
    ///
    /// # Errors
    /// When `after` is no place in the list, or the store fails.
    pub async fn reviews(&self, after: Option<&str>, limit: usize) -> Result<Page<ReviewView>, OperatorError> {
        let limit = limit.clamp(1, MAX_PAGE);
        if let Some(place) = after.filter(|place| place.starts_with(payout_reviews::PLACE)) {
            return self.payout_reviews(place, limit).await;
        }
        if let Some(place) = after.filter(|place| place.starts_with(candidates::PLACE)) {
            return self.reviews_from_candidates(place, Vec::new(), limit).await;
        }
        // A place among the deposits has a colon in it, which no payment's id has; a colon alone is their beginning.
        if let Some(place) = after.filter(|place| place.contains(':')) {
            let from = Some(place).filter(|place| *place != ":");
            return self.reviews_from_deposits(from, Vec::new(), limit).await;
        }
        let page = self.list_payments(Some("review"), after, limit).await?;
        let mut items = Vec::new();
        for view in page.items {
            let Some(payment) = if_readable(self.store.payment(&view.id).await)? else { continue };
            let deposits = if_readable(self.store.deposits_at(payment.terms.deposit_address).await)?;
            items.extend(reviews::of_payment(&payment, &deposits, &self.names()));
        }
        if page.next.is_some() || items.len() >= limit {
            return Ok(Page { items, next: page.next.or_else(|| Some(":".to_owned())) });
        }
        self.reviews_from_deposits(None, items, limit).await
    }

    /// The reviews of deposits after a place, behind those that are there already, and then those of candidates and payouts.
    async fn reviews_from_deposits(
        &self,
        after: Option<&str>,
        mut items: Vec<ReviewView>,
        limit: usize,
    ) -> Result<Page<ReviewView>, OperatorError> {
        let page = self.deposit_reviews(after, limit.saturating_sub(items.len())).await?;
        items.extend(page.items);
        if page.next.is_some() || items.len() >= limit {
            return Ok(Page { items, next: page.next.or_else(|| Some(candidates::PLACE.to_owned())) });
        }
        self.reviews_from_candidates(candidates::PLACE, items, limit).await
    }

    /// The reviews of candidates after a place, behind those that are there already, and then those of payouts.
    async fn reviews_from_candidates(
        &self,
        place: &str,
        mut items: Vec<ReviewView>,
        limit: usize,
    ) -> Result<Page<ReviewView>, OperatorError> {
        let page = self.candidate_reviews(place, limit.saturating_sub(items.len())).await?;
        items.extend(page.items);
        if page.next.is_some() || items.len() >= limit {
            return Ok(Page { items, next: page.next.or_else(|| Some(payout_reviews::PLACE.to_owned())) });
        }
        let rest = self.payout_reviews(payout_reviews::PLACE, limit.saturating_sub(items.len())).await?;
        items.extend(rest.items);
        Ok(Page { items, next: rest.next })
    }

    /// The reviews of records of one kind, those after `after`. Where the list goes on is said with `prefix`.
    pub(crate) async fn record_reviews(
        &self,
        kind: RecordKind,
        prefix: &str,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<Page<ReviewView>, OperatorError> {
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        let place_of = |after: &Option<String>| Some(format!("{prefix}{}", after.as_deref().unwrap_or_default()));
        loop {
            let chunk = self.store.records_page(kind, after.as_deref(), CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for record in chunk {
                if items.len() >= limit {
                    return Ok(Page { items, next: place_of(&after) });
                }
                items.extend(reviews::of_record(&record.body, &self.names()).map(|(review, _)| review));
                after = Some(record.body.key().id);
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: place_of(&after) });
            }
        }
    }

    async fn deposit_reviews(&self, after: Option<&str>, limit: usize) -> Result<Page<ReviewView>, OperatorError> {
        let after = after.map(parse_key).transpose()?;
        let in_review = |deposit: &Deposit| matches!(deposit.verdict, Verdict::Review { .. });
        let page = self.scan_deposits(in_review, after, limit).await?;
        let mut items = Vec::new();
        for view in page.items {
            let Some(deposit) = if_readable(self.store.deposit(&parse_key(&view.key)?).await)? else { continue };
            let payments = if_readable(self.store.payments_at(deposit.to).await)?;
            items.extend(reviews::of_deposit(&deposit, &payments, &self.names()));
        }
        Ok(Page { items, next: page.next })
    }
}
