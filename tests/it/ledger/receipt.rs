//! The receipt of a payment: complete where everything is there, and naming what is not.

use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payout::{Funding, Payout, PayoutState};
use rampwatch::domain::record::{Record, RecordBody};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::receipt::ReceiptView;

use super::story;
use crate::support::desk::{Desk, handle_on};
use crate::support::payouts::{payout, taken_quote};
use crate::support::records::{at, deposit, payment};

#[tokio::test]
async fn the_whole_chain_of_evidence() {
    let store = story::told().await;
    let handle = handle_on(&store);
    let view = handle.receipt("pay-000001").await.unwrap();
    insta::assert_snapshot!("receipt", serde_json::to_string_pretty(&view).unwrap());
    assert_eq!(view, handle.receipt("pay-000001").await.unwrap(), "the same ledger gives the same receipt");
    let desk = Desk::serve(store, handle).await;
    let (status, body) = desk.answer(desk.get("/v1/payments/pay-000001/receipt")).await;
    assert_eq!((status, serde_json::from_value::<ReceiptView>(body).unwrap()), (200, view));
    assert_eq!(desk.answer(desk.get("/v1/payments/nobody/receipt")).await.0, 404);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let desk = Desk::open().await;
    desk.keep_payments(vec![payment(2)]).await;
    let view = desk.handle.receipt("pay-000002").await.unwrap();
    let parts: Vec<&str> = view.missing.iter().map(|text| text.split(':').next().unwrap()).collect();
    let all = ["Creation", "Bank account", "API fee", "Order", "Deposit", "Completion", "API answers", "End"];
    assert_eq!(parts, all);

    // A deposit that no event tells of is there, and so is what is not known of it.
    let mut paid = story::final_deposit();
    paid.verdict = rampwatch::domain::deposit::Verdict::Pays {
        payment: payment(2).id,
        rule: rampwatch::domain::deposit::MatchRule::Exact,
    };
    paid.to = payment(2).terms.deposit_address;
    paid.standing = deposit(2).standing;
    desk.store.commit(Commit { deposits: vec![paid], ..Commit::default() }).await.unwrap();
    let view = desk.handle.receipt("pay-000002").await.unwrap();
    let parts: Vec<&str> = view.missing.iter().map(|text| text.split(':').next().unwrap()).collect();
    assert!(parts.contains(&"Match") && parts.contains(&"Finality") && !parts.contains(&"Deposit"), "{parts:?}");
}

#[tokio::test]
async fn a_payout_is_part_of_the_evidence() {
    let store = story::told().await;
    let body = RecordBody::Payout(Box::new(Payout {
        payment: Some(payment(1).id),
        quote: Some(taken_quote(at(0))),
        state: PayoutState::Created { funding: Funding::Hand },
        attempts: 2,
        ..payout("november-17")
    }));
    let kind = EventKind::RecordChanged { body: Box::new(body.clone()), why: "was placed".to_owned() };
    let event = Event { at: at(0), payment: None, deposit: None, kind };
    let commit = Commit { records: vec![Record::new(body, None)], events: vec![event], ..Commit::default() };
    store.commit(commit).await.unwrap();
    let view = handle_on(&store).receipt("pay-000001").await.unwrap();
    assert_eq!(view.missing, [""; 0], "nothing is missing");
    insta::assert_snapshot!("payout", serde_json::to_string_pretty(&view.payout.unwrap()).unwrap());
}
