//! Webhooks: somebody says that a payment has changed, rightly, late, twice or for no reason at all. Nothing of what they say
//! is passed on but the payment's id, as the inlet does it (`http::inlet`, which has tests of its own).

use std::sync::Arc;

use rampwatch::domain::time::Span;
use rampwatch::engine::handle::Handle;
use rampwatch::ports::clock::Clock;

use super::rng::Rng;
use super::world::World;

/// Tells one life of the process of payments, as long as there is chaos.
pub(super) async fn come_in(world: Arc<World>, life: u64, handle: Handle) {
    let mut rng = Rng::stream(world.seed, &format!("webhooks in life {life}"));
    while world.is_chaos() {
        world.clock.sleep(Span::from_millis(rng.range(300, 20_000))).await;
        let ids: Vec<_> = world.store.contents().payments.into_keys().collect();
        if ids.is_empty() {
            continue;
        }
        let id = rng.pick(&ids);
        match handle.wake(id).await {
            Ok(woken) => {
                world.note(&format!("a webhook tells of {id}: {woken:?}"));
                world.count(&format!("webhook: {woken:?}"));
            }
            Err(error) => world.violate(&format!("a webhook about {id}: {error}")),
        }
    }
}
