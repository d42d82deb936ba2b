//! The way to a daemon that runs: over its socket, or over TCP with a token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, Url};
use secrecy::ExposeSecret as _;

use super::ClientError;
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
pub fn from_here(listen: SocketAddr) -> SocketAddr {
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
pub enum Way {
    /// Over the machine's own socket.
    Socket,
    /// Over TCP, with a token.
    Tcp,
}

impl Daemon {
    /// At the socket its mode says who asks: no token is read, nor shown.
    pub(super) fn new(settings: &Settings, way: Way) -> Result<Self, ClientError> {
        let http = &settings.http;
        let (place, host) = match way {
            Way::Socket => (format!("{} (http.socket)", http.socket.display()), "localhost".to_owned()),
            Way::Tcp => (format!("{} (http.listen)", http.listen), from_here(http.listen).to_string()),
        };
        let token_file = http.token_file.as_deref().filter(|_| way == Way::Tcp);
        let token = token_file
            .map(Token::load)
            .transpose()
            .map_err(|error| ClientError::Unavailable(format!("something answers at {place}, but {error}")))?;
        let place = match token_file {
            Some(file) => format!("{place}, token file {}", file.display()),
            None => place,
        };
        let base = Url::parse(&format!("http://{host}/"))
            .map_err(|error| ClientError::Failed(format!("http.listen makes no URL: {error}")))?;
        // The daemon ends a request itself; this is for a daemon that hangs.
        let limit = settings.api.timeout.as_duration().saturating_add(Duration::from_secs(30));
        let build = |patience| {
            let builder = Outbound::local().client(CONNECTED_WITHIN, patience);
            let builder = match way {
                Way::Socket => builder.unix_socket(http.socket.as_path()),
                Way::Tcp => builder,
            };
            let built = builder.build();
            built.map_err(|error| ClientError::Failed(format!("the HTTP client cannot start: {error}")))
        };
        let client = build(Patience::Whole(limit))?;
        let streams = build(Patience::Silence(SILENCE))?;
        Ok(Self { client, streams, base, token, place })
    }

    fn url(&self, path_and_query: &str) -> Result<Url, ClientError> {
        self.base
            .join(path_and_query)
            .map_err(|error| ClientError::Failed(format!("http.listen makes no URL: {error}")))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header("authorization", token.bearer().expose_secret()),
            None => request,
        }
    }

    /// Opens a stream of events.
    pub(super) async fn stream(&self, path_and_query: &str) -> Result<Feed, ClientError> {
        let request = self.authorized(self.streams.get(self.url(path_and_query)?));
        let response = request.send().await.map_err(|error| self.broke(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Feed::new(response));
        }
        let body = self.body(response).await?;
        Err(self.refusal(status.as_u16(), &body))
    }

    /// Status and body of an answer.
    pub(super) async fn ask(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let mut request = self.authorized(self.client.request(method, self.url(path_and_query)?));
        if let Some((media_type, bytes)) = body {
            request = request.header("content-type", media_type).body(bytes);
        }
        let response = request.send().await.map_err(|error| self.broke(&error))?;
        Ok((response.status().as_u16(), self.body(response).await?))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broke(&error))? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(self.unavailable("sends more than can be read"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn refusal(&self, status: u16, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if status == 401 => self.unavailable(&format!(
                "does not take the token ({}): is it the daemon of this configuration?",
                problem.detail
            )),
            Ok(problem) => ClientError::Refused { code: problem.code, detail: problem.detail },
            Err(_) => self.unavailable(&format!("answers HTTP {status}, and not as rampwatch does")),
        }
    }

    fn broke(&self, error: &reqwest::Error) -> ClientError {
        let why = if error.is_timeout() { "did not answer in time" } else { "broke the connection off" };
        self.unavailable(&format!("{why}; look at its log, and ask how it stands before trying again"))
    }

    pub(super) fn unavailable(&self, what: &str) -> ClientError {
        ClientError::Unavailable(format!("the daemon at {} {what}", self.place))
    }
}
