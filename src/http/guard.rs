//! Which requests are heard: only those for this machine, and only for so long. `asked` looks at tokens and roles.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Serving;
use super::problem::{Code, Problem};

/// Refuses requests whose `Host` is not this machine: a name that a web page made point here would be another.
pub(super) async fn known_host(State(serving): State<Arc<Serving>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let named = header.and_then(|text| text.parse::<Authority>().ok());
    let hosts = &serving.operator.hosts;
    if named.is_some_and(|authority| is_loopback(authority.host()) || is_among(hosts, authority.host())) {
        return next.run(request).await;
    }
    let detail = "the Host header must name this machine: localhost, 127.0.0.1, [::1], or one of http.hosts";
    Problem::new(Code::Host, detail).into_response()
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn is_among(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|known| known.eq_ignore_ascii_case(bare(host)))
}

fn is_loopback(host: &str) -> bool {
    let ip: Option<IpAddr> = bare(host).parse().ok();
    host.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.to_canonical().is_loopback())
}

/// Ends requests that take too long. What they had begun is either stored as a whole or not at all.
pub(super) async fn time_limit(State(serving): State<Arc<Serving>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(serving.operator.timeout.as_duration(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = serving.operator.timeout.as_secs();
            Problem::new(Code::Timeout, format!("no answer within {seconds} s; ask how it stands before trying again"))
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_among, is_loopback};

    #[test]
    fn configured_hosts_are_known_whatever_their_case() {
        let hosts = ["rampwatch.example".to_owned(), "10.0.0.5".to_owned(), "fd00::1".to_owned()];
        for host in ["rampwatch.example", "Rampwatch.EXAMPLE", "10.0.0.5", "[fd00::1]"] {
            assert!(is_among(&hosts, host), "{host}");
        }
        for host in ["", "example", "a.rampwatch.example", "rampwatch.example.evil", "10.0.0.50"] {
            assert!(!is_among(&hosts, host), "{host}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[::2]", "", "127.0.0.1.evil"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
