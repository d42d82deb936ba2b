//! The payment's state machine: every state with every fact, and every word of the API in every state.

use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, Verdict};
use rampwatch::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentReview, PaymentState as State};
use rampwatch::domain::time::Span;
use rampwatch::policy::evidence::Freeing;
use rampwatch::policy::last_look::{Objection, may_call};
use rampwatch::policy::payment_machine::{CallFailure, Fact, Step, same_hash, step};

use super::samples::*;

/// The deposit that pays the payment.
pub(super) fn ours() -> DepositKey {
    deposit(1, ASKED).key
}

/// Another one.
pub(super) fn other() -> DepositKey {
    deposit(2, ASKED).key
}

/// Every state, each due at [`NOW`] and, but for the one that has ended, asked three times without news; a call began 61 s ago.
pub(super) fn states() -> [Payment; 12] {
    let deposit = ours();
    let review = |why, deposit| State::Review { why, deposit };
    [
        State::Waiting,
        State::Seen { deposit },
        State::Due { deposit, attempt: 2 },
        State::Calling { deposit, attempt: 2, started_at: at(NOW - 61) },
        State::Unclear { deposit, attempt: 2, refusal: None },
        State::Unclear { deposit, attempt: 2, refusal: Some(refusal()) },
        State::Following { deposit: Some(deposit) },
        State::Following { deposit: None },
        review(PaymentReview::StillAwaiting, Some(deposit)),
        review(PaymentReview::OtherHash { theirs: tx(2).to_string() }, Some(deposit)),
        review(PaymentReview::NotFound, None),
        State::Ended { outcome: Outcome::Expired, at: at(NOW - 1) },
    ]
    .map(|state| {
        let quiet_checks = if state.is_ended() { 0 } else { 3 };
        Payment { next_at: Some(at(NOW)), quiet_checks, ..in_state("p", state) }
    })
}

/// A step in short: the state, its deposit, its attempt, when it is looked at again, the quiet questions.
pub(super) fn short(before: &Payment, step: &Step) -> String {
    let state = if step.state == before.state {
        "same".to_owned()
    } else {
        let detail = match &step.state {
            State::Waiting | State::Seen { .. } => String::new(),
            State::Due { attempt, .. } | State::Unclear { attempt, refusal: None, .. } => format!(" {attempt}"),
            State::Calling { attempt, started_at, .. } => format!(" {attempt} from {}", started_at.as_secs()),
            State::Unclear { attempt, refusal: Some(refusal), .. } => format!(" {attempt} {}", refusal.status),
            State::Following { .. } => String::new(),
            State::Ended { outcome, at } => format!(" {outcome:?} at {}", at.as_secs()),
            State::Review { why, .. } => {
                let name = format!("{why:?}");
                format!(" {}", name.split([' ', '{']).next().unwrap_or_default())
            }
        };
        let deposit = match step.state.deposit() {
            Some(key) if *key == ours() => " ours",
            Some(_) => " other",
            None => "",
        };
        format!("{}{detail}{deposit}", step.state.name())
    };
    let next = step.next_at.map_or("never".to_owned(), |next| format!("+{}", next.since(at(NOW)).as_secs()));
    let ending = step.ending.map_or(String::new(), |it| format!(" ?{:?} {}", it.outcome, it.since.as_secs()));
    format!("{state} {next} q{}{ending}", step.quiet_checks)
}

/// For each of these hashes with each of these statuses: what it makes of every state.
type Row<'a> = (Vec<Option<&'a str>>, Vec<ApiStatus>, &'static str);

/// Holds `fact` against every state. `expected` has one entry a state, in the order of [`states`]; `x` is unexpected,
/// `same` the same state, `*3` stands for three states in a row, `?` the end that waits for a second look.
pub(super) fn check(fact: &Fact, expected: &str) {
    check_in(&states(), fact, expected);
}

pub(super) fn check_in(states: &[Payment], fact: &Fact, expected: &str) {
    let cells = expected.split(" | ").flat_map(|cell| {
        let (text, times) = cell.rsplit_once(" *").unwrap_or((cell, "1"));
        std::iter::repeat_n(text.to_owned(), times.parse().expect("a number of states"))
    });
    let expected: Vec<String> = cells.collect();
    assert_eq!(expected.len(), states.len(), "{fact:?}: every state has its entry");
    let told = |payment: &Payment| {
        let got = step(payment, fact, &context()).map(|step| short(payment, &step));
        got.unwrap_or_else(|_| "x".to_owned())
    };
    let got: Vec<String> = states.iter().map(told).collect();
    assert_eq!(got, expected, "{fact:?}");
}

/// Facts, each with what it makes of every state.
pub(super) fn table() -> Vec<(Fact, &'static str)> {
    vec![
        (
            Fact::Matched(other()),
            "seen other +600 q0 *2 | x *4 | following other +0 q3 *2 | seen other +600 q0 *3 | same +0 q0",
        ),
        (Fact::Unmatched, "x | waiting +600 q0 | x *10"),
        (Fact::Final, "x | due 0 ours +0 q0 | x *10"),
        (Fact::GoneAfterFinal, "x | review GoneAfterFinal ours +600 q0 *2 | x *9"),
        (Fact::CallStarted(proof(Freeing::Paid)), "x *12"),
        (Fact::CallStarted(proof(Freeing::Completion)), "x *2 | calling 3 from 12000 ours +61 q0 | x *9"),
        (Fact::CallFailed(CallFailure::NotNow { retry_after: None }), "x *3 | due 2 ours +2 q0 *3 | x *6"),
        (
            Fact::CallFailed(CallFailure::NotNow { retry_after: Some(Span::from_secs(90)) }),
            "x *3 | due 2 ours +90 q0 *3 | x *6",
        ),
        (
            Fact::CallFailed(CallFailure::Unclear { retry_after: None }),
            "x *3 | unclear 2 ours +61 q0 | same +61 q0 | unclear 2 ours +61 q0 | x *6",
        ),
        (
            Fact::CallFailed(CallFailure::Unclear { retry_after: Some(Span::from_secs(5)) }),
            "x *3 | unclear 2 ours +61 q0 | same +61 q0 | unclear 2 ours +61 q0 | x *6",
        ),
        (
            Fact::CallFailed(CallFailure::Unclear { retry_after: Some(Span::from_secs(300)) }),
            "x *3 | unclear 2 ours +300 q0 | same +300 q0 | unclear 2 ours +300 q0 | x *6",
        ),
        (Fact::CallFailed(CallFailure::Refused(refusal())), "x *3 | unclear 2 409 ours +0 q0 *2 | same +0 q0 | x *6"),
        (Fact::AskFailed { retry_after: None }, "same +8 q4 *11 | same +1 q1"),
        (
            Fact::Unknown,
            "review NotFound +600 q0 | review NotFound ours +600 q0 *6 | review NotFound +600 q0 | review \
             NotFound ours +600 q0 *2 | same +600 q0 | same never q0",
        ),
        (
            Fact::TermsDiffer { field: "amount".to_owned(), ours: "1".to_owned(), theirs: "2".to_owned() },
            "review TermsDiffer +600 q0 | review TermsDiffer ours +600 q0 *6 | review TermsDiffer +600 q0 \
             | review TermsDiffer ours +600 q0 *2 | review TermsDiffer +600 q0 | same never q0",
        ),
        (
            Fact::Retry { is_final: true },
            "same +0 q0 *3 | x *3 | same +0 q0 *2 | due 0 ours +0 q0 *2 | waiting +0 q0 | same +0 q0",
        ),
        (
            Fact::Retry { is_final: false },
            "same +0 q0 *3 | x *3 | same +0 q0 *2 | seen ours +600 q0 *2 | waiting +0 q0 | same +0 q0",
        ),
        (Fact::Cancel, "ended Cancelled at 12000 never q0 *3 | x *5 | ended Cancelled at 12000 never q0 *3 | x"),
    ]
}

#[test]
fn every_fact_in_every_state() {
    for (fact, expected) in table() {
        check(&fact, expected);
    }
}

#[test]
fn every_word_of_the_api_that_names_no_end_in_every_state() {
    let [ours, theirs] = [tx(1).to_string(), tx(2).to_string()];
    let (none, ours, theirs) = (None, Some(ours.as_str()), Some(theirs.as_str()));
    let moved = || vec![ApiStatus::Pending, ApiStatus::Sent];
    let any =
        || vec![ApiStatus::AwaitingFunds, ApiStatus::Pending, ApiStatus::Sent, ApiStatus::Other("ODD".to_owned())];
    let table: Vec<Row<'_>> = vec![
        (
            vec![none],
            vec![ApiStatus::AwaitingFunds],
            "same +600 q0 *2 | same +0 q3 | due 2 ours +2 q0 *2 | review Refused ours +600 q0 | same +2 q0 \
             *2 | same +600 q0 *3 | waiting +600 q0",
        ),
        (
            vec![none],
            moved(),
            "following +2 q0 | following ours +2 q0 *5 | same +2 q0 *2 | following ours +2 q0 | same +600 \
             q0 | following +2 q0 | same never q0",
        ),
        (
            vec![none],
            vec![ApiStatus::Other("ON_HOLD".to_owned())],
            "same +600 q0 *2 | same +2 q0 | following ours +2 q0 *3 | same +2 q0 *2 | same +600 q0 *3 | same never q0",
        ),
        (
            vec![ours],
            any(),
            "following +2 q0 | following ours +2 q0 *5 | same +2 q0 *2 | following ours +2 q0 *2 | \
             following +2 q0 | same never q0",
        ),
        (
            vec![theirs],
            any(),
            "following +2 q0 | review OtherHash ours +600 q0 *6 | same +2 q0 | review OtherHash ours +600 \
             q0 | same +600 q0 | following +2 q0 | same never q0",
        ),
    ];
    hear_each(table);
}

/// `~` in what is expected: the end that is kept, and since when.
pub(super) fn with_end(expected: &str, outcome: Outcome, since: u64) -> String {
    expected.replace('~', &format!(" ?{outcome:?} {since}"))
}

/// Tells every state what the API says with each of the hashes and statuses.
fn hear_each(table: Vec<Row<'_>>) {
    for (hashes, statuses, expected) in table {
        for (hash, status) in hashes.iter().flat_map(|hash| statuses.iter().map(move |status| (*hash, status))) {
            check(&Fact::Reported(view(status.clone(), hash)), expected);
        }
    }
}

#[test]
fn every_answer_to_a_call_in_every_state() {
    let [ours, theirs] = [tx(1).to_string(), tx(2).to_string()];
    let (none, ours, theirs) = (None, Some(ours.as_str()), Some(theirs.as_str()));
    let table: Vec<Row<'_>> = vec![
        (
            vec![none],
            vec![ApiStatus::AwaitingFunds],
            "x *3 | unclear 2 ours +61 q0 | same +61 q0 | unclear 2 ours +61 q0 | x *6",
        ),
        (
            vec![none, ours],
            vec![ApiStatus::Processing, ApiStatus::Failed, ApiStatus::Expired, ApiStatus::Refunded],
            "x *3 | following ours +2 q0~ *3 | x *6",
        ),
        (vec![ours], vec![ApiStatus::AwaitingFunds], "x *3 | following ours +2 q0 *3 | x *6"),
        (vec![none], vec![ApiStatus::Completed], "x *3 | following ours +2 q0~ *3 | x *6"),
        (vec![ours], vec![ApiStatus::Completed], "x *3 | ended Completed at 12000 never q0 *3 | x *6"),
        (
            vec![theirs],
            vec![
                ApiStatus::AwaitingFunds,
                ApiStatus::Processing,
                ApiStatus::Completed,
                ApiStatus::Failed,
                ApiStatus::Expired,
                ApiStatus::Refunded,
            ],
            "x *3 | review OtherHash ours +600 q0~ *3 | x *6",
        ),
    ];
    for (hashes, statuses, expected) in table {
        for (hash, status) in hashes.iter().flat_map(|hash| statuses.iter().map(move |status| (*hash, status))) {
            // An end is only kept: the question that follows is the first look's second.
            let expected = match status.outcome() {
                Some(outcome) => with_end(expected, outcome, NOW),
                None => expected.replace('~', ""),
            };
            check(&Fact::Accepted(view(status.clone(), hash)), &expected);
        }
    }
}

/// A call that began at [`NOW`] can take effect for 61 s.
#[test]
fn while_a_call_can_still_take_effect_nothing_makes_it_due_again() {
    let deposit = ours();
    let wait = PACE.unclear_wait().as_secs();
    let calling = State::Calling { deposit, attempt: 1, started_at: at(NOW) };
    let unclear = State::Unclear { deposit, attempt: 1, refusal: None };
    for state in [calling, unclear] {
        let payment = Payment { next_at: Some(at(NOW + wait)), ..in_state("p", state.clone()) };
        let ask = |payment: &Payment, secs: u64| {
            let view = ApiView { as_of: at(secs), ..view(ApiStatus::AwaitingFunds, None) };
            step(payment, &Fact::Reported(view), &context_at(secs)).expect("a report is always taken")
        };
        // A webhook may wake a question at any moment.
        let early = ask(&payment, NOW + wait - 1);
        assert_eq!((early.state, early.next_at), (state.clone(), Some(at(NOW + wait))), "too early to tell");
        let then = ask(&payment, NOW + wait);
        assert_eq!(then.state, State::Due { deposit, attempt: 1 }, "from {state:?}");

        let mut payment = payment;
        let failed = step(&payment, &Fact::AskFailed { retry_after: None }, &context_at(NOW + 1)).expect("taken");
        assert_eq!(failed.next_at, Some(at(NOW + wait)), "a question that failed does not bring the next one forward");
        payment.next_at = failed.next_at;
        let later = Fact::AskFailed { retry_after: Some(Span::from_secs(300)) };
        let failed = step(&payment, &later, &context_at(NOW + wait)).expect("taken");
        assert_eq!(failed.next_at, Some(at(NOW + wait + 300)), "it may put it off");
    }
}

#[test]
fn another_hash_stays_a_review_when_the_api_then_says_less() {
    let theirs = tx(2).to_string();
    let why = PaymentReview::OtherHash { theirs };
    let payment = in_state("p", State::Review { why, deposit: Some(ours()) });
    let told = |status, hash: Option<&str>| {
        step(&payment, &Fact::Reported(view(status, hash)), &context()).expect("a report is always taken").state
    };
    assert_eq!(told(ApiStatus::Processing, None), payment.state, "no hash is not our hash");
    assert_eq!(told(ApiStatus::AwaitingFunds, None), payment.state);
    let ours_again = tx(1).to_string();
    assert_eq!(
        told(ApiStatus::Processing, Some(&ours_again)),
        State::Following { deposit: Some(ours()) },
        "the API took it back"
    );
}

#[test]
fn a_hash_is_compared_as_a_number_not_as_text() {
    let hash = tx(0xab);
    let lower = format!("{hash:#x}");
    let digits = lower.trim_start_matches("0x").to_owned();
    let same = [
        lower.clone(),
        digits.clone(),
        digits.to_uppercase(),
        format!("0x{}", digits.to_uppercase()),
        format!(" \n{lower}\t"),
    ];
    for text in &same {
        assert!(same_hash(text, hash), "{text:?}");
    }
    let different = ["", "0x", "0xab", "null", &lower[..64], &format!("{lower}00"), &lower.replace("ab", "ac")];
    for text in different {
        assert!(!same_hash(text, hash), "{text:?}");
    }
}

#[test]
fn following_slows_down_without_news_and_asks_a_person_when_nothing_was_taken() {
    let mut payment = in_state("p", State::Following { deposit: Some(ours()) });
    let mut waits = Vec::new();
    for _ in 0..12 {
        let said = view(ApiStatus::Processing, None);
        let after = step(&payment, &Fact::Reported(said.clone()), &context()).expect("a report is always taken");
        waits.push(after.next_at.expect("followed on").since(at(NOW)).as_secs());
        (payment.state, payment.next_at, payment.quiet_checks) = (after.state, after.next_at, after.quiet_checks);
        payment.api = Some(said);
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    let news = step(&payment, &Fact::Reported(view(ApiStatus::Sent, None)), &context()).expect("taken");
    assert_eq!((news.next_at, news.quiet_checks), (Some(at(NOW + 2)), 0), "news makes it quick again");

    let mut payment = in_state("p", State::Following { deposit: Some(ours()) });
    let mut asked = 0;
    while !matches!(payment.state, State::Review { .. }) {
        let said = view(ApiStatus::AwaitingFunds, None);
        let after = step(&payment, &Fact::Reported(said.clone()), &context()).expect("a report is always taken");
        (payment.state, payment.next_at, payment.quiet_checks) = (after.state, after.next_at, after.quiet_checks);
        payment.api = Some(said);
        asked += 1;
        assert!(asked < 20, "a person is asked some time");
    }
    assert_eq!(payment.state, State::Review { why: PaymentReview::StillAwaiting, deposit: Some(ours()) });
    assert!(asked > 5, "not at once: {asked}");
}

#[test]
fn the_api_is_asked_just_after_the_expiry() {
    let mut payment = payment("p");
    payment.terms.expires_at = Some(at(NOW + 100));
    let said = Fact::Reported(view(ApiStatus::AwaitingFunds, None));
    let next = |now: u64| step(&payment, &said, &context_at(now)).expect("taken").next_at;
    assert_eq!(next(NOW), Some(at(NOW + 130)));
    assert_eq!(next(NOW + 101), Some(at(NOW + 701)), "our clock never ends it");
}

#[test]
fn the_last_look_before_a_call() {
    let due = || in_state("p", State::Due { deposit: ours(), attempt: 0 });
    let good = || Deposit { verdict: pays("p"), ..final_deposit(1, ASKED) };
    let with = |change: fn(&mut Deposit)| {
        let mut deposit = good();
        change(&mut deposit);
        deposit
    };
    assert_eq!(may_call(&due(), &good()), Ok(()));
    assert_eq!(may_call(&due(), &Deposit { verdict: assigned("p"), ..good() }), Ok(()));
    assert_eq!(
        may_call(&due(), &with(|deposit| deposit.standing = BlockStatus::Provisional)),
        Err(Objection::NotFinal)
    );
    for after_final in [true, false] {
        let gone = Deposit { standing: BlockStatus::Gone { after_final }, ..good() };
        assert_eq!(may_call(&due(), &gone), Err(Objection::Gone));
    }
    assert_eq!(may_call(&due(), &with(|deposit| deposit.key.log_index = 7)), Err(Objection::OtherDeposit));
    assert_eq!(may_call(&due(), &with(|deposit| deposit.verdict = pays("q"))), Err(Objection::OtherVerdict));
    assert_eq!(may_call(&due(), &with(|deposit| deposit.verdict = Verdict::Unjudged)), Err(Objection::OtherVerdict));
    assert_eq!(may_call(&due(), &with(|deposit| deposit.token = BRIDGED)), Err(Objection::OtherTerms("token")));
    assert_eq!(may_call(&due(), &with(|deposit| deposit.to = BOB)), Err(Objection::OtherTerms("recipient")));
    let mut elsewhere = due();
    elsewhere.terms.chain_id = 1;
    assert_eq!(may_call(&elsewhere, &good()), Err(Objection::OtherTerms("chain")));
    let zero = with(|deposit| deposit.amount = rampwatch::domain::amount::Amount::ZERO);
    assert_eq!(may_call(&due(), &zero), Err(Objection::MovesNothing));
    assert_eq!(may_call(&due(), &with(|deposit| deposit.from = deposit.to)), Err(Objection::MovesNothing));
    for payment in states().iter().filter(|payment| !matches!(payment.state, State::Due { .. })) {
        assert_eq!(may_call(payment, &good()), Err(Objection::NotDue(payment.state.name())));
    }
}

#[test]
fn a_call_that_was_due_under_a_shorter_time_out_is_not_asked_after_without_a_pause() {
    let started_at = at(NOW - 30);
    let calling = State::Calling { deposit: ours(), attempt: 1, started_at };
    let payment = Payment { next_at: Some(at(NOW)), ..in_state("p", calling) };
    let view =
        ApiView { status: ApiStatus::AwaitingFunds, tx_hash: None, as_of: at(NOW), fee: None, unread: Vec::new() };
    let step = step(&payment, &Fact::Reported(view), &context()).unwrap();
    assert_eq!((step.state, step.next_at), (payment.state, Some(started_at.plus(PACE.unclear_wait()))));
}

/// The clock was ahead when the call was made, and is right again.
#[test]
fn a_call_that_begins_in_the_future_is_given_its_time_once_more() {
    let calling = |started_at| State::Calling { deposit: ours(), attempt: 1, started_at };
    let payment = Payment { next_at: Some(at(NOW)), ..in_state("p", calling(at(NOW + 86_400))) };
    let settles_at = Some(at(NOW).plus(PACE.unclear_wait()));
    for status in [ApiStatus::AwaitingFunds, ApiStatus::Expired] {
        let open = Fact::Reported(view(status, None));
        let begun = step(&payment, &open, &context()).unwrap();
        assert_eq!(begun.state, calling(at(NOW)), "it may have been made just before");
        assert!(begun.next_at >= settles_at, "{begun:?}");
    }
    let open = Fact::Reported(ApiView { as_of: at(NOW + 61), ..view(ApiStatus::AwaitingFunds, None) });
    let begun = Payment { next_at: settles_at, ..in_state("p", calling(at(NOW))) };
    let settled = step(&begun, &open, &context_at(NOW + 61)).unwrap();
    assert_eq!(settled.state, State::Due { deposit: ours(), attempt: 1 });
}
