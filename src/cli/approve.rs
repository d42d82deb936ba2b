//! `rampwatch approve` and `rampwatch reject`.

use clap::Args;

use super::exit::Failure;
use super::operator::Operator;
use super::order_desk::Word;
use super::{order_output, output};
use crate::config::Settings;

/// Approve an order that waits for it; it is checked once more and then sent
#[derive(Debug, Args)]
pub(super) struct Approve {
    #[command(flatten)]
    about: About,
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

impl About {
    /// Says the word, and shows what it made of the order.
    pub(super) async fn say(
        &self,
        operator: &Operator,
        word: Word,
    ) -> Result<crate::engine::order_views::OrderView, Failure> {
        let view = operator.decide_order(&self.order, word, &self.reason).await?;
        if self.json {
            output::print_json(&view)?;
        } else {
            output::print(&order_output::order(&view))?;
        }
        Ok(view)
    }

    /// Whether only JSON is wanted.
    pub(super) const fn is_quiet(&self) -> bool {
        self.json
    }
}

impl Approve {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = Operator::open(settings).await?;
        self.about.say(&operator, Word::Approve).await?;
        if operator.is_offline() && !self.about.is_quiet() {
            output::remark("no daemon runs: nothing is sent before `rampwatch run` is started");
        }
        Ok(())
    }
}

impl Reject {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = Operator::open(settings).await?;
        self.about.say(&operator, Word::Reject).await.map(drop)
    }
}
