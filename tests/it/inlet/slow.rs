//! Deliveries that are sent byte by byte: cut off, counted, and nobody else waits for them.

use std::time::Duration;

use rampwatch::http::inlet::PATH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::rig::{Rig, SECRET, claims, hex, sha256};

/// Sends a text byte by byte, one a second, until it is told something or cut off. Returns what it was told, and after how
/// long. The clock is paused: it jumps where nothing else happens.
async fn drip(rig: &Rig, text: &str) -> (String, Duration) {
    let start = Instant::now();
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let mut told = Vec::new();
    for byte in text.bytes() {
        let mut piece = [0; 1_024];
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut piece)).await {
            Err(_) => continue,
            Ok(Ok(count)) if count > 0 => told.extend_from_slice(&piece[..count]),
            Ok(_) => {}
        }
        break;
    }
    (String::from_utf8_lossy(&told).into_owned(), start.elapsed())
}

fn head(body: &str) -> String {
    let signature = hex(&sha256(SECRET, body.as_bytes()));
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\nx-sentra-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let rig = Rig::start().await;
    let (told, after) = drip(&rig, &head(&claims(1))).await;
    assert!(!told.contains("204"), "{told}");
    assert!((10..=20).contains(&after.as_secs()), "after {after:?}");
    assert_eq!((rig.counted("slow"), rig.counted("taken")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_byte_by_byte_is_answered_408() {
    let rig = Rig::start().await;
    let body = claims(1);
    let start = Instant::now();
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(head(&body).as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        for byte in body.bytes() {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut told = String::new();
    let _ = read.read_to_string(&mut told).await;
    sending.abort();
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    assert!((9..=16).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!((rig.counted("slow"), rig.counted("taken")), (1, 0));
}

#[tokio::test]
async fn slow_ones_hold_nobody_up() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    let mut slow = Vec::new();
    for _ in 0..31 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(b"POST ").await.unwrap();
        slow.push(stream);
    }
    let start = Instant::now();
    assert_eq!(Rig::status(rig.signed(&claims(1))).await, 204);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // Even with every place taken, it is a matter of seconds: who says nothing is cut off.
    let mut last = TcpStream::connect(rig.address).await.unwrap();
    last.write_all(b"POST ").await.unwrap();
    assert_eq!(Rig::status(rig.signed(&claims(2))).await, 204);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}
