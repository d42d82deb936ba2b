//! What people and programs are shown of a payment with its orders, and of money that came back to the wallet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::deposit::{BlockStatus, Deposit, DepositKey};
use crate::domain::order::OrderId;
use crate::domain::payment::{PaymentId, RecipientId};
use crate::policy::returns::{Back, Whence};
use crate::view::explain::Names;
use crate::view::order::OrderView;
use crate::view::shapes;
use crate::view::{AmountView, DepositView, PaymentView};

/// The most payments or deposits that are named where several fit.
const MAX_NAMED: usize = 8;

/// A payment with what the wallet has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentDetail {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// Its orders, by turn; left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderView>,
    /// Whether its money came back, where the wallet funded it and the API has refunded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_back: Option<BackView>,
}

/// Which refunded payment money that came to the wallet comes back from, as far as the amounts say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhenceView {
    /// The payment, where only this one fits.
    #[schemars(with = "Option<shapes::Id>")]
    pub payment: Option<PaymentId>,
    /// Those that it may be of, where it is not certain (at most eight are named).
    #[schemars(with = "Vec<shapes::Id>")]
    pub may_be: Vec<PaymentId>,
    /// The same in words.
    pub text: String,
}

/// Whether a refunded payment's money came back to the wallet, as far as the amounts say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackView {
    /// The deposit that brought it, where only this one fits.
    #[schemars(with = "Option<shapes::DepositKey>")]
    pub deposit: Option<DepositKey>,
    /// Those that it may be, where it is not certain (at most eight are named).
    #[schemars(with = "Vec<shapes::DepositKey>")]
    pub may_be: Vec<DepositKey>,
    /// The same in words.
    pub text: String,
}

/// A refunded payment whose money is not known to be back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundedView {
    /// The payment.
    #[schemars(with = "shapes::Id")]
    pub payment: PaymentId,
    /// Whose it is.
    #[schemars(with = "shapes::Id")]
    pub recipient_id: RecipientId,
    /// The order that funded it.
    #[schemars(with = "shapes::OrderId")]
    pub order: OrderId,
    /// How much the wallet paid.
    pub amount: AmountView,
    /// What is known of its coming back.
    pub money_back: BackView,
}

/// Money that came to the wallet, and refunded payments whose money is not known to be back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnsView {
    /// The deposits to the wallet, by block and log index, each with where it comes back from.
    pub items: Vec<DepositView>,
    /// Where the next part begins (give it as `after`); `None`: this was the last.
    pub next: Option<String>,
    /// Payments that the wallet funded and the API has refunded, and whose money is not known to be back, by id. The same
    /// in every part of the list.
    pub open: Vec<RefundedView>,
    /// Whether there are more of these than are shown.
    pub more_open: bool,
}

fn listed<T: ToString>(all: &[T]) -> String {
    let mut names: Vec<String> = all.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(names.len());
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

impl WhenceView {
    pub(crate) fn new(whence: &Whence) -> Self {
        match whence {
            Whence::From(id) => Self {
                payment: Some(id.clone()),
                may_be: Vec::new(),
                text: format!("It comes back from payment {id}: that one was refunded, and nothing else fits."),
            },
            Whence::MayBe(ids) => {
                let which = listed(ids);
                let text = match ids.len() {
                    1 => {
                        format!("It may come back from payment {which}, which was refunded: other deposits fit it too.")
                    }
                    _ => format!("It may come back from one of the payments {which}, which were refunded."),
                };
                Self { payment: None, may_be: ids.iter().take(MAX_NAMED).cloned().collect(), text }
            }
            Whence::Nowhere => {
                let text = "No refunded payment that the wallet funded before has this amount.".to_owned();
                Self { payment: None, may_be: Vec::new(), text }
            }
        }
    }

    /// When there is more than is looked at.
    pub(crate) fn not_told() -> Self {
        let text = "There are too many orders to tell which payment it comes back from.".to_owned();
        Self { payment: None, may_be: Vec::new(), text }
    }
}

impl BackView {
    pub(crate) fn new(back: &Back, credits: &[Deposit], names: &Names<'_>) -> Self {
        match back {
            Back::By(key) => {
                let found = credits.iter().find(|deposit| deposit.key == *key);
                let how = found.map_or_else(String::new, |deposit| {
                    let open =
                        if matches!(deposit.standing, BlockStatus::Final { .. }) { "" } else { ", not final yet" };
                    let amount = names.amount(deposit.amount, deposit.token);
                    format!(": {amount} in block {}{open}", deposit.block_number)
                });
                let text = format!("Its money came back to the wallet by transaction {}{how}.", key.tx_hash);
                Self { deposit: Some(*key), may_be: Vec::new(), text }
            }
            Back::MayBe(keys) => {
                let hashes: Vec<String> = keys.iter().map(|key| key.tx_hash.to_string()).collect();
                let which = listed(&hashes);
                let text = match keys.len() {
                    1 => format!(
                        "Transaction {which} may have brought its money back; other refunded payments fit it too."
                    ),
                    _ => format!("One of these transactions may have brought its money back: {which}."),
                };
                Self { deposit: None, may_be: keys.iter().take(MAX_NAMED).copied().collect(), text }
            }
            Back::NotYet => {
                let text = "No deposit of this amount has come to the wallet since.".to_owned();
                Self { deposit: None, may_be: Vec::new(), text }
            }
        }
    }

    /// When there is more than is looked at.
    pub(crate) fn not_told() -> Self {
        let text = "There are too many orders to tell whether its money came back.".to_owned();
        Self { deposit: None, may_be: Vec::new(), text }
    }
}
