//! The stored form of every record. What is on disk outlives the program: if this test fails, stores that exist
//! can no longer be read as they were written. Then either undo the change, or raise the schema version and
//! write the step from the old form to the new.

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::payment::Payment;
use rampwatch::domain::wallet::Wallet;
use rampwatch::ports::store::Store;

use super::{desk, funding, raw, specimens};

/// One line for each key, in their order.
const GOLDEN: &str = include_str!("golden.txt");

fn with_version<T>(records: &[T], raise: impl Fn(&mut T)) -> Vec<T>
where
    T: Clone,
{
    let mut stored = records.to_vec();
    stored.iter_mut().for_each(raise);
    stored
}

#[tokio::test]
async fn the_stored_form_has_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (payments, deposits, coverage) = (specimens::payments(), specimens::deposits(), specimens::coverage());
    let (finality, events) = (specimens::finality(), specimens::events());
    let (orders, wallet, desk) = (funding::orders(), funding::wallet(), desk::records());
    let store = SledStore::open(&path, &Settings::default()).unwrap();
    store.commit(specimens::everything()).await.unwrap();
    drop(store);

    let dump = raw::dump(&path);
    let golden: Vec<&str> = GOLDEN.lines().collect();
    // Whoever means the change takes it from there.
    let now = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden.txt");
    if dump != golden {
        std::fs::write(&now, dump.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
    for (number, (stored, golden)) in dump.iter().zip(&golden).enumerate() {
        assert_eq!(stored, golden, "line {number} of golden.txt; what is stored now is in {}", now.display());
    }
    assert_eq!(dump.len(), golden.len());

    let store = SledStore::open(&path, &Settings::default()).unwrap();
    let read = store.payments(None, 99).await.unwrap();
    assert_eq!(read, with_version(&payments, |payment: &mut Payment| payment.version = 1));
    let read = store.deposits(None, 99).await.unwrap();
    assert_eq!(read, with_version(&deposits, |deposit| deposit.version = 1));
    for given in with_version(&coverage, |coverage| coverage.version = 1) {
        assert_eq!(store.coverage(given.address).await.unwrap(), Some(given));
    }
    assert_eq!(store.finality().await.unwrap().map(|mark| (mark.version, mark.highest)), Some((1, finality.highest)));
    let read = store.orders(None, 99).await.unwrap();
    assert_eq!(read, with_version(&orders, |order| order.version = 1));
    assert_eq!(store.wallet().await.unwrap(), Some(Wallet { version: 1, ..wallet }));
    for given in with_version(&desk, |record| record.version = 1) {
        assert_eq!(store.record(&given.body.key()).await.unwrap(), Some(given));
    }
    let read = store.events(0, 999).await.unwrap();
    assert_eq!(read.into_iter().map(|recorded| recorded.event).collect::<Vec<_>>(), events);
}
