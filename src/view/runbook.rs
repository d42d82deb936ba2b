//! Where the runbook says more: one address for each review, hold and alarm.
//!
//! A test holds that each of them is there. Where the pages are served is `docs_url`, the one address that people configure.

use crate::domain::event::Alarm;
use crate::domain::hold::Hold;

/// The place of a review of this subject (`deposit`, `payment`, `candidate`, `payout`) and reason.
pub(crate) fn review(docs: &str, subject: &str, reason: &str) -> String {
    format!("{docs}/runbook/reviews.md#{subject}-{reason}")
}

/// The place of a hold.
pub(crate) fn hold(docs: &str, hold: &Hold) -> String {
    format!("{docs}/runbook/holds.md#{}", hold.name())
}

/// The place of an alarm: that of its alert.
pub(crate) fn alarm(docs: &str, alarm: &Alarm) -> String {
    format!("{docs}/runbook/alerts.md#rampwatch{}", alarm.name().replace('_', ""))
}
