//! Many seeds, over threads; and what they hit together.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rampwatch::domain::time::Span;

use super::fuse::{POINTS, Side, crash_point};
use super::log::Outcome;
use super::long_due::LongDue;
use super::plan::STORIES;
use super::run::run_world;
use super::settings::Settings;

/// How many seeds are run when nobody says otherwise.
const SEEDS: u64 = 200;

/// How many failing seeds are told of in full.
const TOLD: usize = 3;

/// What has to happen at least once over all seeds, beside a death before and after each kind of call.
const HITS: [&str; 58] = [
    "api: GET, KeyRefused",
    "api: GET, NotFound",
    "api: GET, NotNow",
    "api: GET, UnclearBefore",
    "api: POST, Late",
    "api: POST, NotFound",
    "api: POST, NotNow",
    "api: POST, Refused",
    "api: POST, UnclearAfter",
    "api: POST, UnclearBefore",
    "api: completed by hand",
    "api: completion accepted",
    "chain: behind",
    "chain: finality stalls",
    "chain: lagging endpoint asked",
    "chain: logs of another head",
    "chain: logs withheld",
    "chain: no finalized tag",
    "chain: reorg beyond finality",
    "chain: reorg undone",
    "chain: reorg, Drop",
    "chain: reorg, Keep",
    "chain: reorg, Move",
    "chain: unavailable",
    "counted: Closing, there",
    "counted: First, there",
    "counted: First, withheld",
    "counted: Second, there",
    "coverage: closed",
    "deposit: final",
    "deposit: seen by Second",
    "deposit: seen by Sweep",
    "died: anywhere",
    "died: stopped politely",
    "end: ended",
    "end: plainly paid in a calm world",
    "end: review",
    "end: waiting",
    "hints: down",
    "hints: gap",
    "hints: one late",
    "hints: one lost",
    "hints: one twice",
    "hints: silent",
    "operator: add tried again",
    "operator: assign, done",
    "operator: cancel, done",
    "operator: ignore, done",
    "operator: retry, done",
    "payment: calling",
    "payment: due",
    "payment: ended",
    "payment: following",
    "payment: review",
    "payment: seen",
    "payment: unclear",
    "payment: waiting",
    "store: conflict",
];

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, and is {text:?}")))
}

/// Runs a seed; a panic in it is a violation too.
fn run_guarded(seed: u64, settings: Settings, loud: bool) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run_world(seed, settings, loud))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violations = vec![format!("panicked: {}", text.unwrap_or_default())];
        Outcome {
            steps: 0,
            digest: 0,
            tally: BTreeMap::new(),
            most: BTreeMap::new(),
            violations,
            happenings: Vec::new(),
        }
    })
}

fn run_all(seeds: &[u64], world: fn(u64) -> Settings) -> BTreeMap<u64, Outcome> {
    let next = AtomicU64::new(0);
    let outcomes = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("few");
                    let Some(seed) = seeds.get(place) else { break };
                    let outcome = run_guarded(*seed, world(*seed), false);
                    outcomes.lock().expect("nobody panics with it").insert(*seed, outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("nobody panics with it")
}

fn tell(seed: u64, outcome: &Outcome) {
    println!("\nseed {seed} violated, after {} steps:", outcome.steps);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    println!("what happened before:");
    for line in &outcome.happenings {
        println!("{line}");
    }
    println!("one drawn world is replayed by RAMPWATCH_SIM_SEED={seed} cargo test --test it no_seed -- --nocapture");
}

fn none_is_violated(outcomes: &BTreeMap<u64, Outcome>) {
    let failing: Vec<_> = outcomes.iter().filter(|(_, outcome)| !outcome.violations.is_empty()).collect();
    for (seed, outcome) in failing.iter().take(TOLD) {
        tell(**seed, outcome);
    }
    let list: Vec<_> = failing.iter().map(|(seed, outcome)| (seed, &outcome.violations[0])).collect();
    assert!(failing.is_empty(), "{} of {} seeds were violated: {list:#?}", failing.len(), outcomes.len());
}

#[test]
fn no_seed_loses_money_or_completes_wrongly() {
    if let Some(seed) = number_from("RAMPWATCH_SIM_SEED") {
        let outcome = run_guarded(seed, Settings::draw(seed), true);
        tell(seed, &outcome);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
        return;
    }
    let count = number_from("RAMPWATCH_SIM_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = (1..=count).collect();
    let outcomes = run_all(&seeds, Settings::draw);
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    for (what, times) in outcomes.values().flat_map(|outcome| &outcome.tally) {
        *tally.entry(what.clone()).or_default() += times;
    }
    println!("what {count} seeds hit:");
    for (what, times) in &tally {
        println!("{times:>9}  {what}");
    }
    let mut most: BTreeMap<&String, u64> = BTreeMap::new();
    for (what, times) in outcomes.values().flat_map(|outcome| &outcome.most) {
        let known = most.entry(what).or_default();
        *known = (*known).max(*times);
    }
    println!("the most in a minute: {most:?}");
    none_is_violated(&outcomes);
    if count >= SEEDS {
        let stories = STORIES.iter().map(|story| format!("story: {story:?}"));
        let both = [Side::Before, Side::After];
        let deaths = POINTS.iter().flat_map(|point| both.map(|side| crash_point(*point, side)));
        let missed: Vec<_> = HITS
            .iter()
            .map(|hit| (*hit).to_owned())
            .chain(deaths)
            .chain(stories)
            .filter(|hit| !tally.contains_key(hit))
            .collect();
        assert!(missed.is_empty(), "never hit in {count} seeds: {missed:?}");
    }
}

#[test]
fn what_is_withheld_for_long_is_found_by_the_last_reading() {
    let seeds: Vec<u64> = (1..=40).collect();
    let one_node_withholds = |seed| Settings {
        calm: false,
        endpoints: 1,
        long_withholding: true,
        keep_watching: Span::from_secs(600),
        beyond_finality: false,
        ..Settings::draw(seed)
    };
    none_is_violated(&run_all(&seeds, one_node_withholds));
}

/// How often something was hit over all seeds.
fn hits(outcomes: &BTreeMap<u64, Outcome>, what: &str) -> u64 {
    outcomes.values().filter_map(|outcome| outcome.tally.get(what)).sum()
}

#[test]
fn what_was_due_for_long_waits_while_the_final_block_has_moved_back() {
    let seeds: Vec<u64> = (1..=40).collect();
    let outcomes = run_all(&seeds, |seed| LongDue::MarkMovesBack.settings(seed));
    none_is_violated(&outcomes);
    let late = hits(&outcomes, "payment: called long after its deposit was final");
    assert!(late >= 60, "of 120 payments only {late} were due for long and called at last");
}

#[test]
fn what_was_due_for_long_is_not_called_once_its_deposit_is_gone() {
    let seeds: Vec<u64> = (1..=40).collect();
    let outcomes = run_all(&seeds, |seed| LongDue::DepositsGo.settings(seed));
    none_is_violated(&outcomes);
    let due = hits(&outcomes, "payment: due");
    assert!(due >= 60, "of 120 payments only {due} were ever due");
    assert_eq!(hits(&outcomes, "payment: calling"), 0);
}

#[test]
fn a_seed_determines_everything() {
    let seeds: Vec<u64> = (1..=16).collect();
    let digests = |outcomes: BTreeMap<u64, Outcome>| -> Vec<_> {
        outcomes.into_values().map(|outcome| (outcome.steps, outcome.digest)).collect()
    };
    assert_eq!(digests(run_all(&seeds, Settings::draw)), digests(run_all(&seeds, Settings::draw)));
}
