//! The points of a life at which a process may die: before and after every commit, and before and after every call.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;

/// Counts points, and ends the life at one of them: whoever passes there, or afterwards, never goes on.
#[derive(Debug)]
pub(crate) struct Points {
    passed: AtomicU32,
    last: u32,
    dead: watch::Sender<bool>,
}

impl Points {
    /// A life that ends at the `nth` point, from 1; with 0 it does not end.
    pub(crate) fn until(nth: u32) -> Self {
        let last = if nth == 0 { u32::MAX } else { nth };
        Self { passed: AtomicU32::new(0), last, dead: watch::Sender::new(false) }
    }

    /// Tells when the life has ended.
    pub(crate) fn dead(&self) -> watch::Receiver<bool> {
        self.dead.subscribe()
    }

    /// Goes on, or never returns.
    pub(crate) async fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) + 1 >= self.last {
            self.dead.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}
