//! `rampwatch reconcile`.

use std::io::IsTerminal as _;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::exit::{Exit, Failure};
use super::operator;
use super::output::{self, plain};
use crate::client::Client;
use crate::config::Settings;
use crate::daemon;
use crate::service::books::{Books, PARTS, enter};
use crate::service::export::Interval;
use crate::service::queries::MAX_PAGE;
use crate::service::reconcile::Progress;
use crate::view::reconcile::{DifferenceView, ReconcileView, TotalView, WalletTotals};

/// Compare the ledger with the chain and with the payment API, and name each difference
///
/// Reads the final blocks that the sweep has covered once more, log by log, for every deposit address and the hot wallet, and
/// the API's list of every known recipient's payments, over connections of its own. It changes nothing. While a daemon
/// works, what it is in the middle of may show as a difference: run it again before you act. Exits with 1 when there are
/// differences.
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Only what came in or was created on this day (from midnight UTC) or at this moment (RFC 3339), or later
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Only what was before this day or moment
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// Leave the payment API out
    #[arg(long)]
    chain_only: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reconcile {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let interval = Interval::parse(self.from.as_deref(), self.to.as_deref())?;
        let books = read(&operator::open(settings).await?).await?;
        let auditor = daemon::auditor(settings, daemon::token_names(settings), !self.chain_only).await;
        let auditor = auditor.map_err(|error| Failure::of_wiring(&error))?;
        let bar = Bar::new();
        let view = auditor.audit(&books, &interval, &|progress| bar.tell(progress)).await;
        bar.end();
        let view = view?;
        if self.json {
            output::print_json(&view)?;
        } else {
            output::print(&text(&view))?;
        }
        match view.differences.len() {
            0 => Ok(()),
            1 => Err(Failure::new(Exit::Failed, "there is 1 difference")),
            count => Err(Failure::new(Exit::Failed, format!("there are {count} differences"))),
        }
    }
}

/// Reads the books, part by part in their order.
async fn read(operator: &Client) -> Result<Books, Failure> {
    let mut books = Books::default();
    for part in PARTS {
        let mut after: Option<String> = None;
        loop {
            let page = operator.books(part, after.as_deref(), MAX_PAGE).await?;
            page.items.into_iter().for_each(|entry| enter(&mut books, entry));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(books)
}

/// How far it is, on a terminal.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0));
        // A template that does not parse leaves the default style, which is a bar too.
        let styled = bar.map(|bar| match ProgressStyle::with_template("reading {msg} [{bar:40}] {pos}/{len}") {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        });
        Self(styled)
    }

    fn tell(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_message(progress.what);
            bar.set_length(progress.of);
            bar.set_position(progress.done);
        }
    }

    fn end(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn text(view: &ReconcileView) -> String {
    let blocks = match view.blocks {
        Some(blocks) => format!("{} to {}, for {} addresses", blocks.from, blocks.to, view.addresses),
        None => "none".to_owned(),
    };
    let mut text = output::fields(&[
        ("from", view.from.clone()),
        ("to", view.to.clone()),
        ("blocks read", Some(blocks)),
        (
            "payments",
            Some(format!("{} here, {} of them held against the API", view.payments_here, view.payments_there)),
        ),
    ]);
    text.push('\n');
    let mut rows: Vec<Vec<String>> = view.deposits.iter().map(|total| row("deposits", total)).collect();
    rows.extend(view.wallet.iter().flat_map(wallet_rows));
    text.push_str(&output::table(&["", "LEDGER", "CHAIN"], rows));
    if view.differences.is_empty() {
        text.push_str("\nNo differences.\n");
    }
    for (nth, difference) in view.differences.iter().enumerate() {
        text.push_str(&format!("\n{}. {}\n{}", nth.saturating_add(1), difference.name, shown(difference)));
    }
    if !view.not_compared.is_empty() {
        text.push_str("\nNot compared:\n");
        text.extend(view.not_compared.iter().map(|why| format!("  - {}\n", plain(why))));
    }
    text
}

fn row(name: &str, total: &TotalView) -> Vec<String> {
    vec![name.to_owned(), total.ledger.to_string(), total.chain.to_string()]
}

fn wallet_rows(wallet: &WalletTotals) -> Vec<Vec<String>> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let balance = |name: &str, view: &Option<crate::view::AmountView>| {
        let shown = view.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        vec![name.to_owned(), "-".to_owned(), shown]
    };
    vec![
        balance("wallet, before", &wallet.before),
        row("wallet, in", &wallet.came),
        row("wallet, out", &wallet.went),
        balance("wallet, after", &wallet.after),
        vec!["wallet, next nonce".to_owned(), number(wallet.next_nonce), number(wallet.mined)],
    ]
}

/// A difference: what it is about, what each side says, what it means, what to do.
fn shown(view: &DifferenceView) -> String {
    let lines = output::fields(&[
        ("payment", view.payment.as_ref().map(ToString::to_string)),
        ("order", view.order.as_ref().map(ToString::to_string)),
        ("deposit", view.deposit.as_ref().map(ToString::to_string)),
        ("transaction", view.tx_hash.as_deref().map(plain)),
        ("address", view.address.clone()),
        ("ledger", Some(plain(&view.ledger))),
        ("outside", Some(plain(&view.outside))),
        ("means", Some(view.meaning.clone())),
        ("do", Some(view.remedy.clone())),
    ]);
    lines.lines().map(|line| format!("   {line}\n")).collect()
}
