//! F3: one wrong number for what is final ends all sweeping.

use std::time::Duration;

use tokio::time::Instant;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::Setup;
use crate::world::within::within;
use crate::world::{SOON, World, lies};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F3",
        what: "the first of two nodes once says that a block 400 million further is final",
        play: |kit, told| Box::pin(far_once(kit, told, vec!["first", "second"])),
    },
    Row {
        name: "F3 alone",
        what: "the only node once says that a block 400 million further is final",
        play: |kit, told| Box::pin(far_once(kit, told, vec!["only"])),
    },
    Row {
        name: "F3 poison",
        what: "the first of two nodes shows 400 million invented blocks for 30 s; then honest, and a restart",
        play: |kit, told| Box::pin(poison(kit, told, vec!["first", "second"])),
    },
    Row {
        name: "F3 poison alone",
        what: "the same with one node only",
        play: |kit, told| Box::pin(poison(kit, told, vec!["only"])),
    },
    Row {
        name: "F3 second",
        what: "the second node shows 400 million invented blocks, and the first one fails for a moment",
        play: |kit, told| Box::pin(liar_second(kit, told)),
    },
    Row {
        name: "F3 standing",
        what: "the head of the only node stands still, and with it all sweeping, for twice stall_after",
        play: |kit, told| Box::pin(standing(kit, told)),
    },
];

async fn far_once(kit: Kit, told: Told, endpoints: Vec<&'static str>) -> Played {
    let mut world = World::started(&kit, Setup { endpoints, ..Setup::default() }).await?;
    let during = world.opened("f3-during", 10).await?;
    let after = world.opened("f3-after", 10).await?;
    // Both are watched before anything is said that is not so.
    world.watch(3).await?;
    if told == Told::Lie {
        world.first().lie(lies::far_once());
    }
    world.pay(&during);
    world.watch(8).await?;
    world.be_honest();
    world.pay(&after);
    world.completes(&during, "of the one lie").await?;
    world.completes(&after, "of its payment, long after the one lie").await?;
    Ok("the deposits during and after the lie were completed, without a restart".to_owned())
}

async fn poison(kit: Kit, told: Told, endpoints: Vec<&'static str>) -> Played {
    let mut world = World::started(&kit, Setup { endpoints, ..Setup::default() }).await?;
    let during = world.opened("f3-during", 10).await?;
    let fresh = world.opened("f3-fresh", 10).await?;
    world.watch(3).await?;
    if told == Told::Lie {
        world.first().lie(lies::invented_blocks(true));
        world.pay(&during);
        world.watch(30).await?;
        world.be_honest();
    } else {
        world.pay(&during);
    }
    world.program.stop().await?;
    world.program.start().await?;
    world.watch(3).await?;
    world.pay(&fresh);
    world.completes(&fresh, "of its payment, after the restart").await?;
    world.completes(&during, "after the restart").await?;
    Ok("the deposits during the lie and after the restart were completed".to_owned())
}

async fn liar_second(kit: Kit, told: Told) -> Played {
    let setup = Setup { endpoints: vec!["first", "second"], ..Setup::default() };
    let mut world = World::started(&kit, setup).await?;
    let during = world.opened("f3-during", 10).await?;
    let after = world.opened("f3-after", 10).await?;
    world.watch(3).await?;
    if told == Told::Lie {
        world.endpoints[1].lie(lies::invented_blocks(true));
    }
    world.first().go_down();
    world.pay(&during);
    world.watch(4).await?;
    world.first().be_honest();
    world.watch(15).await?;
    world.be_honest();
    world.pay(&after);
    world.completes(&during, "of the last lie").await?;
    world.completes(&after, "of its payment, after the last lie").await?;
    Ok("the deposits during and after the lie were completed, without a restart".to_owned())
}

async fn standing(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { endpoints: vec!["only"], ..Setup::default() }).await?;
    let off_ramp = world.opened("f3-standing", 10).await?;
    world.watch(5).await?;
    let mut seconds = 0;
    if told == Told::Lie {
        world.first().lie(lies::standing_head(world.chain.head()));
        world.pay(&off_ramp);
        let began = Instant::now();
        let unready = within(Duration::from_secs(45), async || !world.program.readiness().await.0).await;
        seconds = began.elapsed().as_secs();
        if !unready {
            let (_, body) = world.program.readiness().await;
            return broken(format!("/readyz says ready {seconds} s after the last block: {body}"));
        }
        world.be_honest();
    } else {
        world.pay(&off_ramp);
    }
    world.completes(&off_ramp, "after the node went on").await?;
    if !within(SOON, async || world.program.readiness().await.0).await {
        let (_, body) = world.program.readiness().await;
        return broken(format!("/readyz does not say ready again: {body}"));
    }
    Ok(format!("/readyz said so after {seconds} s, and the deposit was completed once the node went on"))
}
