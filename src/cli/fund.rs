//! `rampwatch fund`.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;

use super::exit::{Exit, Failure};
use super::{operator, order_output, output};
use crate::config::Settings;
use crate::service::orders::FundRequest;
use crate::view::order::OrderView;

/// Send a payment's money from the hot wallet: show what would be sent, ask, and place an order
///
/// Nothing is sent before you agree: you see the amount, the address, the most that the fee can be, what is left of each
/// limit, and whether somebody must approve the order afterwards. Exactly that is ordered, and a payment never has two
/// open orders. The daemon (`rampwatch run`) checks everything once more before it signs and sends; `rampwatch orders`
/// shows how far it is.
#[derive(Debug, Args)]
pub(super) struct Fund {
    /// The payment's id
    payment: String,
    /// Do not ask; needed where there is no terminal
    #[arg(long)]
    yes: bool,
    /// Print the order as JSON
    #[arg(long)]
    json: bool,
}

impl Fund {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        if !self.yes && !can_ask() {
            let said =
                "there is no terminal to ask on, and nothing was ordered: add --yes to order without being asked";
            return Err(Failure::new(Exit::Usage, said));
        }
        let operator = operator::open(settings).await?;
        let preview = operator.preview_fund(&self.payment).await?;
        if !(self.yes && self.json) {
            output::remark(order_output::preview(&preview).trim_end());
        }
        if !self.yes {
            agreed(format!("Send {} to {}? [y/N] ", preview.amount, preview.to), "Nothing was ordered.").await?;
        }
        // What was shown is said again: if the payment is another one by now, nothing is ordered.
        let request = FundRequest {
            payment: preview.payment.to_string(),
            to: preview.to.to_string(),
            base_units: preview.amount.base_units,
        };
        let order = operator.fund(&request).await?;
        if self.json {
            return output::print_json(&order);
        }
        output::print(&output::fields(&[
            ("order", Some(order.id.to_string())),
            ("state", Some(order.state.clone())),
            ("", Some(output::plain(&order.text))),
        ]))?;
        remark_next(&order, operator.is_in_process());
        Ok(())
    }
}

/// Says what has to happen before anything is sent.
fn remark_next(order: &OrderView, is_offline: bool) {
    if order.state == "awaiting-approval" {
        output::remark(&format!("next: rampwatch approve {} --reason '…'", order.id));
    }
    if is_offline {
        output::remark("no daemon runs: nothing is sent before `rampwatch run` is started");
    }
}

/// Whether there is a terminal to ask on.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal. Only a clear yes is one; the end of what is typed is a no. `so`: a sentence about what a no means.
///
/// # Errors
/// Nobody agreed, which is told; or the terminal cannot be read.
pub(super) async fn agreed(question: String, so: &str) -> Result<(), Failure> {
    let unreadable = || Failure::new(Exit::Failed, format!("the terminal could not be read. {so}"));
    let ask = move || {
        let mut stderr = std::io::stderr();
        stderr.write_all(output::seen(&question).as_bytes())?;
        stderr.flush()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    };
    let line = tokio::task::spawn_blocking(ask).await.map_err(|_| unreadable())?.map_err(|_| unreadable())?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    output::remark(so);
    Err(Failure::new(Exit::Failed, so).told())
}
