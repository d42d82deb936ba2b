//! Somebody else with the wallet's key: signs what it likes with it, beside rampwatch.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Bytes, TxKind, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::sandbox::{CHAIN_ID, Node, SandboxError, USDC, wallet_key};

alloy::sol! {
    function transfer(address to, uint256 value) returns (bool);
}

/// What a transaction does and offers.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) nonce: u64,
    pub(crate) to: Address,
    pub(crate) input: Bytes,
    /// In gwei.
    pub(crate) cap: u64,
    /// In gwei.
    pub(crate) tip: u64,
    pub(crate) gas_limit: u64,
}

impl Deed {
    /// A transfer of USDC, at a price that anvil takes.
    pub(crate) fn transfer(nonce: u64, to: Address, amount: Amount) -> Self {
        let input = transferCall { to, value: U256::from(amount.base_units()) }.abi_encode().into();
        Self { nonce, to: USDC, input, cap: 100, tip: 30, gas_limit: 120_000 }
    }

    /// Nothing, to oneself.
    pub(crate) fn self_send(nonce: u64, wallet: Address) -> Self {
        Self { nonce, to: wallet, input: Bytes::new(), cap: 100, tip: 30, gas_limit: 21_000 }
    }

    /// The same at another price, in gwei.
    pub(crate) fn at(self, cap: u64, tip: u64) -> Self {
        Self { cap, tip, ..self }
    }
}

/// Somebody with a key.
pub(crate) struct Rogue(PrivateKeySigner);

impl Rogue {
    /// With the key of the sandbox's wallet.
    pub(crate) fn of_wallet() -> Self {
        Self(wallet_key().parse().expect("the sandbox's key is one"))
    }

    /// The signed bytes and their hash. Sends nothing.
    pub(crate) fn sign(&self, deed: &Deed) -> (B256, Bytes) {
        let gwei = |price: u64| u128::from(price) * 1_000_000_000;
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: deed.nonce,
            gas_limit: deed.gas_limit,
            max_fee_per_gas: gwei(deed.cap),
            max_priority_fee_per_gas: gwei(deed.tip),
            to: TxKind::Call(deed.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: deed.input.clone(),
        };
        let signature = self.0.sign_hash_sync(&transaction.signature_hash()).expect("the key signs");
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        (*signed.tx_hash(), signed.encoded_2718().into())
    }

    /// Signs and sends.
    pub(crate) async fn send(&self, node: &Node, deed: &Deed) -> Result<B256, SandboxError> {
        node.send_raw(&self.sign(deed).1).await
    }
}
