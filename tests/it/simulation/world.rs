//! Everything outside the process: the chain, the API's server, the faults of the day, and the list of what happened.
//! It lives on when the process dies.
//!
//! Locks are held for a moment only, never across an await; the log's is the only one taken inside another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use rampwatch::domain::chain::{B256, BlockNumber, Header, Transfer};
use rampwatch::domain::payment::{PaymentId, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;

use super::api_server::ApiServer;
use super::chain::{Fate, TrueChain};
use super::clock::SimClock;
use super::counted::Answers;
use super::hints::HintHub;
use super::lies::times;
use super::lies::told::Told;
use super::log::Log;
use super::only::{Chaos, Part, slice_at};
use super::plan::Plan;
use super::rng::Rng;
use super::settings::{BLOCK_MILLIS, Settings};
use super::wallet::{self, WalletWorld};
use super::weather::{Fault, Weather};
use crate::support::memory_store::{Contents, MemoryStore};

/// What people did that the checks have to know.
#[derive(Default)]
struct People {
    assigned: BTreeSet<PaymentId>,
    completes: BTreeMap<(B256, usize), PaymentId>,
    /// Whether the process's door is open.
    door_is_open: bool,
    /// When an older copy of the store came back last.
    restored_at: Option<Timestamp>,
    broke_finality_at: Option<Timestamp>,
    /// What the process was told of finality, and when.
    heard_final: Vec<(Timestamp, BlockNumber)>,
}

/// The world of one seed.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) settings: Settings,
    pub(super) clock: SimClock,
    pub(super) plan: Plan,
    pub(super) weather: Weather,
    pub(super) hints: HintHub,
    /// What is on the disk. The process has a handle of its own.
    pub(super) store: MemoryStore,
    people: Mutex<People>,
    answers: Mutex<Answers>,
    lies: Mutex<Told>,
    chain: Mutex<TrueChain>,
    api: Mutex<ApiServer>,
    wallet: Mutex<WalletWorld>,
    log: Mutex<Log>,
}

impl World {
    /// Draws the world of a seed. Must be called inside the simulation's runtime.
    pub(super) fn new(seed: u64, settings: Settings, loud: bool) -> Self {
        let clock = SimClock::start(settings.leaps);
        let plan = settings.only.trim(Plan::draw(seed, &settings));
        let chain = TrueChain::new(seed, &settings, clock.now().minus(settings.chain_behind));
        Self {
            seed,
            clock,
            weather: Weather::draw(seed, &settings).only(&settings.only),
            hints: HintHub::new(seed),
            store: MemoryStore::new(),
            people: Mutex::default(),
            answers: Mutex::default(),
            lies: Mutex::default(),
            chain: Mutex::new(chain),
            api: Mutex::new(ApiServer::new(seed, &settings)),
            wallet: Mutex::new(WalletWorld::new(seed, &settings)),
            log: Mutex::new(Log::new(loud)),
            plan,
            settings,
        }
    }

    /// The true chain.
    pub(super) fn chain(&self) -> MutexGuard<'_, TrueChain> {
        self.chain.lock().expect("one thread")
    }

    /// The API's server.
    pub(super) fn api(&self) -> MutexGuard<'_, ApiServer> {
        self.api.lock().expect("one thread")
    }

    /// What surrounds the hot wallet, and what the checks keep of it.
    pub(super) fn wallet(&self) -> MutexGuard<'_, WalletWorld> {
        self.wallet.lock().expect("one thread")
    }

    /// What the endpoints' answers left out.
    pub(super) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().expect("one thread")
    }

    /// What the lying operator has said so far, and what has left the process.
    pub(super) fn lies(&self) -> MutexGuard<'_, Told> {
        self.lies.lock().expect("one thread")
    }

    /// The list of what happened.
    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("one thread")
    }

    /// Writes down one happening.
    pub(super) fn note(&self, what: &str) {
        let at = self.clock.elapsed().as_millis();
        self.log().note(at, what);
    }

    /// Counts something that is to be hit at least once over all seeds.
    pub(super) fn count(&self, what: &str) {
        self.log().count(what);
        if self.settings.forbidden == Some(what) {
            self.violate(&format!("this must not happen: {what}"));
        }
    }

    /// Writes down that a rule was broken.
    pub(super) fn violate(&self, what: &str) {
        let at = self.clock.elapsed().as_millis();
        self.log().violate(at, what);
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().expect("one thread")
    }

    /// A person assigned a deposit to this payment.
    pub(super) fn assign(&self, id: &PaymentId) {
        self.people().assigned.insert(id.clone());
    }

    /// Whether a person ever assigned a deposit to this payment.
    pub(super) fn was_assigned(&self, id: &PaymentId) -> bool {
        self.people().assigned.contains(id)
    }

    /// The process's door was opened, or a life begins without one.
    pub(super) fn door_is(&self, open: bool) {
        self.people().door_is_open = open;
    }

    /// Whether the process's door is open.
    pub(super) fn is_door_open(&self) -> bool {
        self.people().door_is_open
    }

    /// An older copy of the store comes back: what it does not know was completed, it cannot know.
    pub(super) fn comes_back_older(&self, older: &Contents) {
        let mut people = self.people();
        people.restored_at = Some(self.clock.now());
        let knows = |id: &PaymentId| {
            older.payments.get(id).is_some_and(|payment| {
                !matches!(payment.state, PaymentState::Waiting | PaymentState::Seen { .. } | PaymentState::Due { .. })
            })
        };
        people.completes.retain(|_, id| knows(id));
    }

    /// Whether this moment was before an older copy of the store came back.
    pub(super) fn is_forgotten(&self, at: Timestamp) -> bool {
        self.people().restored_at.is_some_and(|restored_at| at <= restored_at)
    }

    /// Takes down that a transfer of a transaction completes a payment. Returns another that it completed already.
    pub(super) fn completes(&self, hash: B256, place: usize, id: &PaymentId) -> Option<PaymentId> {
        self.people().completes.insert((hash, place), id.clone()).filter(|other| other != id)
    }

    /// Whether a reorg went beyond finality this short a time ago.
    pub(super) fn just_broke_finality(&self, within: Span) -> bool {
        self.people().broke_finality_at.is_some_and(|at| self.clock.now().since(at) <= within)
    }

    /// Whether a reorg ever went beyond finality.
    pub(super) fn finality_is_broken(&self) -> bool {
        self.people().broke_finality_at.is_some()
    }

    /// The process was told that blocks are final up to this one.
    pub(super) fn tell_final(&self, number: BlockNumber) {
        let now = self.clock.now();
        self.people().heard_final.push((now, number));
    }

    /// Whether the process was told since then that this block is final.
    pub(super) fn was_told_final(&self, number: BlockNumber, since: Timestamp) -> bool {
        let heard = &self.people().heard_final;
        heard.iter().rev().take_while(|(at, _)| *at >= since).any(|(_, told)| *told >= number)
    }

    /// What the process was told of finality last, and when.
    pub(super) fn last_told_final(&self) -> Option<(Timestamp, BlockNumber)> {
        self.people().heard_final.last().copied()
    }

    /// Whether faults are made at this time.
    pub(super) fn is_chaos(&self) -> bool {
        !self.settings.calm && self.clock.elapsed() < self.settings.chaos
    }

    /// Whether the API refuses this payment now, and no other.
    pub(super) fn is_refused(&self, id: &PaymentId) -> bool {
        let refused = self.settings.refused.filter(|_| self.is_chaos()).and_then(|place| self.plan.payments.get(place));
        refused.is_some_and(|planned| planned.id == *id)
    }

    /// Whether the API has refused the key itself a short time ago, or could not be asked whether it does.
    pub(super) fn has_refused_the_key(&self) -> bool {
        let elapsed = self.clock.elapsed().as_millis();
        let at = |ago: u64| Span::from_millis(elapsed.saturating_sub(ago * 100));
        let is = |fault: Fault| (0..=600).any(|ago| self.weather.is(at(ago), fault));
        is(Fault::KeyRefused) || is(Fault::ApiAway)
    }

    /// Whether things of this kind go wrong at this time.
    pub(super) fn fails(&self, kind: Chaos) -> bool {
        let slice = || slice_at(self.clock.elapsed(), self.settings.chaos);
        self.is_chaos() && self.settings.only.has(Part::Chance(kind, slice()))
    }

    /// The moment by the process's clock, which may be wrong.
    pub(super) fn process_now(&self) -> Timestamp {
        let elapsed = self.clock.elapsed();
        self.weather.at(elapsed).fold(self.clock.now(), |now, fault| match fault {
            Fault::ClockAhead(by) => {
                self.count("clock: ahead");
                now.plus(by)
            }
            Fault::ClockBack(by) => {
                self.count("clock: back");
                now.minus(by)
            }
            _ => now,
        })
    }

    /// The moment by the chain's own clock.
    pub(super) fn chain_now(&self) -> Timestamp {
        self.clock.now().minus(self.settings.chain_behind)
    }

    /// Makes blocks for ever, now and then a reorg.
    pub(super) async fn produce_blocks(&self) {
        let mut rng = Rng::stream(self.seed, "producer");
        let drawn = (self.settings.beyond_finality && !self.settings.calm).then(|| (rng.range(100, 400), None));
        let planned = self.settings.long_due.map(|long_due| long_due.reorg().map(|(at, depth)| (at, Some(depth))));
        let mut beyond = planned.unwrap_or(drawn);
        let (mut stalled_until, mut leaps) = (Timestamp::EPOCH, 0);
        loop {
            self.clock.sleep(Span::from_millis(BLOCK_MILLIS)).await;
            times::blocks_of_the_days(self, &mut rng, &mut leaps);
            if let Some((_, depth)) = beyond.take_if(|(at, _)| self.clock.elapsed() > Span::from_secs(*at)) {
                self.reorg_beyond_finality(&mut rng, depth);
            } else if (rng.permille(self.settings.reorgs) && self.fails(Chaos::Reorgs)) || wallet::stirs_up(self) {
                self.reorg(&mut rng);
            }
            if rng.permille(self.settings.reorgs * 2) && self.fails(Chaos::Reorgs) {
                self.undo_reorg();
            }
            let block = wallet::make_block(self);
            self.announce(&block);
            self.move_tag(&mut rng, &mut stalled_until);
        }
    }

    fn move_tag(&self, rng: &mut Rng, stalled_until: &mut Timestamp) {
        let now = self.clock.now();
        if rng.permille(4) && self.fails(Chaos::Tag) {
            *stalled_until = now.plus(Span::from_secs(rng.range(10, 200)));
            self.count("chain: finality stalls");
            self.note("the finalized tag stalls");
        }
        let lag = rng.range(self.settings.tag_lag.0, self.settings.tag_lag.1);
        let mut chain = self.chain();
        if now >= *stalled_until {
            chain.tag_follows(lag);
        }
        let told = self.weather.tag_at(self.clock.elapsed());
        chain.finish_view(now, told);
    }

    fn reorg(&self, rng: &mut Rng) {
        let room = self.chain().reorg_room();
        if room == 0 {
            return;
        }
        let depth = if rng.permille(600) { rng.range(1, room.min(3)) } else { rng.range(1, room.min(40)) };
        let fate = *rng.pick(&[Fate::Drop, Fate::Keep, Fate::Move, Fate::Move]);
        self.carry_out_reorg(depth, fate);
    }

    fn undo_reorg(&self) {
        let now = self.chain_now();
        let blocks = {
            let mut chain = self.chain();
            let room = chain.reorg_room();
            chain.undo_reorg(room, now)
        };
        wallet::after_reorg(self);
        if !blocks.is_empty() {
            self.note(&format!("the last reorg is undone, {} blocks", blocks.len()));
            self.count("chain: reorg undone");
        }
        for block in &blocks {
            self.announce(block);
        }
    }

    /// By a few blocks, or of this depth, and then nothing comes back.
    fn reorg_beyond_finality(&self, rng: &mut Rng, depth: Option<u64>) {
        let room = self.chain().reorg_room();
        self.count("chain: reorg beyond finality");
        self.people().broke_finality_at = Some(self.clock.now());
        let fate = *rng.pick(&[Fate::Drop, Fate::Keep, Fate::Move]);
        match depth {
            Some(depth) => self.carry_out_reorg(depth, Fate::Drop),
            None => self.carry_out_reorg(room + rng.range(1, 8), fate),
        }
    }

    fn carry_out_reorg(&self, depth: u64, fate: Fate) {
        self.note(&format!("reorg of {depth} blocks, {fate:?}"));
        self.count(&format!("chain: reorg, {fate:?}"));
        let blocks = self.chain().reorg(depth, fate);
        let gone = self.chain().taken_off();
        self.hints.take_back(self, &gone);
        wallet::after_reorg(self);
        for block in &blocks {
            self.announce(block);
        }
    }

    fn announce(&self, (header, transfers): &(Header, Vec<Transfer>)) {
        for transfer in transfers {
            self.note(&format!(
                "block {} log {}: {} of {} to {} in {}",
                header.block.number,
                transfer.log_index,
                transfer.amount,
                short(&transfer.token),
                short(&transfer.to),
                short(&transfer.tx_hash),
            ));
        }
        self.hints.announce(self, *header, transfers);
    }
}

/// The first digits of something that is known by a long number.
pub(super) fn short(what: &impl std::fmt::Display) -> String {
    what.to_string().chars().take(10).collect()
}
