//! What can be wrong with a key or its keystore. No message holds a key, a password, or a part of a file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::key::KeyError;
use crate::domain::chain::Address;

/// Why there is no key, or no keystore.
#[derive(Debug, Error)]
pub enum KeystoreError {
    /// There is no such file.
    #[error("there is no keystore {}: make one with `rampwatch wallet new` or `rampwatch wallet import`", .0.display())]
    Missing(PathBuf),
    /// There is something already, and a keystore is never overwritten.
    #[error("{} is there already, and a key is never overwritten: name another file; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// Others can reach it.
    #[error(
        "the keystore {path} can be reached by others (mode {mode:04o}): make it private with chmod 600 {path}; {mounted}",
        path = .path.display(),
        mounted = crate::private::MOUNTED
    )]
    Open { path: PathBuf, mode: u32 },
    #[error("the keystore {} cannot be {verb}: {source}", .path.display())]
    Refused { path: PathBuf, verb: &'static str, source: io::Error },
    /// What is in it does not give the key.
    #[error("the keystore {} {fault}{}", .path.display(), .doubt.map(|doubt| format!("; mind that {doubt}")).unwrap_or_default())]
    Unusable {
        path: PathBuf,
        fault: Fault,
        /// What may be wrong with the password, where it is that.
        doubt: Option<&'static str>,
    },
    /// A keystore is not to be closed with nothing.
    #[error("the password is empty: a keystore needs one")]
    EmptyPassword,
    /// What was given as a key is none.
    #[error("{whence} {fault}")]
    Key { whence: String, fault: KeyError },
    /// It is the key of another wallet than the configured one.
    #[error("the key is that of {actual}, but wallet.address says {expected}: give the other key, or mend the address")]
    OtherWallet {
        expected: Address,
        /// The key's address.
        actual: Address,
    },
    /// The system gives no random numbers, or the work was broken off.
    #[error("the key cannot be worked on: {0}")]
    System(String),
}

/// What is wrong with a keystore's content: the rest of a sentence that starts with the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// It is not what it should be.
    #[error("is no keystore that can be read: {0}")]
    Malformed(String),
    /// Opening it would take too much time or memory.
    #[error("asks for more work than any sound keystore does ({0}): it is not opened")]
    TooCostly(String),
    /// The password, or the file, was changed. Nobody can tell which.
    #[error("does not open: the password is wrong, or the file was changed")]
    WrongPassword,
    /// The address in it is not its key's.
    #[error("says it is for {stated}, but its key is that of {actual}: it was put together wrongly or changed")]
    OtherAddress {
        stated: Address,
        /// The key's address.
        actual: Address,
    },
}
