//! `rampwatch sandbox` and `rampwatch sandbox pay`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output;
use crate::domain::payment::PaymentId;
use crate::sandbox::fake_api::Shape;
use crate::sandbox::{FAKE_USDC, PayOptions, RunOptions, SandboxError, USDC, USDC_E, WalletConfig, pay, run};
use crate::service::requests::parse_address;

/// Start a chain node with a test USDC and a fake payment API, to play with until Ctrl-C
///
/// Writes the configuration to use it with, and says what to try. Nothing in it is real: the chain has an id of its
/// own, forks included. Needs no configuration itself.
///
/// The configuration has a hot wallet with test money: the sandbox's own, whose key is printed, and which everybody
/// knows. `rampwatch run` takes no other key on the sandbox's chain, and takes this one nowhere else.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Sandbox {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Args)]
struct Start {
    /// Where the configuration, the key and the store go
    #[arg(long, value_name = "FOLDER", default_value = "rampwatch-sandbox")]
    directory: PathBuf,
    /// Fork the chain of this RPC node instead of starting a fresh one
    #[arg(long, value_name = "URL")]
    fork_url: Option<String>,
    /// Milliseconds between blocks
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    block_millis: u64,
    /// Which description of the API the fake API follows
    #[arg(long, value_enum, default_value_t = ApiShape::Guide)]
    shape: ApiShape,
    /// Leave the hot wallet out of the configuration: rampwatch then needs no key and sends nothing
    #[arg(long, conflicts_with = "auto")]
    no_wallet: bool,
    /// Let the wallet fund off-ramps without being asked, as soon as rampwatch is told of them
    #[arg(long)]
    auto: bool,
    /// The chain's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    chain_port: u16,
    /// The fake API's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    api_port: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ApiShape {
    /// Payments tell their deposit address and amount
    Guide,
    /// They do not; give them to `rampwatch add`
    Reference,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pay an off-ramp of the sandbox that runs, as somebody with a wallet would
    Pay(Pay),
}

#[derive(Debug, Args)]
struct Pay {
    /// The off-ramp
    payment: PaymentId,
    /// The running sandbox's folder
    #[arg(long, value_name = "FOLDER", default_value = "rampwatch-sandbox")]
    directory: PathBuf,
    /// How much, in whole units; the off-ramp's amount if left out
    #[arg(long)]
    amount: Option<String>,
    /// In which token
    #[arg(long, value_enum, default_value_t = PayToken::Usdc)]
    token: PayToken,
    /// From which of the sandbox's accounts
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PayToken {
    /// The token that pays
    Usdc,
    /// Bridged USDC, which never pays
    UsdcE,
    /// A token that only says that it is USDC
    Fake,
}

/// What `--json` prints of a payment made.
#[derive(Debug, Serialize)]
struct PaidView {
    tx_hash: String,
    block_number: u64,
    block_hash: String,
    token: String,
    from: String,
    to: String,
    base_units: String,
}

fn failure(error: &SandboxError) -> Failure {
    let exit = match error {
        SandboxError::Invalid(_) => Exit::Usage,
        _ => Exit::Unavailable,
    };
    Failure::new(exit, error.to_string())
}

impl Sandbox {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Some(Command::Pay(command)) => command.run().await,
            None => self.start.run().await,
        }
    }
}

impl Start {
    async fn run(self) -> Result<(), Failure> {
        let shape = match self.shape {
            ApiShape::Guide => Shape::Guide,
            ApiShape::Reference => Shape::Reference,
        };
        let options = RunOptions {
            directory: self.directory,
            fork_url: self.fork_url,
            block_millis: self.block_millis,
            shape,
            chain_port: self.chain_port,
            api_port: self.api_port,
            wallet: (!self.no_wallet).then(|| WalletConfig { auto: self.auto, ..WalletConfig::default() }),
        };
        run(&options, &mut std::io::stdout()).await.map_err(|error| failure(&error))
    }
}

impl Pay {
    async fn run(self) -> Result<(), Failure> {
        let from = self.from.as_deref().map(|text| parse_address("from", text)).transpose();
        let token = match self.token {
            PayToken::Usdc => USDC,
            PayToken::UsdcE => USDC_E,
            PayToken::Fake => FAKE_USDC,
        };
        let options = PayOptions {
            directory: self.directory,
            payment: self.payment,
            amount: self.amount,
            token: Some(token),
            from: from?,
        };
        let paid = pay(&options).await.map_err(|error| failure(&error))?;
        let view = PaidView {
            tx_hash: paid.tx_hash.to_string(),
            block_number: paid.block.number,
            block_hash: paid.block.hash.to_string(),
            token: paid.token.to_string(),
            from: paid.from.to_string(),
            to: paid.to.to_string(),
            base_units: paid.amount.base_units().to_string(),
        };
        if self.json {
            return output::print_json(&view);
        }
        output::print(&output::fields(&[
            ("transaction", Some(view.tx_hash)),
            ("block", Some(view.block_number.to_string())),
            ("amount", Some(format!("{} (token {})", paid.amount.to_decimal(6), view.token))),
            ("from", Some(view.from)),
            ("to", Some(view.to)),
        ]))
    }
}
