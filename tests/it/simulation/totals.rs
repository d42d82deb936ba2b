//! What many seeds came to together. Outcomes are folded in as they come, so that a hundred thousand seeds need no more
//! room than a few.

use std::collections::BTreeMap;

use super::hits;
use super::log::Outcome;

/// How many failing seeds are kept, the lowest.
const KEPT: usize = 20;

/// The sum of many outcomes.
#[derive(Default)]
pub(crate) struct Totals {
    /// How many seeds were run.
    pub(crate) seeds: u64,
    /// How many things happened in them.
    pub(crate) steps: u64,
    /// How many of them were violated.
    pub(crate) violations: u64,
    /// The lowest of those, and what came of each.
    pub(crate) failing: BTreeMap<u64, Outcome>,
    tally: BTreeMap<String, u64>,
    most: BTreeMap<String, u64>,
}

impl Totals {
    /// A seed has been run.
    pub(crate) fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        for (what, times) in &outcome.tally {
            match self.tally.get_mut(what) {
                Some(sum) => *sum += times,
                None => drop(self.tally.insert(what.clone(), *times)),
            }
        }
        for (what, times) in &outcome.most {
            let known = self.most.entry(what.clone()).or_default();
            *known = (*known).max(*times);
        }
        if !outcome.violations.is_empty() {
            self.violations += 1;
            self.failing.insert(seed, outcome);
            if self.failing.len() > KEPT {
                self.failing.pop_last();
            }
        }
    }

    /// How often something was hit.
    pub(crate) fn hits(&self, what: &str) -> u64 {
        self.tally.get(what).copied().unwrap_or(0)
    }

    /// What was never hit, and should have been.
    pub(crate) fn missed(&self) -> Vec<String> {
        hits::all().filter(|hit| self.hits(hit) == 0).map(|hit| hits::compact(&hit)).collect()
    }

    /// All in one line.
    pub(crate) fn line(&self) -> String {
        let mut tally: BTreeMap<String, u64> = hits::all().map(|hit| (hits::compact(&hit), 0)).collect();
        tally.extend(self.tally.iter().map(|(what, times)| (hits::compact(what), *times)));
        let most = self.most.iter().map(|(what, times)| (format!("most.{}", hits::compact(what)), *times));
        tally.extend(most);
        let hits: Vec<String> = tally.iter().map(|(what, times)| format!("{what}={times}")).collect();
        format!("seeds={} steps={} violations={} {}", self.seeds, self.steps, self.violations, hits.join(" "))
    }
}
