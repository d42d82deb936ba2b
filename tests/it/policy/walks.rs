//! Orders on random walks: whatever happens in whatever order, the laws of the machine hold.

use proptest::prelude::*;
use rampwatch::domain::event::EventKind;
use rampwatch::domain::order::{
    Attempt, AttemptKind, Effect, Fees, MAX_ATTEMPTS, Order, OrderOutcome, OrderState as State, Spend, UnsentReason,
};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wei::Wei;
use rampwatch::policy::evidence::Freeing;
use rampwatch::policy::fees::outbid;
use rampwatch::policy::order_machine::{OrderFact, apply};

use super::orders::*;
use super::samples::*;

/// Something that happens, before it is known what the order looks like.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Approved,
    Rejected,
    CancelAsked,
    /// One of all holds.
    Held(usize),
    /// A signature: of the kind that the state asks for, or the other; at its nonce, or another; raised, or not.
    Signed {
        right: bool,
        nonce: u64,
        raised: bool,
    },
    /// A broadcast of one of the attempts.
    Sent(usize),
    /// A receipt for one of the attempts. What it did: nothing odd, or a revert, or no log.
    Mined(usize, u8),
    Unmined,
    Final,
    Displaced,
}

fn happening() -> impl Strategy<Value = Happening> {
    let signed = (prop::bool::weighted(0.9), prop_oneof![8 => Just(0), 1 => 1..20_u64], prop::bool::weighted(0.9));
    prop_oneof![
        2 => Just(Happening::Approved),
        1 => prop::bool::weighted(0.1).prop_map(|it| if it { Happening::Rejected } else { Happening::Approved }),
        1 => Just(Happening::CancelAsked),
        4 => (0..26_usize).prop_map(Happening::Held),
        8 => signed.prop_map(|(right, nonce, raised)| Happening::Signed { right, nonce, raised }),
        6 => any::<usize>().prop_map(Happening::Sent),
        4 => (any::<usize>(), 0..6_u8).prop_map(|(which, effect)| Happening::Mined(which, effect)),
        3 => Just(Happening::Unmined),
        2 => Just(Happening::Final),
        1 => prop::bool::weighted(0.05).prop_map(|it| if it { Happening::Displaced } else { Happening::Unmined }),
    ]
}

/// The fact that the happening is for this order; `None` where there is nothing that it could be about.
fn fact(order: &Order, happening: Happening, next_nonce: u64, height: u64, now: Timestamp) -> Option<OrderFact> {
    let reason = || "so it is".to_owned();
    let one = |which: usize| order.attempts.get(which.checked_rem(order.attempts.len())?);
    Some(match happening {
        Happening::Approved => OrderFact::Approved { reason: reason(), by: alice() },
        Happening::Rejected => OrderFact::Rejected { reason: reason(), by: alice() },
        Happening::CancelAsked => OrderFact::CancelAsked { reason: reason(), by: alice() },
        Happening::Held(which) => OrderFact::Held(all_holds().swap_remove(which)),
        Happening::Signed { right, nonce, raised } => {
            let asked = match order.state {
                State::Cancelling { .. } => AttemptKind::SelfSend,
                _ => AttemptKind::Transfer,
            };
            let kind = match (right, asked) {
                (true, kind) => kind,
                (false, AttemptKind::Transfer) => AttemptKind::SelfSend,
                (false, AttemptKind::SelfSend) => AttemptKind::Transfer,
            };
            let last = order.live_attempts().last().map_or(gwei(40, 30), |last| last.fees);
            let more = Wei::from_gwei(u64::from(raised));
            let fees = Fees { cap: last.cap.plus(more), tip: last.tip.plus(more) };
            let number = u8::try_from(order.attempts.len() + 1).ok()?;
            let nonce = order.state.nonce().unwrap_or(next_nonce) + nonce;
            OrderFact::Signed(Attempt { nonce, signed_at: now, ..attempt(number, kind, fees) })
        }
        Happening::Sent(which) => OrderFact::Sent { tx_hash: one(which)?.tx_hash, said: "taken".to_owned() },
        Happening::Mined(which, effect) => {
            let attempt = one(which)?;
            let effect = match (attempt.kind, effect) {
                (AttemptKind::SelfSend, _) => Effect::SelfSent,
                (AttemptKind::Transfer, 0) => Effect::MovedNothing,
                (AttemptKind::Transfer, 1..=3) => Effect::Reverted,
                (AttemptKind::Transfer, _) => Effect::Paid { log_index: height },
            };
            OrderFact::Mined { tx_hash: attempt.tx_hash, block: block(height), effect }
        }
        Happening::Unmined => OrderFact::Unmined,
        Happening::Final => match order.state {
            State::Mined { effect, .. } => {
                OrderFact::Final { proof: proof(Freeing::of_effect(effect)), block_time: at(NOW) }
            }
            _ => OrderFact::Final { proof: proof(Freeing::Paid), block_time: at(NOW) },
        },
        Happening::Displaced => OrderFact::Displaced { proof: proof(Freeing::Displaced), block_time: at(NOW) },
    })
}

/// An attempt without what broadcasts change of it.
fn signature(attempt: &Attempt) -> Attempt {
    Attempt { sent_at: None, sends: 0, ..attempt.clone() }
}

fn check_nonce(before: &Order, after: &Order, fact: &OrderFact) -> Result<(), TestCaseError> {
    match (before.state.nonce(), after.state.nonce()) {
        (Some(old), Some(new)) => prop_assert_eq!(old, new, "the nonce stays"),
        (Some(_), None) => {
            let ends = matches!(fact, OrderFact::Final { .. } | OrderFact::Displaced { .. });
            prop_assert!(ends, "a nonce is given up only when it is consumed for good: {fact:?}");
        }
        (None, Some(_)) => {
            let signs = matches!(fact, OrderFact::Signed(attempt) if attempt.kind == AttemptKind::Transfer);
            prop_assert!(signs, "a nonce is taken with a signature of the transfer: {fact:?}");
        }
        (None, None) => {}
    }
    if let Some(nonce) = after.state.nonce() {
        prop_assert!(after.live_attempts().count() > 0);
        prop_assert_eq!(after.attempts.last().map(|last| last.nonce), Some(nonce), "older ones lie before");
    }
    Ok(())
}

fn check_attempts(before: &Order, after: &Order) -> Result<(), TestCaseError> {
    prop_assert!(after.attempts.len() <= MAX_ATTEMPTS);
    prop_assert!(after.attempts.len() >= before.attempts.len());
    for (old, new) in before.attempts.iter().zip(&after.attempts) {
        prop_assert_eq!(signature(old), signature(new), "what is signed stays as it is");
        prop_assert!(new.sends >= old.sends && new.sent_at >= old.sent_at);
    }
    for (older, newer) in after.attempts.iter().zip(after.attempts.iter().skip(1)) {
        prop_assert!(older.nonce <= newer.nonce);
        prop_assert!(older.tx_hash != newer.tx_hash);
        if older.nonce == newer.nonce {
            prop_assert!(newer.fees.cap > older.fees.cap && newer.fees.tip > older.fees.tip);
            let resumed = older.kind == AttemptKind::SelfSend && newer.kind == AttemptKind::Transfer;
            prop_assert!(!resumed, "once withdrawn, a transfer is not signed again");
        }
    }
    Ok(())
}

fn check_spend(order: &Order) -> Result<(), TestCaseError> {
    let back = match &order.state {
        State::Ended { outcome, .. } => match outcome {
            // After a revert only a person gives spend back.
            OrderOutcome::Unsent { why: UnsentReason::NotPayable { .. } } => order.reverts == 0,
            OrderOutcome::SelfSent { .. } | OrderOutcome::Reverted { .. } | OrderOutcome::Unsent { .. } => true,
            OrderOutcome::Paid { .. } | OrderOutcome::MovedNothing { .. } | OrderOutcome::Displaced { .. } => false,
        },
        State::AwaitingApproval { .. }
        | State::Ready
        | State::Held { .. }
        | State::Sending { .. }
        | State::Cancelling { .. }
        | State::Mined { .. } => false,
    };
    prop_assert_eq!(order.spend == Spend::GivenBack, back, "{:?}", order.state);
    Ok(())
}

/// What is said of the end must be what was mined.
fn check_end(before: &Order, after: &Order) -> Result<(), TestCaseError> {
    let State::Ended { outcome, .. } = &after.state else {
        let asks = matches!(after.state, State::AwaitingApproval { .. });
        prop_assert!(asks || after.next_at.is_some(), "somebody has to look at what is open");
        return Ok(());
    };
    prop_assert_eq!(after.next_at, None);
    let (tx_hash, kind, effect) = match outcome {
        OrderOutcome::Paid { tx_hash, log_index, .. } => {
            (tx_hash, AttemptKind::Transfer, Effect::Paid { log_index: *log_index })
        }
        OrderOutcome::SelfSent { tx_hash, .. } => (tx_hash, AttemptKind::SelfSend, Effect::SelfSent),
        OrderOutcome::Reverted { tx_hash } => (tx_hash, AttemptKind::Transfer, Effect::Reverted),
        OrderOutcome::MovedNothing { tx_hash } => (tx_hash, AttemptKind::Transfer, Effect::MovedNothing),
        OrderOutcome::Unsent { .. } => {
            prop_assert_eq!(before.live_attempts().count(), 0, "nothing is out there");
            return Ok(());
        }
        OrderOutcome::Displaced { nonce } => {
            prop_assert_eq!(before.state.nonce(), Some(*nonce));
            return Ok(());
        }
    };
    prop_assert_eq!(after.attempt(*tx_hash).map(|attempt| attempt.kind), Some(kind));
    let said = match &before.state {
        State::Mined { tx_hash, effect, .. } => Some((*tx_hash, *effect)),
        _ => None,
    };
    prop_assert_eq!(said, Some((*tx_hash, effect)));
    Ok(())
}

/// An order that is being withdrawn can be: there is room for the self-send, and the machine takes it.
fn check_way_out(order: &Order, now: Timestamp) -> Result<(), TestCaseError> {
    let (State::Cancelling { .. }, Some(last)) = (&order.state, order.live_attempts().last()) else { return Ok(()) };
    if last.kind == AttemptKind::Transfer {
        let fees = outbid(&last.fees, Wei::from_gwei(9_000), Wei::from_gwei(30), &FEES);
        prop_assert!(fees.is_ok());
        let signed = attempt(250, AttemptKind::SelfSend, fees.unwrap());
        let signed = OrderFact::Signed(Attempt { nonce: last.nonce, ..signed });
        prop_assert!(apply(&mut order.clone(), &signed, now, &FUNDING).is_ok(), "{order:?}");
    }
    Ok(())
}

/// Lets all this happen to an order, and holds each step against the laws. Returns how it stands then.
fn walk(first: State, happenings: &[Happening]) -> Result<Order, TestCaseError> {
    let mut order = order_in("p", first);
    let (placed, mut events) = (order.clone(), Vec::new());
    let (mut now, mut next_nonce) = (at(NOW), NONCE);
    for (height, happening) in (2_000..).zip(happenings) {
        now = now.plus(Span::from_secs(7));
        let Some(fact) = fact(&order, *happening, next_nonce, height, now) else { continue };
        let before = order.clone();
        let Ok(new) = apply(&mut order, &fact, now, &FUNDING) else {
            prop_assert_eq!(&order, &before, "what is not taken changes nothing");
            continue;
        };
        prop_assert!(!before.state.is_ended(), "what is over stays over: {fact:?}");
        next_nonce = next_nonce.max(order.state.nonce().map_or(0, |nonce| nonce + 1));
        let moves = new.iter().filter(|event| matches!(event, EventKind::OrderMoved { .. })).count();
        prop_assert_eq!(moves, usize::from(before.state != order.state || before.spend != order.spend));
        events.extend(new);
        check_nonce(&before, &order, &fact)?;
        check_attempts(&before, &order)?;
        check_spend(&order)?;
        check_end(&before, &order)?;
        check_way_out(&order, now)?;
    }
    let told = replay(&placed, &events)?;
    prop_assert_eq!((&told.state, told.spend), (&order.state, order.spend), "the ledger is the sum of the events");
    let signed = |order: &Order| order.attempts.iter().map(signature).collect::<Vec<_>>();
    prop_assert_eq!(signed(&told), signed(&order));
    Ok(order)
}

/// The order as its events tell it.
fn replay(placed: &Order, events: &[EventKind]) -> Result<Order, TestCaseError> {
    let mut order = placed.clone();
    for event in events {
        match event {
            EventKind::OrderMoved { order: id, from, to, spend, .. } => {
                prop_assert_eq!(id, &order.id);
                prop_assert_eq!(&**from, &order.state, "each begins where the last one ended");
                (order.state, order.spend) = ((**to).clone(), *spend);
            }
            EventKind::AttemptSigned { attempt, .. } => order.attempts.push((**attempt).clone()),
            EventKind::AttemptSent { tx_hash, .. } => {
                prop_assert!(order.attempt(*tx_hash).is_some(), "signed before it is sent");
            }
            EventKind::Alarm { .. } => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
    Ok(order)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_laws_hold_on_every_walk(
        approval in any::<bool>(), happenings in prop::collection::vec(happening(), 1..120)
    ) {
        walk(if approval { awaiting() } else { State::Ready }, &happenings)?;
    }
}

#[test]
fn the_walks_reach_every_end() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let walks = prop::collection::vec(happening(), 1..120);
    let mut ends = std::collections::BTreeMap::new();
    for _ in 0..600 {
        let happenings = walks.new_tree(&mut runner).unwrap().current();
        let order = walk(State::Ready, &happenings).unwrap();
        let end = match &order.state {
            State::Ended { outcome, .. } => outcome.name(),
            open => open.name(),
        };
        *ends.entry(end).or_insert(0_u32) += 1;
        if order.reverts > 0 && matches!(order.state, State::Ended { outcome: OrderOutcome::Paid { .. }, .. }) {
            *ends.entry("paid after a revert").or_insert(0) += 1;
        }
    }
    for end in ["paid", "self-sent", "awaiting-approval", "moved-nothing", "unsent", "displaced", "paid after a revert"]
    {
        assert!(ends.get(end).is_some_and(|count| *count >= 1), "{end}: {ends:?}");
    }
}
