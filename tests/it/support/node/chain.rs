//! The chain that a scripted node serves. The test owns it, and changes it while nodes serve it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, U256, keccak256};
use rampwatch::sandbox::{USDC, USDC_E};
use tokio::sync::watch;

use super::accounts::{Account, Rules};
use super::block::{Block, BlockSpec, Change};

/// What the chain says of finality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Finalized {
    /// Nothing: "finalized block not found", as Bor says it.
    #[default]
    Absent,
    /// This block. It may move backwards.
    At(u64),
    /// Always so many blocks below the head.
    Below(u64),
}

/// What `eth_call` finds at a token's address.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// What `decimals()` says.
    pub(crate) decimals: u8,
    /// What `symbol()` says.
    pub(crate) symbol: String,
    /// What `balanceOf(address)` says; 0 for all others.
    pub(crate) balances: HashMap<Address, U256>,
    /// What it said after a block. Other blocks are pruned: only the newest state is kept of them.
    pub(crate) past: HashMap<(u64, Address), U256>,
    /// Pausing, blacklisting and transferring; `None` when it has no such functions.
    pub(crate) rules: Option<Rules>,
}

impl Token {
    /// A token without balances.
    pub(crate) fn new(symbol: &str, decimals: u8) -> Self {
        Self { decimals, symbol: symbol.to_owned(), balances: HashMap::new(), past: HashMap::new(), rules: None }
    }
}

/// The state behind a [`ScriptedChain`].
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) orphans: HashMap<B256, Arc<Block>>,
    pub(super) finalized: Finalized,
    pub(super) tokens: HashMap<Address, Token>,
    pub(super) accounts: HashMap<Address, Account>,
    pub(super) taken: Vec<B256>,
    pub(super) changes: Vec<Change>,
    pub(super) chain_id: u64,
    block_time: u64,
    salt: u64,
}

impl State {
    pub(super) fn head(&self) -> &Arc<Block> {
        self.blocks.last().expect("a chain has a block")
    }

    fn first(&self) -> &Arc<Block> {
        self.blocks.first().expect("a chain has a block")
    }

    /// The block with this number; below the first one, an empty block is made up (always the same one).
    pub(super) fn at(&self, number: u64) -> Option<Arc<Block>> {
        let first = self.first();
        match number.checked_sub(first.number) {
            Some(nth) => self.blocks.get(usize::try_from(nth).ok()?).cloned(),
            None => {
                let age = (first.number - number).saturating_mul(self.block_time);
                let parent = number.checked_sub(1).map_or(B256::ZERO, past_hash);
                let time = first.time.saturating_sub(age);
                let hash = Some(past_hash(number));
                Some(Arc::new(Block::make(&BlockSpec::default(), number, parent, time, 0, hash)))
            }
        }
    }

    /// The block of the chain with this hash.
    pub(super) fn by_hash(&self, hash: B256) -> Option<Arc<Block>> {
        if let Some(block) = self.blocks.iter().rev().find(|block| block.hash == hash) {
            return Some(block.clone());
        }
        let number = past_number(hash)?;
        if number < self.first().number { self.at(number) } else { None }
    }

    /// The number under the `finalized` tag.
    pub(super) fn finalized_number(&self, rule: Finalized) -> Option<u64> {
        match rule {
            Finalized::Absent => None,
            Finalized::At(number) => Some(number),
            Finalized::Below(depth) => self.head().number.checked_sub(depth),
        }
    }

    fn push(&mut self, spec: &BlockSpec) -> Arc<Block> {
        let head = self.head().clone();
        self.salt += 1;
        let time = spec.time.unwrap_or(head.time + self.block_time);
        let block = Arc::new(Block::make(spec, head.number + 1, head.hash, time, self.salt, None));
        self.push_made(block.clone());
        block
    }

    fn push_made(&mut self, block: Arc<Block>) {
        self.blocks.push(block.clone());
        self.changes.push(Change::Appended(block));
    }
}

/// The hash of a block that was there before the script began; its number can be read back from it.
pub(super) fn past_hash(number: u64) -> B256 {
    let mut hash = keccak256(format!("past block {number}"));
    hash[24..].copy_from_slice(&number.to_be_bytes());
    hash
}

fn past_number(hash: B256) -> Option<u64> {
    let number = u64::from_be_bytes(hash[24..].try_into().ok()?);
    (past_hash(number) == hash).then_some(number)
}

/// A chain of blocks that a test writes. Clones are the same chain.
///
/// Below its first block it goes on for ever, with empty blocks, so that a search by time finds its way.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedChain {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<usize>>,
}

impl ScriptedChain {
    /// A chain with the id 137 whose newest block is 1,000,000.
    pub(crate) fn new() -> Self {
        Self::starting_at(1_000_000, 1_790_000_000)
    }

    /// A chain with the id 137 and a first block with this number and time (seconds since 1970).
    pub(crate) fn starting_at(number: u64, time: u64) -> Self {
        let parent = number.checked_sub(1).map_or(B256::ZERO, past_hash);
        Self::of(Block::make(&BlockSpec::default(), number, parent, time, 0, None))
    }

    /// A chain that the example configuration fits, with a past that has just come to an end.
    pub(crate) fn of_the_example() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let chain = Self::starting_at(1_000_000, now - 600);
        chain.set_token(USDC, Token::new("USDC", 6));
        chain.set_token(USDC_E, Token::new("USDC.e", 6));
        chain.append_empty(200);
        chain.set_finalized(Finalized::Below(2));
        chain
    }

    pub(super) fn of(first: Block) -> Self {
        let state = State {
            blocks: vec![Arc::new(first)],
            orphans: HashMap::new(),
            finalized: Finalized::Absent,
            tokens: HashMap::new(),
            accounts: HashMap::new(),
            taken: Vec::new(),
            changes: Vec::new(),
            chain_id: 137,
            block_time: 2,
            salt: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(watch::Sender::new(0)) }
    }

    /// Works on the state, and tells the nodes of what has changed.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.changes.len();
        let result = work(&mut state);
        let after = state.changes.len();
        drop(state);
        if after != before {
            self.changed.send_replace(after);
        }
        result
    }

    pub(super) fn changed(&self) -> watch::Receiver<usize> {
        self.changed.subscribe()
    }

    pub(super) fn push_block(&self, block: Block) {
        self.with(|state| state.push_made(Arc::new(block)));
    }

    /// Adds a block on top.
    pub(crate) fn append(&self, spec: impl Into<BlockSpec>) -> Arc<Block> {
        let spec = spec.into();
        self.with(|state| state.push(&spec))
    }

    /// Adds empty blocks on top, and returns the new head.
    pub(crate) fn append_empty(&self, count: usize) -> Arc<Block> {
        self.with(|state| {
            for _ in 0..count {
                state.push(&BlockSpec::default());
            }
            state.head().clone()
        })
    }

    /// Takes the topmost `depth` blocks away and puts others in their place, all at once. Returns the new ones.
    pub(crate) fn reorg(&self, depth: usize, blocks: Vec<BlockSpec>) -> Vec<Arc<Block>> {
        self.with(|state| {
            assert!(depth < state.blocks.len(), "a reorg of {depth} is deeper than the script");
            let mut gone = state.blocks.split_off(state.blocks.len() - depth);
            gone.reverse();
            state.orphans.extend(gone.iter().map(|block| (block.hash, block.clone())));
            state.changes.push(Change::RolledBack(gone));
            blocks.iter().map(|spec| state.push(spec)).collect()
        })
    }

    /// Puts a block that was taken away back on top of its parent, which must be the head.
    pub(crate) fn put_back(&self, block: &Arc<Block>) {
        self.with(|state| {
            assert_eq!(state.head().hash, block.parent, "a block stands on its parent");
            state.push_made(block.clone());
        });
    }

    /// Whether a transaction is in some block of the chain.
    pub(crate) fn holds(&self, tx: B256) -> bool {
        self.with(|state| state.blocks.iter().any(|block| block.logs.iter().any(|log| log.tx_hash == tx)))
    }

    /// The newest block.
    pub(crate) fn head(&self) -> Arc<Block> {
        self.with(|state| state.head().clone())
    }

    /// The block with this number.
    pub(crate) fn block(&self, number: u64) -> Option<Arc<Block>> {
        self.with(|state| state.at(number))
    }

    /// Sets what the `finalized` tag says.
    pub(crate) fn set_finalized(&self, finalized: Finalized) {
        self.with(|state| state.finalized = finalized);
    }

    /// Sets the time between blocks without a time of their own, in seconds.
    pub(crate) fn set_block_time(&self, seconds: u64) {
        self.with(|state| state.block_time = seconds);
    }

    /// Sets the chain's id. A single node can be made to claim another one.
    pub(crate) fn set_chain_id(&self, id: u64) {
        self.with(|state| state.chain_id = id);
    }

    /// Puts a token at an address, or changes it.
    pub(crate) fn set_token(&self, address: Address, token: Token) {
        self.with(|state| state.tokens.insert(address, token));
    }

    /// Another chain with the same past, which goes its own way from here on.
    pub(crate) fn fork(&self) -> Self {
        let state = self.with(|state| {
            let mut copy = state.clone();
            copy.salt += 1 << 32;
            copy
        });
        let changes = state.changes.len();
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(watch::Sender::new(changes)) }
    }
}
