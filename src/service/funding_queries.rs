//! What may be asked of payments and deposits that the wallet has to do with: a payment with its orders, and money that
//! came back.
//!
//! Which deposit comes back from which payment is told anew each time, from everything that is known (`policy::returns`).
//! Where there is too much to look at, nothing is tied: half a view could tie what does not belong together.

use std::collections::BTreeSet;

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::deposit::{Deposit, DepositKey, MatchRule, NothingReason, Verdict};
use crate::domain::order::{Order, OrderId};
use crate::domain::payment::{Payment, PaymentId};
use crate::policy::returns::{Back, Refunded, Returns, is_credit, is_refunded, paid_in, refunded, tie};
use crate::ports::store::if_readable;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::{DepositFilter, MAX_PAGE};
use crate::view::order::OrderView;
use crate::view::returns::{BackView, PaymentDetail, RefundedView, ReturnsView, WhenceView};
use crate::view::{DepositView, Page, WhyView};

/// The most orders that are looked at to tell what came back.
const MAX_ORDERS: usize = 100_000;

/// How many orders are read at once.
const CHUNK: usize = 500;

/// The token and the amount of what is asked about.
type Kind = (Address, Amount);

/// What is known of money that came back.
struct Known {
    credits: Vec<Deposit>,
    /// Refunded payments with the orders that funded them, by id.
    refunded: Vec<(Refunded, Order)>,
    returns: Returns,
    /// Whether everything was looked at. If not, nothing is tied.
    whole: bool,
}

impl Known {
    fn whence(&self, key: &DepositKey) -> WhenceView {
        if self.whole { WhenceView::new(self.returns.whence(key)) } else { WhenceView::not_told() }
    }
}

fn is_wallet_credit(view: &DepositView) -> bool {
    matches!(view.verdict, Verdict::Nothing { why: NothingReason::WalletCredit })
}

impl OperatorService {
    /// One payment, with its orders; for one that was refunded, whether its money came back.
    ///
    /// # Errors
    /// When it is not known, or the store fails.
    pub async fn show(&self, id: &str) -> Result<PaymentDetail, OperatorError> {
        let payment = self.stored(id).await?;
        let orders = self.store.orders_of(&payment.id).await?;
        Ok(PaymentDetail {
            payment: self.view_of(&payment),
            money_back: self.money_back(&payment, &orders).await?,
            orders: orders.iter().map(|order| OrderView::new(order, &self.names())).collect(),
        })
    }

    /// Deposits: those to one address by block and log index, others in the order of their keys; those after `after`.
    /// Money that came to the wallet bears where it comes back from.
    ///
    /// # Errors
    /// When something in the filter is none or not known, or the store fails.
    pub async fn list_deposits(
        &self,
        filter: &DepositFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<DepositView>, OperatorError> {
        let mut page = self.deposits_page(filter, after, limit).await?;
        self.tell_whence(&mut page.items).await?;
        Ok(page)
    }

    /// Why a payment or a deposit stands where it stands. A deposit is named by its key, or by its transaction (with
    /// `:log-index` where the transaction has several); a payment also by one of its orders, or by a transaction that one
    /// of its orders signed and that is no deposit.
    ///
    /// # Errors
    /// When it is not known or not the only one, or the store fails.
    pub async fn why(&self, subject: &str) -> Result<WhyView, OperatorError> {
        let mut view = match self.why_record(subject).await {
            Err(OperatorError::NotFound(said)) => match self.order_named(subject).await? {
                Some(order) => self.why_record(order.id.payment.as_str()).await?,
                None => return Err(OperatorError::NotFound(said)),
            },
            other => other?,
        };
        self.tell_whence(&mut view.deposits).await?;
        let orders = match (&view.payment, view.deposits.first().map(|deposit| &deposit.verdict)) {
            (Some(payment), _) if view.subject == "payment" => {
                let id: PaymentId = payment.id.clone();
                let orders = self.store.orders_of(&id).await?;
                if let Some(payment) = self.store.payment(&id).await? {
                    view.money_back = self.money_back(&payment, &orders).await?;
                }
                orders
            }
            (_, Some(Verdict::Pays { rule: MatchRule::OwnTransfer { order }, .. })) => {
                self.store.order(order).await?.into_iter().collect()
            }
            _ => Vec::new(),
        };
        view.orders = orders.iter().map(|order| OrderView::new(order, &self.names())).collect();
        Ok(view)
    }

    /// The order that is meant by its id, or by the hash of a transaction that it signed.
    async fn order_named(&self, text: &str) -> Result<Option<Order>, OperatorError> {
        if let Ok(id) = text.parse::<OrderId>() {
            return Ok(self.store.order(&id).await?);
        }
        match text.strip_prefix("0x").filter(|digits| digits.len() == 64).and_then(|_| text.parse::<B256>().ok()) {
            Some(hash) => Ok(self.store.order_of_tx(hash).await?),
            None => Ok(None),
        }
    }

    /// Money that came to the wallet, by block and log index, those after `after`; and the refunded payments whose money is
    /// not known to be back.
    ///
    /// # Errors
    /// When no wallet was ever opened here, `after` is no deposit's key, or the store fails.
    pub async fn wallet_returns(&self, after: Option<&str>, limit: usize) -> Result<ReturnsView, OperatorError> {
        let after: Option<DepositKey> = after.map(crate::service::queries::parse_key).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        self.wallet_record().await?;
        let known = self.known_returns(None).await?;
        let start = after.and_then(|after| known.credits.iter().position(|deposit| deposit.key == after));
        let start = start.map_or(0, |at| at.saturating_add(1));
        let items = known.credits.iter().skip(start).take(limit).map(|deposit| {
            let view = DepositView::of(deposit, &self.names());
            DepositView { comes_back_from: Some(known.whence(&deposit.key)), ..view }
        });
        let items: Vec<DepositView> = items.collect();
        let is_more = known.credits.len() > start.saturating_add(items.len());
        let next = items.last().filter(|_| is_more).map(|view| view.key.clone());
        let open = known.refunded.iter().filter(|(refunded, _)| {
            !known.whole || !matches!(known.returns.back(&refunded.payment), Some(Back::By(_)))
        });
        let mut open: Vec<RefundedView> =
            open.map(|(refunded, order)| self.refunded_view(&known, refunded, order)).collect();
        let more_open = open.len() > MAX_PAGE || !known.whole;
        open.truncate(MAX_PAGE);
        Ok(ReturnsView { items, next, open, more_open })
    }

    fn refunded_view(&self, known: &Known, refunded: &Refunded, order: &Order) -> RefundedView {
        RefundedView {
            payment: refunded.payment.clone(),
            recipient_id: order.recipient_id.clone(),
            order: order.id.clone(),
            amount: self.names().amount(refunded.amount, refunded.token),
            money_back: self.back_view(known, &refunded.payment),
        }
    }

    fn back_view(&self, known: &Known, payment: &PaymentId) -> BackView {
        if !known.whole {
            return BackView::not_told();
        }
        let back = known.returns.back(payment).unwrap_or(&Back::NotYet);
        BackView::new(back, &known.credits, &self.names())
    }

    /// Whether the money of a payment came back, where the wallet funded it and the API has refunded it.
    async fn money_back(&self, payment: &Payment, orders: &[Order]) -> Result<Option<BackView>, OperatorError> {
        let Some(its) = orders.iter().find_map(|order| refunded(order, payment)) else { return Ok(None) };
        let known = self.known_returns(Some(&BTreeSet::from([(its.token, its.amount)]))).await?;
        Ok(Some(self.back_view(&known, &payment.id)))
    }

    /// Says of each deposit to the wallet where it comes back from.
    async fn tell_whence(&self, views: &mut [DepositView]) -> Result<(), OperatorError> {
        if !views.iter().any(is_wallet_credit) {
            return Ok(());
        }
        let asked: BTreeSet<String> =
            views.iter().filter(|view| is_wallet_credit(view)).map(|view| view.key.clone()).collect();
        let credits = self.wallet_credits().await?;
        let meant = credits.iter().filter(|deposit| asked.contains(&deposit.key.to_string()));
        let kinds: BTreeSet<Kind> = meant.map(|deposit| (deposit.token, deposit.amount)).collect();
        let known = self.known_returns(Some(&kinds)).await?;
        for view in views.iter_mut().filter(|view| is_wallet_credit(view)) {
            let key: DepositKey = crate::service::queries::parse_key(&view.key)?;
            view.comes_back_from = Some(known.whence(&key));
        }
        Ok(())
    }

    /// All money that came to the wallet and is there, by block and log index.
    async fn wallet_credits(&self) -> Result<Vec<Deposit>, OperatorError> {
        let Some(wallet) = self.store.wallet().await? else { return Ok(Vec::new()) };
        let mut credits = self.store.deposits_at(wallet.address).await?;
        credits.retain(is_credit);
        Ok(credits)
    }

    /// What came back, and from where. With `kinds`, only money of these tokens and amounts is looked at: other amounts
    /// never decide about them.
    async fn known_returns(&self, kinds: Option<&BTreeSet<Kind>>) -> Result<Known, OperatorError> {
        let is_meant = |token: Address, amount: Amount| kinds.is_none_or(|kinds| kinds.contains(&(token, amount)));
        let mut credits = self.wallet_credits().await?;
        credits.retain(|deposit| is_meant(deposit.token, deposit.amount));
        let mut known = Known { credits, refunded: Vec::new(), returns: Returns::default(), whole: true };
        let (mut after, mut looked_at): (Option<OrderId>, usize) = (None, 0);
        loop {
            let chunk = self.store.orders(after.as_ref(), CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            after = chunk.last().map(|order| order.id.clone());
            for order in chunk {
                if paid_in(&order).is_none() || !is_meant(order.token, order.amount) {
                    continue;
                }
                let payment = if_readable(self.store.payment(&order.id.payment).await)?;
                if let Some(refunded) = payment.filter(is_refunded).and_then(|payment| refunded(&order, &payment)) {
                    known.refunded.push((refunded, order));
                }
            }
            if is_last {
                break;
            }
            if looked_at >= MAX_ORDERS {
                known.whole = false;
                return Ok(known);
            }
        }
        let payments: Vec<Refunded> = known.refunded.iter().map(|(refunded, _)| refunded.clone()).collect();
        known.returns = tie(&known.credits, &payments);
        Ok(known)
    }
}
