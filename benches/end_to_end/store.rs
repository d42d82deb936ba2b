//! The store alone, on the disk, by its own API: durable changes of payments a second, from 64 writers and from one.
//!
//! A change is what the engine commits when a payment moves on: the payment, and the event that says why. It is
//! durable when the commit returns: written and fsynced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rampwatch::adapters::sled::SledStore;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::deposit::DepositKey;
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{Payment, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::ports::store::{Commit, Store as _};

use crate::Args;
use crate::daemon::Ground;
use crate::figures::percentile;
use crate::seed::{self, Awaited, Story};
use crate::table::{Reached, Table};

const TIME: Duration = Duration::from_secs(5);
const WRITERS: usize = 64;
/// Payments of each writer.
const EACH: usize = 16;
/// Durable changes a second that must be reached.
const LEAST: f64 = 2_000.0;

pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<()> {
    for writers in [WRITERS, 1] {
        let ground = Ground::new(&args.folder, "store-alone", args.keep)?;
        let awaited: Vec<Awaited> = (0..writers * EACH)
            .map(|number| Awaited { address: Address::with_last_byte(u8::try_from(number % 251).unwrap()), amount: 5 })
            .collect();
        let story = Story { created_at: seed::now(), swept_to: Some(1) };
        seed::fill(&ground.store(), &awaited, &story).await?;
        let store = seed::open(&ground.store())?;
        let begun = Instant::now();
        let tasks: Vec<_> =
            (0..writers).map(|writer| tokio::spawn(write(Arc::clone(&store), writer, begun + TIME))).collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let a_second = f64::from(u32::try_from(times.len())?) / seconds;
        let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
        let value = format!("{a_second:.0} a second (p50 {p50:.1} ms, p99 {p99:.1} ms)");
        if writers == 1 {
            table.tell("… from one writer", &value, "");
        } else {
            let what = format!("durable payment changes from {writers} writers, fsync included");
            table.add(&what, &value, "≥ 2,000 a second", Reached::of(a_second >= LEAST), "");
        }
    }
    Ok(())
}

/// Changes its payments one after the other until the time is over. Returns how long each took, in milliseconds.
async fn write(store: Arc<SledStore>, writer: usize, until: Instant) -> Result<Vec<f64>> {
    let mut payments: Vec<Payment> = Vec::new();
    for number in writer * EACH..(writer + 1) * EACH {
        payments.extend(store.payment(&seed::id(number)).await?);
    }
    let mut times = Vec::new();
    for turn in 0_u64.. {
        if Instant::now() >= until {
            break;
        }
        let slot = &mut payments[usize::try_from(turn)? % EACH];
        let commit = moved(slot, turn);
        let begun = Instant::now();
        store.commit(commit).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        slot.version += 1;
    }
    Ok(times)
}

/// The payment, moved between "seen" and "due", which is where its index entries change most.
fn moved(payment: &mut Payment, turn: u64) -> Commit {
    let deposit =
        DepositKey { chain_id: 137, block_hash: B256::repeat_byte(1), tx_hash: B256::repeat_byte(2), log_index: turn };
    let to = match &payment.state {
        PaymentState::Seen { deposit } => PaymentState::Due { deposit: *deposit, attempt: 0 },
        _ => PaymentState::Seen { deposit },
    };
    let from = std::mem::replace(&mut payment.state, to.clone());
    let at = payment.added_at.plus(Span::from_millis(turn));
    payment.next_at = Some(at);
    let kind =
        EventKind::PaymentMoved { from: Box::new(from), to: Box::new(to), why: "its deposit is final".to_owned() };
    let event = Event { at, payment: Some(payment.id.clone()), deposit: Some(deposit), kind };
    Commit { payments: vec![payment.clone()], events: vec![event], ..Commit::default() }
}
