//! Tells of logs that are no transfers although they bear a transfer's topic.

use super::Trouble;
use super::Watcher;
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::names::alarm_name;
use crate::engine::event_log::count_alarm;
use crate::ports::store::Commit;

/// How many malformed logs are remembered as told; beyond that a new one is told by the log only.
const MOST_TOLD: usize = 1_000;

impl Watcher {
    /// Raises an alarm for each log that was not seen to be malformed before. Anybody can make such logs, so their
    /// number is bounded.
    pub(super) async fn alarm_malformed(&mut self, malformed: Vec<String>) -> Result<(), Trouble> {
        let at = self.ports.clock.now();
        let mut events = Vec::new();
        for detail in malformed {
            let detail: String = detail.chars().take(300).collect();
            let known = self.told.malformed.contains(&detail);
            if known || self.told.malformed.len() >= MOST_TOLD {
                continue;
            }
            self.told.malformed.insert(detail.clone());
            let alarm = Alarm::MalformedLog { detail: detail.clone() };
            count_alarm(&alarm);
            let name = alarm_name(&alarm);
            tracing::error!(alarm = name, detail, "a log is no transfer although it has a transfer's topic");
            let kind = EventKind::Alarm { alarm };
            events.push(Event { at, payment: None, deposit: None, kind });
        }
        if events.is_empty() {
            return Ok(());
        }
        self.ports.store.commit(Commit { events, ..Commit::default() }).await?;
        Ok(())
    }
}
