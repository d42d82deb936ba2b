//! The daemon's operator API, as a client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Url, redirect, retry};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::{Exit, Failure};
use crate::config::Settings;
use crate::http::{Problem, Token};

/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

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
    base: Url,
    token: Token,
    /// Where it is, and what to look at when it does not take the token.
    place: String,
}

impl Daemon {
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        let listen = settings.http.listen;
        let token_file = settings.http.token_file.display();
        let place = format!("{listen} (http.listen), token file {token_file}");
        let token = Token::load(&settings.http.token_file).map_err(|error| {
            let said = format!("something answers at {listen} (http.listen), but {error}");
            Failure::new(Exit::Unavailable, said)
        })?;
        let base = Url::parse(&format!("http://{}/", from_here(listen)))
            .map_err(|error| Failure::new(Exit::Failed, format!("http.listen makes no URL: {error}")))?;
        // The daemon ends a request itself; this is for a daemon that hangs.
        let limit = settings.api.timeout.as_duration().saturating_add(Duration::from_secs(30));
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(limit)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, format!("the HTTP client cannot start: {error}")))?;
        Ok(Self { client, base, token, place })
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<&str>)],
    ) -> Result<RequestBuilder, Failure> {
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
        Ok(self.client.request(method, url).header("authorization", self.token.bearer().expose_secret()))
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
        let unavailable =
            |what: String| Failure::new(Exit::Unavailable, format!("the daemon at {} {what}", self.place));
        let broke = |error: reqwest::Error| {
            let why = if error.is_timeout() { "did not answer in time" } else { "broke the connection off" };
            unavailable(format!("{why}; look at its log, and ask how it stands before trying again"))
        };
        let mut response = request.send().await.map_err(broke)?;
        let status = response.status();
        let mut body: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broke)? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(unavailable("sends more than can be read".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                unavailable(format!("gave an answer that this rampwatch does not understand: {error}"))
            });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if status == reqwest::StatusCode::UNAUTHORIZED => Err(unavailable(format!(
                "does not take the token ({}): is it the daemon of this configuration?",
                problem.detail
            ))),
            Ok(problem) => Err(Failure::of_problem(problem.code, &problem.detail)),
            Err(_) => Err(unavailable(format!("answers HTTP {}, and not as rampwatch does", status.as_u16()))),
        }
    }
}
