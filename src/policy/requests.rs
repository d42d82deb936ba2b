//! How often somebody may make the engine call the payment API: the key's quota is everybody's, and no single token may use it
//! up. Every name has a bucket of each kind, which fills up again as time passes.

use crate::domain::time::{Span, Timestamp};

/// What a request makes the payment API do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// A question: a rate, a quote, or something of webhooks.
    Question,
    /// To look at one payment: one that is to be added, or that is to be looked at again now.
    Look,
    /// To open an off-ramp, or to try that again. It is stored at once; the calls are made one after the other.
    Payout,
}

impl Demand {
    /// How many may come at once, and how many more each minute. Some thousand payments, or a file of as many payouts, come at once.
    const fn limit(self) -> (u64, u64) {
        match self {
            Self::Question => (60, 60),
            Self::Look => (20_000, 1_200),
            Self::Payout => (20_000, 1_200),
        }
    }

    /// What is said of a limit that is reached.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Question => "60 rates, quotes and questions after webhooks a minute",
            Self::Look => "20000 payments added or retried at once, and 1200 more a minute",
            Self::Payout => "20000 payouts placed or retried at once, and 1200 more a minute",
        }
    }
}

/// How much one name has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// A request takes [`MINUTE_MS`] of it, and a millisecond gives as much of it as requests are let through in a minute.
    left: u64,
    at: Timestamp,
}

const MINUTE_MS: u64 = 60_000;

/// The bucket after one more request, if there is room for it.
///
/// # Errors
/// How long it takes until there is.
pub fn take(bucket: Option<Bucket>, demand: Demand, now: Timestamp) -> Result<Bucket, Span> {
    let (most, per_minute) = demand.limit();
    let full = most.saturating_mul(MINUTE_MS);
    let left = bucket.map_or(full, |bucket| {
        // A clock that was set back fills nothing.
        let gained = now.since(bucket.at).as_millis().saturating_mul(per_minute);
        bucket.left.saturating_add(gained).min(full)
    });
    match left.checked_sub(MINUTE_MS) {
        Some(left) => Ok(Bucket { left, at: now }),
        None => {
            let lacks = MINUTE_MS.saturating_sub(left);
            Err(Span::from_millis(lacks.div_ceil(per_minute)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_a_name_may_ask_so_often_and_no_more() {
        let at = |ms: u64| Timestamp::from_millis(1_790_000_000_000_u64.saturating_add(ms));
        for (demand, most, every_ms) in
            [(Demand::Question, 60, 1_000), (Demand::Look, 20_000, 50), (Demand::Payout, 20_000, 50)]
        {
            let mut bucket = None;
            for _ in 0..most {
                bucket = Some(take(bucket, demand, at(0)).expect("there is room"));
            }
            assert_eq!(take(bucket, demand, at(0)), Err(Span::from_millis(every_ms)), "{demand:?}");
            assert_eq!(take(bucket, demand, at(every_ms - 1)), Err(Span::from_millis(1)), "{demand:?}");
            let next = take(bucket, demand, at(every_ms)).expect("one more");
            assert!(take(Some(next), demand, at(every_ms)).is_err(), "and only one");
            assert!(take(Some(next), demand, at(0)).is_err(), "a clock that was set back gives nothing");
            let later = take(Some(next), demand, at(10_000_000)).expect("it is full again");
            assert_eq!(
                later,
                Bucket { left: (most - 1) * MINUTE_MS, at: at(10_000_000) },
                "and holds no more than it may"
            );
        }
    }
}
