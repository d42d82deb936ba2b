//! Waiting for a condition, within bounds.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is looked.
pub(crate) const LOOK: Duration = Duration::from_millis(200);

/// Whether it comes to be within the limit.
pub(crate) async fn within(limit: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition().await {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}
