//! The rules of spending: limits, allow-lists, and what a person must approve.
//!
//! They are held against a payment when an order is placed, and against the order again before money leaves: whoever tightens
//! them must not see it sent all the same. What a person has typed is not the API's word: it satisfies no list, and what is
//! typed for many payments shares one limit. Deliberately absent: what counts towards the limits per day, and until when
//! (`window`), and who may approve (`approval`).

use std::collections::BTreeSet;

use thiserror::Error;

use super::window::Spending;
use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::hold::{Hold, Over};
use crate::domain::order::{ApprovalReason, Order, Placer};
use crate::domain::payment::{BankAccountId, Payment, Provenance, RecipientId};
use crate::domain::time::Span;
use crate::planted::{Bug, planted};

/// What the wallet may spend. Amounts are in base units of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendLimits {
    /// Whether the wallet funds anything at all.
    pub enabled: bool,
    /// Whether payments are funded without being asked.
    pub auto: bool,
    /// The most that the automatic mode may place in any 24 hours. Without it, it places nothing.
    pub auto_max_per_day: Option<Amount>,
    /// The most for one payment.
    pub max_per_payment: Amount,
    /// The most in any 24 hours.
    pub max_per_day: Amount,
    /// The most in any 24 hours to one recipient, and to all recipients together that a person has typed.
    pub max_per_recipient: Amount,
    /// Above this a person must approve.
    pub approval_above: Amount,
    /// Above this in any 24 hours, counted for each person who places orders, somebody must approve.
    pub approval_above_per_day: Amount,
    /// Whose payments are funded; empty for anybody's.
    pub allowed_recipients: BTreeSet<RecipientId>,
    /// Which bank accounts' payments are funded; empty for any, which the automatic mode takes for none.
    pub allowed_bank_accounts: BTreeSet<BankAccountId>,
    /// To which deposit addresses money is sent; empty for any.
    pub allowed_addresses: BTreeSet<Address>,
    /// The least time that must be left before the payment runs out.
    pub min_time_left: Span,
}

impl SpendLimits {
    /// Whether the automatic mode is on, and sends nothing for want of a limit of its own.
    #[must_use]
    pub const fn is_auto_unlimited(&self) -> bool {
        self.enabled && self.auto && self.auto_max_per_day.is_none()
    }
}

/// A rule that forbids an order. Amounts are in base units of the token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleBroken {
    /// The automatic mode is off.
    #[error("the automatic mode is switched off (funding.auto)")]
    AutoOff,
    /// The automatic mode has no limit.
    #[error("the automatic mode sends nothing while it has no limit of its own: set funding.auto_max_per_day")]
    AutoUnlimited,
    /// More than is left of a limit.
    #[error("{}", over_text(.limit, &.figures.map(|amount| amount.to_string())))]
    Over {
        limit: Limit,
        /// The payment's amount, what counts as spent, and the limit.
        figures: Figures,
    },
    /// The recipient is not on the list.
    #[error("recipient {recipient} is not among funding.allowed_recipients")]
    Recipient { recipient: RecipientId },
    /// A person typed the recipient, so it is not known whether it is one of the list.
    #[error(
        "recipient {recipient} was typed by a person, and the payment API does not confirm it: it counts as none of \
         funding.allowed_recipients"
    )]
    RecipientTyped {
        /// What was typed.
        recipient: RecipientId,
    },
    /// The bank account is not on the list, or not known.
    #[error("the payment's bank account ({account}) is not among funding.allowed_bank_accounts")]
    BankAccount {
        /// The account, or that it is not known.
        account: String,
    },
    /// The deposit address is not on the list.
    #[error("the deposit address {to} is not among funding.allowed_addresses")]
    Address { to: Address },
    /// The automatic mode must not touch it.
    #[error(
        "the automatic mode funds only payments that rampwatch created itself or whose bank account is among \
         funding.allowed_bank_accounts; this one's ({account}) is not"
    )]
    NotForAuto {
        /// The account, or that it is not known.
        account: String,
    },
}

/// The figures of a limit that is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures<T = Amount> {
    /// The payment's amount.
    pub amount: T,
    /// What counts as spent before it.
    pub spent: T,
    pub limit: T,
}

impl Figures {
    /// The same figures, written by `text`.
    #[must_use]
    pub fn map(&self, text: impl Fn(Amount) -> String) -> Figures<String> {
        Figures { amount: text(self.amount), spent: text(self.spent), limit: text(self.limit) }
    }
}

/// A limit on amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    Payment,
    /// In 24 hours.
    Day,
    /// In 24 hours, to the payment's recipient.
    Recipient(RecipientId),
    /// In 24 hours, to all recipients that a person has typed.
    TypedRecipients,
    /// In 24 hours, by the automatic mode.
    Auto,
}

impl Limit {
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Payment => "funding.max_per_payment",
            Self::Day => "funding.max_per_day",
            Self::Recipient(_) | Self::TypedRecipients => "funding.max_per_recipient",
            Self::Auto => "funding.auto_max_per_day",
        }
    }
}

/// A limit that is passed, as a sentence with its figures.
#[must_use]
pub fn over_text(limit: &Limit, figures: &Figures<String>) -> String {
    let Figures { amount, spent, limit: most } = figures;
    let setting = limit.setting();
    let covers = match limit {
        Limit::Payment => return format!("{amount} is more than the limit for one payment, {most} ({setting})"),
        Limit::Day => "24 hours".to_owned(),
        Limit::Recipient(recipient) => format!("recipient {recipient} in 24 hours"),
        Limit::TypedRecipients => "all recipients that a person has typed, in 24 hours".to_owned(),
        Limit::Auto => "the automatic mode in 24 hours".to_owned(),
    };
    format!("{amount} is more than is left of the limit for {covers}: {spent} of {most} are spent ({setting})")
}

impl RuleBroken {
    /// The same as what stands in the way of an order that was placed before.
    fn into_hold(self) -> Hold {
        let (rule, over) = match self {
            Self::AutoOff => ("funding.auto", None),
            Self::AutoUnlimited => ("funding.auto_max_per_day", None),
            Self::Over { limit, figures: Figures { amount, spent, limit: most } } => {
                let sum = spent.checked_add(amount).unwrap_or(Amount::from_base_units(u128::MAX));
                (limit.setting(), Some(Box::new(Over { sum, limit: most })))
            }
            Self::Recipient { .. } | Self::RecipientTyped { .. } => ("funding.allowed_recipients", None),
            Self::BankAccount { .. } | Self::NotForAuto { .. } => ("funding.allowed_bank_accounts", None),
            Self::Address { .. } => ("funding.allowed_addresses", None),
        };
        Hold::Policy { rule: rule.to_owned(), over }
    }
}

/// Whether whoever asks may place orders at all.
///
/// # Errors
/// [`RuleBroken::AutoOff`] and [`RuleBroken::AutoUnlimited`].
pub fn check_mode(by: Placer, limits: &SpendLimits) -> Result<(), RuleBroken> {
    match by {
        Placer::Person => Ok(()),
        Placer::Auto if !limits.auto => Err(RuleBroken::AutoOff),
        Placer::Auto if limits.auto_max_per_day.is_none() => Err(RuleBroken::AutoUnlimited),
        Placer::Auto => Ok(()),
    }
}

/// Whether the lists and limits allow an order of `by` for the payment, after what is spent.
///
/// # Errors
/// The first rule that forbids it.
pub fn check(payment: &Payment, by: Placer, spending: &Spending<'_>, limits: &SpendLimits) -> Result<(), RuleBroken> {
    check_lists(payment, by, limits)?;
    check_limits(payment, by, spending, limits)
}

fn check_lists(payment: &Payment, by: Placer, limits: &SpendLimits) -> Result<(), RuleBroken> {
    let (terms, recipient) = (&payment.terms, payment.recipient_id.clone());
    if !limits.allowed_recipients.is_empty() && !planted(Bug::TypedRecipientListed) {
        if !limits.allowed_recipients.contains(&recipient) {
            return Err(RuleBroken::Recipient { recipient });
        }
        if terms.is_recipient_typed() {
            return Err(RuleBroken::RecipientTyped { recipient });
        }
    }
    let to = terms.deposit_address;
    if !limits.allowed_addresses.is_empty() && !limits.allowed_addresses.contains(&to) {
        return Err(RuleBroken::Address { to });
    }
    let account = terms.bank_account.as_ref();
    let listed = account.is_some_and(|account| limits.allowed_bank_accounts.contains(account));
    let name = || account.map_or_else(|| "not known".to_owned(), ToString::to_string);
    if !limits.allowed_bank_accounts.is_empty() && !listed {
        return Err(RuleBroken::BankAccount { account: name() });
    }
    let created = terms.address_from == Provenance::Created && terms.amount_from == Provenance::Created;
    if by == Placer::Auto && !created && !listed {
        return Err(RuleBroken::NotForAuto { account: name() });
    }
    Ok(())
}

fn check_limits(
    payment: &Payment,
    by: Placer,
    spending: &Spending<'_>,
    limits: &SpendLimits,
) -> Result<(), RuleBroken> {
    let recipient = &payment.recipient_id;
    let recipients = match payment.terms.is_recipient_typed() {
        true => (Limit::TypedRecipients, spending.to_typed(), limits.max_per_recipient),
        false => (Limit::Recipient(recipient.clone()), spending.to(recipient), limits.max_per_recipient),
    };
    let by_auto = limits.auto_max_per_day.filter(|_| by == Placer::Auto);
    let all = [
        Some((Limit::Payment, Amount::ZERO, limits.max_per_payment)),
        Some((Limit::Day, spending.all(), limits.max_per_day)),
        Some(recipients),
        by_auto.map(|most| (Limit::Auto, spending.by_auto(), most)),
    ];
    let amount = payment.terms.amount;
    for (limit, spent, most) in all.into_iter().flatten() {
        // A sum that does not fit is more than any limit.
        let is_over = spent.checked_add(amount).is_none_or(|sum| sum > most);
        let is_ignored = limit != Limit::Payment && planted(Bug::LimitsIgnored);
        if is_over && !is_ignored {
            return Err(RuleBroken::Over { limit, figures: Figures { amount, spent, limit: most } });
        }
    }
    Ok(())
}

/// Why a person must approve an order that `placer` places, if one must. What was typed needs it whoever placed the order
/// (decision 10).
#[must_use]
pub fn approval(
    payment: &Payment,
    placer: Option<&Actor>,
    spending: &Spending<'_>,
    limits: &SpendLimits,
) -> Option<ApprovalReason> {
    if planted(Bug::ApprovalNotNeeded) {
        return None;
    }
    let terms = &payment.terms;
    if terms.address_from == Provenance::Typed {
        return Some(ApprovalReason::TypedAddress);
    }
    if terms.amount_from == Provenance::Typed {
        return Some(ApprovalReason::TypedAmount);
    }
    if terms.is_recipient_typed() {
        return Some(ApprovalReason::TypedRecipient);
    }
    if terms.expires_at.is_none() {
        return Some(ApprovalReason::ExpiryUnknown);
    }
    if terms.expiry_from == Some(Provenance::Typed) {
        return Some(ApprovalReason::TypedExpiry);
    }
    if terms.amount > limits.approval_above {
        return Some(ApprovalReason::AboveAmount { limit: limits.approval_above });
    }
    // Many small ones are one large one.
    let limit = limits.approval_above_per_day;
    let his = placer.map(|placer| spending.unapproved_by(placer).checked_add(terms.amount));
    let is_above = his.is_some_and(|sum| sum.is_none_or(|sum| sum > limit));
    (is_above && !planted(Bug::StructuringAllowed)).then_some(ApprovalReason::AbovePerDay { limit })
}

/// Whether the rules in force still allow an order that was placed before: they may have been tightened since. What is signed
/// is held against them too, as long as it can be withdrawn. `spending`: all that counts, with this order or without.
///
/// # Errors
/// [`Hold::Policy`], or [`Hold::ApprovalMissing`] where all that is missing is an approval.
pub fn still_allowed(
    order: &Order,
    payment: &Payment,
    spending: &Spending<'_>,
    limits: &SpendLimits,
) -> Result<(), Hold> {
    if planted(Bug::RulesNotAppliedAgain) {
        return Ok(());
    }
    let ahead: Vec<Order> = spending.orders.iter().filter(|other| goes_before(other, order)).cloned().collect();
    let spending = Spending { orders: &ahead, ..*spending };
    // What the automatic mode has signed may go out although it was switched off since.
    let mode = if order.state.nonce().is_none() { check_mode(order.placed_by, limits) } else { Ok(()) };
    let checked = mode.and_then(|()| check(payment, order.placed_by, &spending, limits));
    checked.map_err(RuleBroken::into_hold)?;
    if order.approved_by.is_some() {
        return Ok(());
    }
    match approval(payment, order.placed_by_name.as_ref(), &spending, limits) {
        Some(why) => Err(Hold::ApprovalMissing { why }),
        None => Ok(()),
    }
}

/// Whether what another order spends goes before this one, where a limit has become too low for both: what is over or signed
/// goes before what is not, and of the rest what was placed first.
fn goes_before(other: &Order, order: &Order) -> bool {
    let rank = |order: &Order| (order.state.nonce().unwrap_or(u64::MAX), order.placed_at, order.id.clone());
    other.id != order.id && (other.state.is_ended() || rank(other) < rank(order))
}
