//! Records that do not read, of every kind: each stops what it belongs to, and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::adapters::evm::EvmChain;
use rampwatch::adapters::sled::{Settings, SledStore, StoreOpenError, check};
use rampwatch::adapters::system::{SystemChance, SystemClock};
use rampwatch::domain::deposit::Deposit;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::order::{Order, OrderState, Spend};
use rampwatch::domain::payment::{Payment, PaymentId};
use rampwatch::domain::record::{Record, RecordKind};
use rampwatch::domain::time::Timestamp;
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, Ports};
use rampwatch::ports::store::{Commit, Lane, Store, StoreError, Subject};
use rampwatch::service::operator_service::{OperatorError, OperatorService};
use rampwatch::service::orders::FundRequest;
use tokio_util::sync::CancellationToken;

use super::{desk, raw, specimens};
use crate::closed_loop::api::PlainApi;
use crate::closed_loop::rig::{Desk, LIMIT, Ticker, node_of, now, pay, place, quick_evm, quick_settings, urls, world};
use crate::support::desk::{handle_with, wallet_settings};
use crate::support::eventually;
use crate::support::records::{self, at};

fn open(path: &Path) -> Result<SledStore, StoreOpenError> {
    SledStore::open(path, &Settings::default())
}

/// The ways in which bytes go bad that a record cannot be read from.
fn damages(bytes: &[u8]) -> [Vec<u8>; 4] {
    let mut flipped = bytes.to_vec();
    flipped[0] ^= 0x20;
    let mut inner = bytes.to_vec();
    let middle = inner.len() / 2;
    inner[middle] = 0xff;
    [flipped, inner, bytes[..bytes.len() / 2].to_vec(), Vec::new()]
}

fn is_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt(_)))
}

/// Every record of a store that holds some of every kind, damaged in every way: the store opens, lists all others, gives the
/// record to nobody, writes nothing over it, and says which one it is. What the store's own form rests on keeps it shut.
#[tokio::test]
async fn s13_a_record_that_does_not_read_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let all = specimens::everything();
    {
        let store = open(&path).unwrap();
        store.commit(all.clone()).await.unwrap();
    }
    let (payment, deposit, order) = (&all.payments[0], &all.deposits[0], &all.orders[0]);
    let of_desk = all.records[0].body.key();
    let key = |space: &[u8], id: &[u8]| [space, id].concat();
    let order_key =
        [b"O".as_slice(), order.id.payment.as_str().as_bytes(), &[0], &order.id.turn.to_be_bytes()].concat();
    let desk_key = [b"K".as_slice(), of_desk.kind.name().as_bytes(), &[0], of_desk.id.as_bytes()].concat();
    let deposit_key = [
        b"D".as_slice(),
        &deposit.key.chain_id.to_be_bytes(),
        deposit.key.block_hash.as_slice(),
        deposit.key.tx_hash.as_slice(),
        &deposit.key.log_index.to_be_bytes(),
    ]
    .concat();
    let kinds = [
        (key(b"P", payment.id.as_str().as_bytes()), format!("payment {}", payment.id)),
        (deposit_key, format!("deposit {}", deposit.key)),
        (order_key, format!("order {}", order.id)),
        (key(b"C", all.coverage[0].address.as_slice()), format!("the coverage of {}", all.coverage[0].address)),
        (desk_key, of_desk.to_string()),
        (b"W".to_vec(), "the wallet's record".to_owned()),
        (b"F".to_vec(), String::new()),
        (b"SCHEMA".to_vec(), String::new()),
    ];
    for (key, name) in &kinds {
        let good = raw::get(&path, key).unwrap_or_else(|| panic!("{name} is there"));
        for damaged in damages(&good) {
            raw::put(&path, key, &damaged);
            if name.is_empty() {
                let error = open(&path).err().expect("the store's own form does not read");
                assert!(matches!(error, StoreOpenError::Unreadable { .. }), "{error}");
                continue;
            }
            {
                is_put_aside(&open(&path).unwrap(), &all, (key, name)).await;
            }
            assert_eq!(raw::get(&path, key).unwrap(), damaged, "{name} is kept as it is");
            let found = check(&path).unwrap().findings;
            assert!(found.iter().any(|found| found.what.contains("cannot be read")), "{name}: {found:?}");
        }
        raw::put(&path, key, &good);
    }
    assert_eq!(open(&path).unwrap().payments(None, 999).await.unwrap().len(), all.payments.len());
}

/// Whether a store gives all records but the damaged one, and tells of that one.
async fn is_put_aside(store: &SledStore, all: &Commit, (key, name): (&[u8], &String)) {
    let (payment, deposit, order) = (&all.payments[0], &all.deposits[0], &all.orders[0]);
    let of_desk = all.records[0].body.key();
    let less = |is: bool| usize::from(is);
    let of = |letter: u8| less(key[0] == letter);
    assert_eq!(store.payments(None, 999).await.unwrap().len(), all.payments.len() - of(b'P'), "{name}");
    assert_eq!(store.deposits(None, 999).await.unwrap().len(), all.deposits.len() - of(b'D'), "{name}");
    assert_eq!(store.orders(None, 999).await.unwrap().len(), all.orders.len() - of(b'O'), "{name}");
    let mut of_kind = 0;
    for kind in RecordKind::ALL.iter().copied() {
        of_kind += store.records_page(kind, None, 999).await.unwrap().len();
    }
    assert_eq!(of_kind, all.records.len() - of(b'K'), "{name}");
    for lane in [Lane::Complete, Lane::Follow] {
        store.due(lane, Timestamp::FAR_FUTURE, 999).await.unwrap();
        store.next_due(lane).await.unwrap();
    }
    store.provisional(u64::MAX, 999).await.unwrap();
    store.watched(None, 999).await.unwrap();
    store.waiting(None, 999).await.unwrap();
    assert_eq!(is_corrupt(store.payment(&payment.id).await), key[0] == b'P', "{name}");
    assert_eq!(is_corrupt(store.deposit(&deposit.key).await), key[0] == b'D', "{name}");
    assert_eq!(is_corrupt(store.order(&order.id).await), key[0] == b'O', "{name}");
    assert_eq!(is_corrupt(store.orders_of(&order.id.payment).await), key[0] == b'O', "{name}");
    assert_eq!(is_corrupt(store.coverage(all.coverage[0].address).await), key[0] == b'C', "{name}");
    assert_eq!(is_corrupt(store.record(&of_desk).await), key[0] == b'K', "{name}");
    assert_eq!(is_corrupt(store.wallet().await), key[0] == b'W', "{name}");
    let held = store.holdings(payment.terms.deposit_address).await;
    assert!(key[0] != b'P' || is_corrupt(held), "{name}: nothing is decided about its address");
    let told: Vec<String> = store.unreadable().into_iter().map(|found| found.what).collect();
    assert_eq!(told, std::slice::from_ref(name));
    let over = Commit {
        payments: vec![Payment { version: 0, ..payment.clone() }],
        orders: vec![Order { version: 0, ..order.clone() }],
        deposits: vec![Deposit { version: 0, ..deposit.clone() }],
        ..Commit::default()
    };
    store.commit(over).await.unwrap_err();
}

/// What lies under another record's key is not that record.
#[tokio::test]
async fn s13_a_record_under_anothers_key_does_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    {
        let store = open(&path).unwrap();
        let payments = vec![records::payment(1), records::payment(2)];
        store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    }
    let other = raw::get(&path, format!("P{}", records::payment_id(2)).as_bytes()).unwrap();
    raw::put(&path, format!("P{}", records::payment_id(1)).as_bytes(), &other);
    let store = open(&path).unwrap();
    assert!(is_corrupt(store.payment(&records::payment_id(1)).await));
    assert_eq!(store.payments(None, 9).await.unwrap().len(), 1);
}

/// An event record that does not read is left out of the stream, and the history of what it is about is not told in part.
#[tokio::test]
async fn s13_an_event_record_that_does_not_read_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    {
        let store = open(&path).unwrap();
        for n in 1..=3 {
            let events = vec![records::event(Some(records::payment_id(n)), None, "add")];
            store.commit(Commit { events, ..Commit::default() }).await.unwrap();
        }
    }
    raw::put(&path, b"E\0\0\0\0\0\0\0\x02", b"neither");
    let store = open(&path).unwrap();
    let numbers: Vec<u64> = store.events(0, 9).await.unwrap().iter().map(|recorded| recorded.seq).collect();
    assert_eq!(numbers, [1, 3]);
    assert!(is_corrupt(store.events_of(&Subject::Payment(records::payment_id(2)), 0, 9).await));
    assert_eq!(store.events_of(&Subject::Payment(records::payment_id(3)), 0, 9).await.unwrap().len(), 1);
    assert_eq!(store.unreadable()[0].what, "event record 2");
}

/// What an order spent, or may still send, is not known where its record does not read: no other is placed or approved into it.
#[tokio::test]
async fn s13_an_order_that_does_not_read_stops_the_wallet() {
    for (state, spend) in [(OrderState::Ready, Spend::Counted), (specimens_paid(), Spend::Counted)] {
        let is_open = !state.is_ended();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let order = Order { state, spend, placed_at: at(19_999_000), ..records::order(1) };
        {
            let store = open(&path).unwrap();
            let payments = vec![records::payment(1), records::payment(2)];
            let wallet = Some(records::wallet(1));
            store.commit(Commit { payments, orders: vec![order.clone()], wallet, ..Commit::default() }).await.unwrap();
        }
        let key = [b"O".as_slice(), order.id.payment.as_str().as_bytes(), &[0], &order.id.turn.to_be_bytes()].concat();
        raw::put(&path, &key, b"{}");
        let store = Arc::new(open(&path).unwrap());
        let handle = handle_with(store.clone(), wallet_settings());
        for n in [1, 2] {
            let payment = records::payment(n);
            let request = FundRequest {
                payment: payment.id.to_string(),
                to: payment.terms.deposit_address.to_checksum(None),
                base_units: payment.terms.amount,
            };
            let refused = handle.fund(&request).await.unwrap_err();
            assert!(
                matches!(&refused, OperatorError::Store(StoreError::Corrupt(what)) if what.contains("order")),
                "{refused}"
            );
        }
        assert_eq!(is_corrupt(store.open_orders().await), is_open);
        assert!(store.orders(None, 9).await.unwrap().is_empty());
    }
}

fn specimens_paid() -> OrderState {
    let ended = super::funding::orders().into_iter().map(|order| order.state);
    ended.into_iter().find(OrderState::is_ended).expect("one has ended")
}

/// What is damaged, and whether the first payment goes on without it.
struct Case {
    name: String,
    key: Vec<u8>,
    goes_on: bool,
}

/// A whole engine over a store of which one record of the first payment does not read: the second is completed, the first only
/// where the record is not its own.
#[tokio::test(flavor = "multi_thread")]
async fn s13_the_neighbours_of_what_does_not_read_are_completed() {
    let key = |space: &str, id: &[u8]| [space.as_bytes(), id].concat();
    let order = records::order_id(0, 1);
    let stray = stray();
    let deposit_key = [
        b"D".as_slice(),
        &stray.key.chain_id.to_be_bytes(),
        stray.key.block_hash.as_slice(),
        stray.key.tx_hash.as_slice(),
        &stray.key.log_index.to_be_bytes(),
    ]
    .concat();
    let order_key = [b"O".as_slice(), b"p-1", &[0], &order.turn.to_be_bytes()].concat();
    let case = |name: &str, key: Vec<u8>, goes_on| Case { name: name.to_owned(), key, goes_on };
    let cases = [
        case("payment p-1", key("P", b"p-1"), false),
        case(&format!("deposit {}", stray.key), deposit_key, false),
        case(&format!("the coverage of {}", place(1)), key("C", place(1).as_slice()), false),
        case("order p-1:1", order_key, false),
        case("the wallet's record", b"W".to_vec(), true),
        case("webhook wh-1", key("Kwebhook\0", b"wh-1"), true),
        case("addresses recipient", key("Kaddresses\0", b"recipient"), true),
        case("event record 1", key("E", &1_u64.to_be_bytes()), true),
    ];
    for (nth, case) in cases.iter().enumerate() {
        run(case, nth).await;
    }
}

/// Money that came to the first payment's address before, in another block, from nobody.
fn stray() -> Deposit {
    Deposit { to: place(1), ..records::deposit(7) }
}

/// Whether there is an alarm about this record.
async fn is_told(store: &dyn Store, name: &str) -> bool {
    let events = store.events(0, 10_000).await.unwrap();
    let alarms = events.iter().filter_map(|it| match &it.event.kind {
        EventKind::Alarm { alarm: Alarm::RecordUnreadable { record, .. } } => Some(record),
        _ => None,
    });
    alarms.into_iter().any(|record| record == name)
}

async fn run(case: &Case, nth: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (chain, api) = (world(), PlainApi::default());
    let node = node_of(&chain);
    let settings = Arc::new(quick_settings());
    let ports = |store: SledStore| Ports {
        store: Arc::new(store),
        chain: Arc::new(EvmChain::new(quick_evm(&[urls(&node)])).unwrap()),
        api: Arc::new(api.clone()),
        off_ramp_api: Some(Arc::new(api.clone())),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        funding: None,
        payouts: None,
    };
    let id = |n: u64| PaymentId::new(format!("p-{n}")).unwrap();
    {
        let ports = ports(open(&path).unwrap());
        let handle = OperatorService::new(&ports, settings.clone(), Arc::default());
        let desk = Desk { api: api.clone(), handle };
        desk.expect(1, now(&chain)).await;
        desk.expect(2, now(&chain)).await;
        let mut order = Order { to: place(1), state: specimens_paid(), ..records::order(1) };
        order.id.payment = id(1);
        let commit = Commit {
            deposits: if case.key[0] == b'D' { vec![stray()] } else { Vec::new() },
            orders: if case.key[0] == b'O' { vec![order] } else { Vec::new() },
            wallet: Some(records::wallet(1)),
            records: vec![Record::new(desk::webhook("wh-1"), None)],
            ..Commit::default()
        };
        ports.store.commit(commit).await.unwrap();
    }
    let good = raw::get(&path, &case.key).unwrap_or_else(|| panic!("{} is there", case.name));
    let damaged = damages(&good)[nth % 4].clone();
    raw::put(&path, &case.key, &damaged);
    {
        let ports = ports(open(&path).unwrap());
        let (store, stop) = (ports.store.clone(), CancellationToken::new());
        let running = tokio::spawn(engine::run(ports, settings, Arc::new(Health::default()), stop.clone()));
        let _ticker = Ticker::start(&chain, Duration::from_millis(20));
        chain.append(pay(1));
        chain.append(pay(2));
        let completed = |n: u64| api.completions().iter().any(|(done, _)| *done == id(n));
        eventually(LIMIT, &format!("{}: the neighbour is completed", case.name), || async { completed(2) }).await;
        if case.goes_on {
            eventually(LIMIT, &format!("{}: it goes on", case.name), || async { completed(1) }).await;
        }
        // Nobody asks for these by himself while nothing new comes.
        drop(store.events(0, 1).await.unwrap());
        drop(store.wallet().await);
        for kind in RecordKind::ALL.iter().copied() {
            drop(store.records_page(kind, None, 9).await.unwrap());
        }
        eventually(LIMIT, &format!("{}: it is told", case.name), || is_told(&*store, &case.name)).await;
        if !case.goes_on {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(!completed(1), "{}: nothing is completed without it", case.name);
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }
    assert_eq!(raw::get(&path, &case.key).unwrap(), damaged, "{} is kept as it is", case.name);
}
