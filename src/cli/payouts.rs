//! `rampwatch payouts`.

use clap::Args;

use super::exit::Failure;
use super::payout::show;
use super::{operator, output};
use crate::config::Settings;
use crate::view::Page;
use crate::view::payout::PayoutView;

/// The names of the states, for the filter.
const STATES: [&str; 7] = ["placed", "quoted", "creating", "unclear", "created", "review", "cancelled"];

/// List payouts: what was asked for, and how far each is
///
/// `rampwatch payout show <REFERENCE>` shows one in full.
#[derive(Debug, Args)]
pub(super) struct Payouts {
    /// Only those in this state; one that is open goes on as its payment does
    #[arg(long, value_parser = STATES)]
    state: Option<String>,
    /// Those after this reference
    #[arg(long, value_name = "REFERENCE")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Payouts {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let state = self.state.as_deref();
        let ask = async |after: Option<String>, limit| operator.payouts(state, after.as_deref(), limit).await;
        let page: Page<PayoutView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        let rows = page.items.iter().map(show::row).collect();
        output::print(&output::table(&["REFERENCE", "AMOUNT", "RECIPIENT", "STATE", "PAYMENT", "TRANSACTION"], rows))?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}
