//! `rampwatch add`.

use clap::Args;

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::service::requests::AddRequest;

/// Add a payment, so that its deposit is looked for from its creation on
///
/// What is left out is taken from the payment API; what the API says too must agree with it. Without an API key
/// everything has to be given. Adding the same payment again changes nothing.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// The payment's id at the API
    payment: String,
    /// The recipient's id at the API
    recipient: String,
    /// The address that the money goes to
    #[arg(long, value_name = "ADDRESS")]
    deposit_address: Option<String>,
    /// The amount in whole units of the token, such as 1000.50
    #[arg(long)]
    amount: Option<String>,
    /// Who will send; settles between several payments that fit
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// When the API created the payment, such as 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    created_at: Option<String>,
    /// When it runs out
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// The chain that the money comes in on, where the API's own word cannot be read
    #[arg(long, value_name = "CHAIN")]
    deposit_chain: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Add {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let request = AddRequest {
            id: self.payment,
            recipient_id: self.recipient,
            deposit_address: self.deposit_address,
            amount: self.amount,
            sender: self.sender,
            created_at: self.created_at,
            expires_at: self.expires_at,
            deposit_chain: self.deposit_chain,
        };
        let view = operator::open_or_make(settings).await?.add(&request).await?;
        if self.json { output::print_json(&view) } else { output::print(&output::payment(&view)) }
    }
}
