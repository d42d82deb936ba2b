//! What a person must decide about payouts, and what would settle it: for every reason the ways out, each with its command.

use crate::domain::payment::PayoutReference;
use crate::domain::record::RecordKind;
use crate::engine::payout_repository::key_of;
use crate::ports::store::Subject;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::payout_review::of_payout;
use crate::view::{Page, ReviewView, WhyView};

/// What a place among the payouts begins with, in the list of reviews. No deposit's key begins so, and no payment's id has a
/// colon.
pub(crate) const PLACE: &str = "payout:";

impl OperatorService {
    /// The payouts that are with a person, from a place on that begins with [`PLACE`].
    pub(crate) async fn payout_reviews(&self, place: &str, limit: usize) -> Result<Page<ReviewView>, OperatorError> {
        let after = place.strip_prefix(PLACE).filter(|after| !after.is_empty()).map(str::to_owned);
        self.record_reviews(RecordKind::Payout, PLACE, after, limit).await
    }

    /// Why a payout stands where it stands; `None` when there is none with this reference.
    pub(crate) async fn why_payout(&self, reference: &PayoutReference) -> Result<Option<WhyView>, OperatorError> {
        let Some(kept) = self.payout_repository().read(reference).await? else { return Ok(None) };
        let view = self.payout_view(&kept).await?;
        let (events, more_events) = self.events_of(&Subject::Record(key_of(reference))).await?;
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
