//! What processes that died have left in the store's folder, and what of the store's own files is not whole.
//!
//! Before the database looks at its folder it is looked through here, because the database takes every file that is named
//! like a snapshot for one, and writes over what it does not understand. What is in the way is moved into a folder beside it.
//! Deliberately absent: removing anything, and mending: what is put aside is of no use to the database, or is tried on a copy first.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::acknowledged::{self, Kept, Mark};
use super::check::Depth;
use super::open::{StoreOpenError, refused, sync_folder};
use super::trial::{self, Doubt};
use crate::private;

/// Where they go.
pub(super) const ASIDE: &str = "put-aside";

/// How many of one name are kept there. A further one takes the place of the last: a process that dies over and over, always
/// at the same point, must not fill the disk.
const MOST: u32 = 16;

/// The folders in which only files of certain names belong.
const BLOBS: &str = "blobs";
const ATTACHMENTS: &str = "attachments";

/// What a leftover means to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It never looks at it.
    Harmless,
    /// It would read it, write over it or remove it, and does not need it.
    InTheWay,
    /// It may need what was in it.
    Needed,
}

/// A file that nobody will go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leftover {
    /// The file, from the store's folder on.
    pub(super) file: String,
    /// What is wrong with it, after its name.
    why: &'static str,
    weight: Weight,
}

impl Leftover {
    fn new(file: &str, why: &'static str, weight: Weight) -> Self {
        Self { file: file.to_owned(), why, weight }
    }
}

/// What is wrong with a file that its name tells of.
const DRAFT: &str = "was being written when a process died";
/// What is wrong with one whose checksum does not fit.
const CUT: &str = "is cut or damaged";

/// What lies in a store's folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is in the way.
    pub(super) leftovers: Vec<Leftover>,
    /// The number of the newest snapshot that is whole; 0 when there is none.
    pub(super) snapshot: u64,
    /// How many bytes the data file has; `None` when there is none.
    pub(super) data_bytes: Option<u64>,
}

/// Looks through the folder, and touches nothing.
///
/// # Errors
/// Of the system.
pub(super) fn look(path: &Path) -> io::Result<Found> {
    let mut found = Found { data_bytes: length(&path.join("db"))?, ..Found::default() };
    for name in names(path)? {
        if name.starts_with("snap.") {
            let bytes = match std::fs::read(path.join(&name)) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Vec::new(),
                // One that this user may not read is not damaged.
                read => read?,
            };
            match snapshot(&name, &bytes) {
                Ok(number) => found.snapshot = found.snapshot.max(number),
                Err(leftover) => found.leftovers.push(leftover),
            }
        } else if name == "conf" {
            found.leftovers.extend(settings(&std::fs::read(path.join(&name))?));
        } else if name == acknowledged::DRAFT {
            found.leftovers.push(Leftover::new(&name, DRAFT, Weight::Harmless));
        }
    }
    // Without any whole one, the database reads its whole log.
    let is_missed = |leftover: &&mut Leftover| found.snapshot == 0 && leftover.file.starts_with("snap.");
    found.leftovers.iter_mut().filter(is_missed).for_each(|leftover| leftover.weight = Weight::Needed);
    for name in names(&path.join(BLOBS))? {
        found.leftovers.extend(blob(&path.join(BLOBS).join(&name), &name)?);
    }
    for name in names(&path.join(ATTACHMENTS))?.iter().filter(|name| name.starts_with('.')) {
        let file = format!("{ATTACHMENTS}/{name}");
        found.leftovers.push(Leftover::new(&file, DRAFT, Weight::Harmless));
    }
    found.leftovers.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

/// The names in a folder; none when there is no such folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn length(file: &Path) -> io::Result<Option<u64>> {
    match file.metadata() {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number of a snapshot that is whole. The database takes the last by name of all that begin so, whatever they are.
fn snapshot(name: &str, bytes: &[u8]) -> Result<u64, Leftover> {
    let digits = name.strip_prefix("snap.").unwrap_or_default();
    let is_hexadecimal = digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let number = is_hexadecimal.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    let Some(number) = number else {
        return Err(Leftover::new(name, "is no finished snapshot of the database", Weight::InTheWay));
    };
    // Bytes of which the first eight are the number and one more; how many they are, and their checksum.
    let whole = bytes.split_last_chunk::<4>().and_then(|(rest, checksum)| {
        let (content, _length) = rest.split_last_chunk::<8>()?;
        let fits = crc32fast::hash(content) == u32::from_le_bytes(*checksum);
        fits.then(|| content.first_chunk().map(|number| u64::from_le_bytes(*number))).flatten()
    });
    match whole {
        Some(inside) if number.checked_add(1) == Some(inside) => Ok(number),
        Some(_) => Err(Leftover::new(name, "is a snapshot of the database under another one's name", Weight::Needed)),
        None => Err(Leftover::new(name, CUT, Weight::Needed)),
    }
}

/// The database's own settings never change, and it writes them anew where they are missing. What is whole and says something
/// else is left to it.
fn settings(bytes: &[u8]) -> Option<Leftover> {
    let is_whole = bytes
        .split_last_chunk::<4>()
        .is_some_and(|(text, checksum)| !text.is_empty() && crc32fast::hash(text) == u32::from_le_bytes(*checksum));
    (!is_whole).then(|| Leftover::new("conf", CUT, Weight::InTheWay))
}

/// What is too large for the log has a file of its own, which no record of a store is. One that does not read would have the
/// database believe that its log ends there.
fn blob(file: &Path, name: &str) -> io::Result<Option<Leftover>> {
    let shown = format!("{BLOBS}/{name}");
    if name.parse::<i64>().is_err() || !file.symlink_metadata()?.is_file() {
        return Ok(Some(Leftover::new(&shown, "is no file of the database", Weight::InTheWay)));
    }
    let bytes = std::fs::read(file)?;
    let is_whole = bytes
        .split_first_chunk::<4>()
        .is_some_and(|(checksum, rest)| !rest.is_empty() && crc32fast::hash(rest) == u32::from_le_bytes(*checksum));
    Ok((!is_whole).then(|| Leftover::new(&shown, CUT, Weight::Needed)))
}

/// Whether what is there can be opened as it is.
///
/// # Errors
/// [`StoreOpenError::Leftover`], which names the first file that cannot, and [`StoreOpenError::Unreadable`].
pub(super) fn must_be_none(path: &Path, made: bool, kept: &Kept, was_kept: bool) -> Result<Found, StoreOpenError> {
    let found = look(path).map_err(refused(path, "looking through its folder"))?;
    must_have_data(path, made, &found)?;
    let leftover =
        |file: &str, why: &'static str| StoreOpenError::Leftover { path: path.to_owned(), file: file.to_owned(), why };
    if let Some(first) = found.leftovers.iter().find(|leftover| leftover.weight > Weight::Harmless) {
        return Err(leftover(&first.file, first.why));
    }
    match kept {
        Kept::Damaged(_) => {
            Err(leftover(acknowledged::FILE, "is cut or damaged, and the wallet will be halted for it"))
        }
        Kept::Nothing if was_kept => {
            Err(leftover(acknowledged::FILE, "is missing, and the wallet will be halted for it"))
        }
        Kept::Known(mark) if found.data_bytes < Some(mark.data_bytes) => Err(leftover("db", SHORTER)),
        Kept::Nothing | Kept::Known(_) => Ok(found),
    }
}

/// The database gives back space at its end, so a shorter file may be whole.
const SHORTER: &str = "is shorter than it was when the store last acknowledged something";

/// Puts aside what nobody will go on with. What may be needed is tried first: a copy of the store without it must be whole, and
/// hold everything that was acknowledged. A person who has moved the note of that away has decided to go on with what is left.
///
/// # Errors
/// [`StoreOpenError::Unreadable`], which names the file that is needed, and those of [`put_aside`].
pub(super) fn clear(path: &Path, made: bool, kept: &Kept, was_kept: bool) -> Result<Found, StoreOpenError> {
    let found = look(path).map_err(refused(path, "looking through its folder"))?;
    must_have_data(path, made, &found)?;
    trial::clear(path).map_err(refused(path, "removing what was tried on a copy (its folder trial)"))?;
    let is_given_up = was_kept && *kept == Kept::Nothing;
    if found.data_bytes > Some(0) && !is_given_up {
        try_without(path, &found, kept)?;
    }
    for leftover in &found.leftovers {
        put_aside(path, &leftover.file, leftover.why)?;
    }
    Ok(found)
}

fn try_without(path: &Path, found: &Found, kept: &Kept) -> Result<(), StoreOpenError> {
    let mark = match kept {
        Kept::Known(mark) => *mark,
        Kept::Nothing | Kept::Damaged(_) => Mark::default(),
    };
    let is_shorter = found.data_bytes < Some(mark.data_bytes);
    let needed = found.leftovers.iter().filter(|leftover| leftover.weight == Weight::Needed);
    let suspects = needed.map(|leftover| (leftover.file.as_str(), leftover.why));
    let suspects: Vec<_> = suspects.chain(is_shorter.then_some(("db", SHORTER))).collect();
    let Some((file, why)) = suspects.first() else { return Ok(()) };
    tracing::warn!(store = %path.display(), file, why, "a copy of the store is tried before anything is changed");
    // An older copy of the whole folder has an older snapshot too. It lacks nothing of its own, and what it does lack is told
    // once it is open.
    let is_older = is_shorter && found.snapshot < mark.snapshot;
    let event = if is_older { 0 } else { mark.event };
    // Without a snapshot the database reads its whole log; without a part of its log it may show what was there before.
    let is_log_whole = is_older || suspects.iter().all(|(file, _)| file.starts_with("snap."));
    let depth = if is_log_whole { Depth::Presence } else { Depth::Everything };
    trial::hold(path, &found.leftovers, event, depth).map_err(|doubt| {
        let lacks = match doubt {
            Doubt::Lacks(lacks) => lacks,
            Doubt::NotTried(source) => {
                let what = "trying on a copy whether it is whole without a damaged file needs as much room again; nothing was changed";
                return StoreOpenError::Refused { path: path.to_owned(), what, source };
            }
        };
        let reason = format!(
            "its file {file} {why}, and {lacks}. Stop here, keep a copy of the folder, and put the whole file back where you \
             have it; a folder or file from before would forget what was sent since. If it cannot be had, move {} away: the \
             store is opened with what it still holds, and the wallet stays halted until a person has compared it with the \
             chain (rampwatch wallet adopt)",
            acknowledged::FILE
        );
        StoreOpenError::Unreadable { path: path.to_owned(), reason }
    })
}

/// A store that was made once has a data file with something in it.
fn must_have_data(path: &Path, made: bool, found: &Found) -> Result<(), StoreOpenError> {
    if !made || found.data_bytes > Some(0) {
        return Ok(());
    }
    let what = if found.data_bytes.is_none() { "missing" } else { "empty" };
    let reason = format!(
        "its file db is {what}, which holds everything. Stop here, and put the file back: a folder or file from before would \
         forget what was sent since"
    );
    Err(StoreOpenError::Unreadable { path: path.to_owned(), reason })
}

/// Moves a file out of the database's way, and says so.
///
/// # Errors
/// [`StoreOpenError::Refused`].
pub(super) fn put_aside(path: &Path, file: &str, why: &str) -> Result<(), StoreOpenError> {
    let aside = path.join(ASIDE);
    let plain = file.rsplit('/').next().unwrap_or(file);
    let moved = || {
        private::make_folder(&aside)?;
        let is_free = |name: &String| aside.join(name).symlink_metadata().is_err();
        let numbered = (2..MOST).map(|number| format!("{plain}.{number}"));
        let name = std::iter::once(plain.to_owned()).chain(numbered).find(is_free);
        let name = name.unwrap_or_else(|| format!("{plain}.{MOST}"));
        std::fs::rename(path.join(file), aside.join(&name))?;
        Ok(name)
    };
    let name = moved().map_err(|source| StoreOpenError::NotPutAside {
        path: path.to_owned(),
        file: file.to_owned(),
        source,
    })?;
    sync_folder(&aside)?;
    sync_folder(path)?;
    let to = format!("{ASIDE}/{name}");
    tracing::warn!(store = %path.display(), file, why, to, "a file in the store's folder is not whole: it is put aside");
    Ok(())
}

/// What the database was writing when it failed, and nobody will go on with: the process itself still lives.
pub(super) fn drop_own_draft(path: &Path) {
    let is_draft = |name: &String| name.starts_with("snap.") && name.ends_with(".generating");
    for name in names(path).unwrap_or_default().iter().filter(|name| is_draft(name)) {
        // Else the next start puts it aside.
        drop(std::fs::remove_file(path.join(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_settings_are_whole_or_written_anew() {
        let ours = b"segment_size: 4194304\nuse_compression: false\nversion: 0.34\n";
        let with_checksum = |text: &[u8]| [text, &crc32fast::hash(text).to_le_bytes()].concat();
        let whole = with_checksum(ours);
        assert_eq!(settings(&whole), None);
        assert!((0..whole.len()).all(|cut| settings(&whole[..cut]).is_some()));
        assert!(settings(&[whole.as_slice(), b"x"].concat()).is_some(), "with something behind it");
        assert_eq!(settings(&with_checksum(b"version: 0.35\n")), None, "another program's are left alone");
    }
}
