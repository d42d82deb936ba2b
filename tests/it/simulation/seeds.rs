//! A handful of seeds, and worlds drawn for one danger; `make simulate` runs many.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use rampwatch::domain::time::Span;

use super::log::Outcome;
use super::long_due::LongDue;
use super::runner::{all_cores, run_guarded, run_seeds, tell, world_of};
use super::settings::Settings;
use super::shrink::{kind, shrink};
use super::totals::Totals;

/// How many seeds are run.
const SEEDS: u64 = 100;

fn run_all(seeds: Range<u64>, world: fn(u64) -> Settings) -> Totals {
    let totals = Mutex::new(Totals::default());
    run_seeds(seeds, all_cores().min(4), world, |seed, outcome| {
        totals.lock().expect("nobody panics with it").add(seed, outcome);
    });
    totals.into_inner().expect("nobody panics with it")
}

fn none_is_violated(totals: &Totals) {
    for (seed, outcome) in &totals.failing {
        tell(*seed, outcome);
    }
    assert_eq!(totals.violations, 0, "of {} seeds", totals.seeds);
}

#[test]
fn no_seed_loses_money_or_completes_wrongly() {
    let totals = run_all(1..SEEDS + 1, world_of);
    println!("{}\nnot hit: {:?}", totals.line(), totals.missed());
    none_is_violated(&totals);
}

#[test]
fn what_is_withheld_for_long_is_found_by_the_last_reading() {
    none_is_violated(&run_all(1..41, Settings::one_node_withholds));
}

#[test]
fn what_nodes_cannot_tell_of_some_delays_no_other() {
    let totals = run_all(1..21, super::odd_nodes::settings);
    none_is_violated(&totals);
    let seen = totals.hits("odd node: one whose logs are sound is seen");
    assert!(seen >= 60, "of 240 payments only {seen} were seen");
}

#[test]
fn what_was_due_for_long_waits_while_the_final_block_has_moved_back() {
    let totals = run_all(1..41, |seed| LongDue::MarkMovesBack.settings(seed));
    none_is_violated(&totals);
    let late = totals.hits("payment: called long after its deposit was final");
    assert!(late >= 60, "of 120 payments only {late} were due for long and called at last");
}

#[test]
fn what_was_due_for_long_is_not_called_once_its_deposit_is_gone() {
    let totals = run_all(1..41, |seed| LongDue::DepositsGo.settings(seed));
    none_is_violated(&totals);
    let due = totals.hits("payment: due");
    assert!(due >= 60, "of 120 payments only {due} were ever due");
    assert_eq!(totals.hits("payment: calling"), 0);
}

/// Worlds in which something that happens anyway counts as a broken rule.
fn fails_when(seed: u64, forbidden: &'static str) -> Settings {
    let (chaos, quiet) = (Span::from_secs(600), Span::from_secs(30));
    Settings { forbidden: Some(forbidden), chaos, quiet, ..Settings::draw(seed) }
}

#[test]
fn a_world_that_fails_is_made_small_and_fails_again_alike() {
    // How few parts can do it: a payment that is opened, added and paid; one that is opened and added, and a death.
    for (forbidden, parts) in [("payment: calling", 4), ("died: ChainHint, After", 6)] {
        let wanted = format!("this must not happen: {forbidden}");
        let fails = |seed: &u64| {
            let outcome = run_guarded(*seed, fails_when(*seed, forbidden), false);
            outcome.violations.first().is_some_and(|violation| kind(violation) == wanted)
        };
        let seed = (1..100).find(fails).expect("one of these fails");
        let settings = fails_when(seed, forbidden);
        let small = shrink(seed, &settings, 1_000).expect("it fails");
        let (left, all) = small.left;
        assert!(left <= parts && left < all && small.tried < 1_000, "{left} of {all}: {}", small.only);
        assert_eq!(kind(&small.outcome.violations[0]), wanted);
        let only = small.only.to_string().parse().expect("as it is printed");
        let again = run_guarded(seed, settings.with_only(only), false);
        assert_eq!((again.digest, again.violations), (small.outcome.digest, small.outcome.violations));
    }
}

#[test]
fn a_seed_that_breaks_no_rule_is_not_made_smaller() {
    assert!(shrink(1, &Settings::draw(1), 10).is_none());
}

#[test]
fn a_violation_is_known_again_by_what_does_not_change() {
    for (violation, expected) in [
        ("step 12: pay-03 is still Seen { deposit: 3 }, and", "is still Seen"),
        ("deposit 0xa1 in block 812 was lost", "deposit in block was lost"),
        ("step 7: panicked: no (None)", "panicked: no"),
    ] {
        assert_eq!(kind(violation), expected);
    }
}

#[test]
fn a_seed_determines_everything() {
    let digests = || {
        let found = Mutex::new(BTreeMap::new());
        run_seeds(1..17, all_cores().min(4), Settings::draw, |seed, outcome: Outcome| {
            found.lock().expect("nobody panics with it").insert(seed, (outcome.steps, outcome.digest));
        });
        found.into_inner().expect("nobody panics with it")
    };
    assert_eq!(digests(), digests());
}
