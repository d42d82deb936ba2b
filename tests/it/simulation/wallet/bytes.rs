//! A transaction of the wallet's account as bytes that can be told from every other, and read back. A seal stands in for
//! the signature: whoever has the key makes it, and two seals of one digest make two transactions.
//!
//! Deliberately absent: curves and RLP, which are the adapters' (tested against anvil).

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::order::{Fees, RawTransaction};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::sender::{TransferSpec, TxAction, TxSpec};

use super::super::rng::{Rng, fold};

/// How many seals one digest may bear.
const SEALS: u64 = 3;

/// A signed transaction, as a node reads it from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Its hash.
    pub(crate) hash: B256,
    /// What was signed.
    pub(crate) tx: TxSpec,
}

impl Signed {
    /// The most that a unit of gas may cost, in wei.
    pub(crate) const fn cap(&self) -> u128 {
        self.tx.fees.cap.get()
    }

    /// What the producer gets of it at most, in wei.
    pub(crate) const fn tip(&self) -> u128 {
        self.tx.fees.tip.get()
    }

    /// The transfer, unless it is a self-send.
    pub(crate) const fn transfer(&self) -> Option<&TransferSpec> {
        match &self.tx.action {
            TxAction::Transfer(transfer) => Some(transfer),
            TxAction::SelfSend { .. } => None,
        }
    }
}

/// What has to be signed.
pub(crate) fn digest(tx: &TxSpec) -> B256 {
    wide(&unsigned(tx))
}

/// A seal that the key's owner makes.
pub(crate) fn seal(wallet: Address, digest: B256, which: u64) -> B256 {
    let mut bytes = wallet.to_vec();
    bytes.extend(digest);
    bytes.extend((which % SEALS).to_be_bytes());
    wide(&bytes)
}

/// Whether the seal is one that the key's owner makes.
pub(crate) fn is_sealed(wallet: Address, digest: B256, by: B256) -> bool {
    (0..SEALS).any(|which| seal(wallet, digest, which) == by)
}

/// The signed bytes, and their hash.
pub(crate) fn write(tx: &TxSpec, seal: B256) -> (B256, RawTransaction) {
    let mut bytes = unsigned(tx);
    bytes.extend(seal);
    (wide(&bytes), RawTransaction(bytes.into()))
}

/// Reads signed bytes. `None`: no account of this simulation has signed them.
pub(crate) fn read(raw: &RawTransaction) -> Option<Signed> {
    let bytes: &[u8] = &raw.0;
    let mut rest = bytes;
    let chain_id = number(&mut rest)?;
    let nonce = number(&mut rest)?;
    let fees = Fees { cap: Wei::new(large(&mut rest)?), tip: Wei::new(large(&mut rest)?) };
    let gas_limit = number(&mut rest)?;
    let kind = number(&mut rest)?;
    let wallet = Address::from_slice(take(&mut rest, 20)?);
    let token = Address::from_slice(take(&mut rest, 20)?);
    let to = Address::from_slice(take(&mut rest, 20)?);
    let amount = Amount::from_base_units(large(&mut rest)?);
    let action = match kind {
        0 => TxAction::Transfer(TransferSpec { wallet, token, to, amount }),
        _ => TxAction::SelfSend { wallet },
    };
    let seal = B256::from_slice(take(&mut rest, 32)?);
    let tx = TxSpec { chain_id, nonce, fees, gas_limit, action };
    (rest.is_empty() && is_sealed(wallet, digest(&tx), seal)).then(|| Signed { hash: wide(bytes), tx })
}

fn unsigned(tx: &TxSpec) -> Vec<u8> {
    let (kind, wallet, token, to, amount) = match tx.action {
        TxAction::Transfer(it) => (0_u64, it.wallet, it.token, it.to, it.amount.base_units()),
        TxAction::SelfSend { wallet } => (1, wallet, Address::ZERO, wallet, 0),
    };
    let mut bytes = Vec::new();
    bytes.extend(tx.chain_id.to_be_bytes());
    bytes.extend(tx.nonce.to_be_bytes());
    bytes.extend(tx.fees.cap.get().to_be_bytes());
    bytes.extend(tx.fees.tip.get().to_be_bytes());
    bytes.extend(tx.gas_limit.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    for address in [wallet, token, to] {
        bytes.extend(address);
    }
    bytes.extend(amount.to_be_bytes());
    bytes
}

/// A hash: wide enough that no two texts of one simulation share it.
fn wide(bytes: &[u8]) -> B256 {
    Rng::stream(fold(bytes), "hash").hash()
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8)?.try_into().ok().map(u64::from_be_bytes)
}

fn large(rest: &mut &[u8]) -> Option<u128> {
    take(rest, 16)?.try_into().ok().map(u128::from_be_bytes)
}
