//! The off-ramps that the fake API knows, and how they move on.
//!
//! Deliberately absent: HTTP, faults, and looking at the chain.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use serde::{Deserialize, Serialize};

use super::change::{Change, Told};
use super::create::FileSeen;
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::payment::{BankAccountId, PaymentId, RecipientId};
use crate::domain::time::{Span, Timestamp};

/// The most off-ramps held at once.
const MAX_OFF_RAMPS: usize = 100_000;

/// How long a payment may be funded, as in the guide's example.
pub(super) const LIFETIME: Span = Span::from_secs(3_600);

/// How a completed payment moves from PROCESSING to SENT to COMPLETED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// One step after each so many GETs of the payment.
    PerGets(u32),
    /// One step each time this span has passed.
    Every(Span),
    /// Not at all.
    Held,
}

/// Whether one transaction hash may complete several payments. No document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedHash {
    /// It may.
    Accepted,
    /// It may not: 400.
    Refused,
}

/// An off-ramp to open. What is `None` is chosen by the fake API.
#[derive(Clone, Debug, Default)]
pub struct NewOffRamp {
    /// Its id; `sandbox-1`, `sandbox-2` and so on.
    pub id: Option<PaymentId>,
    /// Whose it is; `recipient-1`.
    pub recipient_id: Option<RecipientId>,
    /// Where the money is to go; an address of its own, derived from the id.
    pub deposit_address: Option<Address>,
    /// The bank account that the payment goes on to; `bank-1`.
    pub bank_account: Option<BankAccountId>,
    /// How much, in base units of a token with 6 decimals.
    pub amount: Amount,
    /// Who will send.
    pub sender: Option<Address>,
    /// When it was created; now.
    pub created_at: Option<Timestamp>,
    /// When it runs out; an hour after its creation.
    pub expires_at: Option<Timestamp>,
    /// The caller's own key: the same key gives the same payment.
    pub idempotency_key: Option<String>,
    /// What is taken for it, in base units.
    pub fee: Amount,
    /// The quote that it is opened on.
    pub quote_id: Option<String>,
    /// Why the money is paid.
    pub payment_reason: Option<String>,
    /// What the payer calls it.
    pub document_reference: Option<String>,
    /// An id of the payer's own.
    pub reference_id: Option<String>,
    /// The files that came with it.
    pub files: Vec<FileSeen>,
    /// What tells the request that opened it from others.
    pub body_digest: Option<B256>,
}

/// An off-ramp as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffRamp {
    pub id: PaymentId,
    pub recipient_id: RecipientId,
    /// The bank account that the payment goes on to.
    pub bank_account: BankAccountId,
    /// Where the money is to go.
    pub deposit_address: Address,
    /// How much, in base units.
    pub amount: Amount,
    /// Who will send.
    pub sender: Option<Address>,
    pub created_at: Timestamp,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// The key it was created with.
    pub idempotency_key: String,
    /// Its status, as the API shows it.
    pub status: String,
    /// The transaction it was completed with.
    pub transaction_hash: Option<String>,
    /// When it was completed with it.
    pub sent_at: Option<Timestamp>,
    /// When it became COMPLETED.
    pub completed_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What is taken for it, in base units.
    pub fee: Amount,
    /// The quote that it was opened on.
    pub quote_id: Option<String>,
    /// Why the money is paid.
    pub payment_reason: Option<String>,
    /// What the payer calls it.
    pub document_reference: Option<String>,
    /// An id of the payer's own.
    pub reference_id: Option<String>,
    /// The files that came with it.
    pub files: Vec<FileSeen>,
    /// What tells the request that opened it from others.
    pub body_digest: Option<B256>,
    /// What is told of it instead of the truth.
    #[serde(default)]
    pub told: Told,
    /// What was asked of it.
    pub tally: Tally,
}

/// How often a payment was completed, and asked to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// `/complete` calls that reached it, cut ones included.
    pub calls: u32,
    /// `/complete` calls that completed it. More than one is a double.
    pub accepted: u32,
    /// `/complete` calls that came when it had been completed already.
    pub calls_after_accepted: u32,
    pub gets: u32,
    /// GETs since it last moved on.
    gets_since_step: u32,
}

/// Why the book refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 404.
    Unknown,
    /// 409: it has left AWAITING_FUNDS.
    Moved(String),
    /// 400: another payment bears the hash.
    SharedHash,
    /// There is no room, or the id is taken.
    NotOpened(String),
}

/// All off-ramps.
#[derive(Debug, Default)]
pub(super) struct Book {
    off_ramps: BTreeMap<PaymentId, OffRamp>,
    by_hash: BTreeMap<String, PaymentId>,
    by_key: BTreeMap<String, PaymentId>,
    opened: u64,
}

impl Book {
    /// Opens an off-ramp. One that was opened with the same key before is given back as it is.
    pub(super) fn open(&mut self, new: NewOffRamp, now: Timestamp) -> Result<OffRamp, Refusal> {
        let known = new.idempotency_key.as_ref().and_then(|key| self.by_key.get(key));
        if let Some(known) = known.and_then(|id| self.off_ramps.get(id)) {
            return Ok(known.clone());
        }
        if self.off_ramps.len() >= MAX_OFF_RAMPS {
            return Err(Refusal::NotOpened(format!("there are {MAX_OFF_RAMPS} off-ramps already")));
        }
        self.opened = self.opened.saturating_add(1);
        let unusable = |error: crate::domain::payment::IdError| Refusal::NotOpened(error.to_string());
        let id = match new.id {
            Some(id) => id,
            None => PaymentId::new(format!("sandbox-{}", self.opened)).map_err(unusable)?,
        };
        if self.off_ramps.contains_key(&id) {
            return Err(Refusal::NotOpened(format!("there is a payment {id} already")));
        }
        let recipient_id = match new.recipient_id {
            Some(recipient_id) => recipient_id,
            None => RecipientId::new("recipient-1").map_err(unusable)?,
        };
        let bank_account = match new.bank_account {
            Some(bank_account) => bank_account,
            None => BankAccountId::new("bank-1").map_err(unusable)?,
        };
        let created_at = new.created_at.unwrap_or(now);
        let off_ramp = OffRamp {
            deposit_address: new.deposit_address.unwrap_or_else(|| address_of(&id)),
            recipient_id,
            bank_account,
            amount: new.amount,
            sender: new.sender,
            created_at,
            expires_at: new.expires_at.unwrap_or_else(|| created_at.plus(LIFETIME)),
            idempotency_key: new.idempotency_key.unwrap_or_else(|| format!("key-{id}")),
            status: "AWAITING_FUNDS".to_owned(),
            transaction_hash: None,
            sent_at: None,
            completed_at: None,
            updated_at: created_at,
            fee: new.fee,
            quote_id: new.quote_id,
            payment_reason: new.payment_reason,
            document_reference: new.document_reference,
            reference_id: new.reference_id,
            files: new.files,
            body_digest: new.body_digest,
            told: Told::default(),
            tally: Tally::default(),
            id: id.clone(),
        };
        self.by_key.insert(off_ramp.idempotency_key.clone(), id.clone());
        self.off_ramps.insert(id, off_ramp.clone());
        Ok(off_ramp)
    }

    /// The one that was opened with this key.
    pub(super) fn by_key(&self, key: &str) -> Option<OffRamp> {
        self.by_key.get(key).and_then(|id| self.off_ramps.get(id)).cloned()
    }

    /// All of them, in the order of their ids, with what time has done to them.
    pub(super) fn all(&mut self, progress: Progress, now: Timestamp) -> Vec<OffRamp> {
        self.off_ramps.values_mut().for_each(|off_ramp| off_ramp.pass_time(progress, now));
        self.off_ramps.values().cloned().collect()
    }

    /// One of them, with what time has done to it.
    pub(super) fn look(&mut self, id: &str, progress: Progress, now: Timestamp) -> Option<&mut OffRamp> {
        let id = PaymentId::new(id).ok()?;
        let off_ramp = self.off_ramps.get_mut(&id)?;
        off_ramp.pass_time(progress, now);
        Some(off_ramp)
    }

    /// A GET: counts, and moves the payment on if GETs do.
    pub(super) fn get(&mut self, id: &str, progress: Progress, now: Timestamp) -> Result<OffRamp, Refusal> {
        let off_ramp = self.look(id, progress, now).ok_or(Refusal::Unknown)?;
        off_ramp.tally.gets = off_ramp.tally.gets.saturating_add(1);
        if let Progress::PerGets(gets) = progress {
            let since = off_ramp.tally.gets_since_step.saturating_add(1);
            off_ramp.tally.gets_since_step = since;
            if off_ramp.is_moving() && since >= gets {
                off_ramp.step(now);
            }
        }
        Ok(off_ramp.clone())
    }

    /// Counts a `/complete` call, whatever becomes of it.
    pub(super) fn count_call(&mut self, id: &str) {
        let Some(off_ramp) = PaymentId::new(id).ok().and_then(|id| self.off_ramps.get_mut(&id)) else { return };
        let tally = &mut off_ramp.tally;
        tally.calls = tally.calls.saturating_add(1);
        if tally.accepted > 0 {
            tally.calls_after_accepted = tally.calls_after_accepted.saturating_add(1);
        }
    }

    /// Completes a payment.
    pub(super) fn complete(
        &mut self,
        id: &str,
        hash: &str,
        (progress, shared): (Progress, SharedHash),
        now: Timestamp,
    ) -> Result<OffRamp, Refusal> {
        let borne_by = self.by_hash.get(hash).cloned();
        let off_ramp = self.look(id, progress, now).ok_or(Refusal::Unknown)?;
        if off_ramp.status != "AWAITING_FUNDS" || off_ramp.transaction_hash.is_some() {
            return Err(Refusal::Moved(off_ramp.status.clone()));
        }
        if shared == SharedHash::Refused && borne_by.is_some_and(|other| other != off_ramp.id) {
            return Err(Refusal::SharedHash);
        }
        off_ramp.tally.accepted = off_ramp.tally.accepted.saturating_add(1);
        off_ramp.put("PROCESSING", Some(hash), now);
        off_ramp.sent_at = Some(now);
        let off_ramp = off_ramp.clone();
        self.by_hash.entry(hash.to_owned()).or_insert_with(|| off_ramp.id.clone());
        Ok(off_ramp)
    }

    /// Changes a payment from outside; `None` when it is unknown.
    pub(super) fn change(&mut self, id: &str, change: Change, now: Timestamp) -> Option<OffRamp> {
        let off_ramp = PaymentId::new(id).ok().and_then(|id| self.off_ramps.get_mut(&id))?;
        let status = change.status.clone().unwrap_or_else(|| off_ramp.status.clone());
        off_ramp.put(&status, change.transaction_hash.as_deref(), now);
        if change.status.as_deref() == Some("COMPLETED") {
            off_ramp.completed_at = Some(now);
        }
        off_ramp.expires_at = change.expires_at.unwrap_or(off_ramp.expires_at);
        off_ramp.sender = change.sender.unwrap_or(off_ramp.sender);
        off_ramp.bank_account = change.bank_account.unwrap_or_else(|| off_ramp.bank_account.clone());
        off_ramp.told = change.told.unwrap_or_else(|| off_ramp.told.clone());
        Some(off_ramp.clone())
    }

    /// Sets a payment's status and hash from outside. False when it is unknown.
    pub(super) fn set(&mut self, id: &str, status: &str, hash: Option<&str>, now: Timestamp) -> bool {
        let change =
            Change { status: Some(status.to_owned()), transaction_hash: hash.map(str::to_owned), ..Change::default() };
        self.change(id, change, now).is_some()
    }
}

impl OffRamp {
    fn put(&mut self, status: &str, hash: Option<&str>, now: Timestamp) {
        self.status = status.to_owned();
        if let Some(hash) = hash {
            self.transaction_hash = Some(hash.to_owned());
        }
        self.updated_at = now;
        self.tally.gets_since_step = 0;
    }

    fn is_moving(&self) -> bool {
        matches!(self.status.as_str(), "PENDING" | "PROCESSING" | "SENT")
    }

    fn step(&mut self, at: Timestamp) {
        match self.status.as_str() {
            "PENDING" => self.put("PROCESSING", None, at),
            "PROCESSING" => self.put("SENT", None, at),
            _ => {
                self.put("COMPLETED", None, at);
                self.completed_at = Some(at);
            }
        }
    }

    fn pass_time(&mut self, progress: Progress, now: Timestamp) {
        if self.status == "AWAITING_FUNDS" && now > self.expires_at {
            self.put("EXPIRED", None, self.expires_at);
        }
        if let Progress::Every(span) = progress {
            while self.is_moving() && self.updated_at.plus(span) <= now {
                self.step(self.updated_at.plus(span));
            }
        }
    }
}

/// An address of the payment's own that nobody has the key of.
fn address_of(id: &PaymentId) -> Address {
    Address::from_word(keccak256(format!("rampwatch sandbox deposit address of {id}")))
}
