//! What people and programs send and are shown of payouts: one form for the operator API, the commands
//! and batch files.
//!
//! Amounts are text, digit by digit. Moments are RFC 3339 in UTC. Deliberately absent: the content of files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::payment::PayoutReference;
use crate::view::PaymentView;
use crate::view::order::OrderView;
use crate::view::shapes;

pub use crate::view::quote::{FeeView, QuoteRequest, QuoteView, RateRequest, RateView};

/// A payout that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutRequest {
    /// The payer's own name for it: 1 to 128 letters, digits, `-`, `_` or `.`. Placing the same again under it changes
    /// nothing. Left out, one is made; then every placing is another payout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The API's id of the user whose recipient is paid.
    pub user: String,
    /// The API's id of the recipient.
    pub recipient: String,
    /// The API's id of the bank account.
    pub bank_account: String,
    /// How much is sent, in whole units of the token, such as `1000.50`.
    pub amount: String,
    /// What is sent; the configured token unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_currency: Option<String>,
    /// How it is sent; the configured chain unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_rail: Option<String>,
    /// What is paid out, such as `MXN`.
    pub destination_currency: String,
    /// How it is paid out, as the API calls it, such as `SPEI`.
    pub destination_rail: String,
    /// To which country, in the two letters of ISO 3166-1.
    pub destination_country: String,
    /// What the developer takes, as the API understands `developerVariableFee`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer_fee: Option<String>,
    /// Who will send the USDC; the hot wallet unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_address: Option<String>,
    /// Why the money is paid: one of the API's words, such as `RENT`.
    pub reason: String,
    /// What the payer calls it towards the recipient: at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_reference: Option<String>,
    /// An id of the payer's own: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// Files that go with it, which were put here before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRef>,
    /// The least that may be paid out, in the destination's currency. On a quote for less, nothing is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_destination_amount: Option<String>,
    /// Who sends the USDC: `by_hand` unless given, or `wallet`.
    #[serde(default)]
    pub fund: Fund,
    /// Whether it is meant although it repeats a payout of late: equals one in everything but its reference, or has the
    /// reference of one as a spreadsheet rewrites it. Without it, such a payout is refused (`repeat`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_repeat: bool,
}

/// Whether a payout would repeat an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepeatView {
    /// The one that it would repeat; none when it repeats none, or is there already under this very reference.
    pub earlier: Option<EarlierView>,
}

/// A payout that another one would repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierView {
    /// Its reference.
    #[schemars(with = "shapes::Id")]
    pub reference: PayoutReference,
    /// When it was placed.
    pub placed_at: String,
    /// In what it is repeated, as the rest of a sentence about the other.
    pub text: String,
}

/// Who sends the USDC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fund {
    /// Somebody, by hand.
    #[default]
    ByHand,
    /// The hot wallet.
    Wallet,
}

/// A file that was put here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// The SHA-256 of its bytes, in 64 hexadecimal digits.
    pub digest: String,
    /// Its media type, such as `application/pdf`.
    pub media_type: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What people call it.
    #[serde(default)]
    pub name: String,
}

/// How to pay by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayView {
    /// Where the money goes.
    pub address: String,
    /// How much, in whole units.
    pub amount: String,
    /// The same in base units.
    #[schemars(with = "shapes::BaseUnits")]
    pub base_units: Amount,
    /// The token's contract.
    pub token: String,
    /// What people call the token.
    pub symbol: String,
    /// The chain's id.
    pub chain_id: u64,
    /// What the API calls the chain.
    pub chain: String,
    /// When the payment runs out, if the API says.
    pub expires_at: Option<String>,
    /// The same as a link for wallets (EIP-681).
    pub eip681: String,
}

/// A payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayoutView {
    /// The payer's name for it.
    #[schemars(with = "shapes::Id")]
    pub reference: PayoutReference,
    /// The key that it is opened with.
    pub idempotency_key: String,
    /// One word: `placed`, `quoted`, `creating`, `created`, `unclear`, `review`, `cancelled`.
    pub state: String,
    /// What happens next, or what a person must do, as a sentence.
    pub next: String,
    /// The reason's name while it is with a person, such as `pays_too_little`.
    pub review: Option<String>,
    /// What was asked for.
    pub request: PayoutRequest,
    /// The quote that was taken last.
    pub quote: Option<QuoteView>,
    /// The payment that came of it.
    pub payment_id: Option<String>,
    /// The payment as it stands here.
    pub payment: Option<PaymentView>,
    /// The order that funds it; its last, where there are several.
    pub order: Option<OrderView>,
    /// How to pay by hand, while that is what it waits for.
    pub pay: Option<PayView>,
    /// What went wrong last, while that still matters.
    pub trouble: Option<String>,
    /// Who asked for it.
    #[schemars(with = "shapes::Actor")]
    pub placed_by: Actor,
    /// When.
    pub placed_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// Rises with every change.
    pub version: u64,
}
