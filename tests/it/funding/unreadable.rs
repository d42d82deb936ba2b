//! A record of an order that does not read: what it spent, and what it may still send, is not known.

use std::sync::Arc;

use rampwatch::domain::order::OrderState;
use rampwatch::domain::time::Span;

use super::bench::{end, fund, mined_nonces, open, order, rules, setup, until, wallet_opened};
use super::stores::copy;
use crate::anvil::world::{World, usdc};
use crate::store::raw;
use crate::support::{store_in, temp_dir};

/// Two orders wait for the end of a pause, and one of them does not read any more: when the wallet goes on, the other is not signed
/// either, until a backup is restored; then both are paid, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s13_nothing_is_signed_while_an_order_does_not_read() {
    let mut rules = rules();
    rules.pace.hold_check = Span::from_millis(100);
    let mut world = World::start(setup(rules)).await;
    world.crash().await;
    let (folder, backup) = (temp_dir(), temp_dir());
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    wallet_opened(&world).await;
    world.handle().pause_wallet("two orders are to wait").await.unwrap();
    let (first, second) = (open(&world, usdc(10)).await, open(&world, usdc(20)).await);
    fund(&world, &first).await.unwrap();
    fund(&world, &second).await.unwrap();
    world.crash().await;
    copy(folder.path(), backup.path());
    let key = [b"O".as_slice(), first.id.as_str().as_bytes(), &[0], &1_u32.to_be_bytes()].concat();
    let good = raw::get(folder.path(), &key).expect("the order is there");
    raw::put(folder.path(), &key, &good[..good.len() / 2]);
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    world.handle().resume_wallet("they may go").await.unwrap();
    until("the wallet stands still, and says why", || async {
        world.health().snapshot().wallet_halted.is_some_and(|why| why.contains("does not read"))
    })
    .await;
    world.mine(3).await;
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(mined_nonces(&world).await, Vec::<u64>::new(), "nothing was sent");
    assert!(world.node().pool().await.unwrap().is_empty(), "and nothing waits to be");
    let state = order(&world, &second).await.state;
    assert!(matches!(state, OrderState::Ready | OrderState::Held { .. }), "{state:?}");
    world.crash().await;
    world.start_engine_on(Arc::new(store_in(backup.path()).await)).await;
    world.handle().resume_wallet("the backup is restored").await.unwrap();
    end(world, &[&first, &second]).await;
}
