//! Keys for tests, and what they sign. None of them has ever held anything.

use alloy::primitives::{Address, B256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use rampwatch::ports::sender::{Sender, SignedTx, TxSpec};
use rampwatch::ports::signer::DigestSignature;

/// A key.
pub(crate) struct Key(PrivateKeySigner);

impl Key {
    /// The key made of this byte.
    pub(crate) fn of(byte: u8) -> Self {
        Self(PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap())
    }

    /// Its address.
    pub(crate) fn address(&self) -> Address {
        self.0.address()
    }

    /// Signs a digest.
    pub(crate) fn sign(&self, digest: B256) -> DigestSignature {
        let signature = self.0.sign_hash_sync(&digest).unwrap();
        DigestSignature { r: signature.r().into(), s: signature.s().into(), y_is_odd: signature.v() }
    }

    /// A signed transaction.
    pub(crate) fn signed(&self, sender: &dyn Sender, spec: &TxSpec) -> SignedTx {
        sender.assemble(spec, &self.sign(sender.digest(spec))).unwrap()
    }
}
