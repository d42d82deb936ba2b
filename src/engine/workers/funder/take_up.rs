//! Takes up orders that nothing is signed for: those that are ready are checked and signed, those whose payment is over end.

use futures_util::StreamExt;

use super::preflight::Offer;
use super::{CHECKS_AT_ONCE, Funder, Trouble, due_at, its_own};
use crate::domain::hold::Hold;
use crate::domain::order::{Order, OrderState};
use crate::domain::shadow::ShadowAct;
use crate::engine::follow_ups;
use crate::policy::order_decisions::is_approval_over;
use crate::policy::order_machine::OrderFact;
use crate::policy::order_machine::{is_at_its_most, jam};
use crate::ports::store::if_readable;

impl Funder {
    /// Checks orders that are ready, and signs those that pass. They are sent with all others that are due, after the
    /// checks were made once more.
    pub(super) async fn take_up(&mut self, open: &[Order]) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        let is_due = |order: &&Order| {
            matches!(order.state, OrderState::Ready | OrderState::Held { .. })
                && due_at(order).is_some_and(|at| at <= now)
        };
        let mut due: Vec<Order> = open.iter().filter(is_due).cloned().collect();
        // Held ones come behind those that were never looked at.
        due.sort_by_key(|order| (order.next_at, order.placed_at));
        let free = self.free_places(open);
        due.truncate(free.saturating_mul(2).min(CHECKS_AT_ONCE.saturating_mul(2)));
        if due.is_empty() || free == 0 || !self.book.rules.limits.enabled || self.take_up_at > now {
            return Ok(());
        }
        // What does not read may have spent any amount: then nothing is signed at all.
        let Some(wallet) = self.wallet().await? else { return Ok(()) };
        self.book.counted(self.book.window_now(&wallet, now)).await?;
        // Shadow mode takes no nonce. Whoever sends by hand meanwhile is found out once it is over, and then the wallet halts.
        let unfit = if self.settings.mode.acts() { self.nonces_hold().await? } else { None };
        if let Some(why) = unfit {
            self.take_up_at = now.plus(self.pace().hold_check);
            let ready: Vec<Order> = open.iter().filter(|order| order.state == OrderState::Ready).cloned().collect();
            return self.name_stop(&ready, &why).await;
        }
        if let Some(why) = self.jam_ahead(open).await? {
            for order in &due {
                self.note_hold(order, why.clone()).await?;
            }
            return Ok(());
        }
        let this = &*self;
        let checking = due.into_iter().map(|order| async move {
            let checked = this.check_unsigned(&order).await;
            (order, checked)
        });
        let mut passed = Vec::new();
        let mut under_way = futures_util::stream::iter(checking).buffered(CHECKS_AT_ONCE);
        while let Some((order, checked)) = under_way.next().await {
            let offer = its_own(this.unless_blocked(&order, checked).await)?.flatten();
            passed.extend(offer.map(|offer| (order, offer)));
        }
        drop(under_way);
        if !self.settings.mode.acts() {
            for (order, _) in passed {
                self.would_send(&order).await?;
            }
            return Ok(());
        }
        for (order, offer) in passed.into_iter().take(free) {
            // What was signed just before takes from the same balances.
            its_own(self.sign_if_it_suffices(&order, &offer).await)?;
        }
        Ok(())
    }

    async fn sign_if_it_suffices(&self, order: &Order, offer: &Offer) -> Result<(), Trouble> {
        let checked = self.still_suffices(order, offer).await;
        match self.unless_blocked(order, checked).await? {
            Some(()) => self.sign_first(order, offer).await,
            None => Ok(()),
        }
    }

    /// Why no further nonce is taken now: the lowest one that waits cannot be mined before the market comes down.
    async fn jam_ahead(&self, open: &[Order]) -> Result<Option<Hold>, Trouble> {
        let waits = |order: &&Order| matches!(order.state, OrderState::Sending { .. } | OrderState::Cancelling { .. });
        let lowest = open.iter().filter(waits).min_by_key(|order| order.state.nonce());
        let Some(lowest) = lowest.filter(|lowest| is_at_its_most(lowest)) else { return Ok(None) };
        let market = self.funding.sender.market().await?;
        Ok(jam(lowest, market.base_fee, &self.book.rules.preflight.fees))
    }

    /// In shadow mode: says once that the order would be signed and sent now. It stays ready, and is checked again.
    async fn would_send(&self, order: &Order) -> Result<(), Trouble> {
        let act = ShadowAct::Send { order: order.id.clone(), to: order.to, amount: order.amount };
        let (store, now) = (&*self.ports.store, self.ports.clock.now());
        follow_ups::note_would(store, Some(&order.id.payment), &act, now).await?;
        self.tell_unchanged(order, OrderFact::Cleared).await
    }

    /// Ends orders that have waited for an approval for too long, or for that of a payment that is over: their spend is not held
    /// for nothing.
    pub(super) async fn retire_unapproved(&mut self, open: &[Order]) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        if self.retire_at > now {
            return Ok(());
        }
        self.retire_at = now.plus(self.pace().hold_check);
        for order in open.iter().filter(|order| matches!(order.state, OrderState::AwaitingApproval { .. })) {
            if is_approval_over(order, now, &self.pace()) {
                self.tell_unchanged(order, OrderFact::ApprovalExpired).await?;
                continue;
            }
            let payment = if_readable(self.ports.store.payment(&order.id.payment).await)?;
            if payment.is_some_and(|payment| payment.state.is_ended()) {
                self.note_hold(order, Hold::PaymentEnded).await?;
            }
        }
        Ok(())
    }
}
