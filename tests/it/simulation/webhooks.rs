//! Webhooks: somebody says that a payment has changed, rightly, late, twice or for no reason at all. Nothing of what they say
//! is passed on but the payment's id, as the inlet does it (`http::inlet`, which has tests of its own).

use std::sync::Arc;

use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::Span;
use rampwatch::ports::clock::Clock;
use rampwatch::service::operator_service::OperatorService;

use super::only::Chaos;
use super::rng::Rng;
use super::world::World;

/// Tells one life of the process of payments, as long as there is chaos.
pub(super) async fn come_in(world: Arc<World>, life: u64, handle: OperatorService) {
    let mut rng = Rng::stream(world.seed, &format!("webhooks in life {life}"));
    let (least, most) = world.settings.webhooks;
    while world.is_chaos() {
        world.clock.sleep(Span::from_millis(rng.range(least, most))).await;
        let ids: Vec<_> = world.store.look(|contents| contents.payments.keys().cloned().collect());
        let forged = PaymentId::new("nobody-knows-it").expect("an id");
        let known = rng.permille(900) && !ids.is_empty();
        let id = if known { rng.pick(&ids) } else { &forged };
        if !world.fails(Chaos::Webhooks) {
            continue;
        }
        match handle.wake(id).await {
            Ok(woken) => {
                world.note(&format!("a webhook tells of {id}: {woken:?}"));
                world.count(&format!("webhook: {woken:?}"));
            }
            Err(error) => world.violate(&format!("a webhook about {id}: {error}")),
        }
    }
}
