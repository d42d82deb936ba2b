//! What a batch comes to: how many rows, how much, to where, from which purse, and what the limits say to it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::super::output::fields;
use super::super::draft::Field;
use super::super::show::{limits, whole};
use super::Item;
use super::known::Known;
use crate::config::Settings;
use crate::domain::amount::Amount;
use crate::view::order::WalletView;

/// So many rows, and so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    rows: usize,
    base_units: Amount,
}

impl Sum {
    fn add(&mut self, amount: Amount) {
        self.rows = self.rows.saturating_add(1);
        // A sum that does not fit is more than any limit; it is shown as the most there can be.
        self.base_units = self.base_units.checked_add(amount).unwrap_or(Amount::from_base_units(u128::MAX));
    }
}

/// What a batch comes to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Totals {
    /// The rows that are good.
    all: Sum,
    /// Those of them that were placed before.
    known: Sum,
    /// Those that are new, from the hot wallet.
    from_wallet: Sum,
    /// Those that are new, by hand.
    by_hand: Sum,
    /// By what is paid out.
    by_currency: BTreeMap<String, Sum>,
    /// Rows that are left out.
    bad: usize,
    /// New ones from the wallet above the limit for one payment.
    above_payment_limit: usize,
    /// New ones from the wallet that a person must approve.
    need_approval: usize,
    /// Recipients whose new ones from the wallet are above the limit for one recipient in a day.
    recipients_above_limit: usize,
    /// The wallet, where it was asked.
    pub(super) wallet: Option<WalletView>,
}

impl Totals {
    /// The totals of these rows.
    pub(super) fn of(items: &[Item], settings: &Settings) -> Self {
        let (mut totals, limits) = (Self::default(), &settings.funding.limits);
        let mut recipients: BTreeMap<&str, Sum> = BTreeMap::new();
        for item in items {
            let amount = item.draft.amount(settings.chain.token.decimals).filter(|_| item.is_good());
            let Some(amount) = amount else {
                totals.bad = totals.bad.saturating_add(1);
                continue;
            };
            totals.all.add(amount);
            let currency = item.draft.get(Field::DestinationCurrency).unwrap_or_default().to_owned();
            totals.by_currency.entry(currency).or_default().add(amount);
            match (item.known, item.draft.is_by_wallet()) {
                (Known::Yes, _) => totals.known.add(amount),
                (_, false) => totals.by_hand.add(amount),
                (_, true) => {
                    totals.from_wallet.add(amount);
                    recipients.entry(item.draft.get(Field::Recipient).unwrap_or_default()).or_default().add(amount);
                    if amount > limits.max_per_payment {
                        totals.above_payment_limit = totals.above_payment_limit.saturating_add(1);
                    } else if amount > limits.approval_above {
                        totals.need_approval = totals.need_approval.saturating_add(1);
                    }
                }
            }
        }
        totals.recipients_above_limit =
            recipients.values().filter(|sum| sum.base_units > limits.max_per_recipient).count();
        totals
    }

    /// Whether the wallet is to pay anything new.
    pub(super) const fn pays_from_wallet(&self) -> bool {
        self.from_wallet.rows > 0
    }

    /// Whether every row was placed before.
    pub(super) const fn is_known(&self) -> bool {
        self.known.rows == self.all.rows
    }

    /// The same for people.
    pub(super) fn lines(&self, settings: &Settings) -> String {
        let (token, funding) = (&settings.chain.token, &settings.funding.limits);
        let money = |amount: Amount| whole(amount, token.decimals, &token.symbol);
        let sum = |sum: &Sum| format!("{} rows, {}", sum.rows, money(sum.base_units));
        let some = |of: &Sum| (of.rows > 0).then(|| sum(of));
        let mut lines = vec![("in all", Some(sum(&self.all)))];
        for (currency, of) in &self.by_currency {
            lines.push(("", Some(format!("paid out in {currency}: {}", sum(of)))));
        }
        let bad = (self.bad > 0).then(|| format!("{} rows are left out", self.bad));
        lines.push(("bad", bad));
        lines.push(("known", some(&self.known).map(|known| format!("{known}: taken up where they are"))));
        lines.push(("from wallet", some(&self.from_wallet)));
        lines.push(("by hand", some(&self.by_hand)));
        let per_payment = money(funding.max_per_payment);
        let warned = [
            (
                self.above_payment_limit,
                format!("rows are above {per_payment} (funding.max_per_payment): not paid by the wallet"),
            ),
            (
                self.need_approval,
                format!(
                    "rows are above {} (funding.approval_above): each waits for an approval",
                    money(funding.approval_above)
                ),
            ),
            (
                self.recipients_above_limit,
                format!(
                    "recipients get more than {} (funding.max_per_recipient): the rest waits",
                    money(funding.max_per_recipient)
                ),
            ),
        ];
        for (count, words) in warned {
            lines.push(("limit", (count > 0).then(|| format!("{count} {words}"))));
        }
        let left = self.wallet.as_ref().map(|wallet| {
            wallet.limit.base_units.checked_sub(wallet.spent.base_units).unwrap_or(Amount::from_base_units(0))
        });
        let beyond = left.filter(|left| self.from_wallet.base_units > *left);
        lines.push((
            "limit",
            beyond.map(|left| format!("only {} is left of the limit for 24 hours: the rest waits", money(left))),
        ));
        let off = self.pays_from_wallet() && !funding.enabled;
        lines.push(("limit", off.then(|| "the wallet sends nothing: funding.enabled is false".to_owned())));
        let wallet = self.wallet.as_ref().map_or_else(String::new, limits);
        format!("{}{wallet}", fields(&lines))
    }
}
