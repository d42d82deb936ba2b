//! S3: a deposit that one node invents is completed.

use alloy::primitives::{Address, keccak256};

use crate::kit::Kit;
use crate::row::{Played, Row, Told};
use crate::world::chain::Moved;
use crate::world::config::Setup;
use crate::world::{World, lies};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "S3",
        what: "the first of three nodes shows a deposit that nobody made, log, receipt and all",
        play: |kit, told| Box::pin(play(kit, told, Setup::default(), false)),
    },
    Row {
        name: "S3 operator",
        what: "the first two of three nodes, which one operator runs, show a deposit that nobody made",
        play: |kit, told| {
            let setup = Setup { operators: vec!["one", "one", "another"], ..Setup::default() };
            Box::pin(play(kit, told, setup, false))
        },
    },
    Row {
        name: "S3 true deposit",
        what: "the same, and afterwards the true deposit comes",
        play: |kit, told| Box::pin(play(kit, told, Setup::default(), true)),
    },
];

async fn play(kit: Kit, told: Told, setup: Setup, comes: bool) -> Played {
    let mut world = World::started(&kit, setup.clone()).await?;
    let off_ramp = world.opened("s3", 10).await?;
    world.watch(3).await?;
    if told == Told::Lie {
        let from = Address::repeat_byte(0x66);
        let moved = Moved { from, to: off_ramp.deposit_address, amount: off_ramp.amount.base_units() };
        let tx_hash = keccak256("a transaction that nobody made");
        let at = world.chain.head();
        world.first().lie(lies::invented_deposit(tx_hash, moved, at));
        for (endpoint, operator) in world.endpoints.iter().zip(&setup.operators) {
            if setup.operators.first() == Some(operator) {
                endpoint.lie(lies::invented_deposit(tx_hash, moved, at));
            }
        }
        for _ in 0..5 {
            world.watch(5).await?;
            world.is_completed(&off_ramp)?;
        }
        world.be_honest();
        if !comes {
            world.watch(5).await?;
            world.is_completed(&off_ramp)?;
            return Ok("nothing was completed".to_owned());
        }
    }
    world.pay(&off_ramp);
    world.completes(&off_ramp, "of the true deposit").await?;
    Ok("the true deposit was completed, and nothing else".to_owned())
}
