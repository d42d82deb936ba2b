//! `rampwatch demo`: the main job on a real chain node from nothing, told as a story, and checked.
//!
//! A chain, a fake payment API and a watcher (this very program, as a child process) are started in a temporary
//! folder. Off-ramps are opened and paid in every way that money comes in; a block is reorganised away, the watcher is
//! killed, an answer is lost. Then the sandbox's own hot wallet pays off-ramps itself. At the end a table says what
//! became of each, in the watcher's own words, and every outcome is compared with the one that it must be; what the
//! wallet sent is read from the blocks.
//!
//! Deliberately absent: real money, real keys, and anything that stays behind.

mod acts;
mod folder;
mod funding;
mod receipts;
mod report;
mod stage;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::folder::Folder;
use self::stage::Stage;
use super::error::{Result, SandboxError};

/// How the demo is to be run.
#[derive(Clone, Debug, Default)]
pub struct DemoOptions {
    /// The `rampwatch` binary that is to watch; this program's own when `None`.
    pub program: Option<PathBuf>,
}

/// Runs the demo and tells it on `out`. Ends early on Ctrl-C. Nothing is left behind either way.
///
/// # Errors
/// When a part does not start or an outcome is not the one that it must be; also when it was interrupted.
pub async fn run(options: &DemoOptions, out: &mut (impl Write + Send)) -> Result<()> {
    let no_program = |source| SandboxError::Process { what: "find this program".to_owned(), source };
    let program = match &options.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(no_program)?,
    };
    let no_signal = |source| SandboxError::Process { what: "wait for a signal".to_owned(), source };
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signal)?;
    // The folder goes last, when all that write into it have ended.
    let folder = Folder::new()?;
    let story = tell(program, &folder, out);
    let interrupted = || Err(SandboxError::Outcome("the demo was interrupted; nothing is left behind".to_owned()));
    let told = tokio::select! {
        told = story => told,
        _ = tokio::signal::ctrl_c() => interrupted(),
        _ = terminated.recv() => interrupted(),
    };
    folder.remove().await?;
    told
}

/// The story from beginning to end.
async fn tell(program: PathBuf, folder: &Folder, out: &mut (impl Write + Send)) -> Result<()> {
    let began = Instant::now();
    let mut stage = Stage::set(program, folder.path(), out).await?;
    let told = acts::all(&mut stage).await;
    let result = match told {
        Ok(cases) => report::judge(&mut stage, &cases, began).await,
        Err(error) => Err(error),
    };
    // What went wrong in the story says more than what goes wrong when clearing up after it.
    let cleared = stage.clear(Duration::from_secs(10)).await;
    result.and(cleared)
}
