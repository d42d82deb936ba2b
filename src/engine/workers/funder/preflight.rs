//! The checks before signing and before each broadcast: asks the API, the store and the chain, and lets the policy judge.

use std::sync::Arc;

use super::Funder;
use crate::domain::amount::Amount;
use crate::domain::chain::{BlockNumber, LogFilter, Transfer};
use crate::domain::hold::Hold;
use crate::domain::order::{Attempt, AttemptKind, Fees, Order, OrderState};
use crate::domain::payment::{ApiStatus, Payment};
use crate::domain::time::{Span, Timestamp};
use crate::domain::wallet::TransferView;
use crate::domain::wei::Wei;
use crate::engine::api_facts::{differing_term, record};
use crate::engine::circuit_breaker::{CallKind, Permit};
use crate::engine::order_repository::Blocked;
use crate::planted::{Bug, planted};
use crate::policy::api_answer::keeps_from_sending;
use crate::policy::fees::{self, SELF_SEND_GAS};
use crate::policy::numbering::together;
use crate::policy::order_machine::Act;
use crate::policy::preflight::{
    ApiFinding, Committed, PaymentFindings, check_chain, check_clock, check_native, check_payment, despite,
    moment as preflight_moment,
};
use crate::ports::chain::{ChainError, TransferPage, TransferQuery};
use crate::ports::payment_api::ApiPayment;
use crate::ports::sender::TransferSpec;
use crate::ports::store::StoreError;

/// The furthest that an address may be unread below the head, in blocks.
const MOST_UNREAD: BlockNumber = 5_000;

/// The most blocks, read once only, that are read by others before an order is sent: more wait for the second reading.
const MOST_READ_ONCE: BlockNumber = 200_000;

/// How long an answer about what was paid by hand is good for.
const JUST_NOW: Span = Span::from_secs(10);

/// How many blocks a second operator may be behind, and still be asked what somebody has paid by hand.
const MOST_BEHIND: BlockNumber = 8;

/// What an order may be signed with, and what the chain said when that was decided.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) fees: Fees,
    pub(super) gas_limit: u64,
    view: TransferView,
}

/// What the transfer of an order is.
pub(super) const fn transfer_of(order: &Order) -> TransferSpec {
    TransferSpec { wallet: order.wallet, token: order.token, to: order.to, amount: order.amount }
}

impl Funder {
    /// Checks an order that nothing is signed for.
    pub(super) async fn check_unsigned(&self, order: &Order) -> Result<Offer, Blocked> {
        let view = self.view(order).await?;
        self.check_payment_of(order, &view).await?;
        let params = &self.book.rules.preflight;
        let first = fees::first(view.base_fee, view.market_tip, &params.fees).map_err(Hold::from)?;
        // Without an estimate the call fails, and that is told by its own name; the limit only counts for the balance.
        let estimate = view.gas_estimate.unwrap_or(params.fees.gas_limit_max);
        let gas_limit = fees::gas_limit(estimate, &params.fees)?;
        let committed = self.committed(order).await?;
        check_chain(order, &view, &committed, &first, gas_limit, params)?;
        Ok(Offer { fees: first, gas_limit, view })
    }

    /// Whether the balances still suffice after what was signed since the check.
    pub(super) async fn still_suffices(&self, order: &Order, offer: &Offer) -> Result<(), Blocked> {
        let committed = self.committed(order).await?;
        let params = &self.book.rules.preflight;
        Ok(check_chain(order, &offer.view, &committed, &offer.fees, offer.gas_limit, params)?)
    }

    /// Checks an order that has a nonce before `act` sends something of it.
    pub(super) async fn check_signed(&self, order: &Order, act: &Act) -> Result<(), Blocked> {
        let kind = match act {
            Act::Broadcast(_) if planted(Bug::NoCheckBeforeBroadcast) => None,
            Act::Broadcast(tx_hash) => order.attempt(*tx_hash).map(|attempt| (attempt.kind, attempt.fees)),
            Act::Sign(kind, fees) => Some((*kind, *fees)),
            Act::Hold(hold) => return Err(hold.clone().into()),
            Act::Wait(_) => None,
        };
        let Some((kind, fees)) = kind else { return Ok(()) };
        if kind == AttemptKind::SelfSend {
            let balances = self.funding.sender.balances(order.wallet, order.token).await;
            let (_, native) = balances.map_err(|error| unavailable(&error))?;
            // The reserve is for the way out, and this is one; it goes before what others may cost.
            return Ok(check_native(native, Wei::ZERO, &fees, SELF_SEND_GAS, Wei::ZERO)?);
        }
        let view = self.view(order).await?;
        self.check_payment_of(order, &view).await?;
        let params = &self.book.rules.preflight;
        let committed = self.committed(order).await?;
        let gas_limit = order.live_attempts().map(|attempt| attempt.gas_limit).max();
        Ok(check_chain(order, &view, &committed, &fees, gas_limit.unwrap_or(params.fees.gas_limit_max), params)?)
    }

    async fn view(&self, order: &Order) -> Result<TransferView, Hold> {
        self.funding.sender.view(&transfer_of(order)).await.map_err(|error| unavailable(&error))
    }

    /// Whether the payment may still be funded: by the API's word, the store's, and the chain's up to the head.
    async fn check_payment_of(&self, order: &Order, view: &TransferView) -> Result<(), Blocked> {
        let asked_at = self.ports.clock.now();
        let Some(payment) = self.ports.store.payment(&order.id.payment).await? else {
            return Err(Hold::PaymentState { state: "not known".to_owned() }.into());
        };
        self.book.still_allowed(order, &payment).await?;
        let params = &self.book.rules.preflight;
        let api = match self.ask_api(&payment, asked_at).await {
            Err(Blocked::Hold(hold)) => {
                let known = Err((&payment, self.now_at(view)));
                return Err(despite(hold, order, known, params).into());
            }
            api => api?,
        };
        let (fresh, unread) = match self.read_to_head(order, view).await {
            Err(Blocked::Hold(hold)) => (Vec::new(), Some(hold)),
            fresh => (fresh?, None),
        };
        // Read after the chain: what the scanner has stored meanwhile is known by its verdict.
        let deposits = self.ports.store.deposits_at(order.to).await?;
        let confirmed_to = self.confirmed_to(order).await?;
        let payment = self.ports.store.payment(&order.id.payment).await?.unwrap_or(payment);
        let orders = self.ports.store.orders_to(order.to).await?;
        let mut findings = PaymentFindings {
            payment: &payment,
            api: &api,
            deposits: &deposits,
            confirmed_to,
            fresh: &fresh,
            orders: &orders,
            now: self.now_at(view),
            own_is_nowhere: false,
        };
        let (clock, skew) = (self.ports.clock.now(), self.settings.matching.skew);
        let check = |findings: &PaymentFindings<'_>| match unread.clone() {
            None => check_payment(order, findings, params).and_then(|()| check_clock(clock, view.head.time, skew)),
            Some(hold) => Err(despite(hold, order, Ok(findings), params)),
        };
        let mut checked = check(&findings);
        // What was stored of it on one word stays when nobody shows it any more. To go on is safe: its nonce is its own.
        if matches!(checked, Err(Hold::OwnTransferSeen { .. })) && self.receipt_anywhere(order).await.is_none() {
            findings.own_is_nowhere = true;
            checked = check(&findings);
        }
        // Only where nothing else is in the way, so that what is held does not have everybody asked again and again.
        checked?;
        let shown = match self.read_by_others(order, view).await {
            Err(Blocked::Hold(hold)) => return Err(despite(hold, order, Ok(&findings), params).into()),
            shown => together(fresh.clone(), &shown?),
        };
        Ok(check_payment(order, &PaymentFindings { fresh: &shown, ..findings }, params)?)
    }

    /// Up to which block as many operators as must agree have read the deposit address: with one, its word is enough.
    async fn confirmed_to(&self, order: &Order) -> Result<BlockNumber, StoreError> {
        if self.ports.operators_needed(&self.settings) <= 1 {
            return Ok(BlockNumber::MAX);
        }
        let swept = self.ports.store.coverage(order.to).await?.and_then(|coverage| coverage.swept);
        Ok(swept.map_or(0, |swept| swept.confirmed_to))
    }

    /// The moment: a clock that is slow must not make a payment look younger than the chain does. A head that is dated further
    /// ahead than clocks may differ says nothing: no single node ends an order by it.
    fn now_at(&self, view: &TransferView) -> Timestamp {
        preflight_moment(self.ports.clock.now(), view.head.time, self.settings.matching.skew)
    }

    /// The API's word, fresh.
    async fn ask_api(&self, payment: &Payment, asked_at: Timestamp) -> Result<ApiFinding, Blocked> {
        let refused = |detail: String| Err(Hold::ApiUnavailable { detail }.into());
        if self.breaker.permit(CallKind::Get) == Permit::None {
            return refused("it refuses the key".to_owned());
        }
        let answer = self.ports.api.payment(&payment.id).await;
        match self.breaker.learn(CallKind::Get, payment.id.as_str(), answer).await? {
            Ok(said) => {
                // That it is open after all clears an end that was named before.
                let is_news =
                    said.status != ApiStatus::AwaitingFunds || said.tx_hash.is_some() || payment.ending.is_some();
                if is_news {
                    record(&self.addresses, payment, Ok(said.clone()), &self.settings.chain_name, asked_at).await?;
                }
                let known_expiry = payment.terms.expires_at;
                let hidden = keeps_from_sending(&said.unread, &payment.vouched, known_expiry);
                match hidden.filter(|_| said.status == ApiStatus::AwaitingFunds) {
                    Some(unread) => refused(format!("it says {unread}")),
                    None => Ok(self.finding(payment, said)),
                }
            }
            Err(error) => refused(error.to_string()),
        }
    }

    fn finding(&self, payment: &Payment, said: ApiPayment) -> ApiFinding {
        let differs =
            differing_term(payment, &said, &self.settings.chain_name).or_else(|| other_account(payment, &said));
        ApiFinding {
            status: said.status,
            tx_hash: said.tx_hash,
            differs,
            chain: said.deposit_chain,
            currency: said.source_currency,
            sender: said.sender,
            expires_at: said.expires_at,
        }
    }

    /// The transfers to the deposit address above what is covered, up to the head that the view was made at.
    async fn read_to_head(&self, order: &Order, view: &TransferView) -> Result<Vec<Transfer>, Blocked> {
        let head = view.head.block.number;
        let coverage = self.ports.store.coverage(order.to).await?;
        let Some(swept) = coverage.and_then(|coverage| coverage.swept) else { return Err(Hold::NotReadYet.into()) };
        // What counts as read above the head was not read: the node lags, or was lied about.
        let is_above = swept.covered_to > head.saturating_add(self.settings.sweep.overlap);
        if is_above || head.saturating_sub(swept.covered_to) > MOST_UNREAD {
            return Err(Hold::NotReadYet.into());
        }
        let from = swept.covered_to.saturating_sub(self.settings.sweep.overlap).max(swept.start).min(head);
        let query = self.query(order, from, head);
        let page = self.ports.chain.transfers(&query).await.and_then(TransferPage::whole);
        Ok(page.map_err(|error| unavailable(&error))?.transfers)
    }

    /// What as many operators as have to agree show of the blocks that were read once only, up to near the head of the view: what
    /// one of them hides of what somebody has paid by hand, another shows. With one operator there is nobody to ask. What was
    /// signed a moment ago was asked about then, and what a node was given is out of our hands.
    async fn read_by_others(&self, order: &Order, view: &TransferView) -> Result<Vec<Transfer>, Blocked> {
        let (operators, needed) = (self.ports.chain.operators(), self.ports.operators_needed(&self.settings));
        let now = self.ports.clock.now();
        let is_to_be_sent = |attempt: &Attempt| attempt.sends == 0 && now.since(attempt.signed_at) > JUST_NOW;
        if needed <= 1 || !order.live_attempts().all(is_to_be_sent) {
            return Ok(Vec::new());
        }
        let coverage = self.ports.store.coverage(order.to).await?;
        let Some(swept) = coverage.and_then(|coverage| coverage.swept) else { return Err(Hold::NotReadYet.into()) };
        let from = swept.confirmed_to.saturating_add(1).max(swept.start);
        let to = view.head.block.number.saturating_sub(MOST_BEHIND);
        if from > to {
            return Ok(Vec::new());
        }
        if to.saturating_sub(from) > MOST_READ_ONCE {
            return Err(Hold::NotReadYet.into());
        }
        let query = self.query(order, from, to);
        let (mut shown, mut readers, mut trouble) = (Vec::new(), Vec::new(), Hold::NotReadYet);
        for operator in operators {
            if readers.len() == needed {
                break;
            }
            let query = TransferQuery { by: Some(operator.clone()), ..query.clone() };
            match self.ports.chain.transfers(&query).await.and_then(TransferPage::whole) {
                Ok(page) => {
                    readers.push(operator);
                    shown = together(shown, &page.transfers);
                }
                Err(error) => trouble = unavailable(&error),
            }
        }
        if readers.len() == needed { Ok(shown) } else { Err(trouble.into()) }
    }

    /// The question for the transfers to an order's address.
    fn query(&self, order: &Order, from: BlockNumber, to: BlockNumber) -> TransferQuery {
        let (tokens, recipients) = (Arc::new(self.settings.tokens()), Arc::new(vec![order.to]));
        TransferQuery { tokens, recipients, filter: LogFilter::Recipients, from, to, avoid: None, by: None }
    }

    /// What the other signed orders will take before this one: those with lower nonces, where it has one, and all where it has
    /// none yet. What comes after it must not keep it from being sent, or nothing behind it is ever mined.
    async fn committed(&self, order: &Order) -> Result<Committed, StoreError> {
        let open = self.ports.store.open_orders().await?;
        let mut committed = Committed::default();
        for other in open.iter().filter(|other| other.id != order.id) {
            let waits = matches!(other.state, OrderState::Sending { .. } | OrderState::Cancelling { .. });
            let comes_after = order.state.nonce().is_some_and(|ours| other.state.nonce() > Some(ours));
            if !waits || comes_after {
                continue;
            }
            let most = other.live_attempts().map(|attempt| fees::worst_cost(&attempt.fees, attempt.gas_limit)).max();
            committed.native = committed.native.plus(most.unwrap_or_default());
            let sum = committed.token.checked_add(other.amount);
            committed.token = sum.unwrap_or(Amount::from_base_units(u128::MAX));
        }
        Ok(committed)
    }
}

/// The bank account that the API has for the payment now, where it is not the one that the allow-list was held against.
fn other_account(payment: &Payment, said: &ApiPayment) -> Option<(String, String, String)> {
    let (ours, theirs) = (payment.terms.bank_account.as_ref()?, said.bank_account.as_ref()?);
    (ours != theirs).then(|| ("bankAccountId".to_owned(), ours.to_string(), theirs.to_string()))
}

pub(super) fn unavailable(error: &ChainError) -> Hold {
    Hold::ChainUnavailable { detail: error.to_string() }
}
