//! rampwatch itself as a child process beside the sandbox: started, waited for, killed, and started again.
//!
//! Deliberately absent: its insides. What is asked of it goes over its operator API (see [`Operator`]) or its commands,
//! as any other program would ask.

use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::error::{Result, SandboxError};
use super::operator::Operator;
use super::process::Pid;
use crate::config::Settings;

/// How often it is looked whether a daemon is ready.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How much of the end of its log is shown when it ends unasked.
const SHOWN_LINES: usize = 12;

/// How rampwatch is to be run.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The `rampwatch` binary.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// The file that gets what it says; it grows with every start.
    pub log: PathBuf,
    /// Settings that differ from the file's, as environment variables (`RAMPWATCH__API__TIMEOUT`, `1s`). No other
    /// variable of this kind reaches the child.
    pub overrides: Vec<(String, String)>,
}

/// A rampwatch that can be started and killed, again and again. A running one is killed when this value is dropped.
#[derive(Debug)]
pub struct Daemon {
    options: DaemonOptions,
    settings: Settings,
    operator: Operator,
    child: Option<Child>,
}

impl Daemon {
    /// Reads the configuration. Starts nothing.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn new(options: DaemonOptions) -> Result<Self> {
        let settings = Settings::load(Some(&options.config), options.overrides.iter().cloned())
            .map_err(|error| SandboxError::Invalid(error.to_string()))?;
        let operator = Operator::new(settings.clone());
        Ok(Self { options, settings, operator, child: None })
    }

    /// Changes a setting for the next start, given as an environment variable; a variable that was given before gives
    /// way.
    ///
    /// # Errors
    /// When the configuration is wrong with it. Nothing has changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let mut options = self.options.clone();
        options.overrides.retain(|(known, _)| known != name);
        options.overrides.push((name.to_owned(), value.to_owned()));
        let Self { options, settings, operator, child: _ } = Self::new(options)?;
        (self.options, self.settings, self.operator) = (options, settings, operator);
        Ok(())
    }

    /// What it runs with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its operator API.
    #[must_use]
    pub const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Starts it. It is not ready yet.
    ///
    /// # Errors
    /// When one runs already, or the system refuses.
    pub fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Err(SandboxError::Daemon("it runs already".to_owned()));
        }
        let log_path = &self.options.log;
        let no_log = |source| SandboxError::File { path: log_path.clone(), source };
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log_path).map_err(no_log)?;
        let same_log = log.try_clone().map_err(no_log)?;
        let mut command = self.command(&["run"]);
        let spawned = command.stdin(Stdio::null()).stdout(log).stderr(same_log).kill_on_drop(true).spawn();
        let program = self.options.program.display();
        let refused = |source| SandboxError::Process { what: format!("start {program}"), source };
        self.child = Some(spawned.map_err(refused)?);
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it is not within `limit`, or ends: its last words are in the error.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        let look = async {
            loop {
                if let Some(status) = self.ended()? {
                    return Err(SandboxError::Daemon(format!("it ended ({status}): {}", self.last_words())));
                }
                if self.operator.is_ready().await {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        match tokio::time::timeout(limit, look).await {
            Ok(ready) => ready,
            Err(_) => {
                let last = self.last_words();
                Err(SandboxError::Daemon(format!("it was not ready within {} s: {last}", limit.as_secs())))
            }
        }
    }

    /// Its process, to freeze it; `None` when none runs.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().and_then(Child::id).map(Pid)
    }

    /// How it ended, if it has ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        child.try_wait().map_err(|source| SandboxError::Process { what: "look after rampwatch".to_owned(), source })
    }

    /// Kills it (`SIGKILL`) and waits until it is gone. Fine if none runs.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let killed = child.kill().await;
        killed.map_err(|source| SandboxError::Process { what: "kill rampwatch".to_owned(), source })
    }

    /// Asks it to end (`SIGTERM`) and waits until it has. Fine if none runs.
    ///
    /// # Errors
    /// When it does not end within `limit` (it is killed then), or says that something went wrong.
    pub async fn stop(&mut self, limit: Duration) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            Pid(pid).terminate().await?;
        }
        let failed = |source| SandboxError::Process { what: "wait for rampwatch".to_owned(), source };
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(status) => {
                let status = status.map_err(failed)?;
                let badly = || SandboxError::Daemon(format!("it did not end well ({status}): {}", self.last_words()));
                if status.success() { Ok(()) } else { Err(badly()) }
            }
            Err(_) => {
                child.kill().await.map_err(failed)?;
                let what = "rampwatch did not end when asked".to_owned();
                Err(SandboxError::TooLate { what, seconds: limit.as_secs() })
            }
        }
    }

    /// Runs one of its commands with the same configuration, as a person would.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run_command(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.command(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
        let what = || format!("run rampwatch {}", arguments.join(" "));
        output.map_err(|source| SandboxError::Process { what: what(), source })
    }

    /// The binary with its configuration, and without settings of whoever started us.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.options.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RAMPWATCH_") {
                command.env_remove(name);
            }
        }
        command.envs(self.options.overrides.iter().map(|(name, value)| (name, value)));
        command.arg("--config").arg(&self.options.config).args(arguments);
        command
    }

    /// The end of its log, on one line.
    fn last_words(&self) -> String {
        let text = std::fs::read(&self.options.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
        if last.is_empty() { "it said nothing".to_owned() } else { last.join(" / ") }
    }
}
