//! Single steps, measured with criterion: reading logs, matching one against a million open payments, one step of a
//! payment, one durable commit. `make bench ONLY=micro`.
//!
//! Deliberately absent: whole walks; `end_to_end` measures those on the program itself.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measurement that cannot go on may end with a panic that names the line"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rampwatch::adapters::evm::read_transfers;
use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef, LogFilter, Transfer};
use rampwatch::domain::deposit::{Deposit, DepositKey, Verdict};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{Payment, PaymentId, PaymentState, Provenance, RecipientId, Terms};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::matching::{Claims, MatchParams, decide};
use rampwatch::policy::payment_machine::{Context, Fact, step};
use rampwatch::policy::retry::{Jitter, RetryPolicy};
use rampwatch::ports::chain::TransferQuery;
use rampwatch::ports::store::{Commit, Store as _};
use serde_json::json;
use serde_json::value::RawValue;

const OPEN: u64 = 1_000_000;
/// The first topic of a `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const TOKEN: Address = Address::repeat_byte(0xaa);
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Something that looks random: a bijection on 64 bits (the finalizer of MurmurHash3).
fn scrambled(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

fn address(number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&scrambled(number).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes)
}

fn payment(number: u64, to: Address) -> Payment {
    Payment {
        id: PaymentId::new(format!("00000000-0000-4000-8000-{number:012x}")).unwrap(),
        version: 0,
        recipient_id: RecipientId::new("00000000-0000-4000-8000-00000000cafe").unwrap(),
        terms: Terms {
            chain_id: 137,
            token: TOKEN,
            deposit_address: to,
            address_from: Provenance::Api,
            amount: Amount::from_base_units(u128::from(number) + 1),
            amount_from: Provenance::Api,
            sender: None,
            created_at: NOW,
            expires_at: None,
            bank_account: None,
            recipient_from: None,
            expiry_from: None,
            sender_from: None,
            typed_by: None,
        },
        state: PaymentState::Waiting,
        api: None,
        next_at: None,
        quiet_checks: 0,
        added_at: NOW,
        ending: None,
        vouched: Vec::new(),
        taken: None,
    }
}

/// An answer with `blocks` × 20 logs, every hundredth to one of `watched`.
fn answer(blocks: u64, watched: &[Address]) -> Box<RawValue> {
    let log = |block: u64, index: u64| {
        let number = block * 20 + index;
        let to = if number.is_multiple_of(100) {
            watched[usize::try_from(number).unwrap() % watched.len()]
        } else {
            address(u64::MAX - number)
        };
        json!({
            "address": TOKEN, "topics": [TRANSFER, address(number).into_word(), to.into_word()],
            "data": B256::left_padding_from(&number.to_be_bytes()), "blockNumber": format!("{block:#x}"),
            "blockTimestamp": format!("{:#x}", NOW.as_secs() + block), "blockHash": B256::repeat_byte(3),
            "transactionHash": B256::left_padding_from(&scrambled(number).to_be_bytes()),
            "transactionIndex": format!("{index:#x}"), "logIndex": format!("{index:#x}"), "removed": false,
        })
    };
    let logs: Vec<_> = (0..blocks).flat_map(|block| (0..20).map(move |index| log(block, index))).collect();
    RawValue::from_string(serde_json::to_string(&logs).unwrap()).unwrap()
}

fn reading(criterion: &mut Criterion) {
    let mut watched: Vec<Address> = (0..1_000).map(address).collect();
    watched.sort_unstable();
    let query = |recipients: &[Address]| TransferQuery {
        tokens: Arc::new(vec![TOKEN]),
        recipients: Arc::new(recipients.to_vec()),
        filter: LogFilter::Recipients,
        from: 0,
        to: u64::MAX,
        avoid: None,
        by: None,
    };
    let mut group = criterion.benchmark_group("reading");
    // As the chain has them: most logs are for others.
    let (everybody, asked) = (answer(500, &watched), query(&watched));
    assert_eq!(read_transfers(&everybody, &asked).unwrap().len(), 100);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("500_blocks", |bench| {
        bench.iter(|| read_transfers(black_box(&everybody), black_box(&asked)).unwrap());
    });
    let one = RawValue::from_string(format!("[{}]", first_log(&everybody))).unwrap();
    assert_eq!(read_transfers(&one, &asked).unwrap().len(), 1);
    group.throughput(Throughput::Elements(1));
    group.bench_function("one_log", |bench| {
        bench.iter(|| read_transfers(black_box(&one), black_box(&asked)).unwrap());
    });
    group.finish();
}

fn first_log(answer: &RawValue) -> String {
    let logs: Vec<&RawValue> = serde_json::from_str(answer.get()).unwrap();
    logs[0].get().to_owned()
}

/// One million open payments, each with an address of its own; is a log's recipient watched, and which payment does it
/// pay? Every hundredth recipient is watched.
fn matching(criterion: &mut Criterion) {
    let mut watched: Vec<Address> = (0..OPEN).map(address).collect();
    watched.sort_unstable();
    let payments: Vec<Payment> = watched.iter().zip(0..).map(|(to, number)| payment(number, *to)).collect();
    let deposit = |number: u64| {
        let at = usize::try_from(scrambled(number) % OPEN).unwrap();
        let is_watched = number.is_multiple_of(100);
        let transfer = Transfer {
            block: BlockRef { number, hash: B256::repeat_byte(3) },
            block_time: Some(NOW),
            tx_hash: B256::left_padding_from(&scrambled(number).to_be_bytes()),
            log_index: 0,
            token: TOKEN,
            from: Address::repeat_byte(9),
            to: if is_watched { watched[at] } else { address(u64::MAX - number) },
            amount: payments[at].terms.amount,
        };
        Deposit::from_transfer(137, &transfer, NOW, NOW)
    };
    let deposits: Vec<Deposit> = (0..100_000).map(deposit).collect();
    let params = MatchParams { under: Amount::ZERO, over: Amount::ZERO, skew: Span::from_secs(120) };
    let claims = Claims::new();
    let judged = |deposit: &Deposit| {
        let at = watched.binary_search(&deposit.to).ok()?;
        Some(decide(deposit, std::slice::from_ref(&payments[at]), &claims, &params))
    };
    let paid = deposits.iter().filter(|deposit| matches!(judged(deposit), Some(Verdict::Pays { .. }))).count();
    assert_eq!(paid, 1_000);
    let mut group = criterion.benchmark_group("matching");
    for (name, deposits) in [
        ("1_percent_watched", deposits.iter().collect::<Vec<_>>()),
        ("all_watched", deposits.iter().step_by(100).collect()),
    ] {
        let mut next = deposits.iter().cycle();
        group.bench_function(name, |bench| bench.iter(|| judged(black_box(next.next().unwrap()))));
    }
    group.finish();
}

fn payment_machine(criterion: &mut Criterion) {
    let key = DepositKey { chain_id: 137, block_hash: B256::repeat_byte(3), tx_hash: B256::ZERO, log_index: 1 };
    let waiting = payment(1, address(1));
    let seen = Payment { state: PaymentState::Seen { deposit: key }, ..waiting.clone() };
    let pace = RetryPolicy::for_timeout(Span::from_secs(30));
    let context = Context { now: NOW, pace: &pace, jitter: Jitter(5) };
    let mut group = criterion.benchmark_group("payment_machine");
    for (name, payment, fact) in [("matched", waiting, Fact::Matched(key)), ("final", seen, Fact::Final)] {
        group.bench_function(name, |bench| {
            bench.iter(|| step(black_box(&payment), black_box(&fact), &context).unwrap());
        });
    }
    group.finish();
}

/// One writer, one payment and its event a commit, each durable before the next.
fn commit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = SledStore::open(folder.path(), &Settings::default()).unwrap();
    let mut number = 0;
    let mut added = || {
        number += 1;
        let payment = payment(number, address(number));
        let kind = EventKind::PaymentAdded { payment: Box::new(payment.clone()) };
        let event = Event { at: NOW, payment: Some(payment.id.clone()), deposit: None, kind };
        Commit { payments: vec![payment], events: vec![event], ..Commit::default() }
    };
    let mut group = criterion.benchmark_group("commit");
    group.bench_function("one_writer_durable", |bench| {
        bench.iter_batched(
            &mut added,
            |commit| runtime.block_on(store.commit(commit)).unwrap(),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(steps, reading, matching, payment_machine, commit);
criterion_main!(steps);
