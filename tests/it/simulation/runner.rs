//! Runs many seeds over all cores, and says what came of it: for `make simulate` (`tests/simulate`), and for a handful of
//! seeds in `cargo test` (`seeds`).

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use super::late_logs;
use super::lies::settings::Danger;
use super::log::Outcome;
use super::long_due::LongDue;
use super::odd_nodes;
use super::only::Only;
use super::run::run_world;
use super::settings::Settings;

/// The world of a seed: most are drawn, and some of every fifty are about one danger each.
pub(crate) fn world_of(seed: u64) -> Settings {
    match seed % 50 {
        7 => LongDue::MarkMovesBack.settings(seed),
        13 => Settings::vague_api(seed),
        19 => late_logs::settings(seed),
        24 => odd_nodes::settings(seed),
        32 => LongDue::DepositsGo.settings(seed),
        44 => Settings::one_node_withholds(seed),
        place => match danger_at(place) {
            Some(danger) => danger.settings(seed),
            None => Settings::draw(seed),
        },
    }
}

/// Whether there are worlds that lie.
const LIES: bool = true;

/// What the world lies about.
const fn danger_at(place: u64) -> Option<Danger> {
    match place {
        _ if !LIES => None,
        2 | 17 => Some(Danger::Receipts),
        4 => Some(Danger::Heads),
        9 => Some(Danger::Inventions),
        11 | 34 | 48 => Some(Danger::Everything),
        22 => Some(Danger::Silence),
        26 => Some(Danger::Flaps),
        29 | 46 => Some(Danger::Days),
        37 => Some(Danger::Restores),
        41 => Some(Danger::Clocks),
        _ => None,
    }
}

/// Runs a seed; a panic in it is a violation too.
pub(crate) fn run_guarded(seed: u64, settings: Settings, loud: bool) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run_world(seed, settings, loud))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome::panicked(&text.unwrap_or_default())
    })
}

/// Runs these seeds, each in its world, and gives every outcome to `each` as it comes.
pub(crate) fn run_seeds(
    seeds: Range<u64>,
    threads: usize,
    world: fn(u64) -> Settings,
    each: impl Fn(u64, Outcome) + Sync,
) {
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    each(seed, run_guarded(seed, world(seed), false));
                }
            });
        }
    });
}

/// How many threads there are to run on.
pub(crate) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Tells what came of a seed that was violated.
pub(crate) fn tell(seed: u64, outcome: &Outcome) {
    println!("\nseed {seed} violated, after {} steps:", outcome.steps);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    println!("what happened before:");
    for line in &outcome.happenings {
        println!("{line}");
    }
    println!("it is replayed by: {}", replay(seed, &Only::default()));
}

/// The command that runs a seed alone, with these parts of its world.
pub(crate) fn replay(seed: u64, only: &Only) -> String {
    let only = if *only == Only::default() { String::new() } else { format!(" --only {only}") };
    format!("cargo test --release --locked --test simulate -- --seed {seed}{only}")
}
