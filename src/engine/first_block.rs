//! Which block was the first at or after a moment.

use std::collections::BTreeMap;

use crate::domain::chain::BlockNumber;
use crate::domain::time::Timestamp;
use crate::policy::sweep::{self, Search};
use crate::ports::chain::{Chain, ChainError, EndpointId};

/// The most questions one search may take; 2^40 blocks need fewer.
const MOST_PROBES: u32 = 128;

/// A block near the first one at or after a moment, and none after it, by the block times that this endpoint gives, or any.
/// What it asks for is added to `times`.
pub(crate) async fn first_block(
    chain: &dyn Chain,
    times: &mut BTreeMap<BlockNumber, Timestamp>,
    moment: Timestamp,
    at: Option<EndpointId>,
) -> Result<BlockNumber, ChainError> {
    for _ in 0..MOST_PROBES {
        match sweep::find_start(times, moment) {
            Search::Found(start) => return Ok(start),
            Search::Probe(probe) => {
                let header = chain.header(probe, at).await?;
                let missing = || {
                    ChainError::Behind(format!("no endpoint has block {probe}, which is needed to find where to begin"))
                };
                let header = header.ok_or_else(missing)?;
                times.insert(probe, header.time);
            }
        }
    }
    Err(ChainError::Behind("the chain's block times do not lead to a start block".to_owned()))
}
