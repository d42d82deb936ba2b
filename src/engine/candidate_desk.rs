//! What operators may ask about candidates: what they wait for, why, and to leave them be.

use super::candidate_views::CandidateView;
use super::event_log::log_events;
use super::explain::Names;
use super::follow_ups::{candidate_of, changed};
use super::operator_service::{OperatorError, OperatorService};
use super::requests::parse_payment;
use super::reviews::argument;
use super::views::{Page, ResolvedView, ReviewView, WayOut, WhyView, moment};
use crate::domain::candidate::{Candidate, CandidateReason, CandidateState, Missing};
use crate::domain::event::{Event, EventKind};
use crate::domain::payment::PaymentId;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::policy::resolve::{MAX_REASON_BYTES, ResolveError};
use crate::ports::store::{Commit, StoreError, Subject};

/// What a place among the candidates begins with, in the list of reviews. No deposit's key begins so, and no payment's id has a
/// colon.
pub(super) const PLACE: &str = "lead:";

/// How many records are read at once.
const CHUNK: usize = 500;

/// The most records that one question looks at.
const MAX_SCAN: usize = 10_000;

/// How often a dismissal is tried again while the candidate changes.
const TRIES: u32 = 5;

/// What is missing, in words.
const fn missing_text(what: Missing) -> &'static str {
    match what {
        Missing::Recipient => "whose it is",
        Missing::DepositAddress => "where the money goes",
        Missing::Amount => "how much is to be paid",
        Missing::CreatedAt => "when it was created",
    }
}

/// Words with commas, and "and" before the last.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Why a candidate is not taken up, as a sentence.
fn why_text(candidate: &Candidate, names: &Names<'_>) -> String {
    match &candidate.why {
        CandidateReason::Incomplete { missing } => {
            let words: Vec<&str> = missing.iter().copied().map(missing_text).collect();
            format!(
                "The API lists this off-ramp, which waits for funds, and does not say {}. Nothing of it is guessed, so its \
                 money would not be seen.",
                listed(&words)
            )
        }
        CandidateReason::OtherCurrency { currency } => format!(
            "The API lists this off-ramp on our chain in {currency:?}, which is not what the configuration calls the token. \
             If it is another token, its money is not rampwatch's business."
        ),
        CandidateReason::Disagrees { field, listed, told } => {
            let amount = |text: &str| {
                let units = text.parse().map(crate::domain::amount::Amount::from_base_units);
                units.map_or_else(|_| format!("{text:?}"), |amount| names.paid(amount).to_string())
            };
            let (listed, told) = if field == "depositAmount" {
                (amount(listed), amount(told))
            } else {
                (format!("{listed:?}"), format!("{told:?}"))
            };
            format!(
                "The API contradicts itself: in its list {field} is {listed}, and when it is asked for the payment {told}. \
                 Whichever is wrong, money could go astray by it."
            )
        }
        CandidateReason::Unusable { problem } => {
            format!("The API lists this off-ramp with terms that cannot be: {problem}.")
        }
    }
}

/// The command that adds the payment, with what a person has to fill in.
fn add_command(candidate: &Candidate) -> String {
    let missing =
        |what: Missing| matches!(&candidate.why, CandidateReason::Incomplete { missing } if missing.contains(&what));
    let recipient = candidate.recipient_id.as_ref().map_or("<recipient>", |recipient| recipient.as_str());
    let mut flags = String::new();
    if missing(Missing::DepositAddress) {
        flags.push_str(" --deposit-address <address>");
    }
    if missing(Missing::Amount) {
        flags.push_str(" --amount <amount>");
    }
    if missing(Missing::CreatedAt) {
        flags.push_str(" --created-at <time>");
    }
    // After `--` nothing is a flag, so the ids come last.
    let dashed = candidate.payment.as_str().starts_with('-') || recipient.starts_with('-');
    let dashes = if dashed { " --" } else { "" };
    format!("rampwatch add{flags}{dashes} {} {recipient}", candidate.payment)
}

/// The review of a candidate, if it is open.
pub(super) fn review(candidate: &Candidate, names: &Names<'_>) -> Option<ReviewView> {
    if candidate.state != CandidateState::Open {
        return None;
    }
    let add_when = match &candidate.why {
        CandidateReason::Incomplete { .. } => {
            "Whoever opened it was told the rest: add it. What was sent before is found then, from its creation on."
        }
        CandidateReason::OtherCurrency { .. } => "If it is our token under another name:",
        CandidateReason::Disagrees { .. } => {
            "Once the provider has said which holds, and the API says so when it is asked:"
        }
        CandidateReason::Unusable { .. } => "Once the provider has mended it:",
    };
    let settle = vec![
        WayOut { when: add_when.to_owned(), command: Some(add_command(candidate)) },
        WayOut {
            when: "If rampwatch is not to complete it: it is not listed here again.".to_owned(),
            command: Some(format!("rampwatch resolve dismiss --reason '…' {}", argument(candidate.payment.as_str()))),
        },
        WayOut {
            when:
                "If nothing is done: it leaves this list by itself once the API says that it waits for funds no more."
                    .to_owned(),
            command: None,
        },
    ];
    Some(ReviewView {
        subject: "lead".to_owned(),
        id: candidate.payment.to_string(),
        reason: candidate.why.name().to_owned(),
        what: why_text(candidate, names),
        settle,
    })
}

impl OperatorService {
    /// The open candidates from this place on, as reviews.
    pub(super) async fn candidate_reviews(&self, place: &str, limit: usize) -> Result<Page<ReviewView>, OperatorError> {
        let after = place.strip_prefix(PLACE).filter(|id| !id.is_empty());
        let mut after = after.map(parse_payment).transpose()?.map(|id| id.to_string());
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        let place_of = |after: &Option<String>| Some(format!("{PLACE}{}", after.as_deref().unwrap_or_default()));
        loop {
            let chunk = self.store.desk_page(RecordKind::Candidate, after.as_deref(), CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for record in chunk {
                if items.len() >= limit {
                    return Ok(Page { items, next: place_of(&after) });
                }
                let RecordBody::Candidate(candidate) = record.body else { continue };
                items.extend(review(&candidate, &self.names()));
                after = Some(candidate.payment.into());
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: place_of(&after) });
            }
        }
    }

    /// Why a candidate stands where it stands; `None` when the payment is none.
    pub(super) async fn why_candidate(&self, id: &PaymentId) -> Result<Option<WhyView>, OperatorError> {
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
        let (events, more_events) = self.events_of(&Subject::Desk(key)).await?;
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
    pub(super) async fn dismiss_candidate(&self, payment: &str, reason: &str) -> Result<ResolvedView, OperatorError> {
        let (id, reason) = (parse_payment(payment)?, reason.trim());
        if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(OperatorError::Invalid { field: "reason", problem: ResolveError::Reason.to_string() });
        }
        let mut tries = 0_u32;
        loop {
            let found = candidate_of(&*self.store, &id).await?;
            let (record, candidate) = found.ok_or_else(|| OperatorError::NotFound(format!("a candidate {id}")))?;
            if candidate.state != CandidateState::Open {
                let said = format!("candidate {id} is {} and waits for nobody", candidate.state.name());
                return Err(OperatorError::Refused(said));
            }
            let candidate = Candidate { state: CandidateState::Dismissed { reason: reason.to_owned() }, ..candidate };
            match self.keep_dismissed(record, candidate.clone(), reason).await {
                Ok(()) => {
                    let candidate = Some(CandidateView::of(&candidate, &self.names()));
                    return Ok(ResolvedView { candidate, ..ResolvedView::of("dismiss") });
                }
                Err(StoreError::Conflict(_)) if tries < TRIES => tries = tries.saturating_add(1),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn keep_dismissed(&self, record: Record, candidate: Candidate, reason: &str) -> Result<(), StoreError> {
        let (now, payment) = (self.clock.now(), candidate.payment.clone());
        let body = RecordBody::Candidate(candidate);
        let by = Some(self.actor.clone());
        let decided = EventKind::PersonDecided { action: "dismiss".to_owned(), reason: reason.to_owned(), by };
        let events = vec![
            Event { at: now, payment: Some(payment.clone()), deposit: None, kind: decided },
            changed(payment, &body, "is dismissed by a person", now),
        ];
        let desk = vec![Record { next_at: None, body, ..record }];
        self.store.commit(Commit { desk, events: events.clone(), ..Commit::default() }).await?;
        log_events(&events);
        Ok(())
    }
}
