//! `rampwatch deposits`.

use clap::Args;

use super::exit::Failure;
use super::operator::Operator;
use super::output;
use crate::config::Settings;
use crate::engine::queries::{DepositFilter, MAX_PAGE, VERDICTS};
use crate::engine::views::{DepositView, Page, verdict_name};

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
        let operator = Operator::open(settings).await?;
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let verdict = if self.review { Some("review".to_owned()) } else { self.verdict };
        let filter = DepositFilter { address: self.address, payment: self.payment, verdict };
        let mut page = Page { items: Vec::new(), next: self.after };
        loop {
            let limit = wanted.saturating_sub(page.items.len()).min(MAX_PAGE);
            let more: Page<DepositView> = operator.deposits(&filter, page.next.as_deref(), limit).await?;
            page.items.extend(more.items);
            page.next = more.next;
            if page.next.is_none() || page.items.len() >= wanted {
                break;
            }
        }
        if self.json {
            return output::print_json(&page);
        }
        let rows = page.items.iter().map(row).collect();
        output::print(&output::table(&["TRANSACTION:LOG", "BLOCK", "AMOUNT", "STANDING", "VERDICT"], rows))?;
        if let Some(next) = page.next {
            output::remark(&format!("there may be more: --after {next}"));
        }
        Ok(())
    }
}

fn row(view: &DepositView) -> Vec<String> {
    use crate::domain::deposit::Verdict;

    let name = verdict_name(&view.verdict);
    let verdict = match &view.verdict {
        Verdict::Pays { payment, .. } => format!("{name} {payment}"),
        Verdict::Review { why } => {
            let value = serde_json::to_value(why).unwrap_or_default();
            format!("{name}: {}", value.get("reason").and_then(|reason| reason.as_str()).unwrap_or("unknown"))
        }
        Verdict::Unjudged | Verdict::Nothing { .. } | Verdict::Ignored { .. } => name.to_owned(),
    };
    vec![
        format!("{}:{}", view.tx_hash, view.log_index),
        view.block_number.to_string(),
        view.amount.to_string(),
        view.standing.name.clone(),
        verdict,
    ]
}
