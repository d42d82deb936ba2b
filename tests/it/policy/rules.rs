//! The rules of spending, held against an order again before money leaves, and against what persons have typed.

use rampwatch::domain::hold::{Hold, Over};
use rampwatch::domain::order::{ApprovalReason, Order, OrderState};
use rampwatch::domain::payment::{Provenance, RecipientId, Terms};
use rampwatch::policy::rules::still_allowed;
use rampwatch::policy::spend::Spending;

use super::orders::*;
use super::samples::*;
use super::spend::{LATER, Scene, account, by_auto, scene, spent, to_another, units};

/// An order of the scene's payment, placed by alice some time ago.
fn placed_before(state: OrderState) -> Order {
    Order { placed_by_name: Some(alice()), placed_at: at(LATER - 100), ..order_in("p", state) }
}

/// What the rules of the scene say of an order that was placed before.
fn ruled(scene: &Scene, order: &Order) -> Result<(), Hold> {
    let spending = Spending { orders: &scene.window, booked: &[], at: scene.clock() };
    still_allowed(order, &scene.payment, &spending, &scene.limits)
}

#[test]
fn f7_rules_that_were_tightened_hold_for_orders_placed_before() {
    type Change = fn(&mut Scene);
    let over = |sum: u128, limit: u128| Some(Box::new(Over { sum: units(sum), limit: units(limit) }));
    let table: [(Change, &str, Option<Box<Over>>); 6] = [
        (|it| it.limits.allowed_recipients = [RecipientId::new("another").unwrap()].into(), "allowed_recipients", None),
        (|it| it.limits.allowed_bank_accounts = [account("home")].into(), "allowed_bank_accounts", None),
        (|it| it.limits.allowed_addresses = [BOB].into(), "allowed_addresses", None),
        (|it| it.limits.max_per_payment = units(ASKED - 1), "max_per_payment", over(ASKED, ASKED - 1)),
        (|it| it.limits.max_per_day = units(ASKED - 1), "max_per_day", over(ASKED, ASKED - 1)),
        (|it| it.limits.max_per_recipient = units(ASKED - 1), "max_per_recipient", over(ASKED, ASKED - 1)),
    ];
    for order in [OrderState::Ready, sending()].map(placed_before) {
        assert_eq!(ruled(&scene(), &order), Ok(()), "nothing was tightened");
        for (change, rule, over) in &table {
            let rule = format!("funding.{rule}");
            assert_eq!(ruled(&scene().with(change), &order), Err(Hold::Policy { rule, over: over.clone() }));
        }
        let lowered = scene().with(|it| it.limits.approval_above = units(ASKED - 1));
        let why = ApprovalReason::AboveAmount { limit: units(ASKED - 1) };
        assert_eq!(ruled(&lowered, &order), Err(Hold::ApprovalMissing { why }));
        let approved = Order { approved_by: Some(bob()), ..order.clone() };
        assert_eq!(ruled(&lowered, &approved), Ok(()), "somebody has approved it");
    }
    let auto = by_auto(placed_before(OrderState::Ready));
    for (change, rule) in [
        ((|it| it.limits.auto = false) as Change, "funding.auto"),
        (|it| it.limits.auto_max_per_day = None, "funding.auto_max_per_day"),
    ] {
        let hold = Hold::Policy { rule: rule.to_owned(), over: None };
        assert_eq!(ruled(&scene().with(change), &auto), Err(hold), "what nobody has signed yet");
        let signed = by_auto(placed_before(sending()));
        assert_eq!(ruled(&scene().with(change), &signed), Ok(()), "what is signed may go out");
    }
}

#[test]
fn f7_a_limit_that_is_too_low_for_all_leaves_room_for_the_first() {
    let other = |name: &str, placed_at: u64, state: OrderState| {
        to_another(Order { placed_at: at(placed_at), ..order_in(name, state) })
    };
    let order = placed_before(OrderState::Ready);
    let tight = |window: Vec<Order>| {
        let scene = scene().with(|it| {
            it.limits.max_per_day = units(ASKED);
            it.window = window;
        });
        ruled(&scene, &order).is_ok()
    };
    assert!(tight(vec![order.clone()]), "it does not stand in its own way");
    assert!(!tight(vec![other("q", LATER - 101, OrderState::Ready)]), "what was placed before goes first");
    assert!(tight(vec![other("q", LATER - 99, OrderState::Ready)]), "what was placed later does not");
    assert!(!tight(vec![other("q", LATER - 99, sending())]), "unless it is signed");
    assert!(!tight(vec![spent("q", ASKED, at(LATER - 1))]), "or has left");
}

#[test]
fn s5_many_small_orders_are_one_large_one() {
    let of = |window: Vec<Order>| scene().with(|it| it.window = window).decide().unwrap().approval;
    let his = |name: &str| to_another(Order { placed_by_name: Some(alice()), ..spent(name, ASKED, at(LATER)) });
    let above = Some(ApprovalReason::AbovePerDay { limit: units(ASKED * 3) });
    assert_eq!(of(vec![his("q"), his("r")]), None);
    assert_eq!(of(vec![his("q"), his("r"), his("s")]), above);
    let approved = Order { approved_by: Some(bob()), ..his("s") };
    assert_eq!(of(vec![his("q"), his("r"), approved]), None, "what was approved is no more small change");
    let anothers = Order { placed_by_name: Some(bob()), ..his("s") };
    assert_eq!(of(vec![his("q"), his("r"), anothers]), None, "each placer counts for himself");
    let waits = Order { state: awaiting(), ..his("s") };
    assert_eq!(of(vec![his("q"), his("r"), waits]), None, "what waits for its approval has not gone without one");
}

#[test]
fn f6_f12_what_is_typed_is_not_the_apis_word() {
    let typed = |change: fn(&mut Terms)| scene().with(|it| change(&mut it.payment.terms));
    let recipient = typed(|terms| terms.recipient_from = Some(Provenance::Typed));
    assert_eq!(recipient.decide().unwrap().approval, Some(ApprovalReason::TypedRecipient));
    let expiry = typed(|terms| terms.expiry_from = Some(Provenance::Typed));
    assert_eq!(expiry.decide().unwrap().approval, Some(ApprovalReason::TypedExpiry));
    for told in [None, Some(Provenance::Api), Some(Provenance::Created)] {
        let known = scene().with(|it| (it.payment.terms.recipient_from, it.payment.terms.expiry_from) = (told, told));
        assert_eq!(known.decide().unwrap().approval, None, "{told:?}");
    }
}
