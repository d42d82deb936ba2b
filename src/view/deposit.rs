//! Deposits, as they are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{AmountView, moment};
use super::explain::{self, Names};
use super::returns::WhenceView;
use super::shapes;
use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::deposit::{BlockStatus, Deposit, Tally, Verdict};

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

impl DepositView {
    pub(crate) fn of(deposit: &Deposit, names: &Names<'_>) -> Self {
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
            standing: StandingView { name: deposit.standing.name().to_owned(), final_at },
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
