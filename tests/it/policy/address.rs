//! The book of one address: facts in, conclusions out, and events that explain them.

use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, ReviewReason, Verdict};
use rampwatch::domain::event::{EventKind, Reading};
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::policy::address::{AddressChanges, AddressState};
use rampwatch::policy::payment_machine::Fact;

use super::samples::*;

fn settled(payments: Vec<Payment>, deposits: Vec<Deposit>) -> AddressState {
    let mut book = AddressState::open(payments, deposits);
    book.settle(&STRICT, &context()).expect("it settles");
    book
}

fn state(book: &AddressState) -> &PaymentState {
    &book.payments()[0].state
}

fn verdicts(book: &AddressState) -> Vec<Verdict> {
    book.deposits().iter().map(|deposit| deposit.verdict.clone()).collect()
}

fn due(key: DepositKey) -> PaymentState {
    PaymentState::Due { deposit: key, attempt: 0 }
}

/// The names of the events, in order.
fn told(changes: &AddressChanges) -> Vec<&'static str> {
    let name = |kind: &EventKind| match kind {
        EventKind::PaymentAdded { .. } => "added",
        EventKind::PaymentMoved { to, .. } => to.name(),
        EventKind::DepositSeen { .. } => "deposit seen",
        EventKind::DepositJudged { .. } => "judged",
        EventKind::DepositStands { .. } => "stands",
        _ => "something else",
    };
    changes.events.iter().map(|event| name(&event.kind)).collect()
}

#[test]
fn a_new_deposit_is_seen_and_due_when_it_is_final() {
    let paying = deposit(1, ASKED);
    let mut book = AddressState::open(vec![payment("p")], vec![]);
    book.add_deposit(paying.clone(), Reading::Sweep);
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &PaymentState::Seen { deposit: paying.key });
    let changes = book.changes();
    assert_eq!(told(&changes), ["deposit seen", "judged", "seen"]);

    let mut book = AddressState::open(changes.payments, changes.deposits);
    book.set_standing(&paying.key, FINAL, None, at(NOW));
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &due(paying.key));
    assert_eq!(told(&book.changes()), ["stands", "due"]);

    let mut book = AddressState::open(vec![payment("p")], vec![]);
    book.add_deposit(final_deposit(1, ASKED), Reading::Second);
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &due(paying.key), "seen and final in one");
    let changes = book.changes();
    assert_eq!(told(&changes), ["deposit seen", "judged", "seen", "due"]);
    assert_eq!(changes.payments[0].next_at, Some(at(NOW)));
}

#[test]
fn nothing_new_changes_nothing() {
    let seen = in_state("p", PaymentState::Seen { deposit: deposit(1, ASKED).key });
    let book = settled(vec![seen], vec![Deposit { verdict: pays("p"), ..deposit(1, ASKED) }]);
    assert_eq!(book.changes(), AddressChanges::default());
    let mut book = AddressState::open(vec![payment("p")], vec![deposit(1, ASKED)]);
    book.set_standing(&deposit(1, ASKED).key, BlockStatus::Provisional, None, at(NOW));
    book.set_verdict(&deposit(1, ASKED).key, Verdict::Unjudged, at(NOW));
    assert_eq!(book.changes(), AddressChanges::default());
}

#[test]
fn a_deposit_that_goes_before_it_is_final_is_not_seen_any_more() {
    let lost = Deposit { verdict: pays("p"), ..deposit(1, ASKED) };
    let seen = in_state("p", PaymentState::Seen { deposit: lost.key });
    let mut book = AddressState::open(vec![seen], vec![lost.clone()]);
    book.set_standing(&lost.key, BlockStatus::Gone { after_final: false }, Some(tx(99)), at(NOW));
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &PaymentState::Waiting);
    assert_eq!(verdicts(&book), [Verdict::Unjudged]);
    assert_eq!(told(&book.clone().changes()), ["stands", "judged", "waiting"]);

    // The same transaction in another block, at another log index.
    let mut moved = deposit(1, ASKED);
    (moved.key.block_hash, moved.key.log_index) = (tx(77), 5);
    let mut at_once = book.clone();
    at_once.add_deposit(moved.clone(), Reading::Sweep);
    at_once.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&at_once), &PaymentState::Seen { deposit: moved.key });
    book.set_standing(&lost.key, BlockStatus::Provisional, None, at(NOW));
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &PaymentState::Seen { deposit: lost.key }, "its block came back");
}

#[test]
fn a_deposit_that_goes_after_it_was_final_is_a_review_and_stops_a_call() {
    let lost = Deposit { verdict: pays("p"), ..final_deposit(1, ASKED) };
    let key = lost.key;
    let review = |why| PaymentState::Review { why, deposit: Some(key) };
    let stopped = review(PaymentReview::GoneAfterFinal);
    let end = |outcome| PaymentState::Ended { outcome, at: at(NOW - 5) };
    let same = |state: PaymentState| (state.clone(), state);
    let cases = [
        (PaymentState::Seen { deposit: key }, stopped.clone()),
        (due(key), stopped.clone()),
        (PaymentState::Due { deposit: key, attempt: 3 }, stopped.clone()),
        same(PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) }),
        same(PaymentState::Unclear { deposit: key, attempt: 1, refusal: None }),
        same(PaymentState::Following { deposit: Some(key) }),
        same(review(PaymentReview::StillAwaiting)),
        same(stopped.clone()),
        same(end(Outcome::Completed)),
        same(end(Outcome::Failed)),
    ];
    let alarm = Verdict::Review { why: ReviewReason::GoneAfterFinal { payment: Some(id("p")) } };
    for (before, after) in cases {
        let mut book = AddressState::open(vec![in_state("p", before.clone())], vec![lost.clone()]);
        book.set_standing(&key, BlockStatus::Gone { after_final: true }, None, at(NOW));
        book.settle(&STRICT, &context()).expect("it settles");
        assert_eq!(state(&book), &after, "from {before:?}");
        assert_eq!(verdicts(&book), std::slice::from_ref(&alarm), "from {before:?}");
    }
}

#[test]
fn a_call_that_turns_out_not_to_have_been_made_stops_for_a_deposit_that_went() {
    let gone = Deposit {
        standing: BlockStatus::Gone { after_final: true },
        verdict: Verdict::Review { why: ReviewReason::GoneAfterFinal { payment: Some(id("p")) } },
        ..deposit(1, ASKED)
    };
    // Back on the chain, and final, it keeps its verdict until a person has decided.
    let back = Deposit { standing: FINAL, ..gone.clone() };
    let ignored = Deposit { verdict: Verdict::Ignored { reason: "dust".to_owned() }, ..back.clone() };
    for went in [gone, back, ignored] {
        let calling = PaymentState::Calling { deposit: went.key, attempt: 1, started_at: at(NOW - 61) };
        let mut book = AddressState::open(vec![in_state("p", calling)], vec![went.clone()]);
        let open = Fact::Reported(view(ApiStatus::AwaitingFunds, None));
        book.tell(&id("p"), &open, &context()).expect("a report is always taken");
        book.settle(&STRICT, &context()).expect("it settles");
        let expected = PaymentState::Review { why: PaymentReview::GoneAfterFinal, deposit: Some(went.key) };
        assert_eq!(state(&book), &expected, "{went:?}");
    }
}

#[test]
fn a_payment_that_is_added_to_an_address_with_deposits_takes_them_up() {
    let no_payment = Verdict::Review { why: ReviewReason::NoPayment };
    let early = Deposit { verdict: no_payment, ..final_deposit(1, ASKED) };
    let mut book = AddressState::open(vec![], vec![early.clone()]);
    book.add_payment(Payment { version: 0, ..payment("p") });
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &due(early.key));
    assert_eq!(told(&book.changes()), ["added", "judged", "seen", "due"]);

    // A second one that fits as well makes it a guess, as long as nothing is final.
    let paying = Deposit { verdict: pays("a"), ..deposit(1, ASKED) };
    let seen = in_state("a", PaymentState::Seen { deposit: paying.key });
    let mut book = AddressState::open(vec![seen], vec![paying.clone()]);
    book.add_payment(payment("b"));
    book.settle(&STRICT, &context()).expect("it settles");
    let why = ReviewReason::Ambiguous { candidates: vec![id("a"), id("b")] };
    assert_eq!(verdicts(&book), [Verdict::Review { why }]);
    assert!(book.payments().iter().all(|payment| payment.state == PaymentState::Waiting));

    let paid = in_state("a", due(paying.key));
    let mut book =
        AddressState::open(vec![paid.clone()], vec![Deposit { verdict: pays("a"), ..final_deposit(1, ASKED) }]);
    book.add_payment(payment("b"));
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(book.payments(), [paid, payment("b")], "what is final is not judged anew");
}

#[test]
fn a_payment_that_became_due_settles_what_was_ambiguous() {
    let either = final_deposit(1, ASKED);
    let named = Deposit { from: BOB, ..final_deposit(2, ASKED) };
    let (first, second) = (either.key, named.key);
    let book = settled(vec![naming("a", BOB), payment("b")], vec![either.clone(), named.clone()]);
    let states: Vec<&PaymentState> = book.payments().iter().map(|payment| &payment.state).collect();
    assert_eq!(states, [&due(second), &due(first)], "at once, not when something else happens to the address");

    let not_final = Deposit { standing: BlockStatus::Provisional, ..named };
    let book = settled(vec![naming("a", BOB), payment("b")], vec![either, not_final]);
    assert_eq!(book.payments()[1].state, PaymentState::Waiting, "what may still go away settles nothing");
}

#[test]
fn an_earlier_deposit_that_is_found_later_takes_the_place_until_finality() {
    let then = Deposit { verdict: pays("p"), ..deposit(2, ASKED) };
    let mut book = AddressState::open(vec![in_state("p", PaymentState::Seen { deposit: then.key })], vec![then]);
    book.add_deposit(deposit(1, ASKED), Reading::Second);
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(state(&book), &PaymentState::Seen { deposit: deposit(1, ASKED).key });
    let second = Verdict::Review { why: ReviewReason::SecondDeposit { payment: id("p") } };
    assert_eq!(verdicts(&book), [second, pays("p")]);
}

#[test]
fn a_payment_completed_by_hand_names_its_deposit_and_follows_it_into_another_block() {
    let hash = tx(1).to_string();
    let by_hand = Payment {
        api: Some(view(ApiStatus::Processing, Some(&hash))),
        ..in_state("p", PaymentState::Following { deposit: None })
    };
    let mut book = settled(vec![by_hand], vec![deposit(1, ASKED)]);
    let first = deposit(1, ASKED).key;
    assert_eq!(state(&book), &PaymentState::Following { deposit: Some(first) });
    let mut moved = deposit(1, ASKED);
    (moved.key.block_hash, moved.block_number) = (tx(77), 1_004);
    book.set_standing(&first, BlockStatus::Gone { after_final: false }, None, at(NOW));
    book.add_deposit(moved.clone(), Reading::Sweep);
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(verdicts(&book), [Verdict::Unjudged, pays("p")]);
    assert_eq!(state(&book), &PaymentState::Following { deposit: Some(moved.key) });
}

#[test]
fn a_transfer_that_a_reorg_has_moved_pays_no_other_payment() {
    let old = Deposit { verdict: pays("a"), ..final_deposit(1, ASKED) };
    let mut moved = final_deposit(1, ASKED);
    (moved.key.block_hash, moved.key.log_index, moved.block_number) = (tx(77), 13, 1_004);
    let second = Verdict::Review { why: ReviewReason::SecondDeposit { payment: id("a") } };
    for state in [due(old.key), PaymentState::Following { deposit: Some(old.key) }] {
        let mut book = AddressState::open(vec![in_state("a", state.clone()), payment("b")], vec![old.clone()]);
        book.add_deposit(moved.clone(), Reading::Sweep);
        book.settle(&STRICT, &context()).expect("it settles");
        assert_eq!(verdicts(&book), [pays("a"), second.clone()], "{state:?}");
        assert_eq!(book.payments()[1].state, PaymentState::Waiting, "the same money is not there twice: {state:?}");
    }
    // Another log of the same transaction is another transfer.
    let other = Deposit { amount: asking("b", ASKED * 2).terms.amount, ..moved };
    let following = in_state("a", PaymentState::Following { deposit: Some(old.key) });
    let mut book = AddressState::open(vec![following, asking("b", ASKED * 2)], vec![old]);
    book.add_deposit(other, Reading::Sweep);
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(verdicts(&book), [pays("a"), pays("b")]);
}

#[test]
fn what_a_match_rests_on_is_committed_with_it() {
    let mut book = AddressState::open(vec![payment("a"), asking("b", ASKED * 2)], vec![]);
    book.add_deposit(deposit(1, ASKED), Reading::Sweep);
    book.settle(&STRICT, &context()).expect("it settles");
    let changes = book.changes();
    let names: Vec<_> = changes.payments.iter().map(|payment| payment.id.clone()).collect();
    assert_eq!(names, [id("a"), id("b")], "whoever changes the other payment meanwhile is in the way");

    // What went to and fro is told, and so it is stored: nobody else's word may come between.
    let known = final_deposit(1, ASKED);
    let mut book = AddressState::open(vec![payment("p")], vec![known.clone()]);
    book.set_standing(&known.key, BlockStatus::Gone { after_final: false }, None, at(NOW));
    book.set_standing(&known.key, known.standing, None, at(NOW));
    let changes = book.changes();
    assert_eq!((told(&changes), changes.deposits), (vec!["stands", "stands"], vec![known]));
}
