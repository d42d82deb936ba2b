//! The daemon's life: everything is put together, its doors are opened, the workers run, and all of it stops in order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::{build, is_configuration, token_names};
use crate::config::Settings;
use crate::domain::chain::Address;
use crate::service::operator_service::OperatorService;
use crate::{sandbox, telemetry};

/// How long the engine may take to finish what is under way. A completion that is cut off here is looked into at the
/// next start, before anything else is called. With what follows it (the operator API, and a second for what is blocked in
/// the system) that is less than the ten seconds that are promised.
const GRACE: Duration = Duration::from_secs(8);

/// Why the daemon does not come up, or ends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DaemonError {
    /// The configuration is wrong, or a node contradicts it.
    #[error("{0}")]
    Configuration(String),
    /// Something cannot be used now.
    #[error("{0}")]
    Unavailable(String),
    /// It ended by itself.
    #[error("{0}")]
    Failed(String),
}

impl DaemonError {
    /// From what putting the parts together said. What is no error of the configuration is something that cannot be
    /// used now.
    #[must_use]
    pub fn of_wiring(error: &anyhow::Error) -> Self {
        let message = format!("{error:#}");
        if is_configuration(error) { Self::Configuration(message) } else { Self::Unavailable(message) }
    }
}

/// Fails when the wallet must not be used on the configured chain: a rehearsal takes no key but the sandbox's own,
/// and that key, which everybody knows, is taken nowhere else (decision 13).
///
/// # Errors
/// [`DaemonError::Configuration`].
pub fn check_wallet(settings: &Settings, wallet: Option<Address>) -> Result<(), DaemonError> {
    let Some(wallet) = wallet else { return Ok(()) };
    let checked = sandbox::check_key(settings.chain.id, wallet);
    checked.map_err(|error| DaemonError::Configuration(error.to_string()))
}

/// Runs the engine and serves the operator API until `stop`. `up` is given the handle as soon as both are there.
///
/// # Errors
/// See [`DaemonError`].
pub async fn serve(
    settings: &Settings,
    stop: CancellationToken,
    up: impl FnOnce(OperatorService),
) -> Result<(), DaemonError> {
    let metrics = telemetry::install_metrics().map_err(|error| DaemonError::Failed(error.to_string()))?;
    // An address that is written down is looked at before anything is opened; the key's own as soon as it is known.
    check_wallet(settings, settings.wallet.as_ref().and_then(|wallet| wallet.address))?;
    let built = until(&stop, build(settings)).await;
    let Some(app) = built.transpose().map_err(|error| DaemonError::of_wiring(&error))? else { return Ok(()) };
    check_wallet(settings, app.wallet)?;
    let handle = app.handle.clone().with_tokens(token_names(settings));
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
        ended = &mut engine => ended.map_err(|error| DaemonError::Failed(format!("{error:#}"))),
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
pub async fn until<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = stop.cancelled() => None,
    }
}
