//! Signals to child processes, by their id.
//!
//! They are sent with the system's `kill`, because this crate forbids unsafe code.

use std::process::Stdio;

use tokio::process::Command;

use super::error::{Result, SandboxError};

/// A process of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(pub u32);

impl Pid {
    /// Stops it where it stands (`SIGSTOP`): its connections stay open and nothing answers.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub async fn freeze(self) -> Result<()> {
        self.signal("STOP").await
    }

    /// Lets it go on (`SIGCONT`).
    ///
    /// # Errors
    /// When there is no such process any more.
    pub async fn thaw(self) -> Result<()> {
        self.signal("CONT").await
    }

    /// Asks it to end (`SIGTERM`).
    ///
    /// # Errors
    /// When there is no such process any more.
    pub async fn terminate(self) -> Result<()> {
        self.signal("TERM").await
    }

    /// Ends it at once (`SIGKILL`).
    ///
    /// # Errors
    /// When there is no such process any more.
    pub async fn kill(self) -> Result<()> {
        self.signal("KILL").await
    }

    async fn signal(self, name: &str) -> Result<()> {
        let what = format!("kill -{name} {}", self.0);
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.0.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .map_err(|source| SandboxError::Process { what: what.clone(), source })?;
        if status.success() {
            return Ok(());
        }
        Err(SandboxError::Process { what, source: std::io::Error::from(std::io::ErrorKind::NotFound) })
    }
}
