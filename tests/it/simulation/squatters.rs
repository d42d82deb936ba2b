//! Somebody else stands where rampwatch listens, before it starts or while it does. The door is opened as the program opens
//! it. Laws: it is told before it is tried again, once in a life; it is open soon after the place is free, and that is told;
//! nothing else waits for it, which is what all other checks are for.

use std::convert::Infallible;
use std::sync::Mutex;

use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::time::Span;
use rampwatch::http;
use rampwatch::service::operator_service::OperatorService;
use tokio_util::sync::CancellationToken;

use super::rng::Rng;
use super::settings::Settings;
use super::weather::Fault;
use super::world::World;

/// The setting that says where the door is.
const SETTING: &str = "http.socket";
/// No later than this after the place is free, the door is open: the longest wait between two tries, and a slow store.
const OPENS_WITHIN: Span = Span::from_secs(25);

/// When somebody stands there. In every other world nobody does.
pub(super) fn faults(seed: u64, settings: &Settings) -> Vec<(Span, Span, Fault)> {
    let mut rng = Rng::stream(seed, "squatters");
    if settings.calm || rng.permille(500) {
        return Vec::new();
    }
    let times = rng.range(1, 3);
    let mut draw = |number: u64| {
        let slice = settings.chaos.as_millis() / times;
        let from = Span::from_millis(slice * number + rng.below(slice / 2));
        let from = if number == 0 && rng.permille(500) { Span::ZERO } else { from };
        (from, from.plus(Span::from_millis(rng.range(1_000, 200_000))).min(settings.chaos), Fault::PlaceTaken)
    };
    (0..times).map(&mut draw).collect()
}

/// Opens the door of one life, and keeps it open.
pub(super) async fn keep_door(world: &World, handle: &OperatorService, stop: &CancellationToken) -> Infallible {
    let begun = world.store.look(|contents| contents.events.len());
    world.door_is(false);
    // When it was tried for the last time in vain.
    let refused: Mutex<Option<Span>> = Mutex::default();
    let bind = || {
        let elapsed = world.clock.elapsed();
        let taken = world.weather.is(elapsed, Fault::PlaceTaken);
        if taken {
            world.count("squatter: the place is taken");
            let before = refused.lock().expect("one thread").replace(elapsed);
            if before.is_some() && told_since(world, begun) != (1, 0) {
                world.violate("the place is taken, and that was not told before it was tried again");
            }
        }
        std::future::ready(if taken { Err("Address in use") } else { Ok(()) })
    };
    let opened = http::open(SETTING, bind, handle, stop).await;
    if let Some(opened) = opened {
        let refused = *refused.lock().expect("one thread");
        if opened.is_late != refused.is_some() {
            world.violate("a door that was opened late is said to have been open at once, or the other way round");
        }
        if let Some(at) = refused {
            world.count("squatter: it listens again");
            if world.clock.elapsed().as_millis().saturating_sub(free_since(world, at).as_millis())
                > OPENS_WITHIN.as_millis()
            {
                world.violate("the place has been free for long, and nothing listens there");
            }
            if told_since(world, begun) != (1, 1) {
                world.violate("it listens again, and that is not told once");
            }
        }
        world.door_is(true);
    }
    std::future::pending().await
}

/// At the end the door is open.
pub(super) fn door_is_open(world: &World) {
    if !world.is_door_open() {
        world.violate("nothing listens at the end");
    }
}

/// When the place that was taken at this time became free.
fn free_since(world: &World, taken_at: Span) -> Span {
    let on = world
        .weather
        .all()
        .iter()
        .filter(|(from, to, fault)| *fault == Fault::PlaceTaken && *from <= taken_at && taken_at < *to);
    on.map(|(_, to, _)| *to).max().unwrap_or(taken_at)
}

/// How often it was told since so many events that nothing listens, and that something listens again.
fn told_since(world: &World, begun: usize) -> (usize, usize) {
    world.store.look(|contents| {
        contents.events.iter().skip(begun).fold((0, 0), |(taken, back), recorded| match &recorded.event.kind {
            EventKind::Alarm { alarm: Alarm::NotListening { .. } } => (taken + 1, back),
            EventKind::ListenerBack { .. } => (taken, back + 1),
            _ => (taken, back),
        })
    })
}
