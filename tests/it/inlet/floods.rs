//! Floods: refused, counted, and the API is not asked more for it.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use rampwatch::config::InletSettings;
use reqwest::RequestBuilder;

use super::rig::{Rig, claims, settings};
use crate::support::records::payment_id;

/// Sends them, some at a time; how many got which status.
async fn flood(requests: Vec<RequestBuilder>) -> BTreeMap<u16, usize> {
    let sending = requests.into_iter().map(|request| async move { request.send().await.unwrap().status().as_u16() });
    let mut statuses = futures_util::stream::iter(sending).buffer_unordered(16);
    let mut counts = BTreeMap::new();
    while let Some(status) = statuses.next().await {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_flood_about_one_payment_is_one_question() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    let before = rig.state(1).await;
    let counts = flood((0..400).map(|_| rig.signed(&claims(1))).collect()).await;
    rig.settle().await;
    assert_eq!(rig.asked(), [payment_id(1)]);
    let (taken, refused) = (counts[&204], counts[&429]);
    assert_eq!(taken + refused, 400, "{counts:?}");
    assert!(taken >= 20 && refused > 100, "{counts:?}");
    assert_eq!(rig.counted("too_many"), u64::try_from(refused).unwrap());
    assert_eq!(rig.state(1).await, before);
}

#[tokio::test]
async fn a_flood_of_forgeries_is_refused_and_asks_nothing() {
    let rig = Rig::with(InletSettings { rate: 2, ..settings() }).await;
    rig.follow(1).await;
    let before = rig.contents();
    let counts = flood((0..300).map(|_| rig.bare(&claims(1))).collect()).await;
    assert_eq!(counts[&401] + counts[&429], 300, "{counts:?}");
    assert!(counts[&401] >= 20 && counts[&429] > 100, "{counts:?}");
    rig.settle().await;
    assert_eq!((rig.asked().len(), rig.contents()), (0, before), "not a byte");
    assert_eq!(rig.counted("bad_signature") + rig.counted("too_many"), 300);
}

#[tokio::test]
async fn a_flood_about_payments_that_nobody_knows_asks_nothing() {
    let rig = Rig::with(InletSettings { rate: 1_000, ..settings() }).await;
    rig.follow(1).await;
    let before = rig.contents();
    let counts = flood((1_000..1_300).map(|n| rig.signed(&claims(n))).collect()).await;
    assert_eq!(counts, BTreeMap::from([(204, 300)]));
    rig.settle().await;
    assert_eq!((rig.asked().len(), rig.contents()), (0, before), "not a byte");
    assert_eq!(rig.hinted("unknown"), 300);
}
