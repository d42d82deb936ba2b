//! The sandbox's own contracts: a test USDC and a batch payer, with what is done with them.
//!
//! Sources and compiled artefacts lie beside this file; `make token` compiles them anew. The code is placed at the
//! address wanted with `anvil_setCode`, so the token can stand where the real one stands. A fake token is the same
//! code at another address.

mod authorization;
mod transfers;

use alloy::primitives::Bytes;
use alloy::sol_types::{SolCall, SolEvent};

pub use authorization::{Authorization, Signed};
pub use transfers::BatchItem;

use super::chain::Node;
use super::error::{Result, SandboxError};
use super::{BATCH_PAYER, MASTER};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};

/// The contracts' interfaces, read from the artefacts.
pub(super) mod abi {
    alloy::sol!(TestUsdc, "src/sandbox/token/TestUsdc.json");
    alloy::sol!(BatchPayer, "src/sandbox/token/BatchPayer.json");
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// `name()`, also part of its EIP-712 domain.
    pub name: String,
    /// `symbol()`.
    pub symbol: String,
    /// `version()`, also part of its EIP-712 domain.
    pub version: String,
    /// `decimals()`.
    pub decimals: u8,
}

impl TokenSpec {
    /// As native USDC says.
    #[must_use]
    pub fn usdc() -> Self {
        Self { name: "USD Coin".to_owned(), symbol: "USDC".to_owned(), version: "2".to_owned(), decimals: 6 }
    }

    /// As bridged USDC.e says.
    #[must_use]
    pub fn usdc_e() -> Self {
        Self { name: "USD Coin (PoS)".to_owned(), symbol: "USDC".to_owned(), version: "1".to_owned(), decimals: 6 }
    }
}

/// Sender, recipient and amount of a log, if it is an ERC-20 `Transfer`: exactly 3 topics and 32 bytes of data, and
/// an amount that can be held.
pub(super) fn as_transfer(topics: &[B256], data: &Bytes) -> Option<(Address, Address, Amount)> {
    let log = abi::TestUsdc::Transfer::decode_raw_log_validate(topics.iter().copied(), data).ok()?;
    let amount = u128::try_from(log.value).ok()?;
    Some((log.from, log.to, Amount::from_base_units(amount)))
}

impl Node {
    /// Puts a test token at `address` and initialises it, with [`MASTER`] as its master. Mines nothing; the token is
    /// ready once a block has been mined.
    ///
    /// # Errors
    /// When there is code at the address already, or the node refuses.
    pub async fn deploy_token(&self, address: Address, spec: &TokenSpec) -> Result<B256> {
        if !self.code(address).await?.is_empty() {
            return Err(SandboxError::Invalid(format!("there is a contract at {address} already")));
        }
        self.set_code(address, &abi::TestUsdc::DEPLOYED_BYTECODE).await?;
        let call = abi::TestUsdc::initializeCall {
            tokenName: spec.name.clone(),
            tokenSymbol: spec.symbol.clone(),
            tokenVersion: spec.version.clone(),
            tokenDecimals: spec.decimals,
            newMaster: MASTER,
        };
        self.send(MASTER, address, call.abi_encode().into(), 500_000).await
    }

    /// Puts the batch payer at [`BATCH_PAYER`].
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn deploy_batch_payer(&self) -> Result<()> {
        self.set_code(BATCH_PAYER, &abi::BatchPayer::DEPLOYED_BYTECODE).await
    }

    /// Mints new tokens: a `Transfer` from address zero. Only a test token's master can.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mint(&self, token: Address, to: Address, amount: Amount) -> Result<B256> {
        let call = abi::TestUsdc::mintCall { to, amount: transfers::units(amount) };
        self.send(MASTER, token, call.abi_encode().into(), transfers::GAS).await
    }

    /// Burns the master's own tokens: a `Transfer` to address zero.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn burn(&self, token: Address, amount: Amount) -> Result<B256> {
        let call = abi::TestUsdc::burnCall { amount: transfers::units(amount) };
        self.send(MASTER, token, call.abi_encode().into(), transfers::GAS).await
    }

    /// Sets an account's balance by writing it into the token's storage: without a log, and without the token's keys,
    /// so it works on a fork too.
    ///
    /// # Errors
    /// When anvil finds no storage slot that is the balance.
    pub async fn deal(&self, token: Address, to: Address, amount: Amount) -> Result<()> {
        let params = serde_json::json!([to, token, transfers::units(amount)]);
        self.rpc.command("anvil_dealERC20", params).await
    }

    /// Pauses or unpauses a test token.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_paused(&self, token: Address, paused: bool) -> Result<B256> {
        let data =
            if paused { abi::TestUsdc::pauseCall {}.abi_encode() } else { abi::TestUsdc::unpauseCall {}.abi_encode() };
        self.send(MASTER, token, data.into(), transfers::GAS).await
    }

    /// Puts an account on a test token's blacklist, or takes it off.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_blacklisted(&self, token: Address, account: Address, blacklisted: bool) -> Result<B256> {
        let data = if blacklisted {
            abi::TestUsdc::blacklistCall { account }.abi_encode()
        } else {
            abi::TestUsdc::unBlacklistCall { account }.abi_encode()
        };
        self.send(MASTER, token, data.into(), transfers::GAS).await
    }

    /// An account's balance, in base units.
    ///
    /// # Errors
    /// When there is no such token, or the balance cannot be held.
    pub async fn balance(&self, token: Address, account: Address) -> Result<Amount> {
        let data = abi::TestUsdc::balanceOfCall(account).abi_encode();
        let answer = self.read(MASTER, token, data.into()).await?;
        let unreadable = |detail: String| SandboxError::Unreadable { method: "balanceOf".to_owned(), detail };
        let value =
            abi::TestUsdc::balanceOfCall::abi_decode_returns(&answer).map_err(|error| unreadable(error.to_string()))?;
        u128::try_from(value).map(Amount::from_base_units).map_err(|error| unreadable(error.to_string()))
    }
}
