//! Faults on command: what goes wrong, in which call, and how often.

use serde::{Deserialize, Serialize};

use crate::domain::payment::PaymentId;

/// The kinds of calls that faults and the journal tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// `GET /payments/{id}`.
    Get,
    /// `POST …/complete`.
    Complete,
    /// `GET` of a user's or a recipient's payments.
    List,
    /// `POST …/off-ramp`.
    Create,
    /// `POST …/quote`.
    Quote,
    /// `POST …/rate`.
    Rate,
    /// `POST /webhooks`.
    CreateWebhook,
    /// `GET /webhooks/{id}`.
    GetWebhook,
    /// `PUT /webhooks/{id}`.
    UpdateWebhook,
}

/// What goes wrong. Where there is `acts`: whether the call does its work all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An error status.
    Status {
        status: u16,
        /// A proxy's HTML page instead of the API's JSON.
        #[serde(default)]
        html: bool,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        /// Whether the work is done before.
        #[serde(default)]
        acts: bool,
    },
    /// The connection is closed without an answer.
    Cut {
        /// Whether the work is done before.
        acts: bool,
    },
    /// No answer comes, ever.
    Hang {
        /// Whether the work is done before.
        acts: bool,
    },
    /// Status 200 with a body that is no JSON.
    Garbage {
        /// Whether the work is done before.
        acts: bool,
    },
    /// Status 200 with no body.
    Empty {
        /// Whether the work is done before.
        acts: bool,
    },
    /// The right answer, late.
    Delay {
        /// How late, in milliseconds.
        millis: u64,
        /// Whether the work is done at once, and only the answer is late; else the work is late too, and is done even
        /// when the caller has gone.
        acts_first: bool,
    },
    /// Somebody has completed the payment with another transaction just before; then as usual.
    OtherHash,
    /// The payment has run out just before; then as usual.
    Expired,
    /// Somebody has completed the payment by hand just before, and it is COMPLETED; then as usual.
    CompletedByHand {
        /// With which transaction; `None`: with none that the API shows.
        #[serde(default)]
        transaction_hash: Option<String>,
    },
    /// The payment gets a status that is in no document; then as usual.
    UnknownStatus { status: String },
}

/// The two forms of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `Retry-After: 3`.
    Seconds(u64),
    /// An HTTP date, this many seconds from now.
    DateInSeconds(u64),
}

impl Fault {
    /// A 500 in the API's own form, before anything was done.
    #[must_use]
    pub const fn server_error() -> Self {
        Self::status(500)
    }

    /// An error in the API's own form, before anything was done.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status { status, html: false, retry_after: None, acts: false }
    }

    /// A proxy's HTML error (502, 503, 504), with the work done behind it or not.
    #[must_use]
    pub const fn html(status: u16, acts: bool) -> Self {
        Self::Status { status, html: true, retry_after: None, acts }
    }

    /// A 429.
    #[must_use]
    pub const fn too_many_requests(retry_after: Option<RetryAfter>) -> Self {
        Self::Status { status: 429, html: false, retry_after, acts: false }
    }

    /// The answer is lost after the work was done.
    #[must_use]
    pub const fn answer_lost() -> Self {
        Self::Cut { acts: true }
    }

    /// The connection is cut before anything was done.
    #[must_use]
    pub const fn cut() -> Self {
        Self::Cut { acts: false }
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The next so many calls that fit.
    Next(u32),
    /// Each call that fits, so many times in a thousand, by the fake API's seed.
    PerMille(u16),
}

/// A fault, and the calls it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    pub call: Call,
    /// For which payment; any when `None`.
    #[serde(default)]
    pub payment: Option<PaymentId>,
    pub when: When,
    /// What goes wrong.
    pub fault: Fault,
}

/// The most rules at once.
const MAX_RULES: usize = 1_000;

/// The faults to come.
#[derive(Debug)]
pub(super) struct FaultPlan {
    rules: Vec<FaultRule>,
    seed: u64,
}

impl FaultPlan {
    pub(super) const fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), seed }
    }

    /// Adds a rule; false when there are too many.
    pub(super) fn add(&mut self, rule: FaultRule) -> bool {
        if self.rules.len() >= MAX_RULES {
            return false;
        }
        self.rules.push(rule);
        true
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn rules(&self) -> Vec<FaultRule> {
        self.rules.clone()
    }

    /// The fault that strikes this call, if any: the oldest rule that fits and has its turn.
    pub(super) fn take(&mut self, call: Call, payment: Option<&str>) -> Option<Fault> {
        let mut seed = self.seed;
        let fits = |rule: &FaultRule| {
            rule.call == call && rule.payment.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == payment)
        };
        let turn = |rule: &FaultRule| match rule.when {
            When::Next(left) => left > 0,
            When::PerMille(chance) => draw(&mut seed) < u64::from(chance),
        };
        let mut turn = turn;
        let found = self.rules.iter().position(|rule| fits(rule) && turn(rule));
        self.seed = seed;
        let rule = self.rules.get_mut(found?)?;
        let fault = rule.fault.clone();
        if let When::Next(left) = &mut rule.when {
            *left = left.saturating_sub(1);
        }
        self.rules.retain(|rule| rule.when != When::Next(0));
        Some(fault)
    }
}

/// The next number below 1000 (SplitMix64, whose steps are in the paper of Steele, Lea and Flood).
const fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % 1_000
}
