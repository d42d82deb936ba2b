//! One life of the child, as its parent sees it.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::CHILD_FLAG;
use super::child::{Ask, Look, Orders};

/// How long an answer, and an orderly end, may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Mute {
    /// The process is gone.
    Gone,
    /// It says no.
    Refused(String),
}

/// See the module. The process is killed when this is dropped.
pub(crate) struct Life {
    process: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Life {
    /// Begins one. What it says goes to the end of a file.
    pub(crate) fn begin(orders: &Orders, log: &Path) -> Self {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        writeln!(log, "--- a life; it is to die {:?}", orders.death).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([crate::SEND, CHILD_FLAG])
            .arg(serde_json::to_string(orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let asks = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, asks, answers }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Result<Look, Mute> {
        let line = format!("{}\n", serde_json::to_string(ask).unwrap());
        let asked = async {
            self.asks.write_all(line.as_bytes()).await.ok()?;
            self.asks.flush().await.ok()?;
            self.answers.next_line().await.ok()?
        };
        let answer = tokio::time::timeout(LIMIT, asked).await;
        let Some(answer) = answer.map_err(|_| Mute::Refused(format!("no answer for {LIMIT:?}")))? else {
            return Err(Mute::Gone);
        };
        // Half a line is what a death in the middle of it leaves.
        let Ok(answer) = serde_json::from_str::<Result<Look, String>>(&answer) else { return Err(Mute::Gone) };
        answer.map_err(Mute::Refused)
    }

    /// Waits for the end of one that is gone.
    pub(crate) async fn end(mut self) -> Result<ExitStatus, String> {
        let status = tokio::time::timeout(LIMIT, self.process.wait()).await;
        status.map_err(|_| "it answers nothing and does not end".to_owned())?.map_err(|error| error.to_string())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(self) -> Result<ExitStatus, String> {
        let Self { mut process, asks, answers: _answers } = self;
        drop(asks);
        let status = tokio::time::timeout(LIMIT, process.wait()).await;
        status.map_err(|_| "it does not end when asked".to_owned())?.map_err(|error| error.to_string())
    }
}

/// Whether a process ended itself with `abort`.
pub(crate) fn aborted(status: ExitStatus) -> bool {
    const SIGABRT: i32 = 6;
    status.signal() == Some(SIGABRT)
}
