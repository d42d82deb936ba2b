//! What operators may ask about leads: what they wait for, why, and to leave them be.

use super::explain::Names;
use super::follow_ups::{changed, lead_of};
use super::handle::{Handle, HandleError};
use super::lead_views::LeadView;
use super::requests::parse_payment;
use super::reviews::argument;
use super::telling::log_events;
use super::views::{Page, ResolvedView, ReviewView, WayOut, WhyView, moment};
use crate::domain::desk::{DeskBody, DeskKey, DeskKind, DeskRecord};
use crate::domain::event::{Event, EventKind};
use crate::domain::lead::{Lead, LeadReason, LeadState, Missing};
use crate::domain::payment::PaymentId;
use crate::policy::resolve::{MAX_REASON_BYTES, ResolveError};
use crate::ports::store::{Commit, StoreError, Subject};

/// What a place among the leads begins with, in the list of reviews. No deposit's key begins so, and no payment's id has a
/// colon.
pub(super) const PLACE: &str = "lead:";

/// How many records are read at once.
const CHUNK: usize = 500;

/// The most records that one question looks at.
const MAX_SCAN: usize = 10_000;

/// How often a dismissal is tried again while the lead changes.
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

/// Why a lead is not taken up, as a sentence.
fn why_text(lead: &Lead, names: &Names<'_>) -> String {
    match &lead.why {
        LeadReason::Incomplete { missing } => {
            let words: Vec<&str> = missing.iter().copied().map(missing_text).collect();
            format!(
                "The API lists this off-ramp, which waits for funds, and does not say {}. Nothing of it is guessed, so its \
                 money would not be seen.",
                listed(&words)
            )
        }
        LeadReason::OtherCurrency { currency } => format!(
            "The API lists this off-ramp on our chain in {currency:?}, which is not what the configuration calls the token. \
             If it is another token, its money is not rampwatch's business."
        ),
        LeadReason::Disagrees { field, listed, told } => {
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
        LeadReason::Unusable { problem } => {
            format!("The API lists this off-ramp with terms that cannot be: {problem}.")
        }
    }
}

/// The command that adds the payment, with what a person has to fill in.
fn add_command(lead: &Lead) -> String {
    let missing = |what: Missing| matches!(&lead.why, LeadReason::Incomplete { missing } if missing.contains(&what));
    let recipient = lead.recipient_id.as_ref().map_or("<recipient>", |recipient| recipient.as_str());
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
    let dashed = lead.payment.as_str().starts_with('-') || recipient.starts_with('-');
    let dashes = if dashed { " --" } else { "" };
    format!("rampwatch add{flags}{dashes} {} {recipient}", lead.payment)
}

/// The review of a lead, if it is open.
pub(super) fn review(lead: &Lead, names: &Names<'_>) -> Option<ReviewView> {
    if lead.state != LeadState::Open {
        return None;
    }
    let add_when = match &lead.why {
        LeadReason::Incomplete { .. } => {
            "Whoever opened it was told the rest: add it. What was sent before is found then, from its creation on."
        }
        LeadReason::OtherCurrency { .. } => "If it is our token under another name:",
        LeadReason::Disagrees { .. } => "Once the provider has said which holds, and the API says so when it is asked:",
        LeadReason::Unusable { .. } => "Once the provider has mended it:",
    };
    let settle = vec![
        WayOut { when: add_when.to_owned(), command: Some(add_command(lead)) },
        WayOut {
            when: "If rampwatch is not to complete it: it is not listed here again.".to_owned(),
            command: Some(format!("rampwatch resolve dismiss --reason '…' {}", argument(lead.payment.as_str()))),
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
        id: lead.payment.to_string(),
        reason: lead.why.name().to_owned(),
        what: why_text(lead, names),
        settle,
    })
}

impl Handle {
    /// The open leads from this place on, as reviews.
    pub(super) async fn lead_reviews(&self, place: &str, limit: usize) -> Result<Page<ReviewView>, HandleError> {
        let after = place.strip_prefix(PLACE).filter(|id| !id.is_empty());
        let mut after = after.map(parse_payment).transpose()?.map(|id| id.to_string());
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        let place_of = |after: &Option<String>| Some(format!("{PLACE}{}", after.as_deref().unwrap_or_default()));
        loop {
            let chunk = self.store.desk_page(DeskKind::Lead, after.as_deref(), CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for record in chunk {
                if items.len() >= limit {
                    return Ok(Page { items, next: place_of(&after) });
                }
                let DeskBody::Lead(lead) = record.body else { continue };
                items.extend(review(&lead, &self.names()));
                after = Some(lead.payment.into());
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: place_of(&after) });
            }
        }
    }

    /// Why a lead stands where it stands; `None` when the payment is none.
    pub(super) async fn why_lead(&self, id: &PaymentId) -> Result<Option<WhyView>, HandleError> {
        let Some((_, lead)) = lead_of(&*self.store, id).await? else { return Ok(None) };
        let names = self.names();
        let rule = match &lead.state {
            LeadState::Open => why_text(&lead, &names),
            LeadState::Added => "The payment was added.".to_owned(),
            LeadState::Gone => {
                format!("It was never added, and the API said {:?} when it was last asked.", lead.status.as_str())
            }
            LeadState::Dismissed { reason } => format!("A person has said that it is not to be added: {reason:?}."),
        };
        let key = DeskKey { kind: DeskKind::Lead, id: id.to_string() };
        let (events, more_events) = self.events_of(&Subject::Desk(key)).await?;
        Ok(Some(WhyView {
            subject: "lead".to_owned(),
            rule: format!("Found at the API at {}. {rule}", moment(lead.found_at)),
            payment: None,
            deposits: Vec::new(),
            reviews: review(&lead, &names).into_iter().collect(),
            orders: Vec::new(),
            money_back: None,
            events,
            more_events,
        }))
    }

    /// Leaves a lead be: the payment is not added, and not listed again. A person can still add it.
    ///
    /// # Errors
    /// When there is no such lead, it is settled already, or no reason is given.
    pub(super) async fn dismiss_lead(&self, payment: &str, reason: &str) -> Result<ResolvedView, HandleError> {
        let (id, reason) = (parse_payment(payment)?, reason.trim());
        if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(HandleError::Invalid { field: "reason", problem: ResolveError::Reason.to_string() });
        }
        let mut tries = 0_u32;
        loop {
            let found = lead_of(&*self.store, &id).await?;
            let (record, lead) = found.ok_or_else(|| HandleError::NotFound(format!("a lead {id}")))?;
            if lead.state != LeadState::Open {
                let said = format!("lead {id} is {} and waits for nobody", lead.state.name());
                return Err(HandleError::Refused(said));
            }
            let lead = Lead { state: LeadState::Dismissed { reason: reason.to_owned() }, ..lead };
            match self.keep_dismissed(record, lead.clone(), reason).await {
                Ok(()) => {
                    let lead = Some(LeadView::of(&lead, &self.names()));
                    return Ok(ResolvedView { lead, ..ResolvedView::of("dismiss") });
                }
                Err(StoreError::Conflict(_)) if tries < TRIES => tries = tries.saturating_add(1),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn keep_dismissed(&self, record: DeskRecord, lead: Lead, reason: &str) -> Result<(), StoreError> {
        let (now, payment) = (self.clock.now(), lead.payment.clone());
        let body = DeskBody::Lead(lead);
        let by = Some(self.actor.clone());
        let decided = EventKind::PersonDecided { action: "dismiss".to_owned(), reason: reason.to_owned(), by };
        let events = vec![
            Event { at: now, payment: Some(payment.clone()), deposit: None, kind: decided },
            changed(payment, &body, "is dismissed by a person", now),
        ];
        let desk = vec![DeskRecord { next_at: None, body, ..record }];
        self.store.commit(Commit { desk, events: events.clone(), ..Commit::default() }).await?;
        log_events(&events);
        Ok(())
    }
}
