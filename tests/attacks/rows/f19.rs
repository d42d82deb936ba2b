//! F19: a second endpoint of another chain keeps the program from starting.

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::Setup;
use crate::world::program::Started;
use crate::world::{World, lies};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "F19",
    what: "the second of three nodes is another chain's when the program starts",
    play: |kit, told| Box::pin(play(kit, told)),
}];

async fn play(kit: Kit, told: Told) -> Played {
    let mut world = World::new(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    if told == Told::Lie {
        world.endpoints[1].lie(lies::other_chain());
    }
    match world.program.try_start().await? {
        Started::Up => {}
        Started::Ended { code, words } if words.contains("chain") && !words.contains("no such key") => {
            let last = words.rsplit(" / ").next().unwrap_or_default();
            return broken(format!("it did not start (exit {}): {last}", code.unwrap_or_default()));
        }
        Started::Ended { code, words } => {
            return Err(Stop::Fault(format!("it did not start (exit {code:?}): {words}")));
        }
    }
    let off_ramp = world.opened("f19", 20).await?;
    world.fund(&off_ramp).await?;
    world.completes(&off_ramp, "beside a node of another chain").await?;
    Ok("it started, paid and completed beside the other chain's node".to_owned())
}
