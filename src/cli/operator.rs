//! The way to the state: through the daemon that runs, or by opening the store when none does.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;

use super::client::{Daemon, Way, from_here};
use super::exit::{Exit, Failure};
use crate::config::Settings;
use crate::http::socket::{self, SocketError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::DepositFilter;
use crate::service::requests::{AddRequest, ResolveRequest};
use crate::view::returns::PaymentDetail;
use crate::view::{DepositView, Page, PaymentView, ResolvedView, ReviewView, TokenName, WhyView};
use crate::wire::{self, IfMissing};

/// How long a daemon may take to accept a connection on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Who is asked.
pub(super) enum Operator {
    /// The daemon.
    Daemon(Box<Daemon>),
    /// The store, opened here.
    Store(Box<OperatorService>),
}

/// What the configuration calls the tokens.
pub(super) fn token_names(settings: &Settings) -> Vec<TokenName> {
    let name = |token: &crate::config::Token| TokenName {
        address: token.address,
        symbol: token.symbol.clone(),
        decimals: token.decimals,
    };
    settings.chain.tokens().map(name).collect()
}

pub(super) fn told<T>(result: Result<T, OperatorError>) -> Result<T, Failure> {
    result.map_err(|error| Failure::of_handle(&error))
}

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

impl Operator {
    /// Finds the daemon, or opens the store that is there.
    ///
    /// # Errors
    /// Something listens and does not answer as the daemon; or nothing does, and the store is not there or cannot be
    /// opened.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::find(settings, IfMissing::Refuse).await
    }

    /// As [`Operator::open`], but makes the store when there is none.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn open_or_make(settings: &Settings) -> Result<Self, Failure> {
        Self::find(settings, IfMissing::Make).await
    }

    async fn find(settings: &Settings, if_missing: IfMissing) -> Result<Self, Failure> {
        if let Some(daemon) = Self::daemon(settings).await? {
            return Ok(daemon);
        }
        let places = places(settings);
        let handle = wire::offline(settings, if_missing).map_err(|error| {
            let said = format!("no daemon answers at {places}, and {error:#}");
            Failure::new(Exit::Unavailable, said)
        })?;
        Ok(Self::Store(Box::new(handle.with_tokens(token_names(settings)))))
    }

    /// Finds the daemon: at the socket, or with a token over TCP; `None` when none runs.
    ///
    /// # Errors
    /// Something listens and does not answer as the daemon, or is not to be spoken to.
    pub(super) async fn daemon(settings: &Settings) -> Result<Option<Self>, Failure> {
        let local = socket::answers(&settings.http.socket).await;
        if local.map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))? {
            return Ok(Some(Self::Daemon(Box::new(Daemon::new(settings, Way::Socket)?))));
        }
        let listen = settings.http.listen;
        // Without a token nothing is to be asked; and with port 0 the daemon takes any free port, and nobody can know which.
        if settings.http.token_file.is_none() || listen.port() == 0 {
            return Ok(None);
        }
        match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(from_here(listen))).await {
            Ok(Ok(_)) => Ok(Some(Self::Daemon(Box::new(Daemon::new(settings, Way::Tcp)?)))),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
            Ok(Err(error)) => Err(Failure::new(Exit::Unavailable, format!("{listen} (http.listen): {error}"))),
            Err(_) => {
                let said = format!("what listens at {listen} (http.listen) accepts no connection");
                Err(Failure::new(Exit::Unavailable, said))
            }
        }
    }

    pub(super) async fn payments(
        &self,
        state: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PaymentView>, Failure> {
        match self {
            Self::Store(handle) => told(handle.list_payments(state, after, limit).await),
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                daemon.get(&["payments"], &[("state", state), ("after", after), ("limit", Some(&limit))]).await
            }
        }
    }

    pub(super) async fn show(&self, id: &str) -> Result<PaymentDetail, Failure> {
        match self {
            Self::Store(handle) => told(handle.show(id).await),
            Self::Daemon(daemon) => daemon.get(&["payments", id], &[]).await,
        }
    }

    pub(super) async fn deposits(
        &self,
        filter: &DepositFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<DepositView>, Failure> {
        match self {
            Self::Store(handle) => told(handle.list_deposits(filter, after, limit).await),
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                let query = [
                    ("address", filter.address.as_deref()),
                    ("payment", filter.payment.as_deref()),
                    ("verdict", filter.verdict.as_deref()),
                    ("after", after),
                    ("limit", Some(limit.as_str())),
                ];
                daemon.get(&["deposits"], &query).await
            }
        }
    }

    pub(super) async fn reviews(&self, after: Option<&str>, limit: usize) -> Result<Page<ReviewView>, Failure> {
        match self {
            Self::Store(handle) => told(handle.reviews(after, limit).await),
            Self::Daemon(daemon) => {
                daemon.get(&["reviews"], &[("after", after), ("limit", Some(&limit.to_string()))]).await
            }
        }
    }

    pub(super) async fn why(&self, subject: &str) -> Result<WhyView, Failure> {
        match self {
            Self::Store(handle) => told(handle.why(subject).await),
            Self::Daemon(daemon) => daemon.get(&["why", subject], &[]).await,
        }
    }

    pub(super) async fn add(&self, request: &AddRequest) -> Result<PaymentView, Failure> {
        match self {
            Self::Store(handle) => told(handle.add_request(request).await),
            Self::Daemon(daemon) => daemon.post(&["payments"], request).await,
        }
    }

    pub(super) async fn resolve(&self, request: &ResolveRequest) -> Result<ResolvedView, Failure> {
        match self {
            Self::Store(handle) => told(handle.resolve_request(request).await),
            Self::Daemon(daemon) => daemon.post(&["resolve"], request).await,
        }
    }
}
