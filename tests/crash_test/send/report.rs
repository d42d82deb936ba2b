//! What came of it, and its last line.
//!
//! - `cases`: deaths that were to be shown, each at one point of one story, before or after it.
//! - `reached`: those in which the process did die there; `unreached`: the others. One is enough to fail.
//! - `kills`: random kills of the release binary under load.
//! - `payments`, `paid`: payments that were to be funded, and those for which the chain has the transfer, in all parts.
//! - `doubled`: payments with more than one mined transfer, or that the API was asked to complete more than once.
//! - `stuck`: payments and orders that did not end as they must.
//! - `spend_wrong`: worlds in which what counts as spent is not, to the unit, what the chain says has left the wallet.
//! - `gaps`: worlds in which the wallet's nonces have a gap, or one was taken and never consumed.
//! - `unknown`: transactions of the wallet that the nodes have and the store, after a death, has not.

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) cases: u32,
    pub(crate) reached: u32,
    pub(crate) kills: u32,
    pub(crate) payments: usize,
    pub(crate) paid: usize,
    pub(crate) doubled: usize,
    pub(crate) stuck: usize,
    pub(crate) spend_wrong: usize,
    pub(crate) gaps: usize,
    pub(crate) unknown: usize,
    /// What each failure was, in words.
    pub(crate) details: Vec<String>,
}

impl Report {
    /// Something else is wrong.
    pub(crate) fn failed(&mut self, what: String) {
        self.details.push(what);
    }

    /// Adds another part.
    pub(crate) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.reached += other.reached;
        self.kills += other.kills;
        self.payments += other.payments;
        self.paid += other.paid;
        self.doubled += other.doubled;
        self.stuck += other.stuck;
        self.spend_wrong += other.spend_wrong;
        self.gaps += other.gaps;
        self.unknown += other.unknown;
        self.details.extend(other.details);
    }

    /// Whether nothing failed, and so many kills happened.
    pub(crate) fn is_good(&self, kills: u32) -> bool {
        let wrong = self.doubled + self.stuck + self.spend_wrong + self.gaps + self.unknown;
        wrong == 0 && self.details.is_empty() && self.reached == self.cases && self.kills == kills && self.paid > 0
    }

    /// The last line.
    pub(crate) fn line(&self) -> String {
        let Self { cases, reached, kills, payments, paid, doubled, stuck, spend_wrong, gaps, unknown, .. } = self;
        let unreached = cases - reached;
        format!(
            "send-crash-test: cases={cases} reached={reached} kills={kills} payments={payments} paid={paid} \
             doubled={doubled} stuck={stuck} spend_wrong={spend_wrong} gaps={gaps} unknown={unknown} \
             unreached={unreached}"
        )
    }
}
