//! One event of the ledger as rows of an export: what the columns are, and what fills them.
//!
//! Rows come of events alone, and of figures of records that never change (a deposit's amount, an order's address), so that
//! an export of a past interval never says anything else later. Deliberately absent: where records stand now; `list`,
//! `deposits` and `orders` tell that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockRef};
use crate::domain::deposit::{Deposit, DepositKey, MatchRule, Tally, Verdict};
use crate::domain::event::{EventKind, Recorded, WalletChange};
use crate::domain::order::{Order, OrderId, OrderState};
use crate::domain::payment::{ApiView, Outcome, Payment, PaymentState};
use crate::domain::wei::Wei;
use crate::view::explain::{self, Names};
use crate::view::moment;

/// One row of an export. What does not concern a row is `None`: empty in CSV, `null` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportRow {
    /// The event's number in the ledger.
    pub seq: u64,
    /// When it was written into the ledger: RFC 3339 in UTC.
    pub time: String,
    /// What the row is about.
    pub kind: String,
    /// What happened.
    pub what: String,
    /// The payment.
    pub payment: Option<String>,
    /// Whose payment it is.
    pub recipient: Option<String>,
    /// The order.
    pub order: Option<String>,
    /// The deposit's key.
    pub deposit: Option<String>,
    /// The rule, the reason, the outcome or the API's status, in one word.
    pub status: Option<String>,
    /// The chain's id.
    pub chain_id: Option<u64>,
    /// The token's contract.
    pub token: Option<String>,
    /// What people call the token.
    pub symbol: Option<String>,
    /// How much of the token, in base units.
    pub amount_base_units: Option<String>,
    /// The same in whole units.
    pub amount: Option<String>,
    /// Who sent it.
    pub from: Option<String>,
    /// Who got it.
    pub to: Option<String>,
    /// The transaction.
    pub tx_hash: Option<String>,
    /// The log's position in its block.
    pub log_index: Option<u64>,
    /// The block's number.
    pub block_number: Option<u64>,
    /// The block's hash.
    pub block_hash: Option<String>,
    /// The block's own time: RFC 3339 in UTC.
    pub block_time: Option<String>,
    /// The wallet's nonce.
    pub nonce: Option<u64>,
    /// Which call of the completion, from 1.
    pub call: Option<u32>,
    /// How much gas was used.
    pub gas_used: Option<u64>,
    /// What a unit of gas cost, in wei.
    pub gas_price_wei: Option<String>,
    /// What the network took, in wei.
    pub fee_wei: Option<String>,
    /// The same in whole units of the native coin.
    pub fee_native: Option<String>,
    /// What the payment costs, as the API says.
    pub api_fee: Option<String>,
    /// The name of the person who decided, where names were kept by then.
    pub by: Option<String>,
    /// The event in a sentence.
    pub note: String,
}

/// The columns, in the order of a CSV export. A test holds them against [`ExportRow`] and `docs/export.md`.
pub const COLUMNS: [&str; 30] = [
    "seq",
    "time",
    "kind",
    "what",
    "payment",
    "recipient",
    "order",
    "deposit",
    "status",
    "chain_id",
    "token",
    "symbol",
    "amount_base_units",
    "amount",
    "from",
    "to",
    "tx_hash",
    "log_index",
    "block_number",
    "block_hash",
    "block_time",
    "nonce",
    "call",
    "gas_used",
    "gas_price_wei",
    "fee_wei",
    "fee_native",
    "api_fee",
    "by",
    "note",
];

/// The kinds of rows. A test holds them against `docs/export.md`.
pub const KINDS: [&str; 11] =
    ["payment", "api", "deposit", "match", "completion", "order", "attempt", "fee", "wallet", "decision", "alarm"];

/// The records that an event is about, with figures that the event itself does not bear.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) payment: Option<Payment>,
    pub(crate) deposit: Option<Deposit>,
    pub(crate) order: Option<Order>,
    /// Gas used and price by the receipt of the transaction that this event makes final.
    pub(crate) gas: Option<(u64, Wei)>,
}

/// The transaction that an order's move makes final, with its block: its fee is certain from then on.
pub(crate) fn settles(kind: &EventKind) -> Option<(B256, BlockRef)> {
    let EventKind::OrderMoved { from, to, .. } = kind else { return None };
    // A receipt that goes away leads back to sending or cancelling; whatever else follows, follows from a final one.
    match (from.as_ref(), to.as_ref()) {
        (OrderState::Mined { tx_hash, block, .. }, OrderState::Ended { .. } | OrderState::Ready) => {
            Some((*tx_hash, *block))
        }
        _ => None,
    }
}

/// The rows of an event; none for what is no bookkeeping (which addresses are read, how the final block moves, further records).
pub(crate) fn rows(recorded: &Recorded, about: &About, names: &Names<'_>) -> Vec<ExportRow> {
    let event = &recorded.event;
    let (_, note) = explain::event(&event.kind, names);
    let mut row = ExportRow {
        seq: recorded.seq,
        time: moment(event.at),
        payment: event.payment.as_ref().map(ToString::to_string),
        recipient: about.payment.as_ref().map(|payment| payment.recipient_id.to_string()),
        deposit: event.deposit.as_ref().map(ToString::to_string),
        by: decided_by(&event.kind).map(ToString::to_string),
        note,
        ..ExportRow::default()
    };
    let mut extra = None;
    let is_row = match &event.kind {
        EventKind::PaymentAdded { payment } => row.payment_added(payment, names),
        EventKind::PaymentMoved { from, to, .. } => {
            extra = api_fee(&row, to, about);
            row.payment_moved(from, to, about, names)
        }
        EventKind::ApiReported { view } => row.reported(view),
        EventKind::DepositSeen { deposit, .. } => {
            row.of_deposit(deposit, names);
            row.named("deposit", "seen", None)
        }
        EventKind::DepositStands { standing, .. } => {
            row.of_known(about, names);
            row.named("deposit", standing.name(), None)
        }
        EventKind::DepositJudged { verdict } => row.judged(verdict, about, names),
        EventKind::DepositsCounted { tally } => row.counted(tally, about, names),
        EventKind::OrderPlaced { order } => {
            row.of_order(order, names);
            row.named("order", "placed", None)
        }
        EventKind::OrderMoved { from, to, .. } => {
            extra = network_fee(&row, &event.kind, about, names);
            row.order_moved(from, to, about, names)
        }
        EventKind::AttemptSigned { attempt, .. } => {
            row.nonce = Some(attempt.nonce);
            row.attempt("signed", attempt.tx_hash, about, names)
        }
        EventKind::AttemptSent { tx_hash, .. } => row.attempt("sent", *tx_hash, about, names),
        EventKind::AttemptMined { tx_hash, block, gas_used, gas_price, .. } => {
            row.in_block(*block);
            (row.gas_used, row.gas_price_wei) = (*gas_used, gas_price.map(|price| price.get().to_string()));
            row.attempt("mined", *tx_hash, about, names)
        }
        EventKind::WalletChanged { address, change } => {
            row.from = Some(address.to_string());
            row.named("wallet", change_name(change), None)
        }
        EventKind::PersonDecided { action, .. } => {
            // A decision about an order names it last: `approve order pay:1`.
            let order = action.rsplit(' ').next().and_then(|word| word.parse::<OrderId>().ok());
            row.order = order.map(|order| order.to_string());
            row.named("decision", action.split(' ').next().unwrap_or_default(), None)
        }
        EventKind::Alarm { alarm } => row.named("alarm", alarm.name(), None),
        EventKind::FinalityMoved { .. }
        | EventKind::AddressPlaced { .. }
        | EventKind::AddressClosed { .. }
        | EventKind::EndpointBack { .. }
        | EventKind::ListenerBack { .. }
        | EventKind::StallOver { .. }
        | EventKind::RecordChanged { .. } => false,
    };
    is_row.then_some(row).into_iter().chain(extra).collect()
}

/// Who decided what the event tells, where a person did and the name was kept.
const fn decided_by(kind: &EventKind) -> Option<&Actor> {
    match kind {
        EventKind::PersonDecided { by, .. } | EventKind::OrderMoved { by, .. } => by.as_ref(),
        EventKind::OrderPlaced { order } => order.placed_by_name.as_ref(),
        EventKind::WalletChanged { change, .. } => match change {
            WalletChange::Paused { by, .. } | WalletChange::Resumed { by, .. } | WalletChange::Adopted { by, .. } => {
                by.as_ref()
            }
            WalletChange::Opened { .. } | WalletChange::Halted { .. } => None,
        },
        _ => None,
    }
}

const fn change_name(change: &WalletChange) -> &'static str {
    match change {
        WalletChange::Opened { .. } => "opened",
        WalletChange::Paused { .. } => "paused",
        WalletChange::Resumed { .. } => "resumed",
        WalletChange::Halted { .. } => "halted",
        WalletChange::Adopted { .. } => "adopted",
    }
}

/// What the network took for the transaction that this move makes final.
fn network_fee(row: &ExportRow, kind: &EventKind, about: &About, names: &Names<'_>) -> Option<ExportRow> {
    let (tx_hash, block) = settles(kind)?;
    let mut fee = row.clone();
    if let Some(order) = &about.order {
        fee.of_order(order, names);
        fee.nonce = order.attempt(tx_hash).map(|attempt| attempt.nonce);
        // The amount is the order's, not the fee's.
        (fee.amount_base_units, fee.amount, fee.token, fee.symbol) = (None, None, None, None);
    }
    fee.in_block(block);
    fee.tx_hash = Some(tx_hash.to_string());
    let Some((gas_used, gas_price)) = about.gas else {
        fee.note = format!("Transaction {tx_hash} is final; the ledger has no receipt of it that tells its fee.");
        fee.named("fee", "unknown", None);
        return Some(fee);
    };
    let cost = gas_price.times(gas_used);
    fee.gas_used = Some(gas_used);
    fee.gas_price_wei = Some(gas_price.get().to_string());
    fee.fee_wei = Some(cost.get().to_string());
    fee.fee_native = Some(cost.to_native());
    fee.note = format!("Transaction {tx_hash} is final, and the network took {} for it.", cost.to_native());
    fee.named("fee", "network", None);
    Some(fee)
}

/// What the API takes for a payment, once it is completed.
fn api_fee(row: &ExportRow, to: &PaymentState, about: &About) -> Option<ExportRow> {
    let PaymentState::Ended { outcome: Outcome::Completed, .. } = to else { return None };
    let said = about.payment.as_ref()?.api.as_ref()?.fee.as_ref()?;
    let mut fee = ExportRow { api_fee: Some(said.to_string()), ..row.clone() };
    fee.note = format!("The API says that the payment costs {said}.");
    fee.named("fee", "api", None);
    Some(fee)
}

/// The outcome or the review's name of a state, where it has one.
fn detail(state: &PaymentState) -> Option<&'static str> {
    match state {
        PaymentState::Ended { outcome, .. } => Some(match outcome {
            Outcome::Completed => "completed",
            Outcome::Failed => "failed",
            Outcome::Expired => "expired",
            Outcome::Refunded => "refunded",
            Outcome::Cancelled => "cancelled",
        }),
        PaymentState::Review { why, .. } => Some(why.name()),
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Calling { .. }
        | PaymentState::Unclear { .. }
        | PaymentState::Following { .. } => None,
    }
}

/// What a payment's move says of a completion, if it is about one: what happened, and which call.
const fn completion(from: &PaymentState, to: &PaymentState) -> Option<(&'static str, u32)> {
    if let PaymentState::Calling { attempt, .. } = to {
        return Some(("called", *attempt));
    }
    let (PaymentState::Calling { attempt, .. } | PaymentState::Unclear { attempt, .. }) = from else { return None };
    let what = match to {
        PaymentState::Following { .. } | PaymentState::Ended { .. } => "answered",
        PaymentState::Unclear { refusal: None, .. } => "unclear",
        PaymentState::Unclear { refusal: Some(_), .. } => "refused",
        PaymentState::Review { .. } => "review",
        PaymentState::Waiting | PaymentState::Seen { .. } | PaymentState::Due { .. } | PaymentState::Calling { .. } => {
            "without_effect"
        }
    };
    Some((what, *attempt))
}

impl ExportRow {
    fn reported(&mut self, view: &ApiView) -> bool {
        self.tx_hash.clone_from(&view.tx_hash);
        self.api_fee = view.fee.as_ref().map(ToString::to_string);
        self.named("api", "reported", Some(view.status.as_str()))
    }

    /// Says what the row is; always true, for the match over events.
    fn named(&mut self, kind: &str, what: &str, status: Option<&str>) -> bool {
        (self.kind, self.what) = (kind.to_owned(), what.to_owned());
        self.status = status.map(str::to_owned);
        true
    }

    fn money(&mut self, amount: Amount, token: Address, names: &Names<'_>) {
        let view = names.amount(amount, token);
        self.token = Some(token.to_string());
        self.amount_base_units = Some(amount.base_units().to_string());
        (self.amount, self.symbol) = (view.decimal, view.symbol);
    }

    fn in_block(&mut self, block: BlockRef) {
        (self.block_number, self.block_hash) = (Some(block.number), Some(block.hash.to_string()));
    }

    fn of_deposit(&mut self, deposit: &Deposit, names: &Names<'_>) {
        self.money(deposit.amount, deposit.token, names);
        self.in_block(deposit.block());
        self.deposit = Some(deposit.key.to_string());
        self.chain_id = Some(deposit.key.chain_id);
        (self.from, self.to) = (Some(deposit.from.to_string()), Some(deposit.to.to_string()));
        (self.tx_hash, self.log_index) = (Some(deposit.key.tx_hash.to_string()), Some(deposit.key.log_index));
        self.block_time = Some(moment(deposit.block_time));
    }

    fn of_known(&mut self, about: &About, names: &Names<'_>) {
        if let Some(deposit) = &about.deposit {
            self.of_deposit(deposit, names);
        }
    }

    fn of_order(&mut self, order: &Order, names: &Names<'_>) {
        self.money(order.amount, order.token, names);
        self.order = Some(order.id.to_string());
        self.recipient = Some(order.recipient_id.to_string());
        self.chain_id = Some(order.chain_id);
        (self.from, self.to) = (Some(order.wallet.to_string()), Some(order.to.to_string()));
    }

    fn attempt(&mut self, what: &str, tx_hash: B256, about: &About, names: &Names<'_>) -> bool {
        if let Some(order) = &about.order {
            self.of_order(order, names);
            self.nonce = self.nonce.or_else(|| order.attempt(tx_hash).map(|attempt| attempt.nonce));
        }
        self.tx_hash = Some(tx_hash.to_string());
        self.named("attempt", what, None)
    }

    fn payment_added(&mut self, payment: &Payment, names: &Names<'_>) -> bool {
        self.money(payment.terms.amount, payment.terms.token, names);
        self.chain_id = Some(payment.terms.chain_id);
        self.to = Some(payment.terms.deposit_address.to_string());
        self.recipient = Some(payment.recipient_id.to_string());
        self.named("payment", "added", None)
    }

    fn payment_moved(&mut self, from: &PaymentState, to: &PaymentState, about: &About, names: &Names<'_>) -> bool {
        if let Some(payment) = &about.payment {
            self.payment_added(payment, names);
        }
        let key = to.deposit().or_else(|| from.deposit());
        self.tx_hash = key.map(|key| key.tx_hash.to_string());
        self.deposit = key.map(DepositKey::to_string);
        match completion(from, to) {
            Some((what, call)) => {
                self.call = Some(call);
                self.named("completion", what, detail(to))
            }
            None => self.named("payment", to.name(), detail(to)),
        }
    }

    fn judged(&mut self, verdict: &Verdict, about: &About, names: &Names<'_>) -> bool {
        self.of_known(about, names);
        let status = match verdict {
            Verdict::Unjudged | Verdict::Ignored { .. } => None,
            Verdict::Nothing { why } => Some(why.name()),
            Verdict::Review { why } => Some(why.name()),
            Verdict::Pays { payment, rule } => {
                self.payment = Some(payment.to_string());
                if let MatchRule::OwnTransfer { order } = rule {
                    self.order = Some(order.to_string());
                }
                Some(rule.name())
            }
        };
        self.named("match", verdict.name(), status)
    }

    fn counted(&mut self, tally: &Tally, about: &About, names: &Names<'_>) -> bool {
        self.of_known(about, names);
        if let Some(deposit) = &about.deposit {
            self.money(tally.sum, deposit.token, names);
        }
        // Not one deposit's: many came by as many ways.
        (self.from, self.log_index, self.block_number, self.block_hash) = (None, None, None, None);
        (self.tx_hash, self.block_time) = (Some(tally.last_tx.to_string()), Some(moment(tally.last_at)));
        self.named("deposit", "counted", None)
    }

    fn order_moved(&mut self, from: &OrderState, to: &OrderState, about: &About, names: &Names<'_>) -> bool {
        // What is only another hold or another fee is no news for the books.
        if from.name() == to.name() {
            return false;
        }
        if let Some(order) = &about.order {
            self.of_order(order, names);
        }
        let mut status = None;
        match to {
            OrderState::Ended { outcome, .. } => {
                status = Some(outcome.name());
                if let OrderState::Mined { tx_hash, block, nonce, .. } = from {
                    self.in_block(*block);
                    (self.tx_hash, self.nonce) = (Some(tx_hash.to_string()), Some(*nonce));
                }
            }
            OrderState::Mined { tx_hash, block, nonce, .. } => {
                self.in_block(*block);
                (self.tx_hash, self.nonce) = (Some(tx_hash.to_string()), Some(*nonce));
            }
            OrderState::Sending { nonce, .. } | OrderState::Cancelling { nonce, .. } => self.nonce = Some(*nonce),
            OrderState::Held { why } => status = Some(why.name()),
            OrderState::AwaitingApproval { .. } | OrderState::Ready => {}
        }
        self.named("order", to.name(), status)
    }
}
