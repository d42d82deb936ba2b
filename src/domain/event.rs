//! Events: what happened and why. Every commit carries the events that explain it; the ledger is their sum.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::actor::Actor;
use super::address_pattern::PatternBreak;
use super::amount::Amount;
use super::chain::{Address, B256, BlockNumber, BlockRef};
use super::deposit::{BlockStatus, Deposit, DepositKey, Tally, Verdict};
use super::hold::Hold;
use super::order::{Attempt, Order, OrderId, OrderState, Spend};
use super::payment::{ApiView, Payment, PaymentId, PaymentState, RecipientId};
use super::record::RecordBody;
use super::stall::Stall;
use super::time::Timestamp;
use super::wallet::HaltReason;
use super::wei::Wei;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When (our clock).
    pub at: Timestamp,
    /// The payment it is about, if any.
    pub payment: Option<PaymentId>,
    /// The deposit it is about, if any.
    pub deposit: Option<DepositKey>,
    pub kind: EventKind,
}

impl Event {
    /// Of something that concerns no single payment or deposit.
    #[must_use]
    pub const fn new(at: Timestamp, kind: EventKind) -> Self {
        Self { at, payment: None, deposit: None, kind }
    }
}

/// An event with the number the store gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Rises by one from event to event, from 1.
    pub seq: u64,
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A payment was added, with these terms.
    PaymentAdded {
        /// The payment as it was first stored.
        payment: Box<Payment>,
    },
    /// A payment went from one state to another.
    PaymentMoved {
        from: Box<PaymentState>,
        to: Box<PaymentState>,
        /// Why, in words.
        why: String,
    },
    /// The API said something new of a payment.
    ApiReported { view: ApiView },
    /// A deposit was read from the chain for the first time.
    DepositSeen {
        /// The deposit as it was first stored.
        deposit: Box<Deposit>,
        reading: Reading,
    },
    /// A deposit was judged, or judged anew.
    DepositJudged { verdict: Verdict },
    /// A deposit's block became final, went away, or came back.
    DepositStands {
        /// Where it stands now.
        standing: BlockStatus,
        block: BlockRef,
        /// What the chain has at that height now, if it differs.
        canonical: Option<B256>,
        /// When the block was made, where its log had said otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_at: Option<Timestamp>,
    },
    /// Deposits that could pay nothing at the deposit's address were counted, and not kept: told at first, and each time that
    /// their number has doubled.
    DepositsCounted {
        /// All that were counted so far.
        tally: Box<Tally>,
    },
    /// A person decided something.
    PersonDecided {
        /// What, such as `assign`.
        action: String,
        reason: String,
        /// Who; `None` in records from before names were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// The final block moved back, or came past its old mark again.
    FinalityMoved {
        /// The final block as it was believed before.
        from: BlockRef,
        /// As it is believed now.
        to: BlockRef,
    },
    /// Something that should not happen did.
    Alarm { alarm: Alarm },
    /// An address is watched from a block on.
    AddressPlaced {
        address: Address,
        /// The first block that is swept for it.
        start: BlockNumber,
    },
    /// An address is not watched any more; its whole window was read a last time.
    AddressClosed {
        address: Address,
        /// The last block that was swept for it.
        through: BlockNumber,
    },
    /// An endpoint that contradicted, stood still or lagged does so no more.
    EndpointBack { endpoint: String },
    /// It listens again where a setting says.
    ListenerBack {
        /// The setting: `http.listen`.
        setting: String,
    },
    /// What stood still goes on.
    StallOver {
        what: Stall,
        /// Since when it had stood still (our clock).
        since: Timestamp,
    },
    /// An order was placed.
    OrderPlaced {
        /// The order as it was first stored.
        order: Box<Order>,
    },
    /// An order went from one state to another.
    OrderMoved {
        order: OrderId,
        from: Box<OrderState>,
        to: Box<OrderState>,
        /// Whether it counts as spent from now on.
        spend: Spend,
        /// Why, in words.
        why: String,
        /// Who said so, where a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// A transaction was signed. It is on the disk before anybody else hears of it.
    AttemptSigned { order: OrderId, attempt: Box<Attempt> },
    /// A signed transaction was given to the nodes.
    AttemptSent {
        order: OrderId,
        tx_hash: B256,
        /// What the nodes said, in words.
        said: String,
    },
    /// A node has a receipt for a signed transaction.
    AttemptMined {
        order: OrderId,
        tx_hash: B256,
        block: BlockRef,
        /// `None` when the node does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gas_used: Option<u64>,
        /// What a unit of gas cost; `None` when the node does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gas_price: Option<Wei>,
    },
    /// Something about the hot wallet changed.
    WalletChanged {
        /// The wallet.
        address: Address,
        change: WalletChange,
    },
    /// A further record was made or changed.
    #[serde(rename = "desk_changed")]
    RecordChanged {
        /// What it says since.
        body: Box<RecordBody>,
        /// What happened, in words that go on from its name: `was registered`.
        why: String,
    },
}

impl EventKind {
    /// The further record that it is about, if it is about one.
    #[must_use]
    pub fn record(&self) -> Option<&RecordBody> {
        match self {
            Self::RecordChanged { body, .. } => Some(body),
            _ => None,
        }
    }
}

/// What changed about the hot wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum WalletChange {
    /// This store began to send from it.
    Opened { next_nonce: u64 },
    /// A person paused it.
    Paused {
        reason: String,
        /// Who; `None` in records from before names were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// A person ended the pause.
    Resumed {
        reason: String,
        /// Who; `None` in records from before names were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// Something about its nonces is not understood.
    Halted { why: HaltReason },
    /// A person has looked, and it goes on.
    Adopted {
        reason: String,
        next_nonce: u64,
        /// Who, where a person did it; `None` also in records from before names were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
        /// What the wallet sent in the last 24 hours that no order accounts for, in base units: it counts as spent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        booked: Option<Amount>,
        /// Whether the person gave the nonce.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        typed: bool,
    },
}

/// Which reading of the chain found a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    Sweep,
    /// The second reading, some minutes later. Finding something here means that the first reading missed it.
    Second,
}

/// Something that should not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "alarm", rename_all = "snake_case")]
pub enum Alarm {
    /// A deposit that was final is not on the chain any more.
    GoneAfterFinal,
    /// A later reading found a deposit, in blocks that were final when they were first read, which the first had missed.
    MissedByFirstReading,
    /// A provider does not return a log although the block that holds it still stands.
    LogWithheld,
    /// A provider returned a log that is no transfer although it has a transfer's topic.
    MalformedLog { detail: String },
    /// The final block has not moved for longer than configured.
    FinalityStalled {
        /// The final block as last reported.
        at: BlockNumber,
    },
    /// The API key was refused; the API is not called until it works again.
    KeyRefused { status: u16 },
    /// A signed transfer cannot go on by itself: the fees are at the ceiling, or nodes refuse it.
    FundingStuck {
        order: OrderId,
        /// What stands in the way.
        hold: Hold,
    },
    /// A transfer succeeded by its receipt, and the token's log of it is not there: nothing moved.
    MovedNothing { order: OrderId },
    /// The hot wallet is halted.
    WalletHalted { why: HaltReason },
    /// The wallet has less of the token than the configured mark.
    LowToken {
        /// What it has, in base units.
        have: Amount,
        /// The mark, in base units.
        mark: Amount,
    },
    /// The wallet has less of the native coin than the configured mark.
    LowNative { have: Wei, mark: Wei },
    /// Operators contradict each other about a fact that frees something; nothing it concerns is acted upon.
    OperatorsDisagree {
        /// What it is about: `payment p-1`, `order p-1:1`.
        about: String,
        /// When the payment runs out, where that is known.
        deadline: Option<Timestamp>,
    },
    /// Too few operators say anything about a fact that frees something.
    AgreementMissing {
        /// What it is about: `payment p-1`, `order p-1:1`.
        about: String,
        /// When the payment runs out, where that is known.
        deadline: Option<Timestamp>,
    },
    /// Nothing could be read from the chain for longer than configured.
    ChainUnread {
        /// Since when (our clock).
        since: Timestamp,
        /// What happened last.
        detail: String,
    },
    /// An endpoint contradicts the configuration, the clock, or what is known of the chain. It is left out for a while.
    EndpointContradicts { endpoint: String, said: String },
    /// An endpoint's head stands still or lags while others move. It is asked last, and its word on finality does not count.
    EndpointStalled {
        endpoint: String,
        /// What it shows.
        said: String,
    },
    /// More counted as swept, or as final, than the chain has. It was taken back, and is read again.
    CoverageAboveHead {
        /// How many addresses it concerned.
        addresses: u64,
        /// The highest block that counted as swept or final.
        covered: BlockNumber,
        head: BlockNumber,
    },
    /// The automatic mode is on and has no limit of its own: it sends nothing.
    AutoUnlimited,
    /// Nothing listens where a setting says: the place is taken, not permitted or not there. It is tried again.
    NotListening {
        /// The setting: `http.listen`.
        setting: String,
        /// The place, and what the system says.
        said: String,
    },
    /// A record does not read. It is left as it is; what it belongs to stands still.
    RecordUnreadable {
        record: String,
        /// Why it does not read.
        why: String,
    },
    /// Something stands still although the nodes answer.
    Standstill {
        what: Stall,
        /// Since when (our clock).
        since: Timestamp,
        /// What is known of it.
        detail: String,
    },
    /// A payment's deposit address breaks the pattern of its recipient's payments so far. Nothing is held for it.
    AddressPattern {
        /// Whose payments.
        recipient: RecipientId,
        address: Address,
        broken: PatternBreak,
    },
    /// The store holds less than it had acknowledged when it was opened. The wallet is halted.
    StoreIncomplete {
        /// The number of the last event that it held.
        held: u64,
        /// The number of the last event that it had acknowledged; `None` when that was not known any more.
        acknowledged: Option<u64>,
    },
    /// The payment API is asked for something, again and again, and no answer that can be used has come for longer than configured.
    ApiUnanswered {
        /// Since when (our clock).
        since: Timestamp,
        /// For what: a payment's id, or `the list of user u-1`.
        about: String,
        /// What came last.
        detail: String,
    },
}

impl Alarm {
    /// Every [`Alarm::name`].
    pub const NAMES: &'static [&'static str] = <Self as VariantNames>::VARIANTS;

    /// One word for metrics, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}
