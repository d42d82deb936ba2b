//! Evidence: what must be known, and from whom, before a fact is acted upon that frees something (decision 14).
//!
//! A fact that *binds* (a call is meant, a nonce is taken, spend is reserved, a deposit was seen) may rest on one word:
//! if it is false, something waits that need not. A fact that *frees* (a completion, a transfer that failed, a nonce that is
//! over, spend that is given back) must not: if it is false, money goes twice. So a freeing fact carries a [`Proof`], and
//! nobody but this file can make one. [`Freeing::needs`] is the table of what each takes.
//!
//! Deliberately absent: asking. The engine asks the operators and the wallet's own records, and brings what they say.

use std::collections::BTreeSet;
use strum::{IntoStaticStr, VariantArray};

use super::finality::{FinalityRule, final_number};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber, BlockRef, Transfer};
use crate::domain::operator::Operator;
use crate::domain::order::{Attempt, AttemptKind, Effect, Order};
use crate::domain::testimony::{Said, Statement, Testimony};
use crate::domain::text::short;
use crate::domain::time::Timestamp;
use crate::domain::wallet::Receipt;
use crate::planted::{Bug, planted};

/// A fact that frees something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum Freeing {
    /// A deposit stands and is final: `/complete` may be called with it.
    Completion,
    /// An order's transfer is final: the order is over.
    Paid,
    /// An order's transfer failed, for good: its nonce is over, and nothing moved.
    Reverted,
    /// An order's transfer succeeded without the token's log, for good: the order is over.
    #[strum(serialize = "moved nothing")]
    MovedNothing,
    /// An order's self-send is final: its transfer can never be mined, and its spend is given back.
    #[strum(serialize = "self-send final")]
    SelfSent,
    /// Somebody else's transaction has consumed an order's nonce, for good.
    #[strum(serialize = "nonce consumed by others")]
    Displaced,
}

/// What a freeing fact takes, besides being final by the configured rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// As many operators as `rpc.agreement` say the same, and none says otherwise.
    pub agreement: bool,
    /// The wallet's own records fit: its outgoing transfers, and its balance before and after the block.
    pub records: bool,
    /// A person decides what follows, with the evidence shown.
    pub person: bool,
}

impl Freeing {
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The table. The documentation shows it, and a test compares the two.
    #[must_use]
    pub const fn needs(self) -> Needs {
        let (agreement, records, person) = match self {
            Self::Completion | Self::Paid => (true, false, false),
            Self::SelfSent | Self::MovedNothing => (true, true, false),
            Self::Reverted | Self::Displaced => (true, true, true),
        };
        Needs { agreement, records, person }
    }

    /// Its name in the documentation and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    /// What a final receipt with this effect frees.
    #[must_use]
    pub const fn of_effect(effect: Effect) -> Self {
        match effect {
            Effect::Paid { .. } => Self::Paid,
            Effect::Reverted => Self::Reverted,
            Effect::MovedNothing => Self::MovedNothing,
            Effect::SelfSent => Self::SelfSent,
        }
    }
}

/// That a freeing fact has what [`Freeing::needs`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    fact: Freeing,
    operators: Vec<Operator>,
}

impl Proof {
    /// What it proves.
    #[must_use]
    pub const fn fact(&self) -> Freeing {
        self.fact
    }

    /// Whose word it rests on.
    #[must_use]
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }
}

/// What a receipt says that one of the order's attempts did.
#[must_use]
pub fn effect(order: &Order, attempt: &Attempt, receipt: &Receipt) -> Effect {
    if attempt.kind == AttemptKind::SelfSend {
        return Effect::SelfSent;
    }
    if !receipt.succeeded {
        return Effect::Reverted;
    }
    let ours = receipt.transfers.iter().find(|transfer| {
        (transfer.token, transfer.from, transfer.to, transfer.amount)
            == (order.token, order.wallet, order.to, order.amount)
    });
    ours.map_or(Effect::MovedNothing, |transfer| Effect::Paid { log_index: transfer.log_index })
}

/// What is claimed of a transaction, and held against what operators say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub tx_hash: B256,
    /// The block that holds it.
    pub block: BlockRef,
    /// The transfer that it makes, or would make.
    pub transfer: Movement,
    pub did: Did,
    /// When its block was made, as it was heard, where that matters. A node that tells of it must say the same.
    pub made_at: Option<Timestamp>,
}

/// A transfer of a token, without its place on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The token's contract.
    pub token: Address,
    /// Whose balance went down.
    pub from: Address,
    /// Whose balance went up.
    pub to: Address,
    /// How much, in base units.
    pub amount: Amount,
}

/// What a transaction did, by its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It made the transfer: the token's own log says so.
    Transfer,
    Fail,
    /// It succeeded, and there is no such log.
    Nothing,
    /// It is the wallet's self-send, and is in the block.
    SelfSend,
}

impl Claim {
    /// What is claimed of one of an order's transactions.
    #[must_use]
    pub const fn of_order(order: &Order, tx_hash: B256, block: BlockRef, effect: Effect) -> Self {
        let transfer = Movement { token: order.token, from: order.wallet, to: order.to, amount: order.amount };
        let did = match effect {
            Effect::Paid { .. } => Did::Transfer,
            Effect::Reverted => Did::Fail,
            Effect::MovedNothing => Did::Nothing,
            Effect::SelfSent => Did::SelfSend,
        };
        Self { tx_hash, block, transfer, did, made_at: None }
    }

    /// Whether a receipt gives its block another time. Most nodes tell a log's time, and not all.
    fn differs_in_time(&self, receipt: &Receipt) -> bool {
        // Some nodes write zero where they know none.
        let is_told = |time: &Timestamp| *time != Timestamp::EPOCH;
        let mut told = receipt.transfers.iter().filter_map(|transfer| transfer.block_time).filter(is_told);
        self.made_at.is_some_and(|made_at| told.any(|time| time != made_at))
    }

    /// What a receipt says that the transaction did. Where in the block the log stands is no matter: nodes number logs
    /// differently.
    fn did(&self, receipt: &Receipt) -> Did {
        let is_ours = |found: &Transfer| {
            let found = Movement { token: found.token, from: found.from, to: found.to, amount: found.amount };
            found == self.transfer
        };
        match self.did {
            Did::SelfSend => Did::SelfSend,
            Did::Transfer | Did::Fail | Did::Nothing if !receipt.succeeded => Did::Fail,
            Did::Transfer | Did::Fail | Did::Nothing if receipt.transfers.iter().any(is_ours) => Did::Transfer,
            Did::Transfer | Did::Fail | Did::Nothing => Did::Nothing,
        }
    }
}

/// What one statement says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stance {
    /// The same, in a block that is final there.
    Supports,
    /// Nothing yet: no receipt, or not final there.
    Silent(&'static str),
    /// Something else.
    Contradicts,
}

fn stance(claim: &Claim, statement: &Statement, rule: FinalityRule) -> Stance {
    let Some(receipt) = &statement.receipt else { return Stance::Silent("has no receipt of it") };
    let final_to = final_number(rule, &statement.head, statement.finalized.as_ref());
    let is_final = final_to.is_some_and(|number| receipt.block.number <= number);
    if receipt.block != claim.block {
        // Until it is final there, another block may be a fork that this node is about to leave.
        return if is_final { Stance::Contradicts } else { Stance::Silent("has it in another block, not final there") };
    }
    if claim.did(receipt) != claim.did || claim.differs_in_time(receipt) {
        return Stance::Contradicts;
    }
    if is_final || planted(Bug::FinalByOne) || planted(Bug::MinedIsPaid) {
        Stance::Supports
    } else {
        Stance::Silent("does not call its block final yet")
    }
}

/// That enough operators say the same, and none says otherwise. Only [`judge`] and [`consumed`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    operators: Vec<Operator>,
}

/// What operators' statements come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Enough of them say the same.
    Reached(Agreed),
    /// Too few say anything: ask again.
    Missing {
        /// How many operators more must say the same.
        more: usize,
        /// Who says nothing, and why.
        silent: Vec<String>,
    },
    /// Somebody says otherwise. However many say the same, nothing is acted upon.
    Disputed(Vec<Said>),
}

/// Holds what was said against a claim. `said_by`: the operator whose node showed the transaction and called its block
/// final, where one did both; its word counts. `needed`: how many operators must say the same, at least one.
#[must_use]
pub fn judge(
    claim: &Claim,
    said_by: Option<&Operator>,
    testimonies: &[Testimony],
    rule: FinalityRule,
    needed: usize,
) -> Agreement {
    let mut operators: BTreeSet<Operator> = said_by.into_iter().cloned().collect();
    let (mut silent, mut against) = (Vec::new(), false);
    for testimony in testimonies {
        match testimony.statement.as_ref().map(|statement| stance(claim, statement, rule)) {
            Ok(Stance::Supports) => {
                operators.insert(testimony.operator.clone());
            }
            Ok(Stance::Silent(why)) => silent.push(format!("{:?} {why}", testimony.endpoint)),
            Ok(Stance::Contradicts) => {
                against = true;
                silent.push(format!("{:?} says otherwise", testimony.endpoint));
            }
            Err(why) => silent.push(format!("{:?}: {why}", testimony.endpoint)),
        }
    }
    // What nobody vouches for is no dispute: it has been overtaken, and is read again.
    if against && !operators.is_empty() {
        return Agreement::Disputed(said(claim, said_by, testimonies));
    }
    let needed = if planted(Bug::AgreementSkipped) { 1 } else { needed.max(1) };
    match needed.checked_sub(operators.len()) {
        None | Some(0) => Agreement::Reached(Agreed { operators: operators.into_iter().collect() }),
        Some(more) => Agreement::Missing { more, silent },
    }
}

/// That somebody else's transaction has consumed a nonce for good. `counts`: how many of the wallet's transactions each
/// endpoint that answers counts in a block that enough operators call final. `None` where too few operators count this nonce
/// among them, or one does not.
#[must_use]
pub fn consumed(nonce: u64, counts: &[(Operator, u64)], needed: usize) -> Option<Agreed> {
    let operators: BTreeSet<&Operator> = counts.iter().map(|(operator, _)| operator).collect();
    let all_say_so = counts.iter().all(|(_, count)| *count > nonce);
    let agreed = || Agreed { operators: operators.iter().copied().cloned().collect() };
    (all_say_so && operators.len() >= needed.max(1)).then(agreed)
}

/// What everybody says, word for word, ours first.
fn said(claim: &Claim, said_by: Option<&Operator>, testimonies: &[Testimony]) -> Vec<Said> {
    let Movement { token, from, to, amount } = claim.transfer;
    let did = match claim.did {
        Did::Transfer => format!("moved {amount} base units of {token} from {from} to {to}"),
        Did::Fail => "failed".to_owned(),
        Did::Nothing => "succeeded and moved nothing".to_owned(),
        Did::SelfSend => "is the wallet's self-send".to_owned(),
    };
    let ours = short(&format!("{} in block {} {}: {did}", claim.tx_hash, claim.block.number, claim.block.hash));
    let ours = Said {
        operator: said_by.cloned().unwrap_or_else(|| Operator::named("as read before")),
        endpoint: String::new(),
        words: ours,
    };
    let others = testimonies.iter().map(|testimony| Said {
        operator: testimony.operator.clone(),
        endpoint: testimony.endpoint.clone(),
        words: short(&match &testimony.statement {
            Ok(statement) => words_of(statement),
            Err(why) => format!("no answer: {why}"),
        }),
    });
    std::iter::once(ours).chain(others).collect()
}

fn words_of(statement: &Statement) -> String {
    let finalized = statement.finalized.map_or_else(|| "none".to_owned(), |it| it.block.number.to_string());
    let at = format!("head {}, finalized {finalized}", statement.head.block.number);
    let Some(receipt) = &statement.receipt else { return format!("no receipt; {at}") };
    let status = if receipt.succeeded { "succeeded" } else { "failed" };
    let moved: Vec<String> = receipt
        .transfers
        .iter()
        .take(3)
        .map(|it| format!("{} of {} from {} to {}", it.amount, it.token, it.from, it.to))
        .collect();
    let moved = if moved.is_empty() { "moved nothing".to_owned() } else { format!("moved {}", moved.join(" and ")) };
    format!("{status} in block {} {}; {at}; {moved}", receipt.block.number, receipt.block.hash)
}

/// The most blocks in which the transfers of an order are looked for, below the one that is asked about.
pub const MOST_BLOCKS_BACK: BlockNumber = 50_000;

/// What the wallet's own records say of the blocks in which an order's transactions could have been mined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalletRecords {
    /// The transfers of the order's token that left the wallet in those blocks: all of them.
    pub sent: Vec<Transfer>,
    /// The wallet's balance before and after the block of the receipt, in base units, where a node still has both.
    pub balances: Option<(Amount, Amount)>,
}

/// That the wallet's records do not show that an order's money moved. Only [`nothing_left`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsFit(());

/// Whether the wallet's records fit that none of the order's transactions moved its money, in this block or before.
///
/// # Errors
/// What they show instead, in words.
pub fn nothing_left(order: &Order, block: BlockRef, records: &WalletRecords) -> Result<RecordsFit, String> {
    let is_ours = |sent: &&Transfer| order.attempt(sent.tx_hash).is_some() && sent.token == order.token;
    if let Some(sent) = records.sent.iter().find(is_ours) {
        return Err(format!(
            "the wallet's own transfers show that {} sent {} to {} in block {}",
            sent.tx_hash, sent.amount, sent.to, sent.block.number
        ));
    }
    let Some((before, after)) = records.balances else { return Ok(RecordsFit(())) };
    let mut explained =
        records.sent.iter().filter(|sent| sent.block.number == block.number && sent.token == order.token);
    let explained = explained.try_fold(Amount::ZERO, |sum, sent| sum.checked_add(sent.amount));
    let missing = before.checked_sub(after).unwrap_or(Amount::ZERO);
    match explained {
        Some(explained) if missing > explained => Err(format!(
            "the wallet's balance fell from {before} to {after} in block {}, and its transfers explain {explained}",
            block.number
        )),
        Some(_) | None => Ok(RecordsFit(())),
    }
}

/// A proof of the fact, if what is known suffices. `records`: that they fit, where the fact needs it. Where it needs a person
/// too, he decides what follows: an order that failed waits for his approval, and a nonce is given up only when he adopts the
/// wallet.
#[must_use]
pub fn prove(fact: Freeing, agreed: &Agreed, records: Option<&RecordsFit>) -> Option<Proof> {
    (!fact.needs().records || records.is_some()).then(|| Proof { fact, operators: agreed.operators.clone() })
}
