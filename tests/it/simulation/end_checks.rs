//! What must hold at the end, after the faults stopped and everything had time to settle: no deposit is lost, and
//! nothing hangs without a reason.

use rampwatch::domain::chain::{Address, BlockNumber, Transfer};
use rampwatch::domain::coverage::Coverage;
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, Verdict};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::ports::clock::Clock;

use super::intake;
use super::lies::laws;
use super::odd_nodes;
use super::plan::Story;
use super::settings::CHAIN_ID;
use super::squatters;
use super::strays;
use super::wallet;
use super::world::World;
use crate::support::memory_store::Contents;

/// How long ago a thing must have happened to be expected in the store: the slowest sweep and a little.
const SETTLED: Span = Span::from_secs(400);

/// Looks at everything once more.
pub(super) fn at_the_end(world: &World) {
    laws::count_what_held(world);
    squatters::door_is_open(world);
    let contents = world.store.contents();
    for coverage in contents.coverage.values() {
        nothing_is_lost(world, &contents, coverage);
    }
    for deposit in contents.deposits.values() {
        deposit_is_settled(world, deposit);
    }
    for payment in contents.payments.values() {
        payment_is_settled(world, &contents, payment);
        if world.settings.calm || world.settings.danger.is_some() {
            paid_is_completed(world, &contents, payment);
        }
    }
    strays::are_counted_once(world, &contents);
    odd_nodes::times_are_true(world, &contents);
    intake::nothing_is_overlooked(world, &contents);
    wallet::at_end::every_order_is_settled(world, &contents);
    for planned in world.plan.added() {
        if !contents.payments.contains_key(&planned.id) {
            world.violate(&format!("{} was added and is not in the store", planned.id));
        }
    }
}

/// Everything that has long been final is in the store, and what is plainly paid is completed.
pub(super) fn what_is_final_is_done(world: &World) {
    let contents = world.store.contents();
    for coverage in contents.coverage.values() {
        nothing_is_lost(world, &contents, coverage);
    }
    for payment in contents.payments.values() {
        paid_is_completed(world, &contents, payment);
    }
}

/// The name of the deposit that a transfer makes.
pub(super) fn key_of(transfer: &Transfer) -> DepositKey {
    DepositKey {
        chain_id: CHAIN_ID,
        block_hash: transfer.block.hash,
        tx_hash: transfer.tx_hash,
        log_index: transfer.log_index,
    }
}

/// The known transfers to an address that are on the chain, final, long enough ago, and in its window.
fn expected(world: &World, contents: &Contents, coverage: &Coverage) -> Vec<Transfer> {
    let settled_before = world.chain_now().minus(SETTLED);
    let chain = world.chain();
    // What both readings missed is found by the last one, and an open payment has not had that yet.
    if world.settings.long_withholding && !coverage.closed {
        return Vec::new();
    }
    let window_end = if coverage.closed { closed_through(contents, coverage) } else { chain.final_to() };
    let time = |transfer: &Transfer| transfer.block_time.expect("always told");
    let known = [world.settings.token, world.settings.other_token];
    let mut transfers = chain.to(coverage.address);
    // Nor has the wallet's own address, which is watched for ever: windows in which logs are withheld may touch. And in
    // rare worlds each of the three readings falls into such a window.
    let answers = world.answers();
    let was_told = |key: &DepositKey| match coverage.closed {
        true => !answers.were_thrice_without(key),
        false => !answers.were_twice_without(key),
    };
    transfers.retain(|transfer| {
        known.contains(&transfer.token)
            && was_told(&key_of(transfer))
            && transfer.block.number <= window_end.min(chain.final_to())
            && time(transfer) >= coverage.since
            && time(transfer) <= settled_before
    });
    transfers
}

fn nothing_is_lost(world: &World, contents: &Contents, coverage: &Coverage) {
    for transfer in expected(world, contents, coverage) {
        let key = key_of(&transfer);
        match contents.deposits.get(&key) {
            None if strays::is_counted(world, contents, &transfer) => world.count("end: dust that is only counted"),
            None if world.settings.one_word() => world.count("end: one operator has hidden a deposit for good"),
            None => world.violate(&format!("deposit {key} in block {} was lost: {coverage:?}", transfer.block.number)),
            // Where there is one operator, its word on what has gone stands until the last reading.
            Some(_) if world.settings.one_word() => {}
            // An address whose payments are all over is swept seldom: its deposits may have been found just now.
            Some(deposit) if deposit.first_seen_at.plus(SETTLED) > world.clock.now() => {}
            Some(deposit) if !matches!(deposit.standing, BlockStatus::Final { .. }) => {
                world.violate(&format!("deposit {key} is final, and stored as {:?}: {coverage:?}", deposit.standing));
            }
            Some(_) => {}
        }
    }
    if coverage.closed && !reaches_its_end(world, contents, coverage) {
        if world.settings.one_word() {
            return world.count("end: an address was let go by the only operator's word");
        }
        world.violate(&format!("closed before its window was read: {coverage:?}"));
    }
}

/// The last block that was read for an address that is not watched any more.
fn closed_through(contents: &Contents, coverage: &Coverage) -> BlockNumber {
    let through = contents.events.iter().rev().find_map(|recorded| match &recorded.event.kind {
        EventKind::AddressClosed { address, through } if *address == coverage.address => Some(*through),
        _ => None,
    });
    through.unwrap_or(0)
}

/// Whether the last block read for a closed address is as young as the end of its window.
fn reaches_its_end(world: &World, contents: &Contents, coverage: &Coverage) -> bool {
    let chain = world.chain();
    let header = chain.header_in(chain.view(world.clock.now()), closed_through(contents, coverage));
    header.is_some_and(|header| header.time >= kept_until(world, contents, coverage.address))
}

/// When the address may be let go: its last payment has ended, and the time of keeping is over.
fn kept_until(world: &World, contents: &Contents, address: Address) -> Timestamp {
    let ends = contents.payments.values().filter(|payment| payment.terms.deposit_address == address);
    let ends = ends.map(|payment| match payment.state {
        PaymentState::Ended { at, .. } => at,
        _ => Timestamp::FAR_FUTURE,
    });
    ends.max().unwrap_or(Timestamp::FAR_FUTURE).plus(world.settings.keep_watching)
}

/// In a calm world, what is plainly paid is plainly completed, by us.
fn paid_is_completed(world: &World, contents: &Contents, payment: &Payment) {
    let planned = world.plan.payments.iter().find(|planned| planned.id == payment.id).expect("only these exist");
    let by_person = contents.events.iter().any(|recorded| {
        matches!(recorded.event.kind, EventKind::PersonDecided { .. })
            && recorded.event.payment.as_ref() == Some(&payment.id)
    });
    let accepted = world.api().accepted.iter().find(|accepted| accepted.payment == payment.id).map(|it| it.by_us);
    let shared = planned.story == Story::Batched && !world.settings.shared_hash;
    let was_with_person = |had: fn(&PaymentState) -> bool| {
        let mut of_payment =
            contents.events.iter().filter(|recorded| recorded.event.payment.as_ref() == Some(&payment.id));
        of_payment.any(|it| matches!(&it.event.kind, EventKind::PaymentMoved { to, .. } if had(to)))
    };
    // That the API has opened again what it had called over, or says readably what it did not, is heard when it is asked the next
    // time.
    let asked_every = if was_with_person(is_called_over) || was_with_person(is_unreadable) {
        RetryPolicy::for_timeout(world.settings.api_timeout).ask_every
    } else {
        Span::ZERO
    };
    let slack = Span::from_secs(120).plus(asked_every);
    // While something goes wrong it need not be completed.
    let calm_from = if world.settings.calm { Span::ZERO } else { world.settings.chaos };
    let calm_from = world.clock.moment(calm_from).plus(if world.settings.calm { Span::ZERO } else { SETTLED });
    let time_enough =
        |from: Timestamp| payment.terms.expires_at.is_none_or(|end| from.max(calm_from).plus(slack) < end);
    let Some(deposit) = is_owed(world, contents, payment) else { return };
    if by_person || shared || accepted == Some(false) || !time_enough(deposit.block_time.max(payment.added_at)) {
        return;
    }
    world.count(if world.settings.calm { "end: plainly paid in a calm world" } else { "end: plainly paid after lies" });
    // What the API refuses for no reason to be seen is a person's to decide.
    let refused = was_with_person(is_refused);
    // So is what the only operator there is has hidden until it was too late, or has taken back.
    let hidden = {
        let told = world.lies();
        let hash = deposit.key.tx_hash;
        let is_false = told.hidden.contains(&hash) || told.placed.contains_key(&hash);
        world.settings.one_word() && (is_false || was_with_person(is_taken_back))
    };
    if accepted != Some(true) && !hidden && !(refused && world.settings.api_faults > 0) {
        world.violate(&format!("{} is plainly paid and was not completed: {payment:?}", payment.id));
    }
}

/// Whether the API calls it over although its money is there.
fn is_called_over(state: &PaymentState) -> bool {
    matches!(state, PaymentState::Review { why: PaymentReview::EndedWithMoney { .. }, .. })
}

/// Whether a person has it because the API has said something that cannot be read.
fn is_unreadable(state: &PaymentState) -> bool {
    matches!(state, PaymentState::Review { why: PaymentReview::Unreadable { .. }, .. })
}

/// Whether a person has it because its final deposit was taken back.
fn is_taken_back(state: &PaymentState) -> bool {
    matches!(state, PaymentState::Review { why: PaymentReview::GoneAfterFinal, .. })
}

/// Whether a person has it because the API would not take the completion.
fn is_refused(state: &PaymentState) -> bool {
    matches!(
        state,
        PaymentState::Review {
            why: PaymentReview::Refused { .. } | PaymentReview::NotFound | PaymentReview::StillAwaiting,
            ..
        }
    )
}

fn deposit_is_settled(world: &World, deposit: &Deposit) {
    let old = deposit.first_seen_at.plus(SETTLED) < world.clock.now();
    let is_closed = world.store.contents().coverage.get(&deposit.to).is_none_or(|coverage| coverage.closed);
    if !old || is_closed {
        return;
    }
    let is_canonical = world.chain().is_canonical(deposit.block());
    match deposit.standing {
        BlockStatus::Provisional => world.violate(&format!("deposit {} is still provisional", deposit.key)),
        BlockStatus::Final { .. } if deposit.verdict == Verdict::Unjudged => {
            world.violate(&format!("deposit {} is final and was never judged", deposit.key));
        }
        // It completes nothing, and a person who is asked what to do with it finds that it is not there.
        BlockStatus::Final { .. } if !is_canonical && world.settings.lies() => {
            let pays = matches!(deposit.verdict, Verdict::Pays { .. });
            world.count("end: a deposit that never was is left to a person");
            if pays && !world.settings.one_word() && is_awaited(world, deposit) {
                world.violate(&format!("{} still counts as paid by {}, which never was", deposit.to, deposit.key));
            }
        }
        BlockStatus::Final { .. } if !is_canonical && !world.settings.beyond_finality => {
            world.violate(&format!("deposit {} is called final and is not on the chain", deposit.key));
        }
        // What was final and replaced is not read again when it comes back: that is the alarm's business.
        BlockStatus::Gone { .. } if is_canonical && world.settings.one_word() => {}
        // All operators left it out, and then of the second reading too: the last reading finds it.
        BlockStatus::Gone { .. } if is_canonical && world.answers().were_twice_without(&deposit.key) => {
            world.count("end: a deposit that all have left out waits for the last reading");
        }
        // Its block is there, and has no such transfer.
        BlockStatus::Gone { .. } if is_canonical && world.chain().ever(&deposit.key).is_none() => {}
        BlockStatus::Gone { .. } if is_canonical && !world.finality_is_broken() => {
            let coverage = world.store.contents().coverage.get(&deposit.to).cloned();
            let what =
                format!("deposit {} in {} is called gone and is on the chain", deposit.key, deposit.block_number);
            world.violate(&format!("{what}: {coverage:?}"));
        }
        BlockStatus::Final { .. } | BlockStatus::Gone { .. } => {}
    }
}

/// Whether the payment that a deposit is said to pay has not ended, and no person is to look at it.
fn is_awaited(world: &World, deposit: &Deposit) -> bool {
    let Verdict::Pays { payment, .. } = &deposit.verdict else { return false };
    let waits = |state: &PaymentState| !state.is_ended() && !matches!(state, PaymentState::Review { .. });
    world.store.look(|contents| contents.payments.get(payment).is_some_and(|payment| waits(&payment.state)))
}

fn payment_is_settled(world: &World, contents: &Contents, payment: &Payment) {
    let now = world.clock.now();
    let status = world.api().status(&payment.id, now);
    let at_api = status.as_ref().and_then(|status| status.outcome());
    match &payment.state {
        PaymentState::Ended { outcome: Outcome::Cancelled, .. } | PaymentState::Review { .. } => {}
        PaymentState::Ended { outcome, .. } if Some(*outcome) == at_api => {
            let left = is_owed(world, contents, payment).filter(|_| *outcome == Outcome::Expired);
            if let Some(deposit) = left
                && !matches!(deposit.verdict, Verdict::Review { .. } | Verdict::Ignored { .. })
            {
                world.violate(&format!("{} expired with money that nobody is told of: {deposit:?}", payment.id));
            }
        }
        // What it says so for long is believed; that it says otherwise since is heard when somebody asks.
        PaymentState::Ended { .. } if world.settings.flaps.is_some() => {
            if let Some(deposit) = is_owed(world, contents, payment).filter(|_| at_api.is_none()) {
                world.violate(&format!("{} is open again with money, and is over here: {deposit:?}", payment.id));
            }
            world.count("end: over here, and not at an API that flaps");
        }
        PaymentState::Waiting if at_api.is_none() => {
            if let Some(deposit) = is_owed(world, contents, payment) {
                world.violate(&format!("{} waits although {} pays it: {deposit:?}", payment.id, deposit.key));
            }
        }
        // Completed late, and the API itself is not done with it yet.
        PaymentState::Following { .. } if at_api.is_none() && world.api().may_end_later(&payment.id, now) => {}
        state => world.violate(&format!("{} is still {state:?}, and {status:?} at the API", payment.id)),
    }
    world.count(&format!("end: {}", payment.state.name()));
}

/// The deposit that plainly pays a payment: the only payment of its address, the only money there, in time, exact.
fn is_owed<'a>(world: &World, contents: &'a Contents, payment: &Payment) -> Option<&'a Deposit> {
    let terms = &payment.terms;
    let alone =
        contents.payments.values().filter(|other| other.terms.deposit_address == terms.deposit_address).count() == 1;
    let in_time = |at: Timestamp| at >= terms.created_at && terms.expires_at.is_none_or(|end| at <= end);
    let money = |deposit: &&Deposit| {
        deposit.to == terms.deposit_address
            && !deposit.amount.is_zero()
            && deposit.from != deposit.to
            && deposit.stands()
    };
    let all: Vec<&Deposit> = contents.deposits.values().filter(money).collect();
    let [only] = all.as_slice() else { return None };
    let untouched = !matches!(only.verdict, Verdict::Ignored { .. });
    let fits = only.token == terms.token && only.amount == terms.amount && in_time(only.block_time);
    let settled = only.first_seen_at.plus(SETTLED) < world.clock.now();
    (alone && untouched && fits && settled).then_some(*only)
}
