//! The flags that say what a payout is.

use std::path::PathBuf;

use clap::Args;

use super::draft::{Draft, Field};
use crate::domain::payout::PAYMENT_REASONS;

/// What a payout is, as flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "The payout")]
pub(in super::super) struct Content {
    /// Your own name for it: 1 to 128 letters, digits, '-', '_' or '.' [default: one is made]
    ///
    /// The same again under it changes nothing and goes on following; other content under it is refused.
    #[arg(long)]
    reference: Option<String>,
    /// The user at the payment API whose recipient is paid
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The recipient at the payment API
    #[arg(long, value_name = "ID")]
    recipient: Option<String>,
    /// The recipient's bank account at the payment API
    #[arg(long, value_name = "ID")]
    bank_account: Option<String>,
    /// How much is sent, in whole units of the token, such as 1000.50
    #[arg(long, allow_hyphen_values = true)]
    amount: Option<String>,
    /// What is sent [default: the configured token]
    #[arg(long, value_name = "CODE")]
    source_currency: Option<String>,
    /// How it is sent [default: the configured chain]
    #[arg(long, value_name = "CODE")]
    source_rail: Option<String>,
    /// What is paid out, such as MXN
    #[arg(long, value_name = "CODE")]
    destination_currency: Option<String>,
    /// How it is paid out, such as SPEI
    #[arg(long, value_name = "CODE")]
    destination_rail: Option<String>,
    /// To which country: two capital letters, such as MX
    #[arg(long, value_name = "CODE")]
    destination_country: Option<String>,
    /// What you take yourself, as the payment API understands `developerVariableFee`
    #[arg(long, value_name = "FEE", allow_hyphen_values = true)]
    developer_fee: Option<String>,
    /// Who will send the USDC [default: the hot wallet]
    #[arg(long, value_name = "ADDRESS")]
    from_address: Option<String>,
    /// Why the money is paid
    #[arg(long, value_name = "WORD", value_parser = PAYMENT_REASONS)]
    reason: Option<String>,
    /// What it is called towards the recipient: at most 255 characters
    #[arg(long, value_name = "TEXT")]
    document_reference: Option<String>,
    /// An id of your own: a UUID
    #[arg(long, value_name = "UUID")]
    reference_id: Option<String>,
    /// A file that goes along: .pdf, .png, .jpg or .jpeg; may be given several times
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Open nothing that pays out less than this, in the destination's currency
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    min_destination_amount: Option<String>,
    /// Pay from the hot wallet; else you are shown how to pay
    #[arg(long)]
    fund: bool,
    /// The payout's own reference, to place it although it repeats another one; of a batch, a row's, and several times
    ///
    /// A payout is a likely repeat when it equals another one in everything but its reference, or has the reference of one
    /// as a spreadsheet rewrites it (leading zeros, exponents, upper and lower case): one that was placed within
    /// payouts.repeat_window, or another row of the file.
    #[arg(long, value_name = "REF")]
    pub(super) allow_repeat: Vec<String>,
}

impl Content {
    /// The same as text by field.
    pub(super) fn draft(&self) -> Draft {
        let mut draft = Draft::default();
        draft.files.clone_from(&self.attach);
        let texts = [
            (Field::Reference, &self.reference),
            (Field::User, &self.user),
            (Field::Recipient, &self.recipient),
            (Field::BankAccount, &self.bank_account),
            (Field::Amount, &self.amount),
            (Field::SourceCurrency, &self.source_currency),
            (Field::SourceRail, &self.source_rail),
            (Field::DestinationCurrency, &self.destination_currency),
            (Field::DestinationRail, &self.destination_rail),
            (Field::DestinationCountry, &self.destination_country),
            (Field::DeveloperFee, &self.developer_fee),
            (Field::FromAddress, &self.from_address),
            (Field::Reason, &self.reason),
            (Field::DocumentReference, &self.document_reference),
            (Field::ReferenceId, &self.reference_id),
            (Field::MinDestinationAmount, &self.min_destination_amount),
        ];
        for (field, text) in texts {
            draft.set(field, text.as_deref().unwrap_or_default());
        }
        draft.set(Field::Fund, if self.fund { "wallet" } else { "" });
        draft
    }
}
