//! The real clock and real chance, and the bytes that keys are made of.
//!
//! Deliberately absent: a monotonic clock. Moments are compared with stored ones and with the chain's, so they are
//! wall-clock time; waiting is done by the runtime, which does not mind when the wall clock is set.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::domain::time::{Span, Timestamp};
use crate::ports::attachments::{Entropy, EntropyError};
use crate::ports::clock::{Chance, Clock};

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 counts as 1970; one that passes 64 bits of milliseconds as the far future.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).map_or(Timestamp::FAR_FUTURE, Timestamp::from_millis)
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn below(&self, bound: u64) -> u64 {
        // Only jitter hangs on it: neither the modulo's slight bias matters, nor that there is no jitter on a system
        // that has no randomness to give.
        getrandom::u64().ok().and_then(|number| number.checked_rem(bound)).unwrap_or(0)
    }
}

/// The operating system's random bytes, for what must be unique and not guessed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bytes(&self) -> Result<[u8; 16], EntropyError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| EntropyError(error.to_string()))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_about_right() {
        let year = 31_557_600;
        let now = SystemClock.now().as_secs();
        assert!((2025 - 1970) * year < now && now < (2225 - 1970) * year, "{now}");
    }

    #[test]
    fn chance_stays_below_its_bound() {
        assert_eq!(SystemChance.below(0), 0);
        assert_eq!(SystemChance.below(1), 0);
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| SystemChance.below(4)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_takes_the_time() {
        let start = tokio::time::Instant::now();
        SystemClock.sleep(Span::from_secs(3)).await;
        assert_eq!(start.elapsed().as_secs(), 3);
    }
}
