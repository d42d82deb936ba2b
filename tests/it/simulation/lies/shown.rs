//! What an endpoint shows of the chain: the truth at the moment that it has come to, but for what its operator says that
//! is not so. All answers of one operator fit together.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{B256, BlockNumber, BlockRef, Header, Transfer};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Receipt;
use rampwatch::domain::wei::Wei;
use rampwatch::ports::clock::Clock;

use super::super::chain::View;
use super::super::endpoints::Sight;
use super::super::rng::Rng;
use super::super::settings::BLOCK_MILLIS;
use super::super::wallet::account::State;
use super::super::world::World;
use super::Lie;
use super::told::{Fork, Sent};

/// How far the other chain has come.
const OTHER_HEIGHT: BlockNumber = 400_000_000;
/// How far above the root the first invented deposit is.
const FIRST_INVENTED: BlockNumber = 2;
/// What a transfer is said to have used of gas.
const GAS: u64 = 55_000;

/// The newest block.
pub(crate) fn head(world: &World, sight: &Sight) -> Header {
    let truth = world.chain().head_of(sight.view);
    let lies = &sight.lies;
    if lies.other_chain {
        tell(world, Lie::OtherChain);
        return other_head(world);
    }
    if let Some(fork) = fork(world, sight) {
        return fork_header(world, &fork, fork_height(world, &fork));
    }
    let Some(lie) = lies.head else { return truth };
    tell(world, lie);
    match lie {
        Lie::FutureHead(by) => {
            Header { time: truth.time.plus(by), ..derived(world, "future", truth.block.number + 1, truth.time) }
        }
        Lie::FarHead(by) | Lie::FarFinal(by) => derived(world, "far", truth.block.number + by, truth.time),
        _ => truth,
    }
}

/// The block under the finalized tag.
pub(crate) fn tag(world: &World, sight: &Sight) -> Option<Header> {
    let truth = world.chain().tag_of(sight.view);
    if sight.lies.other_chain {
        return header(world, sight, other_head(world).block.number - 5);
    }
    if let Some(fork) = fork(world, sight) {
        return Some(fork_header(world, &fork, fork_height(world, &fork).saturating_sub(1)));
    }
    match sight.lies.head {
        Some(Lie::FarFinal(_)) => Some(head(world, sight)),
        _ if sight.lies.receipts.is_some() => Some(world.chain().head_of(sight.view)),
        _ => truth,
    }
}

/// The block with this number.
pub(crate) fn header(world: &World, sight: &Sight, number: BlockNumber) -> Option<Header> {
    if sight.lies.other_chain {
        let height = other_head(world);
        return (number <= height.block.number).then(|| derived(world, "other", number, height.time));
    }
    if let Some(fork) = fork(world, sight) {
        return (number <= fork_height(world, &fork)).then(|| fork_header(world, &fork, number));
    }
    let truth = world.chain().header_in(sight.view, number);
    if truth.is_some() {
        return truth;
    }
    let height = head(world, sight);
    (number <= height.block.number).then(|| match sight.lies.head {
        Some(Lie::FutureHead(_)) => height,
        _ => derived(world, "far", number, height.time),
    })
}

/// The transfers in these blocks, as far as the endpoint has them. `logs` may be another moment than the one of the heads.
pub(crate) fn transfers(world: &World, sight: &Sight, logs: View, from: BlockNumber, to: BlockNumber) -> Vec<Transfer> {
    if sight.lies.other_chain {
        return Vec::new();
    }
    if let Some(fork) = fork(world, sight) {
        let mut found = world.chain().transfers_in(fork.base, from, to.min(fork.root.block.number));
        let invented = fork.transfers.iter().filter(|transfer| (from..=to).contains(&transfer.block.number));
        found.extend(invented.copied());
        for transfer in found.iter().filter(|transfer| transfer.block.number > fork.root.block.number) {
            world.count("lie: a deposit is invented");
            world.lies().invented.insert(transfer.tx_hash);
        }
        return found;
    }
    let mut found = world.chain().transfers_in(logs, from, to);
    if sight.lies.receipts.is_some() {
        let ours: Vec<B256> = world.lies().sent.keys().copied().collect();
        for hash in ours {
            receipt(world, sight, hash);
        }
        let told = world.lies();
        found.retain(|transfer| {
            !told.hidden.contains(&transfer.tx_hash) && !told.placed.contains_key(&transfer.tx_hash)
        });
        for (hash, (block, succeeded)) in
            told.placed.iter().filter(|(_, (block, _))| (from..=to).contains(&block.number))
        {
            found.extend(told.sent.get(hash).filter(|_| *succeeded).and_then(|sent| transfer_of(sent, *block)));
        }
        drop(told);
        for transfer in &mut found {
            transfer.block_time =
                transfer.block_time.or_else(|| header(world, sight, transfer.block.number).map(|header| header.time));
        }
        found.sort_by_key(|transfer| (transfer.block.number, transfer.log_index));
    }
    found
}

/// The wallet's account after the newest block.
pub(crate) fn account(world: &World, sight: &Sight) -> State {
    if let Some(fork) = fork(world, sight) {
        return world.chain().account_of(fork.base);
    }
    let (truth, number) = {
        let chain = world.chain();
        (chain.account_of(sight.view), chain.head_of(sight.view).block.number)
    };
    with_lies(world, sight, truth, number)
}

/// The wallet's account after this block; `None` when the endpoint has no such block.
pub(crate) fn account_at(world: &World, sight: &Sight, number: BlockNumber) -> Option<State> {
    if sight.lies.other_chain {
        return header(world, sight, number).map(|_| account(world, sight));
    }
    if let Some(fork) = fork(world, sight) {
        let at = number.min(fork.root.block.number);
        return header(world, sight, number).and_then(|_| world.chain().account_at(fork.base, at));
    }
    let truth = world.chain().account_at(sight.view, number);
    let truth = truth.or_else(|| header(world, sight, number).map(|_| world.chain().account_of(sight.view)));
    truth.map(|truth| with_lies(world, sight, truth, number))
}

/// The receipt of a transaction.
pub(crate) fn receipt(world: &World, sight: &Sight, hash: B256) -> Option<Receipt> {
    if sight.lies.other_chain {
        return None;
    }
    if let Some(fork) = fork(world, sight) {
        let height = fork_height(world, &fork);
        let invented =
            fork.transfers.iter().find(|transfer| transfer.tx_hash == hash && transfer.block.number <= height);
        let invented = invented.map(|transfer| Receipt {
            tx_hash: hash,
            block: transfer.block,
            succeeded: true,
            transfers: vec![*transfer],
            gas_used: Some(GAS),
            gas_price: Some(Wei::new(0)),
        });
        return invented.or_else(|| world.chain().receipt_in(fork.base, hash));
    }
    let truth = world.chain().receipt_in(sight.view, hash);
    // It does not lie about everything.
    let lies = |_: &Lie| !hash.0[30].is_multiple_of(4) && world.lies().sent.contains_key(&hash);
    let Some(lie) = sight.lies.receipts.filter(lies) else { return truth };
    let placed = placed(world, sight, hash);
    match (lie, truth, placed) {
        (Lie::Consumed | Lie::Paid, _, Some((block, succeeded))) => {
            tell(world, lie);
            let sent = world.lies().sent.get(&hash).cloned()?;
            Some(false_receipt(&sent, block, succeeded))
        }
        (Lie::Failed, Some(truth), _) if truth.succeeded && !truth.transfers.is_empty() => {
            tell(world, lie);
            world.lies().hidden.insert(hash);
            Some(Receipt { succeeded: false, transfers: Vec::new(), ..truth })
        }
        (_, truth, _) => truth,
    }
}

/// In which block a transaction is said to be that is in none, if that is what is said of it.
fn placed(world: &World, sight: &Sight, hash: B256) -> Option<(BlockRef, bool)> {
    let lie = sight.lies.receipts?;
    let known = world.lies().placed.get(&hash).copied();
    let (is_mined, still, head) = {
        let chain = world.chain();
        let head = chain.head_of(sight.view).block;
        let stands = |block: BlockRef| chain.header_in(sight.view, block.number).is_some_and(|it| it.block == block);
        (chain.receipt_in(sight.view, hash).is_some(), known.filter(|(block, _)| stands(*block)), head)
    };
    if still.is_some() {
        return still;
    }
    let sent = world.lies().sent.get(&hash).cloned().filter(|_| !is_mined)?;
    let is_transfer = sent.signed.transfer().is_some();
    let succeeds = match lie {
        Lie::Consumed => !is_transfer,
        Lie::Paid if is_transfer => true,
        _ => return None,
    };
    world.lies().placed.insert(hash, (head, succeeds));
    Some((head, succeeds))
}

fn false_receipt(sent: &Sent, block: BlockRef, succeeded: bool) -> Receipt {
    let transfers = transfer_of(sent, block).into_iter().filter(|_| succeeded).collect();
    Receipt {
        tx_hash: sent.signed.hash,
        block,
        succeeded,
        transfers,
        gas_used: Some(GAS),
        gas_price: Some(Wei::new(sent.signed.cap())),
    }
}

fn transfer_of(sent: &Sent, block: BlockRef) -> Option<Transfer> {
    let spec = sent.signed.transfer()?;
    Some(Transfer {
        block,
        block_time: None,
        tx_hash: sent.signed.hash,
        log_index: 900,
        token: spec.token,
        from: spec.wallet,
        to: spec.to,
        amount: spec.amount,
    })
}

/// The account after a block, so that it fits the receipts.
fn with_lies(world: &World, sight: &Sight, mut account: State, number: BlockNumber) -> State {
    if sight.lies.other_chain {
        return State { nonce: 0, balance: 0, native: 0, ..account };
    }
    let Some(lie) = sight.lies.receipts else { return account };
    let sent: Vec<Sent> = world.lies().sent.values().cloned().collect();
    for sent in sent {
        let Some(receipt) = receipt(world, sight, sent.signed.hash).filter(|it| it.block.number <= number) else {
            continue;
        };
        let amount = sent.signed.transfer().map_or(0, |spec| spec.amount.base_units());
        let is_false = !sent.signed.hash.0[30].is_multiple_of(4);
        match lie {
            Lie::Failed if is_false && !receipt.succeeded && world.lies().hidden.contains(&sent.signed.hash) => {
                account.balance += amount
            }
            Lie::Paid | Lie::Consumed if is_false && world.lies().placed.contains_key(&sent.signed.hash) => {
                account.nonce = account.nonce.max(sent.signed.tx.nonce + 1);
                if receipt.succeeded {
                    account.balance = account.balance.saturating_sub(amount);
                }
            }
            _ => {}
        }
    }
    account
}

/// The invented blocks that this endpoint shows now.
fn fork(world: &World, sight: &Sight) -> Option<Fork> {
    let shown = sight.lies.invents?;
    let known = world.lies().fork.clone().filter(|fork| fork.shown == shown);
    if known.is_some() {
        return known;
    }
    let fork = begin_fork(world, sight, shown);
    world.lies().fork = Some(fork.clone());
    tell(world, Lie::Invented);
    Some(fork)
}

fn begin_fork(world: &World, sight: &Sight, shown: (Span, Span)) -> Fork {
    let root = world.chain().head_of(sight.view);
    let mut fork = Fork { base: sight.view, root, began: world.clock.now(), shown, transfers: Vec::new() };
    let mut rng = Rng::stream(world.seed, &format!("invented deposits from {} s", shown.0.as_secs()));
    let elapsed = world.clock.elapsed();
    let mut number = root.block.number + FIRST_INVENTED;
    for planned in world.plan.payments.iter().filter(|planned| planned.create_at <= elapsed) {
        if !rng.permille(700) {
            continue;
        }
        let at = fork_header(world, &fork, number);
        fork.transfers.push(Transfer {
            block: at.block,
            block_time: Some(at.time),
            tx_hash: rng.hash(),
            log_index: rng.below(9),
            token: world.settings.token,
            from: planned.sender.unwrap_or_else(|| rng.address()),
            to: planned.address,
            amount: Amount::from_base_units(planned.amount.base_units()),
        });
        number += rng.range(1, 3);
    }
    fork
}

/// How far the invented blocks reach now.
fn fork_height(world: &World, fork: &Fork) -> BlockNumber {
    fork.root.block.number + world.clock.now().since(fork.began).as_millis() / BLOCK_MILLIS + 1
}

fn fork_header(world: &World, fork: &Fork, number: BlockNumber) -> Header {
    let root = fork.root.block.number;
    if number <= root {
        return world.chain().header_in(fork.base, number).unwrap_or(fork.root);
    }
    let time = fork.root.time.plus(Span::from_millis((number - root) * BLOCK_MILLIS));
    let name = format!("invented from {} s", fork.shown.0.as_secs());
    let mut header = derived(world, &name, number, Timestamp::from_secs(time.as_secs()));
    if number == root + 1 {
        header.parent = fork.root.block.hash;
    }
    header
}

fn other_head(world: &World) -> Header {
    let number = OTHER_HEIGHT + world.clock.elapsed().as_millis() / BLOCK_MILLIS;
    derived(world, "other", number, world.chain_now())
}

/// A block that never was.
fn derived(world: &World, chain: &str, number: BlockNumber, time: Timestamp) -> Header {
    let hash = |number: BlockNumber| Rng::stream(world.seed ^ number.rotate_left(20), chain).hash();
    let block = BlockRef { number, hash: hash(number) };
    Header { block, parent: hash(number.saturating_sub(1)), time: Timestamp::from_secs(time.as_secs()) }
}

/// A lie is told.
fn tell(world: &World, lie: Lie) {
    world.count(&format!("lie: {}", lie.name()));
}
