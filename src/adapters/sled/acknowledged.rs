//! How far the store has acknowledged, in a small file of its own: what a database that came back older, or shorter, is held
//! against.
//!
//! Each group that is durable is noted there before anybody hears of it, which a killed process cannot undo. The note itself
//! is made durable before a group with orders is answered, so before what they signed can leave; else once a second, and at the
//! end. After a power cut it is a lower bound. Deliberately absent: what was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::open::{StoreOpenError, refused};
use crate::ports::store::Lost;
use crate::private::Draft;

pub(super) const FILE: &str = "acknowledged";

/// What it is called until it is whole.
pub(super) const DRAFT: &str = "acknowledged.new";

/// How long a note may wait to be made durable, when nothing that is signed depends on it.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Stands for a loss of which nobody knows how much it is.
const UNKNOWN: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number of the last event that was acknowledged.
    pub(super) event: u64,
    /// How many bytes the data file had then.
    pub(super) data_bytes: u64,
    /// The number in the name of the database's newest snapshot then; 0 when there was none.
    pub(super) snapshot: u64,
    /// Up to which event had been acknowledged when the store was found to hold less, as long as nobody was told; 0 when it
    /// holds all, the highest number when it is not known.
    pub(super) lost: u64,
}

/// What was found of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    /// It does not read, for this reason.
    Damaged(&'static str),
    Known(Mark),
}

impl Mark {
    fn text(&self) -> String {
        let Self { event, data_bytes, snapshot, lost } = self;
        let said = format!("event {event:020} data {data_bytes:020} snapshot {snapshot:016X} lost {lost:020}");
        let digest = crc32fast::hash(said.as_bytes());
        format!("{said} crc {digest:08X}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [_, event, _, data, _, snapshot, _, lost, ..] = *words.as_slice() else { return None };
        let snapshot = u64::from_str_radix(snapshot, 16).ok()?;
        let mark =
            Self { event: event.parse().ok()?, data_bytes: data.parse().ok()?, snapshot, lost: lost.parse().ok()? };
        // Byte for byte, the digest included.
        (mark.text() == text).then_some(mark)
    }

    /// What the store lacks that holds events up to `held`.
    fn lost(&self, held: u64) -> Option<Lost> {
        let acknowledged = if held < self.event { self.lost.max(self.event) } else { self.lost };
        let known = (acknowledged != UNKNOWN).then_some(acknowledged);
        (acknowledged > 0).then_some(Lost { held, acknowledged: known })
    }
}

/// Reads the file.
///
/// # Errors
/// [`StoreOpenError::Refused`].
pub(super) fn read(path: &Path) -> Result<Kept, StoreOpenError> {
    let bytes = match std::fs::read(path.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::Nothing),
        Err(error) => return Err(refused(path, "reading its file `acknowledged`")(error)),
    };
    if bytes.is_empty() {
        return Ok(Kept::Damaged("is empty"));
    }
    let mark = std::str::from_utf8(&bytes).ok().and_then(Mark::parse);
    Ok(mark.map_or(Kept::Damaged("is cut or damaged"), Kept::Known))
}

/// What a store lacks that holds events up to `held`. `was_there`: whether there ever was such a file.
pub(super) fn lost(kept: &Kept, was_there: bool, held: u64) -> Option<Lost> {
    match kept {
        Kept::Known(mark) => mark.lost(held),
        Kept::Nothing if !was_there => None,
        Kept::Nothing | Kept::Damaged(_) => Some(Lost { held, acknowledged: None }),
    }
}

/// Keeps the file up to date.
#[derive(Debug)]
pub(super) struct Keeper {
    file: File,
    mark: Mark,
    is_synced: bool,
    synced_at: Instant,
}

impl Keeper {
    /// Goes on with the file, or makes it anew where it is not known what it said. `lost`: what the store lacks, which stays
    /// written until it is told.
    ///
    /// # Errors
    /// [`StoreOpenError::Refused`].
    pub(super) fn begin(path: &Path, kept: &Kept, now: Mark, lost: Option<Lost>) -> Result<Self, StoreOpenError> {
        let lost = lost.map_or(0, |lost| lost.acknowledged.unwrap_or(UNKNOWN));
        let mark = Mark { lost, ..now };
        let mut keeper = match kept {
            Kept::Known(said) => {
                let file = OpenOptions::new().write(true).open(path.join(FILE));
                let file = file.map_err(refused(path, "opening its file `acknowledged`"))?;
                Self { file, mark: *said, is_synced: true, synced_at: Instant::now() }
            }
            Kept::Nothing | Kept::Damaged(_) => Self::make(path, mark)?,
        };
        // What was lost stays as it was said until there is something newer to say.
        if lost == 0 {
            keeper.write(mark).map_err(refused(path, "writing its file `acknowledged`"))?;
        } else {
            keeper.mark.lost = lost;
        }
        Ok(keeper)
    }

    /// It appears as a whole.
    fn make(path: &Path, mark: Mark) -> Result<Self, StoreOpenError> {
        let made = || {
            let mut draft = Draft::named(&path.join(FILE), path.join(DRAFT))?;
            draft.write_all(mark.text().as_bytes())?;
            draft.replace()
        };
        let file = made().map_err(refused(path, "making its file `acknowledged`"))?;
        Ok(Self { file, mark, is_synced: true, synced_at: Instant::now() })
    }

    /// Everything up to the event is durable, and the data file has so many bytes.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn note(&mut self, event: u64, data_bytes: u64) -> io::Result<()> {
        self.write(Mark { event, data_bytes, ..self.mark })
    }

    /// The data file has so many bytes now, and holds the same.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn measure(&mut self, data_bytes: u64) -> io::Result<()> {
        self.write(Mark { data_bytes, ..self.mark })
    }

    /// What was lost is told: a commit says so, and was noted.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.write(Mark { lost: 0, ..self.mark })?;
        self.sync()
    }

    /// Within a page, so that a process that is killed leaves the one or the other.
    fn write(&mut self, mark: Mark) -> io::Result<()> {
        if mark == self.mark {
            return Ok(());
        }
        self.file.write_all_at(mark.text().as_bytes(), 0)?;
        self.mark = mark;
        self.is_synced = false;
        Ok(())
    }

    /// Makes what is noted durable.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.is_synced {
            self.file.sync_data()?;
            self.is_synced = true;
            self.synced_at = Instant::now();
        }
        Ok(())
    }

    /// How long what is noted may still wait to be made durable; `None` when all of it is.
    pub(super) fn may_wait(&self) -> Option<Duration> {
        (!self.is_synced).then(|| SYNC_EVERY.saturating_sub(self.synced_at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { event: 42, data_bytes: 4 << 20, snapshot: 0x4_0010, lost: 0 };

    #[test]
    fn a_mark_reads_as_it_was_written_and_no_part_of_it_does() {
        for lost in [0, 7, UNKNOWN] {
            let mark = Mark { lost, ..MARK };
            let text = mark.text();
            assert_eq!(text.len(), MARK.text().len(), "it is written over in its place");
            assert_eq!(Mark::parse(&text), Some(mark));
            assert!((0..text.len()).all(|cut| Mark::parse(&text[..cut]).is_none()), "{text}");
            let changed = |at: usize| [&text[..at], "7", &text[at + 1..]].concat();
            let other = (0..text.len()).map(changed).filter(|changed| *changed != text);
            assert!(other.into_iter().all(|changed| Mark::parse(&changed).is_none()), "{text}");
        }
    }

    #[test]
    fn what_is_lost_is_what_was_acknowledged_and_is_not_held() {
        let of = |acknowledged, held| Some(Lost { held, acknowledged });
        let known = |lost| Kept::Known(Mark { lost, ..MARK });
        let cases = [
            (known(0), true, 42, None),
            (known(0), true, 43, None),
            (known(0), true, 41, of(Some(42), 41)),
            (known(0), false, 0, of(Some(42), 0)),
            (known(50), true, 42, of(Some(50), 42)),
            (known(50), true, 60, of(Some(50), 60)),
            (known(7), true, 41, of(Some(42), 41)),
            (known(UNKNOWN), true, 42, of(None, 42)),
            (Kept::Nothing, false, 9, None),
            (Kept::Nothing, true, 9, of(None, 9)),
            (Kept::Damaged("is empty"), false, 9, of(None, 9)),
        ];
        for (kept, was_there, held, expected) in cases {
            assert_eq!(lost(&kept, was_there, held), expected, "{kept:?}, {held}");
        }
    }
}
