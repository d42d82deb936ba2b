//! What every store must do with orders and the wallet's record, and answer about them and about payments that wait.

use std::sync::Arc;

use rampwatch::domain::order::{CancelReason, Order, OrderId, OrderOutcome, OrderState, Spend};
use rampwatch::domain::payment::{Outcome, Payment, PaymentId, PaymentState};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::{Pause, Wallet};
use rampwatch::ports::store::{Changes, Commit, Store, StoreError};

use super::{commit, for_every_store, funding};
use crate::support::records::{self, address, at, hash, order_id};

for_every_store!(
    pages_orders,
    keeps_the_orders_of_a_payment_apart,
    finds_orders_by_address,
    lists_open_orders_only,
    adds_up_what_is_spent,
    orders_placed_at_one_moment_all_count,
    finds_the_order_of_a_transaction,
    finds_a_transaction_whose_attempt_was_dropped,
    of_two_orders_with_one_transaction_the_last_counts,
    an_order_that_grows_keeps_its_places,
    pages_payments_that_wait,
    follows_a_payment_in_and_out_of_waiting,
    keeps_the_wallet,
    refuses_stale_orders,
    refuses_an_order_that_comes_twice,
    stores_orders_all_or_nothing,
    tells_of_changes_to_orders,
    one_of_many_orders_is_placed,
    a_nonce_is_taken_once,
);

type Dyn = Arc<dyn Store>;

fn of(orders: Vec<Order>) -> Commit {
    Commit { orders, ..Commit::default() }
}

fn with_wallet(wallet: Wallet) -> Commit {
    Commit { wallet: Some(wallet), ..Commit::default() }
}

async fn add(store: &Dyn, orders: Vec<Order>) {
    commit(store, of(orders)).await;
}

/// Raises what the store has of an order.
async fn change(store: &Dyn, id: &OrderId, change: impl FnOnce(&mut Order)) {
    let mut order = store.order(id).await.unwrap().unwrap();
    change(&mut order);
    add(store, vec![order]).await;
}

fn ids(orders: &[Order]) -> Vec<String> {
    orders.iter().map(|order| order.id.to_string()).collect()
}

fn named(payment: &str, turn: u32) -> Order {
    Order { id: OrderId { payment: PaymentId::new(payment).unwrap(), turn }, ..records::order(1) }
}

fn ended() -> OrderState {
    OrderState::Ended { outcome: OrderOutcome::Displaced { nonce: 7 }, at: at(9) }
}

async fn pages_orders(store: Dyn) {
    assert_eq!(store.orders(None, 5).await.unwrap(), []);
    let all = [("b", 1), ("a", 2), ("a-1", 1), ("a", 10), ("B", 1), ("a.1", 1), ("a", 256)];
    add(&store, all.map(|(payment, turn)| named(payment, turn)).to_vec()).await;
    commit(&store, Commit { payments: vec![records::payment(1)], ..with_wallet(records::wallet(1)) }).await;
    let page = async |after: Option<&str>, limit| {
        let after = after.map(|after| after.parse().unwrap());
        ids(&store.orders(after.as_ref(), limit).await.unwrap())
    };
    assert_eq!(page(None, 99).await, ["B:1", "a:2", "a:10", "a:256", "a-1:1", "a.1:1", "b:1"], "by payment, then turn");
    assert_eq!(page(None, 2).await, ["B:1", "a:2"]);
    assert_eq!(page(Some("a:2"), 3).await, ["a:10", "a:256", "a-1:1"]);
    assert_eq!(page(Some("a:11"), 1).await, ["a:256"], "the key need not exist");
    assert_eq!(page(Some("a:4294967295"), 1).await, ["a-1:1"]);
    assert_eq!(page(Some("b:1"), 9).await, Vec::<String>::new());
    assert_eq!(page(None, 0).await, Vec::<String>::new());
    let one = store.order(&"a:10".parse().unwrap()).await.unwrap();
    assert_eq!(one, Some(Order { version: 1, ..named("a", 10) }));
    assert_eq!(store.order(&"a:1".parse().unwrap()).await.unwrap(), None);
}

async fn keeps_the_orders_of_a_payment_apart(store: Dyn) {
    let all = [("p", 2), ("p", 1), ("pp", 1), ("p-1", 1), ("p.", 7), ("p", u32::MAX), ("o", 1)];
    add(&store, all.map(|(payment, turn)| named(payment, turn)).to_vec()).await;
    let found = async |payment: &str| ids(&store.orders_of(&payment.parse().unwrap()).await.unwrap());
    assert_eq!(found("p").await, ["p:1", "p:2", "p:4294967295"]);
    assert_eq!(found("p-1").await, ["p-1:1"]);
    assert_eq!(found("p.").await, ["p.:7"]);
    assert_eq!(found("pp").await, ["pp:1"]);
    assert_eq!(found("p1").await, Vec::<String>::new());
}

async fn finds_orders_by_address(store: Dyn) {
    let to = |payment, turn, n| Order { to: address(n), ..named(payment, turn) };
    add(&store, vec![to("b", 1, 7), to("a", 2, 7), to("a", 1, 7), to("c", 1, 8), to("a-1", 1, 6)]).await;
    let found = async |n| ids(&store.orders_to(address(n)).await.unwrap());
    assert_eq!(found(7).await, ["a:1", "a:2", "b:1"]);
    assert_eq!(found(8).await, ["c:1"]);
    assert_eq!(found(9).await, Vec::<String>::new());
    change(&store, &named("a", 1).id, |order| order.state = ended()).await;
    assert_eq!(found(7).await, ["a:1", "a:2", "b:1"], "also what has ended");
}

/// Every state, each as one more version of the same order.
async fn lists_open_orders_only(store: Dyn) {
    assert_eq!(store.open_orders().await.unwrap(), []);
    add(&store, vec![records::order(2)]).await;
    for (version, state) in (0..).zip(funding::states().into_iter().chain([ended()])) {
        let over = matches!(state, OrderState::Ended { .. });
        add(&store, vec![Order { version, state: state.clone(), ..records::order(1) }]).await;
        let expected = if over { vec!["pay-000002:1"] } else { vec!["pay-000001:1", "pay-000002:1"] };
        assert_eq!(ids(&store.open_orders().await.unwrap()), expected, "{state:?}");
    }
}

async fn adds_up_what_is_spent(store: Dyn) {
    let placed = |n, placed_at| Order { placed_at, ..records::order(n) };
    let given_back = Order { spend: Spend::GivenBack, ..placed(6, at(20)) };
    let orders = vec![
        placed(1, at(30)),
        placed(2, at(10)),
        placed(3, Timestamp::EPOCH),
        placed(4, Timestamp::FAR_FUTURE),
        Order { state: ended(), ..placed(5, at(256)) },
        given_back,
    ];
    add(&store, orders).await;
    let spent = async |since| -> Vec<String> {
        let found = store.spent_since(since).await.unwrap();
        found.iter().map(|order| order.id.payment.as_str().trim_start_matches("pay-00000").to_owned()).collect()
    };
    assert_eq!(spent(Timestamp::EPOCH).await, ["3", "2", "1", "5", "4"], "the earliest first, ended or not");
    assert_eq!(spent(at(10)).await, ["2", "1", "5", "4"], "from that moment itself on");
    assert_eq!(spent(at(11)).await, ["1", "5", "4"]);
    assert_eq!(spent(Timestamp::FAR_FUTURE).await, ["4"]);
    change(&store, &order_id(1, 1), |order| order.spend = Spend::GivenBack).await;
    change(&store, &order_id(5, 1), |order| order.placed_at = at(5)).await;
    assert_eq!(spent(at(10)).await, ["2", "4"]);
    change(&store, &order_id(1, 1), |order| order.spend = Spend::Counted).await;
    assert_eq!(spent(at(5)).await, ["5", "2", "1", "4"]);
    // Once its block's time is known it counts from then on, however long ago it was placed.
    change(&store, &order_id(2, 1), |order| (order.state, order.spent_at) = (ended(), Some(at(300)))).await;
    change(&store, &order_id(4, 1), |order| (order.state, order.spent_at) = (ended(), Some(at(7)))).await;
    assert_eq!(spent(at(5)).await, ["5", "4", "1", "2"]);
    assert_eq!(spent(at(31)).await, ["2"]);
}

async fn orders_placed_at_one_moment_all_count(store: Dyn) {
    let all = [("b", 1), ("a", 2), ("a-1", 1), ("a", 1)];
    add(&store, all.map(|(payment, turn)| Order { placed_at: at(5), ..named(payment, turn) }).to_vec()).await;
    let found = store.spent_since(at(5)).await.unwrap();
    assert_eq!(ids(&found), ["a:1", "a:2", "a-1:1", "b:1"], "by payment and turn");
    assert_eq!(store.spent_since(at(6)).await.unwrap(), []);
    change(&store, &named("a", 2).id, |order| order.spend = Spend::GivenBack).await;
    assert_eq!(ids(&store.spent_since(at(5)).await.unwrap()), ["a:1", "a-1:1", "b:1"]);
}

async fn finds_the_order_of_a_transaction(store: Dyn) {
    let signer = async |n| store.order_of_tx(hash(n)).await.unwrap().map(|order| (order.id.to_string(), order.version));
    assert_eq!(signer(1).await, None);
    let first = Order { attempts: vec![records::attempt(7, 1), records::attempt(7, 2)], ..records::order(1) };
    let second = Order { attempts: vec![records::attempt(8, 256)], ..records::order(2) };
    add(&store, vec![first, second]).await;
    change(&store, &order_id(1, 1), |order| order.attempts.push(records::attempt(7, 3))).await;
    for n in 1..=3 {
        assert_eq!(signer(n).await, Some(("pay-000001:1".to_owned(), 2)), "{n}");
    }
    assert_eq!(signer(256).await, Some(("pay-000002:1".to_owned(), 1)));
    assert_eq!(signer(4).await, None);
    change(&store, &order_id(1, 1), |order| order.state = ended()).await;
    assert_eq!(signer(2).await, Some(("pay-000001:1".to_owned(), 3)), "also once it is over");
}

/// A signed transaction never expires: that it is ours must be known for ever.
async fn finds_a_transaction_whose_attempt_was_dropped(store: Dyn) {
    let attempts = (1..=3).map(|n| records::attempt(7, n)).collect();
    add(&store, vec![Order { attempts, ..records::order(1) }]).await;
    change(&store, &order_id(1, 1), |order| drop(order.attempts.remove(0))).await;
    change(&store, &order_id(1, 1), |order| order.attempts.clear()).await;
    for n in 1..=3 {
        let found = store.order_of_tx(hash(n)).await.unwrap().unwrap();
        assert_eq!((found.id, found.version, found.attempts), (order_id(1, 1), 3, vec![]), "{n}");
    }
    change(&store, &order_id(1, 1), |order| order.attempts.push(records::attempt(7, 2))).await;
    assert_eq!(store.order_of_tx(hash(2)).await.unwrap().unwrap().version, 4, "it may come back");
}

/// Where a chain was wiped and nonces are given out anew, another order may sign the very same bytes.
async fn of_two_orders_with_one_transaction_the_last_counts(store: Dyn) {
    let signed = |turn, placed_at| {
        let attempts = vec![records::attempt(7, 1)];
        Order { id: order_id(1, turn), placed_at: at(placed_at), attempts, ..records::order(1) }
    };
    let signer = async || store.order_of_tx(hash(1)).await.unwrap().unwrap().id.turn;
    add(&store, vec![signed(2, 20)]).await;
    add(&store, vec![signed(1, 10)]).await;
    assert_eq!(signer().await, 2, "the one placed last, not the one stored last");
    change(&store, &order_id(1, 2), |order| order.attempts.clear()).await;
    assert_eq!(signer().await, 2);
    add(&store, vec![signed(4, 20), signed(3, 20)]).await;
    assert_eq!(signer().await, 4, "placed at one moment: by id");
}

async fn an_order_that_grows_keeps_its_places(store: Dyn) {
    add(&store, vec![records::order(1)]).await;
    for n in 1..=16 {
        change(&store, &order_id(1, 1), |order| {
            order.state = OrderState::Sending { nonce: 7, trouble: None };
            order.attempts.push(records::attempt(7, n));
        })
        .await;
        let expected = vec![store.order(&order_id(1, 1)).await.unwrap().unwrap()];
        assert_eq!(u64::try_from(expected[0].attempts.len()).unwrap(), n);
        assert_eq!(store.orders_of(&records::payment_id(1)).await.unwrap(), expected);
        assert_eq!(store.orders_to(address(1)).await.unwrap(), expected);
        assert_eq!(store.open_orders().await.unwrap(), expected);
        assert_eq!(store.spent_since(at(1)).await.unwrap(), expected);
        assert_eq!(store.order_of_tx(hash(n)).await.unwrap().as_slice(), expected);
    }
}

fn waits(id: &str) -> Payment {
    Payment { id: PaymentId::new(id).unwrap(), ..records::payment(1) }
}

async fn waiting(store: &Dyn, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(|after| PaymentId::new(after).unwrap());
    let found = store.waiting(after.as_ref(), limit).await.unwrap();
    found.into_iter().map(|payment| payment.id.to_string()).collect()
}

async fn pages_payments_that_wait(store: Dyn) {
    assert_eq!(waiting(&store, None, 9).await, Vec::<String>::new());
    let seen = Payment { state: PaymentState::Seen { deposit: records::deposit_key(1) }, ..waits("a.0") };
    let payments = ["b", "a", "a-1", "B", "a.1", "c"].map(waits).into_iter().chain([seen]).collect();
    commit(&store, Commit { payments, ..of(vec![records::order(1)]) }).await;
    assert_eq!(waiting(&store, None, 99).await, ["B", "a", "a-1", "a.1", "b", "c"]);
    assert_eq!(waiting(&store, None, 2).await, ["B", "a"]);
    assert_eq!(waiting(&store, Some("a"), 2).await, ["a-1", "a.1"]);
    assert_eq!(waiting(&store, Some("a.0"), 2).await, ["a.1", "b"], "the key need not wait");
    assert_eq!(waiting(&store, Some("c"), 9).await, Vec::<String>::new());
    assert_eq!(waiting(&store, None, 0).await, Vec::<String>::new());
}

async fn follows_a_payment_in_and_out_of_waiting(store: Dyn) {
    let deposit = records::deposit_key(1);
    let states = [
        PaymentState::Waiting,
        PaymentState::Waiting,
        PaymentState::Seen { deposit },
        PaymentState::Waiting,
        PaymentState::Due { deposit, attempt: 0 },
        PaymentState::Waiting,
        PaymentState::Ended { outcome: Outcome::Expired, at: at(1) },
    ];
    for (version, state) in (0..).zip(states) {
        let expected = if state == PaymentState::Waiting { vec!["p"] } else { vec![] };
        let payment = Payment { version, state, ..waits("p") };
        commit(&store, Commit { payments: vec![payment.clone()], ..Commit::default() }).await;
        assert_eq!(waiting(&store, None, 9).await, expected, "{:?}", payment.state);
    }
}

async fn keeps_the_wallet(store: Dyn) {
    assert_eq!(store.wallet().await.unwrap(), None);
    commit(&store, with_wallet(records::wallet(7))).await;
    let read = store.wallet().await.unwrap().unwrap();
    assert_eq!(read, Wallet { version: 1, ..records::wallet(7) });
    let paused = Some(Pause { at: at(1), reason: "a test".to_owned() });
    commit(&store, with_wallet(Wallet { paused: paused.clone(), next_nonce: 8, ..read.clone() })).await;
    let now = Wallet { version: 2, paused, next_nonce: 8, ..read.clone() };
    assert_eq!(store.wallet().await.unwrap(), Some(now.clone()));
    for stale in [read, records::wallet(9), Wallet { version: 3, ..now.clone() }] {
        let refused = store.commit(with_wallet(stale)).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict("the wallet's record".to_owned()));
    }
    assert_eq!(store.wallet().await.unwrap(), Some(now));
}

async fn refuses_stale_orders(store: Dyn) {
    for version in [1, 2, u64::MAX] {
        let refused = store.commit(of(vec![Order { version, ..records::order(1) }])).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict("order pay-000001:1".to_owned()));
    }
    assert_eq!(store.orders(None, 9).await.unwrap(), []);
    add(&store, vec![records::order(1)]).await;
    let read = store.order(&order_id(1, 1)).await.unwrap().unwrap();
    add(&store, vec![Order { reverts: 7, ..read.clone() }]).await;
    for stale in [read, records::order(1), Order { version: 3, ..records::order(1) }] {
        let refused = store.commit(of(vec![stale])).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict("order pay-000001:1".to_owned()));
    }
    let stored = store.order(&order_id(1, 1)).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.reverts), (2, 7));
}

async fn refuses_an_order_that_comes_twice(store: Dyn) {
    for second in 0..2 {
        let again = Order { version: second, ..records::order(1) };
        let refused = store.commit(of(vec![records::order(1), again])).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict("order pay-000001:1".to_owned()));
    }
    assert_eq!(store.orders(None, 9).await.unwrap(), []);
    let another_turn = Order { id: order_id(1, 2), ..records::order(1) };
    add(&store, vec![records::order(1), another_turn]).await;
}

async fn stores_orders_all_or_nothing(store: Dyn) {
    commit(&store, with_wallet(records::wallet(7))).await;
    let changes = store.changes();
    let signed = Order { attempts: vec![records::attempt(7, 1)], ..records::order(1) };
    let mixed = Commit {
        payments: vec![records::payment(1)],
        orders: vec![signed, records::order(2)],
        wallet: Some(records::wallet(8)),
        events: vec![records::event(Some(records::payment_id(1)), None, "sign")],
        ..Commit::default()
    };
    let refused = store.commit(mixed.clone()).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict("the wallet's record".to_owned()));
    let wallet = Some(Wallet { version: 1, ..records::wallet(8) });
    let stale = Order { version: 5, ..records::order(2) };
    let orders = vec![mixed.orders[0].clone(), stale];
    let refused = store.commit(Commit { wallet: wallet.clone(), orders, ..mixed.clone() }).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict("order pay-000002:1".to_owned()));
    assert_eq!(store.wallet().await.unwrap().unwrap().next_nonce, 7);
    assert_eq!(store.orders(None, 9).await.unwrap(), []);
    assert_eq!(store.orders_to(address(1)).await.unwrap(), []);
    assert_eq!(store.open_orders().await.unwrap(), []);
    assert_eq!(store.spent_since(Timestamp::EPOCH).await.unwrap(), []);
    assert_eq!(store.order_of_tx(hash(1)).await.unwrap(), None);
    assert_eq!(store.waiting(None, 9).await.unwrap(), []);
    assert_eq!(store.events(0, 9).await.unwrap(), []);
    assert!(!changes.has_changed().unwrap());

    assert_eq!(commit(&store, Commit { wallet, ..mixed }).await, 1);
    assert_eq!(store.wallet().await.unwrap().unwrap().next_nonce, 8);
    assert_eq!(ids(&store.open_orders().await.unwrap()), ["pay-000001:1", "pay-000002:1"]);
    assert_eq!(store.spent_since(Timestamp::EPOCH).await.unwrap().len(), 2);
    assert_eq!(store.order_of_tx(hash(1)).await.unwrap().unwrap().id, order_id(1, 1));
    assert_eq!(waiting(&store, None, 9).await, ["pay-000001"]);
}

async fn tells_of_changes_to_orders(store: Dyn) {
    let mut changes = store.changes();
    let listening = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            changes.changed().await.unwrap();
            let seen = *changes.borrow();
            (seen, store.order(&order_id(1, 1)).await.unwrap().is_some())
        }
    });
    add(&store, vec![records::order(1), records::order(2)]).await;
    let once = Changes { orders: 1, ..Changes::default() };
    assert_eq!(*store.changes().borrow(), once, "raised when the commit returns");
    assert_eq!(listening.await.unwrap(), (once, true), "what changed can be read");
    commit(&store, with_wallet(records::wallet(7))).await;
    assert_eq!(store.changes().borrow().orders, 2, "the wallet's record counts too");
    let both = Commit { wallet: Some(Wallet { version: 1, ..records::wallet(8) }), ..of(vec![records::order(3)]) };
    commit(&store, both).await;
    assert_eq!(store.changes().borrow().orders, 3, "once for each commit");
    store.commit(of(vec![records::order(3)])).await.unwrap_err();
    let events = vec![records::event(None, None, "x")];
    commit(&store, Commit { events, ..Commit::default() }).await;
    assert_eq!(*store.changes().borrow(), Changes { orders: 3, events: 1, ..Changes::default() });
}

/// Fifty ask at once to fund one payment.
async fn one_of_many_orders_is_placed(store: Dyn) {
    let askers = (0..50_u32).map(|asker| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(of(vec![Order { reverts: asker, ..records::order(1) }])).await })
    });
    let mut placed = 0;
    for asker in askers.collect::<Vec<_>>() {
        match asker.await.unwrap() {
            Ok(_) => placed += 1,
            Err(error) => assert_eq!(error, StoreError::Conflict("order pay-000001:1".to_owned())),
        }
    }
    assert_eq!((placed, store.orders(None, 99).await.unwrap().len()), (1, 1));
}

/// Many take nonces at once, each in the commit that stores the signed attempt: no nonce is taken twice, and none is lost.
async fn a_nonce_is_taken_once(store: Dyn) {
    const ORDERS: u64 = 24;
    let orders = (1..=ORDERS).map(records::order).collect();
    commit(&store, Commit { wallet: Some(records::wallet(0)), ..of(orders) }).await;
    let senders = (1..=ORDERS).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { while !take_nonce(&store, n).await {} })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let open = store.open_orders().await.unwrap();
    let mut nonces: Vec<u64> = open.iter().filter_map(|order| order.state.nonce()).collect();
    nonces.sort_unstable();
    assert_eq!(nonces, (0..ORDERS).collect::<Vec<_>>());
    assert_eq!(store.wallet().await.unwrap().unwrap().next_nonce, ORDERS);
    for order in open {
        let nonce = order.state.nonce().unwrap();
        assert_eq!(store.order_of_tx(hash(nonce)).await.unwrap(), Some(order));
    }
}

async fn take_nonce(store: &Dyn, n: u64) -> bool {
    let mut wallet = store.wallet().await.unwrap().unwrap();
    let mut order = store.order(&order_id(n, 1)).await.unwrap().unwrap();
    let nonce = wallet.next_nonce;
    wallet.next_nonce = nonce.checked_add(1).unwrap();
    let why = CancelReason::Person { reason: "a test".to_owned() };
    order.state = OrderState::Cancelling { nonce, why, trouble: None };
    order.attempts.push(records::attempt(nonce, nonce));
    match store.commit(Commit { wallet: Some(wallet), ..of(vec![order]) }).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, StoreError::Conflict("the wallet's record".to_owned()));
            false
        }
    }
}
