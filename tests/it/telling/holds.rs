//! Orders that are held up: told once it has lasted, and not when it was over before.

use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::notice::NoticeKind;
use rampwatch::domain::order::{ApprovalReason, Order, OrderState, Spend};
use rampwatch::ports::clock::Clock as _;
use rampwatch::ports::store::{Commit, Store as _};

use super::rig::{Ear, Rig};
use crate::support::records::{order, order_id, payment_id};

/// The first order of the nth payment goes to this state.
async fn moves(rig: &Rig, n: u64, to: OrderState) {
    let stored = rig.store.order(&order_id(n, 1)).await.unwrap().unwrap_or_else(|| order(n));
    let kind = EventKind::OrderMoved {
        order: stored.id.clone(),
        from: Box::new(stored.state.clone()),
        to: Box::new(to.clone()),
        spend: Spend::Counted,
        by: None,
        why: "a test".to_owned(),
    };
    let at = rig.clock.now();
    let events = vec![Event { at, payment: Some(payment_id(n)), deposit: None, kind }];
    let orders = vec![Order { state: to, ..stored }];
    rig.store.commit(Commit { orders, events, ..Commit::default() }).await.unwrap();
}

fn held(why: Hold) -> OrderState {
    OrderState::Held { why }
}

fn api() -> Hold {
    Hold::ApiUnavailable { detail: "HTTP 503".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_seconds_tells_nobody_and_one_that_lasts_tells_once() {
    let ear = Ear::new("ear");
    let mut rig = Rig::new(&[&ear]);
    rig.begin().await;
    moves(&rig, 1, held(Hold::NotReadYet)).await;
    rig.wait(30).await;
    moves(&rig, 1, OrderState::Ready).await;
    rig.wait(3_600).await;
    assert_eq!((ear.titles().len(), rig.states()), (0, vec!["dropped"]));

    moves(&rig, 1, held(Hold::NotReadYet)).await;
    rig.wait(300).await;
    moves(&rig, 1, held(api())).await;
    rig.wait(200).await;
    // It dies and comes back: what is withheld is in the store.
    rig.die().await;
    rig.begin().await;
    rig.wait(7_200).await;
    let heard = ear.heard();
    assert_eq!(ear.titles(), ["An order is held up: order pay-000001:1"], "one hold after the other is one telling");
    let message = &heard[0].message;
    assert!(message.text[0].contains("the payment API could not be asked"), "as it is now: {:?}", message.text);
    assert!(message.remedies.iter().any(|way| way.contains("rampwatch cancel --reason '…' pay-000001:1")));
    assert_eq!((message.kind, message.payment.clone()), (NoticeKind::Hold, Some(payment_id(1))));

    // What holds it up changes, and that lasts: somebody has to do something else now.
    moves(&rig, 1, held(Hold::TokenPaused)).await;
    rig.wait(3_600).await;
    assert_eq!(ear.titles().len(), 2);
    assert!(ear.heard()[1].message.text[0].contains("the token is paused"));
    // It flutters: nothing lasts, and nothing more is told.
    for _ in 0..20 {
        moves(&rig, 1, held(api())).await;
        rig.wait(100).await;
        moves(&rig, 1, held(Hold::TokenPaused)).await;
        rig.wait(100).await;
    }
    assert_eq!(ear.titles().len(), 2);
    moves(&rig, 1, OrderState::Ready).await;
    rig.wait(3_600).await;
    assert_eq!(ear.titles().len(), 2);
    assert!(rig.notices().iter().all(|notice| !notice.state.is_open()));
    rig.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_order_that_needs_approval_is_told_at_once_with_the_commands() {
    let ear = Ear::new("ear");
    let mut rig = Rig::new(&[&ear]);
    rig.begin().await;
    let state = OrderState::AwaitingApproval { why: ApprovalReason::TypedAddress };
    let placed = Order { state, ..order(1) };
    let kind = EventKind::OrderPlaced { order: Box::new(placed.clone()) };
    let events = vec![Event { at: rig.clock.now(), payment: Some(payment_id(1)), deposit: None, kind }];
    rig.store.commit(Commit { orders: vec![placed], events, ..Commit::default() }).await.unwrap();
    rig.wait(5).await;
    assert_eq!(ear.titles(), ["An order needs approval: order pay-000001:1"]);
    let message = ear.heard()[0].message.clone();
    assert!(message.text[0].contains("a person typed the deposit address"), "{:?}", message.text);
    assert!(message.text[1].contains("1000.00"), "{:?}", message.text);
    assert!(message.remedies[0].ends_with("rampwatch approve --reason '…' pay-000001:1"), "{:?}", message.remedies);
    rig.stop().await.unwrap();
}
