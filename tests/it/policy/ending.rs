//! Ends that the API names: in every state named once, confirmed, named too early and taken back; and what it opens again.

use rampwatch::domain::payment::{ApiStatus, ApiView, Ending, Outcome, Payment, PaymentReview, PaymentState as State};
use rampwatch::policy::payment_machine::{Fact, step};

use super::payment_machine::{check, check_in, other, ours, short, states, with_end};
use super::samples::*;

/// The three ends that let go of something.
fn ends() -> [(ApiStatus, Outcome); 3] {
    let ends = [ApiStatus::Failed, ApiStatus::Expired, ApiStatus::Refunded];
    ends.map(|status| (status.clone(), status.outcome().expect("it is an end")))
}

/// How an end is named for the first time: nothing moves, and it is asked after again in three minutes.
#[test]
fn f11_an_end_that_is_named_once_lets_go_of_nothing_in_any_state() {
    let [ours, theirs] = [tx(1).to_string(), tx(2).to_string()];
    let (none, ours, theirs) = (None, Some(ours.as_str()), Some(theirs.as_str()));
    let kept = "same +180 q3~ *2 | same +2 q0~ | same +180 q0~ *3 | same +180 q3~ *5 | same never q0";
    let told = "same +180 q3~ | review OtherHash ours +600 q0~ *6 | same +180 q3~ | review OtherHash ours +600 q0~ | \
                same +600 q0~ | same +180 q3~ | same never q0";
    for (status, outcome) in ends() {
        for hash in [none, ours] {
            check(&Fact::Reported(view(status.clone(), hash)), &with_end(kept, outcome, NOW));
        }
        check(&Fact::Reported(view(status.clone(), theirs)), &with_end(told, outcome, NOW));
    }
    // Completed with our transaction is the end that was wanted; with another, or with none that is named, it is as the others.
    let completed = |hash| Fact::Reported(view(ApiStatus::Completed, hash));
    check(&completed(none), &with_end(kept, Outcome::Completed, NOW));
    check(&completed(theirs), &with_end(told, Outcome::Completed, NOW));
    let wanted = "same +180 q3~ | ended Completed at 12000 never q0 *6 | same +180 q3~ | ended Completed at 12000 never q0 \
                  *2 | same +180 q3~ | same never q0";
    check(&completed(ours), &with_end(wanted, Outcome::Completed, NOW));
    let taken = states().map(|payment| Payment { taken: Some(true), ..payment });
    check_in(&taken, &completed(none), "ended Completed at 12000 never q0 *11 | same never q0");
}

/// Every state, after the API has named this end since then.
fn named(said: &ApiView, outcome: Outcome, since: u64) -> [Payment; 12] {
    let last = ApiView { as_of: at(since), ..said.clone() };
    let ending = Some(Ending { outcome, since: at(since) });
    states().map(|payment| Payment { api: Some(last.clone()), ending, ..payment })
}

#[test]
fn f11_an_end_that_is_named_again_after_three_minutes_is_believed_in_every_state() {
    let [ours, theirs] = [tx(1).to_string(), tx(2).to_string()];
    let (none, ours, theirs) = (None, Some(ours.as_str()), Some(theirs.as_str()));
    let ended = "ended X at 12000 never q0";
    let of = |status: ApiStatus, hashes: &[Option<&str>], expected: &str| {
        let outcome = status.outcome().expect("it is an end");
        let expected = expected.replace("END", ended).replace('X', &format!("{outcome:?}"));
        let expected = expected.replace("MONEY", "review EndedWithMoney ours +600 q0~");
        let expected = with_end(&expected.replace("OTHER", "review OtherHash ours +600 q0~"), outcome, NOW - 180);
        for hash in hashes {
            let said = view(status.clone(), *hash);
            check_in(&named(&said, outcome, NOW - 180), &Fact::Reported(said), &expected);
        }
    };
    of(ApiStatus::Completed, &[none, ours], "END *11 | same never q0");
    of(ApiStatus::Failed, &[none, ours], "END | MONEY *5 | END *2 | MONEY *2 | END | same never q0");
    of(ApiStatus::Expired, &[none, ours], "END | MONEY *6 | END | MONEY *2 | END | same never q0");
    of(ApiStatus::Refunded, &[none], "END | MONEY *5 | END *2 | MONEY *2 | END | same never q0");
    of(ApiStatus::Refunded, &[ours], "END *11 | same never q0");
    of(ApiStatus::Completed, &[theirs], "END | OTHER *6 | END | OTHER | END *2 | same never q0");
    for status in [ApiStatus::Failed, ApiStatus::Expired, ApiStatus::Refunded] {
        of(status, &[theirs], "END | OTHER *6 | END | OTHER | same +600 q0~ | END | same never q0");
    }
}

/// Webhooks wake questions at any time: two answers a second apart are one look.
#[test]
fn f11_an_end_that_is_named_again_too_early_stays_as_it_was_first_named() {
    let early = "same +1 q3~ *2 | same +1 q4~ | same +1 q0~ *3 | same +1 q3~ *5 | same never q0";
    for (status, outcome) in ends() {
        let said = view(status, None);
        let since = NOW - 179;
        check_in(&named(&said, outcome, since), &Fact::Reported(said), &with_end(early, outcome, since));
    }
    // What was asked before the time and answered after it is too early as well.
    let asked = ApiView { as_of: at(NOW - 1), ..view(ApiStatus::Expired, None) };
    let since = NOW - 180;
    let again = "same +0 q3~ *2 | same +0 q4~ | same +0 q0~ *3 | same +0 q3~ *5 | same never q0";
    let states = named(&asked, Outcome::Expired, since);
    check_in(&states, &Fact::Reported(asked), &with_end(again, Outcome::Expired, since));
}

#[test]
fn f11_another_answer_in_between_begins_the_waiting_over() {
    let first = "same +180 q3~ *2 | same +2 q0~ | same +180 q0~ *3 | same +180 q3~ *5 | same never q0";
    let expired = view(ApiStatus::Expired, None);
    let old = named(&expired, Outcome::Expired, NOW - 900);
    check_in(&old, &Fact::Reported(view(ApiStatus::Failed, None)), &with_end(first, Outcome::Failed, NOW));
    // The same end with another hash is another answer; only states without a deposit stay, the others are with a person.
    let theirs = tx(2).to_string();
    let waiting = &old[0];
    let after = step(waiting, &Fact::Reported(view(ApiStatus::Expired, Some(&theirs))), &context()).expect("taken");
    assert_eq!(short(waiting, &after), "same +180 q3 ?Expired 12000");
    // A clock that was set back cannot leave the first look in the future.
    let ahead = named(&expired, Outcome::Expired, NOW + 5_000);
    check_in(&ahead, &Fact::Reported(expired.clone()), &with_end(first, Outcome::Expired, NOW));
    // Whatever names no end clears it, and no other fact does.
    for payment in &old {
        let open = step(payment, &Fact::Reported(view(ApiStatus::AwaitingFunds, None)), &context()).expect("taken");
        assert_eq!(open.ending, None, "{:?}", payment.state);
        for fact in [Fact::AskFailed { retry_after: None }, Fact::Retry { is_final: true }, Fact::Matched(other())] {
            let Ok(after) = step(payment, &fact, &context()) else { continue };
            assert_eq!(
                after.ending,
                payment.ending.filter(|_| !after.state.is_ended()),
                "{fact:?} {:?}",
                payment.state
            );
        }
    }
}

/// While a call can take effect, an end that is named twice waits for it.
#[test]
fn f11_an_end_is_not_believed_while_a_call_may_still_take_effect() {
    let said = view(ApiStatus::Expired, None);
    let ending = Some(Ending { outcome: Outcome::Expired, since: at(NOW - 500) });
    let calling = State::Calling { deposit: ours(), attempt: 1, started_at: at(NOW - 1) };
    let unclear = State::Unclear { deposit: ours(), attempt: 1, refusal: None };
    for (state, settles_at) in [(calling, NOW + 60), (unclear, NOW + 30)] {
        let (api, next_at) = (Some(said.clone()), Some(at(settles_at)));
        let payment = Payment { api, ending, next_at, ..in_state("p", state.clone()) };
        let after = step(&payment, &Fact::Reported(said.clone()), &context()).expect("taken");
        assert_eq!(after.state, state);
        assert!(after.next_at >= Some(at(settles_at)), "{:?}", after.next_at);
        for fact in [Fact::Unknown, differing()] {
            let after = step(&payment, &fact, &context()).expect("taken");
            assert_eq!((after.state, after.next_at), (state.clone(), Some(at(settles_at))), "{fact:?}");
        }
    }
}

fn differing() -> Fact {
    Fact::TermsDiffer { field: "amount".to_owned(), ours: "1".to_owned(), theirs: "2".to_owned() }
}

#[test]
fn f11_what_the_api_opens_again_is_open_again_unless_it_had_taken_a_completion() {
    let open = Fact::Reported(view(ApiStatus::AwaitingFunds, None));
    let ended = |outcome| State::Ended { outcome, at: at(NOW - 900) };
    let review = |why, deposit| State::Review { why, deposit };
    let money = || PaymentReview::EndedWithMoney { status: ApiStatus::Expired };
    let still = |deposit| review(PaymentReview::StillAwaiting, deposit);
    let (seen, key) = (State::Seen { deposit: ours() }, Some(ours()));
    let cases = [
        (ended(Outcome::Expired), State::Waiting, still(None)),
        (ended(Outcome::Failed), State::Waiting, still(None)),
        (ended(Outcome::Refunded), State::Waiting, still(None)),
        (ended(Outcome::Completed), ended(Outcome::Completed), ended(Outcome::Completed)),
        (ended(Outcome::Cancelled), ended(Outcome::Cancelled), ended(Outcome::Cancelled)),
        (review(money(), key), seen.clone(), review(money(), key)),
        (review(PaymentReview::NotFound, key), seen.clone(), review(PaymentReview::NotFound, key)),
        (review(PaymentReview::NotFound, None), State::Waiting, review(PaymentReview::NotFound, None)),
        (
            review(PaymentReview::GoneAfterFinal, key),
            review(PaymentReview::GoneAfterFinal, key),
            review(PaymentReview::GoneAfterFinal, key),
        ),
        (State::Following { deposit: None }, State::Waiting, State::Following { deposit: None }),
        (State::Following { deposit: key }, seen, State::Following { deposit: key }),
    ];
    for (state, free, taken) in cases {
        let of = |taken| {
            let payment = Payment { taken: Some(taken), ..in_state("p", state.clone()) };
            step(&payment, &open, &context()).expect("taken")
        };
        assert_eq!(of(false).state, free, "{state:?}");
        assert_eq!(of(true).state, taken, "{state:?} after a completion was taken");
    }
    // With a hash, or moved on, it is not open again.
    let [ours, theirs] = [tx(1).to_string(), tx(2).to_string()];
    for said in [
        view(ApiStatus::AwaitingFunds, Some(&ours)),
        view(ApiStatus::AwaitingFunds, Some(&theirs)),
        view(ApiStatus::Pending, None),
    ] {
        let payment = in_state("p", ended(Outcome::Expired));
        let after = step(&payment, &Fact::Reported(said), &context()).expect("taken");
        assert_eq!((after.state, after.next_at), (payment.state, None));
    }
}

#[test]
fn f11_that_the_api_took_a_completion_is_remembered() {
    let [ours_hash, theirs] = [tx(1).to_string(), tx(2).to_string()];
    let calling = State::Calling { deposit: ours(), attempt: 1, started_at: at(NOW) };
    let after = |state: &State, fact: Fact| {
        let payment = Payment { taken: Some(false), ..in_state("p", state.clone()) };
        step(&payment, &fact, &context()).expect("taken").taken
    };
    assert_eq!(after(&calling, Fact::Accepted(view(ApiStatus::Pending, None))), Some(true));
    assert_eq!(after(&calling, Fact::Reported(view(ApiStatus::Pending, None))), Some(true));
    assert_eq!(after(&calling, Fact::Accepted(view(ApiStatus::Completed, Some(&ours_hash)))), Some(true));
    assert_eq!(after(&calling, Fact::Accepted(view(ApiStatus::Expired, None))), Some(false), "it ran out instead");
    assert_eq!(after(&calling, Fact::Accepted(view(ApiStatus::Pending, Some(&theirs)))), Some(false));
    assert_eq!(after(&calling, Fact::Reported(view(ApiStatus::AwaitingFunds, None))), Some(false));
    let seen = State::Seen { deposit: ours() };
    assert_eq!(after(&seen, Fact::Reported(view(ApiStatus::Pending, Some(&ours_hash)))), Some(true), "by somebody");
    assert_eq!(after(&seen, Fact::Reported(view(ApiStatus::Pending, None))), Some(false), "with what, nobody knows");
}

/// What money came for is asked after for a day, ever more seldom; what has none, or is over for good, is left alone.
#[test]
fn f11_an_ended_payment_whose_money_is_there_is_asked_after_for_a_day() {
    let next = |outcome, ended_ago, quiet_checks| {
        let state = State::Ended { outcome, at: at(NOW) };
        let payment = Payment { quiet_checks, next_at: Some(at(NOW)), ..in_state("p", state) };
        let said = Fact::Reported(view(ApiStatus::Expired, None));
        let after = step(&payment, &said, &context_at(NOW + ended_ago)).expect("taken");
        (after.next_at.map(|at| at.as_secs() - NOW - ended_ago), after.quiet_checks)
    };
    for (outcome, ended_ago, quiet_checks, expected) in [
        (Outcome::Expired, 900, 0, (None, 0)),
        (Outcome::Expired, 900, 1, (Some(4), 2)),
        (Outcome::Failed, 900, 3, (Some(16), 4)),
        (Outcome::Refunded, 86_400, 40, (Some(600), 41)),
        (Outcome::Expired, 86_401, 1, (None, 0)),
        (Outcome::Completed, 900, 1, (None, 0)),
        (Outcome::Cancelled, 900, 1, (None, 0)),
    ] {
        assert_eq!(next(outcome, ended_ago, quiet_checks), expected, "{outcome:?} {ended_ago} {quiet_checks}");
    }
}
