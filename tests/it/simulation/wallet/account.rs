//! The wallet's account on the true chain: nonce, balances and what the token allows, as of each block.
//!
//! Every block keeps the account as it stands after it, so that a node which shows an old head or another fork shows
//! the account of that very block. Deliberately absent: who chooses what goes into a block (`pools`).

use rampwatch::domain::chain::Address;

use super::super::chain::Move;
use super::bytes::Signed;

/// What a transfer uses of gas, and what a node estimates for it.
pub(crate) const TRANSFER_GAS: u64 = 62_000;
/// What a failed transfer uses.
const FAILED_GAS: u64 = 41_000;
/// What a self-send uses.
const SELF_SEND_GAS: u64 = 21_000;

/// What a block is made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// What it asks for a unit of gas, in wei.
    pub(crate) base_fee: u128,
    /// The least tip that its producer takes, in wei.
    pub(crate) least_tip: u128,
    /// Whether transfers fail in it, for no reason that a look before shows.
    pub(crate) fails: bool,
    /// Whether the token is paused.
    pub(crate) paused: bool,
    /// Whether the token has blacklisted the wallet.
    pub(crate) wallet_blacklisted: bool,
    /// A recipient that the token has blacklisted.
    pub(crate) blacklisted: Option<Address>,
    /// What somebody gives the wallet of the native coin in this block, in wei.
    pub(crate) native_in: u128,
}

impl Conditions {
    /// Nothing out of the ordinary.
    pub(crate) const fn plain() -> Self {
        Self {
            base_fee: 30_000_000_000,
            least_tip: 25_000_000_000,
            fails: false,
            paused: false,
            wallet_blacklisted: false,
            blacklisted: None,
            native_in: 0,
        }
    }
}

/// The account after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The wallet.
    pub(crate) wallet: Address,
    /// The token that pays.
    pub(crate) token: Address,
    /// How many of its transactions are in this block and those below.
    pub(crate) nonce: u64,
    /// What it has of the token.
    pub(crate) balance: u128,
    /// What it has of the native coin, in wei.
    pub(crate) native: u128,
    /// What the block was made under.
    pub(crate) conditions: Conditions,
}

/// A transaction of the wallet in a block.
#[derive(Clone, Debug)]
pub(crate) struct Mined {
    /// The transaction.
    pub(crate) signed: Signed,
    /// Whether it succeeded.
    pub(crate) succeeded: bool,
    /// How much gas it used.
    pub(crate) gas_used: u64,
    /// What a unit of it cost, in wei.
    pub(crate) gas_price: u128,
}

impl State {
    /// The account of nobody in particular.
    pub(crate) const fn empty(wallet: Address, token: Address) -> Self {
        Self { wallet, token, nonce: 0, balance: 0, native: 0, conditions: Conditions::plain() }
    }

    /// Begins a block on top.
    pub(crate) const fn begin(self, conditions: Conditions) -> Self {
        Self { native: self.native + conditions.native_in, conditions, ..self }
    }

    /// What other people's transaction does to the account; false when the wallet has not got what it takes.
    pub(crate) fn moved(&mut self, moves: &[Move]) -> bool {
        let mut balance = self.balance;
        for step in moves.iter().filter(|step| step.token == self.token && step.from != step.to) {
            if step.from == self.wallet {
                let Some(left) = balance.checked_sub(step.amount.base_units()) else { return false };
                balance = left;
            } else if step.to == self.wallet {
                balance += step.amount.base_units();
            }
        }
        self.balance = balance;
        true
    }

    /// Whether a block made under these conditions can take the transaction next.
    pub(crate) const fn takes(&self, signed: &Signed) -> bool {
        let base = self.conditions.base_fee;
        let pays = signed.cap() >= base && self.gas_price(signed) >= base + self.conditions.least_tip;
        pays && signed.tx.nonce == self.nonce && self.native >= signed.cap() * signed.tx.gas_limit as u128
    }

    const fn gas_price(&self, signed: &Signed) -> u128 {
        let wanted = self.conditions.base_fee + signed.tip();
        if wanted < signed.cap() { wanted } else { signed.cap() }
    }

    /// Why the token would refuse a transfer now, if it would.
    pub(crate) fn refuses(&self, to: Address, amount: u128) -> Option<&'static str> {
        if self.conditions.paused {
            return Some("Pausable: paused");
        }
        if self.conditions.wallet_blacklisted || self.conditions.blacklisted == Some(to) {
            return Some("Blacklistable: account is blacklisted");
        }
        (self.balance < amount).then_some("ERC20: transfer amount exceeds balance")
    }

    /// Carries out a transaction that the block takes: the receipt's figures, and what moves.
    pub(crate) fn execute(&mut self, signed: Signed) -> (Mined, Option<Move>) {
        let gas_price = self.gas_price(&signed);
        let step = signed.transfer().map(|transfer| Move {
            token: transfer.token,
            from: self.wallet,
            to: transfer.to,
            amount: transfer.amount,
        });
        let fails = |step: &Move| self.conditions.fails || self.refuses(step.to, step.amount.base_units()).is_some();
        let (gas_used, step, succeeded) = match step {
            None => (SELF_SEND_GAS, None, true),
            Some(step) if step.token == self.token && fails(&step) => (FAILED_GAS, None, false),
            Some(step) => (TRANSFER_GAS, Some(step), true),
        };
        if let Some(step) = &step {
            self.moved(std::slice::from_ref(step));
        }
        self.nonce += 1;
        self.native -= gas_price * u128::from(gas_used);
        (Mined { signed, succeeded, gas_used, gas_price }, step)
    }
}
