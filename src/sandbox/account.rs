//! Accounts of the sandbox's chain: gas money, nonces, and every transaction that an account has in a block.
//!
//! The last is for the law that at most one transfer of an order is ever mined: it is read from the blocks themselves,
//! so it holds whatever the wallet believes of itself.

use alloy::primitives::{Bytes, U64, U256};
use alloy::sol_types::SolCall;
use serde::Deserialize;
use serde_json::json;

use super::chain::{BlockTag, Node, Receipt};
use super::error::{Result, SandboxError};
use super::token::abi::TestUsdc;
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber, BlockRef, Transfer};
use crate::domain::wei::Wei;

/// A transaction of an account, in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its place among the account's transactions.
    pub nonce: u64,
    /// Which transaction.
    pub tx_hash: B256,
    /// The block that holds it.
    pub block: BlockRef,
    /// Its position in the block, from 0.
    pub index: u64,
    /// Whether it succeeded; a reverted one is in a block all the same.
    pub succeeded: bool,
    /// What it calls; `None` when it creates a contract.
    pub to: Option<Address>,
    /// What it is to do there.
    pub input: Bytes,
    /// The most it offered for a unit of gas.
    pub cap: Wei,
    /// What it offered the block's producer for a unit of gas.
    pub tip: Wei,
    pub gas_used: u64,
    /// What a unit of gas cost.
    pub gas_price: Wei,
    /// The `Transfer` logs that it wrote, of any contract.
    pub transfers: Vec<Transfer>,
}

impl Sent {
    /// Recipient and amount, when it is a call of a token's `transfer`, whether it worked or not.
    #[must_use]
    pub fn asked_transfer(&self) -> Option<(Address, Amount)> {
        let call = TestUsdc::transferCall::abi_decode(&self.input).ok()?;
        Some((call.to, Amount::from_base_units(u128::try_from(call.value).ok()?)))
    }

    /// Whether it sends nothing from the account to itself.
    #[must_use]
    pub fn is_self_send(&self, account: Address) -> bool {
        self.to == Some(account) && self.input.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FullBlock {
    base_fee_per_gas: Option<U256>,
    transactions: Vec<FullTransaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FullTransaction {
    hash: B256,
    from: Address,
    nonce: U64,
    to: Option<Address>,
    input: Bytes,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    transaction_index: U64,
}

/// The part of a receipt that [`Receipt`] has not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    gas_used: U64,
    effective_gas_price: U256,
}

/// A quantity in wei; all that there is, when there is more than can be held.
pub(super) fn wei(quantity: U256) -> Wei {
    Wei::new(u128::try_from(quantity).unwrap_or(u128::MAX))
}

impl Node {
    /// The gas money of an account.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn native_balance(&self, account: Address) -> Result<Wei> {
        self.rpc.call("eth_getBalance", json!([account, "latest"])).await.map(wei)
    }

    /// Sets the gas money of an account. What waits in the pool and cannot pay any more is thrown out at the next block,
    /// and does not come back by itself.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn set_native_balance(&self, account: Address, balance: Wei) -> Result<()> {
        self.rpc.command("anvil_setBalance", json!([account, U256::from(balance.get())])).await
    }

    /// How many transactions of an account are mined; with [`BlockTag::Pending`], also those that wait in the pool and
    /// follow without a gap.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn transaction_count(&self, account: Address, tag: BlockTag) -> Result<u64> {
        let count: U64 = self.rpc.call("eth_getTransactionCount", json!([account, tag.word()])).await?;
        Ok(count.to())
    }

    /// What the blocks' transactions pay at least for a unit of gas.
    ///
    /// # Errors
    /// When there is no such block, or the node does not answer.
    pub async fn base_fee(&self, tag: BlockTag) -> Result<Wei> {
        let block = self.full_block(tag).await?;
        Ok(wei(block.base_fee_per_gas.unwrap_or_default()))
    }

    /// All transactions of an account in the blocks from `first` up to the head, in their order. Blocks are read one by
    /// one: give the block where the story begins.
    ///
    /// # Errors
    /// When the node does not answer, or a block went away meanwhile.
    pub async fn sent_by(&self, account: Address, first: BlockNumber) -> Result<Vec<Sent>> {
        let mut found = Vec::new();
        for number in first..=self.head().await? {
            for transaction in self.full_block(BlockTag::Number(number)).await?.transactions {
                if transaction.from == account {
                    found.push(self.sent(transaction).await?);
                }
            }
        }
        Ok(found)
    }

    /// Block number, sender and hash of each transaction above `block`, in order.
    pub(super) async fn senders_above(&self, block: BlockNumber) -> Result<Vec<(BlockNumber, Address, B256)>> {
        let mut found = Vec::new();
        for number in block.saturating_add(1)..=self.head().await? {
            let transactions = self.full_block(BlockTag::Number(number)).await?.transactions;
            found.extend(transactions.iter().map(|transaction| (number, transaction.from, transaction.hash)));
        }
        Ok(found)
    }

    async fn full_block(&self, tag: BlockTag) -> Result<FullBlock> {
        let block: Option<FullBlock> = self.rpc.call("eth_getBlockByNumber", json!([tag.word(), true])).await?;
        block.ok_or_else(|| SandboxError::Invalid(format!("the sandbox's chain has no block {}", tag.word())))
    }

    async fn sent(&self, transaction: FullTransaction) -> Result<Sent> {
        let tx_hash = transaction.hash;
        let gone = || SandboxError::Transaction { tx_hash, why: "its block went away".to_owned() };
        let receipt: Receipt = self.receipt(tx_hash).await?.ok_or_else(gone)?;
        let cost: Option<Cost> = self.rpc.call("eth_getTransactionReceipt", json!([tx_hash])).await?;
        let cost = cost.ok_or_else(gone)?;
        let price = transaction.gas_price.unwrap_or_default();
        Ok(Sent {
            nonce: transaction.nonce.to(),
            tx_hash,
            block: receipt.block,
            index: transaction.transaction_index.to(),
            succeeded: receipt.succeeded,
            to: transaction.to,
            input: transaction.input,
            cap: wei(transaction.max_fee_per_gas.unwrap_or(price)),
            tip: wei(transaction.max_priority_fee_per_gas.unwrap_or(price)),
            gas_used: cost.gas_used.to(),
            gas_price: wei(cost.effective_gas_price),
            transfers: receipt.transfers,
        })
    }
}
