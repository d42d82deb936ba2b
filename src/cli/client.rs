//! The daemon's operator API, as a client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::{Exit, Failure};
use super::feed::Feed;
use crate::config::Settings;
use crate::http::{Problem, Token};
use crate::outbound::{Outbound, Patience};

/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How long the daemon may take to accept a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// How long a stream may be silent: the daemon says every 15 s that it is alive.
const SILENCE: Duration = Duration::from_secs(60);

/// How a command on the same machine reaches what listens there: over loopback, where it listens everywhere.
pub(super) fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A daemon that answers.
pub(super) struct Daemon {
    client: Client,
    /// For answers that go on and on.
    streams: Client,
    base: Url,
    /// None at the socket, where nobody needs one.
    token: Option<Token>,
    /// Where it is, and what to look at when it does not take the token.
    place: String,
}

/// How a daemon is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over the machine's own socket.
    Socket,
    /// Over TCP, with a token.
    Tcp,
}

impl Daemon {
    /// A token file that is configured says who asks, whichever the way.
    pub(super) fn new(settings: &Settings, way: Way) -> Result<Self, Failure> {
        let http = &settings.http;
        let (place, host) = match way {
            Way::Socket => (format!("{} (http.socket)", http.socket.display()), "localhost".to_owned()),
            Way::Tcp => (format!("{} (http.listen)", http.listen), from_here(http.listen).to_string()),
        };
        let token =
            http.token_file.as_deref().map(Token::load).transpose().map_err(|error| {
                Failure::new(Exit::Unavailable, format!("something answers at {place}, but {error}"))
            })?;
        let place = match &http.token_file {
            Some(file) => format!("{place}, token file {}", file.display()),
            None => place,
        };
        let base = Url::parse(&format!("http://{host}/"))
            .map_err(|error| Failure::new(Exit::Failed, format!("http.listen makes no URL: {error}")))?;
        // The daemon ends a request itself; this is for a daemon that hangs.
        let limit = settings.api.timeout.as_duration().saturating_add(Duration::from_secs(30));
        let build = |patience| {
            let builder = Outbound::local().client(CONNECTED_WITHIN, patience);
            let builder = match way {
                Way::Socket => builder.unix_socket(http.socket.as_path()),
                Way::Tcp => builder,
            };
            let built = builder.build();
            built.map_err(|error| Failure::new(Exit::Failed, format!("the HTTP client cannot start: {error}")))
        };
        let client = build(Patience::Whole(limit))?;
        let streams = build(Patience::Silence(SILENCE))?;
        Ok(Self { client, streams, base, token, place })
    }

    fn url(&self, path: &[&str], query: &[(&str, Option<&str>)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().push("v1").extend(path),
            Err(()) => return Err(Failure::new(Exit::Failed, "http.listen makes no URL")),
        };
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<&str>)],
    ) -> Result<RequestBuilder, Failure> {
        Ok(self.authorized(self.client.request(method, self.url(path, query)?)))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header("authorization", token.bearer().expose_secret()),
            None => request,
        }
    }

    /// Opens a stream of events.
    pub(super) async fn stream(&self, path: &[&str], query: &[(&str, Option<&str>)]) -> Result<Feed, Failure> {
        let request = self.authorized(self.streams.get(self.url(path, query)?));
        let response = request.send().await.map_err(|error| self.broke(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Feed::new(response));
        }
        let body = self.body(response).await?;
        Err(self.refusal(status, &body))
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, Option<&str>)],
    ) -> Result<T, Failure> {
        self.answer(self.request(Method::GET, path, query)?).await
    }

    pub(super) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
    ) -> Result<T, Failure> {
        self.answer(self.request(Method::POST, path, &[])?.json(body)).await
    }

    /// Sends bytes as they are.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: Vec<u8>,
        media_type: &str,
    ) -> Result<T, Failure> {
        self.answer(self.request(Method::PUT, path, &[])?.header("content-type", media_type).body(body)).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = request.send().await.map_err(|error| self.broke(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                self.unavailable(&format!("gave an answer that this rampwatch does not understand: {error}"))
            });
        }
        Err(self.refusal(status, &body))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broke(&error))? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(self.unavailable("sends more than can be read"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if status == StatusCode::UNAUTHORIZED => self.unavailable(&format!(
                "does not take the token ({}): is it the daemon of this configuration?",
                problem.detail
            )),
            Ok(problem) => Failure::of_problem(problem.code, &problem.detail),
            Err(_) => self.unavailable(&format!("answers HTTP {}, and not as rampwatch does", status.as_u16())),
        }
    }

    fn broke(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() { "did not answer in time" } else { "broke the connection off" };
        self.unavailable(&format!("{why}; look at its log, and ask how it stands before trying again"))
    }

    fn unavailable(&self, what: &str) -> Failure {
        Failure::new(Exit::Unavailable, format!("the daemon at {} {what}", self.place))
    }
}
