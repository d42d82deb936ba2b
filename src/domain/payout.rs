//! Payouts: instructions to open one off-ramp at the payment API, and to see it through.
//!
//! A payout bears the payer's own reference, and one idempotency key for its whole life. The key is stored before any
//! call is made with it. Deliberately absent: what is in the attached files; they are kept apart, by their digest.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use thiserror::Error;

use super::actor::Actor;
use super::chain::{Address, B256};
use super::decimal::Decimal;
use super::odd::explained;
use super::order::OrderId;
use super::payment::{BankAccountId, PaymentId, PayoutReference, RecipientId, Refusal, UserId};
use super::quote::{Exchange, Quote};
use super::time::Timestamp;

/// Why money may be paid, as the API's reference lists it.
pub const PAYMENT_REASONS: [&str; 30] = [
    "TRANSFER_TO_SELF",
    "CAPITAL_CONTRIBUTIONS",
    "CHARITABLE_CONTRIBUTIONS",
    "CONSULTING_FEES",
    "CORPORATE_TAX_PAYMENTS",
    "DOWN_PAYMENTS_FOR_REAL_ESTATE",
    "EDUCATION_FEES",
    "EMPLOYEE_SALARIES_OR_WAGES",
    "EXPENSES_REIMBURSEMENT",
    "GIFTS",
    "GOVERNMENT_GRANTS",
    "INCOME_TAX_PAYMENTS",
    "INHERITANCE_PAYMENTS",
    "INSURANCE_CLAIM_PAYOUTS",
    "INSURANCE_PREMIUM_PAYMENTS",
    "INVESTMENTS",
    "LOAN_ADVANCES",
    "MORTGAGE_PAYMENTS",
    "OTHER",
    "PAYMENT_FOR_GOODS_AND_SERVICES",
    "PERSONAL_TRANSFERS",
    "REAL_ESTATE_PURCHASES",
    "REMITTANCES",
    "RENT",
    "REPAYMENT_OF_LOANS",
    "ROYALTIES",
    "TRUST_FUND_DISTRIBUTIONS",
    "UTILITY_BILLS",
    "WELFARE_OR_BENEFITS",
    "WINNINGS_AND_PRIZES",
];

/// Why money is paid: one of [`PAYMENT_REASONS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentReason(String);

/// Why a text is no payment reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}; it must be one of {}", explained(format_args!("{:?} is no payment reason", .text), .text), PAYMENT_REASONS.join(", "))]
pub struct PaymentReasonError {
    text: String,
}

impl PaymentReason {
    /// Takes one of the API's words, as the API writes it.
    ///
    /// # Errors
    /// It is none of [`PAYMENT_REASONS`].
    pub fn new(text: &str) -> Result<Self, PaymentReasonError> {
        if PAYMENT_REASONS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        Err(PaymentReasonError { text: text.chars().take(80).collect() })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PaymentReason {
    type Error = PaymentReasonError;
    fn try_from(text: String) -> Result<Self, PaymentReasonError> {
        Self::new(&text)
    }
}

impl From<PaymentReason> for String {
    fn from(reason: PaymentReason) -> Self {
        reason.0
    }
}

/// The key under which the API opens one off-ramp, however often it is asked to: a random UUID (version 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The UUID that these random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(bytes);
        // RFC 9562: version 4 in the four highest bits of byte 6, variant 10 in the two highest of byte 8.
        number = (number & !(0xf << 76)) | (0x4 << 76);
        number = (number & !(0x3 << 62)) | (0x2 << 62);
        let digits = format!("{number:032x}");
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or_default());
        Self(groups.join("-"))
    }

    /// The key as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file that goes with a payout. It is kept apart, under its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The SHA-256 of its bytes.
    pub digest: B256,
    /// Its media type, such as `application/pdf`.
    pub media_type: String,
    pub bytes: u64,
    /// What people call it.
    pub name: String,
}

/// Who sends the USDC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FundBy {
    /// Somebody, by hand.
    ByHand,
    /// The hot wallet, by an order that is placed as soon as the payment is there.
    Wallet,
}

/// What was asked for. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutWish {
    /// Whose recipient it is.
    pub user: UserId,
    /// Who is paid.
    pub recipient: RecipientId,
    /// Where the money goes in the end.
    pub bank_account: BankAccountId,
    /// What is exchanged for what.
    pub exchange: Exchange,
    /// Who will send the USDC.
    pub from_address: Address,
    /// Why the money is paid.
    pub reason: PaymentReason,
    /// What the payer calls it towards the recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_reference: Option<String>,
    /// An id of the payer's own, a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// The files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Attachment>,
    /// The least that may be paid out, in the destination's currency. On a quote for less, nothing is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_destination_amount: Option<Decimal>,
    /// Who sends the USDC.
    pub fund: FundBy,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenQuote {
    /// What the API said.
    pub quote: Quote,
    /// When it was asked (our clock).
    pub asked_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// The payer's name for it.
    pub reference: PayoutReference,
    /// The key that it is opened with.
    pub key: IdempotencyKey,
    pub wish: PayoutWish,
    /// Who asked for it.
    pub placed_by: Actor,
    /// How far it is.
    pub state: PayoutState,
    /// The quote that was taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<TakenQuote>,
    /// The payment that came of it, as soon as the API has named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// How many calls to open it were made.
    pub attempts: u32,
    /// Whether one of them may have taken effect, for all that is known.
    pub may_be_open: bool,
    /// How many quotes in a row were of no use when they came, or were refused.
    pub spoilt_quotes: u32,
    /// Failures in a row; the tries grow rarer with them.
    pub failures: u32,
    /// What went wrong last, while that still matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When it was placed (our clock).
    pub placed_at: Timestamp,
    /// When it last changed (our clock).
    pub updated_at: Timestamp,
}

impl Payout {
    /// Whether the API has told what it opened for this payout, or in its place: nothing more can come of a call.
    #[must_use]
    pub const fn knows_what_is_open(&self) -> bool {
        use PayoutReview::{Several, TermsDiffer};
        self.payment.is_some() || matches!(self.state, PayoutState::Review { why: Several { .. } | TermsDiffer { .. } })
    }
}

/// How far a payout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PayoutState {
    /// A quote is to be taken.
    Placed,
    /// There is a quote; the off-ramp is to be opened on it.
    Quoted,
    /// The create call is being made, or was when the process died. Looked into once it can no longer take effect.
    Creating {
        /// When that was decided.
        started_at: Timestamp,
    },
    /// The call's answer did not say whether it worked. The recipient's list is looked through for the key.
    Unclear {
        /// What the API said, if it refused: a payment that the key opened earlier is taken all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refusal: Option<Refusal>,
    },
    /// The payment is there, and is seen through like any other.
    Created {
        /// Where its funding stands.
        funding: Funding,
    },
    /// A person must decide.
    Review { why: PayoutReview },
    /// A person stopped it.
    Cancelled { reason: String },
}

impl PayoutState {
    /// One word for tables and filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// Where the funding of a payment that was opened stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Funding {
    /// Somebody sends the money by hand.
    Hand,
    /// An order of the wallet is to be placed.
    Due,
    Order {
        order: OrderId,
    },
    /// The wallet does not fund it, and is not asked again.
    Nobody {
        why: String,
    },
}

/// Why a person must look at a payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum PayoutReview {
    /// The API refuses to give a quote.
    QuoteRefused { refusal: Refusal },
    /// The newest quote pays out less than was asked for.
    PaysTooLittle {
        /// What it pays out; `None` when it does not say.
        pays: Option<Decimal>,
        /// The least that was asked for.
        least: Decimal,
    },
    /// The quote is for something else than was asked for.
    QuoteDiffers { what: String },
    /// Quote after quote ran out before it could be used, or was refused.
    NoUsableQuote {
        /// What was wrong with the last.
        last: String,
    },
    /// The API refuses to open it.
    Refused { refusal: Refusal },
    /// A file that goes with it cannot be read.
    FileLost { detail: String },
    /// The payment is there, and has other terms than were asked for.
    TermsDiffer { field: String, ours: String, theirs: String },
    /// The payment is there, and the API does not tell where to send the money.
    NoDepositAddress {
        /// What it leaves out: `depositAddress`, `depositAmount`.
        missing: String,
    },
    /// Several payments bear our key.
    Several { payments: Vec<PaymentId> },
}

impl PayoutReview {
    /// One word for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_uuids() {
        let zero = IdempotencyKey::from_random([0; 16]);
        assert_eq!(zero.as_str(), "00000000-0000-4000-8000-000000000000");
        let full = IdempotencyKey::from_random([0xff; 16]);
        assert_eq!(full.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let counted = IdempotencyKey::from_random([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(counted.as_str(), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }

    #[test]
    fn reasons_are_the_api_s_words() {
        for reason in PAYMENT_REASONS {
            assert_eq!(PaymentReason::new(reason).expect("it is one").as_str(), reason);
        }
        for bad in ["", "rent", "RENT ", "BRIBE"] {
            assert!(PaymentReason::new(bad).is_err(), "{bad:?}");
        }
    }
}
