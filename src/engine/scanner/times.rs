//! When blocks were made: a block's own header says so. What a log says besides serves until the header is at hand, where nothing
//! hangs on it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scanner, Trouble};
use crate::domain::chain::{Address, BlockNumber, Header, Transfer};
use crate::domain::deposit::Deposit;
use crate::domain::time::Timestamp;
use crate::policy::matching::{needs_header, window_of};
use crate::ports::chain::{ChainError, EndpointId};
use crate::ports::store::if_readable;

use super::absorb::{place_of, place_of_key};

impl Scanner {
    /// The blocks whose headers are to be asked for before what was read is taken in: where a log tells no time, or one on which
    /// something hangs.
    pub(super) async fn without_time<'a>(
        &self,
        read: impl Iterator<Item = (&'a Address, &'a Vec<Transfer>)>,
        known: &BTreeMap<Address, Vec<Deposit>>,
        anchor: &Header,
    ) -> Result<BTreeSet<BlockNumber>, Trouble> {
        let mut wanted = BTreeSet::new();
        for (address, transfers) in read {
            let known = known.get(address).map_or(&[][..], Vec::as_slice);
            let is_news = |it: &&Transfer| {
                let is_new = !known.iter().any(|deposit| place_of_key(&deposit.key) == place_of(it));
                is_new && it.block.number != anchor.block.number
            };
            let mut windows = None;
            for transfer in transfers.iter().filter(is_news) {
                let told = transfer.block_time.filter(|time| *time <= anchor.time);
                let (Some(time), false) = (told, wanted.contains(&transfer.block.number)) else {
                    wanted.insert(transfer.block.number);
                    continue;
                };
                let windows = match &windows {
                    Some(windows) => windows,
                    None => {
                        let payments = if_readable(self.ports.store.payments_at(*address).await)?;
                        windows.insert(payments.iter().map(window_of).collect::<Vec<_>>())
                    }
                };
                if needs_header(time, windows, &self.settings.matching) {
                    wanted.insert(transfer.block.number);
                }
            }
        }
        Ok(wanted)
    }

    /// When a block was made of which a log says otherwise than `header`, which is the word of `endpoint`: what as many operators say
    /// as have to agree. A header's time can be a lie like everything else. `None` while too few say the same.
    pub(super) async fn agreed_time(&self, header: &Header, endpoint: EndpointId) -> Option<Timestamp> {
        let chain = &self.ports.chain;
        let needed = self.ports.operators_needed(&self.settings);
        let mut said = BTreeMap::from([(header.time, BTreeSet::from([chain.operator(endpoint)]))]);
        let mut others = (0..chain.endpoints()).map(EndpointId);
        loop {
            if let Some((time, _)) = said.iter().find(|(_, by)| by.len() >= needed) {
                return Some(*time);
            }
            let other = others.next()?;
            let operator = chain.operator(other);
            if said.values().any(|by| by.contains(&operator)) {
                continue;
            }
            let Ok(Some(found)) = chain.header(header.block.number, Some(other)).await else { continue };
            if found.block == header.block {
                said.entry(found.time).or_default().insert(operator);
            }
        }
    }

    /// A block was made at another time than a log had said.
    pub(super) fn tell_wrong_time(&self, number: BlockNumber, time: Timestamp, endpoint: EndpointId) {
        let why = format!("block {number} was made at {} (Unix time), and a log of it says otherwise", time.as_secs());
        // Of several endpoints nobody knows any more whose log it was.
        if self.ports.chain.endpoints() == 1 {
            self.ports.chain.doubt(endpoint, &why);
        } else {
            tracing::warn!(why, "an RPC endpoint tells wrong times in its logs");
        }
    }

    /// When a transfer's block was made, on this endpoint's chain.
    pub(super) async fn block_time_of(
        &self,
        transfer: &Transfer,
        endpoint: EndpointId,
        headers: &mut BTreeMap<BlockNumber, Option<Header>>,
    ) -> Result<Timestamp, Trouble> {
        let number = transfer.block.number;
        let known = headers.get(&number).copied().flatten().filter(|header| header.block.hash == transfer.block.hash);
        if let Some(header) = known {
            // What a log says of its block's time besides counts as far as the block itself says so.
            if let Some(said) = transfer.block_time.filter(|said| *said != header.time) {
                let (said, is) = (said.as_secs(), header.time.as_secs());
                let why = format!(
                    "a log says that block {number} was made at {said}, and the block itself at {is} (seconds of Unix time)"
                );
                self.ports.chain.doubt(endpoint, &why);
                let differ =
                    || ChainError::Behind(format!("too few operators say the same of when block {number} was made"));
                let time = self.agreed_time(&header, endpoint).await.ok_or_else(differ)?;
                // Once for each block.
                headers.insert(number, Some(Header { time, ..header }));
                return Ok(time);
            }
            return Ok(header.time);
        }
        if let Some(time) = transfer.block_time.filter(|_| !headers.contains_key(&number)) {
            return Ok(time);
        }
        let header = self.header_at(number, endpoint, headers).await?;
        let gone = || ChainError::Behind(format!("block {number} changed while it was read"));
        let header = header.filter(|header| header.block.hash == transfer.block.hash).ok_or_else(gone)?;
        Ok(header.time)
    }
}
