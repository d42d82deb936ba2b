//! `rampwatch show`.

use clap::Args;

use super::exit::Failure;
use super::operator::Operator;
use super::output;
use crate::config::Settings;

/// Show one payment
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
        let view = Operator::open(settings).await?.show(&self.payment).await?;
        if self.json { output::print_json(&view) } else { output::print(&output::payment(&view)) }
    }
}
