//! From a backup to a store: built in a folder beside the place, compared with the backup, and moved there as a whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ::sled::{Batch, Iter};

use super::frames::{Frame, FrameReader};
use super::{ATTACHMENTS, BackupError, BackupHeader, reading, refused, sync_folder, unreadable, unusable};
use crate::adapters::sled::open::{self, Opened};
use crate::private;

/// How many keys are written before they are made durable.
const BATCH: usize = 1_000;

/// The file that marks a folder as one that a restore is filling. It is the first to come and the last to go.
const MARK: &str = "restoring";

/// Makes the store that the backup was made of in a folder where nothing is. The folder appears as a whole, with
/// everything in it durable, or not at all. Blocks.
///
/// # Errors
/// See [`BackupError`]. The place is as it was then.
pub fn restore(file: &Path, into: &Path) -> Result<BackupHeader, BackupError> {
    must_be_free(into)?;
    // Read to its end once before anything is written, so that a file which is cut off costs nothing.
    super::verify(file)?;
    let parent = private::folder_of(into);
    private::make_folder(parent).map_err(refused("making the folder", parent))?;
    let building = beside(into);
    clear(&building)?;
    let built = build(file, &building);
    let header = match built {
        Ok(header) => header,
        Err(error) => {
            // What is half there is of no use; the next restore would clear it away too.
            drop(std::fs::remove_dir_all(&building));
            return Err(error);
        }
    };
    // A folder takes the place of an empty one, and of nothing else.
    std::fs::rename(&building, into).map_err(|error| match error.kind() {
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            BackupError::Occupied(into.to_owned())
        }
        _ => refused("the restored store cannot be moved to", into)(error),
    })?;
    sync_folder(parent)?;
    Ok(header)
}

fn must_be_free(into: &Path) -> Result<(), BackupError> {
    let occupied = || Err(BackupError::Occupied(into.to_owned()));
    match std::fs::read_dir(into) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                occupied()
            } else {
                Ok(())
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => occupied(),
        Err(error) => Err(refused("looking at", into)(error)),
    }
}

/// The folder in which the store is built.
fn beside(into: &Path) -> PathBuf {
    let mut name = into.as_os_str().to_owned();
    // `store/` and `store` are the same folder.
    if let Some(plain) = into.file_name() {
        name = into.with_file_name(plain).into_os_string();
    }
    name.push(".restoring");
    PathBuf::from(name)
}

/// Removes what a restore that was killed has left.
fn clear(building: &Path) -> Result<(), BackupError> {
    if std::fs::symlink_metadata(building).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(());
    }
    let in_the_way = || BackupError::InTheWay(building.to_owned());
    let Ok(mark) = OpenOptions::new().write(true).open(building.join(MARK)) else {
        // Killed before it was marked, it is empty; anything else is not ours.
        return std::fs::remove_dir(building).map_err(|_| in_the_way());
    };
    // Held by the restore that is under way, if one is.
    mark.try_lock().map_err(|_| in_the_way())?;
    std::fs::remove_dir_all(building).map_err(refused("what an earlier restore left cannot be removed:", building))
}

fn build(file: &Path, building: &Path) -> Result<BackupHeader, BackupError> {
    let unmade = || refused("the store cannot be restored in", building);
    DirBuilder::new().mode(0o700).create(building).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BackupError::InTheWay(building.to_owned()),
        _ => unmade()(error),
    })?;
    let marked = building.join(MARK);
    let mark = private::new_file(&marked).map_err(unmade())?;
    mark.try_lock().map_err(|_| BackupError::InTheWay(building.to_owned()))?;
    let mut opened = open::make_bare(building)?;
    let mut reader = FrameReader::new(reading(file)?).map_err(|error| unusable(file, error))?;
    fill(file, &mut reader, &opened, building)?;
    compare(file, &opened, building)?;
    open::say_made(building, &mut opened)?;
    drop(opened);
    sync_all(building)?;
    std::fs::remove_file(&marked).map_err(unmade())?;
    sync_folder(building)?;
    Ok(reader.header().clone())
}

fn fill(
    file: &Path,
    reader: &mut FrameReader<impl std::io::Read>,
    opened: &Opened,
    building: &Path,
) -> Result<(), BackupError> {
    let mut batch = Batch::default();
    let mut in_batch: usize = 0;
    let mut attachment = None;
    let unmade = || refused("the attachment cannot be restored in", building);
    let broken = |error: ::sled::Error| unreadable(building, &error);
    while let Some(frame) = reader.next().map_err(|error| unusable(file, error))? {
        match frame {
            Frame::Record { key, value } => {
                batch.insert(key, value);
                in_batch = in_batch.saturating_add(1);
                if in_batch >= BATCH {
                    opened.db.apply_batch(std::mem::take(&mut batch)).map_err(broken)?;
                    make_durable(opened, building)?;
                    in_batch = 0;
                }
            }
            Frame::Attachment { name } => {
                finish(attachment.take(), building)?;
                attachment = Some(begin(building, &name)?);
            }
            Frame::Part(bytes) => {
                if let Some(attachment) = &mut attachment {
                    attachment.write_all(&bytes).map_err(unmade())?;
                }
            }
        }
    }
    finish(attachment, building)?;
    opened.db.apply_batch(batch).map_err(broken)?;
    make_durable(opened, building)
}

fn make_durable(opened: &Opened, building: &Path) -> Result<(), BackupError> {
    opened.db.flush().map_err(|error| unreadable(building, &error))?;
    opened.file.sync_data().map_err(refused("the store cannot be made durable in", building))
}

fn begin(building: &Path, name: &str) -> Result<BufWriter<File>, BackupError> {
    let folder = building.join(ATTACHMENTS);
    let unmade = || refused("the attachment cannot be restored in", &folder);
    private::make_folder(&folder).map_err(unmade())?;
    private::new_file(&folder.join(name)).map(BufWriter::new).map_err(unmade())
}

fn finish(attachment: Option<BufWriter<File>>, building: &Path) -> Result<(), BackupError> {
    let Some(attachment) = attachment else { return Ok(()) };
    let file = attachment.into_inner().map_err(std::io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all()).map_err(refused("the attachment cannot be restored in", building))
}

/// Reads the new store against the backup, key for key: what the database gives back is what counts.
fn compare(file: &Path, opened: &Opened, building: &Path) -> Result<(), BackupError> {
    let mut reader = FrameReader::new(reading(file)?).map_err(|error| unusable(file, error))?;
    let mut stored: Iter = opened.db.iter();
    let differs = |what: String| BackupError::Differs { file: file.to_owned(), what };
    let mut next = || stored.next().transpose().map_err(|error| unreadable(building, &error));
    while let Some(frame) = reader.next().map_err(|error| unusable(file, error))? {
        if let Frame::Record { key, value } = frame {
            match next()? {
                Some((stored, kept)) if stored == key && kept == value => {}
                _ => return Err(differs(format!("the key {}", key.escape_ascii()))),
            }
        }
    }
    match next()? {
        None => Ok(()),
        Some((more, _)) => Err(differs(format!("there is a key {} more", more.escape_ascii()))),
    }
}

/// Makes every file and folder below durable. The database leaves some that it does not sync itself.
fn sync_all(folder: &Path) -> Result<(), BackupError> {
    let refused = || refused("the restored store cannot be made durable:", folder);
    for entry in std::fs::read_dir(folder).map_err(refused())? {
        let entry = entry.map_err(refused())?;
        if entry.file_type().map_err(refused())?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path()).and_then(|file| file.sync_all()).map_err(refused())?;
        }
    }
    sync_folder(folder)
}
