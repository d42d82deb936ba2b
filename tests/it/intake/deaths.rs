//! Death at every commit: whatever was not stored is found again, and nothing is told twice.

use std::sync::Arc;

use rampwatch::domain::event::EventKind;
use rampwatch::ports::store::Store;

use super::bench::{Bench, following};
use super::shop::{Shop, bare, off_ramp};
use crate::anvil::fuse::{Fuse, Side};
use crate::support::records::payment_id;
use crate::support::{store_in, temp_dir};

/// How often this event is in the store.
async fn count(store: &dyn Store, is_it: impl Fn(&EventKind) -> bool) -> usize {
    let events = store.events(0, 999).await.unwrap();
    events.iter().filter(|recorded| is_it(&recorded.event.kind)).count()
}

/// Two payments that are taken up and two candidates, of which one is taken up later; dying at the `nth` commit. Tells whether it
/// died at all.
async fn story(nth: u32, side: Side) -> bool {
    let folder = temp_dir();
    let path = folder.path().join("store");
    let shop = Shop::default();
    [off_ramp(1), off_ramp(2), bare(3), bare(4)].into_iter().for_each(|payment| shop.open(payment));
    let (fuse, blown) = Fuse::counting(store_in(&path).await, nth, side, |_| true);
    let bench = Bench::over(Arc::new(fuse), &shop, following(&["u-1"], &[]));
    let lived = async {
        bench.until_taken_up(1).await;
        bench.until_taken_up(2).await;
        bench.until_candidate(3, "open").await;
        bench.until_candidate(4, "open").await;
        shop.change(4, |payment| *payment = off_ramp(4));
        bench.until_taken_up(4).await;
    };
    let mut tells = blown.clone();
    let died = tokio::select! {
        _ = tells.wait_for(|blown| *blown) => true,
        () = lived => *blown.borrow(),
    };
    bench.kill().await;
    shop.change(4, |payment| *payment = off_ramp(4));
    let bench = Bench::over(Arc::new(store_in(&path).await), &shop, following(&["u-1"], &[]));
    for n in [1, 2, 4] {
        bench.until_taken_up(n).await;
    }
    bench.until_candidate(3, "open").await;
    for n in [1, 2, 4] {
        let added =
            |kind: &EventKind| matches!(kind, EventKind::PaymentAdded { payment } if payment.id == payment_id(n));
        assert_eq!(count(&*bench.store, added).await, 1, "payment {n}, dead at {nth} {side:?}");
    }
    assert_eq!(bench.told(3).await.len(), 1, "dead at {nth} {side:?}");
    if let Some(candidate) = bench.candidate(4).await {
        assert_eq!(candidate.state.name(), "added", "dead at {nth} {side:?}");
        assert_eq!(bench.told(4).await.len(), 2, "dead at {nth} {side:?}");
    }
    bench.stop().await;
    died
}

#[tokio::test]
async fn a_death_at_any_commit_loses_nothing_and_tells_nothing_twice() {
    for side in [Side::Before, Side::After] {
        let mut deaths = 0;
        for nth in 1..=9 {
            deaths += u32::from(story(nth, side).await);
        }
        assert!(deaths >= 5, "only {deaths} deaths {side:?}");
    }
}
