//! Death: every call that the engine makes through a port passes a fuse, before and after. When the fuse blows, the
//! process is dead: this call and every later one of that life never return, and whoever keeps the process is told.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::rng::Rng;
use super::world::World;

/// The ways out of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    StoreCommit,
    StoreRead,
    ChainHead,
    ChainFinality,
    ChainHeader,
    ChainTransfers,
    ChainHint,
    ApiPayment,
    ApiComplete,
    ClockSleep,
}

/// All of them.
pub(super) const POINTS: [Point; 10] = [
    Point::StoreCommit,
    Point::StoreRead,
    Point::ChainHead,
    Point::ChainFinality,
    Point::ChainHeader,
    Point::ChainTransfers,
    Point::ChainHint,
    Point::ApiPayment,
    Point::ApiComplete,
    Point::ClockSleep,
];

/// Before the call had any effect, or after its effect and before its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

struct Fuse {
    point: Point,
    side: Side,
    left: u64,
}

/// One life of the process, from a start to a death.
pub(super) struct Life {
    /// Which one, from 1.
    pub(super) number: u64,
    world: Arc<World>,
    dead: AtomicBool,
    died: Notify,
    fuse: Mutex<Option<Fuse>>,
}

/// What the coverage table calls a crash point.
pub(super) fn crash_point(point: Point, side: Side) -> String {
    format!("died: {point:?}, {side:?}")
}

impl Life {
    /// A life that is to end at some call, or goes on until it is ended when it is not mortal.
    pub(super) fn new(world: Arc<World>, number: u64, mortal: bool) -> Self {
        let mut rng = Rng::stream(world.seed, &format!("fuse of life {number}"));
        let fuse = mortal.then(|| {
            let point = *rng.pick(&POINTS);
            let most = match point {
                Point::ApiComplete => 4,
                Point::ApiPayment => 12,
                Point::StoreCommit => 40,
                _ => 150,
            };
            Fuse { point, side: *rng.pick(&[Side::Before, Side::After]), left: 1 + rng.below(most) }
        });
        Self { number, world, dead: AtomicBool::new(false), died: Notify::new(), fuse: Mutex::new(fuse) }
    }

    /// Whether it is over.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Returns when the life is over.
    pub(super) async fn death(&self) {
        self.died.notified().await;
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
        if !self.is_dead() && self.blows(point, side) {
            let what = crash_point(point, side);
            self.world.note(&what);
            self.world.count(&what);
            self.end();
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn blows(&self, point: Point, side: Side) -> bool {
        let mut fuse = self.fuse.lock().expect("one thread");
        match fuse.as_mut() {
            Some(set) if set.point == point && set.side == side => {
                set.left -= 1;
                set.left == 0
            }
            Some(_) | None => false,
        }
    }
}
