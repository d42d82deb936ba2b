//! What people and programs are shown of payments and deposits: one form for the operator API, `--json` and tables.
//!
//! Amounts come in base units, as text, and in whole units where the token's decimals are known; moments as RFC 3339
//! in UTC. Words for states and verdicts come from `explain`. Deliberately absent: secrets, and anything that is
//! kept for the engine alone (versions, counters).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::candidate_views::CandidateView;
use super::events;
use super::explain::{self, Names};
use super::order_views::OrderView;
use super::return_views::{BackView, WhenceView};
use super::shapes;
use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey, Tally, Verdict};
use crate::domain::event::Recorded;
use crate::domain::order::OrderId;
use crate::domain::payment::{Outcome, Payment, PaymentId, PaymentReview, PaymentState, Provenance, RecipientId};
use crate::domain::time::Timestamp;

/// What people call a token, and its decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenName {
    /// Its contract.
    pub address: Address,
    /// What people call it.
    pub symbol: String,
    /// How many decimals a whole unit has.
    pub decimals: u8,
}

/// An amount of some token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AmountView {
    /// In base units.
    #[schemars(with = "shapes::BaseUnits")]
    pub base_units: Amount,
    /// In whole units, such as `1000.50`, where the decimals are known.
    pub decimal: Option<String>,
    /// What people call the token, where it is known.
    pub symbol: Option<String>,
}

impl fmt::Display for AmountView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decimal {
            Some(decimal) => f.write_str(decimal)?,
            None => write!(f, "{}", self.base_units)?,
        }
        self.symbol.as_ref().map_or(Ok(()), |symbol| write!(f, " {symbol}"))
    }
}

/// How far rampwatch is with a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateView {
    /// One word: `waiting`, `seen`, `due`, `calling`, `unclear`, `following`, `ended`, `review`.
    pub name: String,
    /// The same as a sentence.
    pub text: String,
    /// The deposit that it speaks of, if any.
    #[schemars(with = "Option<shapes::DepositKey>")]
    pub deposit: Option<DepositKey>,
    /// How many completions were called, in states that count them.
    pub calls: Option<u32>,
    /// How it ended, once it has.
    #[schemars(with = "Option<shapes::Outcome>")]
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// What a person must decide, if anything.
    #[schemars(with = "Option<shapes::PaymentReview>")]
    pub review: Option<PaymentReview>,
}

/// The API's word on a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiWordView {
    /// Its status, as it came.
    pub status: String,
    /// Its transaction hash, as it came.
    pub tx_hash: Option<String>,
    /// When it said so.
    pub as_of: String,
    /// What it said that cannot be read, field by field, with what it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// The API's id.
    #[schemars(with = "shapes::Id")]
    pub id: PaymentId,
    /// Whose it is.
    #[schemars(with = "shapes::Id")]
    pub recipient_id: RecipientId,
    /// How far rampwatch is.
    pub state: StateView,
    /// The API's word, if it was ever asked.
    pub api: Option<ApiWordView>,
    /// Since when the API is asked after it in vain, and why; in lists always null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// How much is to be paid.
    pub amount: AmountView,
    /// Where the amount is known from.
    #[schemars(with = "shapes::Provenance")]
    pub amount_from: Provenance,
    /// The chain.
    pub chain_id: u64,
    /// The token that is asked for.
    pub token: String,
    /// Where the money goes.
    pub deposit_address: String,
    /// Where the address is known from.
    #[schemars(with = "shapes::Provenance")]
    pub address_from: Provenance,
    /// The sender named at creation, if any.
    pub sender: Option<String>,
    /// When the API created it.
    pub created_at: String,
    /// When it runs out, if the API says.
    pub expires_at: Option<String>,
    /// Where the recipient is known from; `None` in records from before it was kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Provenance>")]
    pub recipient_from: Option<Provenance>,
    /// Where the expiry is known from, if there is one; `None` in records from before it was kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Provenance>")]
    pub expiry_from: Option<Provenance>,
    /// Where the sender is known from, if one is named; `None` in records from before it was kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Provenance>")]
    pub sender_from: Option<Provenance>,
    /// Who typed what was typed; `None` where nothing was, and in records from before names were kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Actor>")]
    pub typed_by: Option<Actor>,
    /// When it was added here.
    pub added_at: String,
    /// When it is looked at next by itself; `None`: not any more.
    pub next_look_at: Option<String>,
}

/// Where a deposit's block stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandingView {
    /// `provisional`, `final`, `gone` or `gone_after_final`.
    pub name: String,
    /// When it was found final.
    pub final_at: Option<String>,
}

/// A deposit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DepositView {
    /// Its identity, as `resolve` takes it: chain, block hash, transaction hash and log index.
    pub key: String,
    /// The chain.
    pub chain_id: u64,
    /// The block's number.
    pub block_number: BlockNumber,
    /// The block's hash.
    #[schemars(with = "shapes::Hash")]
    pub block_hash: B256,
    /// The block's own time.
    pub block_time: String,
    /// The transaction.
    #[schemars(with = "shapes::Hash")]
    pub tx_hash: B256,
    /// The position among all logs of the block.
    pub log_index: u64,
    /// The token contract.
    pub token: String,
    /// Whose balance went down; the zero address for a mint.
    pub from: String,
    /// The watched address.
    pub to: String,
    /// How much.
    pub amount: AmountView,
    /// Where its block stands.
    pub standing: StandingView,
    /// What it is taken for, for programs.
    #[schemars(with = "shapes::Verdict")]
    pub verdict: Verdict,
    /// The same in words.
    pub verdict_text: String,
    /// For money that came to the wallet: the refunded payment that it comes back from, as far as the amounts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comes_back_from: Option<WhenceView>,
    /// What else came to its address in its token, too small to pay anything there, and was counted instead of kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<CountedView>,
    /// When rampwatch learnt of it.
    pub first_seen_at: String,
}

/// Deposits that were counted, and not kept one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountedView {
    /// How many.
    pub count: u64,
    /// What they come to.
    pub sum: AmountView,
    /// The largest of them.
    pub most: AmountView,
    /// What of the sum a person has ignored.
    pub ignored: AmountView,
    /// The transaction that was counted last.
    #[schemars(with = "shapes::Hash")]
    pub last_tx: B256,
    /// The time of its block.
    pub last_at: String,
    /// The same in words.
    pub text: String,
}

/// Something that a person must decide, and what would settle it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewView {
    /// `payment`, `deposit` or `lead`.
    pub subject: String,
    /// The payment's id or the deposit's key.
    pub id: String,
    /// The reason's name, such as `second_deposit`.
    pub reason: String,
    /// What happened, and why it is not decided without a person.
    pub what: String,
    /// What would settle it; each is one way.
    pub settle: Vec<WayOut>,
}

/// One way to settle a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WayOut {
    /// When this is the way to go, and what it does.
    pub when: String,
    /// The command, complete but for the reason; `None` where the way leads elsewhere.
    pub command: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its number; rises.
    pub seq: u64,
    /// When.
    pub at: String,
    /// What, in one word.
    pub event: String,
    /// What and why, in words.
    pub text: String,
    /// The payment it is about, if any.
    #[schemars(with = "Option<shapes::Id>")]
    pub payment: Option<PaymentId>,
    /// The deposit it is about, if any.
    #[schemars(with = "Option<shapes::DepositKey>")]
    pub deposit: Option<DepositKey>,
    /// The order it is about, if any.
    #[serde(default)]
    #[schemars(with = "Option<shapes::OrderId>")]
    pub order: Option<OrderId>,
    /// The person whose word it is, where it is one's and names were kept by then.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Actor>")]
    pub by: Option<Actor>,
}

/// Why a payment or a deposit stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// `payment`, `deposit` or `lead`.
    pub subject: String,
    /// The rule that decided, in words.
    pub rule: String,
    /// The payment: the subject itself, or the one that the deposit pays.
    pub payment: Option<PaymentView>,
    /// The deposits: the subject itself, or those that concern the payment.
    pub deposits: Vec<DepositView>,
    /// What a person must decide: about the subject, and about the deposits that concern it.
    pub reviews: Vec<ReviewView>,
    /// The orders that fund the payment; for a deposit the one whose transfer it is.
    #[serde(default)]
    pub orders: Vec<OrderView>,
    /// Whether the payment's money came back, where the wallet funded it and the API has refunded it.
    #[serde(default)]
    pub money_back: Option<BackView>,
    /// What happened to the subject, the oldest first.
    pub events: Vec<EventView>,
    /// Whether there are more events than these.
    pub more_events: bool,
}

/// What a decision left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedView {
    /// The decision's name.
    pub decision: String,
    /// The payment as it stands now, if it was about one.
    pub payment: Option<PaymentView>,
    /// The deposit as it stands now, if it was about one.
    pub deposit: Option<DepositView>,
    /// The candidate as it stands now, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "lead")]
    pub candidate: Option<CandidateView>,
    /// How many deposits are ignored now that were not, counted ones included, if it was about all of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<u64>,
}

impl ResolvedView {
    /// Only the decision's name yet.
    pub(super) fn of(decision: &str) -> Self {
        Self { decision: decision.to_owned(), payment: None, deposit: None, candidate: None, ignored: None }
    }
}

/// A part of a longer list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins (give it as `after`); `None`: this was the last. A part may be short, even
    /// empty, and still have a next: not more than a bounded number of records is looked at in one go.
    pub next: Option<String>,
}

/// A moment as RFC 3339 in UTC.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).ok();
    let known = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    known.map_or_else(|| "never".to_owned(), |known| known.to_string())
}

/// The word for a verdict.
#[must_use]
pub const fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Unjudged => "unjudged",
        Verdict::Pays { .. } => "pays",
        Verdict::Nothing { .. } => "nothing",
        Verdict::Review { .. } => "review",
        Verdict::Ignored { .. } => "ignored",
    }
}

/// The word for where a deposit stands.
#[must_use]
pub const fn standing_name(standing: &BlockStatus) -> &'static str {
    match standing {
        BlockStatus::Provisional => "provisional",
        BlockStatus::Final { .. } => "final",
        BlockStatus::Gone { after_final: false } => "gone",
        BlockStatus::Gone { after_final: true } => "gone_after_final",
    }
}

impl StateView {
    fn of(state: &PaymentState, names: &Names<'_>) -> Self {
        let (mut calls, mut outcome, mut ended_at, mut review) = (None, None, None, None);
        match state {
            PaymentState::Waiting | PaymentState::Seen { .. } | PaymentState::Following { .. } => {}
            PaymentState::Due { attempt, .. }
            | PaymentState::Calling { attempt, .. }
            | PaymentState::Unclear { attempt, .. } => calls = Some(*attempt),
            PaymentState::Ended { outcome: how, at } => {
                outcome = Some(*how);
                ended_at = Some(moment(*at));
            }
            PaymentState::Review { why, .. } => review = Some(why.clone()),
        }
        Self {
            name: state.name().to_owned(),
            text: explain::state(state, names),
            deposit: state.deposit().copied(),
            calls,
            outcome,
            ended_at,
            review,
        }
    }

    /// The same, with the end that the API names and that is not confirmed.
    fn with_end(self, payment: &Payment) -> Self {
        match payment.ending {
            Some(ending) if self.review.is_none() => {
                let text = format!("{} {}", self.text, explain::ending(ending, payment.next_at));
                Self { text, ..self }
            }
            Some(_) | None => self,
        }
    }
}

impl PaymentView {
    pub(super) fn of(payment: &Payment, names: &Names<'_>) -> Self {
        let terms = &payment.terms;
        Self {
            id: payment.id.clone(),
            recipient_id: payment.recipient_id.clone(),
            state: StateView::of(&payment.state, names).with_end(payment),
            api: payment.api.as_ref().map(|word| ApiWordView {
                status: word.status.to_string(),
                tx_hash: word.tx_hash.clone(),
                as_of: moment(word.as_of),
                unread: word.unread.iter().map(ToString::to_string).collect(),
            }),
            unanswered: None,
            amount: names.amount(terms.amount, terms.token),
            amount_from: terms.amount_from,
            chain_id: terms.chain_id,
            token: terms.token.to_string(),
            deposit_address: terms.deposit_address.to_string(),
            address_from: terms.address_from,
            sender: terms.sender.map(|sender| sender.to_string()),
            created_at: moment(terms.created_at),
            expires_at: terms.expires_at.map(moment),
            recipient_from: terms.recipient_from,
            expiry_from: terms.expiry_from,
            sender_from: terms.sender_from,
            typed_by: terms.typed_by.clone().filter(|_| terms.any_typed()),
            added_at: moment(payment.added_at),
            next_look_at: payment.next_at.map(moment),
        }
    }
}

impl DepositView {
    pub(super) fn of(deposit: &Deposit, names: &Names<'_>) -> Self {
        let final_at = match deposit.standing {
            BlockStatus::Final { at } => Some(moment(at)),
            BlockStatus::Provisional | BlockStatus::Gone { .. } => None,
        };
        Self {
            key: deposit.key.to_string(),
            chain_id: deposit.key.chain_id,
            block_number: deposit.block_number,
            block_hash: deposit.key.block_hash,
            block_time: moment(deposit.block_time),
            tx_hash: deposit.key.tx_hash,
            log_index: deposit.key.log_index,
            token: deposit.token.to_string(),
            from: deposit.from.to_string(),
            to: deposit.to.to_string(),
            amount: names.amount(deposit.amount, deposit.token),
            standing: StandingView { name: standing_name(&deposit.standing).to_owned(), final_at },
            verdict: deposit.verdict.clone(),
            verdict_text: explain::verdict(deposit, names),
            comes_back_from: None,
            counted: deposit.tally.as_deref().map(|tally| CountedView::of(tally, deposit.token, names)),
            first_seen_at: moment(deposit.first_seen_at),
        }
    }
}

impl CountedView {
    fn of(tally: &Tally, token: Address, names: &Names<'_>) -> Self {
        Self {
            count: tally.count,
            sum: names.amount(tally.sum, token),
            most: names.amount(tally.most, token),
            ignored: names.amount(tally.ignored, token),
            last_tx: tally.last_tx,
            last_at: moment(tally.last_at),
            text: explain::counted(tally, Some((names, token))),
        }
    }
}

impl EventView {
    pub(super) fn of(recorded: &Recorded, names: &Names<'_>) -> Self {
        let event = &recorded.event;
        let (name, text) = explain::event(&event.kind, names);
        Self {
            seq: recorded.seq,
            at: moment(event.at),
            event: name.to_owned(),
            text,
            payment: event.payment.clone(),
            deposit: event.deposit,
            order: events::order_of(&event.kind).cloned(),
            by: events::said_by(&event.kind).cloned(),
        }
    }
}
