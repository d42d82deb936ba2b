//! The ledger against the chain: log by log, order by order, and the wallet's nonces and balance.

use std::collections::{BTreeMap, BTreeSet};

use super::super::numbering::as_known;
use super::{Books, ChainFacts, Difference, Kind, Said, Scope, WalletFacts, words};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockRef, Transfer};
use crate::domain::deposit::{BlockStatus, Deposit, Tally, Verdict};
use crate::domain::order::{AttemptKind, Effect, Order, OrderOutcome, OrderState};

/// What tells a log from every other.
type LogKey = (B256, B256, u64);

const fn log_key(transfer: &Transfer) -> LogKey {
    (transfer.block.hash, transfer.tx_hash, transfer.log_index)
}

/// Deposits that one side lacks, or has otherwise.
pub(super) fn deposits(books: &Books, facts: &ChainFacts) -> Vec<Difference> {
    let in_scope = |address, number| facts.read.get(address).is_some_and(|blocks| blocks.has(number));
    let mut incoming = facts.incoming.clone();
    as_known(&mut incoming, books.deposits.values());
    let logs: BTreeMap<LogKey, &Transfer> = incoming
        .iter()
        .filter(|transfer| in_scope(&transfer.to, transfer.block.number))
        .map(|transfer| (log_key(transfer), transfer))
        .collect();
    let known: BTreeMap<LogKey, &Deposit> = books
        .deposits
        .values()
        .map(|deposit| ((deposit.key.block_hash, deposit.key.tx_hash, deposit.key.log_index), deposit))
        .collect();
    let mut all = Vec::new();
    let mut counts = Counts::of(books);
    for (key, log) in &logs {
        let there = Said::Amount(log.amount, log.token);
        let about = |kind, here, there| Difference {
            tx_hash: Some(log.tx_hash.to_string()),
            address: Some(log.to),
            ..Difference::new(kind, here, there)
        };
        match known.get(key) {
            None if counts.takes(log) => {}
            None => all.push(about(Kind::DepositMissingHere, Said::Nothing, there)),
            Some(deposit) => {
                if let Some((here, there)) = content(deposit, log) {
                    let difference = about(Kind::DepositDiffers, here, there);
                    all.push(Difference { deposit: Some(deposit.key), ..difference });
                }
            }
        }
    }
    let missing = known.iter().filter(|(key, deposit)| {
        deposit.stands() && in_scope(&deposit.to, deposit.block_number) && !logs.contains_key(*key)
    });
    all.extend(missing.map(|(_, deposit)| Difference {
        deposit: Some(deposit.key),
        tx_hash: Some(deposit.key.tx_hash.to_string()),
        address: Some(deposit.to),
        payment: paid(deposit).cloned(),
        ..Difference::new(Kind::DepositNotOnChain, Said::Amount(deposit.amount, deposit.token), Said::Nothing)
    }));
    all.extend(counts.differences(facts));
    all
}

/// What the ledger has only counted, and what of it the chain has shown.
struct Counts<'a> {
    tallies: BTreeMap<(Address, Address), (&'a Deposit, &'a Tally)>,
    shown: BTreeMap<(Address, Address), (u64, Amount)>,
}

impl<'a> Counts<'a> {
    fn of(books: &'a Books) -> Self {
        let tally = |deposit: &'a Deposit| Some(((deposit.to, deposit.token), (deposit, deposit.tally.as_deref()?)));
        Self { tallies: books.deposits.values().filter_map(tally).collect(), shown: BTreeMap::new() }
    }

    /// Whether a log that is no deposit here is one of those that were counted.
    fn takes(&mut self, log: &Transfer) -> bool {
        let place = (log.to, log.token);
        let is_counted = self.tallies.get(&place).is_some_and(|(_, tally)| {
            let is_late = log.block.number <= tally.second_to && log.amount <= tally.most;
            tally.has(log.block.number, log.amount) || is_late
        });
        if is_counted {
            let (count, sum) = self.shown.entry(place).or_default();
            (*count, *sum) = (count.saturating_add(1), sum.checked_add(log.amount).unwrap_or(*sum));
        }
        is_counted
    }

    /// Where the chain shows more than was counted; or less, where all blocks were read that something was counted in.
    fn differences(&self, facts: &ChainFacts) -> Vec<Difference> {
        let found = self.tallies.iter().filter_map(|(place, (bearer, tally))| {
            let (count, sum) = self.shown.get(place).copied().unwrap_or_default();
            let read = facts.read.get(&place.0);
            let is_all =
                read.is_some_and(|read| read.from <= tally.from && tally.through <= read.to && tally.second_to == 0);
            let kind = if count > tally.count || sum > tally.sum {
                Kind::DepositMissingHere
            } else if is_all && (count, sum) != (tally.count, tally.sum) {
                Kind::DepositNotOnChain
            } else {
                return None;
            };
            let said =
                |count: u64, sum: Amount| words(format!("{count} counted, {} base units together", sum.base_units()));
            let difference = Difference::new(kind, said(tally.count, tally.sum), said(count, sum));
            Some(Difference { deposit: Some(bearer.key), address: Some(bearer.to), ..difference })
        });
        found.collect()
    }
}

/// The payment that a deposit pays.
const fn paid(deposit: &Deposit) -> Option<&crate::domain::payment::PaymentId> {
    match &deposit.verdict {
        Verdict::Pays { payment, .. } => Some(payment),
        Verdict::Unjudged | Verdict::Nothing { .. } | Verdict::Review { .. } | Verdict::Ignored { .. } => None,
    }
}

/// What the two sides say of one log, where that is not the same.
fn content(deposit: &Deposit, log: &Transfer) -> Option<(Said, Said)> {
    if (deposit.amount, deposit.token) != (log.amount, log.token) {
        return Some((Said::Amount(deposit.amount, deposit.token), Said::Amount(log.amount, log.token)));
    }
    if (deposit.from, deposit.to) != (log.from, log.to) {
        let said = |from, to| words(format!("from {from} to {to}"));
        return Some((said(deposit.from, deposit.to), said(log.from, log.to)));
    }
    if !deposit.stands() {
        return Some((words("gone with its block"), words("on the chain")));
    }
    (deposit.block_number != log.block.number)
        .then(|| (words(format!("in block {}", deposit.block_number)), words(format!("in block {}", log.block.number))))
}

/// Final deposits that pay nothing, and of which nobody has said that they need not.
pub(super) fn unassigned(books: &Books, scope: &Scope) -> Vec<Difference> {
    let open = |deposit: &&Deposit| {
        matches!(deposit.standing, BlockStatus::Final { .. })
            && matches!(deposit.verdict, Verdict::Review { .. } | Verdict::Unjudged)
            && scope.has(deposit.block_time)
    };
    let told = books.deposits.values().filter(open).map(|deposit| Difference {
        deposit: Some(deposit.key),
        tx_hash: Some(deposit.key.tx_hash.to_string()),
        address: Some(deposit.to),
        ..Difference::new(
            Kind::DepositWithoutPayment,
            words("pays no payment"),
            Said::Amount(deposit.amount, deposit.token),
        )
    });
    told.collect()
}

/// The transaction that an order counts as paid by, and its block.
const fn paid_by(order: &Order) -> Option<(B256, BlockRef)> {
    match &order.state {
        OrderState::Ended { outcome: OrderOutcome::Paid { tx_hash, block, .. }, .. }
        | OrderState::Mined { tx_hash, block, effect: Effect::Paid { .. }, .. } => Some((*tx_hash, *block)),
        OrderState::AwaitingApproval { .. }
        | OrderState::Ready
        | OrderState::Held { .. }
        | OrderState::Sending { .. }
        | OrderState::Cancelling { .. }
        | OrderState::Mined { .. }
        | OrderState::Ended { .. } => None,
    }
}

/// Money that left the wallet against what orders say.
pub(super) fn orders(books: &Books, facts: &ChainFacts) -> Vec<Difference> {
    let Some(wallet) = &facts.wallet else { return Vec::new() };
    let Some(read) = facts.read.get(&wallet.address) else { return Vec::new() };
    let mut signed: BTreeMap<B256, &Order> = BTreeMap::new();
    for order in books.orders.values() {
        let transfers = order.attempts.iter().filter(|attempt| attempt.kind == AttemptKind::Transfer);
        signed.extend(transfers.map(|attempt| (attempt.tx_hash, order)));
    }
    let left = |transfer: &&Transfer| {
        // Anyone can make a transfer of nothing in anyone's name, and one to itself moves nothing.
        read.has(transfer.block.number) && !transfer.amount.is_zero() && transfer.to != wallet.address
    };
    let outgoing: Vec<&Transfer> = wallet.outgoing.iter().filter(left).collect();
    let mut all = Vec::new();
    for transfer in &outgoing {
        let order = signed.get(&transfer.tx_hash);
        let explains =
            |order: &&Order| (order.to, order.amount, order.token) == (transfer.to, transfer.amount, transfer.token);
        if order.is_some_and(explains) {
            continue;
        }
        let here = order.map_or(Said::Nothing, |order| Said::Amount(order.amount, order.token));
        all.push(Difference {
            order: order.map(|order| order.id.clone()),
            payment: order.map(|order| order.id.payment.clone()),
            tx_hash: Some(transfer.tx_hash.to_string()),
            address: Some(transfer.to),
            ..Difference::new(Kind::OutflowUnexplained, here, Said::Amount(transfer.amount, transfer.token))
        });
    }
    let on_chain: BTreeSet<_> =
        outgoing.iter().map(|it| (it.block.hash, it.tx_hash, it.token, it.to, it.amount)).collect();
    for order in books.orders.values().filter(|order| order.wallet == wallet.address) {
        let Some((tx_hash, block)) = paid_by(order) else { continue };
        let ours = (block.hash, tx_hash, order.token, order.to, order.amount);
        if read.has(block.number) && !on_chain.contains(&ours) {
            all.push(Difference {
                order: Some(order.id.clone()),
                payment: Some(order.id.payment.clone()),
                tx_hash: Some(tx_hash.to_string()),
                address: Some(order.to),
                ..Difference::new(Kind::OrderNotOnChain, Said::Amount(order.amount, order.token), Said::Nothing)
            });
        }
    }
    all
}

/// The wallet's nonces and balance.
pub(super) fn wallet(books: &Books, facts: &ChainFacts, scope: &Scope) -> Vec<Difference> {
    let Some(on_chain) = &facts.wallet else { return Vec::new() };
    nonces(books, on_chain).into_iter().chain(balance(facts, on_chain, scope)).collect()
}

fn nonces(books: &Books, on_chain: &WalletFacts) -> Option<Difference> {
    let record = books.wallet.as_ref().filter(|record| record.address == on_chain.address)?;
    let mined = on_chain.mined?;
    let about = |kind, here: String, there: String| Difference {
        address: Some(record.address),
        ..Difference::new(kind, words(here), words(there))
    };
    if mined > record.next_nonce {
        let (here, there) = (format!("nonce {} is next", record.next_nonce), format!("nonce {mined} is next"));
        return Some(about(Kind::NonceAhead, here, there));
    }
    let held: BTreeSet<u64> = books.orders.values().filter_map(|order| order.state.nonce()).collect();
    // One is enough to tell: the nonces after it wait for it.
    let gap = (mined..record.next_nonce).find(|nonce| !held.contains(nonce))?;
    let here = format!("nonce {gap} was given out, and no open order holds it");
    Some(about(Kind::NonceGap, here, format!("nonce {mined} is next")))
}

fn balance(facts: &ChainFacts, on_chain: &WalletFacts, scope: &Scope) -> Option<Difference> {
    let read = facts.read.get(&on_chain.address)?;
    let (before, after) = on_chain.balances?;
    let sum = |transfers: &[Transfer], is_meant: &dyn Fn(&Transfer) -> bool| {
        let meant = transfers
            .iter()
            .filter(|transfer| transfer.token == scope.token && read.has(transfer.block.number) && is_meant(transfer));
        meant.map(|transfer| transfer.amount).try_fold(Amount::ZERO, Amount::checked_add)
    };
    let came = sum(&facts.incoming, &|transfer| transfer.to == on_chain.address)?;
    let went = sum(&on_chain.outgoing, &|_| true)?;
    let expected = before.checked_add(came)?.checked_sub(went);
    if expected == Some(after) {
        return None;
    }
    let here = expected.map_or_else(|| words("more went out than there was"), |sum| Said::Amount(sum, scope.token));
    let difference = Difference::new(Kind::BalanceDiffers, here, Said::Amount(after, scope.token));
    Some(Difference { address: Some(on_chain.address), ..difference })
}
