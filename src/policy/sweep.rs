//! Which blocks to read for which addresses, and what a reading adds to their coverage (decisions 3 to 5).
//!
//! Deliberately absent: how a question is split for a provider; that is the chain adapter's business.

use std::collections::BTreeMap;

use crate::domain::chain::{Address, BlockNumber};
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

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
}

/// A range to be read for some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The first block.
    pub from: BlockNumber,
    /// The last block, included.
    pub to: BlockNumber,
    /// The addresses, sorted.
    pub addresses: Vec<Address>,
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
    (from <= to && !addresses.is_empty()).then_some(Job { from, to, addresses })
}

const fn is_behind(swept: &Swept, last_final: Option<BlockNumber>, params: &SweepParams) -> bool {
    match last_final {
        Some(last_final) => swept.covered_to.saturating_add(params.chunk) < last_final,
        None => false,
    }
}

/// The sweep up to the head, for all addresses that need no catching up.
#[must_use]
pub fn head_job(
    watched: &[Coverage],
    head: BlockNumber,
    last_final: Option<BlockNumber>,
    params: &SweepParams,
) -> Option<Job> {
    let near: Vec<(&Coverage, Swept)> =
        placed(watched).filter(|(_, swept)| !is_behind(swept, last_final, params)).collect();
    let from = near.iter().map(|(_, swept)| first_unread(swept, params)).min()?;
    // While nothing is known of finality no coverage can rise: reading all of a long past would only be repeated.
    let from = if last_final.is_some() { from } else { from.max(head.saturating_sub(params.chunk)) };
    job(from.min(head), head, near.iter().map(|(coverage, _)| coverage.address).collect())
}

fn first_unread(swept: &Swept, params: &SweepParams) -> BlockNumber {
    let overlap = if planted(Bug::NoOverlap) { 0 } else { params.overlap };
    swept.covered_to.saturating_add(1).saturating_sub(overlap).max(swept.start)
}

/// One piece of catching up, for the addresses that are furthest behind.
#[must_use]
pub fn catch_up_job(watched: &[Coverage], last_final: Option<BlockNumber>, params: &SweepParams) -> Option<Job> {
    let last_final = last_final?;
    let behind: Vec<(&Coverage, Swept)> =
        placed(watched).filter(|(_, swept)| is_behind(swept, Some(last_final), params)).collect();
    let lowest = behind.iter().map(|(_, swept)| swept.covered_to).min()?;
    let to = lowest.saturating_add(params.chunk).min(last_final);
    let with = behind.iter().filter(|(_, swept)| swept.covered_to < to);
    job(lowest.saturating_add(1), to, with.map(|(coverage, _)| coverage.address).collect())
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
    let second_reading = swept.second_reading.or(Some((to, now.plus(params.second_after))));
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

/// Whether the address's time is over, by our clock and by the chain's: `covered_time` is the time of the block that
/// the sweep has come to.
#[must_use]
pub fn is_over(coverage: &Coverage, now: Timestamp, covered_time: Timestamp) -> bool {
    !coverage.closed && coverage.watch_until.is_some_and(|until| until < now && until < covered_time)
}

/// The last reading of the whole window of every address whose time is over, once the oldest of them has waited
/// an eighth of the keeping time: so that one reading serves many. `covered_time` is the time of the block that
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
    let to = over.iter().map(|(_, swept, _)| swept.covered_to).min()?;
    job(from, to, over.iter().map(|(coverage, ..)| coverage.address).collect())
}

/// Whether some address's time is over, so that the time of the covered block is worth a request. Returns the
/// lowest block that all such addresses are covered to.
#[must_use]
pub fn closable_to(watched: &[Coverage], now: Timestamp, params: &SweepParams) -> Option<BlockNumber> {
    let eighth = Span::from_millis(params.keep.as_millis().checked_div(8).unwrap_or(0));
    let over = |until: Option<Timestamp>| until.is_some_and(|until| until.plus(eighth) <= now);
    if !placed(watched).any(|(coverage, _)| over(coverage.watch_until)) {
        return None;
    }
    let ended = placed(watched).filter(|(coverage, _)| coverage.watch_until.is_some_and(|until| until < now));
    ended.map(|(_, swept)| swept.covered_to).min()
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

/// The first step down from the head in that search; each further one is four times as long.
const FIRST_STEP_BLOCKS: u64 = 1_024;

/// The search for the block from which on everything at or after `wanted` is seen. `known` are times of blocks, the
/// head's among them. Returns the block whose time is wanted next, or as an error the answer: a block such that the
/// one before it is older than `wanted` (or there is none before it).
///
/// # Errors
/// The answer, once it is known.
pub fn find_start(known: &BTreeMap<BlockNumber, Timestamp>, wanted: Timestamp) -> Result<BlockNumber, BlockNumber> {
    let newest = known.last_key_value().map_or(0, |(number, _)| *number);
    let high = known.iter().find(|(_, time)| **time >= wanted).map_or(newest, |(number, _)| *number);
    let low = known.range(..high).next_back().map(|(number, _)| *number);
    match low {
        None if high == 0 => Err(0),
        None => {
            let gone = newest.saturating_sub(high);
            Ok(high.saturating_sub(FIRST_STEP_BLOCKS.max(gone.saturating_mul(4))))
        }
        Some(low) => {
            let gap = high.saturating_sub(low);
            if gap <= NEAR_ENOUGH_BLOCKS {
                Err(low.saturating_add(1).min(high))
            } else {
                Ok(low.saturating_add(gap.checked_div(2).unwrap_or(1)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: SweepParams = SweepParams {
        overlap: 0,
        chunk: 100,
        interval: Span::from_secs(60),
        poll_interval: Span::from_secs(40),
        ended_interval: Span::from_secs(300),
        second_after: Span::from_secs(300),
        keep: Span::from_secs(600),
        start_margin: Span::from_secs(10),
    };

    #[test]
    fn news_go_before_the_coverage_of_others_but_not_for_ever() {
        let params = SweepParams { overlap: 32, ..PARAMS };
        let cases = [
            (100, 100, Some(100), false, true),
            (100, 100, Some(100), true, false),
            (100, 179, Some(179), true, false),
            (100, 180, Some(180), true, true),
            (100, 180, Some(179), true, false),
            (100, 900, None, true, false),
            (100, 900, None, false, true),
        ];
        for (from, to, last_final, brought_news, expected) in cases {
            let job = job(from, to, vec![Address::ZERO]).expect("a range");
            let got = is_worth_raising(&job, last_final, brought_news, &params);
            assert_eq!(got, expected, "{from} to {to}, final {last_final:?}, news {brought_news}");
        }
    }

    #[test]
    fn finds_a_start_in_few_steps() {
        let time = |number: u64| Timestamp::from_millis(1_700_000_000_000 + number * 1_500);
        let head = 80_000_000;
        for back in [0, 1, 63, 64, 65, 2_400, 40_000, 3_000_000, 79_999_999, 80_000_000] {
            let wanted = time(head - back);
            let mut known = BTreeMap::from([(head, time(head))]);
            let mut steps = 0;
            let start = loop {
                match find_start(&known, wanted) {
                    Ok(probe) => known.insert(probe, time(probe)),
                    Err(start) => break start,
                };
                steps += 1;
                assert!(steps < 40, "the search ends");
            };
            assert!(start <= head - back, "nothing at or after the moment is left out: {start}");
            assert!(head - back - start <= NEAR_ENOUGH_BLOCKS, "{start} is near {}", head - back);
        }
        let future = find_start(&BTreeMap::from([(5, time(5)), (0, time(0))]), time(9));
        assert!(future.is_err(), "a moment after the head starts at the head: {future:?}");
    }
}
