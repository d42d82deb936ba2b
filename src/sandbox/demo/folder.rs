//! A temporary folder that goes away with its value.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sandbox::error::{Result, SandboxError};

/// How often something is tried.
const TRIES: u32 = 100;

/// How long it is waited between two tries.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Folder(Option<PathBuf>);

impl Folder {
    /// Makes a new folder that only its owner can enter.
    pub(super) fn new() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let above = std::env::temp_dir();
        for _ in 0..TRIES {
            // Each of the standard library's random states differs from those before.
            let name = format!("rampwatch-demo-{:016x}", RandomState::new().hash_one(std::process::id()));
            let path = above.join(name);
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(Some(path))),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(SandboxError::File { path, source }),
            }
        }
        Err(SandboxError::Invalid(format!("no free name for a folder in {}", above.display())))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Removes it, with all that is in it. A process that was just killed may write a last file meanwhile, so it is
    /// tried more than once.
    pub(super) async fn remove(mut self) -> Result<()> {
        let Some(path) = self.0.take() else { return Ok(()) };
        let mut tries = TRIES;
        loop {
            match std::fs::remove_dir_all(&path) {
                Ok(()) => return Ok(()),
                Err(source) if tries == 0 => return Err(SandboxError::File { path, source }),
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
            tries = tries.saturating_sub(1);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = std::fs::remove_dir_all(&path)
        {
            tracing::warn!(path = %path.display(), %error, "the demo's folder could not be removed");
        }
    }
}
