//! The process dies at every commit and at every delivery, before and after it: nothing is skipped, and nothing is told
//! twice but what went out when its answer could not be kept any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::domain::event::{Alarm, EventKind};

use super::rig::{Ear, Fuse, Rig};
use crate::support::eventually;

const LIMIT: Duration = Duration::from_secs(3_600);

/// Plays it with a death at the nth point. Returns whether there was one.
async fn story(nth: u32) -> bool {
    let (one, two) = (Ear::new("one"), Ear::new("two"));
    let mut rig = Rig::new(&[&one, &two]);
    rig.review(1).await;
    let fuse = Fuse::new(nth);
    rig.start(&fuse);
    eventually(LIMIT, "begun, or dead", || async { rig.has_begun() || fuse.is_blown() }).await;
    let mut died = fuse.is_blown();
    if died {
        rig.die().await;
        rig.begin().await;
    }
    rig.review(2).await;
    rig.happens(None, EventKind::Alarm { alarm: Alarm::KeyRefused { status: 401 } }).await;
    rig.review(3).await;
    let all_told = |rig: &Rig| rig.notices().len() == 6 && rig.states().iter().all(|state| *state == "delivered");
    eventually(LIMIT, "told, or dead", || async { all_told(&rig) || (!died && fuse.is_blown()) }).await;
    if !died && fuse.is_blown() {
        died = true;
        rig.die().await;
        rig.begin().await;
        eventually(LIMIT, "told after the death", || async { all_told(&rig) }).await;
    }
    rig.wait(7_200).await;
    if !fuse.is_blown() {
        // It may also die while it stops in good order.
        let stopped = tokio::time::timeout(Duration::from_secs(60), rig.stop()).await;
        assert_eq!(stopped.is_err(), fuse.is_blown(), "death {nth}");
        died = fuse.is_blown();
        rig.store = rig.store.reopen();
        rig.begin().await;
        rig.wait(7_200).await;
    }
    for ear in [&one, &two] {
        check(ear, died, nth);
    }
    let heard = one.heard().len() + two.heard().len();
    assert!(heard <= 6 + usize::from(died), "death {nth}: one answer can be lost, {heard} were heard");
    rig.stop().await.unwrap();
    died
}

fn check(ear: &Arc<Ear>, died: bool, nth: u32) {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for heard in ear.heard() {
        *times.entry(heard.message.title.clone()).or_default() += 1;
        let id = ids.entry(heard.message.title).or_insert_with(|| heard.id.clone());
        assert_eq!(*id, heard.id, "death {nth}: a repetition bears the same id");
    }
    let titles: Vec<&str> = times.keys().map(String::as_str).collect();
    let expected = [
        "A payment needs a decision: payment pay-000002",
        "A payment needs a decision: payment pay-000003",
        "The payment API refuses the key",
    ];
    assert_eq!(titles, expected, "death {nth}: everything that is new, and nothing of the past");
    assert!(died || times.values().all(|times| *times == 1), "without a death each once: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn wherever_it_dies_each_is_told() {
    let mut nth = 1;
    while story(nth).await {
        nth += 1;
        assert!(nth < 500, "it dies for ever");
    }
    // Two endpoints: to begin takes two commits of each, then come the notices, and two commits and a delivery for each of
    // three notices; every one has a point before and one after it.
    assert!(nth > 40, "only {nth} points");
}
