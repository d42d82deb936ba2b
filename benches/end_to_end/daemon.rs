//! rampwatch as a child process: started with a configuration, asked over its operator API, measured, and ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid as SystemPid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::configuration::{Configuration, KEY_VARIABLE};
use crate::process::{LOOK_AGAIN, Pid};

/// How long it may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What `/readyz` says of a chain that was swept.
const SWEPT: &str = "\"chain\":\"ok\"";

/// The folder of one measurement: configuration, log and store. Removed with this value, unless it is to be kept.
pub(crate) struct Ground {
    folder: PathBuf,
    keep: bool,
}

impl Ground {
    /// A fresh folder in `parent`.
    pub(crate) fn new(parent: &Path, name: &str, keep: bool) -> Result<Self> {
        let folder = parent.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, keep })
    }

    /// A folder in `parent` that is used again, and stays.
    pub(crate) fn lasting(parent: &Path, name: &str) -> Result<Self> {
        let folder = parent.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, keep: true })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !self.keep {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

/// A running rampwatch.
pub(crate) struct Daemon {
    child: Child,
    pid: Pid,
    listen: u16,
    log: PathBuf,
    client: reqwest::Client,
    /// Just before it was started.
    pub(crate) started: Instant,
}

impl Daemon {
    pub(crate) fn start(program: &Path, ground: &Ground, configuration: &Configuration) -> Result<Self> {
        let config = ground.path().join("config.toml");
        std::fs::write(&config, configuration.text(&ground.store()))?;
        let log = ground.path().join("rampwatch.log");
        let log_file = std::fs::File::create(&log)?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RAMPWATCH_")) {
            command.env_remove(name);
        }
        command.env(KEY_VARIABLE, "bench").arg("--config").arg(&config).arg("run");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file).kill_on_drop(true);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let pid = Pid(child.id().context("it has ended already")?);
        Ok(Self { child, pid, listen: configuration.listen, log, client, started })
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// When `/readyz` says that it is ready, as it does at once while nothing is watched.
    pub(crate) async fn ready(&mut self, limit: Duration) -> Result<Instant> {
        self.when(limit, "it is ready", async |this| this.text("/readyz").await.is_some()).await
    }

    /// When `/readyz` says that it is ready, and that the chain is swept to its head.
    pub(crate) async fn swept(&mut self, limit: Duration) -> Result<Instant> {
        let is_so = async |this: &Self| this.text("/readyz").await.is_some_and(|text| text.contains(SWEPT));
        self.when(limit, "the chain is swept to its head", is_so).await
    }

    /// When `/healthz` answers.
    pub(crate) async fn alive(&mut self, limit: Duration) -> Result<Instant> {
        self.when(limit, "it answers", async |this| this.text("/healthz").await.is_some()).await
    }

    /// When a metric, added up over its labels, is `least` or more.
    pub(crate) async fn counted(&mut self, metric: &str, least: f64, limit: Duration) -> Result<Instant> {
        let what = format!("{metric} is at least {least}");
        self.when(limit, &what, async |this| this.metric(metric).await.is_some_and(|sum| sum >= least)).await
    }

    /// When something is so. An error says what rampwatch said last.
    async fn when(&mut self, limit: Duration, what: &str, is_so: impl AsyncFn(&Self) -> bool) -> Result<Instant> {
        let begun = Instant::now();
        loop {
            if is_so(self).await {
                return Ok(Instant::now());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("rampwatch ended ({status}) before {what}: {}", self.last_words());
            }
            if begun.elapsed() > limit {
                bail!("waited {} s in vain until {what}: {}", limit.as_secs(), self.last_words());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What a route answers, if it says success.
    async fn text(&self, path: &str) -> Option<String> {
        let answer = self.client.get(format!("http://127.0.0.1:{}{path}", self.listen)).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// A metric, added up over its labels.
    pub(crate) async fn metric(&self, metric: &str) -> Option<f64> {
        let text = self.text("/metrics").await?;
        let of_metric = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values: Vec<f64> =
            text.lines().filter(of_metric).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(6).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// Kills it: what is not durable is lost.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("killing rampwatch")
    }

    /// Asks it to end, and waits.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid.0).ok().and_then(SystemPid::from_raw).context("a process number")?;
        kill_process(pid, Signal::TERM)?;
        match tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => bail!("rampwatch ended with {status:?}: {}", self.last_words()),
            Err(_) => {
                self.child.kill().await?;
                bail!("rampwatch did not end within {} s of SIGTERM", ENDS_WITHIN.as_secs())
            }
        }
    }
}
