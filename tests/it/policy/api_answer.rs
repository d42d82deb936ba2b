//! Answers that do not say everything: what a completion waits for, what money waits for, and what a person can vouch for.

use rampwatch::domain::api_field::{ApiField, Unread};
use rampwatch::domain::payment::{ApiStatus, ApiView, Payment, PaymentReview, PaymentState as State};
use rampwatch::policy::address::apply;
use rampwatch::policy::api_answer::{flag, hides, is_open, keeps_from_sending, may_be_vouched};
use rampwatch::policy::payment_machine::{Fact, step};

use super::payment_machine::states;
use super::samples::*;

fn unread(field: ApiField) -> ApiView {
    ApiView { unread: vec![Unread::new(field, "{}")], ..view(ApiStatus::AwaitingFunds, None) }
}

/// Which fields keep a completion, money, and an addition from going on; and what a person's word can stand for.
#[test]
fn each_field_decides_what_it_decides() {
    let yes_or_no = |is: bool| if is { "yes" } else { "no" };
    let table: Vec<String> = ApiField::ALL
        .iter()
        .copied()
        .map(|field| {
            let payment = payment("p");
            let unread = unread(field);
            let completion = hides(&payment, &unread).is_some();
            assert_eq!(is_open(&payment, &unread), !completion);
            let vouched = Payment { vouched: vec![field], ..payment };
            let money = keeps_from_sending(&unread.unread, &[], None).is_some();
            let known = keeps_from_sending(&unread.unread, &[], Some(at(1))).is_some();
            let may = may_be_vouched(field);
            assert!(!may || hides(&vouched, &unread).is_none(), "{field}: a person's word stands for it");
            format!(
                "{field} {} {} {} {} {}",
                yes_or_no(completion),
                yes_or_no(money),
                yes_or_no(known),
                yes_or_no(may),
                flag(field).unwrap_or("-")
            )
        })
        .collect();
    let expected = [
        "transactionHash yes yes yes no -",
        "recipientId yes yes yes yes -",
        "depositAddress yes yes yes yes deposit-address",
        "depositAmount yes yes yes yes amount",
        "depositChain yes yes yes yes deposit-chain",
        "sourceCurrency no yes yes no -",
        "bankAccountId no yes yes no -",
        "createdAt no no no no created-at",
        "expiresAt no yes no yes expires-at",
        "idempotencyKey no no no no -",
        "type no no no no -",
        "sentAt no no no no -",
        "completedAt no no no no -",
    ];
    assert_eq!(table, expected);
}

/// What a state comes to by an answer.
fn next(payment: &Payment, view: &ApiView) -> State {
    step(payment, &Fact::Reported(view.clone()), &context()).expect("a report is met in every state").state
}

/// A field that decides and cannot be read: what is due waits for a person, or for an answer that can be read; nothing else moves
/// by it that would not move by one that is left out.
#[test]
fn r3_what_cannot_be_read_keeps_what_is_due_from_being_called() {
    let open = view(ApiStatus::AwaitingFunds, None);
    for field in ApiField::ALL.iter().copied() {
        for payment in states() {
            let (hidden, plain) = (next(&payment, &unread(field)), next(&payment, &open));
            let decides = hides(&payment, &unread(field)).is_some();
            match (&payment.state, decides) {
                (State::Due { deposit, .. }, true) => {
                    let why = PaymentReview::Unreadable { field, said: "{}".to_owned() };
                    let review = State::Review { why, deposit: Some(*deposit) };
                    assert_eq!(hidden, review, "{field}");
                    let asked = Payment { state: review.clone(), taken: Some(false), ..payment.clone() };
                    assert_eq!(next(&asked, &unread(field)), review, "it stays as long as it cannot be read");
                    let again = next(&asked, &open);
                    assert_eq!(again, State::Seen { deposit: *deposit }, "it goes on by itself once it can");
                    let moved = next(&asked, &view(ApiStatus::Processing, None));
                    assert_eq!(moved, State::Following { deposit: Some(*deposit) }, "the status is followed");
                }
                (_, _) => assert_eq!(hidden, plain, "{field} {:?}", payment.state),
            }
        }
    }
}

/// A status that nobody knows is kept, and nothing follows from it: neither that somebody else has the payment in hand, nor that
/// it may be called. After a call, or once somebody has moved it on, it is followed.
#[test]
fn a_status_that_nobody_knows_moves_nothing() {
    let unknown = view(ApiStatus::Other("ON_HOLD".to_owned()), None);
    for payment in states() {
        let next = next(&payment, &unknown);
        match &payment.state {
            State::Waiting | State::Seen { .. } | State::Due { .. } | State::Review { .. } => {
                assert_eq!(next, payment.state);
            }
            State::Calling { .. } | State::Unclear { .. } | State::Following { .. } => {
                assert_eq!(next.name(), "following", "{:?}", payment.state);
            }
            State::Ended { .. } => assert_eq!(next, payment.state),
        }
    }
}

/// What nobody knows says nothing of a call that was refused: when the API then waits for funds again, without a hash, the payment
/// goes on as one that nobody has completed. One whose call was taken, or may have been, does not.
#[test]
fn a_status_that_nobody_knows_takes_no_refused_call_for_accepted() {
    let unknown = view(ApiStatus::Other("ON_HOLD".to_owned()), None);
    let open = view(ApiStatus::AwaitingFunds, None);
    for payment in states() {
        let State::Unclear { refusal, .. } = &payment.state else { continue };
        let is_refused = refusal.is_some();
        let mut payment = Payment { taken: None, ..payment };
        let followed = step(&payment, &Fact::Reported(unknown.clone()), &context()).unwrap();
        apply(&mut payment, followed, at(1));
        assert_eq!((payment.state.name(), payment.taken), ("following", Some(!is_refused)));
        let then = next(&payment, &open);
        assert_eq!(then.name(), if is_refused { "seen" } else { "following" });
    }
}
