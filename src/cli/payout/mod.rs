//! `rampwatch payout` and `rampwatch create`: from the wish to the bank, for one payout or for a file of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::{operator, output};
use crate::config::Settings;

mod args;
mod batch;
mod draft;
mod files;
mod one;
mod qr;
mod session;
mod sheet;
pub(super) mod show;
mod signals;
mod stage;
mod teller;

#[cfg(any(test, fuzzing))]
pub(crate) use batch::fuzzing;

use args::Content;
use batch::Batch;
use one::{One, Until};

/// Pay somebody's bank account with USDC, from the quote to the bank: one payout, or a file of them
///
/// Shows the rate, what it costs and what arrives, asks, opens the off-ramp at the payment API, pays it from the hot
/// wallet (--fund) or shows how to pay it, and follows it until the bank side is done.
///
/// It is safe to interrupt and to run again. The reference names the payout: the same content under it again goes on
/// following; `rampwatch payout --reference REF` alone follows one that is known; other content under it is refused. While
/// `rampwatch run` runs, a payout goes on without this command; when it does not, this command does its work meanwhile.
#[derive(Debug, Args)]
#[command(after_help = EXITS, args_conflicts_with_subcommands = true)]
pub(super) struct Payout {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show one payout, and how to pay it while it waits for that
    Show {
        /// Its reference
        reference: String,
        /// Draw the QR code of how to pay where there is no terminal, too
        #[arg(long)]
        qr: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel a payout for which nothing was opened, or leave one that waits for a person
    ///
    /// An off-ramp that is open cannot be cancelled: the payment API has no such call. It runs out by itself when nobody
    /// pays it.
    Cancel(Decision),
    /// Try a payout again, now: after what it waits for was mended, or instead of waiting
    Retry(Decision),
}

#[derive(Debug, Args)]
struct Decision {
    /// Its reference
    reference: String,
    /// Why; kept with the decision
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Start {
    #[command(flatten)]
    content: Content,
    /// Do not ask; needed where there is no terminal
    #[arg(long, help_heading = THIS)]
    yes: bool,
    /// Print the record as JSON when it has come to its end; of a batch, the totals
    #[arg(long, help_heading = THIS)]
    json: bool,
    /// Draw the QR code of how to pay where there is no terminal, too
    #[arg(long, help_heading = THIS, conflicts_with = "file")]
    qr: bool,
    /// Place and follow every row of this file (CSV; docs/batch-csv.md); flags give what the rows leave out
    ///
    /// The first line names the columns: reference, user, recipient, bank_account, amount, source_currency, source_rail,
    /// destination_currency, destination_rail, destination_country, developer_fee, from_address, reason,
    /// document_reference, reference_id, files, min_destination_amount, fund. Each row needs a reference of its own;
    /// running the file again goes on where it was.
    #[arg(long, value_name = "FILE", help_heading = "A batch", conflicts_with_all = ["reference", "attach"])]
    file: Option<PathBuf>,
    /// Only check the file, and show totals and limits; nothing is placed
    #[arg(long, help_heading = "A batch", requires = "file")]
    check: bool,
    /// Leave bad rows out and place the good ones; otherwise nothing starts while a row is bad
    #[arg(long, help_heading = "A batch", requires = "file")]
    skip_bad: bool,
    /// The folder that the files are in which rows name [default: that of FILE]; none is taken from elsewhere
    #[arg(long, value_name = "FOLDER", help_heading = "A batch", requires = "file")]
    files_from: Option<PathBuf>,
    /// Where the result goes: a row for each row, kept up to date [default: <FILE>.result.csv]
    #[arg(long, value_name = "FILE", help_heading = "A batch", requires = "file")]
    result: Option<PathBuf>,
}

/// Open an off-ramp and show how to pay it: as `rampwatch payout`, without following it any further
///
/// Shows the rate, what it costs and what arrives, asks, and waits until the payment API has opened the off-ramp. The same
/// content under the same reference again opens nothing new. `rampwatch payout --reference REF` follows it to its end.
#[derive(Debug, Args)]
#[command(after_help = EXITS)]
pub(super) struct Create {
    #[command(flatten)]
    content: Content,
    /// Do not ask; needed where there is no terminal
    #[arg(long, help_heading = THIS)]
    yes: bool,
    /// Print the record as JSON
    #[arg(long, help_heading = THIS)]
    json: bool,
    /// Draw the QR code of how to pay where there is no terminal, too
    #[arg(long, help_heading = THIS)]
    qr: bool,
}

/// Over the flags that are about the command and not about the payout.
const THIS: &str = "This command";

const EXITS: &str = "\
Exit codes:
  0    done: paid out; with `create`, open
  2    something that was given is wrong, or a row is: nothing was placed, or not that row
  4    the reference is not known, and nothing else was given
  5    refused: the reference is known with other content, or the rules forbid it
  6    daemon, store, node or payment API cannot be used; run it again
  7    it waits for a person: a review, or an order that has ended without paying
  8    it has ended without being paid out: failed, expired, refunded or cancelled
  130  interrupted; it says what goes on without it";

impl Payout {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let (view, json) = match self.command {
            None => return self.start.run(settings).await,
            Some(Command::Show { reference, qr, json }) => {
                let view = operator::open(settings).await?.payout(&reference).await?;
                if json {
                    return output::print_json(&view);
                }
                output::print(&show::payout(&view))?;
                let how = view.pay.as_ref().map(|pay| format!("\n{}", show::how_to_pay(pay, qr)));
                return how.map_or(Ok(()), |how| output::write(&how));
            }
            Some(Command::Cancel(Decision { reference, reason, json })) => {
                (operator::open(settings).await?.cancel_payout(&reference, &reason).await?, json)
            }
            Some(Command::Retry(Decision { reference, reason, json })) => {
                (operator::open(settings).await?.retry_payout(&reference, &reason).await?, json)
            }
        };
        if json { output::print_json(&view) } else { output::print(&show::payout(&view)) }
    }
}

impl Start {
    async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let draft = self.content.draft();
        let allow_repeat = self.content.allow_repeat;
        let Some(file) = self.file else {
            let Self { yes, json, qr, .. } = self;
            return One { draft, allow_repeat, yes, json, qr, until: Until::Done }.run(settings).await;
        };
        let batch = Batch {
            file,
            allow_repeat,
            defaults: draft,
            result: self.result,
            check: self.check,
            files_from: self.files_from,
            skip_bad: self.skip_bad,
            yes: self.yes,
            json: self.json,
        };
        batch.run(settings).await
    }
}

impl Create {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let draft = self.content.draft();
        if !draft.has_content() {
            let said = "say what is to be opened; `rampwatch payout --reference REF` follows a payout that is known";
            return Err(Failure::new(Exit::Usage, said));
        }
        let Self { content, yes, json, qr } = self;
        One { draft, allow_repeat: content.allow_repeat, yes, json, qr, until: Until::Open }.run(settings).await
    }
}
