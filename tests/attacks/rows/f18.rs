//! F18: a head of tomorrow ends orders.

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::World;
use crate::world::config::Setup;

pub(crate) const ROWS: &[Row] = &[Row {
    name: "F18",
    what: "the first of two nodes says that its newest block is of tomorrow, when an order is to be sent",
    play: |kit, told| Box::pin(play(kit, told)),
}];

async fn play(kit: Kit, told: Told) -> Played {
    let setup = Setup { endpoints: vec!["first", "second"], wallet: true, ..Setup::default() };
    let mut world = World::started(&kit, setup).await?;
    let off_ramp = world.opened("f18", 20).await?;
    world.watch(3).await?;
    if told == Told::Lie {
        world.first().lie(crate::world::lies::future_head());
    }
    world.fund(&off_ramp).await?;
    world.watch(10).await?;
    world.be_honest();
    let order = world.orders(&off_ramp).await?.pop().unwrap_or_default();
    let (times, _) = world.left_the_wallet();
    if order["state"] == "ended" && times == 0 {
        return broken(format!("one node's clock ended the order: {}", order["text"].as_str().unwrap_or_default()));
    }
    world.completes(&off_ramp, "after the last lie").await?;
    Ok("the order was paid and completed".to_owned())
}
