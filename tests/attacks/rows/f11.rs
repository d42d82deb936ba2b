//! F11: what the API has ended once stays ended.

use std::time::Duration;

use rampwatch::sandbox::fake_api::OffRamp;
use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::World;
use crate::world::config::Setup;
use crate::world::program::Reply;
use crate::world::within::within;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F11",
        what: "one GET says EXPIRED, and the next one AWAITING_FUNDS; then an exact deposit",
        play: |kit, told| Box::pin(moment(kit, told)),
    },
    Row {
        name: "F11 failed",
        what: "the same with FAILED, and the deposit comes while the API says so",
        play: |kit, told| Box::pin(deposit_meanwhile(kit, told)),
    },
    Row {
        name: "F11 retry",
        what: "the API says EXPIRED for long enough to be believed, and opens the payment again; a person retries it",
        play: |kit, told| Box::pin(retried(kit, told)),
    },
];

/// The suite's `end_confirm_after`, and some time to look.
const BELIEVED: u64 = 12;

async fn moment(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    let off_ramp = world.opened("f11", 10).await?;
    world.watch(2).await?;
    if told == Told::Lie {
        world.api.set(&off_ramp.id, "EXPIRED", None)?;
        look(&world, &off_ramp).await?;
        world.api.set(&off_ramp.id, "AWAITING_FUNDS", None)?;
        world.watch(2).await?;
    }
    world.pay(&off_ramp);
    world.completes(&off_ramp, "after a momentary EXPIRED").await?;
    Ok("an exact deposit after the moment was completed".to_owned())
}

async fn deposit_meanwhile(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { keys: Vec::new(), ..Setup::default() }).await?;
    let off_ramp = world.opened("f11-failed", 10).await?;
    world.watch(2).await?;
    if told == Told::Lie {
        world.api.set(&off_ramp.id, "FAILED", None)?;
        look(&world, &off_ramp).await?;
    }
    world.pay(&off_ramp);
    world.watch(4).await?;
    if told == Told::Lie {
        world.api.set(&off_ramp.id, "AWAITING_FUNDS", None)?;
    }
    world.completes(&off_ramp, "after a momentary FAILED").await?;
    Ok("an exact deposit during the moment was completed".to_owned())
}

async fn retried(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    let off_ramp = world.opened("f11-retry", 10).await?;
    world.watch(2).await?;
    if told == Told::Lie {
        world.api.set(&off_ramp.id, "EXPIRED", None)?;
        look(&world, &off_ramp).await?;
        world.watch(BELIEVED).await?;
        world.api.set(&off_ramp.id, "AWAITING_FUNDS", None)?;
        let retry = world.program.request("/v1/resolve", retry(&off_ramp)).await?;
        if let Reply::Refused(why) = retry {
            return broken(format!("a person may not retry a payment that the API has opened again: {why}"));
        }
        world.watch(2).await?;
    }
    world.pay(&off_ramp);
    world.completes(&off_ramp, "after a person's retry").await?;
    Ok("retry works, and an exact deposit afterwards was completed".to_owned())
}

fn retry(off_ramp: &OffRamp) -> serde_json::Value {
    json!({ "action": "retry", "payment": off_ramp.id, "reason": "look at it now" })
}

/// Has the program look at the payment at the API, and waits until it has.
async fn look(world: &World, off_ramp: &OffRamp) -> Result<(), Stop> {
    let before = world.at_api(off_ramp)?.tally.gets;
    world.program.request("/v1/resolve", retry(off_ramp)).await?.done("looking at a payment again")?;
    let looked =
        within(Duration::from_secs(10), async || world.at_api(off_ramp).is_ok_and(|now| now.tally.gets > before));
    if looked.await { Ok(()) } else { broken("it did not look at a payment that a person wants looked at") }
}
