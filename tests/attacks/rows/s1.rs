//! S1: a reading without end.

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::Setup;
use crate::world::{World, lies};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "S1",
    what: "the first of two nodes says that its head is 400 million blocks further, and answers for every one of them",
    play: |kit, told| Box::pin(play(kit, told)),
}];

/// How long it lies, in seconds.
const LIES: u64 = 20;

/// The most readings of logs in that time: it sweeps once a second, and reads some ranges a second time.
const MOST_READINGS: u64 = 500;

/// The most memory that may be added in that time, in MiB.
const MOST_MEMORY: u64 = 100;

async fn play(kit: Kit, told: Told) -> Played {
    let setup = Setup { endpoints: vec!["first", "second"], ..Setup::default() };
    let mut world = World::started(&kit, setup).await?;
    let during = world.opened("s1-during", 10).await?;
    let after = world.opened("s1-after", 10).await?;
    world.watch(5).await?;
    let (asked, memory) = (world.first().asked("eth_getLogs"), world.program.memory().unwrap_or_default());
    if told == Told::Lie {
        world.first().lie(lies::invented_blocks(false));
    }
    world.pay(&during);
    world.watch(LIES).await?;
    let asked = world.first().asked("eth_getLogs") - asked;
    let memory = world.program.memory().unwrap_or_default().saturating_sub(memory);
    world.be_honest();
    if asked > MOST_READINGS || memory > MOST_MEMORY {
        return broken(format!("the liar was asked for logs {asked} times in {LIES} s, and {memory} MiB were added"));
    }
    world.pay(&after);
    world.completes(&during, "of the last lie").await?;
    world.completes(&after, "of its payment, after the last lie").await?;
    Ok(format!("asked for logs {asked} times in {LIES} s, {memory} MiB added; both deposits were completed"))
}
