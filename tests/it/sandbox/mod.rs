//! The rehearsal pieces themselves: if these lied, every test that stands on them would.

mod audit;
mod chain;
mod changes;
mod demo;
mod desk;
mod fake_api;
mod faults;
mod keys;
mod pool;
pub(crate) mod rogue;
mod token;
mod wallet;
mod whole;

use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::sandbox::{Anvil, AnvilOptions, Node};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A furnished chain that mines on command.
async fn furnished() -> Anvil {
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    anvil.node().furnish().await.unwrap();
    anvil
}

/// Whole USDC.
fn usdc(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

/// An address that nobody uses.
fn stranger(number: u8) -> Address {
    Address::repeat_byte(0xA0 + number)
}

/// Mines a block and gives the receipt of a transaction that must be in it.
async fn mine_for(node: &Node, tx_hash: rampwatch::domain::chain::B256) -> rampwatch::sandbox::Receipt {
    node.mine(1).await.unwrap();
    node.mined(tx_hash, LIMIT).await.unwrap()
}
