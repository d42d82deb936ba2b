//! Makes a world that fails smaller: parts of it are left out, many at once and then fewer, as long as the same rule is
//! still broken. What is left is replayed by its seed and the list of its parts.
//!
//! Deliberately absent: the smallest world there is. Nothing more can be left out alone; two things together perhaps.

use rampwatch::domain::time::Span;

use super::log::Outcome;
use super::only::{Only, Part, parts_of};
use super::runner::run_guarded;
use super::settings::Settings;

/// A world made smaller.
pub(crate) struct Shrunk {
    /// What is left in it.
    pub(crate) only: Only,
    /// How many parts that is, and how many there were.
    pub(crate) left: (usize, usize),
    /// What comes of it.
    pub(crate) outcome: Outcome,
    /// How many worlds were tried.
    pub(crate) tried: u64,
}

/// Looks for a small world of this seed that breaks the same rule, and tries no more than so many. `None` when the seed
/// breaks none.
pub(crate) fn shrink(seed: u64, settings: &Settings, most: u64) -> Option<Shrunk> {
    let first = run_guarded(seed, settings.clone(), false);
    let wanted = kind(first.violations.first()?);
    let ends = first.violated_at;
    let parts: Vec<Vec<(Part, Span)>> = parts_of(seed, settings);
    let all = parts.iter().map(Vec::len).sum();
    let mut search = Search { seed, settings, wanted, most, tried: 0, left: Vec::new(), best: first };
    search.left = parts.iter().flatten().map(|(part, _)| *part).collect();
    // What begins after the rule was broken had no part in it.
    let begun = |(part, at): (Part, Span)| (at <= ends).then_some(part);
    let groups: Vec<Vec<Part>> = parts.into_iter().map(|group| group.into_iter().filter_map(begun).collect()).collect();
    search.try_with(groups.concat());
    for group in &groups {
        search.leave_out(group);
    }
    while search.halve() {}
    let left = (search.left.len(), all);
    Some(Shrunk { only: Only::these(search.left), left, outcome: search.best, tried: search.tried })
}

/// A violation without what differs from one world to the next: numbers, hashes, names, and the records that it shows.
pub(crate) fn kind(violation: &str) -> String {
    let text =
        violation.split_once(": ").filter(|(step, _)| step.starts_with("step ")).map_or(violation, |(_, text)| text);
    let plain = text.split(['{', '(']).next().unwrap_or(text);
    let words = plain.split_whitespace().filter(|word| !word.chars().any(|letter| letter.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

struct Search<'a> {
    seed: u64,
    settings: &'a Settings,
    wanted: String,
    most: u64,
    tried: u64,
    left: Vec<Part>,
    best: Outcome,
}

impl Search<'_> {
    /// Whether the same rule is broken with these parts only; then they are what is left.
    fn try_with(&mut self, parts: Vec<Part>) -> bool {
        if self.tried >= self.most {
            return false;
        }
        self.tried += 1;
        let only = Only::these(parts.iter().copied());
        let outcome = run_guarded(self.seed, self.settings.clone().with_only(only), false);
        let same = outcome.violations.iter().any(|violation| kind(violation) == self.wanted);
        if same {
            (self.left, self.best) = (parts, outcome);
        }
        same
    }

    fn leave_out(&mut self, out: &[Part]) -> bool {
        let rest: Vec<Part> = self.left.iter().filter(|part| !out.contains(part)).copied().collect();
        rest.len() < self.left.len() && self.try_with(rest)
    }

    /// Leaves out what can be left out: halves of what is left, quarters, and so on to each alone. True when that is
    /// worth doing again.
    fn halve(&mut self) -> bool {
        let before = self.left.len();
        let mut size = before.div_ceil(2);
        while size > 0 && self.tried < self.most {
            for out in self.left.clone().chunks(size) {
                self.leave_out(out);
            }
            size /= 2;
        }
        self.left.len() < before && self.tried < self.most
    }
}
