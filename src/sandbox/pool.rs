//! What waits to be mined on the sandbox's chain: looked at, dropped, sent again; and the price of the next block.
//!
//! Anvil's pool is harsher than those of Polygon's nodes, which is good in a rehearsal and good to know. A transaction
//! whose cap is below the base fee of the block that is mined is thrown out, not kept, and so is one whose sender cannot
//! pay; with a transaction that is dropped, those that were ready after it go too; after a reorg a transaction whose
//! predecessors went away counts as ready until the next block, which throws it out. The rule of Polygon's nodes
//! that a replacement offers a tenth more is absent: anvil takes any higher cap.

use std::collections::BTreeMap;

use alloy::primitives::{U64, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::wei;
use super::chain::Node;
use super::error::{Result, SandboxError};
use crate::domain::chain::{Address, B256};
use crate::domain::wei::Wei;

/// A transaction that waits in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub from: Address,
    /// Its place among the account's transactions.
    pub nonce: u64,
    /// Which transaction.
    pub tx_hash: B256,
    /// The most it offers for a unit of gas.
    pub cap: Wei,
    /// What it offers the block's producer for a unit of gas.
    pub tip: Wei,
    /// Whether the next block can hold it; otherwise a lower nonce is missing.
    pub is_ready: bool,
}

#[derive(Deserialize)]
struct Content {
    pending: BTreeMap<Address, BTreeMap<String, Pooled>>,
    queued: BTreeMap<Address, BTreeMap<String, Pooled>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pooled {
    hash: B256,
    from: Address,
    nonce: U64,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
}

impl Pooled {
    fn waiting(&self, is_ready: bool) -> Waiting {
        let price = self.gas_price.unwrap_or_default();
        Waiting {
            from: self.from,
            nonce: self.nonce.to(),
            tx_hash: self.hash,
            cap: wei(self.max_fee_per_gas.unwrap_or(price)),
            tip: wei(self.max_priority_fee_per_gas.unwrap_or(price)),
            is_ready,
        }
    }
}

impl Node {
    /// What waits in the pool, by account and nonce.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn pool(&self) -> Result<Vec<Waiting>> {
        let content: Content = self.rpc.call("txpool_content", json!([])).await?;
        let list = |part: &BTreeMap<Address, BTreeMap<String, Pooled>>, is_ready| -> Vec<Waiting> {
            part.values().flat_map(BTreeMap::values).map(|pooled| pooled.waiting(is_ready)).collect()
        };
        let mut all = list(&content.pending, true);
        all.extend(list(&content.queued, false));
        all.sort_by_key(|waiting| (waiting.from, waiting.nonce));
        Ok(all)
    }

    /// Drops a transaction from the pool, and with it those of the same account that were ready to follow it.
    ///
    /// # Errors
    /// When it does not wait there, or the node does not answer.
    pub async fn drop_transaction(&self, tx_hash: B256) -> Result<()> {
        let dropped: Option<Value> = self.rpc.call("anvil_dropTransaction", json!([tx_hash])).await?;
        if dropped.is_some() {
            return Ok(());
        }
        Err(SandboxError::Transaction { tx_hash, why: "it does not wait in the pool".to_owned() })
    }

    /// Drops all transactions of one account from the pool.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn drop_transactions_of(&self, account: Address) -> Result<()> {
        self.rpc.command("anvil_removePoolTransactions", json!([account])).await
    }

    /// Drops everything from the pool.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn drop_all_transactions(&self) -> Result<()> {
        self.rpc.command("anvil_dropAllTransactions", json!([])).await
    }

    /// Sets the base fee of the next block, and of what the node refuses until then: "max fee per gas less than block
    /// base fee". The blocks after it go by EIP-1559 again: an empty one takes an eighth off.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn set_next_base_fee(&self, base_fee: Wei) -> Result<()> {
        self.rpc.command("anvil_setNextBlockBaseFeePerGas", json!([U256::from(base_fee.get())])).await
    }

    /// Mines so many blocks, all at this base fee, with what waits in the first that can hold it.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn mine_at(&self, base_fee: Wei, blocks: u64) -> Result<()> {
        for _ in 0..blocks {
            self.set_next_base_fee(base_fee).await?;
            self.mine(1).await?;
        }
        self.set_next_base_fee(base_fee).await
    }
}
