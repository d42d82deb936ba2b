//! `rampwatch run`: the daemon.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::OptionFuture;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::exit::{Exit, Failure};
use super::progress::show_progress;
use super::start_logging;
use crate::config::{LogFormat, Settings};
use crate::service::operator_service::OperatorService;
use crate::{daemon, telemetry};

/// How long the engine may take to finish what is under way. A completion that is cut off here is looked into at the
/// next start, before anything else is called. With what follows it (the operator API, and a second for what is blocked in
/// the system) that is less than the ten seconds that are promised.
const GRACE: Duration = Duration::from_secs(8);

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
    let outcome = serve(settings, stop.clone(), show).await;
    stop.cancel();
    if let Some(Err(error)) = OptionFuture::from(bar).await {
        tracing::warn!(%error, "the progress bar ended badly");
    }
    outcome
}

/// Runs the engine and serves the operator API until `stop`. `up` is given the handle as soon as both are there.
pub(super) async fn serve(
    settings: &Settings,
    stop: CancellationToken,
    up: impl FnOnce(OperatorService),
) -> Result<(), Failure> {
    let metrics = telemetry::install_metrics().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    // An address that is written down is looked at before anything is opened; the key's own as soon as it is known.
    Failure::unless_wallet_fits(settings, settings.wallet.as_ref().and_then(|wallet| wallet.address))?;
    let built = until(&stop, daemon::build(settings)).await;
    let Some(app) = built.transpose().map_err(|error| Failure::of_wiring(&error))? else { return Ok(()) };
    Failure::unless_wallet_fits(settings, app.wallet)?;
    let handle = app.handle.clone().with_tokens(daemon::token_names(settings));
    let doors = Doors::open(settings, &handle, Arc::new(move || metrics.render()))?;
    let (listen, socket) = (settings.http.listen, settings.http.socket.display());
    let store = settings.store.path.display();
    tracing::info!(%listen, %socket, chain = settings.chain.id, %store, "rampwatch is up");
    up(handle);
    let mut engine = std::pin::pin!(app.run(stop.clone()));
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let outcome = tokio::select! {
        ended = &mut engine => ended.map_err(|error| Failure::new(Exit::Failed, format!("{error:#}"))),
        () = overdue => {
            tracing::warn!("calls were still under way; the next start looks into them before it calls anything");
            Ok(())
        }
    };
    stop.cancel();
    doors.close().await;
    tracing::info!("rampwatch is down");
    outcome
}

/// The future's outcome, or `None` when it is told to stop first.
pub(super) async fn until<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = stop.cancelled() => None,
    }
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
