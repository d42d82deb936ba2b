//! The commands, as a person or a script runs them: the real binary, with folders and configurations of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::temp_dir;

mod completions;
mod daemon;
mod doctor;
mod doors;
mod events;
mod help;
mod met;
mod odd_answers;
mod offline;
mod orders;
mod people;
mod quotes;
mod reconcile;
mod running;
mod secrets;
mod snapshots;
mod stopping;
mod store;
pub(crate) mod terminal;
mod wallet;
mod wrong;

/// The API key in the environment of every command. Nothing may ever show it.
const KEY: &str = "sk_dev_0123456789secret";
/// The key in the RPC URL of every configuration. Nothing may ever show it.
const RPC_KEY: &str = "rpc-secret-key";

/// A folder with a configuration.
struct Place {
    folder: TempDir,
}

impl Place {
    /// A configuration for which no daemon can be found: commands open the store.
    fn offline() -> Self {
        let place = Self { folder: temp_dir() };
        place.configure("127.0.0.1:0".parse().unwrap(), None);
        place
    }

    /// A configuration for a daemon at this address, with this token file.
    fn for_daemon(listen: SocketAddr, token_file: &Path) -> Self {
        let place = Self { folder: temp_dir() };
        place.configure(listen, Some(token_file));
        place
    }

    fn configure(&self, listen: SocketAddr, token_file: Option<&Path>) {
        let mut text = rampwatch::config::EXAMPLE.to_owned();
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "the example has no {from}");
            text = text.replace(from, to);
        };
        change("https://polygon-rpc.example/v1/your-key", &format!("http://127.0.0.1:9/{RPC_KEY}"));
        change("wss://polygon-rpc.example/v1/your-key", &format!("ws://127.0.0.1:9/{RPC_KEY}"));
        change("https://api.sentra.xyz/api/v1", "http://127.0.0.1:9/api");
        change("127.0.0.1:8787", &listen.to_string());
        if let Some(file) = token_file {
            change("[http]", &format!("[http]\ntoken_file = {:?}", file.display().to_string()));
        }
        self.write("config.toml", &text);
    }

    /// Configures a wallet, which may spend; the limits are the example's.
    fn with_wallet(self) -> Self {
        self.edit("# [wallet]\n# keystore = ", "[wallet]\nkeystore = ");
        self.edit("enabled = false ", "enabled = true ");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("config.toml")).unwrap();
        assert!(text.contains(from), "the configuration has no {from}");
        self.write("config.toml", &text.replace(from, to));
    }

    /// The command, not started: in this folder, with nothing of the test's own environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rampwatch"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("RAMPWATCH_API_KEY", KEY);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs the command to its end.
    async fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().await.unwrap())
    }

    /// Runs it without the API key in the environment.
    async fn run_without_key(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).env_remove("RAMPWATCH_API_KEY").output().await.unwrap())
    }

    /// Adds a payment with everything typed.
    async fn add(&self, id: &str, place: u64, amount: &str) -> Ran {
        let address = crate::support::records::address(place).to_string();
        let arguments = [
            "add",
            id,
            "rec-1",
            "--deposit-address",
            &address,
            "--amount",
            amount,
            "--created-at",
            "2025-01-01T00:00:00Z",
        ];
        self.run_without_key(&arguments).await
    }
}

/// A command that has ended.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        for secret in [KEY, RPC_KEY] {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{} {}", ran.out, ran.err);
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    /// It worked and had nothing to remark. Returns the data.
    #[track_caller]
    fn data(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// It worked; the data is JSON.
    #[track_caller]
    fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.data()).unwrap()
    }

    /// It ended with this code, one error on stderr that has these words, and no data.
    #[track_caller]
    fn fails(self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        let errors = self.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(self.err.starts_with("error: ") && errors == 1, "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
    }
}
