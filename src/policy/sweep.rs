//! Which blocks to read for which addresses, and what a reading adds to their coverage (decisions 3 to 5).
//!
//! Deliberately absent: how a question is split for a provider; that is the chain adapter's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::chain::{Address, BlockNumber};
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

/// More blocks than any chain makes in a second.
pub const MOST_BLOCKS_A_SECOND: u64 = 4;

/// What the sweep goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepParams {
    /// How many blocks below the coverage are read again.
    pub overlap: u64,
    /// How many blocks one job of catching up has; an address that is further behind the final block catches up.
    pub chunk: u64,
    /// Between sweeps while hints come in and a payment is open.
    pub interval: Span,
    /// The same without hints.
    pub poll_interval: Span,
    /// The same while only ended payments are watched.
    pub ended_interval: Span,
    /// How long after the first reading of a range it is read a second time.
    pub second_after: Span,
    /// How long an address stays watched after its last payment has ended.
    pub keep: Span,
    /// How long before a payment's creation the sweep begins.
    pub start_margin: Span,
    /// How many addresses' coverage is written after one reading; what is left is written after the next ones.
    pub kept_at_once: usize,
    /// How many recipients go into one filter (see [`breadth`](super::log_filter)).
    pub filter: usize,
}

/// A range to be read for some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub from: BlockNumber,
    /// The last block, included.
    pub to: BlockNumber,
    /// The addresses, sorted. There may be a million of them, so they are shared.
    pub addresses: Arc<Vec<Address>>,
}

/// How many blocks the head may be above the coverage before finality is asked for only to advance it.
const CLOSE_AFTER_BLOCKS: u64 = 64;

/// How far the coverage of addresses without news may stay behind while others have news, in blocks: so little that finality
/// is not asked for on that account.
const RAISE_AFTER_BLOCKS: u64 = 48;

fn placed(watched: &[Coverage]) -> impl Iterator<Item = (&Coverage, Swept)> {
    watched
        .iter()
        .filter(|coverage| !coverage.closed)
        .filter_map(|coverage| coverage.swept.map(|swept| (coverage, swept)))
}

fn job(from: BlockNumber, to: BlockNumber, addresses: Vec<Address>) -> Option<Job> {
    (from <= to && !addresses.is_empty()).then(|| Job { from, to, addresses: Arc::new(addresses) })
}

const fn is_behind(swept: &Swept, last_final: Option<BlockNumber>, params: &SweepParams) -> bool {
    match last_final {
        Some(last_final) => swept.covered_to.saturating_add(params.chunk) < last_final,
        None => false,
    }
}

/// The sweep up to the head, for all addresses that need no catching up, and for those that cannot be caught up with now
/// (`waits`): what comes in from now on is found for them too, although it cannot raise their coverage.
#[must_use]
pub fn head_job(
    watched: &[Coverage],
    waits: &BTreeSet<Address>,
    head: BlockNumber,
    last_final: Option<BlockNumber>,
    params: &SweepParams,
) -> Option<Job> {
    let is_near = |swept: &Swept| !is_behind(swept, last_final, params);
    let from = placed(watched).filter(|(_, swept)| is_near(swept)).map(|(_, swept)| first_unread(&swept, params)).min();
    let with = placed(watched).filter(|(coverage, swept)| is_near(swept) || waits.contains(&coverage.address));
    let lowest = head.saturating_sub(params.chunk);
    // While nothing is known of finality no coverage can rise: reading all of a long past would only be repeated.
    let from = from.map_or(lowest, |from| if last_final.is_some() { from } else { from.max(lowest) });
    job(from.min(head), head, with.map(|(coverage, _)| coverage.address).collect())
}

/// Where the sweep would begin for each of those that need no catching up, the lowest first.
#[must_use]
pub fn first_blocks(
    watched: &[Coverage],
    last_final: Option<BlockNumber>,
    params: &SweepParams,
) -> BTreeSet<BlockNumber> {
    let near = placed(watched).filter(|(_, swept)| !is_behind(swept, last_final, params));
    near.map(|(_, swept)| first_unread(&swept, params)).collect()
}

/// From where to try to read up to `to`, when it was `refused` from there on, and could be read from `read` on, if that is
/// known. The `starts` of addresses come first: whoever needs nothing of what cannot be read goes on. `None` when the block
/// that cannot be read is found, or nothing can.
#[must_use]
pub fn next_start(
    starts: &BTreeSet<BlockNumber>,
    to: BlockNumber,
    refused: BlockNumber,
    read: Option<BlockNumber>,
) -> Option<BlockNumber> {
    let below = read.unwrap_or(to.saturating_add(1));
    let between: Vec<BlockNumber> = starts.iter().copied().filter(|it| *it > refused && *it < below).collect();
    let middle = between.get(between.len().checked_div(2).unwrap_or(0)).copied();
    let gap = below.saturating_sub(refused);
    middle.or_else(|| (gap > 1).then(|| refused.saturating_add(part(gap, 2))))
}

/// The part of a job that begins at `above`; at least its last block.
#[must_use]
pub fn only_above(job: Job, above: BlockNumber) -> Job {
    Job { from: above.clamp(job.from, job.to), ..job }
}

fn first_unread(swept: &Swept, params: &SweepParams) -> BlockNumber {
    let overlap = if planted(Bug::NoOverlap) { 0 } else { params.overlap };
    swept.covered_to.saturating_add(1).saturating_sub(overlap).max(swept.start)
}

/// The way up to the final block for the addresses that are furthest behind, together with those that are less than a
/// chunk ahead of them. It ends where others, further ahead, are to come along. It is read a chunk at a time, several of
/// them at once ([`may_read_ahead`]).
#[must_use]
pub fn catch_up_job(watched: &[Coverage], last_final: Option<BlockNumber>, params: &SweepParams) -> Option<Job> {
    let last_final = last_final?;
    let behind: Vec<(&Coverage, Swept)> =
        placed(watched).filter(|(_, swept)| is_behind(swept, Some(last_final), params)).collect();
    let lowest = behind.iter().map(|(_, swept)| swept.covered_to).min()?;
    let near = lowest.saturating_add(params.chunk);
    let further = behind.iter().map(|(_, swept)| swept.covered_to).filter(|covered_to| *covered_to >= near);
    let to = further.min().unwrap_or(last_final);
    let with = behind.iter().filter(|(_, swept)| swept.covered_to < near);
    job(lowest.saturating_add(1), to, with.map(|(coverage, _)| coverage.address).collect())
}

impl Job {
    /// Its first so many blocks, at least one, and what is left.
    #[must_use]
    pub fn split(self, blocks: u64) -> (Self, Option<Self>) {
        let last = self.from.saturating_add(blocks.max(1)).saturating_sub(1);
        if last >= self.to {
            return (self, None);
        }
        let rest = Self { from: last.saturating_add(1), ..self.clone() };
        (Self { to: last, ..self }, Some(rest))
    }
}

/// How many chunks are asked for ahead of the one that is taken in: while one is written, the next ones are on their way.
const READ_AHEAD: usize = 3;

/// How many transfers may wait to be taken in before no further chunk is asked for. A transfer has some 200 bytes.
const MOST_WAITING: usize = 50_000;

/// Whether one more chunk may be asked for, when so many are asked for or wait to be taken in, and hold so many
/// transfers. What waits is kept in memory only: it is bounded whatever the chain brings.
#[must_use]
pub const fn may_read_ahead(chunks: usize, transfers: usize) -> bool {
    chunks == 0 || (chunks < READ_AHEAD && transfers < MOST_WAITING)
}

/// Whether the next chunk is taken in together with those before it, which hold so many transfers: one commit of an
/// address then serves several chunks, but none grows without bound.
#[must_use]
pub const fn may_take_in_with(transfers: usize) -> bool {
    transfers < MOST_WAITING
}

/// How far the furthest-behind address has to go, in blocks; 0 when none is behind.
#[must_use]
pub fn behind_by(watched: &[Coverage], last_final: Option<BlockNumber>) -> u64 {
    let lowest = placed(watched).map(|(_, swept)| swept.covered_to).min();
    match (lowest, last_final) {
        (Some(lowest), Some(last_final)) => last_final.saturating_sub(lowest),
        (Some(_) | None, _) => 0,
    }
}

/// Whether finality should be asked for only so that the coverage can rise.
#[must_use]
pub fn wants_final(watched: &[Coverage], head: BlockNumber) -> bool {
    placed(watched).any(|(_, swept)| head.saturating_sub(swept.covered_to) >= CLOSE_AFTER_BLOCKS)
}

/// The coverage after all of `job` was read for the address, when `last_final` was final. `None` when it stays.
#[must_use]
pub fn after_sweep(
    coverage: &Coverage,
    job: &Job,
    last_final: BlockNumber,
    now: Timestamp,
    params: &SweepParams,
) -> Option<Coverage> {
    let swept = coverage.swept?;
    let to = job.to.min(last_final);
    // A range that does not join what is covered would leave a hole below itself.
    if to <= swept.covered_to || job.from > swept.covered_to.saturating_add(1) {
        return None;
    }
    if planted(Bug::EmptyAnswerBelieved) {
        let swept = Swept { covered_to: to, confirmed_to: to, second_reading: None, ..swept };
        return Some(Coverage { swept: Some(swept), ..coverage.clone() });
    }
    let second_at = now.plus(params.second_after);
    // What a clock that was ahead has put off for too long is put off anew.
    let second_reading = swept.second_reading.filter(|(_, at)| *at <= second_at).or(Some((to, second_at)));
    Some(Coverage { swept: Some(Swept { covered_to: to, second_reading, ..swept }), ..coverage.clone() })
}

/// Whether the coverage of addresses that a sweep found nothing for is to be stored now. What a sweep brought goes first: the
/// coverage of all others then rises with one of the next sweeps, and until it does some blocks more are read again.
#[must_use]
pub fn is_worth_raising(job: &Job, last_final: Option<BlockNumber>, brought_news: bool, params: &SweepParams) -> bool {
    let read = job.to.min(last_final.unwrap_or(0)).saturating_sub(job.from);
    !brought_news || read >= params.overlap.saturating_add(RAISE_AFTER_BLOCKS)
}

/// The second reading that is due, for the addresses whose range has waited longest.
#[must_use]
pub fn second_job(watched: &[Coverage], now: Timestamp, params: &SweepParams) -> Option<Job> {
    let due: Vec<(Address, BlockNumber, BlockNumber)> = placed(watched)
        .filter_map(|(coverage, swept)| {
            let (to, at) = swept.second_reading?;
            (at <= now).then(|| (coverage.address, swept.confirmed_to.saturating_add(1), to))
        })
        .collect();
    let from = due.iter().map(|(_, from, _)| *from).min()?;
    let most = from.saturating_add(params.chunk);
    let to = due.iter().filter(|(_, from, _)| *from < most).map(|(.., to)| *to).max()?.min(most);
    let with = due.iter().filter(|(_, first, last)| *first <= to && *last >= from);
    job(from, to, with.map(|(address, ..)| *address).collect())
}

/// The coverage after all of `job` was read a second time for the address.
#[must_use]
pub fn after_second(coverage: &Coverage, job: &Job, now: Timestamp, params: &SweepParams) -> Option<Coverage> {
    let swept = coverage.swept?;
    let (owed, at) = swept.second_reading?;
    if job.from > swept.confirmed_to.saturating_add(1) || job.to <= swept.confirmed_to {
        return None;
    }
    // Blocks above the range owed were read for the first time later: they wait for their own second reading.
    let confirmed_to = job.to.min(owed);
    let second_reading = if confirmed_to < owed {
        Some((owed, at))
    } else if confirmed_to < swept.covered_to {
        Some((swept.covered_to, now.plus(params.second_after)))
    } else {
        None
    };
    Some(Coverage { swept: Some(Swept { confirmed_to, second_reading, ..swept }), ..coverage.clone() })
}

/// The coverage when the blocks from this one on are to be read a second time, at this moment, although they were; `None` when
/// they have not been.
#[must_use]
pub fn owed_again(coverage: &Coverage, from: BlockNumber, at: Timestamp) -> Option<Coverage> {
    let swept = coverage.swept.filter(|swept| swept.confirmed_to >= from)?;
    let confirmed_to = from.max(swept.start).saturating_sub(1);
    let second_reading = Some((swept.covered_to, at));
    Some(Coverage { swept: Some(Swept { confirmed_to, second_reading, ..swept }), ..coverage.clone() })
}

/// Whether the address's time is over, by our clock and by the chain's: `covered_time` is the time of the block that
/// the sweep has come to.
#[must_use]
pub fn is_over(coverage: &Coverage, now: Timestamp, covered_time: Timestamp) -> bool {
    !coverage.closed && coverage.watch_until.is_some_and(|until| until < now && until < covered_time)
}

/// The last reading of the whole window of every address whose time is over, once the oldest of them has waited
/// an eighth of the keeping time: so that one reading serves many. It is the third one of every block, and the second came a
/// good while after the first: what all three withhold was withheld all that time. `covered_time` is the time of the block that
/// the sweep has come to.
#[must_use]
pub fn last_job(watched: &[Coverage], now: Timestamp, covered_time: Timestamp, params: &SweepParams) -> Option<Job> {
    let eighth = Span::from_millis(params.keep.as_millis().checked_div(8).unwrap_or(0));
    let over: Vec<(&Coverage, Swept, Timestamp)> = placed(watched)
        .filter_map(|(coverage, swept)| coverage.watch_until.map(|until| (coverage, swept, until)))
        .filter(|(coverage, ..)| is_over(coverage, now, covered_time))
        .collect();
    let oldest = over.iter().map(|(.., until)| *until).min()?;
    if now < oldest.plus(eighth) {
        return None;
    }
    let from = over.iter().map(|(_, swept, _)| swept.start).min()?;
    let to = over.iter().map(|(_, swept, _)| swept.confirmed_to).min()?;
    job(from, to, over.iter().map(|(coverage, ..)| coverage.address).collect())
}

/// Whether some address's time is over, so that the time of the covered block is worth a request. Returns the
/// lowest block up to which all such addresses were read twice.
#[must_use]
pub fn closable_to(watched: &[Coverage], now: Timestamp, params: &SweepParams) -> Option<BlockNumber> {
    let eighth = Span::from_millis(params.keep.as_millis().checked_div(8).unwrap_or(0));
    let over = |until: Option<Timestamp>| until.is_some_and(|until| until.plus(eighth) <= now);
    if !placed(watched).any(|(coverage, _)| over(coverage.watch_until)) {
        return None;
    }
    let ended = placed(watched).filter(|(coverage, _)| coverage.watch_until.is_some_and(|until| until < now));
    ended.map(|(_, swept)| swept.confirmed_to).min()
}

/// When the address of these payments stops being watched; `None` while one of them is open.
#[must_use]
pub fn watch_until(payments: &[Payment], keep: Span) -> Option<Timestamp> {
    let mut last = Timestamp::EPOCH;
    for payment in payments {
        match &payment.state {
            PaymentState::Ended { at, .. } => last = last.max(*at),
            PaymentState::Waiting
            | PaymentState::Seen { .. }
            | PaymentState::Due { .. }
            | PaymentState::Calling { .. }
            | PaymentState::Unclear { .. }
            | PaymentState::Following { .. }
            | PaymentState::Review { .. } => return None,
        }
    }
    let keep = if planted(Bug::LetGoAtOnce) { Span::ZERO } else { keep };
    Some(last.plus(keep))
}

/// How long until the next sweep; `None` when nothing is watched.
#[must_use]
pub fn pause(watched: &[Coverage], hints_live: bool, params: &SweepParams) -> Option<Span> {
    let mut open = watched.iter().filter(|coverage| !coverage.closed).peekable();
    open.peek()?;
    Some(match (open.all(|coverage| coverage.watch_until.is_some()), hints_live) {
        (true, _) => params.ended_interval,
        (false, true) => params.interval,
        (false, false) => params.poll_interval,
    })
}

/// The coverage of an address for a payment that is created at `created_at`: a new one, or the one there is, opened
/// again and reaching back far enough.
#[must_use]
pub fn cover(coverage: Option<&Coverage>, address: Address, created_at: Timestamp, params: &SweepParams) -> Coverage {
    let since = created_at.minus(params.start_margin);
    match coverage {
        None => Coverage { address, version: 0, since, swept: None, watch_until: None, closed: false },
        // A closed address was not read meanwhile, and an older start lies below what was read: both begin anew.
        Some(known) if known.closed => {
            Coverage { since, swept: None, watch_until: None, closed: false, ..known.clone() }
        }
        Some(known) if since < known.since => Coverage { since, swept: None, watch_until: None, ..known.clone() },
        Some(known) => Coverage { watch_until: None, ..known.clone() },
    }
}

/// How near the search for a block by its time has to come; some blocks too many cost nothing.
const NEAR_ENOUGH_BLOCKS: u64 = 64;

/// It also is near enough when the time to spare is this part of the time that has to be swept.
const NEAR_ENOUGH_PART: u64 = 64;

/// The first step down from the head in that search. It shows how fast the chain goes.
const FIRST_STEP_BLOCKS: u64 = 1_024;

/// The next step of the search for a start block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// This block's time is wanted.
    Probe(BlockNumber),
    /// The block before this one is older than the moment, or there is none before it.
    Found(BlockNumber),
}

/// The search for the block from which on everything at or after `wanted` is seen. `known` are times of blocks, the
/// head's among them.
///
/// Chains go at a steady pace over long stretches, so a block is guessed from the times that are known; where the guess
/// is wrong, each step still takes away an eighth of what is left.
#[must_use]
pub fn find_start(known: &BTreeMap<BlockNumber, Timestamp>, wanted: Timestamp) -> Search {
    let (newest, newest_at) = known.last_key_value().map_or((0, wanted), |(number, at)| (*number, *at));
    let first = known.iter().find(|(_, time)| **time >= wanted);
    let (high, high_at) = first.map_or((newest, newest_at), |(number, at)| (*number, *at));
    let low = known.range(..high).next_back().map(|(number, at)| (*number, *at));
    let Some((low, low_at)) = low else {
        if high == 0 {
            return Search::Found(0);
        }
        let gone = newest.saturating_sub(high);
        let guess = blocks_in(high_at.since(wanted), gone, newest_at.since(high_at));
        // A little further than the guess, so that the block is older; and on in ever longer steps, should it not be.
        let further = guess.map_or(0, |guess| guess.saturating_add(part(guess, NEAR_ENOUGH_PART.saturating_mul(2))));
        let steps = gone.saturating_mul(if guess.is_some() { 1 } else { 4 });
        return Search::Probe(high.saturating_sub(further.max(steps).max(FIRST_STEP_BLOCKS)));
    };
    let gap = high.saturating_sub(low);
    let spare = wanted.since(low_at).as_millis();
    let is_near = spare <= part(newest_at.since(wanted).as_millis(), NEAR_ENOUGH_PART);
    if gap <= NEAR_ENOUGH_BLOCKS || is_near {
        return Search::Found(low.saturating_add(1).min(high));
    }
    let guess = blocks_in(wanted.since(low_at), gap, high_at.since(low_at)).unwrap_or(part(gap, 2));
    // From below at first, and from above once that is near.
    let half = part(NEAR_ENOUGH_BLOCKS, 2);
    let probe = if guess > half { guess.saturating_sub(half) } else { guess.saturating_add(half) };
    let eighth = part(gap, 8).max(1);
    Search::Probe(low.saturating_add(probe.clamp(eighth, gap.saturating_sub(eighth))))
}

/// How many blocks are made in `span` at a pace of so many in so long; `None` when the pace is not known.
fn blocks_in(span: Span, blocks: u64, took: Span) -> Option<u64> {
    let many =
        u128::from(span.as_millis()).checked_mul(u128::from(blocks))?.checked_div(u128::from(took.as_millis()))?;
    u64::try_from(many).ok().filter(|_| blocks > 0)
}

const fn part(whole: u64, of: u64) -> u64 {
    match whole.checked_div(of) {
        Some(part) => part,
        None => 0,
    }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
