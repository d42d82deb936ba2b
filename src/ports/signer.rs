//! The signer: holds the key of the hot wallet, so that nobody else has to.
//!
//! It signs digests, because that is all that a key service does: a keystore is behind it today, AWS and GCP KMS can
//! come. Deliberately absent: the key itself, and anything that knows what a transaction is.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::chain::{Address, B256};

/// A secp256k1 signature over a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestSignature {
    /// The `r` value.
    pub r: B256,
    /// The `s` value, in the lower half of the curve's order (EIP-2).
    pub s: B256,
    /// Whether the curve point's `y` is odd.
    pub y_is_odd: bool,
}

/// Signs with one key.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The address of the key.
    fn address(&self) -> Address;

    /// Signs a digest. The same digest may give the same signature or another; both are valid.
    async fn sign(&self, digest: B256) -> Result<DigestSignature, SignerError>;
}

/// What went wrong with the signer. Messages hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignerError {
    /// It cannot be reached right now: try again later.
    #[error("the signer cannot be reached: {0}")]
    Unavailable(String),
    /// It will not sign: a person must look.
    #[error("the signer refused: {0}")]
    Refused(String),
}
