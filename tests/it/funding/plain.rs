//! What should happen, happens.

use rampwatch::domain::order::{OrderOutcome, OrderState};

use super::bench::{assert_laws, fund, open, order, rules, setup, until_all_ended, wallet_opened};
use crate::anvil::world::{World, usdc};

#[tokio::test(flavor = "multi_thread")]
async fn an_off_ramp_is_funded_and_completed() {
    let mut world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(250)).await;
    fund(&world, &off_ramp).await.unwrap();
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
