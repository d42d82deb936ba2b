//! F14: slow strangers keep everybody else out.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::World;
use crate::world::config::Setup;

pub(crate) const ROWS: &[Row] = &[Row {
    name: "F14",
    what: "200 connections without a token send a byte each second; the wallet is to be paused",
    play: |kit, told| Box::pin(play(kit, told)),
}];

/// How many there are.
const CONNECTIONS: usize = 200;

async fn play(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    let off_ramp = world.opened("f14", 10).await?;
    let mut slow = Vec::new();
    if told == Told::Lie {
        for _ in 0..CONNECTIONS {
            let address = world.program.address();
            slow.push(tokio::spawn(async move {
                loop {
                    drip(address).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }));
        }
    }
    world.watch(8).await?;
    let (mut healthy, mut looks) = (0, 0);
    for _ in 0..5 {
        let (ready, _) = world.program.readiness().await;
        (healthy, looks) = (healthy + u32::from(ready), looks + 1);
    }
    let (paused, said) = world.program.run(&["wallet", "pause", "--reason", "strangers at the door"]).await?;
    world.pay(&off_ramp);
    world.completes(&off_ramp, "among slow strangers").await?;
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    if !paused {
        return broken(format!("the wallet could not be paused: {said}"));
    }
    if healthy < looks {
        return broken(format!("its health was told {healthy} times of {looks}"));
    }
    Ok(format!("the wallet was paused, and its health told {healthy} times of {looks}"))
}

/// One connection that sends as little as it can, until it is closed.
async fn drip(address: std::net::SocketAddr) {
    let Ok(mut connection) = TcpStream::connect(address).await else { return };
    if connection.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await.is_err() {
        return;
    }
    while connection.write_all(b"a").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
