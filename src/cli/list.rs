//! `rampwatch list`.

use clap::Args;

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::service::queries::STATES;
use crate::view::{Page, PaymentView};

/// List payments
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those in this state
    #[arg(long, value_parser = STATES)]
    state: Option<String>,
    /// Those after this payment, in the order of their ids
    #[arg(long, value_name = "PAYMENT")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let state = self.state.as_deref();
        let ask = async |after: Option<String>, limit| operator.payments(state, after.as_deref(), limit).await;
        let page: Page<PaymentView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        let rows = page.items.iter().map(row).collect();
        output::print(&output::table(&["PAYMENT", "STATE", "API", "AMOUNT", "ADDRESS", "EXPIRES"], rows))?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}

fn row(view: &PaymentView) -> Vec<String> {
    let state = match (&view.state.outcome, &view.state.review) {
        (Some(outcome), _) => format!("{}: {}", view.state.name, format!("{outcome:?}").to_lowercase()),
        (None, Some(review)) => format!("{}: {}", view.state.name, output::reason(review)),
        (None, None) => view.state.name.clone(),
    };
    vec![
        view.id.to_string(),
        state,
        view.api.as_ref().map_or_else(|| "-".to_owned(), |word| output::plain(&word.status)),
        view.amount.to_string(),
        view.deposit_address.clone(),
        view.expires_at.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}
