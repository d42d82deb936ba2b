//! `rampwatch wallet balance`.

use clap::Args;
use serde::Serialize;

use super::super::exit::Failure;
use super::super::output;
use crate::config::Settings;
use crate::daemon;
use crate::domain::wei::{NATIVE_DECIMALS, Wei};
use crate::view::AmountView;

/// Print what the configured wallet has: the token, and POL for gas
///
/// Asks the configured nodes; needs no daemon. The reserves (funding.reserve_token, funding.reserve_native) stay in the
/// wallet and are part of what is printed.
#[derive(Debug, Args)]
pub(super) struct Balance {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    address: String,
    token: AmountView,
    native: NativeView,
}

/// An amount of the chain's own coin.
#[derive(Debug, Serialize)]
struct NativeView {
    wei: Wei,
    decimal: String,
    decimals: u8,
}

impl Balance {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let address = super::configured(settings).await?.address;
        let balances = daemon::balances(settings, address).await.map_err(|error| Failure::of_wiring(&error))?;
        let token = &settings.chain.token;
        let view = Answer {
            address: address.to_string(),
            token: AmountView {
                base_units: balances.token,
                decimal: Some(balances.token.to_decimal(token.decimals)),
                symbol: Some(token.symbol.clone()),
            },
            native: NativeView {
                wei: balances.native,
                decimal: balances.native.to_native(),
                decimals: NATIVE_DECIMALS,
            },
        };
        if self.json {
            return output::print_json(&view);
        }
        output::print(&output::fields(&[
            ("wallet", Some(view.address)),
            ("token", Some(output::plain(&view.token.to_string()))),
            ("gas", Some(format!("{} POL", view.native.decimal))),
        ]))
    }
}
