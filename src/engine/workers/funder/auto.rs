//! The automatic mode: places orders for payments that wait and that the spend policy lets it fund.
//!
//! What it must not touch it leaves alone, and says so once. A payout says by itself how it is paid, by hand or by the
//! wallet, and the opener sees to that: what came of a payout is never funded here. It goes over all payments that wait when a payment has
//! changed, and every so often, because limits per day come free with time alone.

use std::mem::discriminant;

use super::{Funder, Trouble, its_own};
use crate::domain::event::{Alarm, EventKind};
use crate::domain::order::Placer;
use crate::domain::payment::PaymentId;
use crate::domain::record::RecordKind;
use crate::domain::time::{Span, Timestamp};
use crate::engine::order_repository::OrderError;
use crate::engine::transaction;
use crate::policy::spend::SpendRefusal;
use crate::ports::store::Changes;

/// How often all payments that wait are gone over though nothing has changed.
const GO_OVER: Span = Span::from_secs(60);

/// The least time between two goings-over.
pub(super) const BREATH: Span = Span::from_millis(200);

/// How many payments are read at once.
const PAGE: usize = 256;

/// How many refusals are remembered as told.
const MOST_TOLD: usize = 10_000;

impl Funder {
    pub(super) async fn place_auto(&mut self, seen: &Changes) -> Result<(), Trouble> {
        if !self.book.rules.limits.auto || !self.book.rules.limits.enabled {
            return Ok(());
        }
        if self.book.rules.limits.is_auto_unlimited() {
            return self.tell_unlimited().await;
        }
        let now = self.ports.clock.now();
        let since = now.since(self.auto_at);
        let is_first = self.auto_at == Timestamp::EPOCH;
        let news = seen.payments != self.auto_seen && since >= BREATH;
        if !(is_first || news || since >= GO_OVER) {
            return Ok(());
        }
        (self.auto_at, self.auto_seen) = (now, seen.payments);
        let mut after = None;
        loop {
            let page = self.ports.store.waiting(after.as_ref(), PAGE).await?;
            for payment in &page {
                its_own(self.place_one(&payment.id).await)?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.last().map(|payment| payment.id.clone());
        }
    }

    /// Says once a start that the automatic mode sends nothing.
    async fn tell_unlimited(&mut self) -> Result<(), Trouble> {
        if self.auto_at != Timestamp::EPOCH {
            return Ok(());
        }
        let now = self.ports.clock.now();
        let kind = EventKind::Alarm { alarm: Alarm::AutoUnlimited };
        transaction::tell(&*self.ports.store, now, [kind]).await?;
        self.auto_at = now;
        Ok(())
    }

    async fn place_one(&mut self, id: &PaymentId) -> Result<(), Trouble> {
        if self.ports.store.record_by_alias(RecordKind::Payout, id.as_str()).await?.is_some() {
            return Ok(());
        }
        match self.book.place(id, Placer::Auto, None).await {
            Ok(_) => {
                self.auto_refused.remove(id);
                Ok(())
            }
            Err(OrderError::Spend(SpendRefusal::Open { .. } | SpendRefusal::Funded { .. })) => Ok(()),
            Err(OrderError::Spend(refusal)) => {
                // The figures of what is spent change all the time; the kind of refusal is the news.
                let kind = discriminant(&refusal);
                let told = self.auto_refused.get(id) == Some(&kind);
                if !told && self.auto_refused.len() < MOST_TOLD {
                    tracing::info!(payment_id = %id, why = %refusal, "the automatic mode does not fund it");
                    self.auto_refused.insert(id.clone(), kind);
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
