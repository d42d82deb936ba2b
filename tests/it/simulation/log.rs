//! What happened in one simulation: a numbered list for people, a digest to compare two runs, counts of what was hit,
//! and what was violated.

use std::collections::{BTreeMap, VecDeque};

use rampwatch::domain::time::Span;

use super::rng::{fold, fold_on};

/// How many happenings a report shows.
const SHOWN: usize = 60;

/// The happenings of one seed.
pub(super) struct Log {
    recent: VecDeque<String>,
    steps: u64,
    digest: u64,
    tally: BTreeMap<String, u64>,
    most: BTreeMap<String, u64>,
    violations: Vec<String>,
    violated_at: Option<(Span, Vec<String>)>,
    loud: bool,
}

impl Log {
    /// An empty list. A loud one is printed as it grows.
    pub(super) fn new(loud: bool) -> Self {
        Self {
            recent: VecDeque::new(),
            steps: 0,
            digest: fold(b""),
            tally: BTreeMap::new(),
            most: BTreeMap::new(),
            violations: Vec::new(),
            violated_at: None,
            loud,
        }
    }

    /// Writes down one happening.
    pub(super) fn note(&mut self, at_millis: u64, what: &str) {
        self.steps += 1;
        let line = format!("{:>6} {:>9}.{:03}  {what}", self.steps, at_millis / 1_000, at_millis % 1_000);
        self.digest = fold_on(self.digest, line.as_bytes());
        if self.loud {
            println!("{line}");
        }
        self.recent.push_back(line);
        if self.recent.len() > SHOWN {
            self.recent.pop_front();
        }
    }

    /// Counts something that is to be hit at least once over all seeds.
    pub(super) fn count(&mut self, what: &str) {
        *self.tally.entry(what.to_owned()).or_default() += 1;
    }

    /// Keeps the most of something that there ever was in a minute.
    pub(super) fn most(&mut self, what: &str, times: u64) {
        let most = self.most.entry(what.to_owned()).or_default();
        *most = times.max(*most);
    }

    /// Writes down that a rule was broken. The happenings up to the first one are kept.
    pub(super) fn violate(&mut self, at_millis: u64, what: &str) {
        self.note(at_millis, &format!("VIOLATED: {what}"));
        self.violations.push(format!("step {}: {what}", self.steps));
        if self.violated_at.is_none() {
            self.violated_at = Some((Span::from_millis(at_millis), self.recent.iter().cloned().collect()));
        }
    }

    /// Whether a rule was broken.
    pub(super) fn is_violated(&self) -> bool {
        !self.violations.is_empty()
    }

    /// What came of it.
    pub(super) fn finish(&self) -> Outcome {
        let last = || (Span::ZERO, self.recent.iter().cloned().collect());
        let (violated_at, happenings) = self.violated_at.clone().unwrap_or_else(last);
        Outcome {
            steps: self.steps,
            digest: self.digest,
            tally: self.tally.clone(),
            most: self.most.clone(),
            violations: self.violations.clone(),
            violated_at,
            happenings,
        }
    }
}

/// What came of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// How many things happened.
    pub(crate) steps: u64,
    /// Of all happenings in their order.
    pub(crate) digest: u64,
    /// What was hit, and how often.
    pub(crate) tally: BTreeMap<String, u64>,
    /// The most of something in a minute.
    pub(crate) most: BTreeMap<String, u64>,
    /// What was violated.
    pub(crate) violations: Vec<String>,
    /// When the first rule was broken, from the beginning.
    pub(crate) violated_at: Span,
    /// The happenings up to the first violation, or the last ones.
    pub(crate) happenings: Vec<String>,
}

impl Outcome {
    /// Something in it panicked.
    pub(super) fn panicked(text: &str) -> Self {
        Self {
            steps: 0,
            digest: 0,
            tally: BTreeMap::new(),
            most: BTreeMap::new(),
            violations: vec![format!("panicked: {text}")],
            violated_at: Span::from_millis(u64::MAX),
            happenings: Vec::new(),
        }
    }
}
