//! The payments that are to be asked after, and when. Kept in memory: a hint that a crash loses costs time, nothing else, as
//! the API is asked by the clock anyway.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::payment::PaymentId;
use crate::service::operator_service::OperatorService;
use crate::service::wake::Woken;

/// A payment is asked after at most once in this time, however many deliveries come.
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// The most payments that are remembered.
const MOST: usize = 4_096;

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Something is to be asked that was not before.
    New,
    /// All of it is to be asked already.
    Known,
    /// There is no room.
    Full,
}

/// A payment that was heard of.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When it may be asked after.
    at: Instant,
    /// Whether it is to be. If not, it is only remembered that it was asked after `EVERY` before `at`.
    wanted: bool,
}

#[derive(Clone, Default)]
pub(super) struct Hints {
    entries: Arc<Mutex<BTreeMap<PaymentId, Entry>>>,
    news: Arc<Notify>,
}

impl Hints {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<PaymentId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes payments. One that was asked after just now is asked after again, but later: it may have moved on since.
    pub(super) fn note(&self, payments: Vec<PaymentId>) -> Noted {
        let now = Instant::now();
        let mut entries = self.entries();
        let new = payments.iter().filter(|id| !entries.contains_key(id)).count();
        if entries.len().saturating_add(new) > MOST {
            entries.retain(|_, entry| entry.wanted || entry.at > now);
            if entries.len().saturating_add(new) > MOST {
                return Noted::Full;
            }
        }
        let mut noted = Noted::Known;
        for payment in payments {
            let entry = entries.entry(payment).or_insert(Entry { at: now, wanted: false });
            if !entry.wanted {
                (entry.wanted, noted) = (true, Noted::New);
            }
        }
        drop(entries);
        self.news.notify_one();
        noted
    }

    /// The payments whose time has come, each noted as asked after; and when the next one's comes.
    fn due(&self, now: Instant) -> (Vec<PaymentId>, Option<Instant>) {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.wanted || entry.at > now);
        let mut due = Vec::new();
        let again = now.checked_add(EVERY).unwrap_or(now);
        for (payment, entry) in entries.iter_mut().filter(|(_, entry)| entry.wanted && entry.at <= now) {
            due.push(payment.clone());
            *entry = Entry { at: again, wanted: false };
        }
        let next = entries.values().filter(|entry| entry.wanted).map(|entry| entry.at).min();
        (due, next)
    }

    /// Has the API asked after what was noted, until `stop`.
    pub(super) async fn keep_asking(self, handle: OperatorService, stop: CancellationToken) {
        loop {
            let (due, next) = self.due(Instant::now());
            for payment in due {
                match handle.wake(&payment).await {
                    Ok(Woken::Asked) => count("asked"),
                    Ok(Woken::NotNow) => count("not_now"),
                    Ok(Woken::Unknown) => count("unknown"),
                    Err(error) => {
                        count("failed");
                        tracing::warn!(%error, payment_id = %payment, "a delivery's hint is lost; the clock makes up for it");
                    }
                }
            }
            let slept = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.news.notified() => {}
                () = slept => {}
            }
        }
    }
}

fn count(result: &'static str) {
    metrics::counter!("rampwatch_hints_total", "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> PaymentId {
        PaymentId::new(format!("p-{n}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_payment_is_asked_after_once_in_a_while_and_never_forgotten() {
        let hints = Hints::default();
        assert_eq!(hints.note(vec![id(1), id(2)]), Noted::New);
        assert_eq!(hints.note(vec![id(2)]), Noted::Known);
        let (due, next) = hints.due(Instant::now());
        assert_eq!((due, next), (vec![id(1), id(2)], None));
        assert_eq!(hints.note(vec![id(1)]), Noted::New, "it may have moved on since it was asked after");
        let (due, next) = hints.due(Instant::now());
        assert_eq!((due.len(), next), (0, Some(Instant::now() + EVERY)));
        tokio::time::sleep(EVERY).await;
        assert_eq!(hints.due(Instant::now()).0, [id(1)]);
        tokio::time::sleep(EVERY).await;
        assert_eq!(hints.due(Instant::now()).0, []);
        assert!(hints.entries().is_empty(), "nothing is remembered for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_is_bounded_and_becomes_free() {
        let hints = Hints::default();
        for n in 0..MOST {
            assert_eq!(hints.note(vec![id(n)]), Noted::New);
        }
        assert_eq!(hints.note(vec![id(MOST)]), Noted::Full);
        assert_eq!(hints.note(vec![id(0)]), Noted::Known);
        assert_eq!(hints.due(Instant::now()).0.len(), MOST);
        assert_eq!(hints.note(vec![id(MOST)]), Noted::Full);
        tokio::time::sleep(EVERY).await;
        assert_eq!(hints.note(vec![id(MOST)]), Noted::New);
    }
}
