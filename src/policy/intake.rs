//! Which of the off-ramps that the API lists are taken up, which wait for a person, and which are somebody else's.
//!
//! A list is a hint: what it shows is asked after by a GET before anything follows from it. Deliberately absent: a guess.
//! What the API leaves out is asked of a person, never taken from another payment or from habit.

use std::collections::BTreeSet;

use super::ending::may_open_again;
use super::retry::{Jitter, RetryPolicy};
use crate::domain::amount::Amount;
use crate::domain::api_field::ApiField;
use crate::domain::candidate::{Candidate, CandidateReason, CandidateState, Missing};
use crate::domain::chain::Address;
use crate::domain::payment::{ApiStatus, Payment, PaymentId, PaymentState, RecipientId};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};

/// What the API calls the payments that rampwatch is for.
const OFF_RAMP: &str = "OFF_RAMP";

/// What the API says of a payment, as far as it matters here. What it leaves out is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `OFF_RAMP` or `ON_RAMP`, as it came.
    pub kind: Option<String>,
    pub status: ApiStatus,
    /// Its transaction hash, as it came.
    pub tx_hash: Option<String>,
    /// The key that it was created with.
    pub idempotency_key: Option<String>,
    pub recipient_id: Option<RecipientId>,
    /// Where the money goes.
    pub deposit_address: Option<Address>,
    /// How much, in base units of the configured token.
    pub amount: Option<Amount>,
    /// On which chain, as it came.
    pub chain: Option<String>,
    /// In which currency, as it came.
    pub currency: Option<String>,
    pub created_at: Option<Timestamp>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// The fields that it says, and that cannot be read.
    pub unread: Vec<ApiField>,
}

impl Told {
    /// Whether money is still expected: nobody has completed it.
    #[must_use]
    pub fn awaits_funds(&self) -> bool {
        self.status == ApiStatus::AwaitingFunds && self.tx_hash.is_none()
    }
}

/// What payments of ours are called at the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Our chain, as the API calls it; compared without regard to case.
    pub chain: String,
    /// Our token, as the API calls it; compared without regard to case.
    pub currency: String,
}

/// The off-ramps that rampwatch is opening itself. They are left to whoever opens them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The idempotency keys that were chosen. Each is stored before it is sent, so they are to be read after the list.
    pub keys: BTreeSet<String>,
    /// Whose off-ramps are being opened, with an answer that is not in yet. Of theirs, those without a key may be ours.
    pub opening_for: BTreeSet<RecipientId>,
}

impl Own {
    /// Whether the payment is, or may be, one that is being opened here.
    fn may_be(&self, told: &Told, recipient: Option<&RecipientId>) -> bool {
        match &told.idempotency_key {
            Some(key) => self.keys.contains(key),
            None if self.opening_for.is_empty() => false,
            None => recipient.is_none_or(|recipient| self.opening_for.contains(recipient)),
        }
    }
}

/// Why a payment that the API lists is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is no off-ramp.
    OtherKind,
    /// It does not wait for funds any more.
    MovedOn,
    /// Its money comes in on another chain.
    OtherChain,
    /// It asks for another currency, and the API does not say on which chain.
    OtherCurrency,
    /// It is being opened here, or may be.
    Opening,
    /// A person has said that it is not to be added.
    Dismissed,
    /// It is known, and there is nothing new.
    Known,
}

/// What is to be done with a payment that a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sorted {
    /// Ask the API for the payment itself.
    Ask,
    /// It is known and seems to have moved on: the reconciler may want to look.
    Wake,
    Leave(Left),
}

/// What is known here of a payment that a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    Nothing,
    /// It was added.
    Payment(&'a Payment),
    Candidate(&'a Candidate),
}

/// What is to be done with a payment that a list shows.
#[must_use]
pub fn sort(listed: &Told, known: Known<'_>, home: &Home) -> Sorted {
    match known {
        Known::Payment(payment) if has_moved(payment, listed) => Sorted::Wake,
        Known::Payment(_) => Sorted::Leave(Left::Known),
        Known::Candidate(candidate) => match &candidate.state {
            CandidateState::Dismissed { .. } => Sorted::Leave(Left::Dismissed),
            CandidateState::Open if says_more(candidate, listed) => Sorted::Ask,
            CandidateState::Gone if listed.awaits_funds() => Sorted::Ask,
            CandidateState::Open | CandidateState::Gone | CandidateState::Added => Sorted::Leave(Left::Known),
        },
        Known::Nothing => foreign(listed, home).map_or(Sorted::Ask, Sorted::Leave),
    }
}

/// Whether the list's word on a payment that the reconciler follows is not the one that was heard last.
fn has_moved(payment: &Payment, listed: &Told) -> bool {
    let followed = match &payment.state {
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Following { .. }
        | PaymentState::Review { .. } => true,
        // The completer asks by itself.
        PaymentState::Due { .. } | PaymentState::Calling { .. } | PaymentState::Unclear { .. } => false,
        // What has ended is asked after only where it seems to be open again.
        state @ PaymentState::Ended { .. } => may_open_again(state) && listed.awaits_funds(),
    };
    followed && payment.api.as_ref().is_none_or(|last| last.status != listed.status || last.tx_hash != listed.tx_hash)
}

/// Whether the list tells of an open candidate what was not known of it.
fn says_more(candidate: &Candidate, listed: &Told) -> bool {
    !listed.awaits_funds()
        || (candidate.deposit_address.is_none() && listed.deposit_address.is_some())
        || (candidate.amount.is_none() && listed.amount.is_some())
        || (candidate.recipient_id.is_none() && listed.recipient_id.is_some())
        || (candidate.created_at.is_none() && listed.created_at.is_some())
}

/// Whether the API's word for a chain or a currency is ours.
fn is_called(theirs: &str, ours: &str) -> bool {
    theirs.trim().eq_ignore_ascii_case(ours)
}

/// Why the payment is not for rampwatch at all, if it is not.
fn foreign(told: &Told, home: &Home) -> Option<Left> {
    let is_our_chain = told.chain.as_ref().map(|chain| is_called(chain, &home.chain));
    let is_our_currency = told.currency.as_ref().map(|currency| is_called(currency, &home.currency));
    if told.kind.as_ref().is_some_and(|kind| !kind.eq_ignore_ascii_case(OFF_RAMP)) {
        return Some(Left::OtherKind);
    }
    if !told.awaits_funds() {
        return Some(Left::MovedOn);
    }
    match (is_our_chain, is_our_currency) {
        (Some(false), _) => Some(Left::OtherChain),
        // On our own chain the money would come to an address that we could watch, perhaps in our token under another
        // name: that is a person's business. On a chain that nobody names it is another provider's route.
        (None, Some(false)) => Some(Left::OtherCurrency),
        (Some(true), _) | (None, Some(true) | None) => None,
    }
}

/// What the API's word on a payment comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Everything is known: it is taken up, as this recipient's.
    TakeUp(RecipientId),
    /// A person has to decide, or to say what is missing.
    Ask(CandidateReason),
    /// It is left alone.
    Leave(Left),
}

/// What is to be done with a payment that is not known here. `listed`: what a list said; `told`: the answer to the GET;
/// `whose`: the recipient whose list it was.
#[must_use]
pub fn judge(listed: &Told, told: &Told, whose: Option<&RecipientId>, own: &Own, home: &Home) -> Judged {
    let both = merged(listed, told);
    let recipient = whose.or(both.recipient_id.as_ref());
    if let Some(left) = foreign(&both, home) {
        return Judged::Leave(left);
    }
    if own.may_be(&both, recipient) {
        return Judged::Leave(Left::Opening);
    }
    if let Some(reason) = disagreement(listed, told, whose) {
        return Judged::Ask(reason);
    }
    if let Some(currency) = both.currency.as_ref().filter(|theirs| !is_called(theirs, &home.currency)) {
        return Judged::Ask(CandidateReason::OtherCurrency { currency: short(currency) });
    }
    let needed = [
        (recipient.is_some(), Missing::Recipient),
        (both.deposit_address.is_some(), Missing::DepositAddress),
        (both.amount.is_some(), Missing::Amount),
        (both.created_at.is_some(), Missing::CreatedAt),
    ];
    let missing: Vec<Missing> = needed.into_iter().filter(|(is_there, _)| !is_there).map(|(_, what)| what).collect();
    match recipient {
        Some(recipient) if missing.is_empty() => Judged::TakeUp(recipient.clone()),
        Some(_) | None => Judged::Ask(CandidateReason::Incomplete { missing }),
    }
}

/// What the payment itself says, and where it is silent what the list says. Status and hash are the payment's own. Where it says
/// what cannot be read it is not silent: what decides is then nobody's word but a person's.
#[must_use]
pub fn merged(listed: &Told, told: &Told) -> Told {
    fn of<T: Clone>(told: &Told, field: ApiField, own: &Option<T>, listed: &Option<T>) -> Option<T> {
        if told.unread.contains(&field) { None } else { own.clone().or_else(|| listed.clone()) }
    }
    Told {
        kind: told.kind.clone().or_else(|| listed.kind.clone()),
        status: told.status.clone(),
        tx_hash: told.tx_hash.clone(),
        idempotency_key: told.idempotency_key.clone().or_else(|| listed.idempotency_key.clone()),
        recipient_id: of(told, ApiField::RecipientId, &told.recipient_id, &listed.recipient_id),
        deposit_address: of(told, ApiField::DepositAddress, &told.deposit_address, &listed.deposit_address),
        amount: of(told, ApiField::DepositAmount, &told.amount, &listed.amount),
        chain: of(told, ApiField::DepositChain, &told.chain, &listed.chain),
        currency: of(told, ApiField::SourceCurrency, &told.currency, &listed.currency),
        created_at: told.created_at.or(listed.created_at),
        expires_at: told.expires_at.or(listed.expires_at),
        unread: told.unread.clone(),
    }
}

/// Where the list and the payment itself contradict each other, if they do.
fn disagreement(listed: &Told, told: &Told, whose: Option<&RecipientId>) -> Option<CandidateReason> {
    let differ = |field: &str, listed: Option<String>, told: Option<String>| match (listed, told) {
        (Some(listed), Some(told)) if listed != told => {
            Some(CandidateReason::Disagrees { field: field.to_owned(), listed: short(&listed), told: short(&told) })
        }
        _ => None,
    };
    let lower = |text: &Option<String>| text.as_ref().map(|text| text.trim().to_lowercase());
    let of = |recipient: Option<&RecipientId>| recipient.map(ToString::to_string);
    let address = |told: &Told| told.deposit_address.map(|address| address.to_string());
    let amount = |told: &Told| told.amount.map(|amount| amount.base_units().to_string());
    differ("depositAddress", address(listed), address(told))
        .or_else(|| differ("depositAmount", amount(listed), amount(told)))
        .or_else(|| differ("depositChain", lower(&listed.chain), lower(&told.chain)))
        .or_else(|| differ("recipientId", of(whose), of(listed.recipient_id.as_ref())))
        .or_else(|| differ("recipientId", of(whose.or(listed.recipient_id.as_ref())), of(told.recipient_id.as_ref())))
}

/// A candidate that is found now.
#[must_use]
pub fn found(
    payment: PaymentId,
    told: &Told,
    whose: Option<&RecipientId>,
    why: CandidateReason,
    now: Timestamp,
) -> Candidate {
    Candidate {
        payment,
        recipient_id: whose.or(told.recipient_id.as_ref()).cloned(),
        deposit_address: told.deposit_address,
        amount: told.amount,
        why,
        status: told.status.clone(),
        created_at: told.created_at,
        expires_at: told.expires_at,
        found_at: now,
        failures: 0,
        state: CandidateState::Open,
    }
}

/// What the API's word, by which it needs a person, makes of a candidate, and what is to be told of it, in words that go on from its name; `None`: nothing
/// that a person would want to know.
#[must_use]
pub fn heard(candidate: &Candidate, new: Candidate) -> (Candidate, Option<String>) {
    let next = Candidate { found_at: candidate.found_at, failures: 0, ..new };
    let told = match &candidate.state {
        CandidateState::Open => (candidate.why != next.why).then(|| "is told otherwise by the API".to_owned()),
        CandidateState::Gone | CandidateState::Added | CandidateState::Dismissed { .. } => {
            Some("waits for funds again, and for a person".to_owned())
        }
    };
    (next, told)
}

/// What is told of a candidate that is over, in words that go on from its name.
#[must_use]
pub fn over(candidate: &Candidate, left: Left) -> String {
    match left {
        Left::OtherKind => "is over: the API says that it is no off-ramp".to_owned(),
        Left::OtherChain => "is over: the API says that it is on another chain".to_owned(),
        Left::OtherCurrency => "is over: the API says that it is in another currency".to_owned(),
        Left::MovedOn | Left::Opening | Left::Dismissed | Left::Known => {
            format!("is over: the API says {:?}", candidate.status.as_str())
        }
    }
}

/// When the API is asked after an open candidate again.
#[must_use]
pub fn ask_at(
    candidate: &Candidate,
    now: Timestamp,
    pace: &RetryPolicy,
    jitter: Jitter,
    retry_after: Option<Span>,
) -> Timestamp {
    if candidate.failures == 0 {
        return now.plus(pace.ask_wait(now, candidate.expires_at));
    }
    now.plus(pace.backoff(candidate.failures, retry_after, jitter))
}
