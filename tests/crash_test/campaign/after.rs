//! What a killed rampwatch left behind: its store is opened as the next start would, looked through, and held against what
//! was there before and what the node has.

use std::collections::BTreeSet;

use rampwatch::adapters::sled::SledStore;
use rampwatch::domain::order::OrderId;
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::record::{RecordBody, RecordKind};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::Store as _;
use rampwatch::sandbox::SandboxError;

use super::report::{Disputes, Report};
use super::world::World;
use crate::run;
use crate::run::autopsy::{self, Left};
use crate::send::aftermath;
use crate::send::kills;

/// More than there are of anything.
const MOST: usize = 100_000;

/// What was in the stores that were left behind.
#[derive(Default)]
pub(crate) struct Memory {
    records: autopsy::Memory,
    orders: kills::Memory,
    /// Orders that counted as failed, and had not.
    reverted: BTreeSet<OrderId>,
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
            self.look_for_reverts(world, &store, report).await?;
        }
        report.disputes = disputes(&store).await?;
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

    /// Orders that count as failed for good, of which no transaction has failed on the chain.
    async fn look_for_reverts(
        &mut self,
        world: &World,
        store: &SledStore,
        report: &mut Report,
    ) -> Result<(), SandboxError> {
        let orders = store.orders(None, MOST).await.map_err(aftermath::failed)?;
        for order in orders.into_iter().filter(|order| order.reverts > 0) {
            let mut has_failed = false;
            for attempt in &order.attempts {
                let receipt = world.sandbox.anvil().node().receipt(attempt.tx_hash).await?;
                has_failed |= receipt.is_some_and(|receipt| !receipt.succeeded);
            }
            if !has_failed && self.reverted.insert(order.id.clone()) {
                report.violate("reverted", format!("order {} has not failed: {order:#?}", order.id));
            }
        }
        Ok(())
    }

    /// How often orders were found in which state.
    pub(crate) fn order_states(&self) -> String {
        kills::shown(&self.orders.states)
    }
}

/// What operators contradict each other about, or say too little of: how many cases there are, and those that are open.
async fn disputes(store: &SledStore) -> Result<Disputes, SandboxError> {
    let open = store.records_due(RecordKind::Dispute, Timestamp::FAR_FUTURE, MOST).await.map_err(aftermath::failed)?;
    let all = store.records_page(RecordKind::Dispute, None, MOST).await.map_err(aftermath::failed)?.len();
    let open = open.into_iter().filter_map(|record| match record.body {
        RecordBody::Dispute(dispute) => Some(format!("{} ({:?}): {:?}", dispute.matter, dispute.kind_of, dispute.said)),
        _ => None,
    });
    Ok(Disputes { all, open: open.collect() })
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
