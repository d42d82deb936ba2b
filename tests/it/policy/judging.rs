//! All deposits of an address together: who comes first, what stays, what only together makes the amount.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::{BlockStatus, Deposit, MatchRule, ReviewReason, Verdict};
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::policy::matching::{MatchParams, Own, judge};

use super::samples::*;

fn review(why: ReviewReason) -> Verdict {
    Verdict::Review { why }
}

fn second(name: &str) -> Verdict {
    review(ReviewReason::SecondDeposit { payment: id(name) })
}

fn under(missing: u128) -> Verdict {
    review(ReviewReason::Under { missing: Amount::from_base_units(missing) })
}

fn split(parts: u32) -> Verdict {
    review(ReviewReason::Split { payment: id("p"), parts })
}

fn ignored() -> Verdict {
    Verdict::Ignored { reason: "dust".to_owned() }
}

fn judged(number: u8, amount: u128, verdict: Verdict) -> Deposit {
    Deposit { verdict, ..deposit(number, amount) }
}

fn gone(deposit: Deposit, after_final: bool) -> Deposit {
    Deposit { standing: BlockStatus::Gone { after_final }, ..deposit }
}

#[test]
fn the_first_of_the_chain_pays_and_the_next_is_the_second() {
    let (first, then) = (deposit(1, ASKED), deposit(2, ASKED));
    assert_eq!(
        judge(&[payment("p")], &[first.clone(), then.clone()], &Own::default(), &STRICT),
        [pays("p"), second("p")]
    );
    assert_eq!(judge(&[payment("p")], &[then, first], &Own::default(), &STRICT), [second("p"), pays("p")]);
    let late_log = Deposit { block_number: 1_000, ..deposit(1, ASKED) };
    let mut early_log = Deposit { block_number: 1_000, ..deposit(2, ASKED) };
    let mut late_log = late_log;
    late_log.key.log_index = 9;
    early_log.key.log_index = 3;
    assert_eq!(judge(&[payment("p")], &[late_log, early_log], &Own::default(), &STRICT), [second("p"), pays("p")]);
}

#[test]
fn two_equal_transfers_of_one_transaction_are_two_deposits() {
    let one = deposit(1, ASKED);
    let mut two = deposit(1, ASKED);
    two.key.log_index = 1;
    let both = [one, two];
    assert_eq!(judge(&[payment("p")], &both, &Own::default(), &STRICT), [pays("p"), second("p")]);
    let ambiguous = review(ReviewReason::Ambiguous { candidates: vec![id("a"), id("b")] });
    assert_eq!(judge(&[payment("a"), payment("b")], &both, &Own::default(), &STRICT), [ambiguous.clone(), ambiguous]);
    let named = [payment("a"), naming("b", ALICE)];
    let by_sender = Verdict::Pays { payment: id("b"), rule: MatchRule::Sender };
    assert_eq!(judge(&named, &both, &Own::default(), &STRICT), [by_sender, pays("a")], "what is left over is no guess");
    let hash = tx(1).to_string();
    let by_hand = Payment {
        api: Some(view(ApiStatus::Processing, Some(&hash))),
        ..in_state("b", PaymentState::Following { deposit: None })
    };
    assert_eq!(judge(&[payment("a"), by_hand], &both, &Own::default(), &STRICT), [pays("b"), pays("a")]);
}

#[test]
fn several_deposits_that_only_together_make_the_amount() {
    let part = |number, amount| deposit(number, amount);
    let cases: Vec<(&str, MatchParams, Vec<Deposit>, Vec<Verdict>)> = vec![
        ("two", STRICT, vec![part(1, 60_000_000), part(2, 40_000_000)], vec![split(2); 2]),
        ("three", STRICT, vec![part(1, 1_000_000), part(2, 2_000_000), part(3, ASKED - 3_000_000)], vec![split(3); 3]),
        (
            "too little",
            STRICT,
            vec![part(1, 1_000_000), part(2, 2_000_000)],
            vec![under(99_000_000), under(98_000_000)],
        ),
        ("too much", STRICT, vec![part(1, ASKED - 1), part(2, ASKED - 2)], vec![under(1), under(2)]),
        ("within", TOLERANT, vec![part(1, 60_000_000), part(2, 39_999_500)], vec![split(2); 2]),
        ("above, within", TOLERANT, vec![part(1, 60_000_000), part(2, 40_000_200)], vec![split(2); 2]),
        (
            "not within",
            TOLERANT,
            vec![part(1, 60_000_000), part(2, 39_999_499)],
            vec![under(40_000_000), under(60_000_501)],
        ),
        (
            "one is ignored",
            STRICT,
            vec![part(1, 60_000_000), judged(2, 40_000_000, ignored())],
            vec![under(40_000_000), ignored()],
        ),
        (
            "one is gone",
            STRICT,
            vec![part(1, 60_000_000), gone(part(2, 40_000_000), false)],
            vec![under(40_000_000), Verdict::Unjudged],
        ),
        (
            "one came too late",
            STRICT,
            vec![part(1, 60_000_000), Deposit { block_time: at(EXPIRY * 2), ..part(2, 40_000_000) }],
            vec![under(40_000_000), review(ReviewReason::Late { payment: id("p") })],
        ),
        (
            "one is another token",
            STRICT,
            vec![part(1, 60_000_000), Deposit { token: BRIDGED, ..part(2, 40_000_000) }],
            vec![under(40_000_000), review(ReviewReason::WrongToken)],
        ),
    ];
    for (what, params, deposits, expected) in cases {
        assert_eq!(judge(&[payment("p")], &deposits, &Own::default(), &params), expected, "{what}");
    }
}

#[test]
fn parts_do_not_stand_in_the_way_of_the_whole_amount() {
    let deposits = [deposit(1, 60_000_000), deposit(2, 40_000_000), deposit(3, ASKED)];
    let got = judge(&[payment("p")], &deposits, &Own::default(), &STRICT);
    assert_eq!(got, [under(40_000_000), under(60_000_000), pays("p")], "while it is not final");
    let due = in_state("p", PaymentState::Due { deposit: deposits[2].key, attempt: 0 });
    let paid = [deposits[0].clone(), deposits[1].clone(), judged(3, ASKED, pays("p"))];
    assert_eq!(judge(&[due], &paid, &Own::default(), &STRICT), [second("p"), second("p"), pays("p")], "and then");
}

#[test]
fn parts_that_arrive_one_by_one_are_judged_anew() {
    let mut deposits = vec![deposit(1, 50_000_000)];
    let steps = [
        (vec![under(50_000_000)], Some(deposit(2, 30_000_000))),
        (vec![under(50_000_000), under(70_000_000)], Some(deposit(3, 20_000_000))),
        (vec![split(3); 3], Some(deposit(4, 1_000_000))),
        (vec![under(50_000_000), under(70_000_000), under(80_000_000), under(99_000_000)], None),
    ];
    for (expected, next) in steps {
        let verdicts = judge(&[payment("p")], &deposits, &Own::default(), &STRICT);
        assert_eq!(verdicts, expected);
        for (deposit, verdict) in deposits.iter_mut().zip(verdicts) {
            deposit.verdict = verdict;
        }
        deposits.extend(next);
    }
}

#[test]
fn what_a_person_decided_stays() {
    let deposits = [judged(1, ASKED, ignored()), judged(2, 7, assigned("p")), deposit(3, ASKED)];
    let got = judge(&[payment("p")], &deposits, &Own::default(), &STRICT);
    assert_eq!(got, [ignored(), assigned("p"), second("p")]);
    let deposits = [judged(1, ASKED, ignored()), deposit(3, ASKED)];
    assert_eq!(judge(&[payment("p")], &deposits, &Own::default(), &STRICT), [ignored(), pays("p")]);
}

#[test]
fn a_match_is_open_to_judgement_until_its_deposit_is_final() {
    let (first, then) = (deposit(1, ASKED), judged(2, ASKED, pays("p")));
    let key = then.key;
    let review_of = |why| PaymentState::Review { why, deposit: Some(key) };
    let cases = [
        (PaymentState::Waiting, false),
        (PaymentState::Seen { deposit: key }, false),
        (PaymentState::Due { deposit: key, attempt: 0 }, true),
        (PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) }, true),
        (PaymentState::Unclear { deposit: key, attempt: 1, refusal: None }, true),
        (PaymentState::Following { deposit: Some(key) }, true),
        (PaymentState::Ended { outcome: Outcome::Completed, at: at(NOW) }, true),
        (PaymentState::Ended { outcome: Outcome::Failed, at: at(NOW) }, true),
        (review_of(PaymentReview::StillAwaiting), true),
        (review_of(PaymentReview::Refused { refusal: refusal() }), true),
    ];
    for (state, stays) in cases {
        let got = judge(&[in_state("p", state.clone())], &[first.clone(), then.clone()], &Own::default(), &STRICT);
        let expected = if stays { [second("p"), pays("p")] } else { [pays("p"), second("p")] };
        assert_eq!(got, expected, "{state:?}");
    }
}

#[test]
fn a_deposit_that_is_gone_frees_its_payment_for_the_next() {
    let lost = gone(judged(1, ASKED, pays("p")), false);
    let seen = in_state("p", PaymentState::Seen { deposit: lost.key });
    let got = judge(std::slice::from_ref(&seen), &[lost.clone(), deposit(2, ASKED)], &Own::default(), &STRICT);
    assert_eq!(got, [Verdict::Unjudged, pays("p")]);
    let back = Deposit { standing: BlockStatus::Provisional, verdict: Verdict::Unjudged, ..lost };
    assert_eq!(judge(&[seen], &[back], &Own::default(), &STRICT), [pays("p")], "it came back");
    let lost = gone(judged(1, 7, assigned("p")), false);
    assert_eq!(
        judge(&[payment("p")], &[lost], &Own::default(), &STRICT),
        [Verdict::Unjudged],
        "an assignment goes with its block"
    );
}

#[test]
fn a_deposit_that_goes_after_it_was_final_is_a_review_for_good() {
    let alarm = |payment: Option<&str>| review(ReviewReason::GoneAfterFinal { payment: payment.map(id) });
    for verdict in [pays("p"), assigned("p")] {
        let lost = gone(judged(1, ASKED, verdict), true);
        assert_eq!(judge(&[payment("p")], std::slice::from_ref(&lost), &Own::default(), &STRICT), [alarm(Some("p"))]);
        assert_eq!(judge(&[], &[lost], &Own::default(), &STRICT), [alarm(Some("p"))]);
    }
    let lost = gone(judged(1, ASKED, second("p")), true);
    assert_eq!(judge(&[payment("p")], &[lost], &Own::default(), &STRICT), [alarm(None)]);
    let lost = gone(judged(1, ASKED, ignored()), true);
    assert_eq!(judge(&[payment("p")], &[lost], &Own::default(), &STRICT), [ignored()]);
    let returned = Deposit { standing: FINAL, ..judged(1, ASKED, alarm(Some("p"))) };
    assert_eq!(
        judge(&[payment("p")], &[returned], &Own::default(), &STRICT),
        [alarm(Some("p"))],
        "a person looks at it first"
    );
}

#[test]
fn a_payment_that_a_person_cancelled_lets_its_deposit_go_to_a_person() {
    let cancelled = in_state("p", PaymentState::Ended { outcome: Outcome::Cancelled, at: at(NOW) });
    let expected = review(ReviewReason::PaymentEnded { payment: id("p") });
    for verdict in [pays("p"), assigned("p")] {
        let held = judged(1, ASKED, verdict);
        assert_eq!(
            judge(std::slice::from_ref(&cancelled), std::slice::from_ref(&held), &Own::default(), &STRICT),
            std::slice::from_ref(&expected)
        );
        let payments = [cancelled.clone(), payment("other")];
        let got = judge(&payments, &[held], &Own::default(), &STRICT);
        assert_eq!(
            got,
            std::slice::from_ref(&expected),
            "its hash may have been used by hand: no other payment takes it by itself"
        );
        let again = judge(&payments, &[judged(1, ASKED, expected.clone())], &Own::default(), &STRICT);
        assert_eq!(again, std::slice::from_ref(&expected), "nor when it is judged again");
    }
    let fresh = judge(&[cancelled, payment("other")], &[deposit(2, ASKED)], &Own::default(), &STRICT);
    assert_eq!(fresh, [pays("other")], "a deposit that never paid it is free");
}

#[test]
fn a_payment_that_the_api_completed_with_another_transaction_lets_its_deposit_go() {
    let ended = in_state("p", PaymentState::Ended { outcome: Outcome::Completed, at: at(NOW) });
    let with =
        |hash: u8| Payment { api: Some(view(ApiStatus::Completed, Some(&tx(hash).to_string()))), ..ended.clone() };
    let held = [judged(1, ASKED, pays("p"))];
    assert_eq!(judge(&[with(2)], &held, &Own::default(), &STRICT), [second("p")], "its money paid nothing");
    assert_eq!(judge(&[with(1)], &held, &Own::default(), &STRICT), [pays("p")]);
    assert_eq!(
        judge(std::slice::from_ref(&ended), &held, &Own::default(), &STRICT),
        [pays("p")],
        "the API names no hash"
    );
    let by_person = [judged(1, 7, assigned("p"))];
    assert_eq!(judge(&[with(1)], &by_person, &Own::default(), &STRICT), [assigned("p")]);
    assert!(matches!(judge(&[with(2)], &by_person, &Own::default(), &STRICT)[..], [Verdict::Review { .. }]));
}
