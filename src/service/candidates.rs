//! What operators may ask about candidates: what they wait for, why, and to leave them be.

use crate::domain::candidate::{Candidate, CandidateState};
use crate::domain::event::{Event, EventKind};
use crate::domain::payment::PaymentId;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::engine::follow_ups::{candidate_of, changed};
use crate::engine::transaction::Tries;
use crate::ports::store::{Commit, Subject};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::orders::given;
use crate::service::requests::parse_payment;
use crate::view::candidate::CandidateView;
use crate::view::candidate_text::{review, why_text};
use crate::view::{Page, ResolvedView, ReviewView, WhyView, moment};

/// What a place among the candidates begins with, in the list of reviews. No deposit's key begins so, and no payment's id has a
/// colon.
pub(crate) const PLACE: &str = "lead:";

impl OperatorService {
    /// The open candidates from this place on, as reviews.
    pub(crate) async fn candidate_reviews(&self, place: &str, limit: usize) -> Result<Page<ReviewView>, OperatorError> {
        let after = place.strip_prefix(PLACE).filter(|id| !id.is_empty()).map(parse_payment).transpose()?;
        self.record_reviews(RecordKind::Candidate, PLACE, after.map(String::from), limit).await
    }

    /// Why a candidate stands where it stands; `None` when the payment is none.
    pub(crate) async fn why_candidate(&self, id: &PaymentId) -> Result<Option<WhyView>, OperatorError> {
        let Some((_, candidate)) = candidate_of(&*self.store, id).await? else { return Ok(None) };
        let names = self.names();
        let rule = match &candidate.state {
            CandidateState::Open => why_text(&candidate, &names),
            CandidateState::Added => "The payment was added.".to_owned(),
            CandidateState::Gone => {
                format!("It was never added, and the API said {:?} when it was last asked.", candidate.status.as_str())
            }
            CandidateState::Dismissed { reason } => {
                format!("A person has said that it is not to be added: {reason:?}.")
            }
        };
        let key = RecordKey { kind: RecordKind::Candidate, id: id.to_string() };
        let (events, more_events) = self.events_of(&Subject::Record(key)).await?;
        Ok(Some(WhyView {
            subject: "lead".to_owned(),
            rule: format!("Found at the API at {}. {rule}", moment(candidate.found_at)),
            payment: None,
            deposits: Vec::new(),
            reviews: review(&candidate, &names).into_iter().collect(),
            orders: Vec::new(),
            money_back: None,
            events,
            more_events,
        }))
    }

    /// Leaves a candidate be: the payment is not added, and not listed again. A person can still add it.
    ///
    /// # Errors
    /// When there is no such candidate, it is settled already, or no reason is given.
    pub(crate) async fn dismiss_candidate(&self, payment: &str, reason: &str) -> Result<ResolvedView, OperatorError> {
        let (id, reason) = (parse_payment(payment)?, given(reason)?);
        let mut tries = Tries::default();
        loop {
            let found = candidate_of(&*self.store, &id).await?;
            let (record, candidate) = found.ok_or_else(|| OperatorError::NotFound(format!("a candidate {id}")))?;
            if candidate.state != CandidateState::Open {
                let said = format!("candidate {id} is {} and waits for nobody", candidate.state.name());
                return Err(OperatorError::Refused(said));
            }
            let candidate = Candidate { state: CandidateState::Dismissed { reason: reason.to_owned() }, ..candidate };
            if tries.commit(&*self.store, self.dismissed(record, candidate.clone(), reason)).await? {
                let candidate = Some(CandidateView::of(&candidate, &self.names()));
                return Ok(ResolvedView { candidate, ..ResolvedView::of("dismiss") });
            }
        }
    }

    fn dismissed(&self, record: Record, candidate: Candidate, reason: &str) -> Commit {
        let (now, payment) = (self.clock.now(), candidate.payment.clone());
        let body = RecordBody::Candidate(candidate);
        let by = Some(self.actor.clone());
        let decided = EventKind::PersonDecided { action: "dismiss".to_owned(), reason: reason.to_owned(), by };
        let events = vec![
            Event { at: now, payment: Some(payment.clone()), deposit: None, kind: decided },
            changed(payment, &body, "is dismissed by a person", now),
        ];
        Commit { records: vec![Record { next_at: None, body, ..record }], events, ..Commit::default() }
    }
}
