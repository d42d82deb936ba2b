//! The form of a backup: one file that can be written and read from one end to the other, in bounded memory.
//!
//! ```text
//! rampwatch store backup\n          so that a person who looks at the file knows what it is
//! H  the header, as JSON
//! R  a key and its value            as often as the header says, in the order of the keys
//! A  the name of an attachment      as often as the header says, in the order of the names
//! C  a part of that attachment      as often as it takes
//! E  the SHA-256 of every byte before this frame; nothing follows it
//! ```
//!
//! Each frame is a letter, two lengths (32 bits, big-endian) and as many bytes for each.
//!
//! Deliberately absent: compression and encryption, which other tools do better on the whole file.

use std::io::{self, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::domain::time::Timestamp;

/// The version of this form that is written, and the newest that is read.
pub const BACKUP_FORMAT: u32 = 1;

/// What every backup begins with.
const MAGIC: &[u8] = b"rampwatch store backup\n";

/// The most bytes of each part of a frame. A stored record has at most 16 KiB; what is larger is no frame of ours.
const MAX_PART: usize = 64 * 1024;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHeader {
    /// The version of the backup's own form.
    pub format: u32,
    /// The schema version of the store that it was made of.
    pub schema: u64,
    /// How many keys it holds.
    pub records: u64,
    /// How many attachments it holds.
    pub attachments: u64,
    /// When it was made (our clock).
    pub made_at: Timestamp,
    /// The version of the program that made it.
    pub program: String,
}

/// Why a file is no backup that can be used.
#[derive(Debug, Error)]
pub enum FrameError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A newer program wrote it.
    #[error(
        "it has format {0}, and this rampwatch knows formats up to {BACKUP_FORMAT}: use the newer rampwatch that wrote it"
    )]
    Newer(u32),
    /// It is not as a backup is.
    #[error("{0}")]
    Broken(String),
}

fn broken(what: impl Into<String>) -> FrameError {
    FrameError::Broken(what.into())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A key of the tree.
    Record { key: Vec<u8>, value: Vec<u8> },
    /// An attachment begins.
    Attachment {
        /// The name of its file.
        name: String,
    },
    /// More of the attachment that began last.
    Part(Vec<u8>),
}

pub(super) struct FrameWriter<W> {
    to: W,
    digest: Sha256,
}

impl<W: Write> FrameWriter<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// The system's, as for all that follow.
    pub(super) fn new(to: W, header: &BackupHeader) -> io::Result<Self> {
        let mut writer = Self { to, digest: Sha256::new() };
        writer.put(MAGIC)?;
        let header = serde_json::to_vec(header).map_err(io::Error::other)?;
        writer.frame(b'H', &header, &[])?;
        Ok(writer)
    }

    /// Adds a frame.
    pub(super) fn add(&mut self, frame: &Frame) -> io::Result<()> {
        match frame {
            Frame::Record { key, value } => self.frame(b'R', key, value),
            Frame::Attachment { name } => self.frame(b'A', name.as_bytes(), &[]),
            Frame::Part(bytes) => self.frame(b'C', bytes, &[]),
        }
    }

    /// Ends it, and gives back what was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let digest = self.digest.clone().finalize();
        self.frame(b'E', &digest, &[])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn frame(&mut self, letter: u8, first: &[u8], second: &[u8]) -> io::Result<()> {
        let length = |part: &[u8]| match u32::try_from(part.len()) {
            Ok(length) if part.len() <= MAX_PART => Ok(length.to_be_bytes()),
            _ => Err(io::Error::other(format!("{} bytes are more than a backup's frame can hold", part.len()))),
        };
        let (one, two) = (length(first)?, length(second)?);
        self.put(&[&[letter][..], &one, &two, first, second].concat())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.to.write_all(bytes)
    }
}

/// Reads a backup. What it gives may be believed once it has given `None`: until then the digest is not compared.
pub(super) struct FrameReader<R> {
    from: R,
    digest: Sha256,
    header: BackupHeader,
    records: u64,
    attachments: u64,
    last_key: Option<Vec<u8>>,
    last_name: Option<String>,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is no backup, or one of a newer form.
    pub(super) fn new(mut from: R) -> Result<Self, FrameError> {
        let mut digest = Sha256::new();
        let mut magic = [0; MAGIC.len()];
        take(&mut from, &mut magic).map_err(|error| match error {
            FrameError::Io(error) => FrameError::Io(error),
            _ => broken("it does not begin as a backup of rampwatch's store"),
        })?;
        if magic != MAGIC {
            return Err(broken("it does not begin as a backup of rampwatch's store"));
        }
        digest.update(magic);
        let (letter, json, rest) = raw_frame(&mut from, &mut digest)?;
        if letter != b'H' || !rest.is_empty() {
            return Err(broken("it has no header"));
        }
        // Only the format is read first: what else a newer header has is not known here.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| broken(format!("its header cannot be read: {error}"));
        let Format { format } = serde_json::from_slice(&json).map_err(unreadable)?;
        if format > BACKUP_FORMAT {
            return Err(FrameError::Newer(format));
        }
        let header = serde_json::from_slice(&json).map_err(unreadable)?;
        let (last_key, last_name) = (None, None);
        Ok(Self { from, digest, header, records: 0, attachments: 0, last_key, last_name, ended: false })
    }

    /// What the backup says of itself.
    pub(super) const fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// The next frame; `None` at the end, once digest and counts are found right.
    ///
    /// # Errors
    /// What is there is not what was written.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.ended {
            return Ok(None);
        }
        let so_far = self.digest.clone();
        let (letter, first, second) = raw_frame(&mut self.from, &mut self.digest)?;
        match letter {
            b'R' => self.record(first, second).map(Some),
            b'A' => self.attachment(first).map(Some),
            b'C' if self.attachments > 0 => Ok(Some(Frame::Part(first))),
            b'E' => self.end(so_far, &first).map(|()| None),
            _ => Err(broken("it has something in it that no backup has")),
        }
    }

    fn record(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<Frame, FrameError> {
        if self.attachments > 0 || self.last_key.as_ref().is_some_and(|last| *last >= key) {
            return Err(broken(format!("its key {} is out of order", key.escape_ascii())));
        }
        self.records = self.records.saturating_add(1);
        self.last_key = Some(key.clone());
        Ok(Frame::Record { key, value })
    }

    fn attachment(&mut self, name: Vec<u8>) -> Result<Frame, FrameError> {
        let name = String::from_utf8(name).ok().filter(|name| is_plain(name));
        let name = name.ok_or_else(|| broken("it names an attachment as none is named"))?;
        if self.last_name.as_ref().is_some_and(|last| *last >= name) {
            return Err(broken(format!("its attachment {name} is out of order")));
        }
        self.attachments = self.attachments.saturating_add(1);
        self.last_name = Some(name.clone());
        Ok(Frame::Attachment { name })
    }

    fn end(&mut self, so_far: Sha256, stated: &[u8]) -> Result<(), FrameError> {
        self.ended = true;
        if so_far.finalize().as_slice() != stated {
            return Err(broken("its digest is not that of what is in it: it was changed or damaged"));
        }
        let (records, attachments) = (self.header.records, self.header.attachments);
        if (records, attachments) != (self.records, self.attachments) {
            return Err(broken(format!(
                "it says that it has {records} keys and {attachments} attachments, and has {} and {}",
                self.records, self.attachments
            )));
        }
        match self.from.read(&mut [0; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(broken("something follows its end")),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a name can be that of an attachment's file: one plain name, which leads nowhere else.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.bytes().all(plain)
}

fn raw_frame(from: &mut impl Read, digest: &mut Sha256) -> Result<(u8, Vec<u8>, Vec<u8>), FrameError> {
    let (mut letter, mut one, mut two) = ([0; 1], [0; 4], [0; 4]);
    for part in [&mut letter[..], &mut one, &mut two] {
        take(from, part)?;
        digest.update(&*part);
    }
    let mut part = |length: [u8; 4]| {
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_PART {
            return Err(broken("it has something in it that no backup has"));
        }
        let mut bytes = vec![0; length];
        take(from, &mut bytes)?;
        digest.update(&bytes);
        Ok(bytes)
    };
    let [letter] = letter;
    Ok((letter, part(one)?, part(two)?))
}

fn take(from: &mut impl Read, into: &mut [u8]) -> Result<(), FrameError> {
    from.read_exact(into).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => broken("it is cut off: its end is missing"),
        _ => error.into(),
    })
}
