//! The payment's state machine: every state with every fact, and every word of the API in every state.

use rampwatch::domain::deposit::{Deposit, DepositKey, Standing, Verdict};
use rampwatch::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentReview, PaymentState as State};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::settlement::{CallFailure, Fact, Objection, Step, may_call, same_hash, step};

use super::samples::*;

/// The deposit that pays the payment.
fn ours() -> DepositKey {
    deposit(1, ASKED).key
}

/// Another one.
fn other() -> DepositKey {
    deposit(2, ASKED).key
}

/// Every state, each due at [`NOW`] and asked three times without news; a call began 61 s ago.
fn states() -> [Payment; 12] {
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
        review(PaymentReview::OtherHash { theirs: "0x02".to_owned() }, Some(deposit)),
        review(PaymentReview::NotFound, None),
        State::Ended { outcome: Outcome::Expired, at: at(NOW - 1) },
    ]
    .map(|state| Payment { next_at: Some(at(NOW)), quiet_checks: 3, ..in_state("p", state) })
}

/// A step in short: the state, its deposit, its attempt, when it is looked at again, the quiet questions.
fn short(before: &Payment, step: &Step) -> String {
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
    format!("{state}, {next}, q{}", step.quiet_checks)
}

fn row(fact: &Fact) -> Vec<String> {
    let after = |payment: &Payment| step(payment, fact, &context()).map(|step| short(payment, &step));
    states().iter().map(|payment| after(payment).unwrap_or_else(|_| "x".to_owned())).collect()
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
