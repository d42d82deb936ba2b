//! The sweep, simulated: addresses come, go and come back older, heads and finality advance unevenly, sweeps run, are
//! lost half way, and run again. Whatever happens, no block is counted that was not read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use rampwatch::domain::chain::{Address, BlockNumber};
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::sweep::{
    Job, SweepParams, after_second, after_sweep, behind_by, catch_up_job, closable_to, cover, head_job, last_job,
    may_read_ahead, may_take_in_with, next_start, pause, second_job, wants_final,
};

const BLOCK: Span = Span::from_secs(2);

const PARAMS: SweepParams = SweepParams {
    overlap: 4,
    chunk: 20,
    interval: Span::from_secs(60),
    poll_interval: Span::from_secs(40),
    ended_interval: Span::from_secs(300),
    second_after: Span::from_secs(30),
    keep: Span::from_secs(160),
    start_margin: Span::from_secs(10),
    kept_at_once: 1_000,
    filter: 1_000,
};

fn time_of(block: BlockNumber) -> Timestamp {
    Timestamp::from_secs(100_000).plus(BLOCK.times(block))
}

/// Something that happens in the simulated world.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The chain grows by so many blocks, and finality follows with such a lag.
    Grow { blocks: u64, lag: u64 },
    /// A payment is added at one of a few addresses, created so many blocks ago.
    Add { address: u8, ago: u64 },
    /// Every payment of the address has ended.
    End { address: u8 },
    /// A job of this kind is read; its commit is lost when `lost`.
    Read { kind: u8, lost: bool },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (1..60_u64, 0..12_u64).prop_map(|(blocks, lag)| Happening::Grow { blocks, lag }),
        2 => (0..5_u8, 0..150_u64).prop_map(|(address, ago)| Happening::Add { address, ago }),
        2 => (0..5_u8).prop_map(|address| Happening::End { address }),
        8 => (0..4_u8, prop::bool::weighted(0.2)).prop_map(|(kind, lost)| Happening::Read { kind, lost }),
    ]
}

/// The world, with its own account of what was really read.
struct World {
    head: BlockNumber,
    last_final: BlockNumber,
    watched: Vec<Coverage>,
    /// How often each block was read for an address while it was final, since the address was placed.
    read: BTreeMap<Address, BTreeMap<BlockNumber, u32>>,
    closed: BTreeSet<Address>,
}

impl World {
    fn new() -> Self {
        Self { head: 200, last_final: 190, watched: Vec::new(), read: BTreeMap::new(), closed: BTreeSet::new() }
    }

    fn now(&self) -> Timestamp {
        time_of(self.head)
    }

    fn put(&mut self, coverage: Coverage) {
        match self.watched.iter_mut().find(|known| known.address == coverage.address) {
            Some(known) => *known = coverage,
            None => self.watched.push(coverage),
        }
    }

    fn add(&mut self, address: Address, ago: u64) {
        let known = self.watched.iter().find(|known| known.address == address);
        let mut coverage = cover(known, address, time_of(self.head - ago.min(self.head)), &PARAMS);
        assert!(!coverage.closed && coverage.watch_until.is_none(), "it is open");
        if coverage.swept.is_none() {
            // The start is found by its time; everything begins anew.
            let first = (0..=self.head).find(|block| time_of(*block) >= coverage.since).unwrap_or(self.head).max(1);
            let swept = Swept { start: first, covered_to: first - 1, confirmed_to: first - 1, second_reading: None };
            coverage.swept = Some(swept);
            self.read.insert(address, BTreeMap::new());
            self.closed.remove(&address);
        }
        assert!(coverage.since <= time_of(self.head - ago.min(self.head)), "money since the creation is seen");
        self.put(coverage);
    }

    fn end(&mut self, address: Address) {
        let until = self.now().plus(PARAMS.keep);
        let known = self.watched.iter_mut().find(|known| known.address == address && !known.closed);
        if let Some(known) = known {
            known.watch_until = Some(until);
        }
    }

    fn job(&self, kind: u8) -> Option<Job> {
        match kind {
            0 => head_job(&self.watched, &BTreeSet::new(), self.head, Some(self.last_final), &PARAMS),
            1 => catch_up_job(&self.watched, Some(self.last_final), &PARAMS).map(|way| way.split(PARAMS.chunk).0),
            2 => second_job(&self.watched, self.now(), &PARAMS),
            _ => {
                let covered = closable_to(&self.watched, self.now(), &PARAMS)?;
                last_job(&self.watched, self.now(), time_of(covered), &PARAMS)
            }
        }
    }

    /// Reads a job, and commits what follows unless that is lost. Returns whether anything was gained.
    fn read(&mut self, kind: u8, lost: bool) -> bool {
        let Some(job) = self.job(kind) else { return false };
        assert!(job.from <= job.to && job.to <= self.head, "{job:?} within the chain");
        assert!(!job.addresses.is_empty());
        assert!(kind == 3 || job.to - job.from <= PARAMS.chunk + PARAMS.overlap + 80, "{job:?} is bounded");
        for address in job.addresses.iter() {
            let blocks = self.read.entry(*address).or_default();
            for block in job.from..=job.to.min(self.last_final) {
                *blocks.entry(block).or_default() += 1;
            }
        }
        if lost {
            return false;
        }
        let (now, last_final) = (self.now(), self.last_final);
        let mut gained = false;
        for known in self.watched.iter_mut().filter(|known| job.addresses.contains(&known.address)) {
            let after = match kind {
                0 | 1 => after_sweep(known, &job, last_final, now, &PARAMS),
                2 => after_second(known, &job, now, &PARAMS),
                _ => Some(Coverage { closed: true, ..known.clone() }),
            };
            if let Some(after) = after {
                *known = after;
                gained = true;
            }
            if known.closed {
                let swept = known.swept.expect("only a placed address is closed");
                let until = known.watch_until.expect("only an ended address is closed");
                assert!(job.from <= swept.start, "the last reading begins at its start");
                assert!(time_of(job.to) > until, "and reaches past the moment until which it is watched");
                assert!(job.to <= last_final, "in final blocks");
                assert!(job.to <= swept.confirmed_to, "each of which was read twice before");
                self.closed.insert(known.address);
            }
        }
        gained
    }

    fn check(&self) {
        for known in &self.watched {
            let Some(swept) = known.swept else { continue };
            let read = &self.read[&known.address];
            let times = |block: &BlockNumber| read.get(block).copied().unwrap_or(0);
            assert!(swept.confirmed_to <= swept.covered_to && swept.covered_to <= self.last_final.max(swept.start));
            assert!(swept.covered_to + 1 >= swept.start);
            for block in swept.start..=swept.covered_to {
                assert!(times(&block) >= 1, "{block} is counted and was never read while final: {known:?}");
            }
            for block in swept.start..=swept.confirmed_to {
                assert!(times(&block) >= 2, "{block} is confirmed and was read once: {known:?}");
            }
            let owes = swept.second_reading.is_some_and(|(to, _)| to > swept.confirmed_to && to <= swept.covered_to);
            assert_eq!(owes, swept.confirmed_to < swept.covered_to, "a second reading is owed for the rest: {known:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_block_is_counted_that_was_not_read(happenings in prop::collection::vec(happening(), 1..80)) {
        let mut world = World::new();
        for happening in happenings {
            match happening {
                Happening::Grow { blocks, lag } => {
                    world.head += blocks;
                    world.last_final = world.last_final.max(world.head - lag);
                }
                Happening::Add { address, ago } => world.add(Address::repeat_byte(address), ago),
                Happening::End { address } => world.end(Address::repeat_byte(address)),
                Happening::Read { kind, lost } => {
                    world.read(kind, lost);
                }
            }
            world.check();
        }

        // From anywhere, working on brings every open address to the final block, all of it read twice.
        let mut rounds = 0;
        while world.read(1, false) {
            rounds += 1;
            prop_assert!(rounds < 1_000, "catching up ends");
            world.check();
        }
        world.read(0, false);
        let open = |world: &World| world.watched.iter().filter(|known| !known.closed).cloned().collect::<Vec<_>>();
        for known in open(&world) {
            let swept = known.swept.expect("placed");
            prop_assert!(swept.covered_to >= world.last_final.min(world.head), "{known:?} {}", world.last_final);
        }
        prop_assert_eq!(behind_by(&world.watched, Some(world.last_final)), 0);
        for _ in 0..2 {
            world.head += 20;
            while world.read(2, false) {
                rounds += 1;
                prop_assert!(rounds < 1_000, "the second reading ends");
                world.check();
            }
        }
        for known in open(&world) {
            let swept = known.swept.expect("placed");
            prop_assert_eq!((swept.confirmed_to, swept.second_reading), (swept.covered_to, None));
        }

        // And every address whose payments have ended is closed in the end.
        for known in open(&world) {
            world.end(known.address);
        }
        world.head += 200;
        world.last_final = world.head;
        while world.read(1, false) {}
        world.read(0, false);
        for _ in 0..2 {
            world.head += 20;
            while world.read(2, false) {}
        }
        let mut readings = 0;
        while world.read(3, false) {
            readings += 1;
            prop_assert!(readings < 10, "closing ends");
            world.check();
        }
        prop_assert!(open(&world).is_empty(), "{:?}", open(&world));
        prop_assert!(pause(&world.watched, true, &PARAMS).is_none(), "and then nothing is read any more");
    }
}

fn placed(name: u8, start: u64, covered_to: u64) -> Coverage {
    Coverage {
        address: Address::repeat_byte(name),
        version: 1,
        since: time_of(start),
        swept: Some(Swept { start, covered_to, confirmed_to: covered_to, second_reading: None }),
        watch_until: None,
        closed: false,
    }
}

#[test]
fn the_head_is_read_from_the_overlap_on_and_never_below_the_start() {
    let job = |from, to, names: &[u8]| {
        Some(Job { from, to, addresses: Arc::new(names.iter().map(|name| Address::repeat_byte(*name)).collect()) })
    };
    let (old, new) = (placed(1, 50, 100), placed(2, 99, 98));
    assert_eq!(head_job(std::slice::from_ref(&old), &BTreeSet::new(), 110, Some(108), &PARAMS), job(97, 110, &[1]));
    assert_eq!(head_job(std::slice::from_ref(&new), &BTreeSet::new(), 110, Some(108), &PARAMS), job(99, 110, &[2]));
    assert_eq!(head_job(&[old.clone(), new.clone()], &BTreeSet::new(), 110, Some(108), &PARAMS), job(97, 110, &[1, 2]));
    assert_eq!(
        head_job(std::slice::from_ref(&old), &BTreeSet::new(), 90, Some(88), &PARAMS),
        job(90, 90, &[1]),
        "a head that is behind"
    );
    assert_eq!(head_job(&[], &BTreeSet::new(), 110, Some(108), &PARAMS), None);
    let unplaced = Coverage { swept: None, ..old.clone() };
    let closed = Coverage { closed: true, ..old.clone() };
    assert_eq!(head_job(&[unplaced, closed], &BTreeSet::new(), 110, Some(108), &PARAMS), None);

    let far = placed(3, 10, 20);
    assert_eq!(head_job(&[far.clone(), old.clone()], &BTreeSet::new(), 110, Some(108), &PARAMS), job(97, 110, &[1]));
    assert_eq!(catch_up_job(&[far.clone(), old.clone()], Some(108), &PARAMS), job(21, 108, &[3]));
    assert_eq!(
        catch_up_job(std::slice::from_ref(&far), None, &PARAMS),
        None,
        "without a final block nothing is known to be behind"
    );
    assert_eq!(behind_by(&[far, old.clone()], Some(108)), 88);
    assert!(wants_final(std::slice::from_ref(&old), 164) && !wants_final(&[old], 163));
}

#[test]
fn the_way_to_the_final_block_ends_where_others_come_along() {
    let way = |watched: &[Coverage], last_final| {
        let way = catch_up_job(watched, Some(last_final), &PARAMS)?;
        Some((way.from, way.to, way.addresses.iter().map(|address| address.0[0]).collect::<Vec<_>>()))
    };
    let at = |name, covered_to| placed(name, 1, covered_to);
    let cases = [
        (vec![], 500, None),
        (vec![at(1, 480)], 500, None),
        (vec![at(1, 479)], 500, Some((480, 500, vec![1]))),
        (vec![at(1, 100), at(2, 119)], 500, Some((101, 500, vec![1, 2]))),
        (vec![at(1, 100), at(2, 120)], 500, Some((101, 120, vec![1]))),
        (vec![at(3, 300), at(1, 100), at(2, 110)], 500, Some((101, 300, vec![1, 2]))),
        (vec![at(1, 100), at(2, 490)], 500, Some((101, 500, vec![1]))),
    ];
    for (watched, last_final, expected) in cases {
        let found = way(&watched, last_final).map(|(from, to, mut names)| {
            names.sort_unstable();
            (from, to, names)
        });
        assert_eq!(found, expected, "{watched:?}");
    }
}

#[test]
fn a_way_is_cut_into_chunks_that_join() {
    let whole = Job { from: 101, to: 160, addresses: Arc::new(vec![Address::repeat_byte(1)]) };
    for (blocks, expected) in [
        (25, vec![(101, 125), (126, 150), (151, 160)]),
        (60, vec![(101, 160)]),
        (u64::MAX, vec![(101, 160)]),
        (59, vec![(101, 159), (160, 160)]),
    ] {
        let (mut chunks, mut rest) = (Vec::new(), Some(whole.clone()));
        while let Some(way) = rest.take() {
            let (chunk, left) = way.split(blocks);
            assert_eq!(chunk.addresses, whole.addresses);
            chunks.push((chunk.from, chunk.to));
            rest = left;
        }
        assert_eq!(chunks, expected);
    }
    assert_eq!(whole.clone().split(0).0.to, 101, "a chunk has at least one block");
}

#[test]
fn what_is_read_ahead_is_bounded() {
    let cases = [
        (0, 0, true),
        (0, 10_000_000, true),
        (1, 0, true),
        (2, 49_999, true),
        (2, 50_000, false),
        (3, 0, false),
        (1_000, 0, false),
    ];
    for (chunks, transfers, expected) in cases {
        assert_eq!(may_read_ahead(chunks, transfers), expected, "{chunks} chunks, {transfers} transfers");
    }
    assert!(may_take_in_with(49_999) && !may_take_in_with(50_000));
}

#[test]
fn a_reading_counts_only_where_it_joins_and_is_final() {
    let known = placed(1, 50, 100);
    let after = |from, to, last_final| {
        let job = Job { from, to, addresses: Arc::new(vec![known.address]) };
        after_sweep(&known, &job, last_final, time_of(0), &PARAMS).and_then(|after| after.swept)
    };
    let owed = |to| Some((to, time_of(0).plus(PARAMS.second_after)));
    let to = |covered_to| Some(Swept { start: 50, covered_to, confirmed_to: 100, second_reading: owed(covered_to) });
    assert_eq!(after(101, 120, 110), to(110));
    assert_eq!(after(90, 105, 110), to(105));
    assert_eq!(after(102, 120, 110), None, "block 101 would be a hole");
    assert_eq!(after(101, 120, 100), None, "nothing new is final");
    let owed_at = |at| {
        let swept = Swept { second_reading: Some((100, at)), ..known.swept.unwrap() };
        let known = Coverage { swept: Some(swept), ..known.clone() };
        let job = Job { from: 101, to: 120, addresses: Arc::new(vec![known.address]) };
        after_sweep(&known, &job, 110, time_of(0), &PARAMS).and_then(|after| after.swept?.second_reading)
    };
    let at = time_of(0).plus(PARAMS.second_after);
    assert_eq!(owed_at(at), Some((100, at)));
    assert_eq!(owed_at(at.plus(Span::from_secs(1))), Some((110, at)), "our clock was ahead: it is owed anew");
}

#[test]
fn how_often_it_is_swept() {
    let open = placed(1, 50, 100);
    let ended = Coverage { watch_until: Some(time_of(300)), ..placed(2, 50, 100) };
    let closed = Coverage { closed: true, ..ended.clone() };
    let cases = [
        (vec![], true, None),
        (vec![closed.clone()], true, None),
        (vec![ended.clone(), closed], false, Some(PARAMS.ended_interval)),
        (vec![ended.clone(), open.clone()], true, Some(PARAMS.interval)),
        (vec![ended, open], false, Some(PARAMS.poll_interval)),
    ];
    for (watched, live, expected) in cases {
        assert_eq!(pause(&watched, live, &PARAMS), expected, "{watched:?}");
    }
}

#[test]
fn a_second_reading_confirms_what_was_owed_and_no_more() {
    let swept = Swept { start: 50, covered_to: 120, confirmed_to: 100, second_reading: Some((110, time_of(0))) };
    let known = Coverage { swept: Some(swept), ..placed(1, 50, 120) };
    let now = time_of(40);
    let after = |from, to| {
        let job = Job { from, to, addresses: Arc::new(vec![known.address]) };
        after_second(&known, &job, now, &PARAMS).and_then(|after| after.swept)
    };
    let next = Some((120, now.plus(PARAMS.second_after)));
    let confirmed = |confirmed_to, second_reading| Some(Swept { confirmed_to, second_reading, ..swept });
    assert_eq!(after(101, 110), confirmed(110, next));
    assert_eq!(after(90, 120), confirmed(110, next), "the blocks above were first read a moment ago");
    assert_eq!(after(101, 105), confirmed(105, Some((110, time_of(0)))), "the rest stays owed");
    assert_eq!(after(102, 110), None, "block 101 would be a hole");
    assert_eq!(after(60, 100), None, "nothing new");
    assert_eq!(
        second_job(std::slice::from_ref(&known), time_of(0), &PARAMS).map(|job| (job.from, job.to)),
        Some((101, 110))
    );
    let later = Coverage { swept: confirmed(110, next), ..known };
    assert_eq!(second_job(&[later], now, &PARAMS), None, "not before its time");
}

#[test]
fn r7_the_block_that_cannot_be_read_is_found_and_starts_of_addresses_are_tried_first() {
    // Where the sweep of addresses begins, and the highest block that cannot be read; 99 is the head.
    for (starts, bad) in [(vec![1], 40), (vec![1, 50, 60], 40), (vec![1, 2, 3], 98), (vec![1, 60], 59), (vec![1], 1)] {
        let starts: BTreeSet<u64> = starts.into_iter().collect();
        let (mut refused, mut read, mut steps) = (1, None, 0);
        while let Some(from) = next_start(&starts, 99, refused, read) {
            assert!(from > refused && from <= 99 && read.is_none_or(|read| from < read), "{from}");
            if from > bad {
                read = Some(from)
            } else {
                refused = from
            }
            steps += 1;
        }
        assert_eq!((refused, read), (bad, Some(bad + 1)), "{starts:?}");
        assert!(steps <= 10, "{steps} for {starts:?}");
    }
    assert_eq!(next_start(&BTreeSet::from([5]), 99, 1, None), Some(5), "whoever begins higher goes on");
    assert_eq!(next_start(&BTreeSet::new(), 9, 9, None), None, "the newest block itself");
}
