//! Makes a fresh chain ready: tokens where the real ones stand, and money for anvil's accounts and the wallet.

use std::time::Duration;

use super::chain::Node;
use super::error::{Result, SandboxError};
use super::token::TokenSpec;
use super::{DEV_ACCOUNTS, FAKE_USDC, USDC, USDC_E};
use crate::domain::amount::Amount;
use crate::domain::wei::Wei;

/// What each of anvil's accounts gets of each token: ten million, in base units.
const FUNDS: Amount = Amount::from_base_units(10_000_000_000_000);

/// What each of anvil's accounts gets of a fork's native coin: ten thousand. On a fresh chain anvil gives as much.
const GAS_MONEY: Wei = Wei::new(10_000_000_000_000_000_000_000);

/// How long the setting-up transactions may take; they are mined on the spot.
const MINED_WITHIN: Duration = Duration::from_secs(20);

impl Node {
    /// Puts test USDC, USDC.e, a fake token and the batch payer on a fresh chain, mints ten million of each token to
    /// each of anvil's accounts and lets the batch payer move them, and gives the sandbox's wallet test USDC and gas
    /// money. Mines what it needs.
    ///
    /// # Errors
    /// When the chain is not fresh, or the node refuses.
    pub async fn furnish(&self) -> Result<()> {
        let tokens = [(USDC, TokenSpec::usdc()), (USDC_E, TokenSpec::usdc_e()), (FAKE_USDC, TokenSpec::usdc())];
        self.deploy_batch_payer().await?;
        let mut sent = Vec::new();
        for (token, spec) in &tokens {
            sent.push(self.deploy_token(*token, spec).await?);
        }
        for (token, _) in &tokens {
            for account in DEV_ACCOUNTS {
                sent.push(self.mint(*token, account, FUNDS).await?);
                sent.push(self.approve_batches(*token, account).await?);
            }
        }
        sent.push(self.mint_for_wallet().await?);
        self.mine(1).await?;
        for tx_hash in sent {
            self.succeeded(tx_hash, MINED_WITHIN).await?;
        }
        Ok(())
    }

    /// The same for a fork of the real chain: the real tokens are there, and the money is written into their storage,
    /// because nobody here has their keys.
    ///
    /// # Errors
    /// When there is no USDC on the forked chain, or the node refuses.
    pub async fn furnish_fork(&self) -> Result<()> {
        if self.code(USDC).await?.is_empty() {
            let why = format!("the forked chain has no contract at {USDC}: fork Polygon, or a sandbox");
            return Err(SandboxError::Invalid(why));
        }
        self.deploy_batch_payer().await?;
        for account in DEV_ACCOUNTS {
            // On a real chain, other people may have put code or debts on these well-known accounts.
            self.set_code(account, &alloy::primitives::Bytes::new()).await?;
            self.set_native_balance(account, GAS_MONEY).await?;
            self.deal(USDC, account, FUNDS).await?;
        }
        self.deal_for_wallet().await?;
        self.mine(1).await
    }
}
