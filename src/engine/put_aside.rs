//! Records that do not read: each is told of once a start. What it belongs to is left alone until the next start (`worker`), and
//! everything else goes on. Deliberately absent: repairs.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::{EngineError, Ports, transaction};
use crate::domain::event::{Alarm, EventKind};

/// Raises an alarm for every record that is found not to read.
pub(crate) async fn tell(ports: Ports, stop: CancellationToken) -> Result<(), EngineError> {
    let mut changes = ports.store.changes();
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut seen = None;
    loop {
        let count = changes.borrow_and_update().unreadable;
        if seen != Some(count) {
            let now = ports.clock.now();
            let found = ports.store.unreadable().into_iter().filter(|found| told.insert(found.what.clone()));
            let alarms = found.map(|found| Alarm::RecordUnreadable { record: found.what, why: found.why });
            transaction::tell(&*ports.store, now, alarms.map(|alarm| EventKind::Alarm { alarm })).await?;
            seen = Some(count);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { stop.cancelled().await },
        }
    }
}

/// Why the wallet signs nothing while a record does not read that it goes by.
pub(crate) fn unreadable(what: &str) -> String {
    format!(
        "a record does not read: {what}. Stop rampwatch, keep a copy of the store, and start the newer rampwatch that wrote the record, if one did"
    )
}
