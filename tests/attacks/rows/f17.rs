//! F17: who may stop the wallet, and who may start it.

use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::World;
use crate::world::config::Setup;
use crate::world::program::Reply;

pub(crate) const ROWS: &[Row] = &[Row {
    name: "F17",
    what: "bob, who may only approve, stops the wallet, and alice, who may only operate, lets it go on",
    play: |kit, told| Box::pin(play(kit, told)),
}];

async fn play(kit: Kit, told: Told) -> Played {
    let tokens = vec![("alice", r#""read", "operate""#), ("bob", r#""read", "approve""#)];
    let mut world = World::started(&kit, Setup { wallet: true, tokens, ..Setup::default() }).await?;
    let why = json!({ "reason": "something is wrong" });
    world.watch(3).await?;
    let by = if told == Told::Lie { "bob" } else { "local" };
    let paused = world.program.request_as(by, "/v1/wallet/pause", why.clone()).await?;
    if let Reply::Refused(why) = paused {
        return broken(format!("{by} may not stop the wallet: {why}"));
    }
    if told == Told::Lie {
        let resumed = world.program.request_as("alice", "/v1/wallet/resume", why.clone()).await?;
        if matches!(resumed, Reply::Done(_)) {
            return broken("alice, who may only operate, lets the wallet go on that bob has stopped");
        }
    }
    world.program.request_as(by, "/v1/wallet/resume", why).await?.done("resuming the wallet")?;
    let off_ramp = world.opened("f17", 10).await?;
    world.fund(&off_ramp).await?;
    world.completes(&off_ramp, "after the pause").await?;
    Ok("whoever may approve stopped the wallet and let it go on; then it paid".to_owned())
}
