//! `rampwatch run`: the daemon.

use clap::Args;
use futures_util::future::OptionFuture;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::progress::show_progress;
use super::start_logging;
use crate::config::{LogFormat, Settings};
use crate::daemon;

/// Watch, match and complete, until SIGTERM or SIGINT
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Complete, sign, send and open nothing, and say what would be done; `shadow = true` in the configuration does the same
    #[arg(long)]
    shadow: bool,
}

impl Run {
    pub(super) async fn run(self, settings: Settings) -> Result<(), Failure> {
        let shadow = settings.shadow || self.shadow;
        run(&Settings { shadow, ..settings }).await
    }
}

async fn run(settings: &Settings) -> Result<(), Failure> {
    start_logging(&settings.log.filter, settings.log.format)?;
    let ended = watch(settings).await;
    match (ended, settings.log.format) {
        // Whoever reads JSON reads nothing else.
        (Err(failure), LogFormat::Json) => {
            tracing::error!(error = failure.message(), "rampwatch ends");
            Err(failure.told())
        }
        (ended, _) => ended,
    }
}

async fn watch(settings: &Settings) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    listen_for_signals(stop.clone())?;
    let mut bar = None;
    let show = |handle| bar = Some(tokio::spawn(show_progress(handle, stop.clone())));
    let outcome = daemon::serve(settings, stop.clone(), show).await;
    stop.cancel();
    if let Some(Err(error)) = OptionFuture::from(bar).await {
        tracing::warn!(%error, "the progress bar ended badly");
    }
    Ok(outcome?)
}

/// The first SIGTERM or SIGINT stops gracefully, the second at once.
fn listen_for_signals(stop: CancellationToken) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("signals cannot be heard: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        let mut heard = 0_u32;
        loop {
            tokio::select! {
                Some(()) = term.recv() => {}
                Some(()) = int.recv() => {}
                else => return,
            }
            heard = heard.saturating_add(1);
            if heard > 1 {
                // What is under way is looked into at the next start, as after a crash.
                std::process::exit(1);
            }
            tracing::info!("told to stop; finishing what is under way");
            stop.cancel();
        }
    });
    Ok(())
}
