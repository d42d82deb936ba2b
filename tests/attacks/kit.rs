//! What all rows share: the attacked program, the configuration keys that it knows, and a folder that goes with the suite.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::row::Stop;
use crate::world::clock;
use crate::world::config::{Setup, WALLET_KEY_ENV, text};

/// Configuration keys that older programs do not have, and run without. A row that sets a key that is newer than this suite's
/// first rows adds it here.
const NEW_KEYS: &[(&str, &str, &str)] = &[
    ("api", "end_confirm_after", "\"2s\""),
    ("funding", "allowed_addresses", "[]"),
    ("funding", "approval_valid_for", "\"3d\""),
    ("funding", "auto_max_per_day", "\"1\""),
    ("rpc", "agreement", "1"),
];

/// Whether a key is among those.
pub(crate) fn is_new(section: &str, key: &str) -> bool {
    NEW_KEYS.iter().any(|(of, name, _)| *of == section && *name == key)
}

/// The same for who runs an endpoint.
pub(crate) const OPERATOR: &str = "rpc.endpoints.operator";

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
    /// Finds out what the program knows. Only an older one may lack a key.
    pub(crate) async fn for_program(program: PathBuf, is_older: bool) -> Result<Self, Stop> {
        let folder = tempfile::Builder::new().prefix("rampwatch-attacks-").tempdir()?;
        let known = Arc::new(known_keys(&program, folder.path()).await?);
        let kit = Self { program, known, folder: Arc::new(folder), library: Arc::default() };
        let left_out = kit.left_out();
        if left_out.is_empty() || is_older {
            return Ok(kit);
        }
        Err(Stop::Fault(format!("the program does not know {} (--older would leave them out)", left_out.join(", "))))
    }

    /// The new keys that the program does not know.
    pub(crate) fn left_out(&self) -> Vec<String> {
        new_keys().into_iter().filter(|key| !self.known.contains(key)).collect()
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

/// All the new keys, as `section.key`.
fn new_keys() -> BTreeSet<String> {
    let keys = NEW_KEYS.iter().map(|(section, key, _)| format!("{section}.{key}"));
    keys.chain([OPERATOR.to_owned()]).collect()
}

/// Asks the program about a configuration with all the new keys. It complains of each that it does not know, by name; what
/// else is wrong with that configuration does not matter.
async fn known_keys(program: &Path, folder: &Path) -> Result<BTreeSet<String>, Stop> {
    let all = new_keys();
    let file = folder.join("keys.toml");
    let keys = NEW_KEYS.iter().map(|(section, key, value)| (*section, *key, (*value).to_owned())).collect();
    let setup = Setup { wallet: true, operators: vec!["somebody"], keys, ..Setup::default() };
    let endpoints = [("nobody".to_owned(), "http://127.0.0.1:9/".to_owned())];
    std::fs::write(&file, text(&setup, &all, &endpoints, "http://127.0.0.1:9/api/v1", folder, 9))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).args(["config", "check"]);
    command.env("RAMPWATCH_API_KEY", "sk_dev_sandbox").env(WALLET_KEY_ENV, crate::world::wallet_key());
    let output = command.kill_on_drop(true).output().await;
    let output = output.map_err(|error| Stop::Fault(format!("{} cannot be run: {error}", program.display())))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let complaints = said.lines().filter(|line| line.contains("no such key"));
    let mut unknown: BTreeSet<String> = BTreeSet::new();
    for line in complaints {
        let key = line.trim().split([' ', ':']).next().unwrap_or_default().replace("[0]", "");
        if !all.contains(&key) {
            return Err(Stop::Fault(format!("the program does not know a key that is none of the new ones: {line}")));
        }
        unknown.insert(key);
    }
    Ok(all.difference(&unknown).cloned().collect())
}
