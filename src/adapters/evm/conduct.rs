//! How an endpoint has conducted itself: whether it contradicts what is known, and whether its head stands still. Each is
//! told once, when it begins, and once when it is over.
//!
//! Deliberately absent: how long it rests, and judging what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::chain::{EndpointNews, Hint};

use super::hints::HintQueue;

/// A head so many blocks below the highest one seen elsewhere is that of a node that hangs.
pub(super) const MAX_LAG: u64 = 16;

pub(super) struct Conduct {
    name: String,
    hints: Arc<HintQueue>,
    stall_after: Duration,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// When it contradicted last, until that is over.
    contradicted_at: Option<Instant>,
    /// Its head, and since when it has shown it.
    head: Option<(u64, Instant)>,
    /// Since when, and until when at least, its head has lagged.
    lags: Option<(Instant, Instant)>,
    /// Whether it has lagged for too long.
    stalled: bool,
    /// When its head was last compared because it stood still.
    compared_at: Option<Instant>,
    /// The block that it calls final, and since when.
    called_final: Option<(u64, Instant)>,
}

impl Conduct {
    pub(super) fn new(name: &str, hints: &Arc<HintQueue>, stall_after: Duration) -> Self {
        Self { name: name.to_owned(), hints: Arc::clone(hints), stall_after, record: Mutex::default() }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: EndpointNews) {
        self.hints.push(Hint::Endpoint { name: self.name.clone(), news });
    }

    /// It contradicts what is known.
    pub(super) fn contradicts(&self, said: &str) {
        let is_new = self.record().contradicted_at.replace(Instant::now()).is_none();
        if is_new {
            self.tell(EndpointNews::Contradicts { said: said.to_owned() });
        }
    }

    /// It answered well. A contradiction is over once none has come for a while.
    pub(super) fn worked(&self) {
        let mut record = self.record();
        let is_over = record.contradicted_at.is_some_and(|at| at.elapsed() >= self.stall_after);
        if is_over {
            record.contradicted_at = None;
            drop(record);
            self.tell(EndpointNews::Back);
        }
    }

    /// It shows this head, when the highest that was seen anywhere is `highest`.
    pub(super) fn showed(&self, number: u64, highest: u64) {
        let now = Instant::now();
        let mut record = self.record();
        if record.head.is_none_or(|(known, _)| known != number) {
            record.head = Some((number, now));
        }
        if number.saturating_add(MAX_LAG) >= highest {
            record.lags = None;
            if std::mem::take(&mut record.stalled) {
                drop(record);
                self.tell(EndpointNews::Back);
            }
            return;
        }
        // What was seen long ago says nothing of the time in between.
        let lags = record.lags.filter(|(_, last)| now.saturating_duration_since(*last) < self.stall_after);
        let since = lags.map_or(now, |(since, _)| since);
        record.lags = Some((since, now));
        let lasted = now.saturating_duration_since(since);
        if lasted >= self.stall_after && !std::mem::replace(&mut record.stalled, true) {
            drop(record);
            let seconds = lasted.as_secs();
            let said =
                format!("its head is {number} while {highest} was seen elsewhere, and has lagged for {seconds} s");
            self.tell(EndpointNews::Stalls { said });
        }
    }

    /// Whether it has lagged for so long that it has no say.
    pub(super) fn is_stalled(&self) -> bool {
        self.record().stalled
    }

    /// Whether the block that it calls final has stood still for so long that others should be asked what is final.
    pub(super) fn finality_stands(&self, called_final: u64) -> bool {
        let now = Instant::now();
        let mut record = self.record();
        let since = record.called_final.filter(|(known, _)| *known == called_final).map_or(now, |(_, since)| since);
        record.called_final = Some((called_final, since));
        now.saturating_duration_since(since) >= self.stall_after
    }

    /// Whether its head has stood still for so long that another endpoint should be asked whether the chain does. Says so
    /// once in that time.
    pub(super) fn is_to_be_compared(&self) -> bool {
        let mut record = self.record();
        let long_ago = |at: Instant| at.elapsed() >= self.stall_after;
        let is_due = record.head.is_some_and(|(_, since)| long_ago(since)) && record.compared_at.is_none_or(long_ago);
        if is_due {
            record.compared_at = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use futures_util::FutureExt as _;

    fn conduct() -> (Conduct, Arc<HintQueue>) {
        let hints = Arc::new(HintQueue::default());
        (Conduct::new("one", &hints, Duration::from_secs(60)), hints)
    }

    fn told(hints: &HintQueue) -> Vec<EndpointNews> {
        let next = || match hints.next().now_or_never()? {
            Hint::Endpoint { news, .. } => Some(news),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(next).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_contradiction_is_told_once_and_so_is_its_end() {
        let (conduct, hints) = conduct();
        for _ in 0..5 {
            conduct.contradicts("block 9 is dated tomorrow");
            conduct.worked();
            tokio::time::advance(Duration::from_secs(50)).await;
        }
        let said = "block 9 is dated tomorrow".to_owned();
        assert_eq!(told(&hints), [EndpointNews::Contradicts { said }]);
        tokio::time::advance(Duration::from_secs(50)).await;
        conduct.worked();
        conduct.worked();
        assert_eq!(told(&hints), [EndpointNews::Back]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_lags_for_long_has_no_say_until_it_is_back() {
        let (conduct, hints) = conduct();
        for second in 0..6 {
            conduct.showed(100, 117 + second);
            assert!(!conduct.is_stalled());
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        conduct.showed(100, 190);
        assert!(conduct.is_stalled() && matches!(told(&hints)[..], [EndpointNews::Stalls { .. }]));
        conduct.showed(100, 191);
        assert_eq!(told(&hints), []);
        conduct.showed(190, 200);
        assert!(!conduct.is_stalled());
        assert_eq!(told(&hints), [EndpointNews::Back]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_lagged_twice_with_long_between_has_not_lagged_all_the_time() {
        let (conduct, hints) = conduct();
        conduct.showed(100, 200);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        conduct.showed(2_000, 2_100);
        assert!(!conduct.is_stalled() && told(&hints).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_finalized_block_that_stands_still_has_others_asked_until_it_goes_on() {
        let (conduct, _) = conduct();
        assert!(!conduct.finality_stands(90));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!conduct.finality_stands(90));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(conduct.finality_stands(90) && conduct.finality_stands(90), "each time");
        assert!(!conduct.finality_stands(91));
        assert!(!conduct.finality_stands(90), "whichever way it goes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_stands_still_is_compared_now_and_then() {
        let (conduct, _) = conduct();
        conduct.showed(100, 100);
        assert!(!conduct.is_to_be_compared());
        tokio::time::advance(Duration::from_secs(61)).await;
        conduct.showed(100, 100);
        assert!(conduct.is_to_be_compared() && !conduct.is_to_be_compared());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(conduct.is_to_be_compared());
        conduct.showed(101, 101);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!conduct.is_to_be_compared());
    }
}
