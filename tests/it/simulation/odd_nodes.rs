//! Nodes that do what real ones do and none should: their chain stands still, their logs tell wrong times or contradict each
//! other, their past is gone, a block of theirs cannot be read, or its header is lost. Each is somebody's public report; `tests/it/evm/met.rs` has them.
//!
//! In half of the drawn worlds some of it happens now and then. One kind of world is about it alone: half of all addresses have
//! logs that no node can tell, nobody has a past, and in two blocks nothing can be read. Law: the others are seen no later for it,
//! by more than one poll. That all of it is told is the watchman's business.

use rampwatch::domain::chain::{Address, BlockNumber, Transfer};
use rampwatch::domain::deposit::{BlockStatus, Deposit};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::chain::{ChainError, Flaws, TransferQuery};

use super::chain::View;
use super::endpoints::Sight;
use super::plan::Plan;
use super::rng::Rng;
use super::settings::Settings;
use super::weather::Fault;
use super::world::World;
use crate::support::memory_store::Contents;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// The endpoint shows the chain as it was at this moment since the beginning.
    Stands(usize, Span),
    /// All endpoints do.
    AllStand(Span),
    /// The endpoint's logs tell of their blocks that they were made then.
    Times(usize, OddTime),
    /// The endpoint's logs for half of all addresses contradict themselves.
    Contradicts(usize),
    /// No endpoint has logs of what is so many blocks below the head.
    NoPast(u64),
    /// No endpoint can read the block that was the newest at this moment since the beginning.
    Unreadable(Span),
    /// The endpoint has no header of the block that was the newest at this moment since the beginning.
    LostHeader(usize, Span),
}

/// A time that is not the block's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OddTime {
    /// Nothing is said.
    None,
    /// Zero.
    Zero,
    /// Before the block's by so much.
    Before(Span),
    /// After the block's by so much.
    After(Span),
}

/// How many payments there are in the worlds that are about this.
const PAYMENTS: u64 = 12;
/// The seconds in which all their money comes.
const MONEY: (u64, u64) = (100, 400);
/// How long after its block a deposit is seen at the latest where nothing is wrong with its own logs: the slowest sweep, one poll
/// more, and the way there.
const SEEN_WITHIN: Span = Span::from_secs(45);

/// The world of a seed, but for what this one is about.
pub(crate) fn settings(seed: u64) -> Settings {
    Settings {
        odd_nodes: true,
        chaos: Span::from_secs(1_000),
        second_reading_after: Span::from_secs(150),
        store_millis: 8,
        ..Settings::without_mishaps(seed)
    }
}

/// What the nodes of a seed's world do.
pub(super) fn faults(seed: u64, settings: &Settings) -> Vec<(Span, Span, Fault)> {
    let mut rng = Rng::stream(seed, "odd nodes");
    let odd = |oddity| Fault::Odd(oddity);
    let endpoints = settings.endpoints;
    if settings.odd_nodes {
        let always = |oddity| (Span::ZERO, settings.chaos, odd(oddity));
        let mut faults: Vec<_> = (0..endpoints).map(|endpoint| always(Oddity::Contradicts(endpoint))).collect();
        faults.push(always(Oddity::NoPast(rng.range(60, 150))));
        faults.extend(
            [80, 250].map(|at| (Span::from_secs(at), settings.chaos, odd(Oddity::Unreadable(Span::from_secs(at))))),
        );
        faults.extend((0..endpoints).map(|endpoint| always(Oddity::Times(endpoint, draw_time(&mut rng)))));
        let stands = Span::from_secs(600);
        faults.push((stands, stands.plus(Span::from_secs(350)), odd(Oddity::AllStand(stands))));
        return faults;
    }
    if settings.calm || settings.danger.is_some() || rng.permille(500) {
        return Vec::new();
    }
    (0..rng.range(1, 6))
        .map(|_| {
            let endpoint = usize::try_from(rng.below(endpoints as u64)).expect("few");
            let from = Span::from_millis(rng.below(settings.chaos.as_millis()));
            let oddity = match rng.below(9) {
                0 => Oddity::Stands(endpoint, from),
                1 => Oddity::AllStand(from),
                2 | 3 => Oddity::Times(endpoint, draw_time(&mut rng)),
                4 | 5 => Oddity::Contradicts(endpoint),
                6 => Oddity::NoPast(rng.range(5, 200)),
                7 => Oddity::LostHeader(endpoint, from),
                _ => Oddity::Unreadable(from),
            };
            let to = from.plus(Span::from_millis(rng.range(2_000, 300_000)));
            (from, to.min(settings.chaos), odd(oddity))
        })
        .collect()
}

fn draw_time(rng: &mut Rng) -> OddTime {
    let by = Span::from_secs(*rng.pick(&[1, 61, 3_600, 86_400, 3_000_000_000]));
    match rng.below(4) {
        0 => OddTime::None,
        1 => OddTime::Zero,
        2 => OddTime::Before(by),
        _ => OddTime::After(by),
    }
}

/// Payments that are watched from early on, each with an address of its own and paid exactly once.
pub(super) fn plan(rng: &mut Rng, settings: &Settings) -> Plan {
    Plan::paid_once(rng, settings, PAYMENTS, MONEY)
}

/// Where the endpoint's chain stands, if it does.
pub(super) fn standing_view(world: &World, endpoint: usize, elapsed: Span) -> Option<View> {
    let since = world.weather.at(elapsed).find_map(|fault| match fault {
        Fault::Odd(Oddity::AllStand(since)) => Some(since),
        Fault::Odd(Oddity::Stands(of, since)) if of == endpoint => Some(since),
        _ => None,
    })?;
    world.count("odd node: its chain stands still");
    Some(world.chain().view(world.clock.moment(since)))
}

/// Since when no endpoint's chain has moved, if none has. One that stands at another moment has moved.
pub(super) fn all_stand_since(world: &World) -> Option<Span> {
    let stands = |fault| match fault {
        Fault::Odd(Oddity::AllStand(_) | Oddity::Stands(..)) => Some(fault),
        _ => None,
    };
    let elapsed = world.clock.elapsed();
    let only = Some(world.weather.at(elapsed).filter_map(stands).collect::<Vec<_>>()).filter(|all| all.len() == 1)?;
    let Fault::Odd(Oddity::AllStand(since)) = only[0] else { return None };
    let others = world.weather.all().iter().filter(|(_, _, fault)| stands(*fault).is_some() && *fault != only[0]);
    Some(others.map(|(_, to, _)| *to).filter(|to| *to <= elapsed).fold(since, Span::max))
}

/// What no endpoint can tell of the question's blocks.
pub(super) fn refuses(world: &World, sight: &Sight, query: &TransferQuery) -> Result<(), ChainError> {
    let head = world.chain().head_of(sight.view).block.number;
    for fault in world.weather.at(world.clock.elapsed()) {
        let Fault::Odd(oddity) = fault else { continue };
        match oddity {
            Oddity::NoPast(below) if query.from.saturating_add(below) < head => {
                world.count("odd node: it has no past");
                return Err(ChainError::Refused("pruned history unavailable".to_owned()));
            }
            Oddity::Unreadable(at) if (query.from..=query.to).contains(&newest_at(world, at)) => {
                world.count("odd node: it cannot read a block");
                return Err(ChainError::Refused("missing trie node".to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the endpoint has lost the header of a block.
pub(super) fn has_lost(world: &World, endpoint: usize, number: BlockNumber) -> bool {
    let is_lost = world.weather.at(world.clock.elapsed()).any(|fault| match fault {
        Fault::Odd(Oddity::LostHeader(of, at)) => of == endpoint && newest_at(world, at) == number,
        _ => false,
    });
    if is_lost {
        world.count("odd node: it has lost a header");
    }
    is_lost
}

fn newest_at(world: &World, at: Span) -> BlockNumber {
    let chain = world.chain();
    chain.head_of(chain.view(world.clock.moment(at))).block.number
}

/// Takes out what contradicts itself, and says whose it is.
pub(super) fn flaws(world: &World, sight: &Sight, told: &mut Vec<Transfer>) -> Flaws {
    let mut flaws = Flaws::default();
    if world.weather.is(world.clock.elapsed(), Fault::Odd(Oddity::Contradicts(sight.endpoint))) {
        for transfer in told.extract_if(.., |transfer| is_odd(&transfer.to)) {
            world.count("odd node: its logs contradict each other");
            let why = format!("transaction {} has two different logs with the index 0", transfer.tx_hash);
            flaws.of.insert(transfer.to, why);
        }
    }
    flaws
}

/// Whether an address is one whose logs contradict themselves where any do.
pub(super) fn is_odd(address: &Address) -> bool {
    address.0[19].is_multiple_of(2)
}

/// Has logs tell of their blocks what their endpoint tells.
pub(super) fn tell_times(world: &World, sight: &Sight, told: &mut [Transfer]) {
    for fault in world.weather.at(world.clock.elapsed()) {
        let Fault::Odd(Oddity::Times(endpoint, time)) = fault else { continue };
        if endpoint != sight.endpoint {
            continue;
        }
        for transfer in &mut *told {
            world.count("odd node: its logs tell a wrong time");
            transfer.block_time = match (time, transfer.block_time) {
                (OddTime::None, _) | (_, None) => None,
                (OddTime::Zero, _) => Some(Timestamp::EPOCH),
                (OddTime::Before(by), Some(is)) => Some(is.minus(by)),
                (OddTime::After(by), Some(is)) => Some(is.plus(by)),
            };
        }
    }
}

/// A deposit has been stored for the first time.
pub(super) fn on_first_sight(world: &World, deposit: &Deposit) {
    let is_lost = |fault: &Fault| match fault {
        Fault::Odd(Oddity::Unreadable(at)) => newest_at(world, *at) == deposit.block_number,
        _ => false,
    };
    if !world.settings.odd_nodes || is_odd(&deposit.to) || world.weather.all().iter().any(|(.., it)| is_lost(it)) {
        return;
    }
    let true_time =
        world.chain().header_by_hash(&deposit.key.block_hash).map_or(deposit.block_time, |header| header.time);
    let after = deposit.first_seen_at.since(true_time);
    world.count("odd node: one whose logs are sound is seen");
    if after > SEEN_WITHIN {
        world.violate(&format!("deposit {} was seen {} s after its block", deposit.key, after.as_secs()));
    }
}

/// At the end no final deposit has a time that is not its block's, whatever its log has said.
pub(super) fn times_are_true(world: &World, contents: &Contents) {
    if world.settings.lies() {
        return;
    }
    for deposit in contents.deposits.values().filter(|it| matches!(it.standing, BlockStatus::Final { .. })) {
        let is = world.chain().header_by_hash(&deposit.key.block_hash).map(|header| header.time);
        if is.is_some_and(|is| is != deposit.block_time) {
            world.violate(&format!(
                "deposit {} is kept with the time {:?}, and its block's is {is:?}",
                deposit.key, deposit.block_time
            ));
        }
    }
}
