//! Deliveries that are wrong, missing their signature, replayed, huge or malformed: refused, counted, and without effect.

use rampwatch::config::InletSettings;
use rampwatch::domain::payment::ApiStatus;
use rampwatch::http::inlet::PATH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::rig::{Rig, SECRET, claims, hex, now, settings, sha256};
use crate::support::records::payment_id;

#[tokio::test]
async fn wrong_and_missing_signatures_are_refused_and_change_nothing() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    rig.says(1, ApiStatus::Failed);
    let before = rig.contents();
    let body = claims(1);
    let right = hex(&sha256(SECRET, body.as_bytes()));
    let header = "x-sentra-signature";
    let mut flipped = right.clone();
    flipped.replace_range(0..1, if right.starts_with('0') { "1" } else { "0" });
    let wrong = [
        rig.bare(&body),
        rig.bare(&body).header(header, ""),
        rig.bare(&body).header(header, "sha256="),
        rig.bare(&body).header(header, &flipped),
        rig.bare(&body).header(header, &right[..62]),
        rig.bare(&body).header(header, format!("{right}00")),
        rig.bare(&body).header(header, format!("sha512={right}")),
        rig.bare(&body).header(header, format!("sha256=sha256={right}")),
        rig.bare(&body).header(header, hex(&sha256("another", body.as_bytes()))),
        rig.bare(&body).header(header, hex(&sha256("", body.as_bytes()))),
        rig.bare(&body).header(header, "zz".repeat(32)),
        rig.bare(&body).header("x-signature", &right),
        rig.bare(&claims(2)).header(header, &right),
        rig.bare(&format!("{body} ")).header(header, &right),
    ];
    let count = u64::try_from(wrong.len()).unwrap();
    for (nth, request) in wrong.into_iter().enumerate() {
        assert_eq!(Rig::status(request).await, 401, "the {nth}th");
    }
    rig.settle().await;
    assert_eq!(rig.counted("bad_signature"), count);
    assert_eq!((rig.counted("taken"), rig.asked().len()), (0, 0));
    assert_eq!(rig.contents(), before, "not a byte");
    // The same bytes with the right signature in either form are taken: it was the signature.
    assert_eq!(Rig::status(rig.bare(&body).header(header, &right.to_uppercase())).await, 204);
}

#[tokio::test]
async fn malformed_and_huge_ones_are_refused_and_change_nothing() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    let before = rig.contents();
    let malformed = ["{", "p-1", "{\"data\":{\"id\":\"p-1\"}", "payload=%7B%7D", "\u{0}"];
    for body in malformed {
        assert_eq!(Rig::status(rig.signed(body)).await, 400, "{body:?}");
    }
    assert_eq!(rig.counted("malformed"), u64::try_from(malformed.len()).unwrap());

    let id = payment_id(1);
    let large = |bytes: usize| {
        let start = format!("{{\"id\":\"{id}\",\"pad\":\"");
        format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2))
    };
    assert_eq!(Rig::status(rig.signed(&large(65_537))).await, 413);
    // One that does not say how large it is, and goes on and on.
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
    for _ in 0..100 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut told = Vec::new();
    let _ = stream.read_to_end(&mut told).await;
    let told = String::from_utf8_lossy(&told);
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 413 "), "cut off, or told why: {told}");
    rig.settle().await;
    assert_eq!((rig.counted("too_large"), rig.asked().len()), (2, 0));
    assert_eq!(rig.contents(), before, "not a byte");
    assert_eq!(Rig::status(rig.signed(&large(65_536))).await, 204, "as large as may be");
}

#[tokio::test]
async fn with_a_signed_moment_replays_and_stale_ones_are_refused_and_change_nothing() {
    let moment = "x-sentra-timestamp";
    let rig = Rig::with(InletSettings { timestamp_header: Some(moment.to_owned()), ..settings() }).await;
    rig.follow(1).await;
    let body = claims(1);
    let signed = |at: &str, signed_at: &str| {
        let signature = hex(&sha256(SECRET, format!("{signed_at}.{body}").as_bytes()));
        rig.bare(&body).header(moment, at).header("x-sentra-signature", signature)
    };
    let before = rig.contents();
    let at = now().as_secs();
    let (old, future) = ((at - 400).to_string(), (at + 400).to_string());
    for stale in [signed(&old, &old), signed(&future, &future), signed("soon", "soon"), signed("", "")] {
        assert_eq!(Rig::status(stale).await, 401);
    }
    let fresh = at.to_string();
    assert_eq!(Rig::status(rig.signed(&body)).await, 401, "no moment at all");
    assert_eq!(rig.counted("stale"), 5);
    assert_eq!(Rig::status(signed(&fresh, &old)).await, 401, "a moment that was not signed");
    assert_eq!(Rig::status(rig.signed(&body).header(moment, &fresh)).await, 401, "signed without its moment");
    assert_eq!(rig.counted("bad_signature"), 2);
    rig.settle().await;
    assert_eq!((rig.contents(), rig.asked().len()), (before, 0), "not a byte");

    assert_eq!(Rig::status(signed(&fresh, &fresh)).await, 204);
    rig.settle().await;
    let after = rig.contents();
    assert_eq!(rig.asked().len(), 1);
    for _ in 0..5 {
        // Its sender may have missed the answer, so it is told the same; but it has no effect.
        assert_eq!(Rig::status(signed(&fresh, &fresh)).await, 204);
    }
    rig.settle().await;
    assert_eq!((rig.counted("taken"), rig.counted("replayed"), rig.counted("coalesced")), (1, 5, 0));
    assert_eq!((rig.contents(), rig.asked().len()), (after, 1));
    let next = (at + 1).to_string();
    assert_eq!(Rig::status(signed(&next, &next)).await, 204, "the same body a second later is news");
    assert_eq!(rig.counted("taken"), 2);
}

#[tokio::test]
async fn without_a_signed_moment_a_replay_costs_one_question_at_most() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    for _ in 0..10 {
        assert_eq!(Rig::status(rig.signed(&claims(1))).await, 204);
    }
    rig.settle().await;
    assert_eq!(rig.asked(), [payment_id(1)], "the next question may come ten seconds later");
    assert_eq!(rig.counted("taken") + rig.counted("coalesced"), 10);
    assert!(rig.counted("coalesced") >= 8);
}
