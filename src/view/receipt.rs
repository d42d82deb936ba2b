//! A receipt: the whole chain of evidence of one payment, as it is shown and sent.
//!
//! Everything in it comes from the store. What the evidence lacks is named in `missing`, so that an empty place is never
//! mistaken for "nothing happened". Deliberately absent: the moment at which it was asked for; the same ledger gives the
//! same receipt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::chain::{B256, BlockRef};
use crate::domain::order::AttemptKind;
use crate::domain::payment::{PayoutReference, QuoteId};
use crate::domain::wei::Wei;
use crate::view::order::OrderView;
use crate::view::returns::BackView;
use crate::view::shapes;
use crate::view::{DepositView, PaymentView, ReviewView};

/// The chain of evidence of one payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptView {
    /// The payment as it stands, with where its figures came from.
    pub payment: PaymentView,
    /// The bank account that it goes to, where the API said it.
    pub bank_account: Option<String>,
    /// What the payment costs, as the API says.
    pub api_fee: Option<String>,
    /// How rampwatch opened it at the API, if it did.
    pub payout: Option<ReceiptPayout>,
    /// The orders that funded it, or tried to, by turn.
    pub orders: Vec<ReceiptOrder>,
    /// The deposit that pays it.
    pub deposit: Option<DepositView>,
    /// Why that deposit pays it, and since when.
    pub matched: Option<Matched>,
    /// By which rule, and when, the deposit's block was taken for final.
    pub finality: Option<Finality>,
    /// The calls of the completion, the oldest first, and what came of each.
    pub completions: Vec<CompletionCall>,
    /// What the API said of the payment, the oldest first; only what was news.
    pub statuses: Vec<StatusView>,
    /// How rampwatch's own state moved, the oldest first.
    pub states: Vec<Note>,
    /// What people decided, the oldest first.
    pub decisions: Vec<Decided>,
    /// What should not have happened and did.
    pub alarms: Vec<Note>,
    /// Other deposits to the address that concern the payment.
    pub other_deposits: Vec<DepositView>,
    /// What a person must still decide.
    pub reviews: Vec<ReviewView>,
    /// Whether the money came back, where the API refunded a payment that the wallet funded.
    pub money_back: Option<BackView>,
    /// The parts of the evidence that are not there, and why.
    pub missing: Vec<String>,
}

/// An order, with what is known of its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptOrder {
    /// The order as it stands.
    pub order: OrderView,
    /// That whoever approved it had made it too, and why that was let through, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_approval: Option<String>,
    /// How its state moved, the oldest first.
    pub states: Vec<Note>,
    /// Every transaction that was signed for it, the oldest first.
    pub transactions: Vec<ReceiptTransaction>,
    /// What the network took in all for those that are mined, in wei.
    pub fee_wei: Option<String>,
    /// The same in whole units of the native coin.
    pub fee: Option<String>,
}

/// One signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptTransaction {
    /// What it is meant to do.
    #[schemars(with = "shapes::AttemptKind")]
    pub kind: AttemptKind,
    /// Its nonce.
    pub nonce: u64,
    /// Its hash.
    #[schemars(with = "shapes::Hash")]
    pub tx_hash: B256,
    /// The most that it pays for a unit of gas, in gwei.
    pub cap_gwei: String,
    /// Its tip, in gwei.
    pub tip_gwei: String,
    /// When it was signed.
    pub signed_at: String,
    /// When it was first given to the nodes, and what they said.
    pub sent: Option<Note>,
    /// The receipt that was last noted of it.
    pub mined: Option<MinedView>,
}

/// What a node's receipt said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MinedView {
    /// When it was noted here.
    pub at: String,
    /// The block.
    #[schemars(with = "shapes::BlockRef")]
    pub block: BlockRef,
    /// What it cost; left out when the node did not tell.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostView>,
}

/// What a transaction cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostView {
    /// How much gas it used.
    pub gas_used: u64,
    /// What a unit of gas cost, in gwei.
    pub gas_price_gwei: String,
    /// What the network took, in wei.
    pub fee_wei: String,
    /// The same in whole units of the native coin.
    pub fee: String,
}

impl CostView {
    /// What so much gas cost at this price.
    #[must_use]
    pub fn new(gas_used: u64, gas_price: Wei) -> Self {
        let fee = gas_price.times(gas_used);
        Self { gas_used, gas_price_gwei: gas_price.to_gwei(), fee_wei: fee.get().to_string(), fee: fee.to_native() }
    }
}

/// Why a deposit pays the payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Matched {
    /// The rule's name: `exact`, `tolerance`, `sender`, `own_transfer`, `assigned`.
    pub rule: String,
    /// The same as a sentence.
    pub text: String,
    /// When it was decided.
    pub at: Option<String>,
}

/// How the deposit's block became final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finality {
    /// The rule that is configured, in words.
    pub rule: String,
    /// The block.
    #[schemars(with = "shapes::BlockRef")]
    pub block: BlockRef,
    /// When finality was established (rampwatch's clock).
    pub at: String,
}

/// One call of `/complete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletionCall {
    /// Which call it was, from 1.
    pub call: u32,
    /// When it was written down, just before it was made.
    pub at: String,
    /// The transaction that the API was told.
    #[schemars(with = "shapes::Hash")]
    pub tx_hash: B256,
    /// What came of it: answers, and what the API said when it was asked afterwards.
    pub outcome: Vec<Note>,
}

/// What the API said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// When.
    pub at: String,
    /// Its status, as it came.
    pub status: String,
    /// Its transaction hash, as it came.
    pub tx_hash: Option<String>,
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decided {
    /// When.
    pub at: String,
    /// What, such as `assign` or `approve order pay:1`.
    pub action: String,
    /// The reason that was given.
    pub reason: String,
    /// Who; `None` in records from before names were kept.
    #[schemars(with = "Option<shapes::Actor>")]
    pub by: Option<Actor>,
}

/// Something that happened, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// When.
    pub at: String,
    /// What.
    pub text: String,
}

/// How a payment was opened at the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptPayout {
    /// The payer's own name for it.
    #[schemars(with = "shapes::Id")]
    pub reference: PayoutReference,
    /// The key that it was opened with, in every call.
    pub idempotency_key: String,
    /// Who asked for it.
    #[schemars(with = "shapes::Actor")]
    pub placed_by: Actor,
    /// When.
    pub placed_at: String,
    /// What was to be sent and how, such as `1000.50 USDC by POLYGON`.
    pub source: String,
    /// What was to be paid out and how, such as `17250.75 MXN by SPEI to MX`; without the amount where no quote told it.
    pub destination: String,
    /// The bank account that was asked for.
    pub bank_account: String,
    /// Why the money is paid, in the API's word.
    pub reason: String,
    /// What the payer calls it towards the recipient.
    pub document_reference: Option<String>,
    /// The payer's own id for it.
    pub reference_id: Option<String>,
    /// The quote that was taken last.
    pub quote: Option<ReceiptQuote>,
    /// The files that went with it, each with its digest.
    pub files: Vec<String>,
    /// How many calls to open it were made.
    pub calls: u32,
    /// What happened to it, the oldest first.
    pub history: Vec<Note>,
}

/// A quote that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptQuote {
    /// The API's id.
    #[schemars(with = "shapes::Id")]
    pub id: QuoteId,
    /// When it was asked for.
    pub asked_at: String,
    /// When it ran out.
    pub expires_at: Option<String>,
    /// How much is paid out for a unit.
    pub exchange_rate: Option<String>,
    /// What all of it was to cost.
    pub total_fee: Option<String>,
}
