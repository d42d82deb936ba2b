//! From what a transaction is to do, to what has to be signed, to the signed bytes. Pure.
//!
//! Every field is set here; nothing is filled in by a library. Deliberately absent: transactions of any other type
//! than EIP-1559, and any other call than the token's `transfer`.

use alloy::consensus::{SignableTransaction as _, TxEip1559};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy::sol_types::SolCall as _;

use crate::domain::order::RawTransaction;
use crate::ports::sender::{SenderError, SignedTx, TransferSpec, TxAction, TxSpec};
use crate::ports::signer::DigestSignature;

use super::decode::abi;

/// The call data of a transfer.
pub(super) fn call_data(transfer: &TransferSpec) -> Bytes {
    let value = U256::from(transfer.amount.base_units());
    abi::Usdc::transferCall { to: transfer.to, value }.abi_encode().into()
}

/// The transaction without its signature.
fn unsigned(tx: &TxSpec) -> TxEip1559 {
    let (to, input) = match &tx.action {
        TxAction::Transfer(transfer) => (transfer.token, call_data(transfer)),
        TxAction::SelfSend { wallet } => (*wallet, Bytes::new()),
    };
    TxEip1559 {
        chain_id: tx.chain_id,
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        max_fee_per_gas: tx.fees.cap.get(),
        max_priority_fee_per_gas: tx.fees.tip.get(),
        to: TxKind::Call(to),
        value: U256::ZERO,
        access_list: alloy::eips::eip2930::AccessList::default(),
        input,
    }
}

/// Whose transaction it is.
const fn wallet(action: &TxAction) -> Address {
    match action {
        TxAction::Transfer(transfer) => transfer.wallet,
        TxAction::SelfSend { wallet } => *wallet,
    }
}

/// What has to be signed: the hash that EIP-1559 defines.
pub(super) fn digest(tx: &TxSpec) -> B256 {
    unsigned(tx).signature_hash()
}

/// The signed transaction. The signer is recovered from the signature first: bytes that another key has signed would
/// spend another wallet's money, or nobody's.
pub(super) fn assemble(tx: &TxSpec, signature: &DigestSignature) -> Result<SignedTx, SenderError> {
    let wallet = wallet(&tx.action);
    let wrong = |detail: String| SenderError::WrongSigner { wallet, detail };
    let unsigned = unsigned(tx);
    let signature = Signature::from_scalars_and_parity(signature.r, signature.s, signature.y_is_odd);
    // Each signature has a twin with the other half of the curve's order, under another transaction hash (EIP-2).
    if signature.normalize_s().is_some() {
        return Err(wrong("its s value is in the upper half of the curve's order".to_owned()));
    }
    let signer = signature
        .recover_address_from_prehash(&unsigned.signature_hash())
        .map_err(|error| wrong(format!("no key has made it ({error})")))?;
    if signer != wallet {
        return Err(wrong(format!("it was made with the key of {signer}")));
    }
    let signed = unsigned.into_signed(signature);
    Ok(SignedTx { hash: *signed.hash(), raw: RawTransaction(signed.encoded_2718().into()) })
}

#[cfg(test)]
#[path = "tx_tests.rs"]
mod tests;
