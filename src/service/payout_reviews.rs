//! What a person must decide about payouts, and what would settle it: for every reason the ways out, each with its command.

use crate::domain::payment::PayoutReference;
use crate::domain::record::RecordKind;
use crate::engine::payout_book::{Kept, key_of};
use crate::ports::store::Subject;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::payout_review::of_payout;
use crate::view::{Page, ReviewView, WhyView};

/// What a place among the payouts begins with, in the list of reviews. No deposit's key begins so, and no payment's id has a
/// colon.
pub(crate) const PLACE: &str = "payout:";

/// How many records are read at once.
const CHUNK: usize = 500;

/// The most records that one question looks at.
const MAX_SCAN: usize = 10_000;

impl OperatorService {
    /// The payouts that are with a person, from a place on that begins with [`PLACE`].
    pub(crate) async fn payout_reviews(&self, place: &str, limit: usize) -> Result<Page<ReviewView>, OperatorError> {
        let after = place.strip_prefix(PLACE).filter(|after| !after.is_empty());
        let mut after: Option<String> = after.map(str::to_owned);
        let place_of = |after: &Option<String>| Some(format!("{PLACE}{}", after.as_deref().unwrap_or_default()));
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let chunk = self.store.desk_page(RecordKind::Payout, after.as_deref(), CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for kept in chunk.into_iter().filter_map(Kept::of) {
                if items.len() >= limit {
                    return Ok(Page { items, next: place_of(&after) });
                }
                items.extend(of_payout(&kept.payout, &self.names()));
                after = Some(kept.payout.reference.to_string());
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: place_of(&after) });
            }
        }
    }

    /// Why a payout stands where it stands; `None` when there is none with this reference.
    pub(crate) async fn why_payout(&self, reference: &PayoutReference) -> Result<Option<WhyView>, OperatorError> {
        let Some(kept) = self.payout_book().read(reference).await? else { return Ok(None) };
        let view = self.payout_view(&kept).await?;
        let (events, more_events) = self.events_of(&Subject::Desk(key_of(reference))).await?;
        Ok(Some(WhyView {
            subject: "payout".to_owned(),
            rule: view.next,
            payment: view.payment,
            deposits: Vec::new(),
            reviews: of_payout(&kept.payout, &self.names()).into_iter().collect(),
            orders: view.order.into_iter().collect(),
            money_back: None,
            events,
            more_events,
        }))
    }
}
