//! Shadow mode with a wallet: orders are checked and stay ready, and nothing is signed before it is over.

use std::time::Duration;

use rampwatch::domain::order::{OrderOutcome, OrderState};
use rampwatch::domain::record::RecordKind;
use rampwatch::policy::shadow::Mode;

use super::bench::{assert_laws, fund, open, order, rules, setup, until_all_ended, wallet_opened};
use crate::anvil::world::{LIMIT, World, usdc};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stays_ready_and_is_sent_once_shadow_mode_is_over() {
    let mut shadowed = setup(rules());
    shadowed.engine.mode = Mode::Shadow;
    let mut world = World::start(shadowed).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(250)).await;
    fund(&world, &off_ramp).await.unwrap();
    let would = || async { !world.store().records_page(RecordKind::Shadow, None, 9).await.unwrap().is_empty() };
    eventually(LIMIT, "it is said what would be sent", would).await;
    // It may be held for a moment while the chain is read up to the head.
    let ready = async {
        loop {
            let order = order(&world, &off_ramp).await;
            if order.state == OrderState::Ready {
                break order;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let before = tokio::time::timeout(LIMIT, ready).await.expect("it is ready");
    assert_eq!(before.attempts.len(), 0);
    let looked = || async { order(&world, &off_ramp).await.next_at > before.next_at };
    eventually(LIMIT, "it is checked again", looked).await;
    assert_eq!(world.store().records_page(RecordKind::Shadow, None, 9).await.unwrap().len(), 1, "said once");
    assert!(world.node().pool().await.unwrap().is_empty(), "nothing was given to the node");
    let view = world.handle().show_order(&before.id.to_string()).await.unwrap();
    assert!(serde_json::to_string(&view).unwrap().contains("shadow"), "{view:?}");

    world.crash().await;
    world.setup.engine.mode = Mode::Real;
    world.start_engine().await;
    until_all_ended(&world).await;
    let order = order(&world, &off_ramp).await;
    let OrderState::Ended { outcome: OrderOutcome::Paid { tx_hash, .. }, .. } = order.state else {
        panic!("it is paid, not {:?}", order.state);
    };
    world.until_completed(&[&off_ramp]).await;
    assert_laws(&world, &[&off_ramp]).await;
    world.assert_completions(&[(&off_ramp, tx_hash)]);
    world.end_whatever_was_completed().await;
}
