//! So many in a second, and as many at once.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Thousandths of a place, so that places come back little by little without fractions.
const PLACE: u64 = 1_000;

/// Places that are used up and come back.
pub(super) struct Bucket {
    a_second: u64,
    left: Mutex<(u64, Instant)>,
}

impl Bucket {
    /// Full at first.
    pub(super) fn new(a_second: u32) -> Self {
        let a_second = u64::from(a_second);
        Self { a_second, left: Mutex::new((a_second.saturating_mul(PLACE), Instant::now())) }
    }

    /// Takes a place; says whether there was one.
    pub(super) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut guard = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *guard;
        let millis = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        // In a millisecond a thousandth of a second's places comes back.
        let full = self.a_second.saturating_mul(PLACE);
        let left = left.saturating_add(millis.saturating_mul(self.a_second)).min(full);
        let rest = left.checked_sub(PLACE);
        // A moment that brought nothing back is not used up.
        let since = if millis == 0 { since } else { now };
        *guard = (rest.unwrap_or(left), since);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn places_are_used_up_and_come_back() {
        let (bucket, start) = (Bucket::new(20), Instant::now());
        let took = |after: u64| (0..100).filter(|_| bucket.take_at(start + Duration::from_millis(after))).count();
        assert_eq!(took(0), 20);
        assert_eq!(took(49), 0);
        assert_eq!(took(50), 1);
        assert_eq!(took(550), 10);
        assert_eq!(took(60_000), 20, "no more than a second's");
    }
}
