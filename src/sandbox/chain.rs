//! The sandbox's chain: reading it, mining it, bending it.
//!
//! Transactions are sent with anvil's unlocked accounts, so no key is needed. Tokens are in [`super::token`],
//! accounts in [`super::account`], what waits to be mined in [`super::pool`], reorgs in [`super::reorg`].
//!
//! Deliberately absent: any chain but the sandbox's. [`Node::connect`] refuses a node with another chain id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use alloy::primitives::{Bytes, U64, U256};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::error::{Result, SandboxError};
use super::rpc::{Rpc, quantity};
use super::{CHAIN_ID, DEV_ACCOUNTS, Mining};
use crate::domain::chain::{Address, B256, BlockNumber, BlockRef, Header, Transfer};
use crate::domain::time::Timestamp;

/// How often a condition on the chain is looked at while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A block to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTag {
    /// The head.
    Latest,
    /// The newest final block by anvil's rule.
    Finalized,
    /// The block that would be mined now.
    Pending,
    Number(BlockNumber),
}

impl BlockTag {
    pub(super) fn word(self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Finalized => "finalized".to_owned(),
            Self::Pending => "pending".to_owned(),
            Self::Number(number) => quantity(number),
        }
    }
}

/// A block with the hashes of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedBlock {
    pub header: Header,
    /// Its transactions, in order.
    pub transactions: Vec<B256>,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub tx_hash: B256,
    /// The block that holds it.
    pub block: BlockRef,
    /// Whether it did what it was to do; a reverted one is in a block all the same.
    pub succeeded: bool,
    /// The `Transfer` logs it wrote, of any contract.
    pub transfers: Vec<Transfer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    number: Option<U64>,
    hash: Option<B256>,
    parent_hash: B256,
    timestamp: U64,
    transactions: Vec<B256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    transaction_hash: B256,
    block_number: U64,
    block_hash: B256,
    status: U64,
    logs: Vec<RawLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    log_index: U64,
    block_timestamp: Option<U64>,
}

/// The chain in one anvil. Clones share it.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) rpc: Rpc,
    /// Anvil gives two transactions of one account the same nonce when they come at once: one at a time.
    sending: Arc<Mutex<()>>,
    /// Makes the blocks of each reorg differ from those before.
    pub(super) reorgs: Arc<AtomicU64>,
}

impl Node {
    /// Takes hold of the sandbox's chain at an `http://` address.
    ///
    /// # Errors
    /// When nothing answers there, or the node is no anvil or has another chain id.
    pub async fn connect(url: &str) -> Result<Self> {
        let rpc = Rpc::new(url)?;
        let chain_id: U64 = rpc.call("eth_chainId", json!([])).await?;
        let client: String = rpc.call("web3_clientVersion", json!([])).await?;
        let chain_id = chain_id.to::<u64>();
        if chain_id != CHAIN_ID || !client.starts_with("anvil") {
            return Err(SandboxError::ForeignChain { node: rpc.redacted(), chain_id });
        }
        Ok(Self { rpc, sending: Arc::default(), reorgs: Arc::new(AtomicU64::new(1)) })
    }

    /// Its address for HTTP.
    #[must_use]
    pub fn http_url(&self) -> &Url {
        self.rpc.url()
    }

    /// Its address for websockets: anvil serves both on one port.
    #[must_use]
    pub fn ws_url(&self) -> String {
        self.rpc.url().as_str().replacen("http", "ws", 1)
    }

    /// The number of the head.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn head(&self) -> Result<BlockNumber> {
        let number: U64 = self.rpc.call("eth_blockNumber", json!([])).await?;
        Ok(number.to())
    }

    /// A block; `None` when there is no such block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn block(&self, tag: BlockTag) -> Result<Option<MinedBlock>> {
        let block: Option<RawBlock> = self.rpc.call("eth_getBlockByNumber", json!([tag.word(), false])).await?;
        Ok(block.map(|raw| MinedBlock {
            header: Header {
                block: BlockRef {
                    number: raw.number.map(|number| number.to()).unwrap_or_default(),
                    hash: raw.hash.unwrap_or_default(),
                },
                parent: raw.parent_hash,
                time: Timestamp::from_secs(raw.timestamp.to()),
            },
            transactions: raw.transactions,
        }))
    }

    /// A block that must be there.
    ///
    /// # Errors
    /// When it is not, or the node does not answer.
    pub async fn existing_block(&self, tag: BlockTag) -> Result<MinedBlock> {
        let missing = || SandboxError::Invalid(format!("the sandbox's chain has no block {}", tag.word()));
        self.block(tag).await?.ok_or_else(missing)
    }

    /// Mines `blocks` blocks now, with what waits in the first.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        self.rpc.command("anvil_mine", json!([quantity(blocks)])).await
    }

    /// Mines `blocks` blocks whose times are `seconds` apart.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn mine_spaced(&self, blocks: u64, seconds: u64) -> Result<()> {
        self.rpc.command("anvil_mine", json!([quantity(blocks), quantity(seconds)])).await
    }

    /// Changes when blocks are mined. Millisecond intervals are rounded up to whole seconds here; anvil takes finer
    /// ones only at the start.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn set_mining(&self, mining: Mining) -> Result<()> {
        let seconds = match mining {
            Mining::Every { millis } => millis.div_ceil(1_000),
            Mining::Instant | Mining::OnCommand => 0,
        };
        self.rpc.command("evm_setIntervalMining", json!([seconds])).await?;
        self.rpc.command("evm_setAutomine", json!([mining == Mining::Instant])).await
    }

    /// Sets the time of the next block, in whole seconds. The chain's clock goes on from there.
    ///
    /// # Errors
    /// When it is not after the head's time.
    pub async fn set_next_block_time(&self, time: Timestamp) -> Result<()> {
        self.rpc.command("evm_setNextBlockTimestamp", json!([time.as_secs()])).await
    }

    /// Sets the chain's clock, in whole seconds.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn set_clock(&self, time: Timestamp) -> Result<()> {
        self.rpc.command("evm_setTime", json!([quantity(time.as_secs())])).await
    }

    /// Puts contract code at an address.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn set_code(&self, address: Address, code: &Bytes) -> Result<()> {
        self.rpc.command("anvil_setCode", json!([address, code])).await
    }

    /// The contract code at an address; empty when there is none.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn code(&self, address: Address) -> Result<Bytes> {
        self.rpc.call("eth_getCode", json!([address, "latest"])).await
    }

    /// Keeps the chain as it is now, to come back to with [`Node::revert`].
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn snapshot(&self) -> Result<U256> {
        self.rpc.call("evm_snapshot", json!([])).await
    }

    /// Goes back to a snapshot, which is used up by it. Nobody is told: subscriptions stay silent.
    ///
    /// # Errors
    /// When there is no such snapshot.
    pub async fn revert(&self, snapshot: U256) -> Result<()> {
        if self.rpc.call::<bool>("evm_revert", json!([snapshot])).await? {
            return Ok(());
        }
        Err(SandboxError::Invalid(format!("the sandbox's chain has no snapshot {snapshot}")))
    }

    /// Calls a contract without a transaction. A revert's reason is in the error.
    ///
    /// # Errors
    /// When the call reverts, or the node does not answer.
    pub async fn read(&self, from: Address, to: Address, data: Bytes) -> Result<Bytes> {
        self.rpc.call("eth_call", json!([{ "from": from, "to": to, "data": data }, "latest"])).await
    }

    /// Sends a transaction from one of anvil's accounts. It is not mined yet, and may revert when it is: the gas is
    /// given, not estimated, so that a failing transaction gets into a block as it would on a real chain.
    ///
    /// # Errors
    /// When `from` is not one of anvil's accounts, or the node refuses.
    pub async fn send(&self, from: Address, to: Address, data: Bytes, gas: u64) -> Result<B256> {
        if !DEV_ACCOUNTS.contains(&from) {
            return Err(SandboxError::NotOurAccount(from));
        }
        let request = json!([{ "from": from, "to": to, "data": data, "gas": quantity(gas) }]);
        let _one_at_a_time = self.sending.lock().await;
        self.rpc.call("eth_sendTransaction", request).await
    }

    /// What became of a transaction; `None` while it is in no block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>> {
        let receipt: Option<RawReceipt> = self.rpc.call("eth_getTransactionReceipt", json!([tx_hash])).await?;
        Ok(receipt.map(Receipt::from))
    }

    /// Waits until a transaction is in a block.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn mined(&self, tx_hash: B256, limit: Duration) -> Result<Receipt> {
        let look = async {
            loop {
                if let Some(receipt) = self.receipt(tx_hash).await? {
                    return Ok(receipt);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let late = |_| SandboxError::TooLate { what: format!("{tx_hash} in a block"), seconds: limit.as_secs() };
        tokio::time::timeout(limit, look).await.map_err(late)?
    }

    /// Waits until a transaction is in a block and has worked.
    ///
    /// # Errors
    /// When it is not within `limit`, or has reverted.
    pub async fn succeeded(&self, tx_hash: B256, limit: Duration) -> Result<Receipt> {
        let receipt = self.mined(tx_hash, limit).await?;
        if receipt.succeeded {
            return Ok(receipt);
        }
        Err(SandboxError::Transaction { tx_hash, why: "it is in a block, and reverted".to_owned() })
    }

    /// Waits until `block` and all below it are final by anvil's rule. Mines nothing.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn final_at(&self, block: BlockNumber, limit: Duration) -> Result<()> {
        let look = async {
            loop {
                let finalized = self.block(BlockTag::Finalized).await?;
                if finalized.is_some_and(|found| found.header.block.number >= block) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let late = |_| SandboxError::TooLate { what: format!("block {block} final"), seconds: limit.as_secs() };
        tokio::time::timeout(limit, look).await.map_err(late)?
    }

    /// The signed bytes of a transaction, to send it again or to put it in another block; `None` when the node has
    /// forgotten it.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn raw_transaction(&self, tx_hash: B256) -> Result<Option<Bytes>> {
        self.rpc.call("eth_getRawTransactionByHash", json!([tx_hash])).await
    }

    /// Sends signed bytes, whoever signed them, and however often they were sent before.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn send_raw(&self, raw: &Bytes) -> Result<B256> {
        self.rpc.call("eth_sendRawTransaction", json!([raw])).await
    }

    /// Calls any other method, for what has no function here.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.rpc.call(method, params).await
    }

    /// The transactions of the blocks above `block`, with their block's number, in order.
    pub(super) async fn transactions_above(&self, block: BlockNumber) -> Result<BTreeMap<BlockNumber, Vec<B256>>> {
        let head = self.head().await?;
        let mut found = BTreeMap::new();
        for number in block.saturating_add(1)..=head {
            let mined = self.existing_block(BlockTag::Number(number)).await?;
            found.insert(number, mined.transactions);
        }
        Ok(found)
    }
}

impl From<RawReceipt> for Receipt {
    fn from(raw: RawReceipt) -> Self {
        let block = BlockRef { number: raw.block_number.to(), hash: raw.block_hash };
        let transfer = |log: RawLog| {
            super::token::as_transfer(&log.topics, &log.data).map(|(from, to, amount)| Transfer {
                block,
                block_time: log.block_timestamp.map(|time| Timestamp::from_secs(time.to())),
                tx_hash: raw.transaction_hash,
                log_index: log.log_index.to(),
                token: log.address,
                from,
                to,
                amount,
            })
        };
        Self {
            tx_hash: raw.transaction_hash,
            block,
            succeeded: raw.status.to::<u64>() == 1,
            transfers: raw.logs.into_iter().filter_map(transfer).collect(),
        }
    }
}
