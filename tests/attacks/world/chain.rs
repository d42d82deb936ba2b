//! The true chain: blocks of a second with one token, accounts, and a pool of transactions that wait. What nodes say of it
//! is another matter (see `node` and `lies`).
//!
//! Every block keeps the balances and nonces after it, so that the past can be asked for. Deliberately absent: reorgs,
//! contracts other than the token, and gas that runs out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use rampwatch::sandbox::USDC;
use tokio::task::JoinHandle;

/// The chain's id.
pub(crate) const CHAIN_ID: u64 = 31_337;

/// One gwei, in wei.
pub(crate) const GWEI: u128 = 1_000_000_000;

/// The base fee while nothing happens.
const QUIET: u128 = 30 * GWEI;

/// How many blocks there are at the start, a second apart.
const PAST: u64 = 1_200;

/// How far the finalized block is below the head.
const DEPTH: u64 = 2;

/// What a transfer of the token uses.
pub(crate) const TRANSFER_GAS: u64 = 62_147;

/// The selector of `transfer(address,uint256)`.
const TRANSFER_CALL: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// Balances and nonces at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) tokens: BTreeMap<Address, u128>,
    pub(crate) natives: BTreeMap<Address, u128>,
    pub(crate) nonces: BTreeMap<Address, u64>,
}

/// A transfer of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) amount: u128,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub(crate) struct Mined {
    pub(crate) hash: B256,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) nonce: u64,
    pub(crate) succeeded: bool,
    pub(crate) gas_used: u64,
    pub(crate) gas_price: u128,
    pub(crate) moved: Option<Moved>,
    /// The place of its log among the block's.
    pub(crate) log_index: u64,
}

/// A block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent: B256,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) base_fee: u128,
    pub(crate) mined: Vec<Mined>,
    pub(crate) after: Arc<Accounts>,
}

/// A signed transaction that waits.
#[derive(Clone, Debug)]
struct Waiting {
    hash: B256,
    from: Address,
    tx: TxEnvelope,
}

/// Everything about the chain.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) blocks: Vec<Arc<Block>>,
    pub(crate) now: Accounts,
    pool: Vec<Waiting>,
    /// Transfers by strangers, for the next block.
    strangers: Vec<(B256, Moved)>,
    made: u64,
    base_fee: u128,
    /// Nodes refuse transactions that pay less for a unit of gas, and forget those that they have.
    least: u128,
    /// Nothing that waits comes into a block.
    holds: bool,
    /// The same, but what waits can be replaced.
    stands_still: bool,
    /// How far the world's clock is ahead of this machine's, in seconds.
    ahead: u64,
}

/// The chain. Clones are the same one. Its blocks are made until the last of them is gone.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    state: Arc<Mutex<State>>,
    _miner: Arc<Miner>,
}

#[derive(Debug)]
struct Miner(JoinHandle<()>);

impl Drop for Miner {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// This machine's clock, in seconds since 1970.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

impl Chain {
    /// A chain with some past. Must be called within a tokio runtime.
    pub(crate) fn start() -> Self {
        let first = clock() - PAST;
        let mut state = State {
            blocks: Vec::new(),
            now: Accounts::default(),
            pool: Vec::new(),
            strangers: Vec::new(),
            made: 0,
            base_fee: QUIET,
            least: 0,
            holds: false,
            stands_still: false,
            ahead: 0,
        };
        for age in 0..PAST {
            state.mine(first + age);
        }
        let state = Arc::new(Mutex::new(state));
        let mined = Arc::clone(&state);
        let miner = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mut state = lock(&mined);
                let time = clock() + state.ahead;
                if state.blocks.last().is_none_or(|head| head.time < time) {
                    state.mine(time);
                }
            }
        });
        Self { state, _miner: Arc::new(Miner(miner)) }
    }

    /// The state, for as long as the answer is held.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Gives an account tokens, in base units, and coins for gas.
    pub(crate) fn endow(&self, account: Address, tokens: u128) {
        let mut state = self.state();
        state.now.tokens.insert(account, tokens);
        state.now.natives.insert(account, 1_000 * GWEI * GWEI);
    }

    /// A stranger sends tokens. Gives the transaction's hash; it is in the next block.
    pub(crate) fn pay(&self, to: Address, amount: u128) -> B256 {
        let mut state = self.state();
        let hash = state.new_hash();
        state.strangers.push((hash, Moved { from: Address::repeat_byte(0x57), to, amount }));
        hash
    }

    /// The same, in a block of its own at once, so many blocks below the head: only at the start, before anybody looks.
    pub(crate) fn pay_in_the_past(&self, to: Address, amount: u128, below: u64) -> B256 {
        let mut state = self.state();
        let hash = state.new_hash();
        let moved = Moved { from: Address::repeat_byte(0x57), to, amount };
        let head = state.head().number;
        let at = usize::try_from(head - below).expect("a number of a block");
        let mut block = (*state.blocks[at]).clone();
        block.mined.push(stranger(hash, moved, 0, QUIET));
        state.blocks[at] = Arc::new(block);
        hash
    }

    /// What a unit of gas costs from the next block on, in gwei. Nodes forget what pays less.
    pub(crate) fn set_market(&self, gwei: u128) {
        let mut state = self.state();
        state.base_fee = gwei * GWEI;
        state.least = gwei * GWEI;
        let least = state.least;
        state.pool.retain(|waiting| waiting.tx.max_fee_per_gas() >= least);
    }

    /// While it holds, nothing that waits comes into a block, and nothing that waits can be replaced.
    pub(crate) fn hold(&self, holds: bool) {
        self.state().holds = holds;
    }

    /// While it stands still, nothing that waits comes into a block, and everything that waits can be replaced.
    pub(crate) fn stand_still(&self, stands_still: bool) {
        self.state().stands_still = stands_still;
    }

    /// How many transactions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().pool.len()
    }

    /// The world's clock goes on by so much, in seconds: time has passed, for the chain at least.
    pub(crate) fn pass(&self, seconds: u64) {
        let mut state = self.state();
        state.ahead += seconds;
        let time = clock() + state.ahead;
        state.mine(time);
    }

    /// The world's clock, in seconds since 1970.
    pub(crate) fn clock(&self) -> u64 {
        clock() + self.state().ahead
    }

    /// The number of the newest block.
    pub(crate) fn head(&self) -> u64 {
        self.state().head().number
    }

    /// Every transfer of an account that is in a block, with the time of its block.
    pub(crate) fn sent_by(&self, account: Address) -> Vec<(u64, Moved)> {
        let state = self.state();
        let all = state.blocks.iter().flat_map(|block| block.mined.iter().map(|mined| (block.time, mined)));
        all.filter_map(|(time, mined)| mined.moved.filter(|moved| moved.from == account).map(|moved| (time, moved)))
            .collect()
    }

    /// The last transaction that moved tokens to an account.
    pub(crate) fn paid_to(&self, account: Address) -> Option<B256> {
        let state = self.state();
        let mut all = state.blocks.iter().rev().flat_map(|block| &block.mined);
        all.find(|mined| mined.moved.is_some_and(|moved| moved.to == account)).map(|mined| mined.hash)
    }

    /// How many of an account's transactions are in blocks.
    pub(crate) fn nonce(&self, account: Address) -> u64 {
        self.state().now.nonces.get(&account).copied().unwrap_or_default()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stranger(hash: B256, moved: Moved, log_index: u64, gas_price: u128) -> Mined {
    Mined {
        hash,
        from: moved.from,
        to: USDC,
        nonce: 0,
        succeeded: true,
        gas_used: TRANSFER_GAS,
        gas_price,
        moved: Some(moved),
        log_index,
    }
}

impl State {
    /// The newest block.
    pub(crate) fn head(&self) -> &Arc<Block> {
        self.blocks.last().expect("a chain has a block")
    }

    /// The block at a height.
    pub(crate) fn at(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    /// The newest final block.
    pub(crate) fn finalized(&self) -> &Arc<Block> {
        let number = self.head().number.saturating_sub(DEPTH);
        self.at(number).unwrap_or_else(|| self.head())
    }

    /// A transaction and its block.
    pub(crate) fn mined(&self, hash: B256) -> Option<(&Arc<Block>, &Mined)> {
        let mut all = self.blocks.iter().rev().flat_map(|block| block.mined.iter().map(move |mined| (block, mined)));
        all.find(|(_, mined)| mined.hash == hash)
    }

    /// A transaction that waits.
    pub(crate) fn waits(&self, hash: B256) -> bool {
        self.pool.iter().any(|waiting| waiting.hash == hash)
    }

    /// How many transactions of an account there are, those included that wait without a gap.
    pub(crate) fn pending_nonce(&self, account: Address) -> u64 {
        let mut nonce = self.now.nonces.get(&account).copied().unwrap_or_default();
        while self.pool.iter().any(|waiting| waiting.from == account && waiting.tx.nonce() == nonce) {
            nonce += 1;
        }
        nonce
    }

    fn new_hash(&mut self) -> B256 {
        self.made += 1;
        let clock = clock();
        keccak256(format!("transaction {} of strangers, {clock}", self.made))
    }

    /// Takes a signed transaction into the pool, or says why not.
    pub(crate) fn take(&mut self, raw: &Bytes) -> Result<B256, String> {
        let tx = TxEnvelope::decode_2718(&mut raw.as_ref()).map_err(|error| format!("rlp: {error}"))?;
        let from = tx.recover_signer().map_err(|error| format!("invalid sender: {error}"))?;
        if tx.chain_id() != Some(CHAIN_ID) {
            return Err("invalid sender: invalid chain id for signer".to_owned());
        }
        let hash = *tx.tx_hash();
        if self.waits(hash) || self.mined(hash).is_some() {
            return Err("already known".to_owned());
        }
        let next = self.now.nonces.get(&from).copied().unwrap_or_default();
        if tx.nonce() < next {
            return Err(format!("nonce too low: next nonce {next}, tx nonce {}", tx.nonce()));
        }
        if tx.max_fee_per_gas() < self.least {
            return Err("transaction underpriced".to_owned());
        }
        let same = |waiting: &Waiting| waiting.from == from && waiting.tx.nonce() == tx.nonce();
        if let Some(before) = self.pool.iter().find(|waiting| same(waiting)) {
            let least = before.tx.max_fee_per_gas() + before.tx.max_fee_per_gas() / 10;
            if tx.max_fee_per_gas() < least || self.holds {
                return Err("replacement transaction underpriced".to_owned());
            }
        }
        self.pool.retain(|waiting| !same(waiting));
        self.pool.push(Waiting { hash, from, tx });
        Ok(hash)
    }

    fn mine(&mut self, time: u64) {
        let mut mined = Vec::new();
        for (hash, moved) in std::mem::take(&mut self.strangers) {
            *self.now.tokens.entry(moved.to).or_default() += moved.amount;
            mined.push(stranger(hash, moved, mined.len() as u64, self.base_fee));
        }
        let mut waiting = std::mem::take(&mut self.pool);
        waiting.sort_by_key(|waiting| (waiting.from, waiting.tx.nonce()));
        for one in waiting {
            let next = self.now.nonces.get(&one.from).copied().unwrap_or_default();
            if !self.holds && !self.stands_still && one.tx.nonce() == next && one.tx.max_fee_per_gas() >= self.base_fee
            {
                let done = self.carry_out(&one, mined.len() as u64);
                mined.push(done);
            } else if one.tx.nonce() >= next {
                self.pool.push(one);
            }
        }
        let (number, parent) = self.blocks.last().map_or((0, B256::ZERO), |head| (head.number + 1, head.hash));
        let hash = keccak256(format!("block {number} after {parent} at {time}"));
        let after = Arc::new(self.now.clone());
        let base_fee = self.base_fee;
        self.blocks.push(Arc::new(Block { number, hash, parent, time, base_fee, mined, after }));
    }

    fn carry_out(&mut self, one: &Waiting, log_index: u64) -> Mined {
        let (tx, from) = (&one.tx, one.from);
        *self.now.nonces.entry(from).or_default() += 1;
        let to = match tx.kind() {
            TxKind::Call(to) => to,
            TxKind::Create => Address::ZERO,
        };
        let wanted = transfer_of(from, to, tx.input());
        let moved = wanted.filter(|moved| self.now.tokens.get(&from).copied().unwrap_or_default() >= moved.amount);
        if let Some(moved) = &moved {
            *self.now.tokens.entry(from).or_default() -= moved.amount;
            *self.now.tokens.entry(moved.to).or_default() += moved.amount;
        }
        let gas_used = if wanted.is_some() { TRANSFER_GAS } else { 21_000 };
        let tip = tx.max_priority_fee_per_gas().unwrap_or_default();
        let gas_price = tx.max_fee_per_gas().min(self.base_fee + tip);
        let native = self.now.natives.entry(from).or_default();
        *native = native.saturating_sub(gas_price * u128::from(gas_used));
        Mined {
            hash: one.hash,
            from,
            to,
            nonce: tx.nonce(),
            succeeded: wanted.is_none() || moved.is_some(),
            gas_used,
            gas_price,
            moved,
            log_index,
        }
    }
}

/// What a call of the token would move; `None` when it is another call.
pub(crate) fn transfer_of(from: Address, contract: Address, input: &Bytes) -> Option<Moved> {
    let call = input.strip_prefix(&TRANSFER_CALL)?;
    let to = Address::from_slice(call.get(12..32)?);
    let amount = u128::try_from(U256::from_be_slice(call.get(32..64)?)).ok()?;
    (contract == USDC).then_some(Moved { from, to, amount })
}
