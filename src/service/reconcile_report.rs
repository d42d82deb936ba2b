//! What a reconciliation found, put into words and totals.

use std::collections::BTreeSet;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::order::{OrderOutcome, OrderState};
use crate::domain::time::Timestamp;
use crate::policy::reconcile::{ApiFacts, Blocks, Books, ChainFacts, Difference, Said, WalletFacts};
use crate::service::export::Interval;
use crate::view::explain::Names;
use crate::view::reconcile::{BlocksView, DifferenceView, ReconcileView, TotalView, WalletTotals};
use crate::view::{AmountView, moment};

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    let most = Amount::from_base_units(u128::MAX);
    amounts.fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(most))
}

/// Everything that goes into a report.
pub(crate) struct Findings<'a> {
    pub(crate) books: &'a Books,
    pub(crate) chain: &'a ChainFacts,
    pub(crate) api: Option<&'a ApiFacts>,
    pub(crate) interval: &'a Interval,
    pub(crate) now: Timestamp,
    pub(crate) differences: &'a [Difference],
}

pub(crate) fn report(names: &Names<'_>, found: &Findings<'_>, not_compared: Vec<String>) -> ReconcileView {
    let Findings { books, chain, api, interval, now, differences } = *found;
    let first = chain.read.values().map(|blocks| blocks.from).min();
    let last = chain.read.values().map(|blocks| blocks.to).max();
    let blocks = first.zip(last).map(|(from, to)| BlocksView::from(Blocks { from, to }));
    let wallet = chain.wallet.as_ref().map(|wallet| wallet_totals(books, chain, wallet, names));
    let there = api.map_or(0, |facts| books.payments.keys().filter(|id| facts.listed.contains_key(*id)).count());
    ReconcileView {
        at: moment(now),
        from: (interval.from > Timestamp::EPOCH).then(|| moment(interval.from)),
        to: (interval.to < Timestamp::FAR_FUTURE).then(|| moment(interval.to)),
        blocks,
        addresses: chain.read.len(),
        deposits: deposit_totals(books, chain, names),
        wallet,
        payments_here: books.payments.len(),
        payments_there: there,
        differences: differences.iter().map(|difference| view(difference, names)).collect(),
        not_compared,
    }
}

fn view(difference: &Difference, names: &Names<'_>) -> DifferenceView {
    let told = |said: &Said| match said {
        Said::Nothing => "nothing".to_owned(),
        Said::Amount(amount, token) => names.amount(*amount, *token).to_string(),
        Said::Words(words) => words.clone(),
    };
    DifferenceView {
        name: difference.kind.name().to_owned(),
        payment: difference.payment.clone(),
        order: difference.order.clone(),
        deposit: difference.deposit,
        tx_hash: difference.tx_hash.clone(),
        address: difference.address.map(|address| address.to_string()),
        ledger: told(&difference.here),
        outside: told(&difference.there),
        meaning: difference.kind.meaning().to_owned(),
        remedy: difference.kind.remedy().to_owned(),
    }
}

/// What came to the deposit addresses, for each token that did.
fn deposit_totals(books: &Books, chain: &ChainFacts, names: &Names<'_>) -> Vec<TotalView> {
    let wallet = chain.wallet.as_ref().map(|wallet| wallet.address);
    let is_read =
        |to: Address, number| Some(to) != wallet && chain.read.get(&to).is_some_and(|blocks| blocks.has(number));
    let here =
        || books.deposits.values().filter(|deposit| deposit.stands() && is_read(deposit.to, deposit.block_number));
    let there = || chain.incoming.iter().filter(|transfer| is_read(transfer.to, transfer.block.number));
    let tokens: BTreeSet<Address> =
        here().map(|deposit| deposit.token).chain(there().map(|transfer| transfer.token)).collect();
    let total = |token: Address| TotalView {
        ledger: names.amount(sum(here().filter(|it| it.token == token).map(|it| it.amount)), token),
        chain: names.amount(sum(there().filter(|it| it.token == token).map(|it| it.amount)), token),
    };
    tokens.into_iter().map(total).collect()
}

/// What came to the wallet and left it, of the paying token.
fn wallet_totals(books: &Books, chain: &ChainFacts, wallet: &WalletFacts, names: &Names<'_>) -> WalletTotals {
    let (address, token) = (wallet.address, names.paying);
    let is_read = |number| chain.read.get(&address).is_some_and(|blocks| blocks.has(number));
    let came_here = books.deposits.values().filter(|deposit| {
        (deposit.to, deposit.token) == (address, token) && deposit.stands() && is_read(deposit.block_number)
    });
    let came_there = chain
        .incoming
        .iter()
        .filter(|transfer| (transfer.to, transfer.token) == (address, token) && is_read(transfer.block.number));
    let went_here = books.orders.values().filter(|order| match &order.state {
        OrderState::Ended { outcome: OrderOutcome::Paid { block, .. }, .. } => {
            order.token == token && is_read(block.number)
        }
        _ => false,
    });
    let went_there =
        wallet.outgoing.iter().filter(|transfer| transfer.token == token && is_read(transfer.block.number));
    let paid = |amount: Amount| -> AmountView { names.paid(amount) };
    WalletTotals {
        address: address.to_string(),
        came: TotalView {
            ledger: paid(sum(came_here.map(|deposit| deposit.amount))),
            chain: paid(sum(came_there.map(|transfer| transfer.amount))),
        },
        went: TotalView {
            ledger: paid(sum(went_here.map(|order| order.amount))),
            chain: paid(sum(went_there.map(|transfer| transfer.amount))),
        },
        before: wallet.balances.map(|(before, _)| paid(before)),
        after: wallet.balances.map(|(_, after)| paid(after)),
        next_nonce: books.wallet.as_ref().map(|record| record.next_nonce),
        mined: wallet.mined,
    }
}
