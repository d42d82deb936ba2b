//! The one client of the operator API: to a daemon that runs, or, where none does, to the same routes in this process. So a command
//! cannot differ by whether a daemon runs.
//!
//! Deliberately absent: which of the two it is to be (`cli::operator` finds out).

#![warn(missing_docs)]

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::config::Settings;
use crate::http::{Code, InProcess, Problem};

mod calls;
mod daemon;
mod feed;

use daemon::Daemon;
pub use daemon::{Way, from_here};
pub use feed::Feed;

/// What a request says besides its path: names, and values where there are any.
type Query<'a> = &'a [(&'a str, Option<&'a str>)];

/// Why there is no answer of use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The operator API refused, or failed.
    #[error("{detail}")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why and what to do, for people.
        detail: String,
    },
    /// The daemon cannot be used.
    #[error("{0}")]
    Unavailable(String),
    /// Something that should not happen.
    #[error("{0}")]
    Failed(String),
}

/// The operator API.
pub struct Client {
    to: To,
}

enum To {
    Daemon(Box<Daemon>),
    Here(InProcess),
}

impl Client {
    /// To a daemon that runs.
    ///
    /// # Errors
    /// When the token file that is configured cannot be read, or the HTTP client cannot start.
    pub fn to_daemon(settings: &Settings, way: Way) -> Result<Self, ClientError> {
        Ok(Self { to: To::Daemon(Box::new(Daemon::new(settings, way)?)) })
    }

    /// To the routes in this process.
    #[must_use]
    pub const fn in_process(routes: InProcess) -> Self {
        Self { to: To::Here(routes) }
    }

    /// Whether no daemon is asked. What was ordered waits until one runs.
    #[must_use]
    pub const fn is_in_process(&self) -> bool {
        matches!(self.to, To::Here(_))
    }

    /// Whether a daemon runs and says that it is ready.
    pub async fn is_ready(&self) -> bool {
        match &self.to {
            To::Daemon(daemon) => daemon.ask("GET", "/readyz", None).await.is_ok_and(|(status, _)| status == 200),
            To::Here(_) => false,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: Query<'_>) -> Result<T, ClientError> {
        self.ask("GET", &path_and_query(path, query), None).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &(impl Serialize + Sync)) -> Result<T, ClientError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ClientError::Failed(error.to_string()))?;
        self.ask("POST", &path_and_query(path, &[]), Some(("application/json", bytes))).await
    }

    async fn put<T: DeserializeOwned>(&self, path: &[&str], media_type: &str, body: Vec<u8>) -> Result<T, ClientError> {
        self.ask("PUT", &path_and_query(path, &[]), Some((media_type, body))).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<T, ClientError> {
        let (status, body) = match &self.to {
            To::Daemon(daemon) => daemon.ask(method, path_and_query, body).await?,
            To::Here(routes) => routes.ask(method, path_and_query, body).await.map_err(ClientError::Failed)?,
        };
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|error| {
                let said = format!("gave an answer that this rampwatch does not understand: {error}");
                match &self.to {
                    To::Daemon(daemon) => daemon.unavailable(&said),
                    To::Here(_) => ClientError::Failed(said),
                }
            });
        }
        Err(match &self.to {
            To::Daemon(daemon) => daemon.refusal(status, &body),
            To::Here(_) => match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => ClientError::Refused { code: problem.code, detail: problem.detail },
                Err(error) => ClientError::Failed(format!("HTTP {status}, and no problem: {error}")),
            },
        })
    }

    async fn stream(&self, path: &[&str], query: Query<'_>) -> Result<Feed, ClientError> {
        match &self.to {
            To::Daemon(daemon) => daemon.stream(&path_and_query(path, query)).await,
            To::Here(_) => Err(ClientError::Unavailable(
                "no daemon runs, so nothing happens that could be followed: start `rampwatch run` first".to_owned(),
            )),
        }
    }
}

/// A path below `/v1`, each of its parts escaped, with what is asked for.
fn path_and_query(path: &[&str], query: Query<'_>) -> String {
    let mut written = String::from("/v1");
    for part in path {
        written.push('/');
        written.extend(utf8_percent_encode(part, NON_ALPHANUMERIC));
    }
    let mut next = '?';
    for (name, value) in query.iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        written.push(next);
        written.push_str(name);
        written.push('=');
        written.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        next = '&';
    }
    written
}
