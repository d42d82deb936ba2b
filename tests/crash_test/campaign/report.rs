//! What came of it, its last line, and what is too little.
//!
//! The violations:
//! - `lost`: final transfers of a watched token to the address of an added payment that do not stand in the store; payments
//!   and deposits that had been acknowledged, or were in the store after a kill, and later were not.
//! - `wrong`: completions that the API took whose transaction has no final transfer of exactly the payment's amount of USDC to
//!   the payment's own address.
//! - `early`: completions that the API took before their block was final; deposits whose block went away after final.
//! - `doubled`: payments that the API completed more than once, or was called for again after it had completed them.
//! - `missing`: payments whose address has a final transfer of exactly the amount, and that are not completed.
//! - `stuck`: payments, deposits and orders that are open at the end without a named reason.
//! - `sent_twice`: payments to which the wallet made more than one mined transfer, or one that no order tells of.
//! - `spend`: what counts as spent is not, to the unit, what has left the wallet.
//! - `gaps`: the wallet's nonces have a gap, or one was taken and never consumed.
//! - `unknown`: transactions of the wallet that the node has and the store, after a kill, has not.
//! - `undone`: what had ended, or was signed, and is not any more.
//! - `reverted`: orders that count as failed on the chain, for which a person would be asked, though none of their transactions
//!   failed there.
//! - `unsound`: what `rampwatch store check` finds, after each kill and at the end.
//! - `exits`: ends of rampwatch by itself, panics, and stops after which it did not come back.

use std::collections::BTreeMap;

use super::deck::Fault;
use super::liar::Told;
use super::lies::Kind;

/// Everything that must not be.
pub(crate) const VIOLATIONS: [&str; 14] = [
    "lost",
    "wrong",
    "early",
    "doubled",
    "missing",
    "stuck",
    "sent_twice",
    "spend",
    "gaps",
    "unknown",
    "undone",
    "reverted",
    "unsound",
    "exits",
];

/// What operators were at odds about, or too few said anything of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disputes {
    /// How many cases there were.
    pub(crate) all: usize,
    /// Those that are open.
    pub(crate) open: Vec<String>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// How often each kind of fault struck.
    pub(crate) faults: BTreeMap<Fault, u32>,
    /// Faults that struck while another one lasted.
    pub(crate) together: u32,
    /// Kills before it was ready.
    pub(crate) starting: u32,
    /// Starts that rampwatch gave up because the chain was out of reach, as is documented; it was started again.
    pub(crate) refused_starts: u32,
    /// Reorgs of the chain.
    pub(crate) reorgs: u32,
    /// Calls to the API that went wrong over there.
    pub(crate) api_faults: usize,
    /// Answers in which the lying endpoint lied.
    pub(crate) lies: Told,
    /// What came of them, by the store that was left last.
    pub(crate) disputes: Disputes,
    /// Payments that were opened.
    pub(crate) opened: usize,
    /// Payments that the API completed by exactly one call, and that ended so in the store.
    pub(crate) completed: usize,
    /// Transfers of the wallet that were mined, each for an order.
    pub(crate) mined: usize,
    /// In how many kills each kind of step was hit.
    pub(crate) kinds: BTreeMap<&'static str, u32>,
    violations: BTreeMap<&'static str, usize>,
    /// What each of them was, in words.
    pub(crate) details: Vec<String>,
}

impl Report {
    /// Something is as it must not be.
    pub(crate) fn violate(&mut self, kind: &'static str, what: impl Into<String>) {
        debug_assert!(VIOLATIONS.contains(&kind));
        *self.violations.entry(kind).or_default() += 1;
        self.details.push(format!("{kind}: {}", what.into()));
    }

    /// So many violations of one kind, with their words.
    pub(crate) fn violate_all(&mut self, kind: &'static str, whats: impl IntoIterator<Item = String>) {
        for what in whats {
            self.violate(kind, what);
        }
    }

    /// A fault struck.
    pub(crate) fn struck(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// How many faults struck.
    pub(crate) fn total(&self) -> u32 {
        self.faults.values().sum()
    }

    /// How many lies were told.
    pub(crate) fn lies(&self) -> u64 {
        self.lies.values().sum()
    }

    /// How often each kind of lie was told.
    pub(crate) fn kinds_of_lies(&self) -> String {
        let told = Kind::ALL.map(|(kind, name)| format!("{name} ({})", self.lies.get(&kind).unwrap_or(&0)));
        told.join(", ")
    }

    /// The last line.
    pub(crate) fn line(&self, seed: u64) -> String {
        let faults = Fault::ALL.map(|(fault, name, _)| format!("{name}={}", self.faults.get(&fault).unwrap_or(&0)));
        let wrong = VIOLATIONS.map(|name| format!("{name}={}", self.violations.get(name).unwrap_or(&0)));
        let Self { together, starting, refused_starts, reorgs, api_faults, opened, completed, mined, .. } = self;
        format!(
            "campaign: seed={seed} faults={} {} together={together} starting={starting} \
             refused_starts={refused_starts} reorgs={reorgs} api_faults={api_faults} lies={} opened={opened} completed={completed} orders_mined={mined} violations={} {}",
            self.total(),
            faults.join(" "),
            self.lies(),
            self.violations.values().sum::<usize>(),
            wrong.join(" "),
        )
    }

    /// Everything for which the campaign has failed: violations, and too little of anything.
    pub(crate) fn problems(&self, wanted: &Wanted) -> Vec<String> {
        let mut problems = self.details.clone();
        for (fault, least) in &wanted.faults {
            let found = self.faults.get(fault).copied().unwrap_or_default();
            if found < *least {
                problems.push(format!("only {found} of {least} faults were a {fault:?}"));
            }
        }
        let counts = [
            ("reorgs", self.reorgs as usize, wanted.reorgs),
            ("spoilt calls to the API", self.api_faults, wanted.api_faults),
            ("lies", usize::try_from(self.lies()).unwrap_or(usize::MAX), wanted.lies),
            ("completed payments", self.completed, wanted.completed),
            ("mined orders", self.mined, wanted.mined),
        ];
        for (what, found, least) in counts {
            if found < least {
                problems.push(format!("only {found} {what}; {least} are wanted at the least"));
            }
        }
        for kind in wanted.kinds.iter().filter(|kind| !self.kinds.contains_key(*kind)) {
            problems.push(format!("no kill hit the step {kind:?}"));
        }
        for kind in wanted.kinds_of_lies.iter().filter(|kind| !self.lies.contains_key(*kind)) {
            problems.push(format!("no lie was a {kind:?}"));
        }
        problems
    }
}

/// What there must be at the least.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Of each kind of fault.
    pub(crate) faults: BTreeMap<Fault, u32>,
    pub(crate) reorgs: usize,
    pub(crate) api_faults: usize,
    pub(crate) lies: usize,
    pub(crate) completed: usize,
    pub(crate) mined: usize,
    /// The kinds of lies that must have been told.
    pub(crate) kinds_of_lies: Vec<Kind>,
    /// The steps that a kill must have hit.
    pub(crate) kinds: Vec<&'static str>,
}
