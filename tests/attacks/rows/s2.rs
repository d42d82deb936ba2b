//! S2: where an address is read from is found by one node's block times.

use rampwatch::sandbox::fake_api::NewOffRamp;

use crate::kit::Kit;
use crate::row::{Played, Row, Told};
use crate::world::config::Setup;
use crate::world::{World, amount, lies, moment, payment_id};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "S2",
    what: "the first of three nodes says that old blocks are a day older: a deposit made before the payment was added",
    play: |kit, told| Box::pin(play(kit, told)),
}];

/// How many blocks ago the deposit was made, and how many seconds before that the payment was created.
const EARLY: u64 = 400;

async fn play(kit: Kit, told: Told) -> Played {
    let mut world = World::new(&kit, Setup::default()).await?;
    let off_ramp = world.open_as(NewOffRamp {
        id: Some(payment_id("s2")?),
        amount: amount(10),
        created_at: Some(moment(world.chain.clock() - EARLY - 100)),
        expires_at: Some(moment(world.chain.clock() + 3_600)),
        ..NewOffRamp::default()
    })?;
    world.chain.pay_in_the_past(off_ramp.deposit_address, off_ramp.amount.base_units(), EARLY);
    if told == Told::Lie {
        world.first().lie(lies::older_blocks());
    }
    world.program.start().await?;
    world.add(&off_ramp).await?;
    world.watch(10).await?;
    world.be_honest();
    world.completes(&off_ramp, "of the last lie").await?;
    Ok("the early deposit was found and completed".to_owned())
}
