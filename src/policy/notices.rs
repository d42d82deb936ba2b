//! What people are told: which event is news, of which kind, how often a delivery is tried, and when a hold has lasted.
//!
//! Every match is closed, so that a new event, alarm or hold does not compile until somebody has decided whether people
//! want to know. Deliberately absent: the sentences, which are the same as in `why` and in reviews (the engine's), and what
//! would settle it, for the same reason.

use crate::domain::candidate::CandidateState;
use crate::domain::deposit::Verdict;
use crate::domain::event::{Alarm, EventKind, WalletChange};
use crate::domain::hold::Hold;
use crate::domain::notice::NoticeKind;
use crate::domain::order::{CancelReason, OrderId, OrderOutcome, OrderState, UnsentReason};
use crate::domain::payment::{Outcome, PaymentState};
use crate::domain::payout::PayoutState;
use crate::domain::record::RecordBody;
use crate::domain::stall::Stall;
use crate::domain::time::{Span, Timestamp};

use super::retry::Jitter;
use super::wrong_clock::is_too_far;

/// News that people are told, by what it is and in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub kind: NoticeKind,
    /// What happened, in a line without names.
    pub title: &'static str,
    /// Whether it is told only once it has lasted.
    pub must_last: bool,
}

const fn news(kind: NoticeKind, title: &'static str) -> Option<News> {
    Some(News { kind, title, must_last: false })
}

/// What an event is to people; `None` when it is no news for them.
#[must_use]
pub fn of_event(kind: &EventKind) -> Option<News> {
    match kind {
        EventKind::PaymentAdded { payment } => of_payment(&payment.state),
        EventKind::PaymentMoved { to, .. } => of_payment(to),
        EventKind::DepositJudged { verdict } => of_verdict(verdict),
        EventKind::Alarm { alarm } => of_alarm(alarm),
        EventKind::OrderPlaced { order } => of_order(None, &order.state),
        EventKind::OrderMoved { from, to, .. } => of_order(Some(from), to),
        EventKind::WalletChanged { change, .. } => of_wallet(change),
        EventKind::RecordChanged { body, .. } => of_record(body),
        EventKind::EndpointBack { .. } => news(NoticeKind::Failure, "An RPC endpoint is used again"),
        EventKind::ListenerBack { .. } => news(NoticeKind::Failure, "rampwatch listens again"),
        EventKind::StallOver { what: Stall::Head, .. } => news(NoticeKind::Stall, "The chain moves again"),
        EventKind::StallOver { what: Stall::Finality, .. } => news(NoticeKind::Stall, "Finality moves again"),
        EventKind::StallOver { what: Stall::Settling, .. } => news(NoticeKind::Stall, "Deposits are settled again"),
        EventKind::StallOver { what: Stall::Unread, .. } => news(NoticeKind::Stall, "All blocks can be read again"),
        EventKind::ApiReported { .. }
        | EventKind::DepositSeen { .. }
        | EventKind::DepositStands { .. }
        | EventKind::DepositsCounted { .. }
        | EventKind::PersonDecided { .. }
        | EventKind::FinalityMoved { .. }
        | EventKind::AddressPlaced { .. }
        | EventKind::AddressClosed { .. }
        | EventKind::AttemptSigned { .. }
        | EventKind::AttemptSent { .. }
        | EventKind::AttemptMined { .. } => None,
    }
}

const fn of_payment(state: &PaymentState) -> Option<News> {
    match state {
        PaymentState::Review { .. } => news(NoticeKind::Review, "A payment needs a decision"),
        PaymentState::Ended { outcome: Outcome::Completed, .. } => {
            news(NoticeKind::Completed, "A payment is completed")
        }
        PaymentState::Ended { outcome: Outcome::Failed, .. } => news(NoticeKind::Failure, "A payment has failed"),
        PaymentState::Ended { outcome: Outcome::Expired, .. } => news(NoticeKind::Failure, "A payment ran out"),
        PaymentState::Ended { outcome: Outcome::Refunded, .. } => news(NoticeKind::Failure, "A payment was paid back"),
        // A person's own doing is no news.
        PaymentState::Ended { outcome: Outcome::Cancelled, .. }
        | PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Calling { .. }
        | PaymentState::Unclear { .. }
        | PaymentState::Following { .. } => None,
    }
}

const fn of_verdict(verdict: &Verdict) -> Option<News> {
    match verdict {
        Verdict::Review { .. } => news(NoticeKind::Review, "A deposit needs a decision"),
        Verdict::Unjudged | Verdict::Pays { .. } | Verdict::Nothing { .. } | Verdict::Ignored { .. } => None,
    }
}

/// What an alarm is to people.
#[must_use]
pub const fn of_alarm(alarm: &Alarm) -> Option<News> {
    match alarm {
        Alarm::GoneAfterFinal => news(NoticeKind::Failure, "A final deposit has gone from the chain"),
        Alarm::MissedByFirstReading => news(NoticeKind::Failure, "A node's answers have holes"),
        Alarm::LogWithheld => news(NoticeKind::Failure, "A node withholds a deposit"),
        Alarm::MalformedLog { .. } => news(NoticeKind::Failure, "A node returned a log that is no transfer"),
        Alarm::FinalityStalled { .. } => news(NoticeKind::Stall, "Finality stalls: completions wait"),
        Alarm::KeyRefused { .. } => news(NoticeKind::Stall, "The payment API refuses the key"),
        Alarm::FundingStuck { .. } => news(NoticeKind::Stall, "A transfer is stuck"),
        Alarm::MovedNothing { .. } => news(NoticeKind::Failure, "A transfer succeeded and moved nothing"),
        // The wallet's change, in the same commit, tells it.
        Alarm::WalletHalted { .. } => None,
        Alarm::LowToken { .. } => news(NoticeKind::Balance, "The wallet is low on the token"),
        Alarm::LowNative { .. } => news(NoticeKind::Balance, "The wallet is low on gas money"),
        Alarm::OperatorsDisagree { .. } => news(NoticeKind::Stall, "Operators contradict each other"),
        Alarm::AgreementMissing { .. } => news(NoticeKind::Stall, "Too few operators answer"),
        Alarm::Standstill { what: Stall::Head, .. } => news(NoticeKind::Stall, "The chain stands still"),
        Alarm::Standstill { what: Stall::Finality, .. } => news(NoticeKind::Stall, "Finality stalls: completions wait"),
        Alarm::Standstill { what: Stall::Settling, .. } => news(NoticeKind::Stall, "Deposits cannot be settled"),
        Alarm::Standstill { what: Stall::Unread, .. } => news(NoticeKind::Stall, "Some blocks cannot be read"),
        Alarm::ChainUnread { .. } => news(NoticeKind::Stall, "The chain cannot be read"),
        Alarm::EndpointContradicts { .. } => news(NoticeKind::Failure, "An RPC endpoint says what cannot be"),
        Alarm::EndpointStalled { .. } => news(NoticeKind::Failure, "An RPC endpoint stands still"),
        Alarm::CoverageAboveHead { .. } => news(NoticeKind::Failure, "More counted as read than the chain has"),
        Alarm::AutoUnlimited => news(NoticeKind::Stall, "The automatic mode has no limit and sends nothing"),
        Alarm::NotListening { .. } => news(NoticeKind::Failure, "rampwatch cannot listen"),
        Alarm::RecordUnreadable { .. } => news(NoticeKind::Stall, "A stored record does not read"),
        Alarm::StoreIncomplete { .. } => news(NoticeKind::Failure, "The store holds less than it acknowledged"),
        Alarm::AddressPattern { .. } => news(NoticeKind::Failure, "A deposit address is unlike those before it"),
        Alarm::ApiUnanswered { .. } => news(NoticeKind::Stall, "The payment API is asked in vain"),
    }
}

const fn of_wallet(change: &WalletChange) -> Option<News> {
    match change {
        WalletChange::Halted { .. } => news(NoticeKind::Stall, "The hot wallet is halted"),
        // A person's own doing is no news.
        WalletChange::Opened { .. }
        | WalletChange::Paused { .. }
        | WalletChange::Resumed { .. }
        | WalletChange::Adopted { .. } => None,
    }
}

fn of_record(body: &RecordBody) -> Option<News> {
    match body {
        RecordBody::Candidate(candidate) if candidate.state == CandidateState::Open && candidate.failures == 0 => {
            news(NoticeKind::Review, "An off-ramp was found that needs a decision")
        }
        RecordBody::Payout(payout) if matches!(payout.state, PayoutState::Review { .. }) => {
            news(NoticeKind::Review, "A payout needs a decision")
        }
        // A notice is never told of by a notice.
        RecordBody::Candidate(_)
        | RecordBody::Payout(_)
        | RecordBody::WebhookAttempt(_)
        | RecordBody::Webhook(_)
        | RecordBody::Notice(_)
        | RecordBody::NoticeCursor(_)
        | RecordBody::Condition(_)
        | RecordBody::Shadow(_)
        // Its alarm, in the same commit, tells it; and a person's own doing is no news.
        | RecordBody::Dispute(_)
        | RecordBody::Exclusion(_)
        | RecordBody::Addresses(_) => None,
    }
}

fn of_order(from: Option<&OrderState>, to: &OrderState) -> Option<News> {
    match to {
        OrderState::AwaitingApproval { .. } => news(NoticeKind::Approval, "An order needs approval"),
        OrderState::Held { .. } | OrderState::Sending { .. } | OrderState::Cancelling { .. } => {
            let hold = told_hold(to)?;
            // Other figures of the same trouble are no news.
            let is_new = from.and_then(told_hold).is_none_or(|before| !before.is_like(hold));
            let title = "An order is held up";
            is_new.then_some(News { kind: NoticeKind::Hold, title, must_last: true })
        }
        OrderState::Ended { outcome, .. } => of_outcome(outcome),
        OrderState::Ready | OrderState::Mined { .. } => None,
    }
}

const fn of_outcome(outcome: &OrderOutcome) -> Option<News> {
    match outcome {
        OrderOutcome::Reverted { .. } => news(NoticeKind::Failure, "A transfer failed on the chain"),
        OrderOutcome::Displaced { .. } => news(NoticeKind::Failure, "An order was displaced by another transaction"),
        OrderOutcome::SelfSent { why: CancelReason::Hold { .. }, .. } => {
            news(NoticeKind::Failure, "A transfer was withdrawn: no money moved")
        }
        OrderOutcome::Unsent { why: UnsentReason::NotPayable { .. } } => {
            news(NoticeKind::Failure, "An order ended unsent: the payment cannot be funded")
        }
        OrderOutcome::Unsent { why: UnsentReason::ApprovalExpired { .. } } => {
            news(NoticeKind::Failure, "An order ended unsent: nobody approved it in time")
        }
        // Its payment tells of money that arrived; an alarm of the same commit tells of a transfer that moved nothing; and a
        // person's own doing is no news.
        OrderOutcome::Paid { .. }
        | OrderOutcome::MovedNothing { .. }
        | OrderOutcome::SelfSent { why: CancelReason::Person { .. }, .. }
        | OrderOutcome::Unsent { why: UnsentReason::Rejected { .. } | UnsentReason::Cancelled { .. } } => None,
    }
}

/// What holds an order up, where people are told of it once it has lasted.
#[must_use]
pub fn told_hold(state: &OrderState) -> Option<&Hold> {
    match state {
        OrderState::Held { why } => Some(why).filter(|hold| is_told(hold, false)),
        OrderState::Sending { trouble, .. } | OrderState::Cancelling { trouble, .. } => {
            trouble.as_ref().filter(|hold| is_told(hold, true))
        }
        OrderState::AwaitingApproval { .. }
        | OrderState::Ready
        | OrderState::Mined { .. }
        | OrderState::Ended { .. } => None,
    }
}

/// Whether people are told of a hold that lasts. `signed`: a transfer is signed.
const fn is_told(hold: &Hold, signed: bool) -> bool {
    match hold {
        // An alarm tells at once that a signed transfer is stuck on these.
        Hold::FeeCeiling { .. } | Hold::TooManyAttempts | Hold::NodeRefuses { .. } => !signed,
        // A person has paused it; the halt itself was told; our own transfer is on its way.
        Hold::WalletPaused | Hold::WalletHalted | Hold::OwnTransferSeen { .. } => false,
        Hold::ApiUnavailable { .. }
        | Hold::ApiStatus { .. }
        | Hold::EndUnconfirmed { .. }
        | Hold::ApiHasHash { .. }
        | Hold::TermsDiffer { .. }
        | Hold::PaymentState { .. }
        | Hold::PaymentEnded
        | Hold::TimeShort { .. }
        | Hold::OtherSender { .. }
        | Hold::MoneyThere { .. }
        | Hold::NotReadYet
        | Hold::ClockBehind { .. }
        | Hold::TokenPaused
        | Hold::WalletBlacklisted
        | Hold::RecipientBlacklisted
        | Hold::RecipientForbidden { .. }
        | Hold::TokenShort { .. }
        | Hold::NativeShort { .. }
        | Hold::CallFails { .. }
        | Hold::GasTooHigh { .. }
        | Hold::Policy { .. }
        | Hold::ApprovalMissing { .. }
        | Hold::ChainUnavailable { .. }
        | Hold::Signer { .. } => true,
    }
}

/// A move of an order: the event's number and moment, and what held the order up from then on, if it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderMove {
    /// The event's number.
    pub seq: u64,
    /// When (our clock).
    pub at: Timestamp,
    /// What held it up from then on.
    pub hold: Option<Hold>,
}

/// The order's moves among its payment's events.
pub fn moves_of<'a>(
    order: &'a OrderId,
    events: impl Iterator<Item = (u64, Timestamp, &'a EventKind)> + 'a,
) -> impl Iterator<Item = OrderMove> + 'a {
    events.filter_map(move |(seq, at, kind)| match kind {
        EventKind::OrderMoved { order: moved, to, .. } if moved == order => {
            Some(OrderMove { seq, at, hold: told_hold(to).cloned() })
        }
        _ => None,
    })
}

/// What holds the order up now, if the move with the number `told` is what people are to be told of: the order has been held
/// up ever since. A change of the hold is told by itself only if it came after the first telling, and then lasted.
#[must_use]
pub fn lasting_hold(moves: &[OrderMove], told: u64, hold_after: Span) -> Option<&Hold> {
    let at = moves.iter().position(|it| it.seq == told)?;
    let (before, since) = moves.split_at_checked(at)?;
    let (own, later) = since.split_first()?;
    if since.iter().any(|it| it.hold.is_none()) {
        return None;
    }
    let entered = before.iter().rev().take_while(|it| it.hold.is_some()).last();
    match entered {
        None => since.last().and_then(|it| it.hold.as_ref()),
        Some(first) => {
            let was_told = own.at.since(first.at) >= hold_after;
            let unchanged = later.iter().all(|it| matches!((&it.hold, &own.hold), (Some(a), Some(b)) if a.is_like(b)));
            own.hold.as_ref().filter(|_| was_told && unchanged)
        }
    }
}

/// Which of several notices that could go out now goes first: the kind that somebody must act on soonest, and of one kind the
/// one that has waited longest. Whoever makes many reviews does not bury an approval under them.
pub fn goes_first<T>(ready: impl Iterator<Item = (NoticeKind, Timestamp, T)>) -> Option<T> {
    ready.min_by_key(|(kind, since, _)| (rank(*kind), *since)).map(|(.., notice)| notice)
}

const fn rank(kind: NoticeKind) -> u8 {
    match kind {
        NoticeKind::Approval => 0,
        NoticeKind::Stall => 1,
        NoticeKind::Failure => 2,
        NoticeKind::Hold => 3,
        NoticeKind::Balance => 4,
        NoticeKind::Completed => 5,
        NoticeKind::Review => 6,
    }
}

/// The most deliveries of one notice. With [`retry_wait`] they span about three days.
pub const MAX_ATTEMPTS: u32 = 13;
/// The first wait after a delivery that did not succeed; four times as long after each further one.
const RETRY_FIRST: Span = Span::from_secs(5);
const RETRY_MOST: Span = Span::from_secs(12 * 3_600);
/// The longest that an endpoint's `Retry-After` is obeyed.
const RETRY_AFTER_MOST: Span = Span::from_secs(3_600);
/// What is older than this is not told any more: it would be a surprise, and no news.
pub const MAX_AGE: Span = Span::from_secs(3 * 86_400);

/// The wait after so many deliveries that did not succeed; jitter adds up to a quarter.
#[must_use]
pub fn retry_wait(attempts: u32, retry_after: Option<Span>, jitter: Jitter) -> Span {
    let base = RETRY_FIRST.doubled(attempts.saturating_sub(1).saturating_mul(2), RETRY_MOST);
    jitter.on(retry_after.map_or(base, |told| told.min(RETRY_AFTER_MOST).max(base)))
}

/// When a notice goes out that waits until `next_at` after so many deliveries: then, or now if no wait is as long, as when the
/// clock was ahead.
#[must_use]
pub fn retry_at(next_at: Timestamp, attempts: u32, now: Timestamp) -> Timestamp {
    let most = retry_wait(attempts.max(1), Some(RETRY_AFTER_MOST), Jitter(999));
    if is_too_far(next_at, now, most) { now } else { next_at }
}

/// Until when an endpoint is left alone that was to be until `quiet_until`: then, or until now if that is no wait of ours.
#[must_use]
pub fn quiet_at(quiet_until: Timestamp, now: Timestamp) -> Timestamp {
    if is_too_far(quiet_until, now, RETRY_AFTER_MOST) { now } else { quiet_until }
}

/// How long an endpoint is left alone after so many failures one after the other, so that a backlog does not storm it.
#[must_use]
pub fn endpoint_wait(failures: u32, retry_after: Option<Span>) -> Span {
    let base = Span::from_secs(1).doubled(failures.saturating_sub(1), Span::from_secs(60));
    retry_after.map_or(base, |told| told.min(RETRY_AFTER_MOST).max(base))
}
