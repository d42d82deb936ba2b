//! Connections that send byte by byte, or nothing, and how little they keep others from.

use std::time::Duration;

use rampwatch::http::MAX_CONNECTIONS;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::desk::Desk;

/// How long an answer may take on a slow machine. Without a place it would never come.
const LIMIT: Duration = Duration::from_secs(20);

/// Somebody who has sent one byte of a request.
async fn slow(desk: &Desk) -> TcpStream {
    let mut stream = TcpStream::connect(desk.listen).await.unwrap();
    // It may be cut off already, for those after it.
    let _ = stream.write_all(b"G").await;
    stream
}

/// Whether it is closed, or will be without our doing.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(LIMIT, stream.read(&mut [0; 64])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

/// Asks over a connection that stays open, and returns the answer's first line.
async fn ask(stream: &mut TcpStream, path: &str, token: Option<&str>) -> String {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let count = tokio::time::timeout(LIMIT, stream.read(&mut piece)).await.expect("an answer").unwrap();
        assert_ne!(count, 0, "it was closed");
        answer.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0_usize) {
            return head.lines().next().unwrap().to_owned();
        }
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("it is kept out")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_slow_strangers_keep_nobody_out() {
    let desk = Desk::with_wallet().await;
    let mut strangers = Vec::new();
    for many in [MAX_CONNECTIONS, 3 * MAX_CONNECTIONS] {
        while strangers.len() < many {
            strangers.push(slow(&desk).await);
        }
        let alive = within(desk.client.get(desk.url("/healthz")).send()).await.unwrap();
        assert_eq!(alive.status(), 200, "{many}");
        let listed = within(desk.get("/v1/payments").send()).await.unwrap();
        assert_eq!(listed.status(), 200, "{many}");
        for (paused, door) in [
            (desk.post("/v1/wallet/pause", &json!({ "reason": "stop" })), "with a token"),
            (desk.local.post(Desk::at_socket("/v1/wallet/pause")).json(&json!({ "reason": "stop" })), "at the socket"),
        ] {
            assert_eq!(within(paused.send()).await.unwrap().status(), 200, "{door}, {many}");
        }
    }
    assert!(is_closed(&mut strangers[0]).await, "the oldest has given way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_connections_with_a_token_give_way_to_no_stranger() {
    let desk = Desk::open().await;
    let token = desk.token();
    let mut known = TcpStream::connect(desk.listen).await.unwrap();
    assert!(ask(&mut known, "/v1/payments", Some(&token)).await.contains("200"));
    let mut stranger = TcpStream::connect(desk.listen).await.unwrap();
    assert!(ask(&mut stranger, "/v1/payments", None).await.contains("401"));
    assert!(ask(&mut stranger, "/healthz", Some(&token)).await.contains("200"), "that route looks at no token");
    let mut strangers = Vec::new();
    for _ in 0..2 * MAX_CONNECTIONS {
        strangers.push(slow(&desk).await);
    }
    assert!(is_closed(&mut stranger).await);
    assert!(ask(&mut known, "/v1/payments", Some(&token)).await.contains("200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_with_every_place_taken_a_token_is_served_all_the_same() {
    let desk = Desk::open().await;
    let token = desk.token();
    let mut known = Vec::new();
    for _ in 0..=MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(desk.listen).await.unwrap();
        assert!(ask(&mut stream, "/v1/payments", Some(&token)).await.contains("200"));
        known.push(stream);
    }
    let alive = within(desk.client.get(desk.url("/healthz")).send()).await.unwrap();
    assert_eq!(alive.status(), 200);
    // A place is free again as soon as its connection is closed.
    assert!(ask(&mut known[0], "/v1/payments", Some(&token)).await.contains("200"));
}

/// The clock runs ahead whenever nothing else is to do.
#[tokio::test(start_paused = true)]
async fn f14_a_head_that_comes_byte_by_byte_is_cut_off() {
    let desk = Desk::open().await;
    let start = Instant::now();
    let mut stream = TcpStream::connect(desk.listen).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(200));
    for byte in request.bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        if tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 64])).await.is_ok() {
            break;
        }
    }
    assert!((10..=20).contains(&start.elapsed().as_secs()), "after {:?}", start.elapsed());
}

/// As above.
#[tokio::test(start_paused = true)]
async fn f14_a_stream_of_events_gets_as_old_as_it_likes() {
    let desk = Desk::open().await;
    let start = Instant::now();
    let mut stream = TcpStream::connect(desk.listen).await.unwrap();
    let token = desk.token();
    let request = format!("GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    while start.elapsed() < Duration::from_secs(300) {
        let count = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut [0; 4_096])).await.unwrap().unwrap();
        assert_ne!(count, 0, "it was closed after {:?}", start.elapsed());
    }
}
