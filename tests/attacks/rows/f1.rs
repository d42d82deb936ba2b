//! F1: one node's "it failed" pays again, and gives back what was spent.

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::Setup;
use crate::world::program::Reply;
use crate::world::within::within;
use crate::world::{SOON, World, lies};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F1",
        what: "the first of three nodes says that the wallet's transfer was reverted, and hides its log",
        play: |kit, told| Box::pin(reverted(kit, told, vec!["first", "second", "third"])),
    },
    Row {
        name: "F1 alone",
        what: "the only node says that the wallet's transfer was reverted, and hides its log",
        play: |kit, told| Box::pin(reverted(kit, told, vec!["only"])),
    },
    Row {
        name: "F1 self-send",
        what: "a transfer is cancelled and mined all the same; the first of three nodes says that the self-send was",
        play: |kit, told| Box::pin(self_sent(kit, told)),
    },
    Row {
        name: "F1 by hand",
        what: "somebody has paid by hand, and the first of three nodes hides it when the wallet is to pay, too",
        play: |kit, told| Box::pin(by_hand(kit, told)),
    },
];

/// How long is watched for a second payment. Three came within 15 s.
const WATCHED: u64 = 30;

async fn reverted(kit: Kit, told: Told, endpoints: Vec<&'static str>) -> Played {
    let alone = endpoints.len() == 1;
    let mut world = World::started(&kit, Setup { wallet: true, endpoints, ..Setup::default() }).await?;
    let off_ramp = world.opened("f1", 90).await?;
    if told == Told::Lie {
        world.first().lie(lies::reverted(world.wallet));
    }
    world.fund(&off_ramp).await?;
    if told == Told::Lie {
        world.watch(WATCHED).await?;
        paid_once_and_spent(&world).await?;
        world.be_honest();
        if alone {
            // The only node has contradicted itself: whatever becomes of the order, it is not paid again.
            world.watch(10).await?;
            paid_once_and_spent(&world).await?;
            return Ok("paid once, and it counts as spent".to_owned());
        }
    }
    world.completes(&off_ramp, "after the last lie").await?;
    paid_once_and_spent(&world).await?;
    Ok("paid once, it counts as spent, and is completed".to_owned())
}

async fn paid_once_and_spent(world: &World) -> Result<(), Stop> {
    let (times, units) = world.left_the_wallet();
    let spent = world.spent().await?;
    if times != 1 {
        return broken(format!(
            "an order of 90 was paid {times} times: {units} have left the wallet, {spent} count as spent"
        ));
    }
    if !spent.starts_with("90") {
        return broken(format!("90 have left the wallet, and {spent} of them count as spent"));
    }
    Ok(())
}

async fn self_sent(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    let off_ramp = world.opened("f1-self-send", 90).await?;
    world.watch(4).await?;
    world.chain.hold(true);
    let order = world.fund(&off_ramp).await?;
    if !within(SOON, async || world.chain.waiting() == 1).await {
        return broken(format!("an order was not sent within {} s", SOON.as_secs()));
    }
    if told == Told::Lie {
        world.first().lie(lies::self_sent(world.wallet));
        let id = order["id"].as_str().unwrap_or_default();
        world.program.decide(&format!("/v1/orders/{id}/cancel")).await?.done("cancelling a transfer that waits")?;
        // Its self-send is signed meanwhile, and nobody takes it.
        world.watch(4).await?;
        world.chain.hold(false);
        world.watch(WATCHED).await?;
        // Were it over, somebody would fund the payment again.
        if let Reply::Done(_) = world.try_fund(&off_ramp).await? {
            world.watch(15).await?;
        }
        paid_once_and_spent(&world).await?;
        world.be_honest();
    }
    world.chain.hold(false);
    world.completes(&off_ramp, "after the last lie").await?;
    paid_once_and_spent(&world).await?;
    Ok("paid once, it counts as spent, and is completed".to_owned())
}

async fn by_hand(kit: Kit, told: Told) -> Played {
    let setup = Setup { wallet: true, second_reading_after: "60s", ..Setup::default() };
    let mut world = World::started(&kit, setup).await?;
    let off_ramp = world.opened("f1-by-hand", 90).await?;
    world.watch(4).await?;
    if told == Told::Lie {
        world.first().lie(lies::hidden());
        world.pay(&off_ramp);
    }
    world.watch(14).await?;
    world.fund(&off_ramp).await?;
    if told == Told::Lie {
        world.watch(10).await?;
        let (times, units) = world.left_the_wallet();
        if times > 0 {
            return broken(format!("a stranger had paid 90, and the wallet paid {units} too"));
        }
        world.be_honest();
    }
    world.completes(&off_ramp, "after the last lie").await?;
    Ok("paid once, and completed".to_owned())
}
