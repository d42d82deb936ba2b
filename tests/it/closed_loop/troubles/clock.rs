//! A wall clock that can be set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;

/// The machine's clock, and how many milliseconds it is ahead of ten hours ago.
#[derive(Clone)]
pub(crate) struct SetClock(Arc<AtomicU64>);

const TEN_HOURS: Span = Span::from_secs(36_000);

impl SetClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(TEN_HOURS.as_millis())))
    }

    pub(crate) fn set_back(&self, span: Span) {
        self.0.fetch_sub(span.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn set_forward(&self, span: Span) {
        self.0.fetch_add(span.as_millis(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().minus(TEN_HOURS).plus(Span::from_millis(self.0.load(Ordering::Relaxed)))
    }

    async fn sleep(&self, span: Span) {
        SystemClock.sleep(span).await;
    }
}
