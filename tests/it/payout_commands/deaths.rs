//! Killed (`kill -9`) at random moments, the command and the daemon, and run again: each payment is created once, paid
//! once and completed once, by the fake API's count and by the chain's blocks.
//!
//! The moments are drawn from a seed, which is told; `RAMPWATCH_DEATHS_SEED` draws the same again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rampwatch::domain::amount::Amount;
use rampwatch::sandbox::fake_api::{Call, Fault, FaultRule, When};

use super::bench::{Bench, CONTENT, Ended, LIMIT, finish};
use crate::support::eventually;

/// How many rows the batch has.
const ROWS: u64 = 200;

/// How often all is killed.
const KILLS: usize = 2;

/// Moments that look random, from a seed (SplitMix64).
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let given = std::env::var("RAMPWATCH_DEATHS_SEED").ok().and_then(|text| text.parse().ok());
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = given.unwrap_or_else(|| u64::try_from(nanos % 1_000_000).unwrap());
        println!("RAMPWATCH_DEATHS_SEED={seed} draws the same moments again");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// So many milliseconds, or fewer.
    fn within(&mut self, millis: u64) -> Duration {
        Duration::from_millis(self.next() % millis)
    }
}

/// Answers to create are lost now and then, before and after the work is done.
fn break_things(bench: &Bench) {
    for (fault, per_mille) in [(Fault::Cut { acts: true }, 30), (Fault::Cut { acts: false }, 30)] {
        let rule = FaultRule { call: Call::Create, payment: None, when: When::PerMille(per_mille), fault };
        bench.sandbox.fake_api().add_fault(rule).unwrap();
    }
}

/// Who does the work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// The daemon; the command asks it.
    Daemon,
    /// The command itself, because no daemon runs.
    Command,
}

/// Runs the command; kills it and the daemon, in either order, [`KILLS`] times; then lets it come to its end.
async fn through_deaths(bench: &mut Bench, arguments: &[&str], millis: u64, work: Work) -> Ended {
    let mut moments = Moments::new();
    break_things(bench);
    for _ in 0..KILLS {
        if work == Work::Daemon {
            bench.daemon_up().await;
        }
        let mut command = bench.spawn(arguments);
        let (first, then) = (moments.within(millis), moments.within(300));
        tokio::time::sleep(first).await;
        if moments.next().is_multiple_of(2) {
            bench.daemon.kill().await.unwrap();
            tokio::time::sleep(then).await;
            command.kill().await.unwrap();
        } else {
            command.kill().await.unwrap();
            tokio::time::sleep(then).await;
            bench.daemon.kill().await.unwrap();
        }
        let created = bench.sandbox.fake_api().off_ramps().len();
        println!("killed after {first:?}; {created} payments were created so far");
    }
    if work == Work::Daemon {
        bench.daemon_up().await;
    }
    finish(bench.spawn(arguments)).await
}

/// A batch of so many rows, each with an amount of its own; its text and the amounts.
fn batch(rows: u64) -> (String, Vec<Amount>) {
    let mut text = "reference,user,recipient,bank_account,amount,destination_currency,destination_rail,\
                    destination_country,reason,fund\n"
        .to_owned();
    let mut amounts = Vec::new();
    for row in 1..=rows {
        let (recipient, whole) = (row % 20, 100 + row);
        writeln!(text, "B-{row:03},user-1,rec-{recipient},bank-1,{whole}.{row:03},MXN,SPEI,MX,RENT,wallet").unwrap();
        amounts.push(Amount::from_base_units(u128::from(whole * 1_000_000 + row * 1_000)));
    }
    (text, amounts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payout_killed_twice_and_run_again_is_made_once() {
    let mut bench = Bench::start(200).await;
    let mut arguments = vec!["payout", "--reference", "INV-7", "--amount", "25", "--fund", "--yes", "--json"];
    arguments.extend(CONTENT);
    let ended = through_deaths(&mut bench, &arguments, 2_000, Work::Daemon).await;
    assert_eq!(ended.ends(0, &[]).json()["payment"]["state"]["outcome"], "completed");
    bench.assert_each_once(&[Amount::from_base_units(25_000_000)]).await;
    bench.daemon.stop(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_200_killed_twice_and_run_again_makes_each_payment_once() {
    let mut bench = Bench::start(200).await;
    let (text, amounts) = batch(ROWS);
    let file = bench.write("batch.csv", &text);
    let ended = through_deaths(&mut bench, &["payout", "--file", &file, "--yes", "--json"], 9_000, Work::Daemon).await;
    let tally = ended.ends(0, &[]).json();
    assert_eq!((tally["rows"].as_u64(), tally["completed"].as_u64()), (Some(ROWS), Some(ROWS)), "{tally}");
    bench.assert_each_once(&amounts).await;
    let result = std::fs::read_to_string(bench.path("batch.csv.result.csv")).unwrap();
    let rows: Vec<Vec<&str>> = result.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row[2] == "completed" && row[9] == "COMPLETED"), "{result}");
    let payments: BTreeSet<&str> = rows.iter().map(|row| row[5]).collect();
    let hashes: BTreeSet<&str> = rows.iter().map(|row| row[8]).collect();
    assert_eq!((payments.len(), hashes.len()), (amounts.len(), amounts.len()), "each row has its own");
    bench.daemon.stop(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_the_work_itself_may_be_killed_too() {
    let mut bench = Bench::start(200).await;
    let (text, amounts) = batch(20);
    let file = bench.write("batch.csv", &text);
    let arguments = ["payout", "--file", &file, "--yes", "--json"];
    let ended = through_deaths(&mut bench, &arguments, 4_000, Work::Command).await;
    assert_eq!(ended.ends(0, &["no daemon runs"]).json()["completed"], 20);
    bench.assert_each_once(&amounts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_anew_is_waited_for() {
    let mut bench = Bench::start(200).await;
    bench.daemon_up().await;
    let (text, amounts) = batch(10);
    let file = bench.write("batch.csv", &text);
    let command = bench.spawn(&["payout", "--file", &file, "--yes", "--json"]);
    eventually(LIMIT, "one is open", async || !bench.sandbox.fake_api().off_ramps().is_empty()).await;
    bench.daemon.kill().await.unwrap();
    // Nobody answers for longer than the command's pauses are.
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.daemon_up().await;
    let ended = finish(command).await;
    assert_eq!(ended.ends(0, &["waiting up to 120 s for it"]).json()["completed"], 10);
    bench.assert_each_once(&amounts).await;
    bench.daemon.stop(LIMIT).await.unwrap();
}
