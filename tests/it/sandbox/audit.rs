//! The wallet's books held against the chain: each thing that must not be is found.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef, Transfer};
use rampwatch::domain::order::AttemptKind;
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::{Audit, Sent, USDC, WALLET, audit};
use rampwatch::view::order::OrderView;
use serde_json::{Value, json};

use super::{stranger, usdc};

fn hash(number: u8) -> B256 {
    B256::repeat_byte(number)
}

fn block(number: u8) -> BlockRef {
    BlockRef { number: number.into(), hash: hash(200) }
}

/// An order of a payment over 5 USDC with these attempts, as the operator API tells it.
fn order(payment: &str, attempts: &[(AttemptKind, u8)], outcome: Value) -> OrderView {
    let attempts = attempts.iter().map(|(kind, number)| {
        let (cap, tip) = ("62.5", "30");
        json!({ "kind": kind, "nonce": 0, "tx_hash": hash(*number), "cap_gwei": cap, "tip_gwei": tip, "most_cost": "1",
            "signed_at": "x", "sent_at": "x" })
    });
    let counts = outcome["is"] == "paid";
    let row = json!({
        "id": format!("{payment}:1"), "payment": payment, "to": stranger(1), "amount": { "base_units": usdc(5) },
        "recipient_id": "rec", "bank_account": null, "wallet": WALLET, "block": null, "outcome": null,
        "placed_by": "person", "placed_at": "x", "state": "ended", "text": "ended", "hold": null, "nonce": 0,
        "counts_as_spent": counts, "attempts": attempts.collect::<Vec<_>>(),
        "detail": { "is": "ended", "at": 1, "outcome": outcome },
    });
    serde_json::from_value(row).unwrap()
}

fn paid(payment: &str, number: u8) -> OrderView {
    let outcome = json!({ "is": "paid", "tx_hash": hash(number), "block": block(number), "log_index": 0 });
    order(payment, &[(AttemptKind::Transfer, number)], outcome)
}

fn cancelled(payment: &str, transfer: u8, self_send: u8) -> OrderView {
    let why = json!({ "cause": "person", "reason": "no" });
    let outcome = json!({ "is": "self_sent", "tx_hash": hash(self_send), "why": why });
    order(payment, &[(AttemptKind::Transfer, transfer), (AttemptKind::SelfSend, self_send)], outcome)
}

fn sent(nonce: u64, number: u8, to: Address, transfers: Vec<Transfer>) -> Sent {
    Sent {
        nonce,
        tx_hash: hash(number),
        block: block(number),
        index: 0,
        succeeded: true,
        to: Some(to),
        input: Default::default(),
        cap: Wei::from_gwei(60),
        tip: Wei::from_gwei(30),
        gas_used: 21_000,
        gas_price: Wei::from_gwei(30),
        transfers,
    }
}

fn transfer(nonce: u64, number: u8, amount: Amount) -> Sent {
    let log = Transfer {
        block: block(number),
        block_time: None,
        tx_hash: hash(number),
        log_index: 0,
        token: USDC,
        from: WALLET,
        to: stranger(1),
        amount,
    };
    sent(nonce, number, USDC, vec![log])
}

fn self_send(nonce: u64, number: u8) -> Sent {
    sent(nonce, number, WALLET, Vec::new())
}

#[track_caller]
fn finds(sent: &[Sent], orders: &[OrderView], due: &[&str], words: &[&str]) {
    let found = audit(sent, orders, due).unwrap_err().to_string();
    for word in words {
        assert!(found.contains(word), "no {word:?} in {found}");
    }
}

#[test]
fn books_that_fit_add_up() {
    let chain = [transfer(0, 1, usdc(5)), self_send(1, 3), transfer(2, 4, usdc(5))];
    let orders = [paid("a", 1), cancelled("b", 2, 3), paid("c", 4)];
    let expected = Audit { nonces: 3, payments: 2, moved: usdc(10), idle: 1 };
    assert_eq!(audit(&chain, &orders, &["a", "c"]).unwrap(), expected);
    assert_eq!(audit(&[], &[], &[]).unwrap().nonces, 0);
}

#[test]
fn a_payment_that_was_paid_twice_is_found() {
    let twice = [transfer(0, 1, usdc(5)), transfer(1, 2, usdc(5))];
    let attempts = [(AttemptKind::Transfer, 1), (AttemptKind::Transfer, 2)];
    let outcome = json!({ "is": "paid", "tx_hash": hash(1), "block": block(1), "log_index": 0 });
    finds(&twice, &[order("a", &attempts, outcome)], &["a"], &["a was paid 2 times"]);
    let cancelled_all_the_same = [transfer(0, 2, usdc(5))];
    finds(&cancelled_all_the_same, &[cancelled("b", 2, 3)], &[], &["b was paid and must not be"]);
    finds(&cancelled_all_the_same, &[cancelled("b", 2, 3)], &["b"], &["order b:1 says", "the chain has"]);
}

#[test]
fn what_was_not_paid_is_found() {
    finds(&[], &[], &["a"], &["[\"a\"] were to be paid and were not"]);
    finds(&[], &[paid("a", 1)], &["a"], &["order a:1 says", "None"]);
    let reverted = Sent { succeeded: false, transfers: Vec::new(), ..transfer(0, 1, usdc(5)) };
    finds(&[reverted], &[paid("a", 1)], &["a"], &["order a:1 says"]);
}

#[test]
fn transactions_that_are_not_the_orders_are_found() {
    finds(&[transfer(0, 9, usdc(5))], &[paid("a", 1)], &["a"], &["which is of no order"]);
    finds(&[transfer(1, 1, usdc(5))], &[paid("a", 1)], &["a"], &["nonce 1 where 0 follows"]);
    finds(&[transfer(0, 1, usdc(6))], &[paid("a", 1)], &["a"], &["something else than order a:1 says"]);
    finds(&[transfer(0, 3, usdc(5))], &[cancelled("b", 2, 3)], &[], &["is no self-send"]);
    let not_counted = OrderView { counts_as_spent: false, ..paid("a", 1) };
    finds(&[transfer(0, 1, usdc(5))], &[not_counted], &["a"], &["counts as spent: false"]);
    let mut open = paid("a", 1);
    open.detail = rampwatch::domain::order::OrderState::Ready;
    finds(&[transfer(0, 1, usdc(5))], &[open], &["a"], &["order a:1 has not ended"]);
}
