//! Attachments: files that go with payouts, kept under their digest; and the random bytes that keys are made of.
//!
//! Deliberately absent: names and media types (the payout has those), and removing: a payout of which a file is kept may
//! have to be opened once more.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::chain::B256;

/// Keeps files.
#[async_trait]
pub trait Attachments: Send + Sync {
    /// Keeps a file, and returns the SHA-256 of its bytes. Durable when it returns; keeping the same bytes again changes
    /// nothing.
    async fn put(&self, bytes: Vec<u8>) -> Result<B256, AttachmentError>;

    /// The file with this digest, of exactly the bytes that were kept.
    async fn get(&self, digest: B256) -> Result<Vec<u8>, AttachmentError>;
}

/// Gives random bytes that nobody can guess and that never come twice.
pub trait Entropy: Send + Sync {
    /// Sixteen of them.
    ///
    /// # Errors
    /// The operating system has none to give.
    fn bytes(&self) -> Result<[u8; 16], EntropyError>;
}

/// Why there are no random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct EntropyError(pub String);

/// What went wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttachmentError {
    /// There is none with this digest.
    #[error("no file with the digest {0} is kept here")]
    Missing(B256),
    /// What is kept under the digest is something else: a person must look.
    #[error("the file kept under the digest {0} has other content: it was changed, or its disk is broken")]
    Changed(B256),
    /// The disk failed: try again.
    #[error("the file could not be {verb}: {detail}")]
    Failed {
        /// What was done, such as `read`.
        verb: &'static str,
        /// Why it failed.
        detail: String,
    },
}
