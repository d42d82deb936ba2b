//! The people who have to do with the wallet: one places orders, another approves; they cancel, pause and adopt, and now
//! and then ask for what must be refused.

use std::sync::Arc;

use rampwatch::domain::actor::Actor;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::B256;
use rampwatch::domain::order::{ApprovalReason, Order, OrderState};
use rampwatch::domain::payment::{Payment, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::Store;
use rampwatch::service::adopt::AdoptRequest;
use rampwatch::service::operator_service::{OperatorError, OperatorService};
use rampwatch::service::orders::FundRequest;

use super::super::lies::settings::Danger;
use super::super::rng::Rng;
use super::super::world::World;
use super::broadcasts::SLOWEST;
use crate::support::approving::approve;

/// An approval that comes later than this comes late.
const LATE: Span = Span::from_secs(3_600);

/// Why people do things.
const REASON: &str = "the simulation says so";

/// Everybody who has to do with one life's wallet.
struct People {
    world: Arc<World>,
    anna: OperatorService,
    bert: OperatorService,
    /// Who approves what the others have made.
    dora: OperatorService,
    rng: Rng,
}

/// Works with one life of the process, as long as it takes.
pub(crate) async fn serve(world: Arc<World>, life: u64, handle: OperatorService) {
    if world.settings.wallet.is_none() {
        return;
    }
    let rng = Rng::stream(world.seed, &format!("treasurer in life {life}"));
    let actor = |name: &str| Actor::new(name).expect("a name");
    let (anna, bert) = (handle.acting_as(&actor("anna")), handle.acting_as(&actor("bert")));
    let dora = handle.acting_as(&actor("dora"));
    let mut people = People { world, anna, bert, dora, rng };
    loop {
        let wait = people.rng.range(800, 9_000);
        people.world.clock.sleep(Span::from_millis(wait)).await;
        people.look().await;
    }
}

impl People {
    async fn look(&mut self) {
        let chaos = self.world.is_chaos();
        self.mind_the_wallet(chaos).await;
        if chaos && self.rng.permille(350) {
            self.place().await;
        }
        let orders = self.world.store.orders(None, 1_000).await.expect("memory");
        for order in orders.iter().filter(|order| !order.state.is_ended()) {
            if matches!(order.state, OrderState::AwaitingApproval { .. }) {
                self.decide(order, chaos).await;
            } else if chaos && self.rng.permille(8) {
                self.cancel(order).await;
            }
        }
    }

    fn said<T>(&self, what: &str, done: &Result<T, OperatorError>) {
        let outcome = match done {
            Ok(_) => "done",
            Err(OperatorError::Refused(_) | OperatorError::OwnOrder(_)) => "refused",
            Err(OperatorError::Store(error)) => return self.world.violate(&format!("{what}: {error}")),
            Err(_) => "not possible",
        };
        let why = done.as_ref().err().map(ToString::to_string).unwrap_or_default();
        self.world.note(&format!("treasurer: {what}, {outcome} {why}"));
        let kind = what.split_whitespace().next().unwrap_or_default();
        self.world.count(&format!("treasurer: {kind}, {outcome}"));
    }

    async fn mind_the_wallet(&mut self, chaos: bool) {
        let Some(wallet) = self.world.store.wallet().await.expect("memory") else { return };
        if wallet.halted.is_some() && (!chaos || self.rng.permille(250)) {
            let mut done = self.bert.adopt_wallet(REASON).await;
            if done.is_err() {
                // Where one endpoint says so alone, he looks the wallet up on the true chain.
                let open = self.world.store.open_orders().await.expect("memory");
                let held = open.iter().filter_map(|order| order.state.nonce()).max().map_or(0, |nonce| nonce + 1);
                let next_nonce = Some(self.world.chain().final_account().nonce.max(held));
                done = self.bert.adopt(&AdoptRequest { reason: REASON.to_owned(), next_nonce }).await;
            }
            self.said("adopt", &done);
            if done.is_err_and(|error| error.to_string().contains("over the limits")) {
                self.make_room().await;
            }
        }
        if wallet.paused.is_some() && (!chaos || self.rng.permille(200)) {
            let done = self.anna.resume_wallet(REASON).await;
            self.said("resume", &done);
        } else if chaos && self.rng.permille(8) {
            let done = self.bert.pause_wallet(REASON).await;
            self.said("pause", &done);
        }
    }

    /// What was placed while nobody knew what the wallet had sent does not fit the limits: it is cancelled.
    async fn make_room(&mut self) {
        self.world.count("treasurer: cancels what does not fit an adoption");
        let open = self.world.store.open_orders().await.expect("memory");
        for order in open.iter().filter(|order| order.state.nonce().is_none()) {
            self.cancel(order).await;
        }
    }

    /// Wishes for a payment's funding: rightly, twice at once, or otherwise than it was shown.
    async fn place(&mut self) {
        let payments = self.world.store.payments(None, 1_000).await.expect("memory");
        let waits = |payment: &&Payment| payment.state == PaymentState::Waiting;
        let waiting: Vec<&Payment> = payments.iter().filter(waits).collect();
        let from = if self.rng.permille(900) { waiting } else { payments.iter().collect() };
        if from.is_empty() {
            return;
        }
        let payment = *self.rng.pick(&from);
        let terms = &payment.terms;
        let right = FundRequest {
            payment: payment.id.to_string(),
            to: terms.deposit_address.to_string(),
            base_units: terms.amount,
        };
        if self.rng.permille(40) {
            let more = Amount::from_base_units(terms.amount.base_units() + 1);
            let wrong = FundRequest { base_units: more, ..right };
            let done = self.anna.fund(&wrong).await;
            if done.is_ok() {
                self.world.violate(&format!("{wrong:?} was placed"));
            }
            return self.said("ask for what was not shown", &done);
        }
        if self.rng.permille(250) {
            let (one, other) = tokio::join!(biased; self.anna.fund(&right), self.bert.fund(&right));
            if one.is_ok() && other.is_ok() {
                self.world.violate(&format!("{} was placed twice at once", payment.id));
            }
            self.said("fund", &one);
            return self.said("second", &other);
        }
        let done = self.anna.fund(&right).await;
        self.said("fund", &done);
    }

    /// Approves or rejects. Nobody approves an order of their own.
    async fn decide(&mut self, order: &Order, chaos: bool) {
        if chaos && self.rng.permille(600) {
            return;
        }
        // Where days pass, most approvals come days late.
        let is_young = self.world.clock.now().since(order.placed_at) < LATE;
        if chaos && self.world.settings.danger == Some(Danger::Days) && is_young && self.rng.permille(900) {
            return;
        }
        let id = order.id.to_string();
        let placer = order.placed_by_name.as_ref().map(Actor::as_str);
        let (own, other) = match placer {
            Some("bert") => (Some(self.bert.clone()), self.anna.clone()),
            Some(_) => (Some(self.anna.clone()), self.bert.clone()),
            None => (None, self.anna.clone()),
        };
        let payment = self.world.store.payment(&order.id.payment).await.expect("memory");
        let is_berts = payment.and_then(|it| it.terms.typed_by).is_some_and(|by| by.as_str() == "bert");
        let (own, other) = match (own, placer) {
            // Whoever typed it is told off, and somebody else looks at it.
            (_, placer) if is_berts && placer != Some("bert") => (Some(self.bert.clone()), self.dora.clone()),
            (own, _) => (own, other),
        };
        if let Some(own) = own.filter(|_| self.rng.permille(150)) {
            let done = approve(&own, &id, REASON).await;
            if done.is_ok() {
                self.world.violate(&format!("{id} was approved by whoever made it"));
            }
            return self.said(&format!("own {id}"), &done);
        }
        if let OrderState::AwaitingApproval { why: ApprovalReason::Reverted { tx_hash, .. } } = &order.state
            && !self.has_failed_for_good(*tx_hash)
        {
            self.world.count("treasurer: sees that a transfer has not failed");
            return;
        }
        if self.rng.permille(150) {
            let done = other.reject(&id, REASON).await;
            return self.said(&format!("reject {id}"), &done);
        }
        self.world.wallet().books.approved.insert(order.id.clone());
        let valid_for = self.world.settings.wallet.as_ref().map_or(Span::ZERO, |it| it.rules.pace.approval_valid_for);
        let asked_at = self.world.process_now();
        let is_over = order.placed_at.plus(valid_for).plus(SLOWEST) < asked_at;
        let reverted = matches!(&order.state, OrderState::AwaitingApproval { why: ApprovalReason::Reverted { .. } });
        let done = approve(&other, &id, REASON).await;
        if is_over && !reverted {
            self.world.count("treasurer: approve too late");
            if done.is_ok() {
                self.world.violate(&format!("{id} was approved long after it was placed"));
            }
        }
        self.said(&format!("approve {id}"), &done);
    }

    /// Whoever decides what becomes of a transfer that is said to have failed looks at the true chain.
    fn has_failed_for_good(&self, tx_hash: B256) -> bool {
        let chain = self.world.chain();
        let mined = chain.mined_now(tx_hash);
        mined.is_some_and(|(mined, block)| !mined.succeeded && block.number <= chain.final_to())
    }

    async fn cancel(&mut self, order: &Order) {
        self.world.wallet().books.cancelled.insert(order.id.clone());
        let done = self.anna.cancel_order(&order.id.to_string(), REASON).await;
        self.said(&format!("cancel {}", order.id), &done);
    }
}
