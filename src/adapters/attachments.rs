//! Attachments as files: `<store>/attachments/<sha-256 in hex>`, closed to others, on the disk when that is said.
//!
//! A file is written under another name and then renamed, so that what bears a digest's name is whole. Deliberately absent:
//! removing files, and any index: the name says what is in it, and that is checked each time it is read.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::domain::chain::B256;
use crate::ports::attachments::{AttachmentError, Attachments};
use crate::private;

/// The most bytes that are read of a file: more than any that was ever taken.
const MAX_BYTES: u64 = 32 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentSettings {
    /// The folder; made with the first file.
    pub folder: PathBuf,
}

/// Files in a folder.
#[derive(Clone, Debug)]
pub struct AttachmentFiles {
    settings: AttachmentSettings,
}

impl AttachmentFiles {
    /// Opens nothing yet.
    #[must_use]
    pub const fn new(settings: AttachmentSettings) -> Self {
        Self { settings }
    }
}

fn digest_of(bytes: &[u8]) -> B256 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    B256::new(digest)
}

/// The name of the file with this digest.
fn name_of(digest: B256) -> String {
    let text = digest.to_string();
    text.strip_prefix("0x").unwrap_or(&text).to_owned()
}

fn failed(verb: &'static str) -> impl Fn(io::Error) -> AttachmentError {
    move |error| AttachmentError::Failed { verb, detail: error.to_string() }
}

fn put(folder: &Path, bytes: &[u8]) -> Result<B256, AttachmentError> {
    let digest = digest_of(bytes);
    match get(folder, digest) {
        Ok(_) => return Ok(digest),
        // What is missing is written; what was changed is mended.
        Err(AttachmentError::Missing(_) | AttachmentError::Changed(_)) => {}
        Err(error) => return Err(error),
    }
    write(folder, &name_of(digest), bytes).map_err(failed("kept"))?;
    Ok(digest)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    private::make_folder(folder)?;
    private::sync_folder(private::folder_of(folder))?;
    private::replace(&folder.join(name), bytes)
}

fn get(folder: &Path, digest: B256) -> Result<Vec<u8>, AttachmentError> {
    let path = folder.join(name_of(digest));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(AttachmentError::Missing(digest)),
        Err(error) => return Err(failed("read")(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed("read"))?;
    if digest_of(&bytes) == digest { Ok(bytes) } else { Err(AttachmentError::Changed(digest)) }
}

#[async_trait]
impl Attachments for AttachmentFiles {
    async fn put(&self, bytes: Vec<u8>) -> Result<B256, AttachmentError> {
        let folder = self.settings.folder.clone();
        tokio::task::spawn_blocking(move || put(&folder, &bytes)).await.map_err(broken_off("kept"))?
    }

    async fn get(&self, digest: B256) -> Result<Vec<u8>, AttachmentError> {
        let folder = self.settings.folder.clone();
        tokio::task::spawn_blocking(move || get(&folder, digest)).await.map_err(broken_off("read"))?
    }
}

/// A task may be dropped with the runtime.
fn broken_off(verb: &'static str) -> impl Fn(tokio::task::JoinError) -> AttachmentError {
    move |error| AttachmentError::Failed { verb, detail: error.to_string() }
}
