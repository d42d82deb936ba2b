//! Who gets in, and what is turned away: tokens, hosts, bodies, routes.

use reqwest::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::desk::{Desk, typed};

const GUARDED: [&str; 6] =
    ["/v1/payments", "/v1/payments/pay-1", "/v1/deposits", "/v1/reviews", "/v1/why/pay-1", "/v1/nothing"];

#[tokio::test]
async fn without_the_token_nobody_gets_in() {
    let desk = Desk::open().await;
    let right = desk.token();
    let headers = [
        None,
        Some("Bearer wrong".to_owned()),
        Some(right.clone()),
        Some(format!("Basic {right}")),
        Some(format!("Bearer {}", &right[1..])),
        Some(format!("Bearer {right}{right}")),
        Some(format!("Bearer {}", right.to_uppercase())),
        Some("Bearer ".to_owned()),
    ];
    for header in headers {
        for path in GUARDED {
            let mut request = desk.client.get(desk.url(path));
            if let Some(header) = &header {
                request = request.header(AUTHORIZATION, header);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{path} {}", header.is_some());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert!(response.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
            let body = response.text().await.unwrap();
            assert!(body.contains("\"code\":\"unauthorized\"") && !body.contains(&right), "{body}");
        }
    }
    let response = desk.client.post(desk.url("/v1/payments")).json(&typed("pay-1", 1, "5")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(desk.store.contents().payments.is_empty(), "nothing was added");
}

#[tokio::test]
async fn with_the_token_one_gets_in() {
    let desk = Desk::open().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {}", desk.token());
        let response = desk.client.get(desk.url("/v1/payments")).header(AUTHORIZATION, header).send().await.unwrap();
        assert_eq!(response.status(), 200, "{scheme}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
}

#[tokio::test]
async fn other_hosts_are_turned_away_from_everything() {
    let desk = Desk::open().await;
    for path in ["/healthz", "/metrics", "/v1/payments"] {
        for host in ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "10.1.2.3"] {
            let (status, body) = desk.answer(desk.get(path).header(HOST, host)).await;
            assert_eq!((status, body["code"].as_str()), (403, Some("host")), "{path} {host}");
        }
        for host in ["localhost", "localhost:1", "127.0.0.1", "[::1]:8787"] {
            let response = desk.get(path).header(HOST, host).send().await.unwrap();
            assert_eq!(response.status(), 200, "{path} {host}");
        }
    }
}

async fn raw(desk: &Desk, request: &str) -> String {
    let mut stream = TcpStream::connect(desk.listen).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_without_a_host_is_turned_away() {
    let desk = Desk::open().await;
    let answer = raw(&desk, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 403"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let desk = Desk::open().await;
    let long = "x".repeat(rampwatch::http::MAX_BODY_BYTES);
    for path in ["/v1/payments", "/v1/resolve"] {
        let body = json!({ "action": "retry", "payment": "pay-1", "reason": long });
        let (status, body) = desk.answer(desk.post(path, &body)).await;
        assert_eq!((status, body["code"].as_str()), (413, Some("too_large")), "{path}");
    }
    // One that says no length, and goes on: chunked.
    let token = desk.token();
    let chunk = format!("{:x}\r\n{long}\r\n", long.len());
    let request = format!(
        "POST /v1/resolve HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: \
         application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let answer = raw(&desk, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{}", answer.lines().next().unwrap_or_default());
}

#[tokio::test]
async fn a_body_that_cannot_be_understood_is_explained() {
    let desk = Desk::open().await;
    let extra = {
        let mut body = typed("pay-1", 1, "5");
        body["colour"] = json!("red");
        body.to_string()
    };
    let cases = [
        ("/v1/payments", "", "EOF"),
        ("/v1/payments", "{", "EOF"),
        ("/v1/payments", "[]", "at"),
        ("/v1/payments", "{}", "missing field `id`"),
        ("/v1/payments", "{\"id\":7,\"recipient_id\":\"r\"}", "\"id\""),
        ("/v1/payments", &extra, "unknown field `colour`"),
        ("/v1/payments", "{\"id\":\"a\",\"recipient_id\":\"r\"} {}", "after its end"),
        ("/v1/resolve", "{\"action\":\"steal\",\"payment\":\"p\",\"reason\":\"r\"}", "unknown variant `steal`"),
        ("/v1/resolve", "{\"action\":\"assign\",\"payment\":\"p\",\"reason\":\"r\"}", "missing field `deposit`"),
    ];
    for (path, body, expected) in cases {
        let request = desk.client.post(desk.url(path)).bearer_auth(desk.token()).body(body.to_owned());
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
        let (status, problem) = desk.answer(request).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("malformed")), "{body}");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{body}: {problem}");
    }
    assert!(desk.store.contents().payments.is_empty());
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let desk = Desk::open().await;
    let body = typed("pay-1", 1, "5").to_string();
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")] {
        let mut request = desk.client.post(desk.url("/v1/payments")).bearer_auth(desk.token()).body(body.clone());
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let (status, problem) = desk.answer(request).await;
        assert_eq!((status, problem["code"].as_str()), (415, Some("media_type")), "{kind:?}");
    }
    assert!(desk.store.contents().payments.is_empty());
}

#[tokio::test]
async fn values_that_are_wrong_name_their_field() {
    let desk = Desk::open().await;
    let cases = [
        ("id", json!("a/b"), "payment"),
        ("recipient_id", json!(""), "recipient"),
        ("deposit_address", json!("0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359"), "deposit-address"),
        ("deposit_address", json!("0x0000000000000000000000000000000000000000"), "deposit-address"),
        ("amount", json!("1e3"), "amount"),
        ("amount", json!("0"), "amount"),
        ("amount", Value::Null, "amount"),
        ("created_at", json!("yesterday"), "created-at"),
        ("created_at", Value::Null, "created-at"),
        ("expires_at", json!("2026-13-01T00:00:00Z"), "expires-at"),
        ("sender", json!("0x1"), "sender"),
    ];
    for (field, value, named) in cases {
        let mut body = typed("pay-1", 1, "5");
        body[field] = value.clone();
        let (status, problem) = desk.answer(desk.post("/v1/payments", &body)).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{field} {value}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(&format!("{named}: ")), "{problem}");
    }
    for query in
        ["/v1/payments?state=lost", "/v1/deposits?verdict=lost", "/v1/deposits?address=0x1", "/v1/deposits?after=x"]
    {
        let (status, problem) = desk.answer(desk.get(query)).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{query}: {problem}");
    }
    for query in ["/v1/payments?limit=many", "/v1/payments?colour=red", "/v1/reviews?limit=-1"] {
        let (status, problem) = desk.answer(desk.get(query)).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("malformed")), "{query}: {problem}");
    }
}

#[tokio::test]
async fn unknown_things_are_told_apart() {
    let desk = Desk::open().await;
    let key = "137:0x0000000000000000000000000000000000000000000000000000000000000001:\
               0x0000000000000000000000000000000000000000000000000000000000000001:0";
    let hash = format!("0x{}", "ab".repeat(32));
    for path in [
        "/v1/payments/pay-404".to_owned(),
        "/v1/why/pay-404".to_owned(),
        "/v1/deposits?payment=pay-404".to_owned(),
        format!("/v1/why/{key}"),
        format!("/v1/why/{hash}"),
        format!("/v1/why/{hash}:7"),
    ] {
        let (status, problem) = desk.answer(desk.get(&path)).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{path}: {problem}");
    }
    for path in ["/", "/v1", "/v1/", "/v2/payments", "/v1/payments/a/b"] {
        let (status, problem) = desk.answer(desk.get(path)).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("no_route")), "{path}");
    }
    let (status, problem) = desk.answer(desk.client.delete(desk.url("/v1/payments")).bearer_auth(desk.token())).await;
    assert_eq!((status, problem["code"].as_str()), (405, Some("method")));
    let decisions = [
        json!({ "action": "retry", "payment": "pay-404", "reason": "r" }),
        json!({ "action": "ignore", "deposit": key, "reason": "r" }),
        json!({ "action": "assign", "deposit": hash, "payment": "pay-404", "reason": "r" }),
    ];
    for body in decisions {
        let (status, problem) = desk.answer(desk.post("/v1/resolve", &body)).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{body}: {problem}");
    }
}

#[tokio::test]
async fn more_connections_than_there_are_places_are_served() {
    let desk = Desk::open().await;
    let mut idle = Vec::new();
    for _ in 0..rampwatch::http::MAX_CONNECTIONS {
        idle.push(TcpStream::connect(desk.listen).await.unwrap());
    }
    assert_eq!(desk.client.get(desk.url("/healthz")).send().await.unwrap().status(), 200);
    assert_eq!(idle[0].read(&mut [0]).await.unwrap_or(0), 0, "the oldest has given way");
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let desk = Desk::open().await;
    for (path, allowed) in [("/v1/payments", "GET,HEAD,POST"), ("/v1/resolve", "POST"), ("/healthz", "GET,HEAD")] {
        for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            let request = desk.client.request(method.parse().unwrap(), desk.url(path)).bearer_auth(desk.token());
            let response = request.send().await.unwrap();
            let headers = response.headers();
            assert_eq!(
                (response.status().as_u16(), headers[ALLOW].to_str().unwrap()),
                (405, allowed),
                "{method} {path}"
            );
            assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        }
    }
}

/// The clock runs ahead whenever nothing else is to do.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let desk = Desk::open().await;
    let request = format!(
        "POST /v1/resolve HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: \
         application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{",
        desk.token()
    );
    let answer = raw(&desk, &request).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"code\":\"slow_body\""), "{answer}");
}
