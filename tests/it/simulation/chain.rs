//! The true chain: blocks with people's transfers in them, reorgs, and the finalized tag. It knows every block that
//! ever was, so that a node which lags can be shown an older head, other fork included.
//!
//! Deliberately absent: who asks, and what goes wrong on the way (`fake_chain`).

use std::collections::BTreeMap;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockNumber, BlockRef, Header, Transfer};
use rampwatch::domain::deposit::DepositKey;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Receipt;
use rampwatch::domain::wei::Wei;

use super::rng::Rng;
use super::settings::{BLOCK_MILLIS, HISTORY, Settings};
use super::wallet::account::{Conditions, Mined, State};
use super::wallet::bytes::Signed;

/// One `Transfer` of a transaction, before it has a place on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// The token's contract.
    pub(super) token: Address,
    /// Whose balance goes down.
    pub(super) from: Address,
    /// Whose balance goes up.
    pub(super) to: Address,
    /// By how much.
    pub(super) amount: Amount,
}

/// A transaction that somebody signed.
#[derive(Clone, Debug)]
pub(super) struct Tx {
    /// Its hash.
    pub(super) hash: B256,
    /// What it does.
    pub(super) moves: Vec<Move>,
}

/// A block, on the chain or not any more.
struct Block {
    header: Header,
    below: Option<usize>,
    txs: Vec<Tx>,
    transfers: Vec<Transfer>,
    /// The wallet's account after it.
    account: State,
    /// The wallet's transactions in it.
    mined: Vec<Mined>,
}

/// What a node in step with the chain would have said at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// From when on.
    since: Timestamp,
    head: usize,
    tag: Option<usize>,
}

/// What a reorg does with the transactions of the blocks that go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are never seen again.
    Drop,
    /// They come back in a block of the same number.
    Keep,
    /// They come back, one block later and in another order.
    Move,
}

/// The chain and all its forks.
pub(super) struct TrueChain {
    blocks: Vec<Block>,
    by_hash: BTreeMap<B256, usize>,
    canonical: Vec<usize>,
    views: Vec<View>,
    waiting: Vec<Tx>,
    /// The wallet's transactions that a reorg has taken out, or that a block could not take after all.
    loose: Vec<Signed>,
    /// Which blocks hold a transaction of the wallet, on the chain or not any more.
    holders: BTreeMap<B256, Vec<usize>>,
    /// The same for other people's transactions.
    others: BTreeMap<B256, Vec<usize>>,
    /// What the next blocks are made under.
    conditions: Conditions,
    /// The blocks that the last reorg took off, and the number of the first.
    taken_off: (BlockNumber, Vec<usize>),
    /// When a reorg was undone last, and the first block that came back.
    came_back: Option<(Timestamp, BlockNumber)>,
    tagged: BlockNumber,
    final_to: BlockNumber,
    /// Up to which block the chain became final, and when.
    finals: Vec<(BlockNumber, Timestamp)>,
    tag: bool,
    depth: u64,
    /// Whether logs are numbered anew in each transaction.
    by_transaction: bool,
    rng: Rng,
}

impl TrueChain {
    /// A chain with some history, the newest block of which is from `now`.
    pub(super) fn new(seed: u64, settings: &Settings, now: Timestamp) -> Self {
        let mut chain = Self {
            blocks: Vec::new(),
            by_hash: BTreeMap::new(),
            canonical: Vec::new(),
            views: Vec::new(),
            waiting: Vec::new(),
            loose: Vec::new(),
            holders: BTreeMap::new(),
            others: BTreeMap::new(),
            conditions: Conditions::plain(),
            taken_off: (0, Vec::new()),
            came_back: None,
            tagged: 0,
            final_to: 0,
            finals: Vec::new(),
            tag: settings.tag,
            depth: settings.depth,
            by_transaction: settings.by_transaction,
            rng: Rng::stream(seed, "chain"),
        };
        let account = settings.wallet.as_ref().map_or(State::empty(Address::ZERO, settings.token), |wallet| {
            let empty = State::empty(wallet.address, settings.token);
            State { nonce: wallet.nonce, balance: wallet.balance, native: wallet.native, ..empty }
        });
        for number in 0..HISTORY {
            let age = Span::from_millis(BLOCK_MILLIS * (HISTORY - 1 - number));
            chain.push_on(account, now.minus(age), Vec::new(), Vec::new());
        }
        chain.tagged = HISTORY - 40;
        chain.finish_view(now, Some(0));
        chain
    }

    /// A transaction that the next block takes in.
    pub(super) fn submit(&mut self, tx: Tx) {
        self.waiting.push(tx);
    }

    /// Makes the next block. Returns its header, and its transfers.
    pub(super) fn produce(&mut self, time: Timestamp) -> (Header, Vec<Transfer>) {
        self.produce_with(time, Vec::new())
    }

    /// Makes the next block, with these transactions of the wallet as far as it can take them.
    pub(super) fn produce_with(&mut self, time: Timestamp, ours: Vec<Signed>) -> (Header, Vec<Transfer>) {
        let txs = std::mem::take(&mut self.waiting);
        let index = self.push(time, txs, ours);
        (self.blocks[index].header, self.blocks[index].transfers.clone())
    }

    /// Replaces the newest `depth` blocks by others, and returns the new headers with their transfers. The deposits
    /// that were in them are gone, or come back as the fate says.
    pub(super) fn reorg(&mut self, depth: u64, fate: Fate) -> Vec<(Header, Vec<Transfer>)> {
        let keep = self.canonical.len() - usize::try_from(depth).expect("small");
        let old = self.canonical.split_off(keep);
        let mut carried: (Vec<Tx>, Vec<Signed>) = Default::default();
        let mut new = Vec::new();
        self.taken_off = (keep as u64, old.clone());
        for index in old {
            let time = self.blocks[index].header.time;
            let txs = self.blocks[index].txs.clone();
            let ours: Vec<Signed> = self.blocks[index].mined.iter().map(|mined| mined.signed.clone()).collect();
            let was = std::mem::replace(&mut self.conditions, self.blocks[index].account.conditions);
            let (txs, ours) = match fate {
                Fate::Drop => {
                    self.loose.extend(ours);
                    Default::default()
                }
                Fate::Keep => (txs, ours),
                Fate::Move => std::mem::replace(&mut carried, (txs.into_iter().rev().collect(), ours)),
            };
            let index = self.push(time, txs, ours);
            self.conditions = was;
            new.push((self.blocks[index].header, self.blocks[index].transfers.clone()));
        }
        self.waiting.extend(carried.0);
        self.loose.extend(carried.1);
        new
    }

    /// The transfers in the blocks that the last reorg took off.
    pub(super) fn taken_off(&self) -> Vec<Transfer> {
        self.taken_off.1.iter().flat_map(|index| &self.blocks[*index].transfers).copied().collect()
    }

    /// Whether the block at this height has come back with a reorg that was undone since.
    pub(super) fn came_back_since(&self, number: BlockNumber, since: Timestamp) -> bool {
        self.came_back.is_some_and(|(at, first)| at >= since && first <= number)
    }

    /// Undoes the last reorg if that touches no more than so many blocks: the old blocks are the chain again, with as
    /// many new ones on top as it takes. Transactions that were only in the blocks that go wait for the next block.
    pub(super) fn undo_reorg(&mut self, room: u64, time: Timestamp) -> Vec<(Header, Vec<Transfer>)> {
        let (first, old) = std::mem::take(&mut self.taken_off);
        let height = self.canonical.len();
        if old.is_empty() || self.canonical.len() as u64 - first > room {
            return Vec::new();
        }
        let dropped = self.canonical.split_off(usize::try_from(first).expect("small"));
        let is_back = |chain: &Self, tx: &Tx| {
            old.iter().any(|index| chain.blocks[*index].txs.iter().any(|known| known.hash == tx.hash))
        };
        for index in dropped {
            let txs = self.blocks[index].txs.clone();
            let lost: Vec<Tx> = txs.into_iter().filter(|tx| !is_back(self, tx)).collect();
            self.waiting.extend(lost);
            let ours: Vec<Signed> = self.blocks[index].mined.iter().map(|mined| mined.signed.clone()).collect();
            self.loose.extend(ours);
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = waiting.into_iter().filter(|tx| !is_back(self, tx)).collect();
        self.canonical.extend(&old);
        self.came_back = Some((time, first));
        let mut back = old;
        while self.canonical.len() < height {
            back.push(self.push(time, Vec::new(), Vec::new()));
        }
        back.iter().map(|index| (self.blocks[*index].header, self.blocks[*index].transfers.clone())).collect()
    }

    /// Takes down what an up-to-date node says from now on. It tells a tag that is this many blocks below the true
    /// one, or none at all.
    pub(super) fn finish_view(&mut self, now: Timestamp, told: Option<u64>) {
        let head = *self.canonical.last().expect("never empty");
        let tag = told.map(|back| {
            let number = self.tagged.saturating_sub(back);
            self.canonical[usize::try_from(number).expect("small")]
        });
        self.views.push(View { since: now, head, tag });
        let deep = self.head_number().saturating_sub(self.depth);
        let rule = if self.tag { deep.min(self.tagged) } else { deep };
        if rule > self.final_to {
            self.final_to = rule;
            self.finals.push((rule, now));
        }
    }

    /// The tag moves on to `lag` blocks behind the head; it never moves back by itself.
    pub(super) fn tag_follows(&mut self, lag: u64) {
        self.tagged = self.tagged.max(self.head_number().saturating_sub(lag));
    }

    /// What an up-to-date node said this long ago.
    pub(super) fn view(&self, at: Timestamp) -> View {
        let next = self.views.partition_point(|view| view.since <= at);
        self.views[next.saturating_sub(1)]
    }

    /// The head of a view.
    pub(super) fn head_of(&self, view: View) -> Header {
        self.blocks[view.head].header
    }

    /// The tag of a view.
    pub(super) fn tag_of(&self, view: View) -> Option<Header> {
        view.tag.map(|index| self.blocks[index].header)
    }

    /// The block with this number in a view.
    pub(super) fn header_in(&self, view: View, number: BlockNumber) -> Option<Header> {
        self.index_in(view, number).map(|index| self.blocks[index].header)
    }

    /// The transfers in the blocks `from..=to` of a view.
    pub(super) fn transfers_in(&self, view: View, from: BlockNumber, to: BlockNumber) -> Vec<Transfer> {
        let to = to.min(self.blocks[view.head].header.block.number);
        let mut found = Vec::new();
        for number in from..=to {
            let index = self.index_in(view, number).expect("below the head");
            found.extend(self.blocks[index].transfers.iter().copied());
        }
        found
    }

    /// The newest block's number.
    pub(super) fn head_number(&self) -> BlockNumber {
        self.canonical.len() as u64 - 1
    }

    /// All blocks up to this one were final by the configured rule at some moment up to now.
    pub(super) fn final_to(&self) -> BlockNumber {
        self.final_to
    }

    /// How many blocks a reorg may replace without touching what was final, or told as tagged.
    pub(super) fn reorg_room(&self) -> u64 {
        let floor = if self.tag { self.tagged } else { self.final_to };
        self.head_number() - floor.max(self.final_to)
    }

    /// The transfer of a deposit, in whatever block it was.
    pub(super) fn ever(&self, key: &DepositKey) -> Option<Transfer> {
        let block = &self.blocks[*self.by_hash.get(&key.block_hash)?];
        block
            .transfers
            .iter()
            .find(|transfer| transfer.tx_hash == key.tx_hash && transfer.log_index == key.log_index)
            .copied()
    }

    /// The block with this hash, on the chain or not any more.
    pub(super) fn header_by_hash(&self, hash: &B256) -> Option<Header> {
        self.by_hash.get(hash).map(|index| self.blocks[*index].header)
    }

    /// Whether the block is on the chain now.
    pub(super) fn is_canonical(&self, block: BlockRef) -> bool {
        let at = usize::try_from(block.number).ok().and_then(|number| self.canonical.get(number));
        at.is_some_and(|index| self.blocks[*index].header.block == block)
    }

    /// The transfers of a transaction on the chain now.
    pub(super) fn of_tx(&self, hash: B256) -> Vec<Transfer> {
        let all = self.canonical.iter().flat_map(|index| &self.blocks[*index].transfers);
        all.filter(|transfer| transfer.tx_hash == hash).copied().collect()
    }

    /// The transfers of a transaction in any block that ever was.
    pub(super) fn of_tx_ever(&self, hash: B256) -> Vec<Transfer> {
        let all = self.blocks.iter().flat_map(|block| &block.transfers);
        all.filter(|transfer| transfer.tx_hash == hash).copied().collect()
    }

    /// When a block that is on the chain now was made.
    pub(super) fn time_of(&self, block: BlockRef) -> Option<Timestamp> {
        let index = self.by_hash.get(&block.hash).filter(|_| self.is_canonical(block))?;
        Some(self.blocks[*index].header.time)
    }

    /// Since when the block at this height is final by the configured rule.
    pub(super) fn final_since(&self, number: BlockNumber) -> Option<Timestamp> {
        let next = self.finals.partition_point(|(to, _)| *to < number);
        self.finals.get(next).map(|(_, at)| *at)
    }

    /// Which of its transaction's transfers a deposit is, from 0.
    pub(super) fn place_in_tx(&self, key: &DepositKey) -> usize {
        let block = self.by_hash.get(&key.block_hash).map(|index| &self.blocks[*index].transfers);
        let of_tx = block.into_iter().flatten().filter(|transfer| transfer.tx_hash == key.tx_hash);
        of_tx.take_while(|transfer| transfer.log_index < key.log_index).count()
    }

    /// All transfers to an address that are on the chain now.
    pub(super) fn to(&self, address: Address) -> Vec<Transfer> {
        let all = self.canonical.iter().flat_map(|index| &self.blocks[*index].transfers);
        all.filter(|transfer| transfer.to == address).copied().collect()
    }

    /// All transfers to this address, those in blocks that were replaced included.
    pub(super) fn ever_to(&self, address: Address) -> Vec<Transfer> {
        let all = self.blocks.iter().flat_map(|block| &block.transfers);
        all.filter(|transfer| transfer.to == address).copied().collect()
    }

    /// All transfers in these blocks of the chain as it is now.
    pub(super) fn between(&self, from: BlockNumber, to: BlockNumber) -> Vec<Transfer> {
        let place = |number: BlockNumber| usize::try_from(number).expect("small");
        let all = self.canonical.iter().take(place(to.saturating_add(1))).skip(place(from));
        all.flat_map(|index| &self.blocks[*index].transfers).copied().collect()
    }

    /// What the next blocks are made under.
    pub(super) fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// The wallet's account as the next block begins with it.
    pub(super) fn next_account(&self) -> State {
        self.blocks[*self.canonical.last().expect("never empty")].account.begin(self.conditions)
    }

    /// The wallet's account after the newest block of a view.
    pub(super) fn account_of(&self, view: View) -> State {
        self.blocks[view.head].account
    }

    /// The wallet's account after a block of a view; `None` when the view has no such block.
    pub(super) fn account_at(&self, view: View, number: BlockNumber) -> Option<State> {
        self.index_in(view, number).map(|index| self.blocks[index].account)
    }

    /// The wallet's account after the newest block that is final by the configured rule.
    pub(super) fn final_account(&self) -> State {
        let place = usize::try_from(self.final_to).expect("small").min(self.canonical.len() - 1);
        self.blocks[self.canonical[place]].account
    }

    /// The receipt that a view has of a transaction.
    pub(super) fn receipt_in(&self, view: View, hash: B256) -> Option<Receipt> {
        let holders = self.holders.get(&hash).or_else(|| self.others.get(&hash))?;
        let here = |index: &&usize| self.index_in(view, self.blocks[**index].header.block.number) == Some(**index);
        let block = &self.blocks[*holders.iter().find(here)?];
        let mined = block.mined.iter().find(|mined| mined.signed.hash == hash);
        Some(Receipt {
            tx_hash: hash,
            block: block.header.block,
            succeeded: mined.is_none_or(|mined| mined.succeeded),
            transfers: block.transfers.iter().filter(|transfer| transfer.tx_hash == hash).copied().collect(),
            gas_used: mined.map(|mined| mined.gas_used),
            gas_price: mined.map(|mined| Wei::new(mined.gas_price)),
        })
    }

    /// A transaction of the wallet that is on the chain now: what came of it, and in which block.
    pub(super) fn mined_now(&self, hash: B256) -> Option<(&Mined, BlockRef)> {
        let on_chain = |index: &&usize| self.is_canonical(self.blocks[**index].header.block);
        let block = &self.blocks[*self.holders.get(&hash)?.iter().find(on_chain)?];
        let mined = block.mined.iter().find(|mined| mined.signed.hash == hash)?;
        Some((mined, block.header.block))
    }

    /// The wallet's transactions that are in no block any more.
    pub(super) fn take_loose(&mut self) -> Vec<Signed> {
        std::mem::take(&mut self.loose)
    }

    fn index_in(&self, view: View, number: BlockNumber) -> Option<usize> {
        let wanted = usize::try_from(number).ok()?;
        let mut at = view.head;
        loop {
            let here = self.blocks[at].header.block.number;
            if here < number {
                return None;
            }
            if here == number {
                return Some(at);
            }
            let place = usize::try_from(here).ok()?;
            if self.canonical.get(place) == Some(&at) {
                return self.canonical.get(wanted).copied();
            }
            at = self.blocks[at].below?;
        }
    }

    fn push(&mut self, time: Timestamp, txs: Vec<Tx>, ours: Vec<Signed>) -> usize {
        let below = *self.canonical.last().expect("never empty");
        self.push_on(self.blocks[below].account, time, txs, ours)
    }

    fn push_on(&mut self, account: State, time: Timestamp, mut txs: Vec<Tx>, ours: Vec<Signed>) -> usize {
        let below = self.canonical.last().copied();
        let mut account = account.begin(self.conditions);
        // What the wallet has not got cannot be taken from it.
        txs.retain(|tx| account.moved(&tx.moves));
        let number = self.canonical.len() as u64;
        let block = BlockRef { number, hash: self.rng.hash() };
        let parent = below.map_or(B256::ZERO, |index| self.blocks[index].header.block.hash);
        let time = Timestamp::from_secs(time.as_secs());
        let mut log_index = self.rng.below(20);
        let mut mined = Vec::new();
        let mut steps: Vec<(B256, Move)> = Vec::new();
        for tx in &txs {
            steps.extend(tx.moves.iter().map(|step| (tx.hash, step.clone())));
        }
        let index = self.blocks.len();
        for tx in &txs {
            self.others.entry(tx.hash).or_default().push(index);
        }
        for signed in ours {
            if !account.takes(&signed) {
                self.loose.push(signed);
                continue;
            }
            let hash = signed.hash;
            let (done, step) = account.execute(signed);
            steps.extend(step.map(|step| (hash, step)));
            mined.push(done);
            self.holders.entry(hash).or_default().push(index);
        }
        let mut transfers = Vec::new();
        let mut last = None;
        for (tx_hash, Move { token, from, to, amount }) in steps {
            if self.by_transaction && last.replace(tx_hash) != Some(tx_hash) {
                log_index = 0;
            }
            let block_time = Some(time);
            transfers.push(Transfer { block, block_time, tx_hash, log_index, token, from, to, amount });
            log_index += 1 + self.rng.below(3);
        }
        let header = Header { block, parent, time };
        self.blocks.push(Block { header, below, txs, transfers, account, mined });
        self.by_hash.insert(block.hash, index);
        self.canonical.push(index);
        index
    }
}
