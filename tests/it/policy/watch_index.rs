//! The watch index against the plain thing: one coverage for each address, changed one by one. Whatever is read, stored, lost
//! and changed by others, both say the same of every address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use rampwatch::domain::chain::Address;
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::sweep::{
    Job, SweepParams, after_second, after_sweep, catch_up_job, cover, head_job, is_over, last_job, second_job,
};
use rampwatch::policy::watch_index::WatchIndex;

const PARAMS: SweepParams = SweepParams {
    overlap: 4,
    chunk: 20,
    interval: Span::from_secs(60),
    poll_interval: Span::from_secs(40),
    ended_interval: Span::from_secs(300),
    second_after: Span::from_secs(3),
    keep: Span::from_secs(160),
    start_margin: Span::from_secs(10),
    kept_at_once: 3,
    filter: 1_000,
};

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The chain grows.
    Grow(u64),
    /// Somebody else adds a payment at an address, created so long ago.
    Add { address: u8, ago: u64 },
    /// Somebody else notes that the address's last payment has ended.
    End { address: u8 },
    /// A start block is found for everybody who has none.
    Place,
    /// A reading of this kind; for one address it does not count.
    Read { kind: u8, without: u8 },
    /// Some of what was read is stored.
    Keep,
    /// An address stands back, or does not any more.
    Rest { address: u8, rests: bool },
    /// The process dies, or the store has forgotten what has changed: everything is read again.
    Reload { dies: bool, page: usize },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (1..60_u64).prop_map(Happening::Grow),
        3 => (0..9_u8, 0..150_u64).prop_map(|(address, ago)| Happening::Add { address, ago }),
        2 => (0..9_u8).prop_map(|address| Happening::End { address }),
        4 => Just(Happening::Place),
        10 => (0..4_u8, 0..20_u8).prop_map(|(kind, without)| Happening::Read { kind, without }),
        3 => Just(Happening::Keep),
        1 => (0..9_u8, any::<bool>()).prop_map(|(address, rests)| Happening::Rest { address, rests }),
        1 => (any::<bool>(), 1..5_usize).prop_map(|(dies, page)| Happening::Reload { dies, page }),
    ]
}

/// The store, the watch index, and what every address was really swept to.
struct World {
    head: u64,
    stored: BTreeMap<Address, Coverage>,
    /// As the watch index should have it.
    known: BTreeMap<Address, Coverage>,
    resting: BTreeSet<Address>,
    index: WatchIndex,
}

impl World {
    fn new() -> Self {
        let index = WatchIndex::new(PARAMS.keep);
        Self { head: 200, stored: BTreeMap::new(), known: BTreeMap::new(), resting: BTreeSet::new(), index }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(100_000 + self.head * 2)
    }

    /// Stores it as somebody else would, and tells the watch index.
    fn store(&mut self, coverage: Coverage) {
        let stored = Coverage { version: coverage.version + 1, ..coverage };
        let address = stored.address;
        self.stored.insert(address, stored.clone());
        let open = self.stored.get(&address).filter(|coverage| !coverage.closed).cloned();
        match open {
            Some(open) => {
                let swept = match self.known.get(&address).and_then(|known| known.swept) {
                    Some(known) if open.swept.is_some() => Some(known),
                    Some(_) | None => open.swept,
                };
                self.known.insert(address, Coverage { swept, ..open });
            }
            None => {
                self.known.remove(&address);
                self.resting.remove(&address);
            }
        }
        self.index.put(vec![stored]);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Grow(blocks) => self.head += blocks,
            Happening::Add { address: n, ago } => {
                let at = self.now().minus(Span::from_secs(ago * 2));
                let stored = self.stored.get(&address(n));
                self.store(cover(stored, address(n), at, &PARAMS));
            }
            Happening::End { address: n } => {
                let until = Some(self.now().plus(PARAMS.keep));
                if let Some(stored) = self.stored.get(&address(n)).filter(|stored| !stored.closed).cloned() {
                    self.store(Coverage { watch_until: until, ..stored });
                }
            }
            Happening::Place => {
                for fresh in self.index.unplaced() {
                    let start = (fresh.since.as_secs().saturating_sub(100_000) / 2).max(1);
                    let below = start - 1;
                    let swept = Swept { start, covered_to: below, confirmed_to: below, second_reading: None };
                    self.store(Coverage { swept: Some(swept), ..fresh });
                }
            }
            Happening::Read { kind, without } => self.read(kind, without),
            Happening::Keep => self.keep(),
            Happening::Rest { address: n, rests } => {
                self.index.rest(&address(n), rests);
                if rests && self.index.is_watched(&address(n)) {
                    self.resting.insert(address(n));
                } else {
                    self.resting.remove(&address(n));
                }
            }
            Happening::Reload { dies, page } => self.reload(dies, page),
        }
    }

    fn read(&mut self, kind: u8, without: u8) {
        let (now, last_final) = (self.now(), self.head - 5);
        let ready = self.index.ready_leads();
        let job = match kind {
            0 => head_job(&self.index.leads(), &BTreeSet::new(), self.head, Some(last_final), &PARAMS),
            1 => catch_up_job(&ready, Some(last_final), &PARAMS),
            2 => second_job(&ready, now, &PARAMS),
            _ => last_job(&ready, now, now, &PARAMS),
        };
        let Some(job) = job.map(|job| self.index.for_members(job)) else { return };
        assert!(!job.addresses.is_empty() && job.addresses.is_sorted(), "{job:?}");
        assert!(job.addresses.iter().all(|address| self.index.is_watched(address)), "only watched ones are read");
        assert!(kind == 0 || job.addresses.iter().all(|address| !self.resting.contains(address)), "who rests, rests");
        let plain: Vec<Coverage> =
            self.known.values().filter(|it| kind == 0 || !self.resting.contains(&it.address)).cloned().collect();
        self.same_job(kind, &plain, &job);
        if kind > 2 {
            return self.close(&job);
        }
        let left = BTreeSet::from([address(without)]);
        let after = |coverage: &Coverage| match kind {
            0 | 1 => after_sweep(coverage, &job, last_final, now, &PARAMS),
            _ => after_second(coverage, &job, now, &PARAMS),
        };
        for address in job.addresses.iter().filter(|address| !left.contains(*address)) {
            let known = self.known.get_mut(address).unwrap();
            if let Some(raised) = after(known) {
                *known = raised;
            }
        }
        self.index.raise(&job, &left, after);
    }

    /// The same addresses as without groups, in blocks that hold all that would be read without them.
    fn same_job(&self, kind: u8, plain: &[Coverage], job: &Job) {
        let (now, last_final) = (self.now(), self.head - 5);
        let without = match kind {
            0 => head_job(plain, &BTreeSet::new(), self.head, Some(last_final), &PARAMS),
            1 => catch_up_job(plain, Some(last_final), &PARAMS),
            2 => second_job(plain, now, &PARAMS),
            _ => return,
        };
        let without = without.expect("with groups there is a job, so without there is one");
        assert_eq!((job.to, &job.addresses), (without.to, &without.addresses));
        assert!(job.from <= without.from, "{job:?} leaves out what {without:?} has");
        assert!(job.from + PARAMS.overlap >= without.from, "{job:?} is not much more than {without:?}");
    }

    fn close(&mut self, job: &Job) {
        for address in job.addresses.iter() {
            let coverage = self.index.coverage(address).unwrap();
            assert!(is_over(&coverage, self.now(), self.now()), "nobody is let go too early: {coverage:?}");
            assert!(coverage.swept.is_some_and(|swept| swept.start >= job.from), "the whole window was read");
            self.store(Coverage { closed: true, ..coverage });
        }
    }

    fn keep(&mut self) {
        let some = self.index.unkept(PARAMS.kept_at_once);
        assert!(some.len() <= PARAMS.kept_at_once);
        for coverage in &some {
            let stored = self.stored.get_mut(&coverage.address).unwrap();
            assert_eq!(stored.version, coverage.version, "it is written over what was read");
            *stored = Coverage { version: coverage.version + 1, ..coverage.clone() };
            self.known.get_mut(&coverage.address).unwrap().version += 1;
        }
        self.index.kept(&some);
    }

    fn reload(&mut self, dies: bool, size: usize) {
        let open: Vec<Coverage> = self.stored.values().filter(|stored| !stored.closed).cloned().collect();
        if dies {
            self.index = WatchIndex::new(PARAMS.keep);
            self.resting.clear();
            self.known = open.iter().map(|stored| (stored.address, stored.clone())).collect();
        }
        let mut after = None;
        loop {
            let later = open.iter().filter(|stored| after.is_none_or(|after| stored.address > after));
            let page: Vec<Coverage> = later.take(size).cloned().collect();
            let through = page.last().filter(|_| page.len() == size).map(|last| last.address);
            self.index.put_page(after, through, page);
            match through {
                Some(last) => after = Some(last),
                None => return,
            }
        }
    }

    fn check(&self) {
        let watched: Vec<Address> = self.known.keys().copied().collect();
        assert_eq!(**self.index.addresses(), watched);
        for (address, known) in &self.known {
            assert_eq!(self.index.coverage(address).as_ref(), Some(known));
            assert_eq!(self.index.version(address), Some(known.version));
        }
        for n in 0..9 {
            assert_eq!(self.index.is_watched(&address(n)), self.known.contains_key(&address(n)));
        }
        let unplaced = self.known.values().filter(|known| known.swept.is_none()).count();
        assert_eq!(self.index.unplaced().len(), unplaced);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn says_what_one_coverage_for_each_would_say(happenings in prop::collection::vec(happening(), 1..80)) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
        // All that was read is stored in the end.
        for _ in 0..9 {
            world.keep();
        }
        for (address, known) in &world.known {
            prop_assert_eq!(world.stored.get(address), Some(known));
        }
    }
}

#[test]
fn whoever_is_not_in_the_store_any_more_is_struck_off() {
    let at = |n: u8, version| Coverage {
        address: address(n),
        version,
        since: Timestamp::EPOCH,
        swept: None,
        watch_until: None,
        closed: false,
    };
    let mut watch_index = WatchIndex::new(PARAMS.keep);
    assert!(watch_index.put_page(None, Some(address(4)), vec![at(2, 1), at(4, 1)]));
    assert!(watch_index.put_page(Some(address(4)), None, vec![at(6, 1), at(8, 1)]));
    assert!(!watch_index.put_page(None, Some(address(4)), vec![at(2, 1), at(4, 2)]), "a new version is nobody new");
    assert!(watch_index.put_page(None, Some(address(4)), vec![at(4, 2)]), "the second is gone");
    assert!(watch_index.put_page(Some(address(4)), None, vec![at(6, 1)]), "and the eighth");
    assert_eq!(**watch_index.addresses(), [address(4), address(6)]);
    assert!(watch_index.put_page(None, None, vec![]));
    assert!(watch_index.is_empty() && watch_index.leads().is_empty());
}

#[test]
fn those_who_were_swept_together_are_one_group() {
    let swept = |start| Swept { start, covered_to: 99, confirmed_to: 90, second_reading: None };
    let coverage = |n: u64| Coverage {
        address: Address::left_padding_from(&n.to_be_bytes()),
        version: 1,
        since: Timestamp::EPOCH,
        swept: Some(swept(1 + n % 50)),
        watch_until: None,
        closed: false,
    };
    let mut watch_index = WatchIndex::new(PARAMS.keep);
    watch_index.put((0..10_000).map(coverage).collect());
    assert_eq!(watch_index.leads().len(), 1);
    assert_eq!(watch_index.leads()[0].swept, Some(swept(1)), "the lead has the lowest start");
    let job = head_job(&watch_index.leads(), &BTreeSet::new(), 110, Some(105), &PARAMS)
        .map(|job| watch_index.for_members(job))
        .unwrap();
    assert!(Arc::ptr_eq(&job.addresses, watch_index.addresses()), "a million addresses are not copied for a sweep");
    watch_index.raise(&job, &BTreeSet::new(), |lead| after_sweep(lead, &job, 105, Timestamp::EPOCH, &PARAMS));
    assert_eq!(watch_index.leads().len(), 1);
    assert_eq!(
        watch_index.coverage(&coverage(60).address).unwrap().swept.map(|it| (it.start, it.covered_to)),
        Some((11, 105))
    );
}

#[test]
fn f3_what_was_taken_back_stays_so_though_readings_had_come_further() {
    let swept = |to| Some(Swept { start: 5, covered_to: to, confirmed_to: 4, second_reading: None });
    let stored = |n: u8, version, to| Coverage {
        address: address(n),
        version,
        since: Timestamp::EPOCH,
        swept: swept(to),
        watch_until: None,
        closed: false,
    };
    let mut watch_index = WatchIndex::new(PARAMS.keep);
    watch_index.put(vec![stored(1, 1, 10), stored(2, 1, 10), stored(3, 7, 10)]);
    let job = Job { from: 11, to: 900, addresses: watch_index.addresses().clone() };
    watch_index.raise(&job, &BTreeSet::new(), |coverage| Some(Coverage { swept: swept(900), ..coverage.clone() }));
    // Somebody else has changed the third one meanwhile: its record is not the one that was taken back.
    watch_index.taken_back(&[stored(1, 1, 4), stored(3, 6, 4)]);
    let of = |watch_index: &WatchIndex, n| {
        watch_index.coverage(&address(n)).map(|it| (it.version, it.swept.map(|swept| swept.covered_to)))
    };
    assert_eq!(of(&watch_index, 1), Some((2, Some(4))));
    assert_eq!((of(&watch_index, 2), of(&watch_index, 3)), (Some((1, Some(900))), Some((7, Some(900)))));
    watch_index.put(vec![stored(1, 2, 4)]);
    assert_eq!(of(&watch_index, 1), Some((2, Some(4))), "the store says the same");
    assert!(!watch_index.unkept(10).iter().any(|it| it.address == address(1)), "there is nothing to be stored");
    assert_eq!(watch_index.leads().iter().filter_map(|lead| lead.swept).map(|swept| swept.covered_to).min(), Some(4));
}
