//! Asks the process all the time whether it is ready, as whoever runs it does. Laws: while due work stands still for longer than a
//! bound, or no endpoint's chain moves, something is said; and when nothing has been wrong for long, nothing is.
//!
//! Due work is what the process knows of and could do: a deposit of its store that is final on the true chain, whose payment is
//! neither over nor with a person, and which the API has not called over. Deliberately absent: what was hidden from it.

use std::collections::BTreeMap;

use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::payment::{ApiStatus, ApiView, Payment, PaymentId, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::engine::health::Readiness;
use rampwatch::ports::clock::Clock;
use rampwatch::service::operator_service::OperatorService;

use super::odd_nodes;
use super::world::World;

/// Between two questions.
const EVERY: Span = Span::from_secs(5);
/// What the program is configured with: how long something may be wrong before it is told.
const LAG: Span = Span::from_secs(60);
/// So long nothing may stand still without a word: the longest wait between two tries (five minutes and a quarter of that), and a
/// little.
const BOUND: Span = Span::from_secs(420);
/// A chain that stands still is noticed by the first answer after that: where nothing is open it is asked once a minute.
const NOTICED: Span = Span::from_secs(200);
/// So long after the last fault nothing is said any more.
const SETTLED: Span = Span::from_secs(2_000);
/// So long after its start a process may say that it has not read the chain yet.
const STARTED: Span = Span::from_secs(120);

/// Watches over one life.
pub(super) async fn watch(world: &World, handle: &OperatorService) -> std::convert::Infallible {
    let begun = world.clock.elapsed();
    let (mut fine_since, mut watched_since) = (None, None);
    let mut due: BTreeMap<PaymentId, Span> = BTreeMap::new();
    loop {
        world.clock.sleep(EVERY).await;
        let elapsed = world.clock.elapsed();
        let readiness = handle.readiness(LAG);
        let fine = is_fine(&readiness);
        let is_watching = readiness.chain != "idle";
        watched_since = if is_watching { watched_since.or(Some(elapsed)) } else { None };
        fine_since = if fine { fine_since.or(Some(elapsed)) } else { None };
        let found = due_work(world);
        due.retain(|id, _| found.contains(id));
        for id in found {
            due.entry(id).or_insert(elapsed);
        }
        if let Some(since) = fine_since.filter(|_| !world.finality_is_broken()) {
            let forgotten = due.iter().find(|(_, due_since)| lasts(elapsed, (**due_since).max(since)) > BOUND);
            if let Some((id, due_since)) = forgotten {
                let (due_s, fine_s) = (due_since.as_secs(), lasts(elapsed, since).as_secs());
                let known = world.store.look(|contents| contents.payments.get(id).cloned());
                world.violate(&format!(
                    "{id} has been due since {due_s} s, and for {fine_s} s all is said to be well: {known:?}"
                ));
            }
        }
        if let Some(since) = odd_nodes::all_stand_since(world).and_then(|since| Some(since.max(watched_since?)))
            && lasts(elapsed, since) > NOTICED
            && readiness.chain == "ok"
        {
            let (lasts_s, known) = (lasts(elapsed, since).as_secs(), handle.health().snapshot());
            world.violate(&format!("no chain has moved for {lasts_s} s, and it is said to be ok: {known:?}"));
        }
        let calm_since = if world.settings.calm { Span::ZERO } else { world.settings.chaos.plus(SETTLED) };
        if !fine && elapsed > calm_since && lasts(elapsed, begun) > STARTED && !world.finality_is_broken() {
            world.violate(&format!("nothing is wrong, and it says {readiness:?}"));
        }
        if !fine {
            world.count("watchman: something is said");
        }
    }
}

const fn lasts(now: Span, since: Span) -> Span {
    Span::from_millis(now.as_millis().saturating_sub(since.as_millis()))
}

fn is_fine(readiness: &Readiness) -> bool {
    readiness.ready && readiness.troubles.is_empty() && readiness.unanswered.is_empty()
}

/// The payments for which something is to be done.
fn due_work(world: &World) -> Vec<PaymentId> {
    let final_to = world.chain().final_to();
    world.store.look(|contents| {
        let is_due = |state: &PaymentState| match state {
            PaymentState::Seen { deposit } | PaymentState::Due { deposit, .. } => {
                let of = contents.deposits.get(deposit);
                of.is_some_and(|it| {
                    it.block_number <= final_to
                        && world.chain().is_canonical(BlockRef { number: it.block_number, hash: it.key.block_hash })
                })
            }
            _ => false,
        };
        let is_open = |view: &ApiView| view.status == ApiStatus::AwaitingFunds;
        let is_open = |it: &&Payment| it.api.as_ref().is_none_or(is_open);
        contents.payments.values().filter(|it| is_due(&it.state)).filter(is_open).map(|it| it.id.clone()).collect()
    })
}
