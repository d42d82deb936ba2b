//! Item 5 of the same issue: a market above the fee ceiling, and transactions that the nodes forget, never jam the wallet.

use std::time::Duration;

use serde_json::Value;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::World;
use crate::world::config::Setup;
use crate::world::within::within;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "fee-ceiling",
        what: "the market goes above the ceiling, the nodes forget two signed transfers, and it comes down again",
        play: |kit, told| Box::pin(play(kit, told, false)),
    },
    Row {
        name: "fee-ceiling cancel",
        what: "the same, and the first of the two is cancelled while no node takes its self-send",
        play: |kit, told| Box::pin(play(kit, told, true)),
    },
];

/// The name of the hold.
const NAME: &str = "fee-ceiling";

async fn play(kit: Kit, told: Told, cancels: bool) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, max_fee_gwei: 100, ..Setup::default() }).await?;
    let first = world.opened("fees-first", 20).await?;
    let second = world.opened("fees-second", 20).await?;
    world.watch(3).await?;
    world.chain.hold(true);
    let order = world.fund(&first).await?;
    world.fund(&second).await?;
    let both_wait = within(Duration::from_secs(20), async || world.chain.waiting() == 2).await;
    if !both_wait {
        return broken("two orders were placed, and not both were sent within 20 s");
    }
    if told == Told::Lie {
        world.chain.set_market(200);
        world.chain.hold(false);
        if cancels {
            let id = order["id"].as_str().unwrap_or_default();
            world.program.decide(&format!("/v1/orders/{id}/cancel")).await?.done("cancelling a transfer that waits")?;
        }
        world.watch(20).await?;
        for off_ramp in [&first, &second] {
            // Between two looks it may say for a moment what the nodes have just said.
            let mut said = Value::Null;
            let named = within(Duration::from_secs(5), async || {
                said = world.orders(off_ramp).await.ok().and_then(|mut orders| orders.pop()).unwrap_or_default();
                said["hold"] == NAME
            });
            if !named.await {
                let text = said["text"].as_str().unwrap_or_default();
                return broken(format!("an order waits for the market by another name than {NAME}: {text}"));
            }
        }
        world.chain.set_market(30);
    }
    world.chain.hold(false);
    let withdrawn = cancels && told == Told::Lie;
    if !withdrawn {
        world.completes(&first, "after the market came down").await?;
    }
    world.completes(&second, "after the market came down").await?;
    let (times, units) = world.left_the_wallet();
    if times != if withdrawn { 1 } else { 2 } {
        return broken(format!("two orders of 20 came to {times} transfers of {units} together"));
    }
    let first = if withdrawn { "the first was withdrawn" } else { "both were paid" };
    Ok(format!("the orders waited by name and were offered again; {first}, and nothing was lost"))
}
