//! Who gets in: only requests for this machine, within the time, and under `/v1` only with the token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Operator;
use super::problem::{Code, Problem};

/// Refuses requests whose `Host` is not this machine: a name that a web page made point here would be another.
pub(super) async fn loopback_host(request: Request, next: Next) -> Response {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let named = header.and_then(|text| text.parse::<Authority>().ok());
    if named.is_some_and(|authority| is_loopback(authority.host())) {
        return next.run(request).await;
    }
    Problem::new(Code::Host, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]").into_response()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let ip: Option<IpAddr> = bare.parse().ok();
    host.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.to_canonical().is_loopback())
}

/// Ends requests that take too long. What they had begun is either stored as a whole or not at all.
pub(super) async fn time_limit(State(operator): State<Arc<Operator>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(operator.timeout.as_duration(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = operator.timeout.as_secs();
            Problem::new(Code::Timeout, format!("no answer within {seconds} s; ask how it stands before trying again"))
                .into_response()
        }
    }
}

/// Lets only those in who bear the token.
pub(super) async fn bearer(State(operator): State<Arc<Operator>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        header.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if given.is_some_and(|(_, token)| operator.token.is(token.trim())) {
        return next.run(request).await;
    }
    let detail = if given.is_some() {
        "the bearer token is not the one in the token file (http.token_file)"
    } else {
        "a bearer token is needed: Authorization: Bearer <what is in the token file (http.token_file)>"
    };
    Problem::new(Code::Unauthorized, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

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
