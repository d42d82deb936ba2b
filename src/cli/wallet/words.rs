//! `rampwatch wallet pause`, `resume`, `adopt` and `status`.

use clap::Args;

use super::super::exit::{Exit, Failure};
use super::super::{operator, order_output, output};
use crate::config::Settings;
use crate::service::adopt::AdoptRequest;
use crate::view::order::WalletView;

/// Stop sending at once, until the wallet is resumed
///
/// From now on nothing is signed or sent, not even a self-send. Transactions that were sent before can still be mined;
/// watching and completing go on. The pause is kept in the store, over restarts too.
#[derive(Debug, Args)]
pub(super) struct Pause {
    #[command(flatten)]
    why: Why,
}

/// End the wallet's pause
///
/// Orders that waited are checked anew before anything is sent. A halt is not ended by this: see `wallet adopt`.
#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    why: Why,
}

/// End a halt, once you know why the wallet was halted
///
/// A wallet is halted when its nonces are not understood: it was used before this store was made, or something else uses
/// its key. First make sure that nothing else uses the key. Needs the running daemon, which asks every node; all must
/// agree on the wallet's nonces, and only transactions of this store may wait to be mined. Sending goes on from there.
/// What the wallet sent in the last 24 hours counts as spent, whether or not this store knows of it.
#[derive(Debug, Args)]
pub(super) struct Adopt {
    #[command(flatten)]
    why: Why,
    /// The wallet's next nonce, as a block explorer shows it. Needed where all endpoints are one operator's, or where the nodes
    /// do not agree; one of them must say the same
    #[arg(long, value_name = "NUMBER")]
    next_nonce: Option<u64>,
}

/// Show whether the wallet sends, what it has spent in 24 hours, and how many orders are open
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A person's reason.
#[derive(Debug, Args)]
struct Why {
    /// Why; kept with the decision
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn show(view: &WalletView, json: bool) -> Result<(), Failure> {
    if json { output::print_json(view) } else { output::print(&order_output::wallet(view)) }
}

impl Pause {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let view = operator::open(settings).await?.pause_wallet(&self.why.reason).await?;
        show(&view, self.why.json)
    }
}

impl Resume {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let view = operator::open(settings).await?.resume_wallet(&self.why.reason).await?;
        show(&view, self.why.json)?;
        if view.halted.is_some() && !self.why.json {
            output::remark("the pause is over, and the wallet is still halted: nothing is sent before it is adopted");
        }
        Ok(())
    }
}

impl Adopt {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let request = AdoptRequest { reason: self.why.reason, next_nonce: self.next_nonce };
        let operator = operator::open(settings).await?;
        if operator.is_in_process() {
            let said = "adopting the wallet asks the nodes, which the daemon does, and none runs: start `rampwatch run` \
                        first";
            return Err(Failure::new(Exit::Unavailable, said));
        }
        let view = operator.adopt_wallet(&request).await?;
        show(&view, self.why.json)
    }
}

impl Status {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let view = operator::open(settings).await?.wallet().await?;
        show(&view, self.json)
    }
}
