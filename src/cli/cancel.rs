//! `rampwatch cancel`.

use clap::Args;

use super::approve::About;
use super::exit::Failure;
use super::{operator, output};
use crate::config::Settings;
use crate::view::order::OrderView;

/// Cancel an order of the hot wallet
///
/// One of which nothing is signed ends at once, and its spend is given back. Once the transfer is signed it can still
/// be mined, whatever anybody wants: a self-send (nothing from the wallet to itself, with the same nonce) is then ordered
/// to take its place. Only one of the two can be mined, and which one is not known before it is final; `rampwatch
/// orders --payment <PAYMENT>` tells. One that is in a block already cannot be cancelled.
///
/// This is about an order. To stop rampwatch's completion of a payment: `rampwatch resolve cancel <PAYMENT>`.
#[derive(Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    about: About,
}

impl Cancel {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        let view = self.about.cancel(&operator).await?;
        if self.about.is_quiet() {
            return Ok(());
        }
        if view.state == "ended" {
            output::remark("nothing of it was on its way: it is over, and does not count as spent any more");
            return Ok(());
        }
        remark_unknown(&view);
        let wallet = operator.wallet().await?;
        if wallet.paused.is_some() || wallet.halted.is_some() {
            output::remark("the wallet is paused or halted, so the self-send waits too: `rampwatch wallet status`");
        }
        if operator.is_in_process() {
            output::remark("no daemon runs: the self-send is not sent before `rampwatch run` is started");
        }
        Ok(())
    }
}

/// The transfer is signed: what is known, and what is not.
fn remark_unknown(view: &OrderView) {
    let nonce = view.nonce.map_or_else(String::new, |nonce| format!(" with nonce {nonce}"));
    output::remark(&format!(
        "the transfer is signed already and may still be mined: a self-send{nonce} was ordered to take its place\n\
         whether the money moves is not known before one of the two is final, and it counts as spent until then\n\
         to look: rampwatch orders --payment {}",
        view.payment
    ));
}
