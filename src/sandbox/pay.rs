//! Pays an off-ramp of a running sandbox, as somebody with a wallet would.

use std::path::PathBuf;
use std::time::Duration;

use super::chain::Node;
use super::error::{Result, SandboxError};
use super::fake_api::OffRamp;
use super::rpc::words;
use super::run::Whereabouts;
use super::{PAYER, USDC};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockRef};
use crate::domain::payment::PaymentId;
use crate::outbound::{Outbound, Patience};

/// How long the transfer may take to get into a block.
const MINED_WITHIN: Duration = Duration::from_secs(30);

/// How long the fake API may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What is to be paid.
#[derive(Clone, Debug)]
pub struct PayOptions {
    /// The running sandbox's folder.
    pub directory: PathBuf,
    /// Which off-ramp.
    pub payment: PaymentId,
    /// How much, in whole units; the off-ramp's amount when `None`.
    pub amount: Option<String>,
    /// In which token; USDC when `None`.
    pub token: Option<Address>,
    /// From which of anvil's accounts; [`PAYER`], or the sender that the off-ramp names, when `None`.
    pub from: Option<Address>,
}

#[derive(Clone, Copy, Debug)]
pub struct Paid {
    pub tx_hash: B256,
    /// The block that holds it.
    pub block: BlockRef,
    pub token: Address,
    /// The payer.
    pub from: Address,
    /// The off-ramp's deposit address.
    pub to: Address,
    /// How much, in base units.
    pub amount: Amount,
}

/// Sends the money for an off-ramp through the sandbox that runs in the given folder, and waits until it is in a block.
///
/// # Errors
/// When no sandbox runs there, it has no such off-ramp, or the transfer fails.
pub async fn pay(options: &PayOptions) -> Result<Paid> {
    let whereabouts = Whereabouts::read(&options.directory)?;
    let off_ramp = ask(&whereabouts.control, &options.payment).await?;
    let amount = match &options.amount {
        None => off_ramp.amount,
        Some(text) => Amount::from_person(text, 6).map_err(|error| SandboxError::Invalid(error.to_string()))?,
    };
    let token = options.token.unwrap_or(USDC);
    let from = options.from.or(off_ramp.sender).unwrap_or(PAYER);
    let to = off_ramp.deposit_address;
    let node = Node::connect(&whereabouts.chain).await?;
    let tx_hash = node.transfer(token, from, to, amount).await?;
    let receipt = node.succeeded(tx_hash, MINED_WITHIN).await?;
    Ok(Paid { tx_hash, block: receipt.block, token, from, to, amount })
}

/// Asks the fake API for an off-ramp.
async fn ask(control: &str, id: &PaymentId) -> Result<OffRamp> {
    let failed = |error: reqwest::Error| SandboxError::FakeApi(words(error));
    let client = Outbound::local().client(ANSWERED_WITHIN, Patience::Whole(ANSWERED_WITHIN)).build().map_err(failed)?;
    let response = client.get(format!("{control}/off-ramps/{id}")).send().await.map_err(failed)?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Err(SandboxError::FakeApi(format!("there is no payment {id}")));
    }
    response.json().await.map_err(failed)
}
