//! A private key. It is wiped from memory when it is dropped, and nothing prints it.

use std::fmt;

use alloy::primitives::hex;
use k256::ecdsa::SigningKey;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::chain::{Address, B256};
use crate::ports::signer::{DigestSignature, SignerError};

pub(super) const KEY_BYTES: usize = 32;

/// How often chance is asked for a key. One draw in 2^128 is none, so a second one says that chance is broken.
const DRAWS: usize = 4;

/// Why something is no private key: the rest of a sentence that starts with where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not 32 bytes in hexadecimal.
    #[error("holds no private key: give 64 hexadecimal digits, with or without 0x, and nothing else")]
    NotHex,
    /// Zero, or not below the curve's order.
    #[error("holds a number that is no private key of secp256k1")]
    OutOfRange,
}

/// A secp256k1 private key.
pub struct PrivateKey(SigningKey);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.address()).finish()
    }
}

impl PrivateKey {
    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn random() -> Result<Self, String> {
        for _ in 0..DRAWS {
            let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
            getrandom::fill(bytes.as_mut_slice()).map_err(|error| format!("no random numbers: {error}"))?;
            if let Ok(key) = Self::from_bytes(bytes.as_slice()) {
                return Ok(key);
            }
        }
        Err("the system's random numbers make no key".to_owned())
    }

    /// From hexadecimal digits, with or without `0x`; a line end after them is left away.
    ///
    /// # Errors
    /// When it is no key.
    pub fn from_hex(text: &SecretString) -> Result<Self, KeyError> {
        let digits = text.expose_secret().trim_end_matches(['\r', '\n']);
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| KeyError::NotHex)?;
        Self::from_bytes(bytes.as_slice())
    }

    /// From its bytes, the highest first.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| KeyError::OutOfRange)
    }

    /// Its bytes, the highest first.
    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The address of the account that it controls.
    #[must_use]
    pub fn address(&self) -> Address {
        let point = self.0.verifying_key().to_encoded_point(false);
        // The first byte only says that the point is written in full.
        Address::from_raw_public_key(point.as_bytes().get(1..).unwrap_or_default())
    }

    /// Signs a digest. The same digest gives the same signature (RFC 6979), with `s` in the lower half (EIP-2).
    ///
    /// # Errors
    /// When the curve has no signature for it, which for a hash does not come up.
    pub fn sign(&self, digest: B256) -> Result<DigestSignature, SignerError> {
        let refused = |why: &str| SignerError::Refused(why.to_owned());
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(digest.as_slice())
            .map_err(|_| refused("the digest cannot be signed with this key"))?;
        // Ethereum's signatures can say whether y is odd, not that x was above the order.
        if recovery.is_x_reduced() {
            return Err(refused("the digest's signature cannot be written as Ethereum writes them"));
        }
        let (r, s) = signature.split_bytes();
        Ok(DigestSignature {
            r: B256::from(<[u8; KEY_BYTES]>::from(r)),
            s: B256::from(<[u8; KEY_BYTES]>::from(s)),
            y_is_odd: recovery.is_y_odd(),
        })
    }
}
