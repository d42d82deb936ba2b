//! The endpoints that a person has excluded.

use std::collections::BTreeSet;

use crate::domain::dispute::Exclusion;
use crate::domain::record::{Record, RecordBody, RecordKind};
use crate::ports::store::{Store, StoreError};

/// The most endpoints that there can be.
const MAX_ENDPOINTS: usize = 64;

/// The endpoints that are excluded, by the store.
pub(crate) async fn excluded(store: &dyn Store) -> Result<BTreeSet<String>, StoreError> {
    let known = exclusions(store).await?.into_iter().filter(|it| it.excluded).map(|it| it.endpoint);
    // What a record that does not read said of its endpoint is not known: the endpoint is not heard.
    let unreadable = store.unreadable().into_iter().filter_map(|found| found.record);
    let doubted = unreadable.filter(|key| key.kind == RecordKind::Exclusion).map(|key| key.id);
    Ok(known.chain(doubted).collect())
}

/// All decisions about endpoints, also those that let one in again.
///
/// # Errors
/// When the store fails.
pub(crate) async fn exclusions(store: &dyn Store) -> Result<Vec<Exclusion>, StoreError> {
    let records = store.records_page(RecordKind::Exclusion, None, MAX_ENDPOINTS).await?;
    let exclusion = |record: Record| match record.body {
        RecordBody::Exclusion(exclusion) => Some(exclusion),
        _ => None,
    };
    Ok(records.into_iter().filter_map(exclusion).collect())
}
