//! Death: every call that the engine awaits from a port passes a fuse, before and after. When the fuse blows, the
//! process is dead: this call and every later one of that life never return, and whoever keeps the process is told.
//!
//! `Chain::watch` has an effect outside and is not awaited. It passes the fuse too: a death before it leaves the
//! subscription as it was, a death after it comes when it is set. The call itself returns; the process stands still at
//! the next call that it awaits, and nothing outside can come of what it does until then.
//!
//! Deliberately absent: the calls that are not awaited and have no effect outside (`Clock::now`, `Chance::below`,
//! `Store::changes`, `Chain::chain_id`). A death around them cannot be told from one at the awaited call next to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rampwatch::domain::time::Span;
use rampwatch::ports::clock::Clock;
use tokio::sync::Notify;

use super::lies::gate::Gate;
use super::rng::Rng;
use super::world::World;

/// The ways out of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    StoreCommit,
    StoreRead,
    ChainHead,
    ChainFinality,
    ChainHeader,
    ChainTransfers,
    ChainHint,
    ChainTestify,
    ChainWatch,
    ApiPayment,
    ApiComplete,
    DeskList,
    ClockSleep,
    SenderView,
    SenderMarket,
    SenderBalances,
    SenderNonces,
    SenderSend,
    SenderReceipts,
    SenderReceiptsEverywhere,
    SignerSign,
}

/// Those that only a process with a wallet goes.
pub(super) const WALLET_POINTS: [Point; 8] = [
    Point::SenderView,
    Point::SenderMarket,
    Point::SenderBalances,
    Point::SenderNonces,
    Point::SenderSend,
    Point::SenderReceipts,
    Point::SenderReceiptsEverywhere,
    Point::SignerSign,
];

/// All others.
pub(super) const POINTS: [Point; 13] = [
    Point::StoreCommit,
    Point::StoreRead,
    Point::ChainHead,
    Point::ChainFinality,
    Point::ChainHeader,
    Point::ChainTransfers,
    Point::ChainHint,
    Point::ChainWatch,
    Point::ChainTestify,
    Point::ApiPayment,
    Point::ApiComplete,
    Point::DeskList,
    Point::ClockSleep,
];

/// Before the call had any effect, or after its effect and before its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// It goes on.
    Never,
    /// At a call: the so-manieth of its kind.
    At(Point, Side, u64),
    /// At some moment, wherever it stands then.
    After(Span),
    /// It is asked to stop at some moment.
    Asked(Span),
}

impl Ending {
    /// Draws an ending.
    pub(super) fn draw(rng: &mut Rng, mortal: bool, with_wallet: bool) -> Self {
        let span = Span::from_millis(rng.range(200, 150_000));
        let of_wallet = with_wallet && rng.permille(650);
        let point = if of_wallet { *rng.pick(&WALLET_POINTS) } else { *rng.pick(&POINTS) };
        let side = *rng.pick(&[Side::Before, Side::After]);
        let most = match point {
            Point::ApiComplete | Point::ChainWatch | Point::ChainTestify => 2,
            Point::SenderReceiptsEverywhere | Point::SenderBalances => 1,
            Point::SenderSend | Point::SignerSign | Point::SenderMarket => 2,
            Point::SenderNonces | Point::SenderView => 5,
            Point::SenderReceipts => 12,
            Point::DeskList => 4,
            Point::ApiPayment | Point::ChainHead | Point::ChainHeader | Point::ChainFinality => 6,
            Point::StoreCommit => 20,
            _ => 60,
        };
        let left = 1 + rng.below(most);
        match rng.below(10) {
            _ if !mortal => Self::Never,
            0 => Self::After(span),
            1 => Self::Asked(span),
            _ => Self::At(point, side, left),
        }
    }
}

/// One life of the process, from a start to a death.
pub(super) struct Life {
    /// Which one, from 1.
    pub(super) number: u64,
    world: Arc<World>,
    dead: AtomicBool,
    died: Notify,
    ending: Mutex<Ending>,
    /// What its adapters believe of heads.
    pub(super) gate: Gate,
    /// How many calls were made at this moment of virtual time.
    rush: Mutex<(Span, u64)>,
    /// How many calls of each kind were made in this minute of virtual time.
    minute: Mutex<(u64, Calls)>,
}

/// How many calls were made, by their kind.
type Calls = BTreeMap<&'static str, BTreeMap<Point, u64>>;

/// No more calls than this in a minute, of the ways out that cost money or wear out the disk.
const MOST_A_MINUTE: u64 = 200;

/// The same for chain calls: each head is worth a sweep and a question for finality. A minute has forty, and reorgs and
/// their undoing announce a hundred more.
const MOST_CHAIN_CALLS_A_MINUTE: u64 = 400;

/// How many more where operators lie: what one of them invents, the others are asked for with each final block.
const MORE_AMONG_LIARS: u64 = 200;

/// More calls than this without any time passing are an endless loop.
const RUSH: u64 = 20_000;

/// What the coverage table calls a crash point.
pub(super) fn crash_point(point: Point, side: Side) -> String {
    format!("died: {point:?}, {side:?}")
}

impl Life {
    /// A life that is to end like this.
    pub(super) fn new(world: Arc<World>, number: u64, ending: Ending) -> Self {
        let dead = AtomicBool::new(false);
        Self {
            number,
            world,
            dead,
            died: Notify::new(),
            ending: Mutex::new(ending),
            gate: Gate::default(),
            rush: Mutex::default(),
            minute: Mutex::default(),
        }
    }

    /// Whether it is over.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Returns when the life is over.
    pub(super) async fn death(&self) {
        let ending = *self.ending.lock().expect("one thread");
        let at_last = match ending {
            Ending::After(span) => Some(span),
            // The call may never come.
            Ending::At(..) => Some(Span::from_secs(200)),
            Ending::Never | Ending::Asked(_) => None,
        };
        if let Some(span) = at_last {
            tokio::select! {
                biased;
                () = self.died.notified() => {}
                () = self.world.clock.sleep(span) => self.world.count("died: anywhere"),
            }
        } else {
            self.died.notified().await;
        }
    }

    /// Returns when the process is to be asked to stop.
    pub(super) async fn asked_to_stop(&self) {
        let ending = *self.ending.lock().expect("one thread");
        match ending {
            Ending::Asked(span) => self.world.clock.sleep(span).await,
            Ending::Never | Ending::At(..) | Ending::After(_) => std::future::pending().await,
        }
    }

    /// Ends it from outside: every call under way is cut where it stands.
    pub(super) fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
    }

    /// Passes the fuse before a call.
    pub(super) async fn before(&self, point: Point) {
        self.pass(point, Side::Before).await;
    }

    /// Passes the fuse after a call.
    pub(super) async fn after(&self, point: Point) {
        self.pass(point, Side::After).await;
    }

    async fn pass(&self, point: Point, side: Side) {
        if !self.passes(point, side) {
            std::future::pending::<()>().await;
        }
    }

    /// Passes the fuse at a call that is not awaited. False when the life is over.
    pub(super) fn passes(&self, point: Point, side: Side) -> bool {
        self.count_rush(point);
        if side == Side::Before {
            self.count_minute(point);
        }
        if !self.is_dead() && self.blows(point, side) {
            let what = crash_point(point, side);
            self.world.note(&what);
            self.world.count(&what);
            self.end();
        }
        !self.is_dead()
    }

    fn count_rush(&self, point: Point) {
        let elapsed = self.world.clock.elapsed();
        let mut rush = self.rush.lock().expect("one thread");
        *rush = if rush.0 == elapsed { (elapsed, rush.1 + 1) } else { (elapsed, 0) };
        if rush.1 == RUSH {
            self.world.violate(&format!("{RUSH} calls without any time passing, the last of {point:?}"));
            self.end();
        }
    }

    fn count_minute(&self, point: Point) {
        let kind = match point {
            Point::StoreCommit => "commits",
            Point::ChainHead
            | Point::ChainFinality
            | Point::ChainHeader
            | Point::ChainTransfers
            | Point::ChainTestify => "chain calls",
            Point::ApiPayment | Point::ApiComplete | Point::DeskList => "API calls",
            Point::SenderView
            | Point::SenderMarket
            | Point::SenderBalances
            | Point::SenderNonces
            | Point::SenderSend
            | Point::SenderReceipts
            | Point::SenderReceiptsEverywhere => "sender calls",
            Point::SignerSign => "signatures",
            Point::StoreRead | Point::ChainHint | Point::ChainWatch | Point::ClockSleep => return,
        };
        let now = self.world.clock.elapsed().as_secs() / 60;
        let mut minute = self.minute.lock().expect("one thread");
        if minute.0 != now {
            *minute = (now, BTreeMap::new());
        }
        let among_liars = if self.world.settings.lies() { MORE_AMONG_LIARS } else { 0 };
        let most = if kind == "chain calls" { MOST_CHAIN_CALLS_A_MINUTE + among_liars } else { MOST_A_MINUTE };
        let made = minute.1.entry(kind).or_default();
        *made.entry(point).or_default() += 1;
        let all: u64 = made.values().sum();
        self.world.log().most(kind, all);
        if all == most {
            self.world.violate(&format!("{most} {kind} in a minute: {made:?}"));
        }
    }

    fn blows(&self, point: Point, side: Side) -> bool {
        let mut ending = self.ending.lock().expect("one thread");
        match &mut *ending {
            Ending::At(at, on, left) if *at == point && *on == side && self.world.is_chaos() => {
                *left -= 1;
                *left == 0
            }
            Ending::At(..) | Ending::Never | Ending::After(_) | Ending::Asked(_) => false,
        }
    }
}
