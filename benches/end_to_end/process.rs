//! What the system tells of a process, and waiting for something to become true.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often it is looked whether something has become true.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Linux counts a process's time in hundredths of a second, whatever its kernel's own tick.
const TICKS_A_SECOND: f64 = 100.0;

/// Waits until something is so.
pub(crate) async fn within(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so().await {
        if begun.elapsed() > limit {
            bail!("waited {} s in vain until {what}", limit.as_secs());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// A process, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pid(pub(crate) u32);

impl Pid {
    /// Seconds of processor time so far, in the program and in the system on its behalf.
    pub(crate) fn cpu(self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).context("reading /proc")?;
        // The name in brackets may hold anything; the fields after it are numbered from 3 in proc(5).
        let (_, fields) = text.rsplit_once(')').context("/proc/…/stat has no name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks: f64 = fields.iter().skip(11).take(2).map(|field| field.parse::<f64>().unwrap_or_default()).sum();
        Ok(ticks / TICKS_A_SECOND)
    }

    /// Memory now, in MB.
    pub(crate) fn rss_mb(self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory that it ever had, in MB.
    pub(crate) fn peak_rss_mb(self) -> Result<f64> {
        self.status("VmHWM:")
    }

    fn status(self, field: &str) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0)).context("reading /proc")?;
        let line = text.lines().find(|line| line.starts_with(field)).context("a field of /proc/…/status")?;
        let kib: f64 = line.split_whitespace().nth(1).context("a figure of /proc/…/status")?.parse()?;
        Ok(kib * 1_024.0 / 1e6)
    }
}

/// Connections that are open towards this port of the loopback, on whoever's side they were opened.
pub(crate) fn connections_to(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let remote = format!(":{port:04X}");
    let is_there = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|address| address.ends_with(&remote)) && fields.next() == Some(ESTABLISHED)
    };
    text.lines().filter(is_there).count()
}
