//! The hot wallet's key in this process: read from a keystore file, or, for a rehearsal, from a raw key.
//!
//! A keystore is a Web3 secret storage file, version 3, as geth and Foundry write them. What is written here has mode
//! 0600 and geth's standard scrypt cost; what is read must be closed to others and must not cost much more than that.
//!
//! Deliberately absent: what a transaction is, key services (each will be an adapter of its own behind the same port),
//! derived keys and mnemonics (one wallet, one key), and keystores of other versions.

mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod kdf;
mod key;
mod keystore;
mod local;

pub use error::{Fault, KeystoreError};
pub use key::{KeyError, PrivateKey};
pub use local::{KeyOrigin, LocalSigner, SignerSettings, create, import, stated_address};
