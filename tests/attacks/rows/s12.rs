//! S12: one node's count of nonces halts the wallet, and strands it once it is adopted.

use std::time::Duration;

use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::Setup;
use crate::world::program::Reply;
use crate::world::within::within;
use crate::world::{SOON, World, lies};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "S12",
        what: "the first of three nodes counts seven transactions more, when an order is to be sent",
        play: |kit, told| Box::pin(play(kit, told, vec!["first", "second", "third"])),
    },
    Row {
        name: "S12 opening",
        what: "the first of three nodes counts seven transactions more while the wallet is opened",
        play: |kit, told| Box::pin(opening(kit, told)),
    },
    Row {
        name: "S12 too low",
        what: "the first of three nodes says that an order's nonce is consumed, while its transfer waits",
        play: |kit, told| Box::pin(too_low(kit, told)),
    },
    Row {
        name: "S12 adopt",
        what: "the only node counts seven transactions more, and a person adopts the wallet meanwhile",
        play: |kit, told| Box::pin(play(kit, told, vec!["only"])),
    },
];

/// How many transactions too many.
const MORE: u64 = 7;

/// The wallet is new, and its first order comes when the lie is over. Nobody adopts anything.
async fn opening(kit: Kit, told: Told) -> Played {
    let mut world = World::new(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    if told == Told::Lie {
        world.first().lie(lies::more_nonces(world.wallet, MORE));
    }
    world.program.start().await?;
    world.watch(if told == Told::Lie { 6 } else { 2 }).await?;
    world.be_honest();
    let off_ramp = world.opened("s12-opening", 10).await?;
    let mut taken = false;
    within(SOON, async || {
        taken = matches!(world.try_fund(&off_ramp).await, Ok(Reply::Done(_)));
        taken
    })
    .await;
    if !taken || !within(SOON, async || world.left_the_wallet().0 > 0).await {
        let wallet = world.program.show("/v1/wallet").await?;
        return broken(format!("nothing is sent: {}", wallet["halted"].as_str().unwrap_or("it is not halted")));
    }
    world.completes(&off_ramp, "after the last lie").await?;
    Ok("the wallet was opened when the nodes agreed, and paid".to_owned())
}

/// Nobody adopts anything.
async fn too_low(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    let off_ramp = world.opened("s12-too-low", 20).await?;
    world.watch(4).await?;
    if told == Told::Lie {
        world.first().lie(lies::nonce_too_low());
    }
    world.chain.hold(true);
    world.fund(&off_ramp).await?;
    world.watch(20).await?;
    world.be_honest();
    world.chain.hold(false);
    if !within(SOON, async || world.left_the_wallet().0 > 0).await {
        let wallet = world.program.show("/v1/wallet").await?;
        return broken(format!("nothing is sent: {}", wallet["halted"].as_str().unwrap_or("it is not halted")));
    }
    world.completes(&off_ramp, "after the last lie").await?;
    let wallet = world.program.show("/v1/wallet").await?;
    match wallet["halted"].as_str() {
        None => Ok("the order was paid and completed".to_owned()),
        Some(why) => broken(format!("the wallet is halted: {why}")),
    }
}

async fn play(kit: Kit, told: Told, endpoints: Vec<&'static str>) -> Played {
    let alone = endpoints.len() == 1;
    let mut world = World::started(&kit, Setup { endpoints, wallet: true, ..Setup::default() }).await?;
    let before = world.opened("s12-before", 10).await?;
    world.fund(&before).await?;
    world.completes(&before, "before any lie").await?;
    let off_ramp = world.opened("s12", 20).await?;
    let mut adopted = "";
    if told == Told::Lie {
        world.first().lie(lies::more_nonces(world.wallet, MORE));
        world.fund(&off_ramp).await?;
        world.watch(8).await?;
        if alone && let Reply::Done(_) = world.program.decide("/v1/wallet/adopt").await? {
            adopted = ", after adopting on its word";
            world.watch(4).await?;
        }
        world.be_honest();
        // Whoever was not let adopt says what is true, and may then; where nothing is halted, nobody has to.
        if alone && adopted.is_empty() {
            let typed =
                json!({ "reason": "as a block explorer shows it", "next_nonce": world.chain.nonce(world.wallet) });
            world.program.insist("/v1/wallet/adopt", typed, Duration::from_secs(5)).await?;
        }
    } else {
        world.fund(&off_ramp).await?;
    }
    let paid = within(SOON, async || world.left_the_wallet().0 > 1).await;
    if !paid {
        let wallet = world.program.show("/v1/wallet").await?;
        let (next, true_next) = (&wallet["next_nonce"], world.chain.nonce(world.wallet));
        let halted = wallet["halted"].as_str().unwrap_or("it is not halted");
        return broken(format!(
            "the wallet is stranded{adopted}: its next nonce is {next}, on the chain {true_next}, {} wait in the pool; {halted}",
            world.chain.waiting()
        ));
    }
    world.completes(&off_ramp, "after the last lie").await?;
    Ok("the order was paid and completed".to_owned())
}
