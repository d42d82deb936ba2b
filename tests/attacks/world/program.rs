//! The attacked program: a child process, and its operator API. Everything goes by what any operator could do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::config::{LOCAL, token_file};
use super::within;
use crate::row::Stop;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// How much of the end of its log is shown when it ends unasked.
const SHOWN_LINES: usize = 4;

/// How a start came out.
pub(crate) enum Started {
    /// It runs and answers.
    Up,
    /// It has ended by itself.
    Ended {
        /// The exit code.
        code: Option<i32>,
        /// The end of what it said.
        words: String,
    },
}

/// What a request for something brought.
pub(crate) enum Reply {
    /// It was done.
    Done(Value),
    /// The rules, or the moment, are against it.
    Refused(String),
}

/// The program with one configuration. A running one is killed when this value is dropped.
pub(crate) struct Program {
    path: PathBuf,
    config: PathBuf,
    log: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, PathBuf)>,
    address: SocketAddr,
    client: reqwest::Client,
    child: Option<Child>,
}

impl Program {
    /// A program that does not run yet, with its files in a folder.
    pub(crate) fn new(
        path: &Path,
        folder: &Path,
        environment: Vec<(String, PathBuf)>,
        port: u16,
    ) -> Result<Self, Stop> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build();
        Ok(Self {
            path: path.to_owned(),
            config: folder.join("config.toml"),
            log: folder.join("log"),
            folder: folder.to_owned(),
            environment,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            client: client.map_err(|error| Stop::Fault(error.to_string()))?,
            child: None,
        })
    }

    /// Starts it, and waits until it answers or has ended. Its port was free when the world was made, and may be somebody's for
    /// a moment.
    pub(crate) async fn try_start(&mut self) -> Result<Started, Stop> {
        let end = Instant::now() + START;
        loop {
            match self.start_once().await? {
                Started::Ended { words, .. } if words.contains("in use") && Instant::now() < end => {
                    tokio::time::sleep(within::LOOK).await;
                }
                started => return Ok(started),
            }
        }
    }

    /// What any command of the program is run as: in the world's folder, with the world's variables.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        // Neither settings of whoever runs the suite nor his proxies.
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_ascii_uppercase();
            if upper.starts_with("RAMPWATCH_") || upper.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs another command of the program to its end. Gives whether it succeeded, and all that it said; one that takes too
    /// long has failed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<(bool, String), Stop> {
        let mut command = self.command();
        command.arg("--config").arg(&self.config).args(arguments);
        said(command, arguments).await
    }

    /// The same as somebody does it who stands in a folder, names no configuration, and has a variable besides.
    pub(crate) async fn run_in(
        &self,
        folder: &Path,
        (name, value): (&str, &str),
        arguments: &[&str],
    ) -> Result<(bool, String), Stop> {
        let mut command = self.command();
        command.current_dir(folder).env(name, value).args(arguments);
        said(command, arguments).await
    }

    /// Starts it, and does not wait for an answer.
    pub(crate) fn spawn(&mut self) -> Result<(), Stop> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.command();
        command.arg("--config").arg(&self.config).arg("run");
        command.stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Where its operator API is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    async fn start_once(&mut self) -> Result<Started, Stop> {
        self.spawn()?;
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Some(status) = self.ended()? {
                self.child = None;
                return Ok(Started::Ended { code: status.code(), words: self.last_words() });
            }
            let answer = self.client.get(format!("http://{}/healthz", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Started::Up);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Stop::Fault(format!("it did not answer within {START:?} of its start: {}", self.last_words())))
    }

    /// Starts it; that it does not start is a fault of the suite.
    pub(crate) async fn start(&mut self) -> Result<(), Stop> {
        match self.try_start().await? {
            Started::Up => Ok(()),
            Started::Ended { code, words } => Err(Stop::Fault(format!("it did not start (exit {code:?}): {words}"))),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(&mut self) -> Result<(), Stop> {
        self.still_runs()?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            rampwatch::sandbox::Pid(pid).terminate().await?;
        }
        match tokio::time::timeout(Duration::from_secs(30), child.wait()).await {
            Ok(status) => status.map(|_| ()).map_err(Stop::from),
            Err(_) => Err(Stop::Broken("it did not end within 30 s when asked".to_owned())),
        }
    }

    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, Stop> {
        self.child.as_mut().map_or(Ok(None), |child| child.try_wait().map_err(Stop::from))
    }

    /// That it runs. One that has ended by itself under an attack has lost.
    pub(crate) fn still_runs(&mut self) -> Result<(), Stop> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(Stop::Broken(format!("it ended by itself ({status}): {}", self.last_words()))),
        }
    }

    /// The memory that it uses, in MiB, where the system tells.
    pub(crate) fn memory(&self) -> Option<u64> {
        let pid = self.child.as_ref()?.id()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib / 1024)
    }

    /// The end of its log, on one line.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join(" / ")
    }

    /// Whether `/readyz` says that it is ready, and what it says.
    pub(crate) async fn readiness(&self) -> (bool, String) {
        match self.client.get(format!("http://{}/readyz", self.address)).send().await {
            Ok(answer) => (answer.status().is_success(), answer.text().await.unwrap_or_default()),
            Err(error) => (false, error.to_string()),
        }
    }

    /// Asks for something to be shown.
    pub(crate) async fn show(&self, path: &str) -> Result<Value, Stop> {
        match self.ask(path, None).await? {
            Reply::Done(value) => Ok(value),
            Reply::Refused(why) => Err(Stop::Fault(format!("GET {path}: {why}"))),
        }
    }

    /// Asks for something to be done.
    pub(crate) async fn request(&self, path: &str, body: Value) -> Result<Reply, Stop> {
        self.ask(path, Some(body)).await
    }

    /// The same with a reason.
    pub(crate) async fn decide(&self, path: &str) -> Result<Reply, Stop> {
        self.request(path, json!({ "reason": "the attack needs it" })).await
    }

    /// Approves an order, as it was shown, as somebody with a token.
    pub(crate) async fn approve_as(&self, name: &str, order: &Value) -> Result<Reply, Stop> {
        let path = format!("/v1/orders/{}/approve", order["id"].as_str().unwrap_or_default());
        let body = json!({
            "reason": "the attack needs it", "payment": order["payment"], "to": order["to"],
            "base_units": order["amount"]["base_units"],
        });
        self.request_as(name, &path, body).await
    }

    /// The same as somebody with a token of their own.
    pub(crate) async fn request_as(&self, name: &str, path: &str, body: Value) -> Result<Reply, Stop> {
        self.ask_as(name, path, Some(body)).await
    }

    async fn ask(&self, path: &str, body: Option<Value>) -> Result<Reply, Stop> {
        self.ask_as(LOCAL, path, body).await
    }

    async fn ask_as(&self, name: &str, path: &str, body: Option<Value>) -> Result<Reply, Stop> {
        let token = std::fs::read_to_string(self.folder.join(token_file(name)))?;
        let url = format!("http://{}{path}", self.address);
        let request = match &body {
            Some(body) => self.client.post(url).json(body),
            None => self.client.get(url),
        };
        let answer = match request.bearer_auth(token.trim()).send().await {
            Ok(answer) => answer,
            // Slow, or gone: whether it still runs is looked at elsewhere.
            Err(error) => return Ok(Reply::Refused(format!("no answer: {error}"))),
        };
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        match status {
            200..=299 => {
                serde_json::from_str(&text).map(Reply::Done).map_err(|error| Stop::Fault(format!("{path}: {error}")))
            }
            // The suite has asked for something that is not there, or in a wrong way.
            400 | 401 | 404 | 405 | 413 | 415 | 422 => Err(Stop::Fault(format!("{path}: HTTP {status}: {text}"))),
            _ => Ok(Reply::Refused(format!("HTTP {status}: {text}"))),
        }
    }

    /// Asks again and again for something to be done, until it is or time is up.
    pub(crate) async fn insist(&self, path: &str, body: Value, limit: Duration) -> Result<Reply, Stop> {
        let end = Instant::now() + limit;
        loop {
            match self.request(path, body.clone()).await? {
                Reply::Refused(_) if Instant::now() < end => tokio::time::sleep(within::LOOK).await,
                reply => return Ok(reply),
            }
        }
    }
}

/// Runs a command to its end.
async fn said(mut command: Command, arguments: &[&str]) -> Result<(bool, String), Stop> {
    match tokio::time::timeout(START, command.output()).await {
        Ok(output) => {
            let output = output?;
            let words = [output.stdout, output.stderr].concat();
            Ok((output.status.success(), String::from_utf8_lossy(&words).into_owned()))
        }
        Err(_) => Ok((false, format!("rampwatch {} did not end within {START:?}", arguments.join(" ")))),
    }
}

impl Reply {
    /// What was done; a refusal breaks the row.
    pub(crate) fn done(self, what: &str) -> Result<Value, Stop> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(why) => Err(Stop::Broken(format!("{what} was refused: {why}"))),
        }
    }
}
