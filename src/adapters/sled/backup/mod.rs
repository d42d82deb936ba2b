//! One file that holds everything that a store holds, and back.
//!
//! A backup is made of a store that nobody has open: the database belongs to one process. It appears under its name as a
//! whole or not at all, and never takes another file's place. A restored store says what the other one said, key for key.
//!
//! Deliberately absent: merging. A backup is restored where no store is.

use std::fs::{DirEntry, File};
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

mod frames;
mod restore;

pub use self::frames::{BACKUP_FORMAT, BackupHeader, FrameError};
pub use self::restore::restore;

use self::frames::{Frame, FrameReader, FrameWriter};
use super::open::{self, Opened, StoreOpenError};
use crate::domain::time::Timestamp;
use crate::private::{self, Draft};

/// The folder of a store that holds the files that people attached.
const ATTACHMENTS: &str = "attachments";

/// How many bytes of an attachment are read at once.
const PART: usize = 32 * 1024;

/// Why no backup was made, or nothing restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The store cannot be opened.
    #[error("{0}")]
    Store(#[from] StoreOpenError),
    /// Something is there already.
    #[error("{} is there already, and nothing is ever overwritten: name another place", .0.display())]
    Exists(PathBuf),
    /// The backup would lie in the store that it is made of.
    #[error("{} lies in the store's own folder: a backup belongs elsewhere, best on another disk", .0.display())]
    Inside(PathBuf),
    /// The place for the store is not empty.
    #[error("{} holds something already: a store is restored where nothing is; move that away, or name another folder with --into", .0.display())]
    Occupied(PathBuf),
    /// What an earlier try left behind is not what such a try leaves.
    #[error("{} is in the way: another restore may be under way; else remove it", .0.display())]
    InTheWay(PathBuf),
    /// The file is no backup that can be used.
    #[error("{} cannot be used as a backup: {error}", file.display())]
    Unusable { file: PathBuf, error: FrameError },
    /// A newer program made it.
    #[error("the backup {} has schema version {found}, and this rampwatch knows versions up to {known}: use the newer rampwatch that made it", file.display())]
    NewerSchema {
        file: PathBuf,
        /// The version that was found.
        found: u64,
        /// The newest version known here.
        known: u64,
    },
    /// What was written reads otherwise.
    #[error("what was restored from {} does not read as the backup does: {what}; nothing was kept", file.display())]
    Differs { file: PathBuf, what: String },
    #[error("{what} {}: {source}", path.display())]
    Refused { what: &'static str, path: PathBuf, source: io::Error },
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Refused { what, path, source }
}

/// Writes everything that the store in the folder holds into a new file with mode 0600. When it returns, both the file
/// and its name are on the disk. Blocks.
///
/// # Errors
/// See [`BackupError`]. Nothing is left behind then.
pub fn back_up(store: &Path, file: &Path, made_at: Timestamp) -> Result<BackupHeader, BackupError> {
    let folder = private::folder_of(file);
    refuse_inside(store, folder, file)?;
    if std::fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let (opened, schema, lost) = open::open_as_it_is(store)?;
    if let Some(lost) = lost {
        tracing::warn!(store = %store.display(), %lost, "the store holds less than it acknowledged, and so does this backup");
    }
    let (draft, header) = write(&opened, schema, store, file, made_at)?;
    draft.create().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => refused("the backup cannot be given its name", file)(error),
    })?;
    Ok(header)
}

/// Reads a backup from one end to the other, and tells what it says of itself. Blocks.
///
/// # Errors
/// It is no backup, damaged, or of a newer program.
pub fn verify(file: &Path) -> Result<BackupHeader, BackupError> {
    let unusable = |error| unusable(file, error);
    let mut reader = FrameReader::new(reading(file)?).map_err(unusable)?;
    let mut schema = None;
    while let Some(frame) = reader.next().map_err(unusable)? {
        if let Frame::Record { key, value } = frame
            && key == super::keys::SCHEMA
        {
            schema = Some(open::schema_version(&value).map_err(|why| unusable(FrameError::Broken(why)))?);
        }
    }
    let header = reader.header().clone();
    if schema != Some(header.schema) {
        let why = format!("its header says schema version {}, and what is in it says otherwise", header.schema);
        return Err(unusable(FrameError::Broken(why)));
    }
    if header.schema > open::SCHEMA_VERSION {
        let (found, known) = (header.schema, open::SCHEMA_VERSION);
        return Err(BackupError::NewerSchema { file: file.to_owned(), found, known });
    }
    Ok(header)
}

fn unusable(file: &Path, error: FrameError) -> BackupError {
    BackupError::Unusable { file: file.to_owned(), error }
}

fn reading(file: &Path) -> Result<BufReader<File>, BackupError> {
    let refused = || refused("the backup cannot be read:", file);
    // Only a plain file is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(file).map_err(refused())?.is_file() {
        return Err(unusable(file, FrameError::Broken("it is not a file".to_owned())));
    }
    File::open(file).map(BufReader::new).map_err(refused())
}

fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    private::sync_folder(folder).map_err(refused("the folder cannot be made durable:", folder))
}

fn refuse_inside(store: &Path, folder: &Path, file: &Path) -> Result<(), BackupError> {
    let folder = folder.canonicalize().map_err(refused("the backup's folder cannot be used:", folder))?;
    // A store that cannot be looked at is told of when it is opened.
    match store.canonicalize() {
        Ok(store) if folder.starts_with(&store) => Err(BackupError::Inside(file.to_owned())),
        _ => Ok(()),
    }
}

fn write(
    opened: &Opened,
    schema: u64,
    store: &Path,
    file: &Path,
    made_at: Timestamp,
) -> Result<(Draft, BackupHeader), BackupError> {
    let unwritten = || refused("the backup cannot be written:", file);
    let attachments = attachments(store)?;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let header = BackupHeader {
        format: BACKUP_FORMAT,
        schema,
        records: count(opened.db.len()),
        attachments: count(attachments.len()),
        made_at,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let draft = Draft::beside(file).map_err(unwritten())?;
    let mut writer = FrameWriter::new(draft, &header).map_err(unwritten())?;
    for entry in opened.db.iter() {
        let (key, value) = entry.map_err(|error| unreadable(store, &error))?;
        let record = Frame::Record { key: key.to_vec(), value: value.to_vec() };
        writer.add(&record).map_err(unwritten())?;
    }
    for (name, path) in attachments {
        writer.add(&Frame::Attachment { name }).map_err(unwritten())?;
        let unread = || refused("an attachment cannot be read:", &path);
        let mut from = File::open(&path).map_err(unread())?;
        let mut part = vec![0; PART];
        loop {
            let read = from.read(&mut part).map_err(unread())?;
            let Some(read) = part.get(..read).filter(|read| !read.is_empty()) else { break };
            writer.add(&Frame::Part(read.to_vec())).map_err(unwritten())?;
        }
    }
    Ok((writer.finish().map_err(unwritten())?, header))
}

/// What the database says when it cannot read its own files.
fn unreadable(store: &Path, error: &::sled::Error) -> BackupError {
    StoreOpenError::Unreadable { path: store.to_owned(), reason: error.to_string() }.into()
}

/// The attachments in the store's folder, by the names of their files. A draft, whose name begins with a dot, is none.
fn attachments(store: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let folder = store.join(ATTACHMENTS);
    let unread = || refused("the attachments cannot be listed in", &folder);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread()(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry: DirEntry = entry.map_err(unread())?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if !frames::is_plain(&name) || !entry.file_type().map_err(unread())?.is_file() {
            let strange = io::Error::other("it is not named as an attachment is, or no file");
            return Err(refused("something cannot be backed up:", &entry.path())(strange));
        }
        found.push((name, entry.path()));
    }
    found.sort_unstable();
    Ok(found)
}
