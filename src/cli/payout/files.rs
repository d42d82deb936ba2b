//! Files that go with a payout: read from the disk, and held against what they say they are.
//!
//! The type follows from the name's ending, and the first bytes must fit it: a bank that is sent a renamed file refuses
//! the payout days later. Deliberately absent: looking into a file any further.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::config::PayoutSettings;
use crate::view::payout::FileRef;

/// The types that are known: the name's endings, the media type, and how such a file begins.
const TYPES: [(&[&str], &str, &[u8]); 3] = [
    (&["pdf"], "application/pdf", b"%PDF-"),
    (&["png"], "image/png", b"\x89PNG\r\n\x1a\n"),
    (&["jpg", "jpeg"], "image/jpeg", b"\xff\xd8\xff"),
];

/// How a file is opened: for reading, and without waiting for the writer of a pipe, which is none.
const OPENED: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A file that was read and is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalFile {
    /// Its name, without folders.
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

impl LocalFile {
    /// The file as it is named once it was put where the engine finds it.
    pub(super) fn reference(&self) -> FileRef {
        let digest = Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        FileRef { digest, media_type: self.media_type.to_owned(), bytes, name: self.name.clone() }
    }
}

/// Why a file does not go along.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// It is a folder, a pipe or a device.
    #[error("{0} is no file")]
    NoFile(PathBuf),
    /// Its name does not end as those of known types do.
    #[error("{0} is of no known type: its name must end in .pdf, .png, .jpg or .jpeg")]
    UnknownType(PathBuf),
    /// Nothing is in it.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// The configuration does not let its type go along.
    #[error("{path} is {media_type}, which does not go along (payouts.file_types)")]
    TypeNotTaken { path: PathBuf, media_type: &'static str },
    /// It is larger than the configuration allows.
    #[error("{path} has more than {most} bytes (payouts.max_file_bytes); give a smaller one")]
    TooLarge {
        path: PathBuf,
        /// The most that one may have.
        most: u64,
    },
    /// It does not begin as its type does.
    #[error("{path} is not what its name says: it does not begin as {media_type} does")]
    OtherType { path: PathBuf, media_type: &'static str },
    /// It is not below the folder that the files of a batch come from.
    #[error(
        "{path} is not below {folder}: whoever wrote the batch could send any file of yours along; put the files beside the \
         batch, or name their folder with --files-from"
    )]
    Outside { path: PathBuf, folder: PathBuf },
    /// There are more than the configuration allows.
    #[error("{files} files are too many; at most {most} go with one payout (payouts.max_files)")]
    TooMany {
        files: usize,
        /// The most that go along.
        most: usize,
    },
}

/// Reads the files of a payout. `below`: the folder that they must be in, links followed, where somebody else may have named them.
///
/// # Errors
/// The first that does not go along, and why.
pub(super) fn read_all(
    paths: &[PathBuf],
    below: Option<&Path>,
    limits: &PayoutSettings,
) -> Result<Vec<LocalFile>, FileError> {
    if paths.len() > limits.max_files {
        return Err(FileError::TooMany { files: paths.len(), most: limits.max_files });
    }
    let below = below.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    paths.iter().map(|path| read(path, below, limits)).collect()
}

/// Opens a file that is below a folder, links followed. Each part of the way that was looked at is opened as it is then, without
/// links, so that whoever changes the folder meanwhile gets nothing else opened. `None`: it is elsewhere.
fn open_below(path: &Path, folder: &Path) -> io::Result<Option<OwnedFd>> {
    let (real, top) = (path.canonicalize()?, folder.canonicalize()?);
    let Ok(way) = real.strip_prefix(&top) else { return Ok(None) };
    let flags = OPENED | OFlags::NOFOLLOW;
    let mut at = rustix::fs::open(&top, flags, Mode::empty())?;
    for part in way {
        at = rustix::fs::openat(&at, part, flags, Mode::empty())?;
    }
    Ok(Some(at))
}

fn read(path: &Path, below: Option<&Path>, limits: &PayoutSettings) -> Result<LocalFile, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let (media_type, beginning) = type_of(path).ok_or_else(|| FileError::UnknownType(path.to_owned()))?;
    if !limits.file_types.iter().any(|taken| taken == media_type) {
        return Err(FileError::TypeNotTaken { path: path.to_owned(), media_type });
    }
    let outside = |folder: &Path| FileError::Outside { path: path.to_owned(), folder: folder.to_owned() };
    let file = File::from(match below {
        Some(folder) => open_below(path, folder).map_err(unreadable)?.ok_or_else(|| outside(folder))?,
        None => rustix::fs::open(path, OPENED, Mode::empty()).map_err(|error| unreadable(error.into()))?,
    });
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    // A file that has another name too may be one of elsewhere.
    if let Some(folder) = below.filter(|_| found.nlink() > 1) {
        return Err(outside(folder));
    }
    let mut bytes = Vec::new();
    file.take(limits.max_file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.is_empty() {
        return Err(FileError::Empty(path.to_owned()));
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limits.max_file_bytes {
        return Err(FileError::TooLarge { path: path.to_owned(), most: limits.max_file_bytes });
    }
    if !bytes.starts_with(beginning) {
        return Err(FileError::OtherType { path: path.to_owned(), media_type });
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(LocalFile { name, media_type, bytes })
}

/// The media type that a name's ending stands for, and how such a file begins.
fn type_of(path: &Path) -> Option<(&'static str, &'static [u8])> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let known = TYPES.iter().find(|(endings, _, _)| endings.contains(&ending.as_str()));
    known.map(|(_, media_type, beginning)| (*media_type, *beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> PayoutSettings {
        PayoutSettings {
            quote_margin: crate::domain::time::Span::ZERO,
            max_concurrent: 1,
            file_types: TYPES.map(|(_, media_type, _)| media_type.to_owned()).to_vec(),
            max_file_bytes: 1_000,
            max_files: 3,
            repeat_window: crate::domain::time::Span::ZERO,
        }
    }

    #[test]
    fn files_are_what_their_names_say_or_stay_behind() {
        let limits = limits();
        let read_all = |paths: &[PathBuf]| read_all(paths, None, &limits);
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let invoice = put("Invoice 7.PDF", b"%PDF-1.7 and so on");
        let scan = put("scan.jpeg", b"\xff\xd8\xff\xe0 and so on");
        let shot = put("shot.png", b"\x89PNG\r\n\x1a\n and so on");
        let read = read_all(&[invoice.clone(), scan, shot]).unwrap();
        let told: Vec<_> = read.iter().map(|file| (file.name.as_str(), file.media_type)).collect();
        assert_eq!(
            told,
            [("Invoice 7.PDF", "application/pdf"), ("scan.jpeg", "image/jpeg"), ("shot.png", "image/png")]
        );
        assert_eq!(read[0].bytes, b"%PDF-1.7 and so on");

        let mut large = b"%PDF-".to_vec();
        large.resize(1_000, b' ');
        assert!(read_all(&[put("large.pdf", &large)]).is_ok());
        large.push(b' ');
        let refused = [
            (put("renamed.pdf", b"PK\x03\x04"), "does not begin as application/pdf does"),
            (put("half.png", b"\x89PN"), "does not begin as image/png does"),
            (put("empty.pdf", b""), "is empty"),
            (put("larger.pdf", &large), "has more than 1000 bytes (payouts.max_file_bytes)"),
            (put("words.docx", b"PK\x03\x04"), "must end in .pdf, .png, .jpg or .jpeg"),
            (put("nothing", b"%PDF-1.7"), "of no known type"),
            (folder.path().join("missing.pdf"), "cannot be read"),
        ];
        for (path, words) in refused {
            let said = read_all(std::slice::from_ref(&path)).unwrap_err().to_string();
            assert!(said.contains(words) && said.contains(&path.display().to_string()), "{said}");
        }
        let sub = folder.path().join("folder.pdf");
        std::fs::create_dir(&sub).unwrap();
        assert!(matches!(read_all(&[sub]), Err(FileError::NoFile(_))));
        let many = vec![invoice.clone(); 4];
        assert!(read_all(&many).unwrap_err().to_string().contains("at most 3"));
        let pictures = PayoutSettings { file_types: vec!["image/png".to_owned()], ..limits.clone() };
        let said = super::read_all(&[invoice], None, &pictures).unwrap_err().to_string();
        assert!(said.contains("is application/pdf, which does not go along"), "{said}");
    }

    #[test]
    fn s11_a_batch_sends_no_file_from_elsewhere() {
        let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret.pdf");
        std::fs::write(&secret, b"%PDF-1.7 secret").unwrap();
        let inside = folder.path().join("sub").join("invoice.pdf");
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(&inside, b"%PDF-1.7 invoice").unwrap();
        let link = folder.path().join("link.pdf");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let name = outside.path().file_name().unwrap();
        let up = folder.path().join("..").join(name).join("secret.pdf");
        let name_of_it = folder.path().join("name.pdf");
        std::fs::hard_link(&secret, &name_of_it).unwrap();
        for path in [secret, link, up, name_of_it] {
            let refused = super::read_all(std::slice::from_ref(&path), Some(folder.path()), &limits()).unwrap_err();
            assert!(matches!(&refused, FileError::Outside { .. }), "{path:?}: {refused}");
            assert!(refused.to_string().contains("--files-from"), "{refused}");
        }
        let near = folder.path().join("near.pdf");
        std::os::unix::fs::symlink("sub/invoice.pdf", &near).unwrap();
        assert!(super::read_all(&[inside, near], Some(folder.path()), &limits()).is_ok());
    }
}
