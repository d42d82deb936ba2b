//! F7: rules that were tightened do not hold for orders that were placed before.

use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::{Setup, soon_ended};
use crate::world::within::within;
use crate::world::{SOON, World};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F7",
        what: "the wallet is paused, an order of 90 placed, the recipient taken off the list, the wallet resumed",
        play: |kit, told| Box::pin(play(kit, told, Stage::Placed, Tightened::List)),
    },
    Row {
        name: "F7 limit",
        what: "the same with limits of 10 from then on",
        play: |kit, told| Box::pin(play(kit, told, Stage::Placed, Tightened::Limits)),
    },
    Row {
        name: "F7 signed",
        what: "the recipient is taken off the list while the signed transfer waits in every pool",
        play: |kit, told| Box::pin(play(kit, told, Stage::Signed, Tightened::List)),
    },
];

/// How far the order has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Placed,
    Signed,
}

/// What is tightened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tightened {
    List,
    Limits,
}

fn rules(allowed: &str, limit: u64) -> Setup {
    let keys = vec![soon_ended(), ("funding", "allowed_recipients", format!("[\"{allowed}\"]"))];
    Setup { wallet: true, limit, keys, ..Setup::default() }
}

async fn play(kit: Kit, told: Told, stage: Stage, tightened: Tightened) -> Played {
    let before = rules("recipient-f7", 100);
    let mut world = World::started(&kit, before.clone()).await?;
    let off_ramp = world.open_of("f7", 90, "recipient-f7")?;
    world.add(&off_ramp).await?;
    match stage {
        Stage::Placed => {
            let why = json!({ "reason": "something is wrong" });
            world.program.insist("/v1/wallet/pause", why, SOON).await?.done("pausing the wallet")?;
            world.fund(&off_ramp).await?;
        }
        Stage::Signed => {
            world.chain.stand_still(true);
            world.fund(&off_ramp).await?;
            if !within(SOON, async || world.chain.waiting() > 0).await {
                return broken("the order was not signed");
            }
        }
    }
    let after = match (told, tightened) {
        (Told::Truth, _) => before,
        (Told::Lie, Tightened::List) => rules("recipient-other", 100),
        (Told::Lie, Tightened::Limits) => rules("recipient-f7", 10),
    };
    world.restart(&after).await?;
    match stage {
        Stage::Placed => {
            let why = json!({ "reason": "it is over" });
            world.program.insist("/v1/wallet/resume", why, SOON).await?.done("resuming the wallet")?;
        }
        // Time enough to replace what waits.
        Stage::Signed => world.watch(20).await?,
    }
    world.chain.stand_still(false);
    if told == Told::Truth {
        world.completes(&off_ramp, "under the same rules").await?;
        return Ok("under the same rules it was paid and completed".to_owned());
    }
    world.watch(20).await?;
    let (times, units) = world.left_the_wallet();
    if times > 0 {
        return broken(format!("{units} left, which the rules in force forbid"));
    }
    let state = world.orders(&off_ramp).await?.first().map(|order| order["state"].to_string()).unwrap_or_default();
    Ok(format!("nothing left; the order: {state}"))
}
