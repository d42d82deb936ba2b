//! `rampwatch why`.

use clap::Args;

use super::exit::Failure;
use super::{operator, order_output, output};
use crate::config::Settings;
use crate::view::WhyView;

/// Say why a payment or a deposit stands where it stands: the record, the rule that decided, what would settle it if a
/// person must decide, and everything that happened
#[derive(Debug, Args)]
pub(super) struct Why {
    /// A payment's id, an order's id, a deposit's key, or a transaction hash (with :log-index where it has several deposits)
    subject: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let view = operator::open(settings).await?.why(&self.subject).await?;
        if self.json { output::print_json(&view) } else { output::print(&text(&view)) }
    }
}

fn text(view: &WhyView) -> String {
    let mut text = format!("{}\n\n", view.rule);
    if view.subject == "payment" {
        text.extend(view.payment.iter().map(output::payment));
        text.extend(view.deposits.iter().map(|deposit| format!("\n{}", output::deposit(deposit))));
    } else {
        text.extend(view.deposits.iter().map(output::deposit));
        text.extend(view.payment.iter().map(|payment| format!("\n{}", output::payment(payment))));
    }
    text.extend(view.money_back.iter().map(|back| format!("\n{}\n", back.text)));
    text.extend(view.orders.iter().map(|order| format!("\n{}", order_output::order(order))));
    text.extend(view.reviews.iter().map(|review| format!("\n{}", output::review(review))));
    text.push_str("\nWhat happened:\n");
    text.extend(view.events.iter().map(|event| format!("  {}  {}\n", event.at, output::plain(&event.text))));
    if view.more_events {
        text.push_str("  … and more\n");
    }
    text
}
