//! What the adapter does before it believes a node: each head is judged against the clock and the heads before it, by the
//! domain's own rule; whoever shows one that cannot be rests for a while, and whoever turns out to be on another chain is
//! shut out for as long as he is.
//!
//! Deliberately absent: the rule itself, which is the domain's and is what is tried here; and rests for other failures.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rampwatch::domain::chain::{BlockNumber, Header};
use rampwatch::domain::plausibility::{Heads, Plausibility, Shown};
use rampwatch::domain::time::{Span, Timestamp};

/// How long an endpoint rests that has shown a head that cannot be.
const RESTS_FOR: Span = Span::from_secs(60);
/// As long as the engine waits for finality that stalls.
const STALL_AFTER: Span = Span::from_secs(60);

fn rules() -> Plausibility {
    Plausibility { stall_after: STALL_AFTER, ..Plausibility::default() }
}

/// What one life believes of heads.
#[derive(Default)]
pub(crate) struct Gate {
    heads: Mutex<Heads>,
    rests: Mutex<BTreeMap<usize, Timestamp>>,
}

impl Gate {
    /// Whether a head of this endpoint's is believed at `now`, by the process's clock. `awake_at`: the same moment by a
    /// clock that is never wrong.
    pub(crate) fn believes(
        &self,
        endpoint: usize,
        head: &Header,
        now: Timestamp,
        awake_at: Timestamp,
    ) -> Result<(), String> {
        let judged = self.heads.lock().expect("one thread").judge(Shown::from(head), now, &rules());
        judged.map_err(|why| {
            self.rests.lock().expect("one thread").insert(endpoint, awake_at.plus(RESTS_FOR));
            why.to_string()
        })
    }

    /// Whether any head was believed yet. Before the first question an endpoint is asked which chain it is on.
    pub(crate) fn is_new(&self) -> bool {
        self.heads.lock().expect("one thread").is_new()
    }

    /// Heads go on from a block that an earlier life believed.
    pub(crate) fn go_on_from(&self, number: BlockNumber, at: Timestamp, now: Timestamp) {
        self.heads.lock().expect("one thread").go_on_from(number, at, now, &rules());
    }

    /// Whether an endpoint rests.
    pub(crate) fn rests(&self, endpoint: usize, awake_at: Timestamp) -> bool {
        self.rests.lock().expect("one thread").get(&endpoint).is_some_and(|until| *until > awake_at)
    }
}
