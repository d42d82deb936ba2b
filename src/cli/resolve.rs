//! `rampwatch resolve`.

use clap::{Args, Subcommand};

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::service::requests::ResolveRequest;

/// Decide what rampwatch will not; the reason is kept
#[derive(Debug, Args)]
pub(super) struct Resolve {
    #[command(subcommand)]
    decision: Decision,
}

/// A deposit is named by its key, or by its transaction hash (with :log-index where it has several deposits).
#[derive(Debug, Subcommand)]
enum Decision {
    /// The deposit pays the payment; token, chain, recipient, finality and the API's word are checked all the same
    Assign {
        /// The deposit: its key, or its transaction hash (with :log-index where it has several)
        deposit: String,
        /// The payment
        payment: String,
        #[command(flatten)]
        common: Common,
    },
    /// The deposit pays nothing here, and needs no decision any more
    Ignore {
        /// The deposit: its key, or its transaction hash (with :log-index where it has several)
        deposit: String,
        #[command(flatten)]
        common: Common,
    },
    /// Every deposit at the address that could pay nothing there by itself is ignored, the counted ones too
    IgnoreAll {
        /// The deposit address
        address: String,
        #[command(flatten)]
        common: Common,
    },
    /// Look at the payment again, now
    Retry {
        /// The payment
        payment: String,
        #[command(flatten)]
        common: Common,
    },
    /// Stop our completion of the payment; its address stays watched, and the off-ramp itself stays open at the payment API
    /// until it expires (to cancel an order of the hot wallet: `rampwatch cancel`)
    Cancel {
        /// The payment
        payment: String,
        #[command(flatten)]
        common: Common,
    },
    /// Do not add a payment that intake has found at the API; `rampwatch add` still can
    Dismiss {
        /// The payment
        payment: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// Why; kept with the decision
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Resolve {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let (request, json) = match self.decision {
            Decision::Assign { deposit, payment, common } => {
                (ResolveRequest::Assign { deposit, payment, reason: common.reason }, common.json)
            }
            Decision::Ignore { deposit, common } => {
                (ResolveRequest::Ignore { deposit, reason: common.reason }, common.json)
            }
            Decision::IgnoreAll { address, common } => {
                (ResolveRequest::IgnoreAll { address, reason: common.reason }, common.json)
            }
            Decision::Retry { payment, common } => {
                (ResolveRequest::Retry { payment, reason: common.reason }, common.json)
            }
            Decision::Cancel { payment, common } => {
                (ResolveRequest::Cancel { payment, reason: common.reason }, common.json)
            }
            Decision::Dismiss { payment, common } => {
                (ResolveRequest::Dismiss { payment, reason: common.reason }, common.json)
            }
        };
        let view = operator::open(settings).await?.resolve(&request).await?;
        if json {
            return output::print_json(&view);
        }
        let mut text: String = view.payment.iter().map(output::payment).collect();
        if !text.is_empty() && view.deposit.is_some() {
            text.push('\n');
        }
        text.extend(view.deposit.iter().map(output::deposit));
        text.extend(view.candidate.iter().map(output::candidate));
        text.extend(view.ignored.map(|count| format!("{count} deposits are ignored from now on.\n")));
        output::print(&text)
    }
}
