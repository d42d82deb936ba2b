//! The payment API's server: what it holds, and what it does when a call reaches it. A journal of what it accepted is
//! kept apart from what it answers.
//!
//! Deliberately absent: the way there and back, with all that goes wrong on it (`fake_api`).

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{ApiStatus, Outcome, PaymentId, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::payment_api::ApiPayment;

use super::clock::SimClock;
use super::lies::flaps::{Flap, Flaps};
use super::plan::Planned;
use super::rng::Rng;
use super::settings::Settings;
use super::wallet::rules::bank_account;

/// How far apart two looks must be that confirm an end.
const SECOND_LOOK: Span = Span::from_secs(180);
/// From an answer to the commit that it leads to, at the slowest.
const ON_ITS_WAY: Span = Span::from_secs(60);

/// One off-ramp at the API.
struct OffRamp {
    planned: Planned,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// From when on it says that it has expired.
    expired_from: Option<Timestamp>,
    hash: Option<String>,
    later: Vec<(Timestamp, ApiStatus)>,
    /// When it says that it is over, and is not.
    flaps: Vec<Flap>,
}

/// A completion that the API accepted.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) payment: PaymentId,
    pub(super) hash: String,
    pub(super) by_us: bool,
}

/// A `/complete` call of ours, as an onlooker who knows everything sees it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) payment: PaymentId,
    pub(super) started_at: Timestamp,
    /// Whether the process learnt what became of it.
    pub(super) clear: bool,
}

/// What the server says to a call that it does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 404.
    Unknown,
    /// 409 or 422.
    No(u16, &'static str),
}

/// The API's server.
pub(super) struct ApiServer {
    ramps: BTreeMap<PaymentId, OffRamp>,
    pub(super) accepted: Vec<Accepted>,
    pub(super) calls: Vec<Call>,
    /// The completions of ours that are on their way, and will reach the server.
    pub(super) coming: Vec<(PaymentId, B256)>,
    /// When the process was last told, for each payment, that it awaits funds and has no hash; and when it asked.
    pub(super) told_awaiting: BTreeMap<PaymentId, Timestamp>,
    /// When the process was told that a payment is over, and how.
    pub(super) told_ends: BTreeMap<PaymentId, Vec<(Timestamp, Outcome)>>,
    /// The statuses that nobody knows, and that were told of a payment although it has another.
    pub(super) odd_statuses: BTreeSet<(PaymentId, String)>,
    expiry_lag: Span,
    shared_hash: bool,
    reference_shape: bool,
    kind_to_repeats: bool,
    flaps: Option<Flaps>,
    rng: Rng,
}

impl ApiServer {
    /// A server without payments.
    pub(super) fn new(seed: u64, settings: &Settings) -> Self {
        Self {
            ramps: BTreeMap::new(),
            accepted: Vec::new(),
            calls: Vec::new(),
            coming: Vec::new(),
            told_awaiting: BTreeMap::new(),
            told_ends: BTreeMap::new(),
            odd_statuses: BTreeSet::new(),
            expiry_lag: settings.expiry_lag,
            shared_hash: settings.shared_hash,
            reference_shape: settings.reference_shape,
            kind_to_repeats: settings.kind_to_repeats,
            flaps: settings.flaps,
            rng: Rng::stream(seed, "api server"),
        }
    }

    /// Somebody opens a payment.
    pub(super) fn open(&mut self, planned: &Planned, clock: &SimClock) {
        let ramp = OffRamp {
            planned: planned.clone(),
            created_at: clock.moment(planned.create_at),
            expires_at: planned.expires_at.map(|at| clock.moment(at)),
            expired_from: planned.expires_at.map(|at| clock.moment(at).plus(self.expiry_lag)),
            flaps: self.flaps.as_ref().map_or_else(Vec::new, |flaps| flaps.of(&mut self.rng, planned, clock)),
            hash: None,
            later: Vec::new(),
        };
        self.ramps.insert(planned.id.clone(), ramp);
    }

    /// A payment as the API tells it.
    pub(super) fn look(&self, id: &PaymentId, now: Timestamp) -> Option<ApiPayment> {
        let ramp = self.ramps.get(id)?;
        let told = !self.reference_shape;
        Some(ApiPayment {
            tx_hash: ramp.hash.clone(),
            recipient_id: told.then(|| ramp.planned.recipient.clone()),
            deposit_address: told.then_some(ramp.planned.address),
            deposit_amount: told.then_some(ramp.planned.amount),
            deposit_chain: told.then(|| "Simulated".to_owned()),
            sender: ramp.planned.sender,
            bank_account: told.then(|| bank_account(&ramp.planned.recipient)),
            created_at: Some(ramp.created_at),
            expires_at: ramp.expires_at,
            ..ApiPayment::new(id.clone(), ramp.status(now))
        })
    }

    /// All payments of these recipients.
    pub(super) fn list(&self, now: Timestamp, of: impl Fn(&RecipientId) -> bool) -> Vec<ApiPayment> {
        let wanted = self.ramps.iter().filter(|(_, ramp)| of(&ramp.planned.recipient));
        wanted.filter_map(|(id, _)| self.look(id, now)).collect()
    }

    /// A payment's status.
    pub(super) fn status(&self, id: &PaymentId, now: Timestamp) -> Option<ApiStatus> {
        self.ramps.get(id).map(|ramp| ramp.status(now))
    }

    /// Whether a payment has, or ever had, this status.
    pub(super) fn ever_was(&self, id: &PaymentId, status: &ApiStatus, now: Timestamp) -> bool {
        let said = |ramp: &OffRamp| match status {
            ApiStatus::AwaitingFunds => true,
            ApiStatus::Expired => ramp.expired_from.is_some_and(|end| end <= now),
            ApiStatus::Other(status) if self.odd_statuses.contains(&(id.clone(), status.clone())) => true,
            status => ramp.later.iter().any(|(at, later)| *at <= now && later == status),
        };
        let flapped = |ramp: &OffRamp| ramp.flaps.iter().any(|flap| flap.from <= now && flap.status == *status);
        self.ramps.get(id).is_some_and(|ramp| said(ramp) || flapped(ramp))
    }

    /// Whether the process was told, twice and as far apart as a second look must be from the first, that a payment has
    /// come to this end.
    pub(super) fn has_said(&self, id: &PaymentId, outcome: Outcome, now: Timestamp) -> bool {
        let said = self.told_ends.get(id).into_iter().flatten().filter(|(_, told)| *told == outcome);
        let (mut long_ago, mut lately) = (false, false);
        for (at, _) in said {
            long_ago |= *at <= now.minus(SECOND_LOOK);
            lately |= now.since(*at) <= ON_ITS_WAY;
        }
        lately && (long_ago || outcome == Outcome::Completed)
    }

    /// Whether a payment has this hash, or had none once.
    pub(super) fn ever_had(&self, id: &PaymentId, hash: Option<&str>) -> bool {
        self.ramps.get(id).is_some_and(|ramp| hash.is_none() || ramp.hash.as_deref() == hash)
    }

    /// Whether something more will become of a completed payment, that has not yet.
    pub(super) fn may_end_later(&self, id: &PaymentId, now: Timestamp) -> bool {
        self.ramps.get(id).is_some_and(|ramp| ramp.later.iter().any(|(at, _)| *at > now))
    }

    /// Whether a payment was completed with this transaction, or is about to be.
    pub(super) fn may_complete(&self, id: &PaymentId, tx_hash: B256) -> bool {
        let hash = tx_hash.to_string();
        let was = self.accepted.iter().any(|accepted| accepted.payment == *id && accepted.hash == hash);
        was || self.coming.contains(&(id.clone(), tx_hash))
    }

    /// A completion reaches the server: it is accepted, or refused and nothing changes.
    pub(super) fn complete(&mut self, id: &PaymentId, hash: &str, by_us: bool, now: Timestamp) -> Result<(), Refusal> {
        let taken = self.ramps.iter().any(|(other, ramp)| other != id && ramp.hash.as_deref() == Some(hash));
        let ramp = self.ramps.get_mut(id).ok_or(Refusal::Unknown)?;
        if ramp.hash.as_deref() == Some(hash) && self.kind_to_repeats {
            return Ok(());
        }
        if ramp.hash.is_some() || ramp.status(now) != ApiStatus::AwaitingFunds {
            return Err(Refusal::No(409, "the payment does not await funds"));
        }
        if taken && !self.shared_hash {
            return Err(Refusal::No(422, "the transaction hash was used for another payment"));
        }
        ramp.hash = Some(hash.to_owned());
        ramp.later = Self::future(&mut self.rng, now);
        self.accepted.push(Accepted { payment: id.clone(), hash: hash.to_owned(), by_us });
        Ok(())
    }

    /// What becomes of an accepted payment, and when.
    fn future(rng: &mut Rng, now: Timestamp) -> Vec<(Timestamp, ApiStatus)> {
        let mut statuses = vec![ApiStatus::Pending, ApiStatus::Processing, ApiStatus::Sent];
        if rng.permille(150) {
            statuses.insert(2, ApiStatus::Other("COMPLIANCE_HOLD".to_owned()));
        }
        if rng.permille(150) {
            statuses.truncate(1);
        }
        statuses.push(match rng.below(20) {
            0 => ApiStatus::Failed,
            1 => ApiStatus::Refunded,
            _ => ApiStatus::Completed,
        });
        let mut at = now;
        let mut later = Vec::new();
        for status in statuses {
            later.push((at, status));
            at = at.plus(Span::from_millis(rng.range(500, 120_000)));
        }
        later
    }
}

impl OffRamp {
    /// What it says.
    fn status(&self, now: Timestamp) -> ApiStatus {
        let real = self.real_status(now);
        let flap = self.flaps.iter().find(|flap| flap.from <= now && now < flap.to);
        flap.filter(|_| real.outcome().is_none()).map_or_else(|| real.clone(), |flap| flap.status.clone())
    }

    fn real_status(&self, now: Timestamp) -> ApiStatus {
        let reached = self.later.iter().rev().find(|(at, _)| *at <= now);
        if let Some((_, status)) = reached {
            return status.clone();
        }
        if self.expired_from.is_some_and(|end| end <= now) { ApiStatus::Expired } else { ApiStatus::AwaitingFunds }
    }
}
