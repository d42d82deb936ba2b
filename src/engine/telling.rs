//! Says and counts what was committed.

use super::explain::alarm_name;
use super::views::verdict_name;
use crate::domain::event::{Event, EventKind};

/// Says what was committed.
pub(crate) fn log_events(events: &[Event]) {
    for event in events {
        match &event.kind {
            EventKind::PaymentMoved { from, to, why } => {
                let payment_id = event.payment.as_ref().map(tracing::field::display);
                let tx_hash = event.deposit.map(|key| key.tx_hash);
                tracing::info!(
                    payment_id,
                    tx_hash = tx_hash.map(tracing::field::display),
                    from = from.name(),
                    to = to.name(),
                    why,
                    "payment moved"
                );
            }
            EventKind::DepositSeen { deposit, .. } => {
                tracing::info!(tx_hash = %deposit.key.tx_hash, log_index = deposit.key.log_index, block = deposit.block_number, to = %deposit.to, amount = %deposit.amount, "deposit seen");
            }
            EventKind::DepositJudged { verdict } => {
                metrics::counter!("rampwatch_deposits_total", "verdict" => verdict_name(verdict)).increment(1);
                let tx_hash = event.deposit.map(|key| key.tx_hash);
                tracing::info!(tx_hash = tx_hash.map(tracing::field::display), ?verdict, "deposit judged");
            }
            EventKind::DepositStands { standing, block, .. } => {
                tracing::info!(block = block.number, ?standing, "deposit's block");
            }
            EventKind::Alarm { alarm } => {
                metrics::counter!("rampwatch_alarms_total", "alarm" => alarm_name(alarm)).increment(1);
                tracing::error!(?alarm, "alarm");
            }
            EventKind::PaymentAdded { .. }
            | EventKind::ApiReported { .. }
            | EventKind::PersonDecided { .. }
            | EventKind::FinalityMoved { .. }
            | EventKind::AddressPlaced { .. }
            | EventKind::AddressClosed { .. } => {}
        }
    }
}
