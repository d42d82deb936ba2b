//! People outside: they open payments at the API, sign transactions and complete by hand, all by the plan. What they
//! want of rampwatch is handed to the operator (`operator`).

use std::sync::Arc;

use rampwatch::domain::chain::B256;
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::clock::Clock;

use super::plan::{Act, Planned};
use super::rng::Rng;
use super::world::{World, short};

/// Does everything in the plan, each at its time. Hands over what is the operator's.
pub(super) async fn live(world: Arc<World>, mut errand: impl FnMut(Act)) {
    let mut rng = Rng::stream(world.seed, "people");
    for ((at, _), act) in &world.plan.acts {
        world.clock.until_elapsed(*at).await;
        match act {
            Act::Create(place) => {
                let planned = &world.plan.payments[*place];
                world.note(&format!(
                    "{} is opened: {} to {}, {:?}, by {:?}",
                    planned.id,
                    planned.amount,
                    short(&planned.address),
                    planned.story,
                    planned.expires_at.map(|at| at.as_secs()),
                ));
                world.count(&format!("story: {:?}", planned.story));
                world.api().open(planned, &world.clock);
            }
            Act::Send(tx) => world.chain().submit(tx.clone()),
            Act::ByHand(place) => by_hand(&world, &world.plan.payments[*place], &mut rng, world.clock.now()),
            Act::Add(_) | Act::Review => errand(act.clone()),
        }
    }
}

fn by_hand(world: &World, planned: &Planned, rng: &mut Rng, now: Timestamp) {
    let money = world.chain().to(planned.address).into_iter().find(|transfer| transfer.token == world.settings.token);
    let hash: B256 = money.map_or_else(|| rng.hash(), |transfer| transfer.tx_hash);
    let done = world.api().complete(&planned.id, &hash.to_string(), false, now);
    world.count("api: completed by hand");
    world.note(&format!("somebody completes {} by hand with {}: {done:?}", planned.id, short(&hash)));
}
