//! The points of a send at which the process can die: every commit and every call over the network, by name.
//!
//! A call's name bears how far the order was when it began, because the same question is asked at many steps. A commit's
//! name is what it changes. The process ends itself with `abort`: no destructor runs, nothing is flushed, and what was
//! under way stays as it is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rampwatch::domain::event::EventKind;
use rampwatch::domain::order::{Order, OrderState};
use rampwatch::ports::store::Commit;
use serde::{Deserialize, Serialize};

/// On which side of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Side {
    /// What the point is was not begun.
    Before,
    /// It was done, and nobody has heard of it.
    After,
}

/// Where the process is to die.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) point: String,
    /// At which pass of it, from 1.
    pub(crate) nth: u32,
    pub(crate) side: Side,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.side == Side::Before { "before" } else { "after" };
        write!(f, "{side} pass {} of [{}]", self.nth, self.point)
    }
}

struct Passed {
    armed: bool,
    phase: String,
    passes: BTreeMap<String, u32>,
    trace: File,
}

/// Counts passes, and dies at one of them.
pub(crate) struct Points {
    death: Option<Death>,
    passed: Mutex<Passed>,
}

/// A pass that is under way.
pub(crate) struct Pass {
    point: String,
    nth: u32,
}

impl Points {
    /// Writes every pass into the file of this name.
    pub(crate) fn new(trace: &Path, death: Option<Death>) -> Self {
        let trace = OpenOptions::new().create(true).append(true).open(trace).unwrap();
        let passed = Passed { armed: false, phase: "placing".to_owned(), passes: BTreeMap::new(), trace };
        Self { death, passed: Mutex::new(passed) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes count from now on: the order is about to be placed.
    pub(crate) fn arm(&self) {
        self.lock().armed = true;
    }

    /// A call begins.
    pub(crate) fn call(&self, name: &str) -> Pass {
        let point = format!("{name} while {}", self.lock().phase);
        self.begin(point)
    }

    /// A commit begins.
    pub(crate) fn commit(&self, commit: &Commit) -> Pass {
        let changes = changes(commit);
        let point = if commit.events.is_empty() {
            format!("commit of {changes} while {}", self.lock().phase)
        } else {
            format!("commit of {changes}")
        };
        self.begin(point)
    }

    fn begin(&self, point: String) -> Pass {
        let mut passed = self.lock();
        if !passed.armed {
            return Pass { point, nth: 0 };
        }
        let passes = passed.passes.entry(point.clone()).or_default();
        *passes += 1;
        let nth = *passes;
        writeln!(passed.trace, "{nth}\t{point}").unwrap();
        let pass = Pass { point, nth };
        self.die(&pass, Side::Before, &mut passed);
        pass
    }

    /// The commit is about to be made, and others may hear of it before it returns: the order is further on. Gives how far
    /// it was.
    pub(crate) fn committing(&self, orders: &[Order]) -> Option<String> {
        let further = phase(orders.last()?);
        Some(std::mem::replace(&mut self.lock().phase, further))
    }

    /// The commit was not made.
    pub(crate) fn not_committed(&self, before: Option<String>) {
        if let Some(before) = before {
            self.lock().phase = before;
        }
    }

    /// A call has been answered.
    pub(crate) fn done(&self, pass: &Pass) {
        let mut passed = self.lock();
        self.die(pass, Side::After, &mut passed);
    }

    fn die(&self, pass: &Pass, side: Side, passed: &mut Passed) {
        let here = |death: &&Death| death.point == pass.point && death.nth == pass.nth && death.side == side;
        if self.death.as_ref().filter(here).is_some() {
            // What is in the file is with the system, and outlives the process.
            writeln!(passed.trace, "{DIED}").unwrap();
            std::process::abort();
        }
    }
}

/// The last line of the trace of a process that died where it was told to.
pub(crate) const DIED: &str = "died";

fn phase(order: &Order) -> String {
    let sent = order.attempts.last().is_some_and(|attempt| attempt.sends > 0);
    let nonces: std::collections::BTreeSet<u64> = order.attempts.iter().map(|attempt| attempt.nonce).collect();
    let (name, attempts, nonces) = (order.state.name(), order.attempts.len(), nonces.len());
    match order.state {
        OrderState::Sending { .. } | OrderState::Cancelling { .. } => {
            format!("{name}, attempt {attempts} {}", if sent { "sent" } else { "signed" })
        }
        _ if nonces > 1 || (nonces == 1 && name == "ready") => format!("{name} at nonce {nonces}"),
        _ => name.to_owned(),
    }
}

/// What a commit changes, in words that are the same from run to run.
fn changes(commit: &Commit) -> String {
    if commit.events.is_empty() {
        let parts = [
            (!commit.payments.is_empty(), "payments"),
            (!commit.deposits.is_empty(), "deposits"),
            (!commit.coverage.is_empty(), "coverage"),
            (commit.finality.is_some(), "finality"),
            (!commit.orders.is_empty(), "orders"),
            (commit.wallet.is_some(), "wallet"),
        ];
        let said: Vec<&str> = parts.iter().filter(|(there, _)| *there).map(|(_, name)| *name).collect();
        return said.join(" and ");
    }
    let mut said: Vec<String> = commit.events.iter().map(|event| kind(&event.kind)).collect();
    said.dedup();
    said.join(", ")
}

fn kind(kind: &EventKind) -> String {
    match kind {
        EventKind::PaymentMoved { from, to, .. } => format!("payment {} to {}", from.name(), to.name()),
        EventKind::OrderMoved { from, to, .. } if from.name() == to.name() => format!("order still {}", to.name()),
        EventKind::OrderMoved { from, to, .. } => format!("order {} to {}", from.name(), to.name()),
        EventKind::ApiReported { view } => format!("API says {}", view.status),
        EventKind::AttemptSigned { attempt, .. } => format!("{:?} signed", attempt.kind),
        // What follows names the order.
        EventKind::PersonDecided { action, .. } => action.split(' ').next().unwrap_or_default().to_owned(),
        EventKind::PaymentAdded { .. } => "payment added".to_owned(),
        EventKind::DepositSeen { .. } => "deposit seen".to_owned(),
        EventKind::DepositJudged { .. } => "deposit judged".to_owned(),
        EventKind::DepositStands { .. } => "deposit stands".to_owned(),
        EventKind::DepositsCounted { .. } => "deposits counted".to_owned(),
        EventKind::FinalityMoved { .. } => "finality moved".to_owned(),
        EventKind::Alarm { .. } => "alarm".to_owned(),
        EventKind::AddressPlaced { .. } => "address placed".to_owned(),
        EventKind::AddressClosed { .. } => "address closed".to_owned(),
        EventKind::EndpointBack { .. } => "endpoint back".to_owned(),
        EventKind::ListenerBack { .. } => "listener back".to_owned(),
        EventKind::StallOver { .. } => "stall over".to_owned(),
        EventKind::OrderPlaced { .. } => "order placed".to_owned(),
        EventKind::AttemptSent { .. } => "sent".to_owned(),
        EventKind::AttemptMined { .. } => "mined".to_owned(),
        EventKind::WalletChanged { .. } => "wallet changed".to_owned(),
        EventKind::RecordChanged { .. } => "record changed".to_owned(),
    }
}
