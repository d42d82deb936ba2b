//! What all rows share: the attacked program, the configuration keys that it knows, and a folder that goes with the suite.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::row::Stop;
use crate::world::clock;
use crate::world::config::{Setup, text};

/// Configuration keys that not every program has: one that does not know a key runs without it. A row that sets a key that
/// is newer than this suite's first rows adds it here.
pub(crate) const NEW_KEYS: &[(&str, &str, &str)] =
    &[("api", "end_confirm_after", "\"2s\""), ("funding", "approval_valid_for", "\"3d\""), ("rpc", "agreement", "2")];

/// See the module.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) program: PathBuf,
    /// Those of [`NEW_KEYS`] that the program knows, as `section.key`.
    pub(crate) known: Arc<BTreeSet<String>>,
    folder: Arc<TempDir>,
    library: Arc<OnceCell<PathBuf>>,
}

impl Kit {
    /// Finds out what the program knows.
    pub(crate) async fn for_program(program: PathBuf) -> Result<Self, Stop> {
        let folder = tempfile::Builder::new().prefix("rampwatch-attacks-").tempdir()?;
        let known = Arc::new(known_keys(&program, folder.path()).await?);
        Ok(Self { program, known, folder: Arc::new(folder), library: Arc::default() })
    }

    /// The new keys that the program does not know.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let all = NEW_KEYS.iter().map(|(section, key, _)| format!("{section}.{key}"));
        all.filter(|key| !self.known.contains(key)).collect()
    }

    /// A folder of one world's own, below the suite's.
    pub(crate) fn world_folder(&self) -> Result<TempDir, Stop> {
        Ok(tempfile::Builder::new().prefix("world-").tempdir_in(self.folder.path())?)
    }

    /// What sets the clock of a process ahead; compiled when it is first asked for.
    pub(crate) async fn clock_library(&self) -> Result<&Path, Stop> {
        let library = self.library.get_or_try_init(|| clock::compile(self.folder.path())).await?;
        Ok(library)
    }
}

/// Asks the program about a configuration with all the new keys. It complains of each that it does not know, by name; what
/// else is wrong with that configuration does not matter.
async fn known_keys(program: &Path, folder: &Path) -> Result<BTreeSet<String>, Stop> {
    let all: BTreeSet<String> = NEW_KEYS.iter().map(|(section, key, _)| format!("{section}.{key}")).collect();
    let file = folder.join("keys.toml");
    let mut setup = Setup { wallet: true, ..Setup::default() };
    setup.new_keys = NEW_KEYS.to_vec();
    let endpoints = [("nobody".to_owned(), "http://127.0.0.1:9/".to_owned())];
    std::fs::write(&file, text(&setup, &all, &endpoints, "http://127.0.0.1:9/api/v1", folder, 9))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).args(["config", "check"]);
    command.env("RAMPWATCH_API_KEY", "sk_dev_sandbox").env("ATTACKS_WALLET_KEY", crate::world::wallet_key());
    let output = command.kill_on_drop(true).output().await;
    let output = output.map_err(|error| Stop::Fault(format!("{} cannot be run: {error}", program.display())))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("no such key")).collect();
    let unknown = |key: &String| complaints.iter().any(|line| line.trim_start().starts_with(key.as_str()));
    if let Some(other) =
        complaints.iter().find(|line| !all.iter().any(|key| line.trim_start().starts_with(key.as_str())))
    {
        return Err(Stop::Fault(format!("the program does not know a key that is none of the new ones: {other}")));
    }
    Ok(all.iter().filter(|key| !unknown(key)).cloned().collect())
}
