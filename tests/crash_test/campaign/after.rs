//! What a killed rampwatch left behind: its store is opened as the next start would, looked through, and held against what
//! was there before and what the node has.

use std::collections::BTreeSet;

use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::SandboxError;

use super::report::Report;
use super::world::World;
use crate::run;
use crate::run::autopsy::{self, Left};
use crate::send::aftermath;
use crate::send::kills;

/// What was in the stores that were left behind.
#[derive(Default)]
pub(crate) struct Memory {
    records: autopsy::Memory,
    orders: kills::Memory,
}

impl Memory {
    /// Looks at the store; `node_answers` says whether the node can be asked now. Gives what is in it.
    pub(crate) async fn look(
        &mut self,
        world: &World,
        node_answers: bool,
        acknowledged: &BTreeSet<PaymentId>,
        report: &mut Report,
    ) -> Result<Left, SandboxError> {
        let path = &world.daemon.settings().store.path;
        if !path.exists() {
            return Ok(Left::default());
        }
        let store = aftermath::open(path).await?;
        let left = autopsy::read(&store).await?;
        if node_answers {
            let _still = world.life.still().await;
            report.violate_all("unknown", aftermath::unknown(world.sandbox.anvil().node(), &store).await?);
        }
        report.violate_all("undone", self.orders.compare(&store).await?);
        aftermath::close(store).await;
        check(world, report).await?;
        let mut told = run::Report::default();
        self.records.acknowledged(acknowledged, &left, &mut told);
        self.records.compare(&left, &mut told);
        let (lost, undone): (Vec<String>, Vec<String>) =
            told.details.into_iter().partition(|what| what.starts_with("lost"));
        report.violate_all("lost", lost);
        report.violate_all("undone", undone);
        Ok(left)
    }

    /// How often orders were found in which state.
    pub(crate) fn order_states(&self) -> String {
        kills::shown(&self.orders.states)
    }
}

/// Has the release binary look through the whole store: no kill may leave anything in it that should not be there.
async fn check(world: &World, report: &mut Report) -> Result<(), SandboxError> {
    let checked = world.daemon.run_command(&["store", "check"]).await?;
    if !checked.status.success() {
        let said = [checked.stdout, checked.stderr].concat();
        report.violate("unsound", String::from_utf8_lossy(&said));
    }
    Ok(())
}
