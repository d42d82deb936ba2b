//! The queue of hints: bounded, and honest about what did not fit.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::ports::chain::Hint;

/// Hints that may wait. Beyond, they become one [`Hint::Gap`].
const CAPACITY: usize = 1_024;

/// Hints on their way to the one who waits for them.
#[derive(Debug, Default)]
pub(super) struct HintQueue {
    hints: Mutex<VecDeque<Hint>>,
    filled: Notify,
}

impl HintQueue {
    /// Adds a hint. When the queue is full, all that wait become one gap; the last word on whether the subscription
    /// works is kept, and what is to be told of endpoints.
    pub(super) fn push(&self, hint: Hint) {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if hints.len() >= CAPACITY {
            let standing = hints.iter().rev().find(|hint| matches!(hint, Hint::Live | Hint::Down { .. })).cloned();
            hints.retain(|hint| matches!(hint, Hint::Endpoint { .. }));
            hints.push_back(Hint::Gap { why: "more hints came than were taken".to_owned() });
            hints.extend(standing);
        }
        hints.push_back(hint);
        drop(hints);
        self.filled.notify_one();
    }

    /// Waits for the next hint. Nothing is lost when the waiting is dropped.
    pub(super) async fn next(&self) -> Hint {
        loop {
            let filled = self.filled.notified();
            if let Some(hint) = self.hints.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                return hint;
            }
            filled.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn overflow_becomes_one_gap() {
        let queue = HintQueue::default();
        queue.push(Hint::Live);
        for block in 0..CAPACITY as u64 * 2 {
            queue.push(Hint::Transfer { block });
        }
        let mut seen = Vec::new();
        while seen.last() != Some(&Hint::Transfer { block: CAPACITY as u64 * 2 - 1 }) {
            seen.push(queue.next().await);
        }
        assert!(seen.len() <= CAPACITY);
        assert!(matches!(seen[0], Hint::Gap { .. }));
        assert_eq!(seen[1], Hint::Live);
        assert_eq!(seen.iter().filter(|hint| matches!(hint, Hint::Gap { .. })).count(), 1);
    }

    #[tokio::test]
    async fn waiting_can_be_dropped() {
        let queue = HintQueue::default();
        for _ in 0..3 {
            assert!(tokio::time::timeout(std::time::Duration::from_millis(1), queue.next()).await.is_err());
        }
        queue.push(Hint::Live);
        queue.push(Hint::Transfer { block: 1 });
        assert_eq!(queue.next().await, Hint::Live);
        assert_eq!(queue.next().await, Hint::Transfer { block: 1 });
    }
}
