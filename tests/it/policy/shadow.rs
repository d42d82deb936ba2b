//! Shadow mode: what is said of a completion that is not made, and of what somebody did instead.

use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::domain::shadow::{Shadow, ShadowAct, ShadowOutcome};
use rampwatch::policy::shadow::{Mode, compare, follow, look_at, noted, words};

use super::samples::*;

fn ours() -> B256 {
    deposit(1, ASKED).key.tx_hash
}

fn view(status: ApiStatus, tx_hash: Option<&str>) -> ApiView {
    ApiView { status, tx_hash: tx_hash.map(str::to_owned), fee: None, as_of: at(NOW), unread: Vec::new() }
}

fn complete() -> ShadowAct {
    ShadowAct::Complete { tx_hash: ours() }
}

fn open() -> Shadow {
    Shadow { payment: Some(id("p")), act: complete(), noted_at: at(NOW), outcome: None }
}

fn in_state(state: PaymentState, api: ApiView) -> Payment {
    Payment { state, api: Some(api), ..payment("p") }
}

#[test]
fn the_apis_word_is_held_against_the_transaction_that_would_have_been_used() {
    let hash = ours().to_string();
    let differed = |theirs: &str| Some(ShadowOutcome::Differed { theirs: theirs.to_owned() });
    let not_done = |status: ApiStatus| Some(ShadowOutcome::NotDone { status });
    let cases = [
        (view(ApiStatus::AwaitingFunds, None), None),
        (view(ApiStatus::Processing, None), None),
        (view(ApiStatus::Other("NEW".to_owned()), None), None),
        (view(ApiStatus::Pending, Some(&hash)), Some(ShadowOutcome::Agreed)),
        (view(ApiStatus::Completed, Some(&hash.to_uppercase().replace("0X", "0x"))), Some(ShadowOutcome::Agreed)),
        (view(ApiStatus::Processing, Some("0xother")), differed("0xother")),
        (view(ApiStatus::Completed, None), Some(ShadowOutcome::Unnamed)),
        (view(ApiStatus::Expired, None), not_done(ApiStatus::Expired)),
        (view(ApiStatus::Failed, None), not_done(ApiStatus::Failed)),
        (view(ApiStatus::Refunded, None), not_done(ApiStatus::Refunded)),
    ];
    for (view, expected) in cases {
        assert_eq!(compare(ours(), &view), expected, "{view:?}");
    }
}

#[test]
fn the_same_is_noted_once_and_another_transaction_anew() {
    assert_eq!(noted(None, Some(&id("p")), &complete(), at(NOW)), Some(open()));
    assert_eq!(noted(Some(&open()), Some(&id("p")), &complete(), at(NOW + 9)), None);
    let other = ShadowAct::Complete { tx_hash: B256::repeat_byte(7) };
    assert_eq!(noted(Some(&open()), Some(&id("p")), &other, at(NOW)).unwrap().act, other);
    let over = Shadow { outcome: Some(ShadowOutcome::TakenOver), ..open() };
    assert_eq!(noted(Some(&over), Some(&id("p")), &complete(), at(NOW)), Some(open()), "shadow mode once more");
}

#[test]
fn what_becomes_of_a_completion_that_was_noted_is_told_in_either_mode() {
    let key = deposit(1, ASKED).key;
    let hash = ours().to_string();
    let due = PaymentState::Due { deposit: key, attempt: 0 };
    let before = in_state(due.clone(), view(ApiStatus::AwaitingFunds, None));
    let cases = [
        (due.clone(), view(ApiStatus::AwaitingFunds, None), None),
        (
            PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) },
            view(ApiStatus::AwaitingFunds, None),
            Some("taken_over"),
        ),
        (PaymentState::Following { deposit: Some(key) }, view(ApiStatus::Processing, Some(&hash)), Some("agreed")),
        (PaymentState::Following { deposit: Some(key) }, view(ApiStatus::Processing, None), None),
        (
            PaymentState::Review { why: PaymentReview::OtherHash { theirs: "0x1".to_owned() }, deposit: Some(key) },
            view(ApiStatus::Processing, Some("0x1")),
            Some("differed"),
        ),
        (
            PaymentState::Ended { outcome: Outcome::Completed, at: at(NOW) },
            view(ApiStatus::Completed, None),
            Some("unnamed"),
        ),
        (
            PaymentState::Review {
                why: PaymentReview::EndedWithMoney { status: ApiStatus::Expired },
                deposit: Some(key),
            },
            view(ApiStatus::Expired, None),
            Some("not_done"),
        ),
    ];
    for mode in [Mode::Real, Mode::Shadow] {
        for (state, api, expected) in &cases {
            let now_is = in_state(state.clone(), api.clone());
            let next = follow(mode, Some(&before), &now_is, Some(&open()), at(NOW));
            let outcome = next.and_then(|next| next.outcome);
            assert_eq!(outcome.as_ref().map(ShadowOutcome::name), *expected, "{mode:?} {now_is:?}");
        }
    }
    let over = Shadow { outcome: Some(ShadowOutcome::Agreed), ..open() };
    let now_is = in_state(PaymentState::Following { deposit: Some(key) }, view(ApiStatus::Completed, None));
    assert_eq!(follow(Mode::Shadow, Some(&before), &now_is, Some(&over), at(NOW)), None, "told once");
}

#[test]
fn somebody_who_was_quicker_is_compared_in_shadow_mode_only() {
    let key = deposit(1, ASKED).key;
    let hash = ours().to_string();
    let moved = in_state(PaymentState::Following { deposit: Some(key) }, view(ApiStatus::Processing, Some(&hash)));
    let was = |state: PaymentState| in_state(state, view(ApiStatus::AwaitingFunds, None));
    let found =
        |mode, before: &Payment| follow(mode, Some(before), &moved, None, at(NOW)).and_then(|next| next.outcome);
    for state in [PaymentState::Waiting, PaymentState::Seen { deposit: key }, PaymentState::Following { deposit: None }]
    {
        assert_eq!(found(Mode::Shadow, &was(state.clone())), Some(ShadowOutcome::Agreed), "{state:?}");
        assert_eq!(found(Mode::Real, &was(state)), None);
    }
    // Behind these lies a completion of our own.
    for state in [
        PaymentState::Following { deposit: Some(key) },
        PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) },
        PaymentState::Unclear { deposit: key, attempt: 1, refusal: None },
    ] {
        assert_eq!(found(Mode::Shadow, &was(state.clone())), None, "{state:?}");
    }
    assert_eq!(follow(Mode::Shadow, None, &moved, None, at(NOW)), None, "one that was only just added");
}

#[test]
fn it_is_looked_at_again_within_a_minute() {
    let waits: Vec<u64> = (0..8).map(|looks| look_at(looks, at(NOW), &PACE).since(at(NOW)).as_secs()).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert!(!Mode::Shadow.acts() && Mode::default().acts());
    assert!(words(&open()).starts_with("payment p would be completed with transaction 0x"));
}
