//! `rampwatch show`.

use clap::Args;

use super::exit::Failure;
use super::{operator, order_output, output};
use crate::config::Settings;

/// Show one payment, with its orders, and whether its money came back if it was refunded
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The payment's id
    payment: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let view = operator::open(settings).await?.show(&self.payment).await?;
        if self.json { output::print_json(&view) } else { output::print(&order_output::detail(&view)) }
    }
}
