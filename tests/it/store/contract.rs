//! What every store must do.

use rampwatch::ports::store::{Commit, Store};

use crate::support::memory_store::MemoryStore;
use crate::support::records;

#[tokio::test]
async fn smoke() {
    let store = MemoryStore::new();
    let last = store.commit(Commit { payments: vec![records::payment(1)], ..Commit::default() }).await.unwrap();
    assert_eq!(last, 0);
    assert_eq!(store.reopen().payment(&records::payment_id(1)).await.unwrap().unwrap().version, 1);
}
