//! `rampwatch approve` and `rampwatch reject`.

use clap::Args;

use super::exit::Failure;
use super::fund::{agreed, can_ask};
use super::{operator, order_output, output};
use crate::client::Client;
use crate::config::Settings;
use crate::service::orders::ApproveRequest;
use crate::view::order::OrderView;

/// Approve an order that waits for it; it is checked once more and then sent
///
/// You see the payment, the amount, the address and why an approval is needed, and exactly that is approved: if the order is
/// another one by then, nothing is. On a terminal you are asked first.
#[derive(Debug, Args)]
pub(super) struct Approve {
    #[command(flatten)]
    about: About,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Reject an order that waits for an approval; nothing is sent, and it does not count as spent any more
#[derive(Debug, Args)]
pub(super) struct Reject {
    #[command(flatten)]
    about: About,
}

/// An order, and a person's reason.
#[derive(Debug, Args)]
pub(super) struct About {
    /// The order's id, as `rampwatch orders` prints it, such as pay-7:1
    order: String,
    /// Why; kept with the decision
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Approve {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let About { order, reason, json } = &self.about;
        let operator = operator::open(settings).await?;
        let shown = operator.order(order).await?;
        if can_ask() && !self.yes {
            output::remark(order_output::to_approve(&shown).trim_end());
            agreed("Approve this? [y/N] ".to_owned(), "Nothing was approved.").await?;
        }
        // What was shown is said again: if the order is another one by now, nothing is approved.
        let view = operator.approve(order, &ApproveRequest::of(&shown, reason)).await?;
        print(&view, *json)?;
        if operator.is_in_process() && !json {
            output::remark("no daemon runs: nothing is sent before `rampwatch run` is started");
        }
        Ok(())
    }
}

impl Reject {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let About { order, reason, json } = &self.about;
        print(&operator.reject(order, reason).await?, *json)
    }
}

impl About {
    /// Cancels the order, and shows what that made of it.
    pub(super) async fn cancel(&self, operator: &Client) -> Result<OrderView, Failure> {
        let view = operator.cancel_order(&self.order, &self.reason).await?;
        print(&view, self.json)?;
        Ok(view)
    }

    /// Whether only JSON is wanted.
    pub(super) const fn is_quiet(&self) -> bool {
        self.json
    }
}

fn print(view: &OrderView, json: bool) -> Result<(), Failure> {
    if json { output::print_json(view) } else { output::print(&order_output::order(view)) }
}
