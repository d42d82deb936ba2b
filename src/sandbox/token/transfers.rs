//! Transfers of every kind: plain, in batches, by allowance.

use alloy::primitives::U256;
use alloy::sol_types::SolCall;

use super::abi::{BatchPayer, TestUsdc};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::sandbox::BATCH_PAYER;
use crate::sandbox::chain::Node;
use crate::sandbox::error::Result;

/// Gas for one token call; the dearest needs a little over 100 000 (the real token: 62 147 for a transfer).
pub(super) const GAS: u64 = 300_000;

/// Gas for each item of a batch.
const GAS_PER_ITEM: u64 = 90_000;

/// One transfer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchItem {
    pub token: Address,
    pub to: Address,
    /// How much, in base units.
    pub amount: Amount,
}

/// An amount as the chain takes it.
pub(super) fn units(amount: Amount) -> U256 {
    U256::from(amount.base_units())
}

impl Node {
    /// Sends tokens. Not mined yet.
    ///
    /// # Errors
    /// When `from` is not one of anvil's accounts, or the node refuses.
    pub async fn transfer(&self, token: Address, from: Address, to: Address, amount: Amount) -> Result<B256> {
        let call = TestUsdc::transferCall { to, value: units(amount) };
        self.send(from, token, call.abi_encode().into(), GAS).await
    }

    /// Moves somebody's tokens by allowance. With an amount of zero it works for anybody on anybody, and writes a
    /// `Transfer` all the same: address poisoning.
    ///
    /// # Errors
    /// When `spender` is not one of anvil's accounts, or the node refuses.
    pub async fn transfer_from(
        &self,
        token: Address,
        spender: Address,
        from: Address,
        to: Address,
        amount: Amount,
    ) -> Result<B256> {
        let call = TestUsdc::transferFromCall { from, to, value: units(amount) };
        self.send(spender, token, call.abi_encode().into(), GAS).await
    }

    /// Lets the batch payer move `from`'s tokens. Needed once for each token before [`Node::batch`].
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn approve_batches(&self, token: Address, from: Address) -> Result<B256> {
        let call = TestUsdc::approveCall { spender: BATCH_PAYER, value: U256::MAX };
        self.send(from, token, call.abi_encode().into(), GAS).await
    }

    /// Makes many transfers in one transaction: all of them or none.
    ///
    /// # Errors
    /// When the node refuses. A batch that reverts is in a block all the same.
    pub async fn batch(&self, from: Address, items: &[BatchItem]) -> Result<B256> {
        let call = BatchPayer::payCall { items: converted(items) };
        self.send(from, BATCH_PAYER, call.abi_encode().into(), batch_gas(items.len())).await
    }

    /// Tries each transfer by itself. The transaction works even when nothing was moved.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn batch_of_what_works(&self, from: Address, items: &[BatchItem]) -> Result<B256> {
        let call = BatchPayer::payWhatWorksCall { items: converted(items) };
        self.send(from, BATCH_PAYER, call.abi_encode().into(), batch_gas(items.len())).await
    }
}

fn converted(items: &[BatchItem]) -> Vec<BatchPayer::Item> {
    let item = |item: &BatchItem| BatchPayer::Item { token: item.token, to: item.to, amount: units(item.amount) };
    items.iter().map(item).collect()
}

fn batch_gas(items: usize) -> u64 {
    let items = u64::try_from(items).unwrap_or(u64::MAX);
    items.saturating_mul(GAS_PER_ITEM).saturating_add(GAS)
}
