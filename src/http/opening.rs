//! Opens a door, however long it takes: a place that is taken, not permitted or not there stops neither watching nor
//! completing. It is told, and tried again.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::operator_service::OperatorService;

/// How long it is until the second try; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest time between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub struct Opened<T> {
    pub door: T,
    /// Whether it could not be opened at first: somebody else may have stood there meanwhile.
    pub is_late: bool,
}

/// Tries until it works, or until `stop` is cancelled; `None` then. `what` is the setting that says where. The first failure
/// raises an alarm, and so does the end of the trouble after one.
pub async fn open<T, E, F>(
    what: &'static str,
    mut bind: impl FnMut() -> F,
    handle: &OperatorService,
    stop: &CancellationToken,
) -> Option<Opened<T>>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let mut is_late = false;
    let mut wait = FIRST_WAIT;
    let mut told = false;
    loop {
        let said = match bind().await {
            Ok(door) => {
                if told {
                    tell(handle.tell_listening(what).await);
                }
                return Some(Opened { door, is_late });
            }
            Err(error) => error.to_string(),
        };
        is_late = true;
        if !told {
            // What the store does not take is told again with the next try.
            told = tell(handle.tell_not_listening(what, &said).await);
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(wait) => {}
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

/// Whether it could be told.
fn tell<E: Display>(told: Result<(), E>) -> bool {
    told.inspect_err(|error| tracing::warn!(%error, "what listens and what does not could not be told")).is_ok()
}
