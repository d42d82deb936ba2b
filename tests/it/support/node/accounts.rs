//! Accounts: what they have, what they have sent, and what a token says of them.
//!
//! Deliberately absent: carrying transactions out. The test puts a transaction's logs into a block itself.

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolValue;
use serde_json::{Value, json};

use super::block::quantity;
use super::chain::{ScriptedChain, State, Token};
use super::faults::Refusal;

/// An account of the native coin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its balance, in wei.
    pub(crate) balance: U256,
    /// How many of its transactions are mined.
    pub(crate) nonce: u64,
    /// How many wait.
    pub(crate) waiting: u64,
}

/// What a token says of accounts, if it has such functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether it is paused.
    pub(crate) paused: bool,
    /// Who is blacklisted.
    pub(crate) blacklisted: Vec<Address>,
}

impl ScriptedChain {
    /// Sets an account.
    pub(crate) fn set_account(&self, address: Address, account: Account) {
        self.with(|state| state.accounts.insert(address, account));
    }

    /// The hashes of the transactions that were taken, in the order of coming.
    pub(crate) fn taken(&self) -> Vec<B256> {
        self.with(|state| state.taken.clone())
    }
}

/// `eth_getTransactionCount`. Blocks before the newest are not told apart.
pub(super) fn count(state: &State, address: Address, tag: &Value) -> Value {
    let account = state.accounts.get(&address).copied().unwrap_or_default();
    let waiting = if tag == "pending" { account.waiting } else { 0 };
    json!(quantity(account.nonce + waiting))
}

/// `eth_getBalance`.
pub(super) fn balance(state: &State, address: Address) -> Value {
    json!(state.accounts.get(&address).copied().unwrap_or_default().balance)
}

/// `eth_sendRawTransaction`.
pub(super) fn send(state: &mut State, raw: &Bytes) -> Result<Value, Refusal> {
    let refuse = |text: &str| Err(Refusal::rpc(-32000, text));
    let Ok(tx) = TxEnvelope::decode_2718(&mut raw.as_ref()) else { return refuse("rlp: it cannot be read") };
    let (Ok(from), Some(chain_id)) = (tx.recover_signer(), tx.chain_id()) else { return refuse("invalid sender") };
    if chain_id != state.chain_id {
        return refuse("invalid sender: invalid chain id for signer");
    }
    let hash = *tx.tx_hash();
    if state.taken.contains(&hash) {
        return refuse("already known");
    }
    let next = state.accounts.get(&from).copied().unwrap_or_default().nonce;
    if tx.nonce() < next {
        return refuse(&format!("nonce too low: next nonce {next}, tx nonce {}", tx.nonce()));
    }
    state.taken.push(hash);
    Ok(json!(hash))
}

/// What a token answers to a call about accounts; `None` when it has no such function.
pub(super) fn call(token: &Token, selector: &str, from: Address, data: &[u8]) -> Option<Result<Vec<u8>, Refusal>> {
    let rules = token.rules.as_ref()?;
    let account = data.get(16..36).map(Address::from_slice).unwrap_or_default();
    let is_blacklisted = |account: &Address| rules.blacklisted.contains(account);
    let revert = |why: &str| Err(Refusal::rpc(3, &format!("execution reverted: {why}")));
    Some(match selector {
        "5c975abb" => Ok(rules.paused.abi_encode()),
        "fe575a87" => Ok(is_blacklisted(&account).abi_encode()),
        "a9059cbb" if rules.paused => revert("Pausable: paused"),
        "a9059cbb" if is_blacklisted(&from) || is_blacklisted(&account) => {
            revert("Blacklistable: account is blacklisted")
        }
        "a9059cbb" => {
            let value = data.get(36..68).map(U256::from_be_slice).unwrap_or_default();
            if token.balances.get(&from).copied().unwrap_or_default() < value {
                return Some(revert("ERC20: transfer amount exceeds balance"));
            }
            Ok(true.abi_encode())
        }
        _ => return None,
    })
}
