//! F9 and F15: a stranger's dust.

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::Setup;
use crate::world::within::within;
use crate::world::{SOON, World};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F9",
        what: "a base unit comes to the deposit address before the order is placed",
        play: |kit, told| Box::pin(before(kit, told)),
    },
    Row {
        name: "F9 signed",
        what: "a base unit comes while the signed transfer waits in the pool",
        play: |kit, told| Box::pin(signed(kit, told)),
    },
    Row {
        name: "F15",
        what: "20,000 deposits of a base unit come to one address",
        play: |kit, told| Box::pin(flood(kit, told)),
    },
];

async fn before(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    let off_ramp = world.opened("f9", 90).await?;
    if told == Told::Lie {
        world.chain.pay(off_ramp.deposit_address, 1);
        world.watch(8).await?;
    }
    world.fund(&off_ramp).await?;
    paid(&mut world, &off_ramp, "with dust at its address").await
}

async fn signed(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    let off_ramp = world.opened("f9-signed", 90).await?;
    world.chain.stand_still(true);
    world.fund(&off_ramp).await?;
    if !within(SOON, async || world.chain.waiting() > 0).await {
        return broken("the order was not signed");
    }
    if told == Told::Lie {
        world.chain.pay(off_ramp.deposit_address, 1);
        world.watch(12).await?;
    }
    world.chain.stand_still(false);
    paid(&mut world, &off_ramp, "with dust that came while it waited").await
}

async fn paid(world: &mut World, off_ramp: &rampwatch::sandbox::fake_api::OffRamp, when: &str) -> Played {
    world.completes(off_ramp, when).await?;
    let (times, units) = world.left_the_wallet();
    if (times, units) != (1, 90) {
        return broken(format!("{units} left in {times} transfers"));
    }
    Ok("it was paid once, and completed".to_owned())
}

/// How many deposits.
const FLOOD: u64 = 20_000;

/// How much more memory they may take, in MiB.
const MORE: u64 = 50;

async fn flood(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    let flooded = world.opened("f15-flooded", 90).await?;
    let other = world.opened("f15", 10).await?;
    world.watch(3).await?;
    let at_first = world.program.memory().unwrap_or_default();
    if told == Told::Lie {
        for _ in 0..20 {
            for _ in 0..FLOOD / 20 {
                world.chain.pay(flooded.deposit_address, 1);
            }
            world.watch(1).await?;
        }
        world.watch(20).await?;
    }
    world.pay(&other);
    world.completes(&other, "beside a flood").await?;
    world.pay(&flooded);
    world.completes(&flooded, "after a flood at its own address").await?;
    let more = world.program.memory().unwrap_or_default().saturating_sub(at_first);
    let reviews = world.program.show("/v1/reviews?limit=100").await?;
    let reviews = reviews["items"].as_array().map(Vec::len);
    let reviews = reviews.ok_or_else(|| Stop::Fault("a page of reviews has no items".to_owned()))?;
    if more > MORE || reviews > 1 {
        return broken(format!("{FLOOD} base units took {more} MiB and {reviews} reviews"));
    }
    Ok(format!("both payments were completed; {more} MiB more, {reviews} reviews"))
}
