//! Time that passes at once: a day or a month while the process is down and orders are open; and an older copy of the
//! store that comes back, as after a disk was lost.
//!
//! Deliberately absent: a clock that is wrong, which is a fault of the weather.

use rampwatch::domain::time::Span;

use super::super::rng::Rng;
use super::super::wallet;
use super::super::world::World;
use super::laws;
use crate::support::memory_store::Contents;

/// So long before days pass the process dies.
const DIES_BEFORE: u64 = 1_000;
/// So long after days have passed it may start again, in milliseconds.
const STARTS_AFTER: u64 = 2_500;

/// The next leap that is still to come.
fn next_leap(world: &World) -> Option<Span> {
    let elapsed = world.clock.elapsed();
    world.settings.leaps.iter().flatten().map(|(at, _)| *at).find(|at| *at > elapsed)
}

/// Returns just before days pass; never when none will.
pub(crate) async fn before_days_pass(world: &World) {
    match next_leap(world) {
        None => std::future::pending().await,
        Some(at) => world.clock.until_elapsed(Span::from_millis(at.as_millis().saturating_sub(DIES_BEFORE))).await,
    }
}

/// Waits for days to pass if they are about to.
pub(crate) async fn let_days_pass(world: &World) {
    let soon = world.clock.elapsed().plus(Span::from_millis(2 * DIES_BEFORE));
    if let Some(at) = next_leap(world).filter(|at| *at <= soon) {
        world.clock.until_elapsed(at.plus(Span::from_millis(STARTS_AFTER))).await;
        world.count("time: days pass while the process is down");
    }
}

/// The blocks of the days that have passed since the last look: far fewer than there would be, which is enough for what
/// waits to be mined on the way.
pub(crate) fn blocks_of_the_days(world: &World, rng: &mut Rng, seen: &mut usize) {
    let elapsed = world.clock.elapsed();
    let passed: Vec<Span> =
        world.settings.leaps.iter().flatten().filter(|(at, _)| *at <= elapsed).map(|(_, by)| *by).collect();
    for by in passed.iter().skip(*seen) {
        let blocks = rng.range(30, 90);
        let begin = world.chain_now().minus(*by);
        world.note(&format!("{} s pass at once, with {blocks} blocks", by.as_secs()));
        for number in 1..blocks {
            let since = Span::from_millis(by.as_millis() / blocks * number);
            wallet::make_block_at(world, begin.plus(since));
        }
        world.count(if by.as_secs() > 20 * 86_400 { "time: a month" } else { "time: a day" });
    }
    *seen = passed.len();
}

/// The copies of the store that somebody keeps.
#[derive(Default)]
pub(crate) struct Copies {
    kept: Option<Contents>,
    restored: u64,
}

impl Copies {
    /// The process is down: somebody makes a copy of the store, or puts the older one back, which is true then.
    pub(crate) fn while_it_is_down(&mut self, world: &World, rng: &mut Rng) -> bool {
        if world.settings.restores <= self.restored || !world.is_chaos() {
            return false;
        }
        let Some(copy) = self.kept.take() else {
            if rng.permille(600) {
                self.kept = Some(world.store.contents());
                world.note("somebody makes a copy of the store");
            }
            return false;
        };
        let comes_back = rng.permille(450);
        if comes_back {
            self.restored += 1;
            world.note("an older copy of the store comes back");
            world.count("time: an older store comes back");
            world.comes_back_older(&copy);
            wallet::comes_back_older(world, &copy);
            laws::comes_back_older(world, &copy);
            world.store.restore(copy);
        } else {
            self.kept = Some(copy);
        }
        comes_back
    }
}
