//! The daemon's doors: the socket of the machine's own commands, the operator API over TCP, and the webhook inlet. Each is
//! opened when it can be, and none keeps the engine from working.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::serve::DaemonError;
use crate::config::{HttpSettings, InletSettings, Settings};
use crate::domain::time::Span;
use crate::http::{self, Opened, Operator, Render, Socket, Tokens};
use crate::service::operator_service::OperatorService;

/// How long requests may take to finish when the daemon stops.
const GRACE: Duration = Duration::from_millis(800);

/// How much longer than a call to the payment API a request to the operator API may take.
pub const BEYOND_API: Span = Span::from_secs(15);

/// What is served, and until when.
pub(super) struct Doors {
    served: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Doors {
    /// Makes and reads the tokens, and opens every door as soon as that can be done. The store's lock must be held.
    ///
    /// # Errors
    /// A token or the webhook's secret cannot be had.
    pub(super) fn open(settings: &Settings, handle: &OperatorService, metrics: Render) -> Result<Self, DaemonError> {
        let inlet = inlet(settings)?;
        let tokens = Tokens::load(&settings.http).map_err(|error| DaemonError::Unavailable(error.to_string()))?;
        let operator = Operator {
            handle: handle.clone(),
            tokens: Arc::new(tokens),
            hosts: hosts(settings),
            metrics,
            lag: ready_lag(settings),
            timeout: settings.api.timeout.plus(BEYOND_API),
        };
        let stop = CancellationToken::new();
        let mut served = vec![
            tokio::spawn(http::keep_counting(handle.clone(), stop.clone())),
            tokio::spawn(serve_local(settings.http.clone(), operator.clone(), stop.clone())),
            tokio::spawn(serve_tcp(settings.http.clone(), operator, stop.clone())),
        ];
        if let Some((inlet, secrets)) = inlet {
            served.push(tokio::spawn(serve_inlet(inlet, secrets, handle.clone(), stop.clone())));
        }
        Ok(Self { served, stop })
    }

    /// Lets requests under way finish, and closes. A delivery that is cut off is repeated by its sender, and the API is asked
    /// by the clock anyway.
    pub(super) async fn close(self) {
        self.stop.cancel();
        let until = Instant::now().checked_add(GRACE).unwrap_or_else(Instant::now);
        for mut door in self.served {
            match tokio::time::timeout_at(until, &mut door).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "what was served ended badly"),
                Err(_) => {
                    tracing::info!("requests were cut off");
                    door.abort();
                    // What it leaves behind is gone then, the socket's file with it.
                    drop(door.await);
                }
            }
        }
    }
}

/// Serves the machine's own user.
async fn serve_local(settings: HttpSettings, operator: Operator, stop: CancellationToken) {
    // Held to the end: nobody else has the store, and so the socket's place, before its file is gone.
    let handle = operator.handle.clone();
    let bind = || Socket::bind(&settings.socket);
    let Some(opened) = http::open("http.socket", bind, &handle, &stop).await else { return };
    tracing::info!(path = %settings.socket.display(), "the commands of this machine are heard");
    if let Err(error) = http::serve_local(opened.door, operator, stop).await {
        tracing::error!(%error, "the socket of the commands ended");
    }
}

/// Serves those who have tokens. Whoever had the port meanwhile may have been shown the machine's own token, so that is made
/// anew then.
async fn serve_tcp(settings: HttpSettings, operator: Operator, stop: CancellationToken) {
    let (handle, tokens) = (operator.handle.clone(), Arc::clone(&operator.tokens));
    let bind = || listen(settings.listen);
    let Some(Opened { door: listener, is_late }) = http::open("http.listen", bind, &handle, &stop).await else {
        return;
    };
    if is_late && let Err(error) = tokens.renew(&settings) {
        tracing::error!(%error, "the machine's own token is not taken until the next start");
    }
    let address = listener.local_addr().unwrap_or(settings.listen);
    tracing::info!(%address, "the operator API listens");
    if let Err(error) = http::serve(listener, operator, stop).await {
        tracing::error!(%error, "the operator API ended");
    }
}

/// Hears the webhook.
async fn serve_inlet(
    inlet: InletSettings,
    secrets: Vec<SecretString>,
    handle: OperatorService,
    stop: CancellationToken,
) {
    let bind = || listen(inlet.listen);
    let Some(Opened { door: listener, .. }) = http::open("webhook.listen", bind, &handle, &stop).await else { return };
    let address = listener.local_addr().unwrap_or(inlet.listen);
    tracing::info!(%address, path = http::inlet::PATH, "the webhook inlet listens");
    if let Err(error) = http::inlet::serve(listener, &inlet, &secrets, handle, stop).await {
        tracing::error!(%error, "the webhook inlet ended; the API is asked by the clock as ever");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))
}

/// The webhook inlet and its secrets, if it is configured.
fn inlet(settings: &Settings) -> Result<Option<(InletSettings, Vec<SecretString>)>, DaemonError> {
    let Some(inlet) = settings.webhook.inlet.clone() else { return Ok(None) };
    let secrets = settings.webhook.secrets().map_err(|error| DaemonError::Configuration(error.to_string()))?;
    if secrets.is_empty() {
        let missing = "webhook.listen needs webhook.secret_env or webhook.secret_file";
        return Err(DaemonError::Configuration(missing.to_owned()));
    }
    Ok(Some((inlet, secrets)))
}

/// What a request may call this machine, besides its loopback names: what is configured, and the address that it listens at.
fn hosts(settings: &Settings) -> Arc<[String]> {
    let own = Some(settings.http.listen.ip()).filter(|ip| !ip.is_unspecified());
    settings.http.hosts.iter().cloned().chain(own.map(|ip| ip.to_string())).collect()
}

/// The longest time between two sweeps, and some more for the sweep itself.
fn ready_lag(settings: &Settings) -> Span {
    let watch = &settings.watch;
    let longest = watch.sweep_interval.max(watch.poll_interval).max(watch.ended_interval);
    longest.plus(settings.rpc.request_timeout.times(3))
}
