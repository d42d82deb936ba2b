//! What a person may decide, in each state, and what no person's word changes.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, ReviewReason, Verdict};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::policy::address::AddressState;
use rampwatch::policy::resolve::{Decision, MAX_REASON, ResolveError, resolve};

use super::samples::*;

const WHY: &str = "the customer called";

fn decide(book: &mut AddressState, decision: &Decision) -> Result<(), ResolveError> {
    resolve(book, decision, said(WHY), &context())?;
    book.settle(&STRICT, &context()).expect("it settles");
    Ok(())
}

fn assign(deposit: DepositKey, payment: &str) -> Decision {
    Decision::Assign { deposit, payment: id(payment) }
}

fn key() -> DepositKey {
    deposit(1, ASKED).key
}

fn review(why: PaymentReview) -> PaymentState {
    PaymentState::Review { why, deposit: Some(key()) }
}

/// Every state with the deposit that is the payment's, and whether retry, cancel and assigning another may be done.
fn table() -> Vec<(PaymentState, bool, bool, bool)> {
    let deposit = key();
    let ended = |outcome| PaymentState::Ended { outcome, at: at(NOW - 5) };
    vec![
        (PaymentState::Waiting, true, true, true),
        (PaymentState::Seen { deposit }, true, true, false),
        (PaymentState::Due { deposit, attempt: 1 }, true, true, false),
        (PaymentState::Calling { deposit, attempt: 1, started_at: at(NOW) }, false, false, false),
        (PaymentState::Unclear { deposit, attempt: 1, refusal: None }, false, false, false),
        (PaymentState::Following { deposit: Some(deposit) }, true, false, false),
        (PaymentState::Following { deposit: None }, true, false, false),
        (review(PaymentReview::StillAwaiting), true, true, true),
        (review(PaymentReview::Refused { refusal: refusal() }), true, true, true),
        (PaymentState::Review { why: PaymentReview::NotFound, deposit: None }, true, true, true),
        (ended(Outcome::Completed), false, false, false),
        (ended(Outcome::Expired), true, false, false),
        (ended(Outcome::Failed), true, false, false),
        (ended(Outcome::Refunded), true, false, false),
        (ended(Outcome::Cancelled), false, false, false),
    ]
}

/// The payment, its deposit (standing or not), and another one that is too small.
fn book_of(state: &PaymentState, standing: BlockStatus) -> AddressState {
    let verdict = if state.deposit().is_some() { pays("p") } else { Verdict::Unjudged };
    let its = Deposit { verdict, standing, ..deposit(1, ASKED) };
    let mut deposits = vec![Deposit { verdict: under(), ..final_deposit(2, 7) }];
    if state.deposit().is_some() {
        deposits.push(its);
    }
    AddressState::open(vec![in_state("p", state.clone())], deposits)
}

fn under() -> Verdict {
    Verdict::Review { why: ReviewReason::Under { missing: Amount::from_base_units(ASKED - 7) } }
}

#[test]
fn each_decision_in_each_state() {
    for (state, may_retry, may_cancel, may_assign) in table() {
        let decisions = [
            (Decision::Retry { payment: id("p") }, may_retry),
            (Decision::Cancel { payment: id("p") }, may_cancel),
            (assign(deposit(2, 7).key, "p"), may_assign),
        ];
        for (decision, allowed) in decisions {
            let mut book = book_of(&state, FINAL);
            let got = resolve(&mut book, &decision, said(WHY), &context());
            assert_eq!(got.is_ok(), allowed, "{decision:?} in {state:?}: {got:?}");
            if allowed {
                let changes = book.changes();
                let kept = changes.events.iter().any(|event| {
                    matches!(&event.kind, EventKind::PersonDecided { action, reason, by }
                        if action == decision.name() && reason == WHY && *by == Some(alice()))
                        && event.payment == Some(id("p"))
                });
                assert!(kept, "{decision:?} is kept with its reason: {:?}", changes.events);
            }
        }
    }
}

#[test]
fn a_reason_is_needed_and_bounded() {
    let long = "é".repeat(MAX_REASON + 1);
    for (reason, good) in [("", false), (" \n\t", false), (long.as_str(), false), (&long[2..], true), (" ok ", true)] {
        let mut book = book_of(&PaymentState::Waiting, FINAL);
        let got = resolve(&mut book, &Decision::Cancel { payment: id("p") }, said(reason), &context());
        assert_eq!(got, if good { Ok(()) } else { Err(ResolveError::Reason) }, "{} bytes", reason.len());
    }
    // S9: nor is one kept that would show something else than there is.
    for reason in ["pays \u{202e}ecila", "one\nline", "\u{1b}[2Jnothing"] {
        let mut book = book_of(&PaymentState::Waiting, FINAL);
        let got = resolve(&mut book, &Decision::Cancel { payment: id("p") }, said(reason), &context());
        assert!(matches!(got, Err(ResolveError::OddReason(_))), "{reason:?}: {got:?}");
    }
}

#[test]
fn an_assigned_deposit_goes_the_same_way_as_a_matched_one() {
    let small = deposit(2, 7).key;
    let mut book = AddressState::open(vec![payment("p")], vec![Deposit { verdict: under(), ..deposit(2, 7) }]);
    decide(&mut book, &assign(small, "p")).expect("a person may");
    assert_eq!(book.payments()[0].state, PaymentState::Seen { deposit: small }, "finality is not skipped");
    book.set_standing(&small, FINAL, None, at(NOW));
    book.settle(&STRICT, &context()).expect("it settles");
    assert_eq!(book.payments()[0].state, PaymentState::Due { deposit: small, attempt: 0 });

    let mut book = book_of(&review(PaymentReview::Refused { refusal: refusal() }), FINAL);
    decide(&mut book, &assign(small, "p")).expect("a person may choose another");
    assert_eq!(book.payments()[0].state, PaymentState::Due { deposit: small, attempt: 0 });
    let paying = book.deposits().iter().filter(|deposit| matches!(deposit.verdict, Verdict::Pays { .. })).count();
    assert_eq!(paying, 1, "never two deposits for one payment");
}

#[test]
fn assignments_that_no_word_makes_right() {
    let good = || Deposit { verdict: under(), ..final_deposit(2, 7) };
    let mut elsewhere = good();
    elsewhere.key.chain_id = 1;
    let gone = |after_final| Deposit { standing: BlockStatus::Gone { after_final }, ..good() };
    let cases = [
        (gone(false), ResolveError::Gone),
        (gone(true), ResolveError::Gone),
        (Deposit { token: BRIDGED, ..good() }, ResolveError::OtherTerms("token")),
        (Deposit { to: BOB, ..good() }, ResolveError::OtherTerms("recipient")),
        (elsewhere, ResolveError::OtherTerms("chain")),
        (Deposit { amount: Amount::ZERO, ..good() }, ResolveError::MovesNothing),
        (Deposit { from: HOME, ..good() }, ResolveError::MovesNothing),
        (Deposit { verdict: pays("q"), ..good() }, ResolveError::AlreadyPays(id("q"))),
        (Deposit { verdict: assigned("p"), ..good() }, ResolveError::AlreadyPays(id("p"))),
    ];
    for (deposit, expected) in cases {
        let key = deposit.key;
        let mut book = AddressState::open(vec![payment("p")], vec![deposit]);
        assert_eq!(resolve(&mut book, &assign(key, "p"), said(WHY), &context()), Err(expected));
    }
    let mut book = AddressState::open(vec![payment("p")], vec![good()]);
    let unknown = resolve(&mut book, &assign(key(), "p"), said(WHY), &context());
    assert_eq!(unknown, Err(ResolveError::NoDeposit(key())));
    let unknown = resolve(&mut book, &assign(good().key, "x"), said(WHY), &context());
    assert_eq!(unknown, Err(ResolveError::NoPayment(id("x"))));
}

#[test]
fn a_deposit_that_was_named_to_the_api_never_completes_another_payment() {
    let its = || Deposit { verdict: pays("p"), ..final_deposit(1, ASKED) };
    let small = || Deposit { verdict: under(), ..final_deposit(2, 7) };
    let hash = key().tx_hash.to_string();
    let named = || Payment {
        api: Some(view(ApiStatus::Processing, Some(&hash))),
        ..in_state("p", review(PaymentReview::NotFound))
    };
    // The API took it: the payment takes no other deposit, and the deposit no other payment.
    let mut book = AddressState::open(vec![named(), payment("q")], vec![its(), small()]);
    let other = decide(&mut book, &assign(small().key, "p"));
    assert_eq!(other, Err(ResolveError::CompletedOtherwise { payment: id("p"), theirs: hash.clone() }));
    decide(&mut book, &Decision::Cancel { payment: id("p") }).expect("a person may");
    assert_eq!(decide(&mut book, &assign(key(), "q")), Err(ResolveError::TakenFor(id("p"))));
    // Nobody knows whether the API took it: no other payment takes it by itself.
    let unknown = in_state("p", review(PaymentReview::NotFound));
    let mut book = AddressState::open(vec![unknown, payment("q")], vec![its(), small()]);
    decide(&mut book, &assign(small().key, "p")).expect("a person may choose another");
    assert_eq!(book.payments()[1].state, PaymentState::Waiting);
    let replaced = Verdict::Review { why: ReviewReason::Replaced { payment: id("p") } };
    assert_eq!(book.deposits()[0].verdict, replaced);
}

#[test]
fn what_was_ignored_is_out_of_the_review_and_can_still_be_assigned() {
    let small = deposit(2, 7).key;
    let mut book = book_of(&PaymentState::Waiting, FINAL);
    decide(&mut book, &Decision::Ignore { deposit: small }).expect("a person may");
    assert_eq!(book.deposits()[0].verdict, Verdict::Ignored { reason: WHY.to_owned() });
    decide(&mut book, &assign(small, "p")).expect("a person may think again");
    assert_eq!(book.payments()[0].state, PaymentState::Due { deposit: small, attempt: 0 });
    let used = decide(&mut book, &Decision::Ignore { deposit: small });
    assert_eq!(used, Err(ResolveError::InUse(id("p"))));
}

#[test]
fn after_a_cancel_the_deposit_can_be_ignored_or_given_to_another_payment() {
    let states = [PaymentState::Seen { deposit: key() }, review(PaymentReview::Refused { refusal: refusal() })];
    for state in states {
        let its = Deposit { verdict: pays("p"), ..final_deposit(1, ASKED) };
        let mut book = AddressState::open(vec![in_state("p", state), payment("q")], vec![its]);
        decide(&mut book, &Decision::Cancel { payment: id("p") }).expect("a person may");
        assert_eq!(book.payments()[1].state, PaymentState::Waiting, "no other payment takes it by itself");
        let ended = Verdict::Review { why: ReviewReason::PaymentEnded { payment: id("p") } };
        assert_eq!(book.deposits()[0].verdict, ended);
        let mut other = book.clone();
        decide(&mut other, &Decision::Ignore { deposit: key() }).expect("as it says: cancel that payment first");
        decide(&mut book, &assign(key(), "q")).expect("or give it to another");
        assert_eq!(book.payments()[1].state, PaymentState::Due { deposit: key(), attempt: 0 });
    }
}

#[test]
fn retry_goes_back_to_where_the_deposit_stands() {
    let gone_again = Verdict::Review { why: ReviewReason::GoneAfterFinal { payment: Some(id("p")) } };
    let provisional = BlockStatus::Provisional;
    let cases: Vec<(&str, BlockStatus, Verdict, PaymentState)> = vec![
        ("final", FINAL, pays("p"), PaymentState::Due { deposit: key(), attempt: 0 }),
        ("not final", provisional, pays("p"), PaymentState::Seen { deposit: key() }),
        ("gone", BlockStatus::Gone { after_final: false }, Verdict::Unjudged, PaymentState::Waiting),
        (
            "gone after final",
            BlockStatus::Gone { after_final: true },
            gone_again.clone(),
            review(PaymentReview::GoneAfterFinal),
        ),
        // Its verdict is not that it pays, so a call would never be made: the payment is free for an assignment.
        ("back after it had gone", FINAL, gone_again, PaymentState::Waiting),
    ];
    for (what, standing, verdict, expected) in cases {
        let its = Deposit { standing, verdict, ..deposit(1, ASKED) };
        let stuck = in_state("p", review(PaymentReview::StillAwaiting));
        let mut book = AddressState::open(vec![stuck], vec![its]);
        decide(&mut book, &Decision::Retry { payment: id("p") }).expect("a person may");
        assert_eq!(book.payments()[0].state, expected, "{what}");
    }
    let its = Deposit { verdict: pays("p"), ..deposit(1, ASKED) };
    let mut moved = deposit(1, ASKED);
    moved.key.block_hash = tx(77);
    let lost = Deposit { standing: BlockStatus::Gone { after_final: false }, ..its };
    let why = PaymentReview::TermsDiffer { field: "amount".to_owned(), ours: "1".to_owned(), theirs: "2".to_owned() };
    let stuck: Payment = in_state("p", review(why));
    let mut book = AddressState::open(vec![stuck], vec![lost, moved.clone()]);
    decide(&mut book, &Decision::Retry { payment: id("p") }).expect("a person may");
    assert_eq!(book.payments()[0].state, PaymentState::Seen { deposit: moved.key }, "moved by a reorg meanwhile");
}
