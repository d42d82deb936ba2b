//! The sandbox's own hot wallet: one key, which everybody knows, for play money only.
//!
//! The key is the hash of a sentence in this file, so it is no secret and must never be used for anything: whatever is
//! sent to its address on a real chain is gone. [`check_key`] is the rule of decision 13 both ways: on the sandbox's
//! chain no key but this one, so that no real key comes near a rehearsal; and this one nowhere else.
//!
//! Deliberately absent: signing. rampwatch signs, with the key that it is given in an environment variable.

use std::fmt::Write;

use alloy::primitives::{Bytes, address, keccak256};
use serde_json::json;

use super::chain::Node;
use super::error::{Result, SandboxError};
use super::{CHAIN_ID, USDC};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::wei::Wei;

/// The sentence whose Keccak-256 hash is the key.
const PHRASE: &str = "rampwatch's sandbox wallet: play money only, everybody knows this key";

/// The address of the sandbox's own wallet.
pub const WALLET: Address = address!("0xeB32BDE24D8bC677365420673e2EBBc8b518AB8f");

/// The environment variable that rampwatch reads the sandbox's key from, by the configuration that the sandbox writes.
pub const WALLET_KEY_ENV: &str = "RAMPWATCH_SANDBOX_WALLET_KEY";

/// What the wallet gets of test USDC: ten million, in base units.
pub const WALLET_FUNDS: Amount = Amount::from_base_units(10_000_000_000_000);

/// What the wallet gets of the native coin: ten thousand.
pub const WALLET_GAS_MONEY: Wei = Wei::new(10_000_000_000_000_000_000_000);

/// The key of [`WALLET`], as an environment variable holds it: hexadecimal digits after `0x`. It is public.
#[must_use]
pub fn wallet_key() -> String {
    keccak256(PHRASE).to_string()
}

/// The variable and the key in it, as [`super::DaemonOptions::overrides`] take them.
#[must_use]
pub fn wallet_variable() -> (String, String) {
    (WALLET_KEY_ENV.to_owned(), wallet_key())
}

/// Whether a wallet may be used on a chain: on the sandbox's chain the sandbox's own and no other, elsewhere any but
/// that.
///
/// # Errors
/// When it may not. The message says which, and what to do.
pub fn check_key(chain_id: u64, wallet: Address) -> Result<()> {
    match (chain_id == CHAIN_ID, wallet == WALLET) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => Err(SandboxError::ForeignKey(wallet)),
        (false, true) => Err(SandboxError::PublicKey { wallet, chain_id }),
    }
}

impl Node {
    /// Gives the sandbox's wallet its test USDC and its gas money, in one transaction of the token's master. Not mined
    /// yet.
    ///
    /// # Errors
    /// When the token's master is not the sandbox's, or the node refuses.
    pub async fn mint_for_wallet(&self) -> Result<B256> {
        self.set_native_balance(WALLET, WALLET_GAS_MONEY).await?;
        self.mint(USDC, WALLET, WALLET_FUNDS).await
    }

    /// The same for a fork, by writing it into the token's storage.
    ///
    /// # Errors
    /// When anvil finds no storage slot that is the balance, or the node refuses.
    pub async fn deal_for_wallet(&self) -> Result<()> {
        // On a real chain, somebody may have played with a key that is public: put code there, or used up nonces.
        self.set_code(WALLET, &Bytes::new()).await?;
        self.rpc.command("anvil_setNonce", json!([WALLET, "0x0"])).await?;
        self.set_native_balance(WALLET, WALLET_GAS_MONEY).await?;
        self.deal(USDC, WALLET, WALLET_FUNDS).await
    }
}

/// How the configuration's sections for the wallet differ from the sandbox's usual ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletConfig {
    /// Whether payments are funded without being asked.
    pub auto: bool,
    /// The most for one payment, in whole units.
    pub max_per_payment: String,
    /// The most in any 24 hours, in whole units.
    pub max_per_day: String,
    /// The most for one recipient in any 24 hours, in whole units.
    pub max_per_recipient: String,
    /// Above this a person must approve, in whole units.
    pub approval_above: String,
    /// The bank accounts that may be paid; `bank-1` is what the fake API gives unasked.
    pub allowed_bank_accounts: Vec<String>,
    /// The most for a unit of gas, in gwei.
    pub max_fee_gwei: u64,
    /// How many transactions may be under way at once.
    pub max_in_flight: u32,
    /// What else goes into the section `[funding]`, line by line, as TOML.
    pub more: Vec<String>,
}

impl Default for WalletConfig {
    fn default() -> Self {
        Self {
            auto: false,
            max_per_payment: "100000".to_owned(),
            max_per_day: "1000000".to_owned(),
            max_per_recipient: "1000000".to_owned(),
            approval_above: "50000".to_owned(),
            allowed_bank_accounts: vec!["bank-1".to_owned()],
            max_fee_gwei: 1_000,
            max_in_flight: 16,
            more: Vec::new(),
        }
    }
}

impl WalletConfig {
    /// The sections `[wallet]` and `[funding]` for the sandbox's own key, with generous limits and spans as short as a
    /// rehearsal wants them.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self { auto, max_per_payment, max_per_day, max_per_recipient, approval_above, .. } = self;
        let Self { max_fee_gwei, max_in_flight, .. } = self;
        let accounts = toml::Value::from(self.allowed_bank_accounts.clone());
        let mut text = format!(
            r#"
[wallet]                       # the sandbox's own key, for play money only: everybody knows it
key_env = "{WALLET_KEY_ENV}"
address = "{WALLET}"

[funding]
enabled = true
auto = {auto}
auto_max_per_day = "{max_per_day}"
max_per_payment = "{max_per_payment}"
max_per_day = "{max_per_day}"
max_per_recipient = "{max_per_recipient}"
approval_above = "{approval_above}"
approval_above_per_day = "{max_per_day}"
allowed_bank_accounts = {accounts}
min_time_left = "30s"
reserve_token = "0"
reserve_native = "0.1"
tip_floor_gwei = "30"
max_fee_gwei = "{max_fee_gwei}"
gas_limit_max = 200000
max_in_flight = {max_in_flight}
hold_check = "1s"
bump_after = "5s"
rebroadcast_after = "2s"
poll_interval = "500ms"
"#
        );
        for line in &self.more {
            // A String takes whatever is written.
            let _ = writeln!(text, "{line}");
        }
        text
    }
}
