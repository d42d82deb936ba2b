//! Which files may go with a payout.

use thiserror::Error;

/// What files may be. Bytes are counted as they are on the disk, before they are encoded for the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Their media types.
    pub types: Vec<String>,
    /// The most bytes of one.
    pub max_bytes: u64,
    /// The most that go with one payout.
    pub max_files: usize,
}

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FileRefusal {
    /// Nothing is in it.
    #[error("the file is empty")]
    Empty,
    #[error("the file has {bytes} bytes; at most {most} are taken (payouts.max_file_bytes)")]
    TooLarge { bytes: u64, most: u64 },
    /// It is of another kind.
    #[error("{media_type:?} is none of the media types that are taken: {} (payouts.file_types)", taken.join(", "))]
    Type {
        /// What it is said to be.
        media_type: String,
        taken: Vec<String>,
    },
    /// It is not what it is said to be.
    #[error("the file is said to be {media_type}, and does not begin like one")]
    Content {
        /// What it is said to be.
        media_type: String,
    },
}

/// Whether a file may go with a payout.
///
/// # Errors
/// The first thing that stands against it.
pub fn check_file(media_type: &str, content: &[u8], limits: &FileLimits) -> Result<(), FileRefusal> {
    let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
    if !limits.types.iter().any(|taken| taken == media_type) {
        let media_type = media_type.chars().take(80).collect();
        return Err(FileRefusal::Type { media_type, taken: limits.types.clone() });
    }
    if bytes == 0 {
        return Err(FileRefusal::Empty);
    }
    if bytes > limits.max_bytes {
        return Err(FileRefusal::TooLarge { bytes, most: limits.max_bytes });
    }
    let begins: &[u8] = match media_type {
        "application/pdf" => b"%PDF-",
        "image/png" => b"\x89PNG\r\n\x1a\n",
        "image/jpeg" => b"\xff\xd8\xff",
        _ => b"",
    };
    if !content.starts_with(begins) {
        return Err(FileRefusal::Content { media_type: media_type.to_owned() });
    }
    Ok(())
}
