//! What each failure means. The one thing that must never be wrong: "surely not acted upon".

use rampwatch::adapters::payment_http::{MAX_PAYMENT_BYTES, PaymentHttp, PaymentHttpSettings};
use rampwatch::domain::time::Span;
use rampwatch::outbound::Outbound;
use rampwatch::ports::payment_api::{ApiError, ApiPayment};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::server::{Act, Server, answer};
use super::{KEY, REFERENCE, client, client_at, complete, get};

/// The error of both calls, each on a server of its own. Asserts that a question whose connection breaks is put once more, and
/// nothing else twice, and that nothing of the key is in the error.
async fn errors_of(act: Act) -> [ApiError; 2] {
    // A second request would find a good answer, and be counted.
    let spare = || Act::Send(answer("200 OK", "", REFERENCE));
    let asked = Server::start([act.clone(), act.clone(), spare(), spare()]).await;
    let told = Server::start([act.clone(), spare(), spare()]).await;
    let errors = [get(&client(&asked.url)).await, complete(&client(&told.url)).await];
    assert!(asked.requests().len() <= 2 && asked.connections() <= 2, "{act:?}: not more than once more");
    assert!(told.requests().len() <= 1 && told.connections() == 1, "{act:?}: one request and one connection a call");
    errors.map(|error| no_key(error.expect_err("the answer was bad")))
}

fn no_key(error: ApiError) -> ApiError {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("RECOGNISABLE") && !shown.contains("sk_live"), "{shown}");
    assert!(shown.len() < 1_500 && !error.to_string().contains(char::is_control), "{shown}");
    error
}

fn unclear(error: &ApiError) -> bool {
    matches!(error, ApiError::Unclear { .. })
}

fn not_now(error: &ApiError) -> bool {
    matches!(error, ApiError::NotNow { .. })
}

#[tokio::test]
async fn whatever_breaks_after_connecting_is_unclear() {
    let partial = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", REFERENCE.len(), &REFERENCE[..50]);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n";
    let huge = answer("200 OK", "", &format!("{REFERENCE}{}", " ".repeat(MAX_PAYMENT_BYTES)));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{REFERENCE}{}", " ".repeat(3 * MAX_PAYMENT_BYTES));
    for act in [
        Act::CutBefore,
        Act::CutAfter,
        Act::SendAndCut(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Act::SendAndCut(partial.into_bytes()),
        Act::SendAndCut(chunked.into()),
        Act::SendAndCut(b"SMTP ready\r\n\r\n".to_vec()),
        Act::SendAndCut(huge),
        Act::SendAndCut(endless.into_bytes()),
        Act::SendAndCut(answer("200 OK", "", "<html>fine</html>")),
        Act::SendAndCut(answer("204 No Content", "", "")),
        Act::SendAndCut(answer("500 Internal Server Error", "", r#"{"message":"boom","statusCode":500}"#)),
        Act::SendAndCut(answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>Bad Gateway</html>")),
        Act::SendAndCut(answer("503 Service Unavailable", "", "")),
        Act::SendAndCut(answer("504 Gateway Timeout", "", "")),
        Act::SendAndCut(answer("599 Odd", "", "")),
        Act::SendAndCut(answer("408 Request Timeout", "", "")),
        Act::SendAndCut(answer("404 Not Found", "Content-Type: text/html\r\n", "<html>no route</html>")),
    ] {
        for error in errors_of(act.clone()).await {
            assert!(unclear(&error), "{act:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_the_api_says_is_classed_and_passed_on() {
    let said = r#"{"message":"bad thing","statusCode":400,"details":{"field":"transactionHash","message":"not hex"}}"#;
    let listed = r#"{"message":["first","second"],"statusCode":422}"#;
    let odd = r#"{"message":null}"#;
    let refused = |status, detail: &str| ApiError::Refused { status, detail: detail.to_owned() };
    let key_refused = |status, detail: &str| ApiError::KeyRefused { status, detail: detail.to_owned() };
    let cases = [
        ("400 Bad Request", said, refused(400, "bad thing (transactionHash: not hex)")),
        ("409 Conflict", r#"{"message":"already\ncompleted"}"#, refused(409, "already completed")),
        ("422 Unprocessable Entity", listed, refused(422, "first; second")),
        ("410 Gone", "", refused(410, "it gives no reason")),
        ("400 Bad Request", "<html>", refused(400, "it gives no reason")),
        ("499 Odd", odd, refused(499, "it gives no reason")),
        ("401 Unauthorized", r#"{"message":"Unauthorized"}"#, key_refused(401, "Unauthorized")),
        ("403 Forbidden", "<html>", key_refused(403, "it gives no reason")),
        ("404 Not Found", r#"{"message":"no payment"}"#, ApiError::NotFound { detail: "no payment".to_owned() }),
        ("404 Not Found", "{}", ApiError::NotFound { detail: "it gives no reason".to_owned() }),
        (
            "429 Too Many Requests",
            "slow down",
            ApiError::NotNow { detail: "HTTP 429 Too Many Requests".to_owned(), retry_after: None },
        ),
        (
            "425 Too Early",
            r#"{"message":"later"}"#,
            ApiError::NotNow { detail: "HTTP 425: later".to_owned(), retry_after: None },
        ),
    ];
    for (status, body, expected) in cases {
        for error in errors_of(Act::SendAndCut(answer(status, "", body))).await {
            assert_eq!(error, expected, "{status} {body}");
        }
    }
}

#[tokio::test]
async fn a_status_counts_although_its_body_is_cut() {
    for (status, class) in [("401 Unauthorized", "KeyRefused"), ("409 Conflict", "Refused"), ("429 Slow", "NotNow")] {
        let cut = format!("HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n{{\"mess");
        for error in errors_of(Act::SendAndCut(cut.into_bytes())).await {
            assert!(format!("{error:?}").starts_with(class), "{status}: {error:?}");
        }
    }
}

#[tokio::test]
async fn redirects_are_named_and_not_followed() {
    for (location, named) in [
        ("Location: https://evil.example/x?key=sk_live_RECOGNISABLE\r\n", "https://evil.example,"),
        ("Location: /elsewhere\r\n", "another path"),
        ("", "an unknown place"),
    ] {
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
            for error in errors_of(Act::SendAndCut(answer(status, location, ""))).await {
                let ApiError::Refused { detail, .. } = error else { panic!("{status}: {error:?}") };
                assert!(detail.contains(named) && detail.contains("api.base_url"), "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn retry_after_is_read_and_bounded() {
    let dated = "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2026 10:01:30 GMT";
    let cases = [
        ("Retry-After: 0", Some(0)),
        ("Retry-After: 17", Some(17)),
        ("Retry-After: 86400", Some(3_600)),
        ("Retry-After: 99999999999999999999999", Some(3_600)),
        (dated, Some(90)),
        ("Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2020 10:00:00 GMT", Some(0)),
        ("Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2099 10:00:00 GMT", Some(3_600)),
        ("Retry-After: Thu, 01 Jan 2099 00:00:00 GMT", Some(3_600)),
        ("Retry-After: soon", None),
        ("Retry-After: -5", None),
        ("Retry-After: 1.5", None),
        ("X: y", None),
    ];
    for (headers, expected) in cases {
        let expected = expected.map(Span::from_secs);
        for status in ["429 Too Many Requests", "503 Service Unavailable"] {
            let act = Act::SendAndCut(answer(status, &format!("{headers}\r\n"), ""));
            for error in errors_of(act).await {
                let (ApiError::NotNow { retry_after, .. } | ApiError::Unclear { retry_after, .. }) = &error else {
                    panic!("{error:?}")
                };
                assert_eq!(*retry_after, expected, "{headers}");
                assert_eq!(not_now(&error), status.starts_with("429"), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn time_running_out_after_sending_is_unclear() {
    let cases = [
        Act::Hang,
        Act::SendAndHang(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n".to_vec()),
        Act::SendAndHang(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"id\"".to_vec()),
    ];
    let cases = cases.map(|act| async move {
        let server = Server::start([act.clone(), act.clone()]).await;
        let client = client_at(&server.url, 3_000);
        let (asked, told) = tokio::join!(get(&client), complete(&client));
        for error in [asked, told] {
            let error = no_key(error.expect_err("nothing came"));
            assert!(unclear(&error) && error.to_string().contains("3000 ms"), "{act:?}: {error:?}");
        }
        assert_eq!(server.requests().len(), 2);
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    // A listener that nobody serves: the connection stands, and TLS is never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // One that speaks no TLS.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_url = format!("https://{}", plain.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            stream.write_all(&answer("400 Bad Request", "", "")).await.unwrap();
        }
    });
    for (url, timeout_ms) in [
        (format!("http://{free}"), 60_000),
        (format!("https://{}", silent.local_addr().unwrap()), 1_000),
        ("http://no-such-host.invalid".to_owned(), 2_000),
        (plain_url, 60_000),
    ] {
        let client = client_at(&url, timeout_ms);
        for error in [get(&client).await, complete(&client).await] {
            let error = no_key(error.expect_err("there is nobody"));
            assert!(not_now(&error), "{url}: {error:?}");
            assert!(!error.to_string().contains("/payments"), "no URL in {error}");
        }
    }
}

/// R14 (hyperium/hyper#2136): a question over a kept connection that is gone is put once more, and what changes something never is.
#[tokio::test]
async fn r14_a_question_is_put_again_on_a_new_connection_and_a_completion_is_not() {
    let good = || Act::Send(answer("200 OK", "", REFERENCE));
    let server = Server::start([good(), Act::CutAfter, good(), good(), Act::CutAfter, good()]).await;
    let client = client(&server.url);

    get(&client).await.unwrap();
    get(&client).await.expect("the kept connection was closed after the request was read, and another one made");
    assert_eq!((server.requests().len(), server.connections()), (3, 2), "the connection was used again, once");

    complete(&client).await.unwrap();
    let error = complete(&client).await.expect_err("closed after the request was read");
    assert!(unclear(&error), "{error:?}");
    assert_eq!(server.requests().len(), 5, "no completion is ever sent twice");
    assert_eq!(server.connections(), 4, "each completion has a connection of its own");
    get(&client).await.unwrap();
}

#[tokio::test]
async fn a_connection_closed_while_idle_does_not_disturb_a_completion() {
    // After each answer the server closes without saying so: a kept connection would be found dead.
    let good = || Act::SendAndCut(answer("200 OK", "", REFERENCE));
    let server = Server::start((0..20).map(|_| good())).await;
    let client = client(&server.url);
    for _ in 0..20 {
        complete(&client).await.unwrap();
    }
    assert_eq!((server.requests().len(), server.connections()), (20, 20));
}

#[tokio::test]
async fn messages_are_shortened_and_free_of_keys() {
    let long = format!(r#"{{"message":"{} end"}}"#, "é".repeat(5_000));
    for error in errors_of(Act::SendAndCut(answer("400 Bad Request", "", &long))).await {
        let ApiError::Refused { detail, .. } = error else { panic!("{error:?}") };
        assert_eq!(detail.chars().count(), 300);
        assert!(detail.ends_with('…'));
    }
    let echo = format!(r#"{{"message":"key {KEY} and (sk_live_OTHER) \u001b[31m\u0000 are bad"}}"#);
    for error in errors_of(Act::SendAndCut(answer("401 Unauthorized", "", &echo))).await {
        let expected = "key [key] and ([key] [31m are bad".to_owned();
        assert_eq!(error, ApiError::KeyRefused { status: 401, detail: expected });
    }
    let echo = format!(r#"{{"id":"{KEY}","status":"PENDING"}}"#);
    for error in errors_of(Act::SendAndCut(answer("200 OK", "", &echo))).await {
        assert!(unclear(&error), "{error:?}");
    }
}

#[tokio::test]
async fn calls_may_run_at_once() {
    let good = || Act::Send(answer("200 OK", "", REFERENCE));
    let server = Server::start((0..16).map(|_| good())).await;
    let client = client(&server.url);
    let calls = (0..16).map(|_| get(&client));
    let answers: Vec<Result<ApiPayment, ApiError>> = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.requests().len(), 16);
}

#[tokio::test]
async fn impossible_settings_are_refused_without_showing_them() {
    for (base_url, key) in [
        ("", KEY),
        ("ftp://RECOGNISABLE.example", KEY),
        ("data:RECOGNISABLE", KEY),
        ("https://api.example", "sk_live_RECOGNISABLE\n"),
    ] {
        let settings = PaymentHttpSettings {
            base_url: base_url.to_owned(),
            key: SecretString::from(key),
            connect_timeout: Span::from_secs(1),
            timeout: Span::from_secs(2),
            decimals: 6,
            webhook_secret: None,
            outbound: Outbound::local(),
        };
        let clock = std::sync::Arc::new(rampwatch::adapters::system::SystemClock);
        let error = PaymentHttp::new(settings, clock).expect_err("it cannot work");
        assert!(!format!("{error} {error:?}").contains("RECOGNISABLE"), "{error:?}");
    }
}
