//! Keeps the gauges of payments and reviews up to date while the engine runs, whether the API can be served or not.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::operator_service::OperatorService;
use crate::service::tally::Tally;

/// How many events are counted before others get their turn.
const BATCH: usize = 5_000;

/// The shortest time between two counts, so that a busy hour does not count after every commit.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// How long a failed count waits.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Counts whenever something has changed, until `stop`. The gauges appear once everything is counted: half a count
/// would be a wrong number.
pub async fn keep_counting(handle: OperatorService, stop: CancellationToken) {
    let mut tally = Tally::default();
    let mut changes = handle.changes();
    loop {
        changes.mark_unchanged();
        let wait = match handle.tally(&mut tally, BATCH).await {
            Ok(true) => {
                publish(&tally);
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
                AT_MOST_EVERY
            }
            Ok(false) => Duration::ZERO,
            Err(error) => {
                tracing::warn!(%error, "payments and reviews could not be counted for the metrics");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn publish(tally: &Tally) {
    for (state, count) in tally.payments() {
        metrics::gauge!("rampwatch_payments", "state" => state).set(gauge(count));
    }
    metrics::gauge!("rampwatch_reviews").set(gauge(tally.reviews()));
}

/// A count as a gauge's number, which is exact up to 2^32 and no count comes near.
fn gauge(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
