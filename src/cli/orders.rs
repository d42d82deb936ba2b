//! `rampwatch orders`.

use clap::Args;

use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::service::orders::ORDER_STATES;
use crate::view::Page;
use crate::view::order::OrderView;

/// List orders: what the hot wallet was told to send, and how far each is
///
/// Everything about one payment's orders, with all their transactions: `rampwatch show <PAYMENT>`; what happened to them:
/// `rampwatch why <PAYMENT>`.
#[derive(Debug, Args)]
pub(super) struct Orders {
    /// Only those in this state
    #[arg(long, value_parser = ORDER_STATES)]
    state: Option<String>,
    /// Only those that fund this payment
    #[arg(long)]
    payment: Option<String>,
    /// Those after this order, by payment and number
    #[arg(long, value_name = "ORDER")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Orders {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let (state, payment) = (self.state.as_deref(), self.payment.as_deref());
        let ask = async |after: Option<String>, limit| operator.orders(state, payment, after.as_deref(), limit).await;
        let page: Page<OrderView> = output::gather(self.limit, self.after, ask).await?;
        if self.json {
            return output::print_json(&page);
        }
        let rows = page.items.iter().map(row).collect();
        output::print(&output::table(&["ORDER", "AMOUNT", "TO", "STATE", "NONCE", "TRANSACTION"], rows))?;
        output::remark_more(page.next.as_deref());
        Ok(())
    }
}

fn row(view: &OrderView) -> Vec<String> {
    let state = match view.outcome.as_ref().or(view.hold.as_ref()) {
        Some(more) => format!("{}: {more}", view.state),
        None => view.state.clone(),
    };
    // The transaction that is mined or was signed last; earlier ones are in `show`.
    let transaction = mined(view).or_else(|| view.attempts.last().map(|attempt| attempt.tx_hash.to_string()));
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        view.id.to_string(),
        view.amount.to_string(),
        view.to.to_string(),
        state,
        or_none(view.nonce.map(|nonce| nonce.to_string())),
        or_none(transaction),
    ]
}

/// The transaction that is in a block.
fn mined(view: &OrderView) -> Option<String> {
    use crate::domain::order::{OrderOutcome, OrderState};

    match &view.detail {
        OrderState::Mined { tx_hash, .. } => Some(tx_hash.to_string()),
        OrderState::Ended { outcome, .. } => match outcome {
            OrderOutcome::Paid { tx_hash, .. }
            | OrderOutcome::SelfSent { tx_hash, .. }
            | OrderOutcome::Reverted { tx_hash }
            | OrderOutcome::MovedNothing { tx_hash } => Some(tx_hash.to_string()),
            OrderOutcome::Unsent { .. } | OrderOutcome::Displaced { .. } => None,
        },
        OrderState::AwaitingApproval { .. }
        | OrderState::Ready
        | OrderState::Held { .. }
        | OrderState::Sending { .. }
        | OrderState::Cancelling { .. } => None,
    }
}
