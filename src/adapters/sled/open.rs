//! Opening the store: one process at a time, a schema version that is known, nothing left that is not on the disk.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::sled::{Config, Db};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Settings;
use super::acknowledged::{self, Keeper, Kept, Mark};
use super::keys;
use super::leftovers;
use super::migrate::Migration;
use super::place;
use super::reader::{number_of, page};
use super::records::decode;
use crate::domain::coverage::FinalityMark;
use crate::ports::store::Lost;
use crate::private;

/// The version of the stored form that this program writes. Version 1 had no orders, and no index of the payments that
/// wait; version 2 had no further records; in version 3 each event had a record of its own.
pub const SCHEMA_VERSION: u64 = 4;

/// The unit in which the database writes and frees space. A page holds at most some 20 records, and one that is
/// larger than a quarter of this goes to a file of its own, which the database never syncs. So this is far more than four
/// times 20 times 16 KiB. It can never be changed for a store that exists.
const SEGMENT_BYTES: usize = 4 << 20;

/// The permission bits of group and others.
const OTHERS: u32 = 0o077;

/// All permission bits.
const MODE_BITS: u32 = 0o7777;

/// How long the database may take to let go of its own lock after a store was closed.
const LETTING_GO: Duration = Duration::from_secs(5);

/// More than is ever written in the lock file.
const LOCK_BYTES: u64 = 1 << 10;

/// The file that is locked while the store is open. What is written in it says that the store was made completely.
pub(super) const LOCK_FILE: &str = "lock";

/// What is written in the lock file.
const MADE: &[u8] = b"This folder is a store of rampwatch. The file is locked while rampwatch runs; leave it here.\n";

/// What is written behind it once there is a file that says how far the store has acknowledged.
const KEPT: &[u8] = b"How far it has acknowledged is kept in the file `acknowledged`; leave that here too.\n";

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum StoreOpenError {
    /// Another process has it open.
    #[error(
        "the store {path} is in use: another rampwatch runs on it; stop that one, or set store.path to another folder"
    )]
    Locked { path: PathBuf },
    /// A newer program wrote it.
    #[error(
        "the store {path} has schema version {found}, and this rampwatch knows versions up to {known}; use the newer rampwatch that wrote it"
    )]
    Newer {
        path: PathBuf,
        /// The version that was found.
        found: u64,
        /// The newest version known here.
        known: u64,
    },
    /// An older program wrote it, and it is not to be changed.
    #[error(
        "the store {path} has schema version {found}; `rampwatch list` takes it to version {known}, after which an older rampwatch refuses it: back it up first"
    )]
    Older {
        path: PathBuf,
        /// The version that was found.
        found: u64,
        /// The version of this program.
        known: u64,
    },
    /// The path is something else.
    #[error("store.path is {path}, which is not a folder")]
    NotAFolder { path: PathBuf },
    /// There is none, and none was to be made.
    #[error(
        "there is no store at {path} (store.path): has `rampwatch run` or `rampwatch add` been used with this configuration?"
    )]
    Missing { path: PathBuf },
    /// The folder could not be used or made.
    #[error("store.path is {path}, where no store can be kept: {at}: {source}")]
    Unusable {
        path: PathBuf,
        /// The file or folder that is in the way.
        at: PathBuf,
        source: io::Error,
    },
    /// The operating system refused.
    #[error("the store {path} cannot be opened: {what}: {source}")]
    Refused { path: PathBuf, what: &'static str, source: io::Error },
    /// Something is in the way that the next start moves out of it, and nothing was to be changed now.
    #[error(
        "the store {path} is not opened: its file {file} {why}. Nothing was changed; `rampwatch run` looks into it, puts aside what \
         no process will go on with, and goes on if nothing is missing"
    )]
    Leftover { path: PathBuf, file: String, why: &'static str },
    /// Something is in the way, and cannot be moved.
    #[error(
        "the store {path} cannot be opened: its file {file} is not whole, and cannot be moved to put-aside: {source}; move it \
         out of the folder yourself"
    )]
    NotPutAside { path: PathBuf, file: String, source: io::Error },
    /// There is something, but it cannot be read as a store.
    #[error("the store {path} cannot be read: {reason}; keep a copy of the folder before anything else")]
    Unreadable { path: PathBuf, reason: String },
}

/// What the store knows of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Schema {
    version: u64,
}

/// A store that has been opened.
pub(super) struct Opened {
    pub(super) db: Db,
    /// Its data file, for fdatasync.
    pub(super) file: File,
    /// Held as long as the store is open.
    pub(super) lock: File,
}

/// A store that is opened to be used.
pub(super) struct InUse {
    pub(super) opened: Opened,
    /// Keeps how far it acknowledges.
    pub(super) keeper: Keeper,
    /// What it lacks, if anything.
    pub(super) lost: Option<Lost>,
}

/// What becomes of files that are in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftovers {
    PutAside,
    /// They are named, and the store stays shut.
    Refuse,
}

/// Opens the store in the folder, or makes one.
///
/// # Errors
/// See [`StoreOpenError`].
pub(super) fn open(path: &Path, settings: &Settings, leftovers: Leftovers) -> Result<InUse, StoreOpenError> {
    make_folder(path)?;
    let (mut lock, found) = take_lock(path)?;
    let kept = acknowledged::read(path)?;
    match leftovers {
        Leftovers::PutAside => leftovers::clear(path, found.made, &kept, found.kept)?,
        Leftovers::Refuse => leftovers::must_be_none(path, found.made, &kept, found.kept)?,
    };
    let (db, file) = open_up(path, settings, found.made)?;
    if !found.made {
        sync_files(path, &db)?;
    }
    let held = last_event(&db).map_err(|error| broken(path, &error))?;
    let lost = acknowledged::lost(&kept, found.kept, held);
    if let Some(lost) = &lost {
        tracing::error!(store = %path.display(), %lost, "the store holds less than it acknowledged");
    }
    if let Kept::Damaged(why) = kept {
        leftovers::put_aside(path, acknowledged::FILE, why)?;
    }
    let keeper = Keeper::begin(path, &kept, mark(path, &file, held)?, lost)?;
    if !found.made || !found.kept {
        write_lock(path, &mut lock, &[MADE, KEPT].concat())?;
    }
    Ok(InUse { opened: Opened { db, file, lock }, keeper, lost })
}

/// The database with its data file, of this program's schema version.
fn open_up(path: &Path, settings: &Settings, made: bool) -> Result<(Db, File), StoreOpenError> {
    let db = open_database(path, settings)?;
    let data = path.join("db");
    let file = File::open(&data).map_err(refused(path, "opening the data file"))?;
    check_schema(&Migration { path, db: &db, file: &file }, made)?;
    check_finality(path, &db)?;
    Ok((db, file))
}

/// Opens the copy of a store in a folder of its own, to see whether it can be.
///
/// # Errors
/// See [`StoreOpenError`].
pub(super) fn open_copy(path: &Path) -> Result<Opened, StoreOpenError> {
    let (lock, _) = take_lock(path)?;
    let (db, file) = open_up(path, &Settings::default(), true)?;
    Ok(Opened { db, file, lock })
}

/// The number of the last event; 0 when there is none.
///
/// # Errors
/// The database does not read.
pub(super) fn last_event(db: &::sled::Tree) -> Result<u64, ::sled::Error> {
    let last = db.range(page(keys::EVENTS, None)).next_back().transpose()?;
    // A key without a number is found by whoever reads it.
    Ok(last.and_then(|(key, _)| number_of(&key).ok()).unwrap_or_default())
}

/// What there is to say of a store that holds events up to `held`.
fn mark(path: &Path, file: &File, held: u64) -> Result<Mark, StoreOpenError> {
    let looking = "looking through its folder";
    // What a killed process had only handed to the system is relied upon from now on.
    file.sync_data().map_err(refused(path, "making the data file durable"))?;
    let snapshot = leftovers::look(path).map_err(refused(path, looking))?.snapshot;
    let data_bytes = file.metadata().map_err(refused(path, looking))?.len();
    Ok(Mark { event: held, data_bytes, snapshot, ..Mark::default() })
}

/// Opens the store that is in the folder and leaves it as it is, also when its schema version is an older one. Tells that
/// version, and what it lacks.
///
/// # Errors
/// See [`StoreOpenError`].
pub(super) fn open_as_it_is(path: &Path) -> Result<(Opened, u64, Option<Lost>), StoreOpenError> {
    place::must_be_there(path)?;
    let unreadable = |reason: String| StoreOpenError::Unreadable { path: path.to_owned(), reason };
    let (lock, was) = take_lock(path)?;
    if !was.made {
        return Err(unreadable("it was never made completely".to_owned()));
    }
    let kept = acknowledged::read(path)?;
    leftovers::must_be_none(path, was.made, &kept, was.kept)?;
    let db = open_database(path, &Settings::default())?;
    let file = File::open(path.join("db")).map_err(refused(path, "opening the data file"))?;
    let found = db.get(keys::SCHEMA).map_err(|error| broken(path, &error))?;
    let version = schema_version(&found.ok_or_else(|| unreadable(LOST_SCHEMA.to_owned()))?).map_err(unreadable)?;
    if version > SCHEMA_VERSION {
        return Err(StoreOpenError::Newer { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
    }
    let held = last_event(&db).map_err(|error| broken(path, &error))?;
    let lost = acknowledged::lost(&kept, was.kept, held);
    if lost.is_none() && matches!(kept, Kept::Known(_)) {
        // The database has gone over its files while it opened them: how long they are now is not to be taken for a loss.
        Keeper::begin(path, &kept, mark(path, &file, held)?, None)?;
    }
    Ok((Opened { db, file, lock }, version, lost))
}

/// What is said of a store without a schema version.
const LOST_SCHEMA: &str = "it has lost its schema version, and perhaps more: its file db is not what it was";

/// What the schema's record says.
///
/// # Errors
/// It cannot be read.
pub(super) fn schema_version(bytes: &[u8]) -> Result<u64, String> {
    decode(bytes).map(|schema: Schema| schema.version).map_err(|error| error.to_string())
}

/// Makes the database of a store that is to be filled with what another one held, and says nothing of it yet: until
/// [`say_made`], nobody takes the folder for a store.
///
/// # Errors
/// See [`StoreOpenError`].
pub(super) fn make_bare(path: &Path) -> Result<Opened, StoreOpenError> {
    let (lock, _) = take_lock(path)?;
    let db = open_database(path, &Settings::default())?;
    let file = File::open(path.join("db")).map_err(refused(path, "opening the data file"))?;
    Ok(Opened { db, file, lock })
}

/// Makes everything in a store durable, and says then that it was made completely.
///
/// # Errors
/// See [`StoreOpenError`].
pub(super) fn say_made(path: &Path, opened: &mut Opened) -> Result<(), StoreOpenError> {
    sync_files(path, &opened.db)?;
    write_lock(path, &mut opened.lock, MADE)
}

/// A part of it is as good as the whole until it is written again.
fn write_lock(path: &Path, lock: &mut File, text: &[u8]) -> Result<(), StoreOpenError> {
    let written = lock.rewind().and_then(|()| lock.write_all(text)).and_then(|()| lock.sync_all());
    written.map_err(refused(path, "writing the lock file"))?;
    sync_folder(path)
}

pub(super) fn refused(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StoreOpenError {
    let path = path.to_owned();
    move |source| StoreOpenError::Refused { path, what, source }
}

/// Only the owner may enter it: the store tells who is paid how much, and sled's own files can be read by all. A folder that
/// others can enter is closed to them; one that cannot be is refused.
fn make_folder(path: &Path) -> Result<(), StoreOpenError> {
    match path.metadata() {
        Ok(found) if found.is_dir() && found.permissions().mode() & OTHERS == 0 => Ok(()),
        Ok(found) if found.is_dir() => {
            let mode = found.permissions().mode() & MODE_BITS & !OTHERS;
            tracing::warn!(folder = %path.display(), "others could enter the store's folder: it is closed to them");
            std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused(
                path,
                "closing the folder to others (chmod go= it, or give it to the user who runs rampwatch)",
            ))
        }
        Ok(_) => Err(StoreOpenError::NotAFolder { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            private::make_folder(path).map_err(refused(path, "making the folder"))?;
            path.ancestors().skip(1).find(|parent| parent.is_dir()).map_or(Ok(()), sync_folder)
        }
        Err(error) => Err(refused(path, "looking at the folder")(error)),
    }
}

/// What the lock file says.
struct LockSays {
    /// The store had been made completely.
    made: bool,
    /// There was a file that says how far it has acknowledged.
    kept: bool,
}

/// Takes the lock, and tells what is written in it.
fn take_lock(path: &Path) -> Result<(File, LockSays), StoreOpenError> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(path.join(LOCK_FILE)).map_err(refused(path, "opening the lock file"))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreOpenError::Locked { path: path.to_owned() },
        TryLockError::Error(source) => refused(path, "locking the lock file")(source),
    })?;
    let mut text = Vec::new();
    Read::by_ref(&mut lock).take(LOCK_BYTES).read_to_end(&mut text).map_err(refused(path, "reading the lock file"))?;
    Ok((lock, LockSays { made: !text.is_empty(), kept: text.ends_with(KEPT) }))
}

/// The database's background flusher stays off. It would write at moments of its own, and its fsync reports
/// errors to nobody; the writer flushes and syncs every group itself.
fn open_database(path: &Path, settings: &Settings) -> Result<Db, StoreOpenError> {
    let config = Config::new().path(path).cache_capacity(settings.cache_bytes).flush_every_ms(None);
    let config = config.segment_size(SEGMENT_BYTES);
    let begun = Instant::now();
    loop {
        // The database asserts what it believes of its files. A file that breaks such a belief is a finding, not
        // a crash.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(::sled::Error::Io(error))) if is_lock_error(&error) => {
                if begun.elapsed() >= LETTING_GO {
                    return Err(StoreOpenError::Locked { path: path.to_owned() });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(Err(::sled::Error::Io(error))) => {
                leftovers::drop_own_draft(path);
                return Err(refused(path, "opening the database (its files db, conf and snap.*)")(error));
            }
            Ok(Err(error)) => return Err(broken(path, &error)),
            Err(_) => return Err(unreadable(path, "the database found its files broken, the first of them db")),
        }
    }
}

/// What the database says when it cannot read its own files.
fn broken(path: &Path, error: &::sled::Error) -> StoreOpenError {
    match error {
        ::sled::Error::Unsupported(what) => unreadable(path, &format!("its file conf is of another program: {what}")),
        other => unreadable(path, &format!("the database does not read its file db, or a snap.* of it ({other})")),
    }
}

fn unreadable(path: &Path, reason: &str) -> StoreOpenError {
    StoreOpenError::Unreadable { path: path.to_owned(), reason: reason.to_owned() }
}

/// We hold our own lock already, so the database's can only be held by what is left of a store that has just been
/// closed: its threads let go a moment later. The database has no kind for this error, only this text.
fn is_lock_error(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

/// Gives a new store its schema version, and takes an older store to this program's.
fn check_schema(store: &Migration<'_>, made: bool) -> Result<(), StoreOpenError> {
    let Migration { path, db, .. } = *store;
    let unreadable = |reason: String| StoreOpenError::Unreadable { path: path.to_owned(), reason };
    let found = db.get(keys::SCHEMA).map_err(|error| unreadable(error.to_string()))?;
    let Some(bytes) = found else {
        if made || !db.is_empty() {
            return Err(unreadable(LOST_SCHEMA.to_owned()));
        }
        return write_schema(path, db);
    };
    match schema_version(&bytes).map_err(unreadable)? {
        SCHEMA_VERSION => Ok(()),
        1 => {
            store.index_waiting_payments()?;
            write_schema(path, db)?;
            store.make_durable()
        }
        // Nothing has to be changed. The number keeps the older program from opening what it would not understand.
        2 | 3 => {
            write_schema(path, db)?;
            store.make_durable()
        }
        newer if newer > SCHEMA_VERSION => {
            Err(StoreOpenError::Newer { path: path.to_owned(), found: newer, known: SCHEMA_VERSION })
        }
        other => Err(unreadable(format!("there never was a schema version {other}"))),
    }
}

/// What is believed of finality belongs to no payment alone: without it, nothing could be completed safely.
fn check_finality(path: &Path, db: &Db) -> Result<(), StoreOpenError> {
    let unreadable = |reason: String| StoreOpenError::Unreadable { path: path.to_owned(), reason };
    let found = db.get(keys::FINALITY).map_err(|error| unreadable(error.to_string()))?;
    let read = found.map(|bytes| decode::<FinalityMark>(&bytes)).transpose();
    read.map(|_| ()).map_err(|error| unreadable(format!("the finality mark: {error}")))
}

fn write_schema(path: &Path, db: &Db) -> Result<(), StoreOpenError> {
    let unreadable = |reason: String| StoreOpenError::Unreadable { path: path.to_owned(), reason };
    let schema = serde_json::to_vec(&Schema { version: SCHEMA_VERSION });
    let bytes = schema.map_err(|error| unreadable(error.to_string()))?;
    db.insert(keys::SCHEMA, bytes).map(drop).map_err(|error| unreadable(error.to_string()))
}

/// Everything that the database made for a new store, durable: it syncs none of it itself.
fn sync_files(path: &Path, db: &Db) -> Result<(), StoreOpenError> {
    let unreadable = |error: ::sled::Error| StoreOpenError::Unreadable { path: path.into(), reason: error.to_string() };
    db.flush().map_err(unreadable)?;
    for name in ["db", "conf"] {
        let synced = File::open(path.join(name)).and_then(|file| file.sync_all());
        synced.map_err(refused(path, "making the new store durable"))?;
    }
    sync_folder(path)
}

/// Makes the names in the folder durable.
///
/// # Errors
/// [`StoreOpenError::Refused`].
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreOpenError> {
    private::sync_folder(path).map_err(refused(path, "making the folder durable"))
}
