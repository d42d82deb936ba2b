//! One wallet, one sender: what the nodes' counts say of who else uses the key.
//!
//! The nonce is ours and kept in the store; the nodes' counts never give one out. They only tell when something does
//! not fit, and then nothing is sent until a person has looked.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::domain::operator::{KnownEndpoint, Operator};
use crate::domain::order::Order;
use crate::domain::wallet::{HaltReason, NonceCount, Wallet};

/// What a wallet begins with that the store knows nothing of: the nonce that is next, and why it must not begin by
/// itself. Counts are of all endpoints that answered.
#[must_use]
pub fn begin(counts: &[NonceCount]) -> (u64, Option<HaltReason>) {
    let transactions = highest(counts);
    (transactions, (transactions > 0).then_some(HaltReason::UsedBefore { transactions }))
}

fn highest(counts: &[NonceCount]) -> u64 {
    counts.iter().map(|count| count.latest.max(count.pending)).max().unwrap_or(0)
}

/// Whether the nodes' counts fit what the store knows. `wallet` must have been read after the counts: its next nonce
/// only rises, and the nodes cannot know of a nonce before it is taken.
///
/// # Errors
/// Why nothing may be sent.
pub fn check(wallet: &Wallet, counts: &[NonceCount]) -> Result<(), HaltReason> {
    let (ours, theirs) = (wallet.next_nonce, highest(counts));
    if theirs > ours { Err(HaltReason::UsedElsewhere { ours, theirs }) } else { Ok(()) }
}

/// How the nodes' counts fit what the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// No operator knows of a nonce that was never given out here.
    Fits,
    /// Too few operators do: nothing is sent while they contradict each other, and nothing is halted on their word.
    Contradicted {
        /// Who does.
        operators: Vec<Operator>,
        /// The nonce that would be next by their count.
        theirs: u64,
    },
    /// As many operators as have to agree do: the wallet is halted.
    Halt(HaltReason),
}

/// The same by operator: a halt ends only when a person adopts the wallet, so one operator's word makes none where others
/// are to agree. `agreement`: how many must say so.
#[must_use]
pub fn fit(wallet: &Wallet, counts: &[(Operator, NonceCount)], agreement: usize) -> Fit {
    let ours = wallet.next_nonce;
    let above: Vec<&(Operator, NonceCount)> =
        counts.iter().filter(|(_, count)| count.latest.max(count.pending) > ours).collect();
    let operators: BTreeSet<Operator> = above.iter().map(|(operator, _)| operator.clone()).collect();
    let all: Vec<NonceCount> = above.iter().map(|(_, count)| *count).collect();
    match check(wallet, &all) {
        Ok(()) => Fit::Fits,
        Err(why) if operators.len() >= agreement.max(1) => Fit::Halt(why),
        Err(_) => Fit::Contradicted { operators: operators.into_iter().collect(), theirs: highest(&all) },
    }
}

/// Whether enough operators count a nonce as consumed that no transaction of ours is known to have consumed: a halt ends only
/// when a person adopts the wallet. `agreement`: how many must say so.
#[must_use]
pub fn is_taken(nonce: u64, counts: &[(Operator, NonceCount)], agreement: usize) -> bool {
    let taken = counts.iter().filter(|(_, count)| count.latest > nonce);
    taken.map(|(operator, _)| operator).collect::<BTreeSet<_>>().len() >= agreement.max(1)
}

/// The nodes count fewer transactions than are final by the store: they lag, or are on another chain, or on a wiped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "nonces below {ours} are consumed for good by this store, and the nodes say that {theirs} is next: they are behind, or \
     this is another chain, or a wiped one, which needs a store of its own"
)]
pub struct Behind {
    /// The lowest nonce here that is not known to be consumed.
    pub ours: u64,
    /// The nonce that would be next by the nodes' count.
    pub theirs: u64,
}

/// Whether a wallet of which the store knows that nonces are consumed for good is on the same chain as ever. Looked at
/// once after each start, when every endpoint has answered.
///
/// # Errors
/// [`Behind`]: nothing is sent until the nodes have caught up.
pub fn check_start(wallet: &Wallet, counts: &[NonceCount], open: &[Order]) -> Result<(), Behind> {
    let lowest = open.iter().filter_map(|order| order.state.nonce()).min();
    let ours = lowest.unwrap_or(wallet.next_nonce);
    let theirs = highest(counts);
    let all_behind = !counts.is_empty() && theirs < ours;
    if all_behind { Err(Behind { ours, theirs }) } else { Ok(()) }
}

/// Why a wallet cannot be adopted now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AdoptRefusal {
    #[error("the wallet is not halted: there is nothing to adopt")]
    NotHalted,
    /// The store is another wallet's.
    #[error("the store belongs to another wallet: give that one's key, or another store")]
    OtherWallet,
    /// An endpoint did not answer.
    #[error("endpoint {name:?} did not answer: {detail}; each must, so that none knows more than the others")]
    Silent { name: String, detail: String },
    /// The endpoints do not agree.
    #[error(
        "endpoint {name:?} counts {latest} mined and {pending} with the waiting ones, another {other_latest} and {other_pending}: try again when they agree"
    )]
    Disagree {
        name: String,
        /// How many are mined, by it.
        latest: u64,
        /// The same with those that wait.
        pending: u64,
        /// How many are mined, by the first endpoint.
        other_latest: u64,
        /// The same with those that wait.
        other_pending: u64,
    },
    /// One operator alone says that transactions were made which this store knows nothing of.
    #[error(
        "{operator} alone says that {next_nonce} is the wallet's next nonce, and one operator's word is not enough to go by: \
         look the wallet up elsewhere, such as in a block explorer, and give the next nonce yourself (--next-nonce)"
    )]
    OneWord {
        operator: Operator,
        /// What it comes to.
        next_nonce: u64,
    },
    /// The nonce that a person gave is held by an order.
    #[error(
        "nonce {given} cannot be the next one: order {order} holds nonce {nonce}, which is signed and may be mined"
    )]
    Held {
        /// The nonce that was given.
        given: u64,
        /// The nonce that is held.
        nonce: u64,
        order: String,
    },
    /// No endpoint says what the person says.
    #[error("no endpoint says that {given} is the wallet's next nonce: {said}")]
    NoWitness {
        /// The nonce that was given.
        given: u64,
        /// What each endpoint says.
        said: String,
    },
    /// Transactions that are not ours wait.
    #[error("nonce {nonce} waits in the nodes' pools, and is not of an order here: try again when it is mined")]
    Foreign { nonce: u64 },
    /// All endpoints count fewer transactions than this store has given nonces out for.
    #[error(
        "the next nonce here is {ours}, and the nodes say {theirs}: they are behind; try again when they have caught up"
    )]
    Lag {
        /// The nonce that is next here.
        ours: u64,
        /// The one that would be next by the nodes' count.
        theirs: u64,
    },
    /// Between what the nodes know and an order's nonce lies one that nobody holds: the order would wait for ever.
    #[error(
        "nonce {nonce} is no order's, and the nodes do not know it, but order {order} waits behind it: see that the nodes are on the right chain"
    )]
    Gap {
        /// The nonce that nobody holds.
        nonce: u64,
        order: String,
    },
    /// A transaction that is not ours has consumed an order's nonce, and too few operators say so of a final block.
    #[error(
        "nonce {nonce} of order {order} is said to be consumed by a transaction that is not ours, and that is not final yet: the \
         order is over once {needed} operator(s) say so of a final block, and none says otherwise. Try again in a while, or \
         exclude an endpoint that is wrong (rampwatch endpoints exclude)"
    )]
    NotFinal {
        nonce: u64,
        order: String,
        /// How many operators have to agree.
        needed: usize,
    },
    /// The wallet's own transfers show that the order's money left.
    #[error(
        "order {order} cannot be given up: {why}, and no endpoint has its receipt. Look that transaction up in a block explorer: \
         if it is there, the payment is paid, so wait for the receipt; if it is not, exclude the endpoint that shows it \
         (rampwatch endpoints exclude)"
    )]
    Moved {
        order: String,
        /// What they show.
        why: String,
    },
}

/// What adopting a wallet comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    pub next_nonce: u64,
    /// How many transactions are mined, as all endpoints say.
    pub latest: u64,
}

/// Whether the wallet can be adopted: every endpoint answers, all agree, and what waits is ours. Nonces that this store never
/// gave out are not believed on one operator's word: a count that is too high would have everything that is signed from then
/// on wait for ever, and stay good for ever. A person who gives the nonce is the other voice, and one endpoint that says the
/// same is enough; no person's slip is taken that no endpoint confirms.
///
/// # Errors
/// The first thing that is against it.
pub fn adopt(
    wallet: &Wallet,
    counts: &[(KnownEndpoint, Result<NonceCount, String>)],
    open: &[Order],
    given: Option<u64>,
) -> Result<Adoption, AdoptRefusal> {
    match wallet.halted.as_ref().map(|halt| &halt.why) {
        None => return Err(AdoptRefusal::NotHalted),
        Some(HaltReason::OtherWallet { .. }) => return Err(AdoptRefusal::OtherWallet),
        Some(
            HaltReason::UsedBefore { .. }
            | HaltReason::UsedElsewhere { .. }
            | HaltReason::NonceTaken { .. }
            | HaltReason::StoreIncomplete { .. },
        ) => {}
    }
    if let Some(given) = given {
        return witnessed(wallet, counts, open, given);
    }
    let adoption = judge(wallet, agreed(counts)?, open)?;
    let operators: BTreeSet<&Operator> = counts.iter().map(|(endpoint, _)| &endpoint.operator).collect();
    let is_news = !is_ours(wallet) || adoption.next_nonce > wallet.next_nonce;
    match operators.first() {
        Some(operator) if operators.len() == 1 && is_news => {
            Err(AdoptRefusal::OneWord { operator: (*operator).clone(), next_nonce: adoption.next_nonce })
        }
        _ => Ok(adoption),
    }
}

/// What a person's word comes to, which at least one endpoint must confirm.
fn witnessed(
    wallet: &Wallet,
    counts: &[(KnownEndpoint, Result<NonceCount, String>)],
    open: &[Order],
    given: u64,
) -> Result<Adoption, AdoptRefusal> {
    let held =
        open.iter().filter_map(|order| order.state.nonce().map(|nonce| (nonce, order))).max_by_key(|held| held.0);
    if let Some((nonce, order)) = held.filter(|(nonce, _)| *nonce >= given) {
        return Err(AdoptRefusal::Held { given, nonce, order: order.id.to_string() });
    }
    let mut said = Vec::new();
    for (KnownEndpoint { name, .. }, count) in counts {
        let judged = match count {
            Ok(count) => judge(wallet, *count, open).map_err(|refusal| refusal.to_string()),
            Err(detail) => Err(format!("it did not answer: {detail}")),
        };
        match judged {
            Ok(adoption) if adoption.next_nonce == given => return Ok(adoption),
            Ok(adoption) => said.push(format!("{name:?} says {}", adoption.next_nonce)),
            Err(why) => said.push(format!("{name:?}: {why}")),
        }
    }
    Err(AdoptRefusal::NoWitness { given, said: said.join("; ") })
}

/// What all endpoints count.
fn agreed(counts: &[(KnownEndpoint, Result<NonceCount, String>)]) -> Result<NonceCount, AdoptRefusal> {
    let mut agreed: Option<NonceCount> = None;
    for (KnownEndpoint { name, .. }, count) in counts {
        let count = match count {
            Ok(count) => *count,
            Err(detail) => return Err(AdoptRefusal::Silent { name: name.clone(), detail: detail.clone() }),
        };
        let first = *agreed.get_or_insert(count);
        if (first.latest, first.pending) != (count.latest, count.pending) {
            return Err(AdoptRefusal::Disagree {
                name: name.clone(),
                latest: count.latest,
                pending: count.pending,
                other_latest: first.latest,
                other_pending: first.pending,
            });
        }
    }
    agreed.ok_or_else(|| AdoptRefusal::Silent { name: "any".to_owned(), detail: "there is none".to_owned() })
}

/// What was given out here is consumed or held by an open order; only what was taken from the nodes at the beginning can be
/// gone again.
fn is_ours(wallet: &Wallet) -> bool {
    !matches!(wallet.halted.as_ref().map(|halt| &halt.why), Some(HaltReason::UsedBefore { .. }))
}

/// What a count comes to: what waits must be ours, and no order's nonce may lie beyond a gap.
fn judge(wallet: &Wallet, agreed: NonceCount, open: &[Order]) -> Result<Adoption, AdoptRefusal> {
    let ours: Vec<u64> = open.iter().filter_map(|order| order.state.nonce()).collect();
    if let Some(nonce) = (agreed.latest..agreed.pending).take(1_000).find(|nonce| !ours.contains(nonce)) {
        return Err(AdoptRefusal::Foreign { nonce });
    }
    // Orders hold at most a few nonces, and each one of them must be reached from what is known without a leap.
    let mut reached = agreed.pending;
    let mut waiting: Vec<(u64, &Order)> =
        open.iter().filter_map(|order| order.state.nonce().map(|nonce| (nonce, order))).collect();
    waiting.sort_by_key(|(nonce, _)| *nonce);
    for (nonce, order) in waiting {
        if nonce > reached {
            return Err(AdoptRefusal::Gap { nonce: reached, order: order.id.to_string() });
        }
        reached = reached.max(nonce.saturating_add(1));
    }
    // Nodes that count less than was given out only lag.
    if is_ours(wallet) && reached < wallet.next_nonce {
        return Err(AdoptRefusal::Lag { ours: wallet.next_nonce, theirs: reached });
    }
    Ok(Adoption { next_nonce: reached, latest: agreed.latest })
}
