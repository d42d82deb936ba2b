//! What people are told: every event, alarm and hold, when a hold has lasted, and how often is tried.

use rampwatch::domain::address_pattern::PatternBreak;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::event::{Alarm, EventKind, WalletChange};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::notice::NoticeKind::{self, Approval, Balance, Completed, Failure, Review, Stall};
use rampwatch::domain::order::{ApprovalReason, CancelReason, Order, OrderOutcome, OrderState, Spend, UnsentReason};
use rampwatch::domain::payment::{Outcome, PaymentReview, PaymentState};
use rampwatch::domain::stall::Stall as Stalled;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::HaltReason;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::notices::{
    MAX_ATTEMPTS, OrderMove, endpoint_wait, goes_first, lasting_hold, moves_of, of_event, quiet_at, retry_at,
    retry_wait, told_hold,
};
use rampwatch::policy::retry::Jitter;

use crate::store::specimens;
use crate::support::records::{address, deposit_key, hash, order, order_id};

fn told(kind: &EventKind) -> Option<(NoticeKind, bool)> {
    of_event(kind).map(|news| {
        assert!(!news.title.is_empty());
        (news.kind, news.must_last)
    })
}

#[test]
fn a_record_of_every_shape_has_its_answer() {
    // The specimens have every shape (`store::shapes` sees to that), and what is news among them is counted by kind.
    let counts = |kind| specimens::kinds().iter().filter(|event| told(event).map(|(kind, _)| kind) == kind).count();
    for kind in NoticeKind::ALL.iter().copied() {
        assert_eq!(NoticeKind::of_name(kind.name()), Some(kind));
    }
    assert!(counts(Some(Stall)) >= 4 && counts(Some(Failure)) >= 5 && counts(Some(Balance)) == 2 && counts(None) > 10);
}

#[test]
fn f15_an_approval_goes_out_before_any_number_of_reviews() {
    type Waiting = &'static [(NoticeKind, u64)];
    let at = Timestamp::from_secs;
    let table: [(Waiting, Option<usize>); 8] = [
        (&[], None),
        (&[(Review, 1)], Some(0)),
        (&[(Review, 2), (Review, 1)], Some(1)),
        (&[(Review, 1), (Review, 2), (Approval, 9)], Some(2)),
        (&[(Review, 1), (Stall, 9), (Review, 2)], Some(1)),
        (&[(Stall, 1), (Approval, 9)], Some(1)),
        (&[(Review, 1), (Completed, 2), (Balance, 3), (NoticeKind::Hold, 4), (Failure, 5), (Stall, 6)], Some(5)),
        (&[(Review, 1), (Completed, 9)], Some(1)),
    ];
    for (ready, expected) in table {
        let ready = ready.iter().enumerate().map(|(place, (kind, since))| (*kind, at(*since), place));
        assert_eq!(goes_first(ready.clone()), expected, "{:?}", ready.collect::<Vec<_>>());
    }
}

#[test]
fn payments_are_told_when_they_need_somebody_or_end_badly() {
    let ended = |outcome| PaymentState::Ended { outcome, at: Timestamp::EPOCH };
    let cases = [
        (PaymentState::Waiting, None),
        (PaymentState::Seen { deposit: deposit_key(1) }, None),
        (PaymentState::Following { deposit: None }, None),
        (PaymentState::Unclear { deposit: deposit_key(1), attempt: 1, refusal: None }, None),
        (PaymentState::Review { why: PaymentReview::NotFound, deposit: None }, Some(Review)),
        (ended(Outcome::Completed), Some(Completed)),
        (ended(Outcome::Failed), Some(Failure)),
        (ended(Outcome::Expired), Some(Failure)),
        (ended(Outcome::Refunded), Some(Failure)),
        (ended(Outcome::Cancelled), None),
    ];
    for (to, expected) in cases {
        let (from, why) = (Box::new(PaymentState::Waiting), String::new());
        let kind = EventKind::PaymentMoved { from, to: Box::new(to), why };
        assert_eq!(told(&kind), expected.map(|kind| (kind, false)), "{kind:?}");
    }
}

#[test]
fn every_alarm_is_told_but_the_one_that_the_wallets_change_tells() {
    let units = Amount::from_base_units;
    let cases = [
        (Alarm::GoneAfterFinal, Some(Failure)),
        (Alarm::MissedByFirstReading, Some(Failure)),
        (Alarm::LogWithheld, Some(Failure)),
        (Alarm::MalformedLog { detail: String::new() }, Some(Failure)),
        (Alarm::FinalityStalled { at: 1 }, Some(Stall)),
        (Alarm::KeyRefused { status: 401 }, Some(Stall)),
        (Alarm::FundingStuck { order: order_id(1, 1), hold: Hold::TooManyAttempts }, Some(Stall)),
        (Alarm::MovedNothing { order: order_id(1, 1) }, Some(Failure)),
        (Alarm::WalletHalted { why: HaltReason::NonceTaken { nonce: 1 } }, None),
        (Alarm::LowToken { have: units(1), mark: units(2) }, Some(Balance)),
        (Alarm::LowNative { have: Wei::new(1), mark: Wei::new(2) }, Some(Balance)),
        (Alarm::ChainUnread { since: Timestamp::EPOCH, detail: String::new() }, Some(Stall)),
        (Alarm::Standstill { what: Stalled::Head, since: Timestamp::EPOCH, detail: String::new() }, Some(Stall)),
        (Alarm::Standstill { what: Stalled::Unread, since: Timestamp::EPOCH, detail: String::new() }, Some(Stall)),
        (Alarm::EndpointContradicts { endpoint: String::new(), said: String::new() }, Some(Failure)),
        (Alarm::EndpointStalled { endpoint: String::new(), said: String::new() }, Some(Failure)),
        (Alarm::CoverageAboveHead { addresses: 1, covered: 2, head: 1 }, Some(Failure)),
        (Alarm::AutoUnlimited, Some(Stall)),
        (Alarm::NotListening { setting: String::new(), said: String::new() }, Some(Failure)),
        (Alarm::RecordUnreadable { record: String::new(), why: String::new() }, Some(Stall)),
        (Alarm::StoreIncomplete { held: 8, acknowledged: Some(9) }, Some(Failure)),
        (
            Alarm::AddressPattern {
                recipient: "rec-000001".parse().unwrap(),
                address: address(1),
                broken: PatternBreak::RepeatedAmongFresh,
            },
            Some(Failure),
        ),
        (Alarm::ApiUnanswered { since: Timestamp::EPOCH, about: String::new(), detail: String::new() }, Some(Stall)),
    ];
    for (alarm, expected) in cases {
        assert_eq!(told(&EventKind::Alarm { alarm: alarm.clone() }), expected.map(|kind| (kind, false)), "{alarm:?}");
    }
    let change = WalletChange::Halted { why: HaltReason::NonceTaken { nonce: 1 } };
    assert_eq!(told(&EventKind::WalletChanged { address: address(1), change }), Some((Stall, false)));
    let change = WalletChange::Paused { reason: "lunch".to_owned(), by: None };
    assert_eq!(told(&EventKind::WalletChanged { address: address(1), change }), None, "a person's own doing");
}

fn moved(from: OrderState, to: OrderState) -> EventKind {
    let (from, to, why) = (Box::new(from), Box::new(to), String::new());
    EventKind::OrderMoved { order: order_id(1, 1), from, to, spend: Spend::Counted, why, by: None }
}

fn sending(trouble: Option<Hold>) -> OrderState {
    OrderState::Sending { nonce: 1, trouble }
}

fn held(why: Hold) -> OrderState {
    OrderState::Held { why }
}

fn short(have: u128) -> Hold {
    Hold::TokenShort { have: Amount::from_base_units(have), need: Amount::from_base_units(9) }
}

#[test]
fn orders_are_told_when_they_need_somebody_wait_long_or_end_badly() {
    let state = OrderState::AwaitingApproval { why: ApprovalReason::TypedAmount };
    let placed = EventKind::OrderPlaced { order: Box::new(Order { state, ..order(1) }) };
    assert_eq!(told(&placed), Some((Approval, false)));
    assert_eq!(told(&EventKind::OrderPlaced { order: Box::new(order(1)) }), None);

    let hold = Some((NoticeKind::Hold, true));
    let cases = [
        (OrderState::Ready, held(short(1)), hold),
        (held(short(1)), held(short(2)), None),
        (held(short(1)), held(Hold::TokenPaused), hold),
        (held(Hold::WalletPaused), held(Hold::TokenPaused), hold),
        (held(Hold::TokenPaused), held(Hold::WalletPaused), None),
        (held(Hold::TokenPaused), OrderState::Ready, None),
        (OrderState::Ready, sending(None), None),
        (sending(None), sending(Some(Hold::TokenPaused)), hold),
        (sending(None), sending(Some(Hold::TooManyAttempts)), None),
        (OrderState::Ready, held(Hold::FeeCeiling { needed: Wei::new(2), ceiling: Wei::new(1) }), hold),
    ];
    for (from, to, expected) in cases {
        let kind = moved(from, to);
        assert_eq!(told(&kind), expected, "{kind:?}");
    }

    let tx_hash = hash(1);
    let person = || "no".to_owned();
    let cases = [
        (OrderOutcome::Reverted { tx_hash }, true),
        (OrderOutcome::Displaced { nonce: 1 }, true),
        (OrderOutcome::SelfSent { tx_hash, why: CancelReason::Hold { hold: Hold::PaymentEnded } }, true),
        (OrderOutcome::Unsent { why: UnsentReason::NotPayable { hold: Hold::PaymentEnded } }, true),
        (OrderOutcome::Unsent { why: UnsentReason::ApprovalExpired { valid_for_s: 60 } }, true),
        (OrderOutcome::SelfSent { tx_hash, why: CancelReason::Person { reason: person() } }, false),
        (OrderOutcome::Unsent { why: UnsentReason::Rejected { reason: person() } }, false),
        (OrderOutcome::Unsent { why: UnsentReason::Cancelled { reason: person() } }, false),
        (OrderOutcome::MovedNothing { tx_hash }, false),
    ];
    for (outcome, is_told) in cases {
        let kind = moved(sending(None), OrderState::Ended { outcome, at: Timestamp::EPOCH });
        assert_eq!(told(&kind), is_told.then_some((Failure, false)), "{kind:?}");
    }
}

#[test]
fn a_hold_has_lasted_when_it_was_never_left() {
    let after = Span::from_secs(600);
    let at = |seq: u64, seconds: u64, hold: Option<Hold>| OrderMove { seq, at: Timestamp::from_secs(seconds), hold };
    let (api, paused) = (Hold::ApiUnavailable { detail: String::new() }, Hold::TokenPaused);
    let some = |hold: &Hold| Some(hold.clone());
    let of = |moves: &[OrderMove], told| lasting_hold(moves, told, after).cloned();

    let entered = [at(1, 0, None), at(2, 10, some(&api))];
    assert_eq!(of(&entered, 2), some(&api));
    assert_eq!(of(&entered, 3), None, "a move that is not there");
    assert_eq!(of(&[at(1, 0, some(&api)), at(2, 5, None)], 1), None, "it was left");
    let again = [at(1, 0, some(&api)), at(2, 5, None), at(3, 9, some(&api))];
    assert_eq!((of(&again, 1), of(&again, 3)), (None, some(&api)), "each time by itself");
    let early = [at(1, 0, some(&api)), at(2, 300, some(&paused))];
    assert_eq!(of(&early, 1), some(&paused), "told with what it is by then");
    assert_eq!(of(&early, 2), None, "and so not a second time");
    let late = [at(1, 0, some(&api)), at(2, 600, some(&paused))];
    assert_eq!(of(&late, 2), some(&paused), "the first was told when it changed");
    let flutter = [at(1, 0, some(&api)), at(2, 700, some(&paused)), at(3, 800, some(&api)), at(4, 900, some(&paused))];
    assert_eq!((of(&flutter, 2), of(&flutter, 3), of(&flutter, 4)), (None, None, some(&paused)));
    let figures = [at(1, 0, some(&api)), at(2, 700, some(&short(1))), at(3, 800, some(&short(2)))];
    assert_eq!(of(&figures, 2), some(&short(1)), "other figures are the same trouble");
}

#[test]
fn only_the_orders_own_moves_count() {
    let events = [
        moved(OrderState::Ready, held(Hold::TokenPaused)),
        EventKind::OrderMoved {
            order: order_id(1, 2),
            from: Box::new(OrderState::Ready),
            to: Box::new(held(Hold::TokenPaused)),
            spend: Spend::Counted,
            by: None,
            why: String::new(),
        },
        moved(held(Hold::TokenPaused), held(Hold::WalletPaused)),
    ];
    let id = order_id(1, 1);
    let numbered = (1..).zip(&events).map(|(seq, kind)| (seq, Timestamp::from_secs(seq), kind));
    let moves: Vec<(u64, Option<Hold>)> = moves_of(&id, numbered).map(|it| (it.seq, it.hold)).collect();
    assert_eq!(moves, [(1, Some(Hold::TokenPaused)), (3, None)]);
    assert_eq!(told_hold(&OrderState::Ready), None);
}

#[test]
fn tries_spread_over_three_days_and_endpoints_are_not_stormed() {
    let waits: Vec<u64> = (1..=MAX_ATTEMPTS).map(|nth| retry_wait(nth, None, Jitter(0)).as_secs()).collect();
    assert_eq!(waits[..8], [5, 20, 80, 320, 1_280, 5_120, 20_480, 43_200]);
    let whole: u64 = waits[..waits.len() - 1].iter().sum::<u64>() / 3_600;
    assert!((60..=80).contains(&whole), "{whole} hours");
    assert_eq!(retry_wait(u32::MAX, None, Jitter(0)).as_secs(), 43_200);
    assert_eq!(retry_wait(1, None, Jitter(9_999)).as_millis(), 6_248);
    let told = |seconds| retry_wait(1, Some(Span::from_secs(seconds)), Jitter(0)).as_secs();
    assert_eq!([told(0), told(60), told(u64::MAX)], [5, 60, 3_600]);
    let waits: Vec<u64> = (0..10).map(|failures| endpoint_wait(failures, None).as_secs()).collect();
    assert_eq!(waits, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(endpoint_wait(1, Some(Span::from_secs(90_000))).as_secs(), 3_600);
}

#[test]
fn nothing_waits_for_a_moment_that_a_wrong_clock_has_set() {
    let now = Timestamp::from_secs(1_000_000);
    let later = |seconds| now.plus(Span::from_secs(seconds));
    for (attempts, seconds, waits) in [
        (0, 4_000, true),
        (1, 4_000, true),
        (1, 5_000, false),
        (8, 43_200, true),
        (8, 54_001, false),
        (13, 172_800, false),
    ] {
        let expected = if waits { later(seconds) } else { now };
        assert_eq!(retry_at(later(seconds), attempts, now), expected, "{attempts} {seconds}");
    }
    assert_eq!([quiet_at(later(3_600), now), quiet_at(later(3_601), now)], [later(3_600), now]);
}
