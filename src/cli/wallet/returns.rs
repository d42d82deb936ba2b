//! `rampwatch wallet returns`.

use clap::Args;

use super::super::exit::Failure;
use super::super::{operator, output};
use crate::client::Client;
use crate::config::Settings;
use crate::service::queries::MAX_PAGE;
use crate::view::DepositView;
use crate::view::returns::{RefundedView, ReturnsView};

/// List money that came to the wallet, and tie it to refunded payments where the amounts say so
///
/// Where only one refunded payment and only one deposit fit each other, they are tied; otherwise all that fit are named.
/// Below that, refunded payments whose money is not known to be back.
#[derive(Debug, Args)]
pub(super) struct Returns {
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

impl Returns {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let view = self.gather(&operator).await?;
        if self.json {
            return output::print_json(&view);
        }
        let rows = view.items.iter().map(row).collect();
        let mut text = output::table(&["TRANSACTION:LOG", "BLOCK", "AMOUNT", "STANDING", "COMES BACK FROM"], rows);
        if !view.open.is_empty() {
            text.push_str("\nRefunded, and not known to be back:\n");
            let rows = view.open.iter().map(open_row).collect();
            text.push_str(&output::table(&["PAYMENT", "ORDER", "AMOUNT", "WHAT IS KNOWN"], rows));
        }
        output::print(&text)?;
        if view.more_open {
            output::remark("there are more refunded payments than are shown");
        }
        output::remark_more(view.next.as_deref());
        Ok(())
    }

    /// Asks for one part after the other, until there are enough deposits or no more.
    async fn gather(&self, operator: &Client) -> Result<ReturnsView, Failure> {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut view = operator.wallet_returns(self.after.as_deref(), wanted.min(MAX_PAGE)).await?;
        while let Some(next) = view.next.take() {
            let left = wanted.saturating_sub(view.items.len());
            if left == 0 {
                view.next = Some(next);
                break;
            }
            let more = operator.wallet_returns(Some(&next), left.min(MAX_PAGE)).await?;
            view.items.extend(more.items);
            view.next = more.next;
        }
        Ok(view)
    }
}

fn row(view: &DepositView) -> Vec<String> {
    vec![
        format!("{}:{}", view.tx_hash, view.log_index),
        view.block_number.to_string(),
        view.amount.to_string(),
        view.standing.name.clone(),
        output::whence(view).unwrap_or_else(|| "-".to_owned()),
    ]
}

fn open_row(view: &RefundedView) -> Vec<String> {
    vec![view.payment.to_string(), view.order.to_string(), view.amount.to_string(), view.money_back.text.clone()]
}
