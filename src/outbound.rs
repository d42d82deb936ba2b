//! How anything leaves this machine: the one place where HTTP clients are made and connections for websockets are opened.
//!
//! No variable of the environment has a say. A proxy is configured (`[network] proxy`) or not used, and never stands before
//! loopback; HTTPS and `wss` trust the same authorities, the system's or those of `[network] ca_file`. Redirects are not
//! followed, the HTTP library's retries are off, and every client has its time limits.
//!
//! Deliberately absent: what is sent, and to whom.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use percent_encoding::percent_decode_str;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use url::{Host, Url};

use crate::domain::private::{OtherWriter, other_writer};
use crate::domain::time::{Span, Timestamp};

/// What names a proxy to other programs. Nothing here reads them.
pub const PROXY_VARIABLES: [&str; 8] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];

/// What names authorities to other programs. Nothing here reads them.
pub const AUTHORITY_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where systems keep the authorities that they trust, in one file.
const SYSTEM_AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];

/// The most bytes of a proxy's answer to CONNECT.
const MAX_PROXY_ANSWER: usize = 8 * 1_024;

/// How long one address of a host may be silent before the next one is tried beside it (RFC 8305 has 250 ms; the HTTP library 300).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(300);

/// Why nothing can leave.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OutboundError {
    /// The configured authorities cannot be read.
    #[error("network.ca_file {path:?} {why}: name a PEM file with the certificates of the authorities to trust",
        path = .path.display().to_string())]
    CaFile { path: PathBuf, why: String },
    /// The system trusts nobody.
    #[error(
        "this machine has no certificate authorities to trust: install its ca-certificates, or name a PEM file with \
         network.ca_file"
    )]
    NoAuthorities,
    /// The TLS library cannot start.
    #[error("TLS cannot start: {0}")]
    Tls(String),
}

/// Why there is no connection. Texts hold no secrets.
#[derive(Debug, Error)]
pub enum DialError {
    /// The URL names nobody.
    #[error("the URL names no host")]
    NoHost,
    /// The network's reason.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// The proxy cannot be reached, or broke off.
    #[error("the proxy (network.proxy) cannot be used: {0}")]
    Proxy(io::Error),
    /// The proxy does not connect.
    #[error("the proxy (network.proxy) refuses the connection: {0}")]
    Refused(String),
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The whole call, connecting and reading included.
    Whole(Duration),
    /// Each silence within an answer that may go on for ever.
    Silence(Duration),
}

/// An HTTP proxy: plain requests go to it, and everything else through a tunnel that it opens (CONNECT).
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Url);

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.0.host_str().unwrap_or_default())
    }
}

impl Proxy {
    /// A proxy's URL: `http`, a host, perhaps a port (else 80), perhaps user and password.
    ///
    /// # Errors
    /// What is wrong, as the rest of a sentence, without the URL: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            "it must be the URL of an HTTP proxy, such as http://proxy.example:3128 or http://user:password@host:port; other \
             kinds of proxies are not supported"
                .to_owned()
        };
        let url = Url::parse(text).map_err(|_| expected())?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || url.host().is_none() || !bare {
            return Err(expected());
        }
        Ok(Self(url))
    }

    /// `user:password`, as it stands in a header.
    fn credentials(&self) -> Option<String> {
        let Self(url) = self;
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let mut text: Vec<u8> = percent_decode_str(url.username()).collect();
        text.push(b':');
        text.extend(percent_decode_str(url.password().unwrap_or_default()));
        Some(STANDARD.encode(text))
    }

    /// A connection to a host, through the proxy. The proxy resolves the host's name.
    async fn tunnel(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let mut stream = connect(&self.0, self.0.port().unwrap_or(80)).await.map_err(DialError::Proxy)?;
        let credentials = self.credentials().map(|text| format!("Proxy-Authorization: Basic {text}\r\n"));
        let credentials = credentials.unwrap_or_default();
        let question = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{credentials}\r\n");
        stream.write_all(question.as_bytes()).await.map_err(DialError::Proxy)?;
        // Byte by byte: whatever follows the answer is the host's.
        let mut answer: Vec<u8> = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MAX_PROXY_ANSWER {
                return Err(DialError::Refused("its answer has no end".to_owned()));
            }
            answer.push(stream.read_u8().await.map_err(DialError::Proxy)?);
        }
        let line = String::from_utf8_lossy(&answer);
        let status = line.strip_prefix("HTTP/1.").and_then(|line| line.split(' ').nth(1)?.get(..3)?.parse().ok());
        match status {
            Some(200_u16..=299) => Ok(stream),
            Some(status) => Err(DialError::Refused(format!("HTTP {status}"))),
            None => Err(DialError::Refused("its answer is no HTTP".to_owned())),
        }
    }
}

/// Whether a URL's host is this machine, by its address or as `localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

/// Connects to any address of the host, a new one beside the last after a while, as the HTTP clients do: one that is silent does
/// not use up the time of the others.
async fn connect(url: &Url, port: u16) -> io::Result<TcpStream> {
    let host = url.host_str().unwrap_or_default();
    let addresses: Vec<SocketAddr> = lookup_host((host.trim_matches(['[', ']']), port)).await?.collect();
    first_of(addresses, TcpStream::connect).await
}

/// The first connection that is made, with the addresses' families taking turns.
async fn first_of<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let leads_with_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|it| it.is_ipv6() == leads_with_v6);
    let mut left = interleaved(one, other).into_iter();
    let mut trying = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match left.next() {
            Some(address) => trying.push(connect(address)),
            None if trying.is_empty() => return Err(failure),
            None => {}
        }
        let has_more = left.len() > 0;
        tokio::select! {
            Some(tried) = trying.next() => match tried {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if has_more => {}
        }
    }
}

fn interleaved<T>(one: Vec<T>, other: Vec<T>) -> Vec<T> {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut all = Vec::new();
    loop {
        match (one.next(), other.next()) {
            (None, None) => return all,
            (first, second) => all.extend(first.into_iter().chain(second)),
        }
    }
}

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    /// Whom to trust; nobody where only this machine is spoken to.
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("tls", &self.tls.is_some()).field("proxy", &self.proxy).finish()
    }
}

impl Outbound {
    /// The way to what listens on this machine: no proxy, and no TLS.
    #[must_use]
    pub const fn local() -> Self {
        Self { tls: None, proxy: None }
    }

    /// The way to others: through the proxy, if there is one, and with TLS that trusts the authorities in this file alone, or
    /// else the system's.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificates; or the system has none.
    pub fn new(proxy: Option<Proxy>, ca_file: Option<&Path>) -> Result<Self, OutboundError> {
        let authorities = match ca_file {
            Some(path) => authorities_of(path),
            None => system_authorities(),
        }?;
        // Named, because a default that others install could be another.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OutboundError::Tls(error.to_string()))?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        Ok(Self { tls: Some(Arc::new(tls)), proxy })
    }

    /// An HTTP client, to which its user adds what is its own: headers, and how many connections are kept.
    pub fn client(&self, connect_within: Duration, patience: Patience) -> ClientBuilder {
        let client = Client::builder()
            .user_agent(concat!("rampwatch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_within)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .no_proxy();
        let client = match patience {
            Patience::Whole(limit) => client.timeout(limit),
            Patience::Silence(limit) => client.read_timeout(limit),
        };
        let client = match &self.tls {
            Some(tls) => client.tls_backend_preconfigured(ClientConfig::clone(tls)),
            None => client.tls_certs_only(std::iter::empty()),
        };
        let Some(Proxy(proxy)) = self.proxy.clone() else { return client };
        client.proxy(reqwest::Proxy::custom(move |to| (!is_loopback(to)).then(|| proxy.clone())))
    }

    /// Opens a connection to a URL's host, for what is no HTTP client. It has no time limit of its own.
    ///
    /// # Errors
    /// The host or the proxy cannot be reached, or the proxy refuses.
    pub async fn dial(&self, url: &Url) -> Result<TcpStream, DialError> {
        let host = url.host_str().ok_or(DialError::NoHost)?;
        let port = url.port_or_known_default().ok_or(DialError::NoHost)?;
        match &self.proxy {
            Some(proxy) if !is_loopback(url) => proxy.tunnel(host, port).await,
            _ => Ok(connect(url, port).await?),
        }
    }

    /// Whom TLS trusts on a connection that was opened with [`Self::dial`]; `None` on the way to this machine.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.clone()
    }
}

/// The same way out twice: over connections that are kept, and over one that is new for each call.
///
/// A server may have given up a kept connection without a word, which shows when the next question is put. What is only read is
/// then asked for once more, on a new one.
#[derive(Clone, Debug)]
pub struct Clients {
    kept: Client,
    fresh: Client,
    to: &'static str,
}

impl Clients {
    /// Both, from one description. `to` is what the metrics call the other side.
    ///
    /// # Errors
    /// The HTTP library cannot make a client.
    pub fn new(to: &'static str, describe: impl Fn() -> ClientBuilder) -> reqwest::Result<Self> {
        // An alert looks for a rise, and a series that begins with 1 has never risen.
        metrics::counter!("rampwatch_connections_renewed_total", "to" => to).increment(0);
        Ok(Self { kept: describe().build()?, fresh: describe().pool_max_idle_per_host(0).build()?, to })
    }

    /// Asks for something that may be asked for twice.
    ///
    /// # Errors
    /// As reqwest's.
    pub async fn read(&self, ask: impl Fn(&Client) -> RequestBuilder) -> reqwest::Result<Response> {
        match ask(&self.kept).send().await {
            Err(error) if is_gone(&error) => {
                metrics::counter!("rampwatch_connections_renewed_total", "to" => self.to).increment(1);
                ask(&self.fresh).send().await
            }
            answer => answer,
        }
    }

    /// For what must not be said twice: over the connections that are kept.
    #[must_use]
    pub const fn kept(&self) -> &Client {
        &self.kept
    }
}

/// Whether the connection was gone, rather than never there, or silent.
fn is_gone(error: &reqwest::Error) -> bool {
    !error.is_timeout() && !error.is_connect() && !error.is_builder()
}

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// When an answer was made, by its own `Date`.
pub(crate) fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// How long an answer asks to be left alone, in `Retry-After`: seconds, or a date. A date counts from the answer's own `Date`
/// where it has one, so that clocks need not agree, else from `now`.
pub(crate) fn retry_after(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Span> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Span::from_secs(text.parse().unwrap_or(u64::MAX / 1_000)));
    }
    Some(http_date(text)?.since(date_of(headers).or(now)?))
}

fn authorities_of(path: &Path) -> Result<RootCertStore, OutboundError> {
    let wrong = |why: String| OutboundError::CaFile { path: path.to_path_buf(), why };
    let unreadable = |error: &dyn fmt::Display| wrong(format!("cannot be read ({error})"));
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let found = file.metadata().map_err(|error| unreadable(&error))?;
    // Whoever writes it names authorities, and is then believed to be any API and any node.
    match other_writer(found.uid(), found.mode(), rustix::process::geteuid().as_raw()) {
        None => {}
        Some(OtherWriter::Owner(owner)) => {
            return Err(wrong(format!(
                "belongs to user {owner}; look through it, and chown it to root or to yourself"
            )));
        }
        Some(OtherWriter::Mode(mode)) => {
            return Err(wrong(format!(
                "may be written by others (mode {mode:04o}); look through it, and run chmod go-w on it"
            )));
        }
    }
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
        let certificate = certificate.map_err(|error| wrong(format!("is no PEM ({error})")))?;
        authorities.add(certificate).map_err(|error| wrong(format!("holds a certificate of no use ({error})")))?;
    }
    if authorities.is_empty() {
        return Err(wrong("holds no certificate".to_owned()));
    }
    Ok(authorities)
}

fn system_authorities() -> Result<RootCertStore, OutboundError> {
    for path in SYSTEM_AUTHORITIES {
        let Ok(found) = CertificateDer::pem_file_iter(path) else { continue };
        let mut authorities = RootCertStore::empty();
        // A system's file has some that no library reads; the others count.
        authorities.add_parsable_certificates(found.filter_map(Result::ok));
        if !authorities.is_empty() {
            return Ok(authorities);
        }
    }
    Err(OutboundError::NoAuthorities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const SILENT: &str = "[fd00::1]:443";

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Of these addresses one never answers, those of 192.0.2.x refuse, and the others answer.
    async fn reached(texts: &[&str]) -> Option<String> {
        let connect = async |address: SocketAddr| {
            if address == SILENT.parse().unwrap() {
                std::future::pending::<()>().await;
            }
            if address.to_string().starts_with("192.0.2.") {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(address.to_string())
        };
        let long = Duration::from_secs(60);
        tokio::time::timeout(long, first_of(addresses(texts), connect)).await.ok()?.ok()
    }

    /// housleyjk/ws-rs#72, processone/fluux-messenger#532: an address that leads nowhere, before one that answers.
    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_use_up_the_time_of_the_others() {
        let begin = Instant::now();
        let found = reached(&[SILENT, "[fd00::2]:443", "198.51.100.1:443"]).await;
        assert_eq!(found.as_deref(), Some("198.51.100.1:443"), "the families take turns");
        assert_eq!(begin.elapsed().as_millis(), NEXT_ADDRESS_AFTER.as_millis());
        // One that refuses costs no time at all.
        let begin = Instant::now();
        assert_eq!(reached(&["192.0.2.1:443", "198.51.100.1:443"]).await.as_deref(), Some("198.51.100.1:443"));
        assert_eq!(begin.elapsed().as_millis(), 0);
        assert_eq!(reached(&["192.0.2.1:443", "192.0.2.2:443"]).await, None);
        assert_eq!(reached(&[]).await, None);
    }
}
