//! The way to the state: through the daemon that runs, or by opening the store when none does.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;

use super::exit::{Exit, Failure};
use crate::client::{Client, Way, from_here};
use crate::config::Settings;
use crate::daemon::{self, IfMissing};
use crate::http::InProcess;
use crate::http::socket::{self, SocketError};
use crate::service::operator_service::OperatorService;

/// How long a daemon may take to accept a connection on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Where a daemon was looked for.
fn places(settings: &Settings) -> String {
    let http = &settings.http;
    let socket = match socket::check_place(&http.socket, &settings.store.path) {
        Err(error @ SocketError::TooLong { .. }) => format!("http.socket ({error})"),
        Ok(()) | Err(_) => format!("{} (http.socket)", http.socket.display()),
    };
    match http.token_file {
        Some(_) => format!("{socket} or {} (http.listen)", http.listen),
        None => socket,
    }
}

/// Finds the daemon, or opens the store that is there.
///
/// # Errors
/// Something listens and does not answer as the daemon; or nothing does, and the store is not there or cannot be
/// opened.
pub(super) async fn open(settings: &Settings) -> Result<Client, Failure> {
    find(settings, IfMissing::Refuse).await
}

/// As [`open`], but makes the store when there is none.
///
/// # Errors
/// As there.
pub(super) async fn open_or_make(settings: &Settings) -> Result<Client, Failure> {
    find(settings, IfMissing::Make).await
}

async fn find(settings: &Settings, if_missing: IfMissing) -> Result<Client, Failure> {
    if let Some(daemon) = daemon(settings).await? {
        return Ok(daemon);
    }
    let places = places(settings);
    let handle = daemon::offline(settings, if_missing).map_err(|error| {
        let said = format!("no daemon answers at {places}, and {error:#}");
        Failure::new(Exit::Unavailable, said)
    })?;
    Ok(here(handle.with_tokens(daemon::token_names(settings)), settings))
}

/// Finds the daemon: at the socket, or with a token over TCP; `None` when none runs.
///
/// # Errors
/// Something listens and does not answer as the daemon, or is not to be spoken to.
pub(super) async fn daemon(settings: &Settings) -> Result<Option<Client>, Failure> {
    let local = socket::answers(&settings.http.socket).await;
    if local.map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))? {
        return Ok(Some(Client::to_daemon(settings, Way::Socket)?));
    }
    let listen = settings.http.listen;
    // Without a token nothing is to be asked; and with port 0 the daemon takes any free port, and nobody can know which.
    if settings.http.token_file.is_none() || listen.port() == 0 {
        return Ok(None);
    }
    match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(from_here(listen))).await {
        Ok(Ok(_)) => Ok(Some(Client::to_daemon(settings, Way::Tcp)?)),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
        Ok(Err(error)) => Err(Failure::new(Exit::Unavailable, format!("{listen} (http.listen): {error}"))),
        Err(_) => {
            let said = format!("what listens at {listen} (http.listen) accepts no connection");
            Err(Failure::new(Exit::Unavailable, said))
        }
    }
}

/// The same routes as a daemon's, over what is open here.
pub(super) fn here(handle: OperatorService, settings: &Settings) -> Client {
    Client::in_process(InProcess::new(handle, settings.api.timeout.plus(daemon::BEYOND_API)))
}
