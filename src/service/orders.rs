//! What operators may ask about funding: place, approve, reject, cancel; pause and resume the wallet. Adopting it is in `adopt`.
//!
//! Nothing here signs or sends: it changes what the store says, and the one sender acts on that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::odd::explained;
use crate::domain::order::{Order, OrderId, Placer};
use crate::domain::wallet::Wallet;
use crate::engine::order_repository::{Considered, OrderError, OrderRepository};
use crate::engine::put_aside::unreadable;
use crate::policy::fees::worst_cost;
use crate::policy::order_machine::OrderFact;
use crate::policy::resolve::given_reason;
use crate::policy::spend::Spending;
use crate::ports::store::StoreError;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::MAX_PAGE;
use crate::service::requests::{parse_address, parse_payment};
use crate::view::Page;
use crate::view::explain_orders::{approval_text, refusal_text};
use crate::view::order::{FundView, OrderView, Stop, WalletView};
use crate::view::shapes;

/// The names of the states, for filters.
pub const ORDER_STATES: [&str; 7] = ["awaiting-approval", "ready", "held", "sending", "cancelling", "mined", "ended"];

/// The most orders that one question looks at.
const MAX_SCAN: usize = 10_000;

/// How many orders are read at once.
const CHUNK: usize = 500;

/// A wish to fund a payment. What was shown to the person who agreed is said again, so that nothing else is funded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FundRequest {
    /// The payment.
    #[schemars(with = "shapes::Id")]
    pub payment: String,
    /// Where the money goes, as it was shown.
    #[schemars(with = "shapes::Address")]
    pub to: String,
    /// How much, in base units, as it was shown.
    #[schemars(with = "shapes::BaseUnits")]
    pub base_units: Amount,
}

/// An approval. What was shown to the person who agreed is said again, so that nothing else is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// Why: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// The payment, as it was shown. Refused when the order is another payment's.
    #[schemars(with = "shapes::Id")]
    pub payment: String,
    /// Where the money goes, as it was shown. Refused when the order pays to another address.
    #[schemars(with = "shapes::Address")]
    pub to: String,
    /// How much, in base units, as it was shown. Refused when the order pays another amount.
    #[schemars(with = "shapes::BaseUnits")]
    pub base_units: Amount,
}

impl ApproveRequest {
    /// An approval of this order as it was shown here.
    #[must_use]
    pub fn of(shown: &OrderView, reason: &str) -> Self {
        let (payment, to) = (shown.payment.to_string(), shown.to.to_string());
        Self { reason: reason.to_owned(), payment, to, base_units: shown.amount.base_units }
    }
}

/// A person's word about an order or the wallet, with the reason that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub(crate) fn refused(error: OrderError) -> OperatorError {
    match error {
        OrderError::Store(error) => OperatorError::Store(error),
        OrderError::NoPayment(id) => OperatorError::NotFound(format!("payment {id}")),
        OrderError::NoOrder(id) => OperatorError::NotFound(format!("order {id}")),
        error @ (OrderError::NoWallet
        | OrderError::Spend(_)
        | OrderError::Unexpected(_)
        | OrderError::ApprovalOver { .. }) => OperatorError::Refused(error.to_string()),
        OrderError::OwnOrder(error) => OperatorError::OwnOrder(error.to_string()),
    }
}

pub(crate) fn parse_order(text: &str) -> Result<OrderId, OperatorError> {
    text.parse().map_err(|error: crate::domain::order::OrderIdError| OperatorError::Invalid {
        field: "order",
        problem: error.to_string(),
    })
}

pub(crate) fn given(reason: &str) -> Result<&str, OperatorError> {
    given_reason(reason).map_err(|error| OperatorError::Invalid { field: "reason", problem: error.to_string() })
}

impl OperatorService {
    pub(crate) fn order_repository(&self) -> Result<OrderRepository, OperatorError> {
        let rules = self.settings.funding.clone().ok_or_else(|| {
            OperatorError::Refused("there is no wallet: give the section [wallet] in the configuration".to_owned())
        })?;
        let actor = Some(self.actor.clone());
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let (health, skew) = (self.health.clone(), self.settings.matching.skew);
        Ok(OrderRepository { store, clock, rules, health, skew, actor })
    }

    /// What funding a payment would mean: where, how much, the most that it may cost, what is left of each limit.
    ///
    /// # Errors
    /// When the payment is not known, there is no wallet, or the spend policy refuses; the message has the figures.
    pub async fn preview_fund(&self, payment: &str) -> Result<FundView, OperatorError> {
        let book = self.order_repository()?;
        let considered = book.consider(&parse_payment(payment)?, Placer::Person, None).await;
        let Considered { granted, order, wallet } = considered.map_err(|error| self.spend_refused(error))?;
        let (names, fees) = (self.names(), book.rules.preflight.fees);
        let ceiling = crate::domain::order::Fees { cap: fees.ceiling, tip: fees.tip_floor };
        let paid = |amount: Amount| names.amount(amount, order.token);
        let waits = match (&wallet.halted, &wallet.paused) {
            (Some(halt), _) => Some(format!("the wallet is halted: {}", halt.why)),
            (None, Some(pause)) => Some(format!("the wallet is paused: {}", pause.reason)),
            (None, None) => None,
        };
        Ok(FundView {
            payment: order.id.payment.clone(),
            recipient_id: order.recipient_id.clone(),
            wallet: order.wallet,
            to: order.to,
            amount: paid(order.amount),
            most_fee: worst_cost(&ceiling, fees.gas_limit_max).to_native(),
            fee_ceiling_gwei: fees.ceiling.to_gwei(),
            left_per_payment: paid(granted.left.per_payment),
            left_per_day: paid(granted.left.per_day),
            left_per_recipient: paid(granted.left.per_recipient),
            approval: granted.approval,
            approval_text: granted.approval.map(|why| approval_text(why, &names)),
            waits,
        })
    }

    /// A refusal of the spend policy speaks of base units; people are shown whole units too.
    fn spend_refused(&self, error: OrderError) -> OperatorError {
        let OrderError::Spend(refusal) = error else { return refused(error) };
        OperatorError::Refused(refusal_text(&refusal, &self.names()))
    }

    /// Places an order to fund a payment, exactly as it was shown. However many ask at once, one order is placed.
    ///
    /// # Errors
    /// As [`OperatorService::preview_fund`], and when the payment is not as it was shown.
    pub async fn fund(&self, request: &FundRequest) -> Result<OrderView, OperatorError> {
        let to: Address = parse_address("to", &request.to)?;
        let id = parse_payment(&request.payment)?;
        let placed = self.order_repository()?.place(&id, Placer::Person, Some((to, request.base_units))).await;
        let order = placed.map_err(|error| self.spend_refused(error))?;
        self.order_view(&order).await
    }

    async fn order_view(&self, order: &Order) -> Result<OrderView, OperatorError> {
        Ok(OrderView::new(order, &self.names()).with_stop(self.stop().await?.as_ref()))
    }

    /// What keeps the wallet from funding at all, if anything does: an order that waits for it says so.
    pub(crate) async fn stop(&self) -> Result<Option<Stop>, OperatorError> {
        let (wallet, unread) = match self.store.wallet().await {
            Err(StoreError::Corrupt(what)) => (None, Some(unreadable(&what))),
            wallet => (wallet?, None),
        };
        let halted =
            wallet.as_ref().and_then(|wallet| wallet.halted.as_ref()).map(|halt| halt.why.to_string()).or(unread);
        let paused = wallet.as_ref().and_then(|wallet| wallet.paused.as_ref());
        let is_off = self.settings.funding.as_ref().is_some_and(|rules| !rules.limits.enabled);
        let stop = |name, text, stops_sending| Some(Stop { name, text, stops_sending });
        Ok(match (halted.or_else(|| self.health().snapshot().wallet_halted), paused) {
            (Some(why), _) => stop("wallet-halted", format!("the wallet is halted: {why}"), true),
            (None, Some(pause)) => stop("wallet-paused", format!("the wallet is paused: {}", pause.reason), true),
            (None, None) if !self.settings.mode.acts() => {
                stop("shadow-mode", "in shadow mode nothing is signed or sent".to_owned(), true)
            }
            (None, None) if is_off => {
                stop("funding-off", "funding is switched off (funding.enabled)".to_owned(), false)
            }
            (None, None) => None,
        })
    }

    /// Orders by payment and turn, those after `after`.
    ///
    /// # Errors
    /// When the state, the payment or the id is none, or the store fails.
    pub async fn list_orders(
        &self,
        state: Option<&str>,
        payment: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<OrderView>, OperatorError> {
        if let Some(state) = state.filter(|state| !ORDER_STATES.contains(state)) {
            let problem =
                explained(format_args!("{state:?} is none; it must be one of {}", ORDER_STATES.join(", ")), state);
            return Err(OperatorError::Invalid { field: "state", problem });
        }
        let mut after = after.map(parse_order).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        let payment = payment.map(parse_payment).transpose()?;
        let stop = self.stop().await?;
        let mut items = Vec::new();
        let mut looked_at = 0_usize;
        loop {
            let chunk = match &payment {
                Some(id) => {
                    let all = self.store.orders_of(id).await?;
                    all.into_iter().filter(|order| after.as_ref().is_none_or(|after| order.id > *after)).collect()
                }
                None => self.store.orders(after.as_ref(), CHUNK).await?,
            };
            let is_last = payment.is_some() || chunk.len() < CHUNK;
            for order in chunk {
                looked_at = looked_at.saturating_add(1);
                after = Some(order.id.clone());
                if state.is_none_or(|state| order.state.name() == state) {
                    items.push(OrderView::new(&order, &self.names()).with_stop(stop.as_ref()));
                }
                if items.len() >= limit || looked_at >= MAX_SCAN {
                    return Ok(Page { items, next: after.map(|id| id.to_string()) });
                }
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// One order.
    ///
    /// # Errors
    /// When it is not known, or the store fails.
    pub async fn show_order(&self, id: &str) -> Result<OrderView, OperatorError> {
        let id = parse_order(id)?;
        let order = self.store.order(&id).await?.ok_or_else(|| OperatorError::NotFound(format!("order {id}")))?;
        self.order_view(&order).await
    }

    async fn decide_order(
        &self,
        id: &str,
        action: &str,
        reason: &str,
        fact: impl Fn(String, Actor) -> OrderFact,
    ) -> Result<OrderView, OperatorError> {
        let (id, reason) = (parse_order(id)?, given(reason)?);
        let action = format!("{action} order {id}");
        let decided =
            self.order_repository()?.decide(&id, &fact(reason.to_owned(), self.actor.clone()), &action, reason).await;
        self.order_view(&decided.map_err(refused)?).await
    }

    /// Approves an order that waits for it, exactly as it was shown.
    ///
    /// # Errors
    /// When it is not known, is not as it was shown, does not wait for an approval, whoever asks has placed it or typed what it
    /// pays, or no reason is given.
    pub async fn approve(&self, id: &str, request: &ApproveRequest) -> Result<OrderView, OperatorError> {
        let order = parse_order(id)?;
        let payment = parse_payment(&request.payment)?;
        if payment != order.payment {
            let problem = format!("order {order} is not of payment {payment}: look at it again");
            return Err(OperatorError::Invalid { field: "payment", problem });
        }
        let shown = (parse_address("to", &request.to)?, request.base_units);
        let checked = self.order_repository()?.check_eyes(&order, shown, &self.actor, self.approvers).await;
        checked.map_err(|error| self.spend_refused(error))?;
        self.decide_order(id, "approve", &request.reason, |reason, by| OrderFact::Approved { reason, by }).await
    }

    /// Rejects an order that waits for an approval. It ends, and its spend is given back.
    ///
    /// # Errors
    /// As [`OperatorService::approve`].
    pub async fn reject(&self, id: &str, reason: &str) -> Result<OrderView, OperatorError> {
        self.decide_order(id, "reject", reason, |reason, by| OrderFact::Rejected { reason, by }).await
    }

    /// Cancels an order. One of which nothing is signed ends at once. Where the transfer is signed, its nonce is consumed
    /// by a self-send; which of the two is mined is not known before one of them is final.
    ///
    /// # Errors
    /// When it is not known, is over or in a block already, or no reason is given.
    pub async fn cancel_order(&self, id: &str, reason: &str) -> Result<OrderView, OperatorError> {
        self.decide_order(id, "cancel", reason, |reason, by| OrderFact::CancelAsked { reason, by }).await
    }

    /// How the wallet is.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn wallet(&self) -> Result<WalletView, OperatorError> {
        self.wallet_view(&self.wallet_record().await?).await
    }

    pub(crate) async fn wallet_record(&self) -> Result<Wallet, OperatorError> {
        self.store.wallet().await?.ok_or_else(|| refused(OrderError::NoWallet))
    }

    pub(crate) async fn wallet_view(&self, wallet: &Wallet) -> Result<WalletView, OperatorError> {
        let book = self.order_repository()?;
        let at = book.window_now(wallet, self.clock.now());
        let paid = |amount: Amount| self.names().amount(amount, self.settings.token);
        let limit = book.rules.limits.max_per_day;
        let counted = match book.counted(at).await {
            // Whoever pauses the wallet, or asks how it stands, is answered: it signs nothing, as if all of the limit were spent.
            Err(StoreError::Corrupt(what)) => {
                let view = WalletView::new(wallet, paid(limit), paid(limit), 0);
                let halted = view.halted.clone().or_else(|| Some(unreadable(&what)));
                return Ok(WalletView { halted, ..view });
            }
            counted => counted?,
        };
        let open = self.store.open_orders().await?.len();
        let spent = Spending { orders: &counted, booked: &wallet.booked, at }.all();
        Ok(WalletView::new(wallet, paid(spent), paid(limit), open))
    }

    /// Pauses the wallet: from now on nothing is signed or broadcast, until it is resumed. Watching goes on.
    ///
    /// # Errors
    /// When there is no wallet, or no reason is given.
    pub async fn pause_wallet(&self, reason: &str) -> Result<WalletView, OperatorError> {
        let wallet = self.order_repository()?.pause(true, given(reason)?).await.map_err(refused)?;
        self.wallet_view(&wallet).await
    }

    /// Ends the pause.
    ///
    /// # Errors
    /// As [`OperatorService::pause_wallet`].
    pub async fn resume_wallet(&self, reason: &str) -> Result<WalletView, OperatorError> {
        let wallet = self.order_repository()?.pause(false, given(reason)?).await.map_err(refused)?;
        self.wallet_view(&wallet).await
    }
}
