//! The clock of the attacked process, which can be set ahead while it runs: a few lines of C, loaded before the C library.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::row::Stop;

/// What is compiled.
const SOURCE: &str = include_str!("clock.c");

/// Compiles it into a folder.
pub(crate) async fn compile(folder: &Path) -> Result<PathBuf, Stop> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, SOURCE)?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
    let output = cc.kill_on_drop(true).output().await;
    let output = output.map_err(|error| Stop::Fault(format!("cc cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(library);
    }
    Err(Stop::Fault(format!("cc failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// The clock of one process.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right so far, kept in a folder.
    pub(crate) fn new(library: &Path, folder: &Path) -> Result<Self, Stop> {
        let clock = Self { library: library.to_owned(), file: folder.join("clock") };
        std::fs::write(&clock.file, 0_i64.to_ne_bytes())?;
        Ok(clock)
    }

    /// Sets it ahead by so many seconds of the right time. A running process sees it at once.
    pub(crate) fn set_ahead(&self, seconds: u64) -> Result<(), Stop> {
        use std::io::Write as _;

        let seconds = i64::try_from(seconds).map_err(|error| Stop::Fault(error.to_string()))?;
        // The file is mapped: it is written in place, and never shorter than it was.
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }

    /// What makes a process use it.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library.clone()), ("ATTACKS_CLOCK", self.file.clone())]
    }
}
