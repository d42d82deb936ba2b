//! Signals to child processes, by their id.
//!
//! They are sent by the shell's `kill`, because this crate forbids unsafe code, and not every system has a program of that
//! name.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::{Result, SandboxError};

/// How long a stopped process may go on until all its threads stand still.
const STILL_WITHIN: Duration = Duration::from_secs(5);

const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A process of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(pub u32);

impl Pid {
    /// Stops it where it stands (`SIGSTOP`): its connections stay open and nothing answers. Returns when all its
    /// threads stand still.
    ///
    /// # Errors
    /// When there is no such process any more, or it does not stand still within a few seconds.
    pub async fn freeze(self) -> Result<()> {
        self.signal("STOP").await?;
        let stand_still = async {
            while !self.stands_still() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let late = |_| SandboxError::TooLate {
            what: format!("process {} to stand still", self.0),
            seconds: STILL_WITHIN.as_secs(),
        };
        tokio::time::timeout(STILL_WITHIN, stand_still).await.map_err(late)
    }

    /// Whether every thread is stopped, as Linux tells. A signal is taken a moment after it was sent. Elsewhere nobody
    /// tells, and it is believed.
    fn stands_still(self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.0)) else { return true };
        threads.filter_map(std::result::Result::ok).all(|thread| {
            // "1234 (name) T …": the name may hold anything, brackets too. A thread that has just ended has no file.
            let Ok(stat) = std::fs::read_to_string(thread.path().join("stat")) else { return true };
            stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        })
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
        let status = Command::new("sh")
            .arg("-c")
            .arg(&what)
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
