//! What endpoints are asked for. What one cannot do of it, for now or at all, says nothing of what it does well: it is asked
//! after the others for that alone, and looked at again after a while.
//!
//! Deliberately absent: what keeps an endpoint from answering anything, after which it rests ([`Endpoint`](super::endpoint)).

use std::collections::BTreeMap;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::time::Instant;

use crate::domain::chain::BlockNumber;

use super::classify::Class;
use super::settings::CoolDown;

/// How long it is remembered that an endpoint has no logs of a block.
const HISTORY_SERVES_FOR: Duration = Duration::from_secs(3_600);

/// What repeats is told again after this long.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Something that endpoints are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub(super) enum Ability {
    /// Headers, and the tags that stand for some.
    Blocks,
    /// Transfers in a range of blocks.
    Logs,
    /// What became of transactions.
    Receipts,
    /// Balances, nonces, prices, and calls of contracts.
    State,
    /// To take a transaction.
    #[strum(serialize = "broadcasts")]
    Broadcast,
}

impl Ability {
    /// Its name in logs.
    pub(super) const fn name(self) -> &'static str {
        self.into_str()
    }
}

/// How one endpoint has done lately in each of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Abilities {
    failing: BTreeMap<Ability, Failing>,
    /// The newest block whose logs it has said that it no longer has, and when.
    no_logs_of: Option<(BlockNumber, Instant)>,
    told: BTreeMap<(Option<Ability>, &'static str), (Instant, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    times: u32,
    until: Instant,
}

impl Abilities {
    /// It did this well.
    pub(super) fn worked(&mut self, at: Ability) {
        self.failing.remove(&at);
    }

    /// It failed in this: others are asked first for a while.
    pub(super) fn failed(&mut self, at: Ability, cool_down: &CoolDown) {
        let now = Instant::now();
        let times = self.failing.get(&at).map_or(0, |failing| failing.times).saturating_add(1);
        let until = now.checked_add(cool_down.after(times)).unwrap_or(now);
        self.failing.insert(at, Failing { times, until });
    }

    /// Whether others should be asked for this first.
    pub(super) fn is_failing(&self, at: Ability) -> bool {
        self.failing.get(&at).is_some_and(|failing| failing.until > Instant::now())
    }

    /// It no longer has the logs of this block.
    pub(super) fn has_no_logs_of(&mut self, block: BlockNumber) {
        let newest = self.no_logs_of.map_or(block, |(known, _)| known.max(block));
        self.no_logs_of = Some((newest, Instant::now()));
    }

    /// Whether it has said lately that it no longer has the logs of this block, or of a newer one.
    pub(super) fn lacks_logs_of(&self, block: BlockNumber) -> bool {
        self.no_logs_of.is_some_and(|(known, at)| block <= known && at.elapsed() < HISTORY_SERVES_FOR)
    }

    /// Whether a failure is to be told, and how often the same was not since it was told last: what repeats is told once, and
    /// counted.
    pub(super) fn tells(&mut self, at: Option<Ability>, class: Class) -> Option<u32> {
        let now = Instant::now();
        let told = self.told.entry((at, class.name()));
        let std::collections::btree_map::Entry::Occupied(mut known) = told else {
            told.or_insert((now, 0));
            return Some(0);
        };
        let (last, untold) = *known.get();
        if now.saturating_duration_since(last) < TELL_AGAIN {
            known.insert((last, untold.saturating_add(1)));
            return None;
        }
        known.insert((now, 0));
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn r15_what_an_endpoint_cannot_do_for_now_says_nothing_of_the_rest() {
        let (mut abilities, cool_down) = (Abilities::default(), CoolDown::default());
        abilities.failed(Ability::Receipts, &cool_down);
        assert!(abilities.is_failing(Ability::Receipts));
        assert!(!abilities.is_failing(Ability::Logs) && !abilities.is_failing(Ability::State));
        tokio::time::advance(Duration::from_millis(501)).await;
        assert!(!abilities.is_failing(Ability::Receipts), "it is looked at again");
        abilities.failed(Ability::Receipts, &cool_down);
        tokio::time::advance(Duration::from_millis(501)).await;
        assert!(abilities.is_failing(Ability::Receipts), "longer each time");
        abilities.worked(Ability::Receipts);
        assert!(!abilities.is_failing(Ability::Receipts));
    }

    #[tokio::test(start_paused = true)]
    async fn r7_a_past_that_is_gone_is_remembered_and_looked_at_again() {
        let mut abilities = Abilities::default();
        assert!(!abilities.lacks_logs_of(1));
        abilities.has_no_logs_of(100);
        abilities.has_no_logs_of(40);
        assert!(abilities.lacks_logs_of(1) && abilities.lacks_logs_of(100) && !abilities.lacks_logs_of(101));
        tokio::time::advance(HISTORY_SERVES_FOR).await;
        assert!(!abilities.lacks_logs_of(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_repeats_is_told_once_and_counted() {
        let mut abilities = Abilities::default();
        let at = Some(Ability::Receipts);
        assert_eq!(abilities.tells(at, Class::Refused), Some(0));
        assert_eq!(abilities.tells(at, Class::Server), Some(0), "another kind is told");
        for _ in 0..7 {
            assert_eq!(abilities.tells(at, Class::Refused), None);
        }
        tokio::time::advance(TELL_AGAIN).await;
        assert_eq!(abilities.tells(at, Class::Refused), Some(7));
    }
}
