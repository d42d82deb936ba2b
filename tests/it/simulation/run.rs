//! One seed from beginning to end: the world goes its way, the process lives, dies and starts again, and everything is
//! checked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rampwatch::domain::time::Span;
use rampwatch::ports::clock::Clock;

use super::end_checks;
use super::fuse::{Ending, Life};
use super::lies::laws;
use super::lies::times::{self, Copies};
use super::log::Outcome;
use super::named;
use super::only::Part;
use super::operator::{self, Errands};
use super::people;
use super::process::Process;
use super::retold;
use super::rng::Rng;
use super::settings::Settings;
use super::wallet;
use super::webhooks;
use super::world::World;

/// How long a process may take to stop when it is asked to: calls under way may finish, and one that is late at a node takes
/// more than a minute.
const STOPS_WITHIN: Span = Span::from_secs(180);

/// Runs one seed in this world, on a runtime of its own with paused time.
pub(super) fn run_world(seed: u64, settings: Settings, loud: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(simulate(seed, settings, loud))
}

async fn simulate(seed: u64, settings: Settings, loud: bool) -> Outcome {
    let world = Arc::new(World::new(seed, settings, loud));
    let Settings { operators, agreement, liar, .. } = &world.settings;
    let name = world.settings.name();
    world.note(&format!("the world: {name}; operators {operators:?}, {agreement} must agree, {liar} may lie"));
    for (from, to, fault) in world.weather.all() {
        world.note(&format!("weather: {fault:?} from {} s to {} s", from.as_secs(), to.as_secs()));
    }
    let errands: Errands = Arc::new(Mutex::new(VecDeque::new()));
    let producer = Arc::clone(&world);
    tokio::spawn(async move { producer.produce_blocks().await });
    let sink = Arc::clone(&errands);
    tokio::spawn(people::live(Arc::clone(&world), move |act| {
        sink.lock().expect("one thread").push_back(act);
    }));
    let keeper = tokio::spawn(keep(Arc::clone(&world), errands));
    let end = world.settings.chaos.plus(world.settings.quiet);
    while world.clock.elapsed() < end && !world.log().is_violated() && !keeper.is_finished() {
        world.clock.sleep(Span::from_secs(5)).await;
        laws::after_the_lies(&world);
    }
    if keeper.is_finished() {
        world.violate("whoever keeps the process has given up");
    }
    if !world.log().is_violated() {
        end_checks::at_the_end(&world);
        named::everything_open_is_named(&world).await;
        retold::as_stored(&world);
    }
    world.log().finish()
}

/// Starts the process, and starts it again whenever it has died.
async fn keep(world: Arc<World>, errands: Errands) {
    let mut rng = Rng::stream(world.seed, "keeper");
    let (mut drawn, mut copies) = (0, Copies::default());
    for number in 1.. {
        let (ending, pause) = loop {
            drawn += 1;
            let mortal = drawn <= world.settings.deaths && world.is_chaos();
            let (ending, pause) =
                (Ending::draw(&mut rng, mortal, world.settings.wallet.is_some()), draw_pause(&mut rng));
            // The deaths that are left out of the world are passed over.
            if !mortal || world.settings.only.has(Part::Death(drawn)) {
                break (ending, pause);
            }
        };
        let life = Arc::new(Life::new(Arc::clone(&world), number, ending));
        live(&world, &life, &errands).await;
        if copies.while_it_is_down(&world, &mut rng) {
            errands.lock().expect("one thread").extend(world.plan.to_add_again(&world));
        }
        times::let_days_pass(&world).await;
        world.clock.sleep(pause).await;
    }
}

/// From a death to the next start.
fn draw_pause(rng: &mut Rng) -> Span {
    Span::from_millis(if rng.permille(700) { rng.range(50, 5_000) } else { rng.range(5_000, 200_000) })
}

/// One life of the process, to its end.
async fn live(world: &Arc<World>, life: &Arc<Life>, errands: &Errands) {
    world.note(&format!("life {} begins", life.number));
    retold::as_stored(world);
    let process = Process::build(world, life);
    let (handle, stop) = (process.handle.clone(), process.stop.clone());
    wallet::heard::life_begins(world, life.number);
    let treasurer = tokio::spawn(wallet::operator::serve(Arc::clone(world), life.number, handle.clone()));
    let webhooks = tokio::spawn(webhooks::come_in(Arc::clone(world), life.number, handle.clone()));
    let operator = tokio::spawn(operator::serve(Arc::clone(world), Arc::clone(life), handle, Arc::clone(errands)));
    let polite = async {
        life.asked_to_stop().await;
        world.note("asked to stop");
        stop.cancel();
        world.clock.sleep(STOPS_WITHIN).await;
        world.violate("the process was asked to stop and does not");
    };
    tokio::select! {
        biased;
        () = life.death() => world.note(&format!("life {} is over", life.number)),
        ended = process.run(Arc::clone(world)) => match ended {
            Ok(()) if stop.is_cancelled() => {
                world.count("died: stopped politely");
                world.note("stopped");
            }
            ended => world.violate(&format!("the engine stopped by itself: {ended:?}")),
        },
        () = polite => {}
        () = times::before_days_pass(world) => world.note(&format!("life {} is over before days pass", life.number)),
    }
    life.end();
    operator.abort();
    webhooks.abort();
    treasurer.abort();
}
