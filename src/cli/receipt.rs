//! `rampwatch receipt`.

use clap::{Args, ValueEnum};

use super::exit::Failure;
use super::{operator, output, receipt_text};
use crate::config::Settings;

/// Print the whole chain of evidence of one payment: terms, order, every transaction, deposit, finality, match,
/// completion, the API's answers and every person's decision; what is missing is named
#[derive(Debug, Args)]
pub(super) struct Receipt {
    /// The payment's id
    payment: String,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The forms of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For reading
    Text,
    /// For programs
    Json,
    /// For a file or a ticket
    Markdown,
}

impl Receipt {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let view = operator::open(settings).await?.receipt(&self.payment).await?;
        match self.format {
            Format::Text => output::print(&receipt_text::text(&view)),
            Format::Json => output::print_json(&view),
            Format::Markdown => output::print(&receipt_text::markdown(&view)),
        }
    }
}
