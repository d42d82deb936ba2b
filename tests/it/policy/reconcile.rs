//! What counts as a difference, and what does not. The planted differences of `ledger::planted` show each kind; here are
//! the cases beside them.

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{BlockRef, Transfer};
use rampwatch::domain::deposit::{BlockStatus, Deposit, MatchRule, Tally, Verdict};
use rampwatch::domain::order::{AttemptKind, Order, OrderState};
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::reconcile::{
    ApiFacts, Blocks, Books, COMPLETION_GRACE, ChainFacts, Kind, Listed, Scope, WalletFacts, compare,
};

use crate::support::records::{
    USDC, address, at, attempt, deposit, hash, order, payment, payment_id, wallet, wallet_address,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn scope() -> Scope {
    Scope { now: NOW, from: Timestamp::EPOCH, to: Timestamp::FAR_FUTURE, token: USDC }
}

/// The `n`th deposit, final for long, paying the `n`th payment.
fn paying(n: u64) -> Deposit {
    let verdict = Verdict::Pays { payment: payment_id(n), rule: MatchRule::Exact };
    Deposit { verdict, standing: BlockStatus::Final { at: at(0) }, ..deposit(n) }
}

fn log_of(deposit: &Deposit) -> Transfer {
    Transfer {
        block: deposit.block(),
        block_time: None,
        tx_hash: deposit.key.tx_hash,
        log_index: deposit.key.log_index,
        token: deposit.token,
        from: deposit.from,
        to: deposit.to,
        amount: deposit.amount,
    }
}

fn books(payments: Vec<Payment>, deposits: Vec<Deposit>, orders: Vec<Order>) -> Books {
    Books {
        payments: payments.into_iter().map(|payment| (payment.id.clone(), payment)).collect(),
        deposits: deposits.into_iter().map(|deposit| (deposit.key, deposit)).collect(),
        orders: orders.into_iter().map(|order| (order.id.clone(), order)).collect(),
        coverage: BTreeMap::new(),
        wallet: Some(wallet(7)),
    }
}

fn read(addresses: &[u64], from: u64, to: u64) -> BTreeMap<rampwatch::domain::chain::Address, Blocks> {
    addresses.iter().map(|n| (address(*n), Blocks { from, to })).collect()
}

fn kinds(books: &Books, chain: Option<&ChainFacts>, api: Option<&ApiFacts>) -> Vec<Kind> {
    compare(books, chain, api, &scope()).into_iter().map(|difference| difference.kind).collect()
}

#[test]
fn f15_what_is_counted_is_compared_by_number_and_sum() {
    type Came = &'static [(u128, u64)];
    let tally = Tally {
        count: 3,
        sum: Amount::from_base_units(6),
        most: Amount::from_base_units(3),
        ignored: Amount::ZERO,
        from: 5,
        through: 15,
        second_to: 0,
        last_tx: hash(1),
        last_at: at(1),
    };
    let bearer = Deposit { tally: Some(Box::new(tally)), ..paying(10) };
    let ledger = books(vec![], vec![bearer.clone()], vec![]);
    let small = |n: u64, units: u128, number: u64| Transfer {
        log_index: 100 + n,
        amount: Amount::from_base_units(units),
        block: BlockRef { number, ..bearer.block() },
        ..log_of(&bearer)
    };
    // Which amounts came in which blocks, from which block on was read, and what differs.
    let table: [(Came, u64, &[Kind]); 7] = [
        (&[(1, 6), (2, 7), (3, 15)], 1, &[]),
        (&[(1, 6), (2, 7)], 1, &[Kind::DepositNotOnChain]),
        (&[(2, 7), (3, 15)], 7, &[]),
        (&[(1, 6), (2, 7), (3, 15), (1, 8)], 1, &[Kind::DepositMissingHere]),
        (&[(1, 6), (3, 7), (3, 15)], 1, &[Kind::DepositMissingHere]),
        (&[(1, 6), (2, 7), (3, 15), (4, 8)], 1, &[Kind::DepositMissingHere]),
        (&[(1, 6), (2, 7), (3, 15), (1, 16)], 1, &[Kind::DepositMissingHere]),
    ];
    for (came, from, expected) in table {
        let logs = (1..).zip(came).map(|(n, (units, number))| small(n, *units, *number));
        let incoming = logs.chain([log_of(&bearer)]).filter(|log| log.block.number >= from).collect();
        let facts = ChainFacts { read: read(&[10], from, 20), incoming, wallet: None };
        assert_eq!(kinds(&ledger, Some(&facts), None), expected, "{came:?} from {from}");
    }
}

#[test]
fn only_blocks_that_were_read_are_compared() {
    let known = paying(10);
    let with = |read, incoming| ChainFacts { read, incoming, wallet: None };
    let ledger = books(vec![], vec![known.clone()], vec![]);
    let empty = books(vec![], vec![], vec![]);
    let gone = Deposit { standing: BlockStatus::Gone { after_final: false }, ..known.clone() };
    let gone = books(vec![], vec![gone], vec![]);
    let all = || read(&[10], 1, 20);
    let table = [
        ("both have it", &ledger, with(all(), vec![log_of(&known)]), vec![]),
        ("only the chain", &empty, with(all(), vec![log_of(&known)]), vec![Kind::DepositMissingHere]),
        ("only the ledger", &ledger, with(all(), vec![]), vec![Kind::DepositNotOnChain]),
        ("below what was read", &ledger, with(read(&[10], 11, 20), vec![]), vec![]),
        ("above what was read", &ledger, with(read(&[10], 1, 9), vec![]), vec![]),
        ("another address was read", &ledger, with(read(&[11], 1, 20), vec![]), vec![]),
        ("a log that nobody asked for", &empty, with(read(&[11], 1, 20), vec![log_of(&known)]), vec![]),
        ("gone on both sides", &gone, with(all(), vec![]), vec![]),
        ("gone here only", &gone, with(all(), vec![log_of(&known)]), vec![Kind::DepositDiffers]),
    ];
    for (what, books, facts, expected) in table {
        assert_eq!(kinds(books, Some(&facts), None), expected, "{what}");
    }
    let mut log = log_of(&known);
    for change in [
        |log: &mut Transfer| log.amount = Amount::from_base_units(1),
        |log: &mut Transfer| log.from = address(1),
        |log: &mut Transfer| log.token = address(2),
    ] {
        let before = log;
        change(&mut log);
        assert_eq!(kinds(&ledger, Some(&with(all(), vec![log])), None), [Kind::DepositDiffers], "{log:?}");
        log = before;
    }
}

#[test]
fn what_left_the_wallet_is_explained_by_the_transfer_of_an_order_and_nothing_else() {
    let sent = |n: u64, units: u128, to: u64| Transfer {
        from: wallet_address(),
        to: address(to),
        amount: Amount::from_base_units(units),
        tx_hash: hash(n),
        block: BlockRef { number: 10, hash: hash(10) },
        ..log_of(&deposit(10))
    };
    let signed = |kind| Order {
        state: OrderState::Sending { nonce: 7, trouble: None },
        attempts: vec![rampwatch::domain::order::Attempt { kind, ..attempt(7, 0xa1) }],
        ..order(1)
    };
    let units = 1_000_000_000;
    let mut to_itself = sent(9, 5, 1);
    to_itself.to = wallet_address();
    let table = [
        ("its own", AttemptKind::Transfer, sent(0xa1, units, 1), vec![]),
        ("another amount", AttemptKind::Transfer, sent(0xa1, units - 1, 1), vec![Kind::OutflowUnexplained]),
        ("another recipient", AttemptKind::Transfer, sent(0xa1, units, 2), vec![Kind::OutflowUnexplained]),
        ("another transaction", AttemptKind::Transfer, sent(0xa2, units, 1), vec![Kind::OutflowUnexplained]),
        ("a self-send moves nothing", AttemptKind::SelfSend, sent(0xa1, units, 1), vec![Kind::OutflowUnexplained]),
        ("nothing at all", AttemptKind::Transfer, sent(9, 0, 9), vec![]),
        ("to itself", AttemptKind::Transfer, to_itself, vec![]),
    ];
    for (what, kind, transfer, expected) in table {
        let facts = WalletFacts { address: wallet_address(), outgoing: vec![transfer], balances: None, mined: None };
        let read = [(wallet_address(), Blocks { from: 1, to: 20 })].into();
        let facts = ChainFacts { read, incoming: vec![], wallet: Some(facts) };
        assert_eq!(kinds(&books(vec![], vec![], vec![signed(kind)]), Some(&facts), None), expected, "{what}");
    }
}

#[test]
fn nonces_that_open_orders_hold_are_no_gap() {
    let holds = |n: u64, nonce| Order { state: OrderState::Sending { nonce, trouble: None }, ..order(n) };
    let table = [
        (7, vec![], vec![]),
        (8, vec![], vec![Kind::NonceAhead]),
        (6, vec![], vec![Kind::NonceGap]),
        (6, vec![holds(1, 6)], vec![]),
        (5, vec![holds(1, 6)], vec![Kind::NonceGap]),
        (5, vec![holds(1, 6), holds(2, 5)], vec![]),
    ];
    for (mined, orders, expected) in table {
        let facts = WalletFacts { address: wallet_address(), outgoing: vec![], balances: None, mined: Some(mined) };
        let facts = ChainFacts { wallet: Some(facts), ..ChainFacts::default() };
        assert_eq!(kinds(&books(vec![], vec![], orders.clone()), Some(&facts), None), expected, "{mined} {orders:?}");
    }
    // Another wallet's count says nothing of this one's.
    let facts = WalletFacts { address: address(1), outgoing: vec![], balances: None, mined: Some(99) };
    let facts = ChainFacts { wallet: Some(facts), ..ChainFacts::default() };
    assert_eq!(kinds(&books(vec![], vec![], vec![]), Some(&facts), None), []);
}

fn listed(n: u64, status: ApiStatus, tx_hash: Option<String>) -> Listed {
    Listed { id: payment_id(n), status, tx_hash, amount: None, address: None, created_at: None, is_ours: true }
}

fn api(all: Vec<Listed>) -> ApiFacts {
    ApiFacts {
        recipients: BTreeSet::new(),
        listed: all.into_iter().map(|listed| (listed.id.clone(), listed)).collect(),
        absent: BTreeSet::new(),
    }
}

#[test]
fn states_against_statuses() {
    let key = paying(1).key;
    let ours = || Some(key.tx_hash.to_string());
    let ended = |outcome| PaymentState::Ended { outcome, at: at(1) };
    let calling = PaymentState::Calling { deposit: key, attempt: 1, started_at: at(1) };
    let following = PaymentState::Following { deposit: Some(key) };
    let table = [
        (PaymentState::Waiting, ApiStatus::AwaitingFunds, None, vec![Kind::FinalNotCompleted]),
        (PaymentState::Waiting, ApiStatus::Expired, None, vec![Kind::TakenThereOpenHere]),
        (calling.clone(), ApiStatus::Completed, ours(), vec![]),
        (calling, ApiStatus::AwaitingFunds, None, vec![]),
        (following.clone(), ApiStatus::Processing, ours(), vec![]),
        (following.clone(), ApiStatus::Completed, ours(), vec![Kind::EndedThereFollowedHere]),
        (following, ApiStatus::Processing, Some(hash(0xbad).to_string()), vec![Kind::OtherHash]),
        (ended(Outcome::Completed), ApiStatus::Completed, ours(), vec![]),
        (ended(Outcome::Completed), ApiStatus::Completed, None, vec![]),
        (ended(Outcome::Completed), ApiStatus::Processing, ours(), vec![Kind::EndedHereNotThere]),
        (ended(Outcome::Completed), ApiStatus::Refunded, ours(), vec![Kind::EndedHereNotThere]),
        (ended(Outcome::Cancelled), ApiStatus::AwaitingFunds, None, vec![]),
        (ended(Outcome::Completed), ApiStatus::Other("NEW".to_owned()), ours(), vec![Kind::EndedHereNotThere]),
    ];
    for (state, status, tx_hash, expected) in table {
        let books = books(vec![Payment { state: state.clone(), ..payment(1) }], vec![paying(1)], vec![]);
        let facts = api(vec![listed(1, status.clone(), tx_hash)]);
        assert_eq!(kinds(&books, None, Some(&facts)), expected, "{state:?} against {status}");
    }
}

#[test]
fn a_completion_has_some_time() {
    let waits = |final_at: Timestamp| {
        let deposit = Deposit { standing: BlockStatus::Final { at: final_at }, ..paying(1) };
        let books = books(vec![payment(1)], vec![deposit], vec![]);
        kinds(&books, None, Some(&api(vec![listed(1, ApiStatus::AwaitingFunds, None)])))
    };
    assert_eq!(waits(NOW.minus(COMPLETION_GRACE)), []);
    assert_eq!(waits(NOW.minus(COMPLETION_GRACE).minus(Span::from_millis(1))), [Kind::FinalNotCompleted]);
}

#[test]
fn what_could_not_be_taken_up_is_not_missed() {
    let unknown = |change: fn(&mut Listed)| {
        let mut one = listed(9, ApiStatus::AwaitingFunds, None);
        one.created_at = Some(at(50));
        change(&mut one);
        let scope = Scope { from: at(10), to: at(100), ..scope() };
        compare(&Books::default(), None, Some(&api(vec![one])), &scope).len()
    };
    assert_eq!(unknown(|_| {}), 1);
    assert_eq!(unknown(|one| one.created_at = None), 1);
    assert_eq!(unknown(|one| one.is_ours = false), 0);
    assert_eq!(unknown(|one| one.created_at = Some(at(9))), 0);
    assert_eq!(unknown(|one| one.created_at = Some(at(100))), 0);
}

#[test]
fn every_kind_has_a_name_of_its_own_and_says_what_to_do() {
    let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    assert!(Kind::ALL.is_sorted());
    for kind in Kind::ALL.iter().copied() {
        assert!(kind.meaning().ends_with('.') && kind.remedy().ends_with('.'), "{kind:?}");
    }
}
