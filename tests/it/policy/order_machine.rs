//! The order's state machine: every fact in every state, and what a receipt says.

use std::collections::BTreeSet;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Transfer;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{
    ApprovalReason, Attempt, AttemptKind, Effect, MAX_ATTEMPTS, Order, OrderOutcome, OrderState as State, Spend,
    UnsentReason,
};
use rampwatch::domain::wallet::Receipt;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::evidence::Freeing;
use rampwatch::policy::order_machine::{OrderFact, UnexpectedOrder, apply, effect};

use super::orders::*;
use super::samples::*;

const PAID: Effect = Effect::Paid { log_index: 3 };

/// One order in every state that matters, each due at [`NOW`]. Transaction 1 is its transfer, 2 its self-send.
pub(super) fn states() -> [Order; 12] {
    let sent = || given(transfer(1));
    let both = || vec![sent(), given(self_send(2))];
    let of = |state, attempts| Order { attempts, ..order_in("p", state) };
    let ceiling = Hold::FeeCeiling { needed: Wei::from_gwei(500), ceiling: Wei::from_gwei(400) };
    [
        of(awaiting(), vec![]),
        of(State::Ready, vec![]),
        of(State::Held { why: Hold::TokenPaused }, vec![]),
        of(sending(), vec![sent()]),
        of(troubled(ceiling), vec![sent()]),
        of(cancelling(), both()),
        of(mined(1, PAID, None), vec![sent()]),
        of(mined(1, Effect::Reverted, None), vec![sent()]),
        of(mined(1, Effect::MovedNothing, None), vec![sent()]),
        of(mined(2, Effect::SelfSent, Some(person())), both()),
        of(mined(1, PAID, Some(person())), both()),
        of(ended(outcomes()[0].clone()), vec![sent()]),
    ]
}

/// The order's receipt is final, and that is proven.
fn is_final(fact: Freeing) -> OrderFact {
    OrderFact::Final { proof: proof(fact), block_time: at(NOW - 3) }
}

/// Another transaction has consumed its nonce, and that is proven.
fn is_displaced(fact: Freeing) -> OrderFact {
    OrderFact::Displaced { proof: proof(fact), block_time: at(NOW - 3) }
}

const fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Paid { .. } => "paid",
        Effect::Reverted => "reverted",
        Effect::MovedNothing => "moved-nothing",
        Effect::SelfSent => "self-sent",
    }
}

/// An order in short: its state, what troubles it, `back` when its spend is given back, an alarm as `!`, when it is
/// looked at again, how many attempts it has, and how many reverts.
fn short(before: &Order, after: &Order, events: &[EventKind]) -> String {
    let with = |hold: &Option<Hold>| hold.as_ref().map(|hold| format!("({})", hold.name())).unwrap_or_default();
    let detail = match &after.state {
        State::AwaitingApproval { .. } | State::Ready => String::new(),
        State::Held { why } => format!("({})", why.name()),
        State::Sending { trouble, .. } | State::Cancelling { trouble, .. } => with(trouble),
        State::Mined { effect, cancelling, .. } => {
            format!(" {}{}", effect_name(*effect), if cancelling.is_some() { " cancelling" } else { "" })
        }
        State::Ended { outcome, at: when } => {
            assert_eq!(*when, at(NOW));
            format!(" {}", outcome.name())
        }
    };
    let state = if after.state == before.state { "same".to_owned() } else { format!("{}{detail}", after.state.name()) };
    let back = if after.spend == Spend::GivenBack { " back" } else { "" };
    let alarm = if events.iter().any(|event| matches!(event, EventKind::Alarm { .. })) { "!" } else { "" };
    let next = after.next_at.map_or("never".to_owned(), |next| format!("+{}", next.since(at(NOW)).as_secs()));
    let signed = after.attempts.len() - before.attempts.len();
    let more = if signed > 0 { format!(" a{}", after.attempts.len()) } else { String::new() };
    let reverts = if after.reverts > before.reverts { format!(" r{}", after.reverts) } else { String::new() };
    format!("{state}{alarm}{back} {next}{more}{reverts}")
}

/// Whoever adds a state or a fact must add it to the table.
const fn state_number(state: &State) -> usize {
    match state {
        State::AwaitingApproval { .. } => 0,
        State::Ready => 1,
        State::Held { .. } => 2,
        State::Sending { .. } => 3,
        State::Cancelling { .. } => 4,
        State::Mined { .. } => 5,
        State::Ended { .. } => 6,
    }
}

const fn fact_number(fact: &OrderFact) -> usize {
    match fact {
        OrderFact::Approved { .. } => 0,
        OrderFact::Rejected { .. } => 1,
        OrderFact::CancelAsked { .. } => 2,
        OrderFact::Held(_) => 3,
        OrderFact::Signed(_) => 4,
        OrderFact::Sent { .. } => 5,
        OrderFact::Mined { .. } => 6,
        OrderFact::Unmined => 7,
        OrderFact::Final { .. } => 8,
        OrderFact::Displaced { .. } => 9,
        OrderFact::Cleared => 10,
        OrderFact::ApprovalExpired => 11,
    }
}

/// A fact with what it makes of every state, in the order of [`states`]: `x` is unexpected, `*3` three in a row.
type Row = (OrderFact, &'static str);

/// Every fact with what it makes of every state.
pub(super) fn table() -> Vec<Row> {
    people_and_holds().into_iter().chain(transactions()).chain(receipts()).collect()
}

fn people_and_holds() -> Vec<Row> {
    let reason = || "so it is".to_owned();
    let money = Hold::MoneyThere { tx_hash: tx(8), amount: Amount::from_base_units(1) };
    let short = Hold::TimeShort { expires_at: at(EXPIRY), least_s: 600 };
    let ceiling = Hold::FeeCeiling { needed: Wei::from_gwei(600), ceiling: Wei::from_gwei(400) };
    let refuses = Hold::NodeRefuses { detail: "too low".to_owned() };
    vec![
        (OrderFact::Approved { reason: reason(), by: alice() }, "ready +0 | x *11"),
        (OrderFact::Rejected { reason: reason(), by: alice() }, "ended unsent back never | x *11"),
        (
            OrderFact::CancelAsked { reason: reason(), by: alice() },
            "ended unsent back never *3 | cancelling +0 *2 | x *7",
        ),
        // It waits for less long than it may.
        (OrderFact::ApprovalExpired, "x *12"),
        (OrderFact::Cleared, "x | same +30 | ready +30 | x *9"),
        (
            OrderFact::Held(Hold::TokenPaused),
            "x | held(token-paused) +30 | same +30 | sending(token-paused) +30 *2 | cancelling(token-paused) +30 | x *6",
        ),
        (
            OrderFact::Held(ceiling),
            "x | held(fee-ceiling) +30 *2 | sending(fee-ceiling)! +30 | same +30 | cancelling(fee-ceiling)! +30 | x *6",
        ),
        (
            OrderFact::Held(refuses),
            "x | held(node-refuses) +30 *2 | sending(node-refuses)! +30 | sending(node-refuses) +30 | \
             cancelling(node-refuses)! +30 | x *6",
        ),
        (
            OrderFact::Held(money),
            "x | held(money-there) +30 *2 | cancelling +0 *2 | cancelling(money-there) +30 | x *6",
        ),
        (OrderFact::Held(short), "ended unsent back never *3 | cancelling +0 *2 | cancelling(time-short) +30 | x *6"),
    ]
}

fn transactions() -> Vec<Row> {
    let signed = |number, kind, cap, tip| OrderFact::Signed(attempt(number, kind, gwei(cap, tip)));
    let sent = |number| OrderFact::Sent { tx_hash: tx(number), said: "accepted".to_owned() };
    let elsewhere = Attempt { nonce: NONCE + 1, ..attempt(3, AttemptKind::Transfer, gwei(300, 80)) };
    vec![
        (signed(3, AttemptKind::Transfer, 300, 80), "x | sending +0 a1 *2 | same +0 a2 | sending +0 a2 | x *7"),
        (signed(3, AttemptKind::SelfSend, 300, 80), "x *5 | same +0 a3 | x *6"),
        // Neither fee may stay: a pool would refuse it.
        (signed(3, AttemptKind::Transfer, 130, 80), "x | sending +0 a1 *2 | x *9"),
        (signed(3, AttemptKind::Transfer, 300, 30), "x | sending +0 a1 *2 | x *9"),
        (signed(3, AttemptKind::SelfSend, 200, 80), "x *12"),
        // The same transaction is no new attempt.
        (signed(1, AttemptKind::Transfer, 300, 80), "x | sending +0 a1 *2 | x *9"),
        (signed(1, AttemptKind::SelfSend, 300, 80), "x *12"),
        // One order, one nonce.
        (OrderFact::Signed(elsewhere), "x | sending +0 a1 *2 | x *9"),
        (sent(1), "x *3 | same +20 *2 | same +0 *6 | x"),
        (sent(2), "x *5 | same +20 | x *3 | same +0 *2 | x"),
        (sent(7), "x *12"),
    ]
}

fn receipts() -> Vec<Row> {
    let is_mined = |number: u8, at: u64, effect| OrderFact::Mined { tx_hash: tx(number), block: block(at), effect };
    vec![
        (
            is_mined(1, 1_501, PAID),
            "x *3 | mined paid +4 *2 | mined paid cancelling +4 | mined paid +4 *3 | mined paid cancelling +4 *2 | x",
        ),
        (
            is_mined(1, 1_500, PAID),
            "x *3 | mined paid +4 *2 | mined paid cancelling +4 | same +4 | mined paid +4 *2 | \
             mined paid cancelling +4 | same +4 | x",
        ),
        (
            is_mined(1, 1_500, Effect::Reverted),
            "x *3 | mined reverted +4 *2 | mined reverted cancelling +4 | mined reverted +4 | same +4 | \
             mined reverted +4 | mined reverted cancelling +4 *2 | x",
        ),
        (
            is_mined(2, 1_500, Effect::SelfSent),
            "x *5 | mined self-sent cancelling +4 | x *3 | same +4 | mined self-sent cancelling +4 | x",
        ),
        // A receipt of another transaction, and effects that the transaction cannot have.
        (is_mined(7, 1_500, PAID), "x *12"),
        (is_mined(1, 1_500, Effect::SelfSent), "x *12"),
        (is_mined(2, 1_500, PAID), "x *12"),
        (is_mined(2, 1_500, Effect::Reverted), "x *12"),
        (OrderFact::Unmined, "x *6 | sending +0 *3 | cancelling +0 *2 | x"),
        (is_final(Freeing::Paid), "x *6 | ended paid never | x *3 | ended paid never | x"),
        (is_final(Freeing::Reverted), "x *7 | awaiting-approval never r1 | x *4"),
        (is_final(Freeing::MovedNothing), "x *8 | ended moved-nothing! never | x *3"),
        (is_final(Freeing::SelfSent), "x *9 | ended self-sent back never | x *2"),
        // A proof of something else proves nothing.
        (is_final(Freeing::Completion), "x *12"),
        (is_displaced(Freeing::Paid), "x *12"),
        (is_displaced(Freeing::Displaced), "x *3 | ended displaced never *3 | x *6"),
    ]
}

/// Applies the fact and holds the events against what changed.
fn taken(before: &Order, fact: &OrderFact) -> Result<(Order, Vec<EventKind>), UnexpectedOrder> {
    let mut after = before.clone();
    let result = apply(&mut after, fact, at(NOW), &FUNDING);
    let Ok(events) = result else {
        assert_eq!(after, *before, "{fact:?}: nothing changes");
        return result.map(|events| (after, events));
    };
    let moves: Vec<_> = events.iter().filter(|event| matches!(event, EventKind::OrderMoved { .. })).collect();
    let changed = after.state != before.state || after.spend != before.spend;
    assert_eq!(moves.len(), usize::from(changed), "{fact:?}");
    if let Some(EventKind::OrderMoved { order, from, to, spend, why, .. }) = moves.first() {
        assert_eq!((order, &**from, &**to, spend), (&before.id, &before.state, &after.state, &after.spend));
        assert!(!why.is_empty());
    }
    Ok((after, events))
}

#[test]
fn every_fact_in_every_state() {
    let (mut facts, mut states_seen) = (BTreeSet::new(), BTreeSet::new());
    for (fact, row) in table() {
        let cells = row.split(" | ").flat_map(|cell| {
            let (text, times) = cell.rsplit_once(" *").unwrap_or((cell, "1"));
            std::iter::repeat_n(text.to_owned(), times.parse().expect("a number of states"))
        });
        let cells: Vec<String> = cells.collect();
        assert_eq!(cells.len(), states().len(), "{fact:?}: every state has its entry");
        for (before, expected) in states().iter().zip(cells) {
            let got = taken(before, &fact).map(|(after, events)| short(before, &after, &events));
            assert_eq!(got.unwrap_or_else(|_| "x".to_owned()), expected, "{fact:?} in {:?}", before.state);
            states_seen.insert(state_number(&before.state));
        }
        facts.insert(fact_number(&fact));
    }
    assert_eq!(facts.into_iter().collect::<Vec<_>>(), (0..12).collect::<Vec<_>>(), "every fact has its row");
    assert_eq!(states_seen.into_iter().collect::<Vec<_>>(), (0..7).collect::<Vec<_>>(), "every state its column");
}

#[test]
fn an_order_that_is_over_stays_so() {
    for outcome in outcomes() {
        let before = Order { state: ended(outcome), ..states()[11].clone() };
        for (fact, _) in table() {
            let error = taken(&before, &fact).unwrap_err();
            assert!(error.to_string().starts_with("the order is ended now: "), "{error}");
        }
    }
}

#[test]
fn the_first_broadcast_is_news_and_the_next_is_not() {
    let before = Order { attempts: vec![transfer(1)], ..states()[3].clone() };
    let fact = OrderFact::Sent { tx_hash: tx(1), said: "two accepted".to_owned() };
    let (first, events) = taken(&before, &fact).unwrap();
    assert!(matches!(events.as_slice(), [EventKind::AttemptSent { said, .. }] if said == "two accepted"));
    assert_eq!((first.attempts[0].sends, first.attempts[0].sent_at), (1, Some(at(NOW))));
    let (second, events) = taken(&first, &fact).unwrap();
    assert!(events.is_empty());
    assert_eq!(second.attempts[0].sends, 2);
    let clears = |hold| taken(&Order { state: troubled(hold), ..before.clone() }, &fact).unwrap().0.state == sending();
    assert!(clears(Hold::TokenPaused) && clears(Hold::NodeRefuses { detail: "x".to_owned() }));
    assert!(!clears(Hold::TooManyAttempts), "the fees still cannot be raised, and that was told");
}

#[test]
fn the_same_trouble_is_told_once_with_its_first_figures() {
    let at_ceiling = |gwei| Hold::FeeCeiling { needed: Wei::from_gwei(gwei), ceiling: Wei::from_gwei(400) };
    let (first, events) = taken(&states()[3], &OrderFact::Held(at_ceiling(500))).unwrap();
    let alarm = |event: &EventKind| matches!(event, EventKind::Alarm { alarm: Alarm::FundingStuck { .. } });
    assert_eq!(events.iter().filter(|event| alarm(event)).count(), 1);
    let (second, events) = taken(&first, &OrderFact::Held(at_ceiling(501))).unwrap();
    assert!(events.is_empty() && second.state == first.state);
    let sent = OrderFact::Sent { tx_hash: tx(1), said: "known".to_owned() };
    let (third, _) = taken(&second, &sent).unwrap();
    let (_, events) = taken(&third, &OrderFact::Held(at_ceiling(502))).unwrap();
    assert!(events.is_empty(), "nor is it news after the same bytes were sent again: {events:?}");
}

#[test]
fn what_is_not_signed_raises_no_alarm_at_the_ceiling() {
    let hold = Hold::FeeCeiling { needed: Wei::from_gwei(500), ceiling: Wei::from_gwei(400) };
    let (_, events) = taken(&states()[1], &OrderFact::Held(hold)).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn after_a_revert_the_order_takes_a_later_nonce() {
    let asked = Order { approved_by: Some(alice()), ..states()[7].clone() };
    let (failed, _) = taken(&asked, &is_final(Freeing::Reverted)).unwrap();
    assert_eq!((failed.spend, failed.approved_by.clone()), (Spend::Counted, None), "a person decides, again");
    let approved = OrderFact::Approved { reason: "so it is".to_owned(), by: alice() };
    let (ready, _) = taken(&failed, &approved).unwrap();
    assert_eq!((ready.state.clone(), ready.spend, ready.attempts.len()), (State::Ready, Spend::Counted, 1));
    assert_eq!(ready.live_attempts().count(), 0, "what has failed for good is not live");
    for nonce in [0, NONCE - 1, NONCE] {
        let signed = OrderFact::Signed(Attempt { nonce, ..transfer(3) });
        assert!(taken(&ready, &signed).is_err(), "nonce {nonce} is consumed");
    }
    let (again, _) = taken(&ready, &OrderFact::Signed(Attempt { nonce: NONCE + 5, ..transfer(3) })).unwrap();
    let live: Vec<_> = again.live_attempts().map(|attempt| attempt.tx_hash).collect();
    assert_eq!(live, [tx(3)], "the fees begin anew, and the old attempt stays out of it");
    let old = OrderFact::Mined { tx_hash: tx(1), block: block(1_600), effect: PAID };
    assert!(taken(&again, &old).is_err(), "the old one is not of this nonce");
    assert!(taken(&again, &OrderFact::Sent { tx_hash: tx(1), said: String::new() }).is_err());
    let (mined, _) = taken(&again, &OrderFact::Mined { tx_hash: tx(3), block: block(1_600), effect: PAID }).unwrap();
    assert_eq!(mined.state.nonce(), Some(NONCE + 5));
}

#[test]
fn f1_after_a_revert_a_person_decides_and_spend_is_given_back_by_nobody_else() {
    let reverted = |reverts, attempts: u8, cancelling| {
        let state = mined(1, Effect::Reverted, cancelling);
        let attempts = (0..attempts).map(|number| given(transfer(number + 1))).collect();
        let before = Order { reverts, attempts, ..order_in("p", state) };
        taken(&before, &is_final(Freeing::Reverted)).unwrap().0
    };
    for (reverts, attempts, cancelling) in [(0, 1, None), (1, 7, None), (2, 12, None), (0, 1, Some(person()))] {
        let after = reverted(reverts, attempts, cancelling);
        let why = ApprovalReason::Reverted { tx_hash: tx(1), block: block(1_500) };
        assert_eq!((after.state.clone(), after.spend), (State::AwaitingApproval { why }, Spend::Counted));
        assert_eq!(after.reverts, reverts + 1);
        let (over, _) = taken(&after, &OrderFact::Held(Hold::PaymentEnded)).unwrap();
        assert_eq!((over.state.name(), over.spend), ("ended", Spend::Counted), "the API's end gives nothing back");
        let rejected = OrderFact::Rejected { reason: "no".to_owned(), by: alice() };
        let (over, _) = taken(&after, &rejected).unwrap();
        assert_eq!((over.state.name(), over.spend), ("ended", Spend::GivenBack));
    }
}

#[test]
fn four_attempts_are_kept_for_the_self_send() {
    let with = |count: u8, state, kind| {
        let attempts = (0..count).map(|number| given(transfer(number + 1))).collect();
        let before = Order { attempts, ..order_in("p", state) };
        taken(&before, &OrderFact::Signed(attempt(99, kind, gwei(440, 90)))).is_ok()
    };
    let most = u8::try_from(MAX_ATTEMPTS).unwrap();
    assert!(with(most - 5, sending(), AttemptKind::Transfer));
    assert!(!with(most - 4, sending(), AttemptKind::Transfer));
    assert!(with(most - 4, cancelling(), AttemptKind::SelfSend));
    assert!(with(most - 1, cancelling(), AttemptKind::SelfSend));
    assert!(!with(most, cancelling(), AttemptKind::SelfSend), "the record stays small");
}

#[test]
fn a_cancelled_order_tells_which_of_the_two_was_mined() {
    let outcome = |number: u8, effect| {
        let fact = OrderFact::Mined { tx_hash: tx(number), block: block(1_600), effect };
        let (mined, _) = taken(&states()[5], &fact).unwrap();
        let (after, _) = taken(&mined, &is_final(Freeing::of_effect(effect))).unwrap();
        match after.state {
            State::Ended { outcome, .. } => (outcome, after.spend),
            state => panic!("it is over, not {state:?}"),
        }
    };
    let self_sent = OrderOutcome::SelfSent { tx_hash: tx(2), why: person() };
    assert_eq!(outcome(2, Effect::SelfSent), (self_sent, Spend::GivenBack));
    let paid = OrderOutcome::Paid { tx_hash: tx(1), block: block(1_600), log_index: 3 };
    assert_eq!(outcome(1, PAID), (paid, Spend::Counted));
    let moved_nothing = OrderOutcome::MovedNothing { tx_hash: tx(1) };
    assert_eq!(outcome(1, Effect::MovedNothing), (moved_nothing, Spend::Counted));
}

#[test]
fn a_receipt_pays_only_by_the_tokens_own_log_of_the_very_transfer() {
    let order = Order { attempts: vec![given(transfer(1)), given(self_send(2))], ..order_in("p", cancelling()) };
    let log = Transfer {
        block: block(1_500),
        block_time: None,
        tx_hash: tx(1),
        log_index: 3,
        token: USDC,
        from: WALLET,
        to: HOME,
        amount: order.amount,
    };
    let (gas_used, gas_price) = (Some(62_147), Some(Wei::from_gwei(80)));
    let receipt = |succeeded, transfers: Vec<Transfer>| Receipt {
        tx_hash: tx(1),
        block: block(1_500),
        succeeded,
        transfers,
        gas_used,
        gas_price,
    };
    let of = |succeeded, transfers| effect(&order, &order.attempts[0], &receipt(succeeded, transfers));
    assert_eq!(of(true, vec![log]), PAID);
    let fakes = [
        Transfer { token: BRIDGED, ..log },
        Transfer { from: ALICE, ..log },
        Transfer { to: BOB, ..log },
        Transfer { amount: Amount::from_base_units(ASKED - 1), ..log },
        Transfer { amount: Amount::from_base_units(ASKED + 1), ..log },
        Transfer { amount: Amount::ZERO, ..log },
    ];
    for fake in fakes {
        assert_eq!(of(true, vec![fake]), Effect::MovedNothing, "{fake:?}");
        assert_eq!(of(true, vec![fake, Transfer { log_index: 9, ..log }]), Effect::Paid { log_index: 9 });
    }
    assert_eq!(of(true, vec![]), Effect::MovedNothing, "status 1 moves no money by itself");
    assert_eq!(of(false, vec![log]), Effect::Reverted, "what failed has no logs");
    for succeeded in [true, false] {
        let got = effect(&order, &order.attempts[1], &receipt(succeeded, vec![log]));
        assert_eq!(got, Effect::SelfSent, "the nonce is consumed, however it went");
    }
}

#[test]
fn f2_what_was_spent_counts_from_the_time_of_the_block_that_mined_it() {
    let mined = |effect| Order { attempts: vec![given(transfer(1))], ..order_in("p", mined(1, effect, None)) };
    for (effect, expected) in
        [(PAID, Some(at(NOW - 3))), (Effect::MovedNothing, Some(at(NOW - 3))), (Effect::Reverted, None)]
    {
        let order = mined(effect);
        assert_eq!(order.spent_at, None, "what is open counts whatever its age");
        let (after, _) = taken(&order, &is_final(Freeing::of_effect(effect))).unwrap();
        assert_eq!(after.spent_at, expected, "{effect:?}");
    }
    let signed = Order { attempts: vec![given(transfer(1))], ..order_in("p", sending()) };
    let (displaced, _) = taken(&signed, &is_displaced(Freeing::Displaced)).unwrap();
    assert_eq!((displaced.spend, displaced.spent_at), (Spend::Counted, Some(at(NOW - 3))));
    let (rejected, _) = taken(&order_in("p", awaiting()), &rejection()).unwrap();
    assert_eq!((rejected.spend, rejected.spent_at), (Spend::GivenBack, None));
}

fn rejection() -> OrderFact {
    OrderFact::Rejected { reason: "no".to_owned(), by: alice() }
}

#[test]
fn an_approval_ages_out_and_nothing_was_ever_signed() {
    let approval = OrderFact::Approved { reason: "fine".to_owned(), by: alice() };
    let waits = |secs| Order { placed_at: at(NOW - secs), next_at: None, ..order_in("p", awaiting()) };
    let most = FUNDING.approval_valid_for.as_secs();
    assert!(taken(&waits(most), &approval).is_ok(), "as long as that it may wait");
    assert!(taken(&waits(most), &OrderFact::ApprovalExpired).is_err());
    assert!(taken(&waits(most + 1), &approval).is_err(), "nobody approves what is not asked for any more");
    let (over, events) = taken(&waits(most + 1), &OrderFact::ApprovalExpired).unwrap();
    let why = UnsentReason::ApprovalExpired { valid_for_s: most };
    assert_eq!(over.state, State::Ended { outcome: OrderOutcome::Unsent { why }, at: at(NOW) });
    assert_eq!((over.spend, over.next_at, over.attempts.len(), events.len()), (Spend::GivenBack, None, 0, 1));
    for state in [State::Ready, State::Held { why: Hold::TokenPaused }, sending(), cancelling()] {
        let old = Order { placed_at: at(1), attempts: vec![transfer(1)], ..order_in("p", state) };
        assert!(taken(&old, &OrderFact::ApprovalExpired).is_err(), "{:?}", old.state);
    }
}

#[test]
fn f7_an_order_that_needs_an_approval_since_the_rules_were_tightened_waits_for_it() {
    let why = ApprovalReason::TypedAddress;
    let missing = OrderFact::Held(Hold::ApprovalMissing { why });
    let most = FUNDING.approval_valid_for.as_secs();
    for state in [State::Ready, State::Held { why: Hold::TokenPaused }] {
        let old = Order { placed_at: at(1), ..order_in("p", state) };
        let (waits, events) = taken(&old, &missing).unwrap();
        assert_eq!((&waits.state, events.len()), (&State::AwaitingApproval { why }, 1));
        assert_eq!(waits.next_at, Some(at(NOW + most)), "its time begins now, however old it is");
        let approval = OrderFact::Approved { reason: "fine".to_owned(), by: alice() };
        assert_eq!(taken(&waits, &approval).unwrap().0.state, State::Ready);
    }
    let (withdrawn, _) = taken(&order_in("p", sending()), &missing).unwrap();
    assert!(matches!(withdrawn.state, State::Cancelling { .. }), "what is signed is withdrawn: {withdrawn:?}");
}
