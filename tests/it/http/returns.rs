//! Money that came back to the wallet, as it is shown.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::deposit::{Deposit, MatchRule, NothingReason, Verdict};
use rampwatch::domain::order::{Order, OrderOutcome, OrderState};
use rampwatch::domain::payment::{Outcome, Payment, PaymentState};
use rampwatch::view::returns::{PaymentDetail, ReturnsView};
use rampwatch::view::{DepositView, Page, WhyView};

use super::final_deposit;
use super::orders::fundable;
use crate::support::desk::Desk;
use crate::support::records::{at, attempt, deposit_key, hash, order, order_id, payment_id, wallet_address};

/// The `n`th payment, refunded, with so many base units.
pub(crate) fn refunded(n: u64, base_units: u128) -> Payment {
    let mut payment = fundable(n);
    payment.terms.amount = Amount::from_base_units(base_units);
    payment.state = PaymentState::Ended { outcome: Outcome::Refunded, at: at(9) };
    payment
}

/// Its order, paid in block 10.
pub(crate) fn paid(n: u64, base_units: u128) -> Order {
    let block = BlockRef { number: 10, hash: hash(10) };
    let outcome = OrderOutcome::Paid { tx_hash: hash(n), block, log_index: 4 };
    let state = OrderState::Ended { outcome, at: at(9) };
    Order {
        amount: Amount::from_base_units(base_units),
        state,
        attempts: vec![attempt(7, n)],
        next_at: None,
        ..order(n)
    }
}

/// So much that came to the wallet in block `n`.
pub(crate) fn credit(n: u64, base_units: u128) -> Deposit {
    Deposit {
        to: wallet_address(),
        verdict: Verdict::Nothing { why: NothingReason::WalletCredit },
        ..final_deposit(n, 0, base_units)
    }
}

/// Payments 1 and 2 had 5 USDC, 3 had 6, 4 had 7; block 21 brought 5, block 22 brought 6, block 23 a hundred.
async fn desk() -> Desk {
    let desk = Desk::with_wallet().await;
    let all = [(1, 5_000_000), (2, 5_000_000), (3, 6_000_000), (4, 7_000_000)];
    desk.keep_payments(all.iter().map(|(n, units)| refunded(*n, *units)).collect()).await;
    desk.keep_orders(all.iter().map(|(n, units)| paid(*n, *units)).collect()).await;
    desk.keep(vec![credit(21, 5_000_000), credit(22, 6_000_000), credit(23, 100_000_000)]).await;
    desk
}

#[tokio::test]
async fn the_list_ties_what_is_certain_and_names_what_is_not() {
    let desk = desk().await;
    let ask = async |query: &str| {
        let (status, body) = desk.answer(desk.get(&format!("/v1/wallet/returns{query}"))).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value::<ReturnsView>(body).unwrap()
    };
    let view = ask("").await;
    let whence: Vec<_> = view.items.iter().map(|item| item.comes_back_from.clone().unwrap()).collect();
    assert_eq!((&whence[0].payment, &whence[0].may_be), (&None, &vec![payment_id(1), payment_id(2)]));
    assert!(whence[0].text.contains("one of the payments pay-000001, pay-000002"), "{}", whence[0].text);
    assert_eq!((&whence[1].payment, &whence[1].may_be), (&Some(payment_id(3)), &vec![]));
    assert_eq!((&whence[2].payment, &whence[2].may_be), (&None, &vec![]));
    let open: Vec<_> = view.open.iter().map(|open| open.payment.clone()).collect();
    assert_eq!(open, [payment_id(1), payment_id(2), payment_id(4)], "the third is back");
    assert_eq!(view.open[0].money_back.may_be, [deposit_key(21)]);
    assert_eq!((view.open[2].order.clone(), view.open[2].amount.to_string().as_str()), (order_id(4, 1), "7.00 USDC"));
    assert!(view.open[2].money_back.text.contains("No deposit of this amount"), "{:?}", view.open[2]);
    let first = ask("?limit=2").await;
    assert_eq!((first.items.len(), first.next.as_deref()), (2, Some(deposit_key(22).to_string().as_str())));
    let rest = ask(&format!("?limit=2&after={}", deposit_key(22))).await;
    assert_eq!((rest.items.len(), rest.next, rest.open), (1, None, view.open));
    assert_eq!(rest.items[0], view.items[2]);
}

#[tokio::test]
async fn payments_and_deposits_say_it_too() {
    let desk = desk().await;
    let back = async |n: u64| {
        let (_, body) = desk.answer(desk.get(&format!("/v1/payments/{}", payment_id(n)))).await;
        let shown: PaymentDetail = serde_json::from_value(body).unwrap();
        let (_, body) = desk.answer(desk.get(&format!("/v1/why/{}", payment_id(n)))).await;
        let why: WhyView = serde_json::from_value(body).unwrap();
        assert_eq!((why.money_back.as_ref(), why.orders), (shown.money_back.as_ref(), shown.orders));
        shown.money_back.unwrap()
    };
    let third = back(3).await;
    assert_eq!(third.deposit, Some(deposit_key(22)));
    assert!(
        third.text.contains(&hash(22).to_string()) && third.text.contains("6.00 USDC in block 22"),
        "{}",
        third.text
    );
    assert_eq!((back(1).await.deposit, back(1).await.may_be), (None, vec![deposit_key(21)]));
    assert!(back(4).await.text.contains("No deposit of this amount"));
    let (_, body) = desk.answer(desk.get("/v1/deposits")).await;
    let page: Page<DepositView> = serde_json::from_value(body).unwrap();
    assert_eq!(page.items[1].comes_back_from.as_ref().unwrap().payment, Some(payment_id(3)));
    let (_, body) = desk.answer(desk.get(&format!("/v1/why/{}", deposit_key(22)))).await;
    let why: WhyView = serde_json::from_value(body).unwrap();
    assert_eq!(why.deposits[0].comes_back_from.as_ref().unwrap().payment, Some(payment_id(3)));
    // The same amount again: now nobody can tell.
    desk.keep(vec![credit(24, 6_000_000)]).await;
    let third = back(3).await;
    assert_eq!((third.deposit, third.may_be), (None, vec![deposit_key(22), deposit_key(24)]));
}

#[tokio::test]
async fn an_own_transfer_is_shown_with_its_order() {
    let desk = desk().await;
    let mut own = final_deposit(30, 3, 6_000_000);
    own.verdict = Verdict::Pays { payment: payment_id(3), rule: MatchRule::OwnTransfer { order: order_id(3, 1) } };
    desk.keep(vec![own.clone()]).await;
    let (_, body) = desk.answer(desk.get(&format!("/v1/why/{}", own.key))).await;
    let why: WhyView = serde_json::from_value(body).unwrap();
    assert_eq!((why.orders.len(), why.orders[0].id.clone()), (1, order_id(3, 1)));
    assert_eq!(why.deposits[0].comes_back_from, None, "it did not come to the wallet");
}
