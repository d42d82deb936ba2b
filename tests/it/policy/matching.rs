//! Which deposit pays which payment: one deposit at a time.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::{Deposit, MatchRule, NothingReason, ReviewReason, Verdict};
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::policy::matching::{Claims, MatchParams, decide};

use super::samples::*;

fn review(why: ReviewReason) -> Verdict {
    Verdict::Review { why }
}

fn under(missing: u128) -> Verdict {
    review(ReviewReason::Under { missing: Amount::from_base_units(missing) })
}

fn over(excess: u128) -> Verdict {
    review(ReviewReason::Over { excess: Amount::from_base_units(excess) })
}

fn near(name: &str, off_by: u128) -> Verdict {
    let rule = MatchRule::Tolerance { off_by: Amount::from_base_units(off_by) };
    Verdict::Pays { payment: id(name), rule }
}

fn by_sender(name: &str) -> Verdict {
    Verdict::Pays { payment: id(name), rule: MatchRule::Sender }
}

fn ambiguous(names: &[&str]) -> Verdict {
    review(ReviewReason::Ambiguous { candidates: names.iter().map(|name| id(name)).collect() })
}

fn decided(deposit: &Deposit, payments: &[Payment], params: &MatchParams) -> Verdict {
    decide(deposit, payments, &Claims::new(), params)
}

#[test]
fn amounts_are_compared_in_base_units_up_to_the_tolerance() {
    let cases = [
        (STRICT, ASKED, pays("p")),
        (STRICT, ASKED - 1, under(1)),
        (STRICT, ASKED + 1, over(1)),
        (STRICT, 1, under(ASKED - 1)),
        (STRICT, u128::MAX, over(u128::MAX - ASKED)),
        (TOLERANT, ASKED, pays("p")),
        (TOLERANT, ASKED - 1, near("p", 1)),
        (TOLERANT, ASKED - 500, near("p", 500)),
        (TOLERANT, ASKED - 501, under(501)),
        (TOLERANT, ASKED + 200, near("p", 200)),
        (TOLERANT, ASKED + 201, over(201)),
    ];
    for (params, amount, expected) in cases {
        let got = decided(&deposit(1, amount), &[payment("p")], &params);
        assert_eq!(got, expected, "{amount} with {params:?}");
    }
}

#[test]
fn several_that_fit_are_settled_by_a_unique_sender_or_by_a_person() {
    let exact = deposit(1, ASKED);
    let off = deposit(1, ASKED + 100);
    let small = deposit(1, 5);
    let cases: Vec<(&str, &Deposit, Vec<Payment>, Verdict)> = vec![
        ("nobody named", &exact, vec![payment("a"), payment("b")], ambiguous(&["a", "b"])),
        ("one named", &exact, vec![payment("a"), naming("b", ALICE)], by_sender("b")),
        ("each its own", &exact, vec![naming("a", BOB), naming("b", ALICE)], by_sender("b")),
        ("both the same", &exact, vec![naming("a", ALICE), naming("b", ALICE)], ambiguous(&["a", "b"])),
        ("another sender", &exact, vec![naming("a", BOB), payment("b")], ambiguous(&["a", "b"])),
        ("only one fits", &exact, vec![asking("a", ASKED + 1), payment("b")], pays("b")),
        ("exact before near", &off, vec![payment("a"), asking("b", ASKED + 100)], pays("b")),
        ("two near", &off, vec![payment("a"), asking("b", ASKED + 200)], ambiguous(&["a", "b"])),
        ("one fits, whoever sends", &exact, vec![naming("a", BOB)], pays("a")),
        ("none fits", &small, vec![payment("a"), asking("b", 7_000)], review(ReviewReason::NoFit)),
    ];
    for (what, deposit, payments, expected) in cases {
        assert_eq!(decided(deposit, &payments, &TOLERANT), expected, "{what}");
        let reversed: Vec<Payment> = payments.into_iter().rev().collect();
        assert_eq!(decided(deposit, &reversed, &TOLERANT), expected, "{what}, the other way round");
    }
}

#[test]
fn money_that_came_in_time_for_a_payment_that_is_over_may_have_been_meant_for_it() {
    let over = |name, outcome| in_state(name, PaymentState::Ended { outcome, at: at(11_000) });
    let naming_alice = |payment: Payment| Payment { terms: naming("x", ALICE).terms, ..payment };
    let given_up = in_state("a", PaymentState::Review { why: PaymentReview::NotFound, deposit: None });
    let done = in_state("a", PaymentState::Ended { outcome: Outcome::Completed, at: at(11_000) });
    let asks_more = Payment { terms: asking("x", ASKED + 200).terms, ..over("a", Outcome::Expired) };
    let cases = [
        ("expired", over("a", Outcome::Expired), payment("b"), ambiguous(&["a", "b"])),
        ("failed", over("a", Outcome::Failed), payment("b"), ambiguous(&["a", "b"])),
        ("a person cancelled it", over("a", Outcome::Cancelled), payment("b"), pays("b")),
        ("with a person", given_up, payment("b"), ambiguous(&["a", "b"])),
        ("the open one is named", over("a", Outcome::Expired), naming("b", ALICE), by_sender("b")),
        ("the ended one is named", naming_alice(over("a", Outcome::Expired)), payment("b"), ambiguous(&["a", "b"])),
        ("it fits better", over("a", Outcome::Expired), asking("b", ASKED + 200), ambiguous(&["a", "b"])),
        ("it fits worse", asks_more.clone(), payment("b"), pays("b")),
        ("it had its money", done, payment("b"), pays("b")),
    ];
    for (what, ended, open, expected) in cases {
        let got = decided(&deposit(1, ASKED), &[ended.clone(), open.clone()], &TOLERANT);
        assert_eq!(got, expected, "{what}");
        assert_eq!(decided(&deposit(1, ASKED), &[open, ended], &TOLERANT), expected, "{what}, the other way round");
    }
    let late = Deposit { block_time: at(EXPIRY + 121), ..deposit(1, ASKED) };
    let endless =
        Payment { terms: rampwatch::domain::payment::Terms { expires_at: None, ..payment("b").terms }, ..payment("b") };
    let got = decided(&late, &[over("a", Outcome::Expired), endless], &TOLERANT);
    assert_eq!(got, pays("b"), "it came too late for the one that is over");
}

#[test]
fn at_most_eight_candidates_are_named() {
    let payments: Vec<Payment> = (0..12).map(|number| payment(&format!("p{number:02}"))).collect();
    let Verdict::Review { why: ReviewReason::Ambiguous { candidates } } =
        decided(&deposit(1, ASKED), &payments, &STRICT)
    else {
        panic!("twelve fit");
    };
    assert_eq!(candidates.len(), 8);
}

#[test]
fn the_block_time_must_lie_between_creation_and_expiry_within_the_skew() {
    let early = || review(ReviewReason::Early { payment: id("p") });
    let late = || review(ReviewReason::Late { payment: id("p") });
    let cases = [
        (CREATED - 121, early()),
        (CREATED - 120, pays("p")),
        (CREATED, pays("p")),
        (EXPIRY, pays("p")),
        (EXPIRY + 120, pays("p")),
        (EXPIRY + 121, late()),
    ];
    for (secs, expected) in cases {
        let deposit = Deposit { block_time: at(secs), ..deposit(1, ASKED) };
        assert_eq!(decided(&deposit, &[payment("p")], &STRICT), expected, "{secs}");
    }
    let mut endless = payment("p");
    endless.terms.expires_at = None;
    let deposit = Deposit { block_time: at(EXPIRY * 1_000), ..deposit(1, ASKED) };
    assert_eq!(decided(&deposit, &[endless], &STRICT), pays("p"), "without an expiry nothing is late");
}

#[test]
fn money_after_the_expiry_of_an_expired_payment_is_late_not_only_for_an_ended_one() {
    let mut expired = payment("p");
    expired.state = PaymentState::Ended { outcome: Outcome::Expired, at: at(EXPIRY + 300) };
    let late = Deposit { block_time: at(EXPIRY + 300), ..deposit(1, ASKED) };
    let early = Deposit { block_time: at(1), ..deposit(1, ASKED) };
    let judged = |deposit: &Deposit| decided(deposit, std::slice::from_ref(&expired), &STRICT);
    assert_eq!(judged(&late), review(ReviewReason::Late { payment: id("p") }));
    assert_eq!(judged(&early), review(ReviewReason::Early { payment: id("p") }));
    assert_eq!(judged(&deposit(1, ASKED)), review(ReviewReason::PaymentEnded { payment: id("p") }));
}

#[test]
fn what_credits_nothing_and_what_is_of_another_token() {
    let poison = Deposit { amount: Amount::ZERO, ..deposit(1, 0) };
    let own = Deposit { from: HOME, ..deposit(1, ASKED) };
    let mint = Deposit { from: Address::ZERO, ..deposit(1, ASKED) };
    let bridged = Deposit { token: BRIDGED, ..deposit(1, ASKED) };
    let mut elsewhere = deposit(1, ASKED);
    elsewhere.key.chain_id = CHAIN + 1;
    let nothing = |why| Verdict::Nothing { why };
    let cases = [
        ("zero value", &poison, nothing(NothingReason::ZeroValue)),
        ("to itself", &own, nothing(NothingReason::SelfTransfer)),
        ("a mint is a credit", &mint, pays("p")),
        ("the other token", &bridged, review(ReviewReason::WrongToken)),
        ("the other chain", &elsewhere, review(ReviewReason::WrongToken)),
    ];
    for (what, deposit, expected) in cases {
        assert_eq!(decided(deposit, &[payment("p")], &STRICT), expected, "{what}");
    }
    assert_eq!(decided(&deposit(1, ASKED), &[], &STRICT), review(ReviewReason::NoPayment));
    assert_eq!(decided(&poison, &[], &STRICT), nothing(NothingReason::ZeroValue));
    let mut zero = asking("p", 0);
    zero.terms.expires_at = None;
    assert_eq!(decided(&poison, &[zero], &STRICT), nothing(NothingReason::ZeroValue), "not even a payment of zero");
}

#[test]
fn a_payment_that_has_its_deposit_or_is_over_is_not_paid_again() {
    let key = deposit(9, ASKED).key;
    let second = || review(ReviewReason::SecondDeposit { payment: id("p") });
    let ended = || review(ReviewReason::PaymentEnded { payment: id("p") });
    let end = |outcome| PaymentState::Ended { outcome, at: at(11_000) };
    let cases = [
        (PaymentState::Waiting, pays("p")),
        (PaymentState::Seen { deposit: key }, pays("p")),
        (PaymentState::Due { deposit: key, attempt: 0 }, second()),
        (PaymentState::Due { deposit: deposit(1, 0).key, attempt: 0 }, pays("p")),
        (PaymentState::Following { deposit: Some(deposit(1, 0).key) }, pays("p")),
        (PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) }, second()),
        (PaymentState::Unclear { deposit: key, attempt: 1, refusal: None }, second()),
        (PaymentState::Unclear { deposit: key, attempt: 1, refusal: Some(refusal()) }, second()),
        (PaymentState::Following { deposit: Some(key) }, second()),
        (PaymentState::Following { deposit: None }, second()),
        (PaymentState::Review { why: PaymentReview::StillAwaiting, deposit: Some(key) }, second()),
        (PaymentState::Review { why: PaymentReview::NotFound, deposit: None }, ended()),
        (end(Outcome::Completed), second()),
        (end(Outcome::Failed), ended()),
        (end(Outcome::Expired), ended()),
        (end(Outcome::Refunded), ended()),
        (end(Outcome::Cancelled), ended()),
    ];
    for (state, expected) in cases {
        let got = decided(&deposit(1, ASKED), &[in_state("p", state.clone())], &STRICT);
        assert_eq!(got, expected, "{state:?}");
    }
    let claims = Claims::from([(id("p"), key)]);
    assert_eq!(decide(&deposit(1, ASKED), &[payment("p")], &claims, &STRICT), second(), "claimed by another");
    assert_eq!(decide(&deposit(9, ASKED), &[payment("p")], &claims, &STRICT), pays("p"), "claimed by itself");
    let open = decide(&deposit(1, ASKED), &[payment("p"), payment("q")], &claims, &STRICT);
    assert_eq!(open, pays("q"), "the other one is still open");
}

#[test]
fn the_reason_names_the_payment_that_the_amount_fits() {
    let ended = PaymentState::Ended { outcome: Outcome::Expired, at: at(11_000) };
    let open = || asking("open", 70);
    let over = || in_state("over", ended.clone());
    let got = decided(&deposit(1, ASKED), &[open(), over()], &STRICT);
    assert_eq!(got, review(ReviewReason::PaymentEnded { payment: id("over") }));
    let got = decided(&deposit(1, 50), &[open(), over()], &STRICT);
    assert_eq!(got, under(20), "no payment fits, one is open");
    let got = decided(&deposit(1, 50), &[over()], &STRICT);
    assert_eq!(got, review(ReviewReason::PaymentEnded { payment: id("over") }), "no payment is open at all");
}

/// A payment that somebody completed by hand, as the API tells it.
fn by_hand(name: &str, state: PaymentState, hash: &str) -> Payment {
    Payment { api: Some(view(ApiStatus::Processing, Some(hash))), ..in_state(name, state) }
}

#[test]
fn a_payment_completed_by_hand_takes_the_deposit_that_the_api_names() {
    let key = deposit(9, ASKED).key;
    let ours = tx(1).to_string();
    let other = tx(2).to_string();
    let second = || review(ReviewReason::SecondDeposit { payment: id("p") });
    let following = || PaymentState::Following { deposit: None };
    let completed = || PaymentState::Ended { outcome: Outcome::Completed, at: at(NOW) };
    let expired = || PaymentState::Ended { outcome: Outcome::Expired, at: at(NOW) };
    let cases = [
        (following(), &ours, ASKED, pays("p")),
        (completed(), &ours, ASKED, pays("p")),
        (following(), &other, ASKED, second()),
        (completed(), &other, ASKED, second()),
        (following(), &ours, ASKED - 1, under(1)),
        (expired(), &ours, ASKED, review(ReviewReason::PaymentEnded { payment: id("p") })),
        (PaymentState::Following { deposit: Some(key) }, &other, ASKED, second()),
    ];
    for (state, hash, amount, expected) in cases {
        let got = decided(&deposit(1, amount), &[by_hand("p", state.clone(), hash)], &STRICT);
        assert_eq!(got, expected, "{state:?} {hash} {amount}");
    }
    let moved = in_state("p", PaymentState::Following { deposit: Some(key) });
    let moved = Payment { api: Some(view(ApiStatus::Processing, Some(&ours))), ..moved };
    assert_eq!(decided(&deposit(1, ASKED), &[moved], &STRICT), pays("p"), "its transaction came back in another block");
    let late = Deposit { block_time: at(EXPIRY * 2), ..deposit(1, ASKED) };
    let got = decided(&late, &[by_hand("p", following(), &ours)], &STRICT);
    assert_eq!(got, pays("p"), "the API took it, so it was not too late");
}

#[test]
fn money_that_the_api_took_for_one_payment_never_completes_another() {
    let hash = tx(1).to_string();
    let taken = || by_hand("taken", PaymentState::Following { deposit: None }, &hash);
    let got = decided(&deposit(1, ASKED), &[taken(), payment("open")], &STRICT);
    assert_eq!(got, pays("taken"), "the API's own hash is no guess");
    let got = decided(&deposit(1, ASKED), &[taken(), naming("open", ALICE)], &STRICT);
    assert_eq!(got, pays("taken"), "though the open one names the sender");
    let got = decided(&deposit(1, ASKED - 5), &[taken(), asking("open", ASKED - 5)], &TOLERANT);
    assert_eq!(got, near("taken", 5), "though the open one fits better");
}
