//! `rampwatch deposits`.

use clap::Args;

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::service::queries::{DepositFilter, VERDICTS};
use crate::view::{DepositView, Page};

/// List deposits: every transfer of a known token to a watched address
#[derive(Debug, Args)]
pub(super) struct Deposits {
    /// Only those to this address
    #[arg(long)]
    address: Option<String>,
    /// Only those that concern this payment
    #[arg(long)]
    payment: Option<String>,
    /// Only those with this verdict
    #[arg(long, value_parser = VERDICTS)]
    verdict: Option<String>,
    /// Only those that a person must decide (the same as --verdict review)
    #[arg(long, conflicts_with = "verdict")]
    review: bool,
    /// Those after this deposit (its key)
    #[arg(long, value_name = "DEPOSIT")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Deposits {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let verdict = if self.review { Some("review".to_owned()) } else { self.verdict };
        let filter = DepositFilter { address: self.address, payment: self.payment, verdict };
        let ask = async |after: Option<String>, limit| operator.deposits(&filter, after.as_deref(), limit).await;
        let page: Page<DepositView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        let rows = page.items.iter().map(row).collect();
        output::print(&output::table(&["TRANSACTION:LOG", "BLOCK", "AMOUNT", "STANDING", "VERDICT"], rows))?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}

fn row(view: &DepositView) -> Vec<String> {
    use crate::domain::deposit::Verdict;

    let name = view.verdict.name();
    let verdict = match &view.verdict {
        Verdict::Pays { payment, .. } => format!("{name} {payment}"),
        Verdict::Review { why } => format!("{name}: {}", output::reason(why)),
        Verdict::Nothing { .. } => match output::whence(view) {
            Some(whence) => format!("{name}, back from {whence}"),
            None => name.to_owned(),
        },
        Verdict::Unjudged | Verdict::Ignored { .. } => name.to_owned(),
    };
    vec![
        format!("{}:{}", view.tx_hash, view.log_index),
        view.block_number.to_string(),
        view.amount.to_string(),
        view.standing.name.clone(),
        verdict,
    ]
}
