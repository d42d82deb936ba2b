//! What people and programs are shown of orders and of the hot wallet.
//!
//! Deliberately absent: the signed bytes. They are no secret once sent, but whoever has them can send them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::chain::{Address, B256, BlockRef};
use crate::domain::order::{AttemptKind, Order, OrderId, OrderOutcome, OrderState, Placer, Spend};
use crate::domain::payment::{BankAccountId, PaymentId, RecipientId};
use crate::domain::wallet::Wallet;
use crate::domain::wei::Wei;
use crate::policy::fees::worst_cost;
use crate::view::explain::Names;
use crate::view::explain_orders::state_text;
use crate::view::shapes;
use crate::view::{AmountView, moment};

/// An order as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// Its id.
    #[schemars(with = "shapes::OrderId")]
    pub id: OrderId,
    /// The payment it funds.
    #[schemars(with = "shapes::Id")]
    pub payment: PaymentId,
    /// Whose payment it is.
    #[schemars(with = "shapes::Id")]
    pub recipient_id: RecipientId,
    /// The bank account, where it is known.
    #[schemars(with = "Option<shapes::Id>")]
    pub bank_account: Option<BankAccountId>,
    /// The wallet that pays.
    #[schemars(with = "shapes::Address")]
    pub wallet: Address,
    /// The deposit address.
    #[schemars(with = "shapes::Address")]
    pub to: Address,
    /// How much.
    pub amount: AmountView,
    /// Who placed it.
    #[schemars(with = "shapes::Placer")]
    pub placed_by: Placer,
    /// The person's name, where one placed it and names were kept by then.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Actor>")]
    pub placed_by_name: Option<Actor>,
    /// Who approved it, where somebody has.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Actor>")]
    pub approved_by: Option<Actor>,
    /// When, in RFC 3339.
    pub placed_at: String,
    /// One word: `awaiting-approval`, `ready`, `held`, `sending`, `cancelling`, `mined`, `ended`.
    pub state: String,
    /// The same as a sentence.
    pub text: String,
    /// How it ended, once it has: `paid`, `self-sent`, `reverted`, `moved-nothing`, `unsent`, `displaced`.
    pub outcome: Option<String>,
    /// What stands in its way, by name, if anything does; `wallet-paused`, `wallet-halted` or `funding-off` where it is
    /// nothing of its own.
    pub hold: Option<String>,
    /// Whether it counts as spent.
    pub counts_as_spent: bool,
    /// The nonce that it holds.
    pub nonce: Option<u64>,
    /// Its transactions, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The block that holds one of them.
    #[schemars(with = "Option<shapes::BlockRef>")]
    pub block: Option<BlockRef>,
    /// Its whole state, as it is stored.
    #[schemars(with = "shapes::OrderState")]
    pub detail: OrderState,
}

impl OrderView {
    /// How it ended, once it has.
    #[must_use]
    pub const fn ending(&self) -> Option<&OrderOutcome> {
        match &self.detail {
            OrderState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// What its last transaction pays at most for a unit of gas; `None` when there is no transaction, or no figure.
    #[must_use]
    pub fn offers(&self) -> Option<Wei> {
        self.attempts.last().and_then(|last| Wei::from_person_gwei(&last.cap_gwei).ok())
    }

    /// Whether its last transaction was given to the nodes, and is of this kind.
    #[must_use]
    pub fn has_sent(&self, kind: AttemptKind) -> bool {
        self.attempts.last().is_some_and(|last| last.kind == kind && last.sent_at.is_some())
    }
}

/// One transaction of an order, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
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
    /// The most that it can cost, in whole units of the native coin.
    pub most_cost: String,
    /// When it was signed, in RFC 3339.
    pub signed_at: String,
    /// When it was last given to the nodes, in RFC 3339.
    pub sent_at: Option<String>,
}

/// The hot wallet as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WalletView {
    /// Its address.
    #[schemars(with = "shapes::Address")]
    pub address: Address,
    /// The nonce that the next order takes.
    pub next_nonce: u64,
    /// Why a person has paused it, if one has.
    pub paused: Option<String>,
    /// Why it is halted, and what to do, if it is.
    pub halted: Option<String>,
    /// What counts as spent in the last 24 hours.
    pub spent: AmountView,
    /// The limit for 24 hours.
    pub limit: AmountView,
    /// How many orders have not ended.
    pub open_orders: usize,
}

/// What funding a payment would mean, before anybody says yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FundView {
    /// The payment.
    #[schemars(with = "shapes::Id")]
    pub payment: PaymentId,
    /// Whose payment it is.
    #[schemars(with = "shapes::Id")]
    pub recipient_id: RecipientId,
    /// The wallet that would pay.
    #[schemars(with = "shapes::Address")]
    pub wallet: Address,
    /// Where the money would go.
    #[schemars(with = "shapes::Address")]
    pub to: Address,
    /// How much.
    pub amount: AmountView,
    /// The most that the gas may cost, in whole units of the native coin.
    pub most_fee: String,
    /// The most that is offered for a unit of gas, in gwei.
    pub fee_ceiling_gwei: String,
    /// What is left of the limit for one payment.
    pub left_per_payment: AmountView,
    /// What is left of the limit for 24 hours.
    pub left_per_day: AmountView,
    /// What is left of the limit for this recipient in 24 hours.
    pub left_per_recipient: AmountView,
    /// Why a person must approve it afterwards, if one must: `above_amount`, `typed_address`, `typed_amount`,
    /// `expiry_unknown`, `typed_recipient`, `typed_expiry`, `above_per_day`.
    #[schemars(with = "Option<shapes::ApprovalReason>")]
    pub approval: Option<crate::domain::order::ApprovalReason>,
    /// The same in words.
    pub approval_text: Option<String>,
    /// Why it would not be sent right now although it is placed: the wallet is paused or halted.
    pub waits: Option<String>,
}

impl OrderView {
    pub(crate) fn new(order: &Order, names: &Names<'_>) -> Self {
        let hold = order.state.hold();
        let outcome = match &order.state {
            OrderState::Ended { outcome, .. } => Some(outcome.name().to_owned()),
            _ => None,
        };
        let block = match &order.state {
            OrderState::Mined { block, .. } => Some(*block),
            OrderState::Ended { outcome: crate::domain::order::OrderOutcome::Paid { block, .. }, .. } => Some(*block),
            _ => None,
        };
        let attempts = order.attempts.iter().map(|attempt| AttemptView {
            kind: attempt.kind,
            nonce: attempt.nonce,
            tx_hash: attempt.tx_hash,
            cap_gwei: attempt.fees.cap.to_gwei(),
            tip_gwei: attempt.fees.tip.to_gwei(),
            most_cost: worst_cost(&attempt.fees, attempt.gas_limit).to_native(),
            signed_at: moment(attempt.signed_at),
            sent_at: attempt.sent_at.map(moment),
        });
        Self {
            id: order.id.clone(),
            payment: order.id.payment.clone(),
            recipient_id: order.recipient_id.clone(),
            bank_account: order.bank_account.clone(),
            wallet: order.wallet,
            to: order.to,
            amount: names.amount(order.amount, order.token),
            placed_by: order.placed_by,
            placed_by_name: order.placed_by_name.clone(),
            approved_by: order.approved_by.clone(),
            placed_at: moment(order.placed_at),
            state: order.state.name().to_owned(),
            text: state_text(&order.state, names),
            outcome,
            hold: hold.map(|hold| hold.name().to_owned()),
            counts_as_spent: order.spend == Spend::Counted,
            nonce: order.state.nonce().or_else(|| order.attempts.last().map(|attempt| attempt.nonce)),
            attempts: attempts.collect(),
            block,
            detail: order.state.clone(),
        }
    }

    /// The same, saying that all orders wait for something, if they do, and this one has not come past it.
    pub(crate) fn with_stop(mut self, stop: Option<&Stop>) -> Self {
        let waits = match self.detail {
            OrderState::Ready | OrderState::Held { .. } => true,
            OrderState::Sending { .. } | OrderState::Cancelling { .. } => stop.is_some_and(|stop| stop.stops_sending),
            OrderState::AwaitingApproval { .. } | OrderState::Mined { .. } | OrderState::Ended { .. } => false,
        };
        if let Some(stop) = stop.filter(|_| waits) {
            self.hold.get_or_insert_with(|| stop.name.to_owned());
            self.text = format!("{}; {}", self.text, stop.text);
        }
        self
    }
}

/// What keeps the wallet from funding at all.
pub(crate) struct Stop {
    pub(crate) name: &'static str,
    /// The same as a sentence.
    pub(crate) text: String,
    /// Whether what is signed is not sent either.
    pub(crate) stops_sending: bool,
}

impl WalletView {
    pub(crate) fn new(wallet: &Wallet, spent: AmountView, limit: AmountView, open_orders: usize) -> Self {
        Self {
            address: wallet.address,
            next_nonce: wallet.next_nonce,
            paused: wallet.paused.as_ref().map(|pause| pause.reason.clone()),
            halted: wallet.halted.as_ref().map(|halt| halt.why.to_string()),
            spent,
            limit,
            open_orders,
        }
    }
}
