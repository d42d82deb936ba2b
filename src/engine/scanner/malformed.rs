//! Tells of logs that are no transfers although they bear a transfer's topic.

use super::{Scanner, Trouble};
use crate::domain::event::{Alarm, EventKind};
use crate::engine::transaction;

/// How many malformed logs are remembered as told; beyond that a new one is told by the log only.
const MOST_TOLD: usize = 1_000;

impl Scanner {
    /// Raises an alarm for each log that was not seen to be malformed before. Anybody can make such logs, so their
    /// number is bounded.
    pub(super) async fn alarm_malformed(&mut self, malformed: Vec<String>) -> Result<(), Trouble> {
        let mut alarms = Vec::new();
        for detail in malformed {
            let detail: String = detail.chars().take(300).collect();
            let known = self.known.told.malformed.contains(&detail);
            if known || self.known.told.malformed.len() >= MOST_TOLD {
                continue;
            }
            self.known.told.malformed.insert(detail.clone());
            tracing::error!(detail, "a log is no transfer although it has a transfer's topic");
            alarms.push(EventKind::Alarm { alarm: Alarm::MalformedLog { detail } });
        }
        Ok(transaction::tell(&*self.ports.store, self.ports.clock.now(), alarms).await?)
    }
}
