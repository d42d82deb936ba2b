//! A token of the operator API: 32 random bytes in a file that only its owner can read.

use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::actor::Actor;
use crate::domain::private::{encoding_fault, wrapping_fault};
use crate::private::{self, Closed};

/// How many random bytes a token has.
const RANDOM_BYTES: usize = 32;

/// The fewest characters that a token which a person wrote may have.
const MIN_CHARACTERS: usize = 32;

/// The most bytes that are read of the file.
const MAX_BYTES: u64 = 4_096;

/// What the operator API lets in.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

/// Why there is no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// There is no such file.
    #[error("there is no token file {}: `rampwatch run` makes it when it starts", .0.display())]
    Missing(PathBuf),
    /// Others could read it, so it is no secret any more.
    #[error(
        "the token file {} can be reached by others (mode {mode:04o}): remove it, and a new one is made at the next \
         start; or make it private with chmod 600 if nobody can have read it; {mounted}",
        .path.display(),
        mounted = private::MOUNTED
    )]
    Open { path: PathBuf, mode: u32 },
    /// What is in it is no token.
    #[error("the token file {} {what}: remove it, and a new one is made at the next start", .path.display())]
    Unusable { path: PathBuf, what: String },
    /// It is there already.
    #[error(
        "the token in the file {} is that of {other}, or bears the same name: nobody could tell who asks. Remove the \
         file, and a new token is made at the next start", .path.display()
    )]
    Twice {
        path: PathBuf,
        /// Whose token it is too.
        other: Actor,
    },
    /// It belongs to somebody else, who can change it.
    #[error(
        "the token file {} belongs to another user (id {owner}): it must be that of the user who runs rampwatch",
        .path.display()
    )]
    Foreign {
        path: PathBuf,
        /// The user's id.
        owner: u32,
    },
    #[error("the token file {} cannot be {verb}: {source}", .path.display())]
    Refused { path: PathBuf, verb: &'static str, source: io::Error },
}

impl Token {
    /// Reads the token file.
    ///
    /// # Errors
    /// There is none, others can reach it, it cannot be read, or it holds no token.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        Self::read(path, None)
    }

    /// As [`Self::load_or_create`], and the file must belong to the user who runs this: whoever owns a file can give it
    /// back to others at any time.
    ///
    /// # Errors
    /// As there, and when the file belongs to another user.
    pub fn load_or_create_own(path: &Path) -> Result<Self, TokenError> {
        Self::load_or_create(path)?;
        Self::read(path, Some(rustix::process::geteuid().as_raw()))
    }

    fn read(path: &Path, owner: Option<u32>) -> Result<Self, TokenError> {
        let refused = |source: io::Error| match source.kind() {
            ErrorKind::NotFound => TokenError::Missing(path.to_owned()),
            _ => TokenError::Refused { path: path.to_owned(), verb: "read", source },
        };
        let unusable = |what: String| TokenError::Unusable { path: path.to_owned(), what };
        let (file, metadata) = match private::open(path) {
            Ok(opened) => opened,
            Err(Closed::NoFile) => return Err(unusable("is not a file".to_owned())),
            Err(Closed::Open(mode)) => return Err(TokenError::Open { path: path.to_owned(), mode }),
            Err(Closed::Refused(error)) => return Err(refused(error)),
        };
        if owner.is_some_and(|owner| metadata.uid() != owner) {
            return Err(TokenError::Foreign { path: path.to_owned(), owner: metadata.uid() });
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(refused)?;
        if let Some(fault) = encoding_fault(&bytes) {
            return Err(unusable(fault.to_owned()));
        }
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        if let Some(fault) = wrapping_fault(&text) {
            return Err(unusable(fault));
        }
        let token = text.trim_end_matches(['\r', '\n']);
        if token.len() < MIN_CHARACTERS || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable("holds no token of at least 32 printable characters".to_owned()));
        }
        Ok(Self(SecretString::from(token)))
    }

    /// Reads the token file, or makes one with mode 0600 if there is none. It appears as a whole or not at all, and
    /// of two that make it at the same time one wins.
    ///
    /// # Errors
    /// As [`Self::load`], or when it cannot be made.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Err(TokenError::Missing(_)) => {
                create(path).map_err(|source| TokenError::Refused { path: path.to_owned(), verb: "made", source })?;
                Self::load(path)
            }
            other => other,
        }
    }

    /// A new token in place of the one that is there, or of none, with mode 0600: whoever has got hold of the one before has
    /// nothing. What is there and is no token is left alone.
    ///
    /// # Errors
    /// As [`Self::load`], or when it cannot be made.
    pub fn renew(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Ok(_) | Err(TokenError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
        let refused = |source| TokenError::Refused { path: path.to_owned(), verb: "made anew", source };
        new_token(path).and_then(|token| private::replace(path, token.as_bytes())).map_err(refused)?;
        Self::load(path)
    }

    /// Whether this is the token. Takes the same time wherever they differ; only the length shows.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Whether the other is the same token.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.is(other.0.expose_secret())
    }

    /// The value for an `Authorization` header.
    #[must_use]
    pub fn bearer(&self) -> SecretString {
        SecretString::from(format!("Bearer {}", self.0.expose_secret()))
    }
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn new_token(path: &Path) -> io::Result<String> {
    private::make_folder(private::folder_of(path))?;
    Ok(format!("{}\n", random_hex()?))
}

fn create(path: &Path) -> io::Result<()> {
    match new_token(path).and_then(|token| private::create(path, token.as_bytes())) {
        // Somebody else made it in the meantime: theirs counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}
