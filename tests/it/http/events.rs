//! Events: in parts, and as a stream that can be taken up again.

use std::sync::Arc;
use std::time::Duration;

use rampwatch::domain::actor::Role;
use rampwatch::http::MAX_STREAMS;
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::{EventView, Page};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::desk::{Desk, handle_on};
use crate::support::memory_store::MemoryStore;
use crate::support::records::{event, payment_id};

const LIMIT: Duration = Duration::from_secs(20);

/// So many more events, the `n`th of all saying its number.
async fn happen(desk: &Desk, numbers: std::ops::RangeInclusive<u64>) {
    let events = numbers.map(|n| event(Some(payment_id(n % 3)), None, &format!("number {n}"))).collect();
    desk.store.commit(Commit { events, ..Commit::default() }).await.unwrap();
}

/// A stream, read event by event.
struct Reader {
    response: Response,
    held: String,
}

impl Reader {
    async fn open(desk: &Desk, query: &str, last: Option<&str>) -> Self {
        let mut request = desk.get(&format!("/v1/events/stream{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Self { response, held: String::new() }
    }

    /// The next block of lines; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.held.split_once("\n\n") {
                let block = block.to_owned();
                self.held = rest.to_owned();
                return Some(block);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.held.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn event(&mut self) -> EventView {
        let block = timeout(LIMIT, self.block()).await.expect("an event comes").expect("the stream goes on");
        let line = |name: &str| {
            let found = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.unwrap_or_else(|| panic!("no {name}: {block}")).to_owned()
        };
        let view: EventView = serde_json::from_str(&line("data")).unwrap();
        assert_eq!((line("id"), line("event")), (view.seq.to_string(), view.event.clone()));
        view
    }

    async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut all = Vec::new();
        for _ in 0..count {
            let event = self.event().await;
            assert!(event.text.contains(&format!("number {},", event.seq)), "{event:?}");
            all.push(event.seq);
        }
        all
    }
}

#[tokio::test]
async fn events_are_listed_by_number() {
    let desk = Desk::open().await;
    let list = async |query: &str| {
        let (status, body) = desk.answer(desk.get(&format!("/v1/events{query}"))).await;
        assert_eq!(status, 200, "{query}: {body}");
        let page: Page<EventView> = serde_json::from_value(body).unwrap();
        (page.items.iter().map(|event| event.seq).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(list("").await, (vec![], None));
    assert_eq!(list("?newest=5").await, (vec![], None));
    for count in [1, 2, 3, 4, 7, 8, 9, 120] {
        let before = desk.store.contents().events.len() as u64;
        happen(&desk, before + 1..=count).await;
        let newest = list("?newest=2").await.0;
        assert_eq!(newest, (count.saturating_sub(1).max(1)..=count).collect::<Vec<_>>(), "of {count}");
    }
    assert_eq!(list("").await, ((1..=100).collect(), Some("100".to_owned())));
    assert_eq!(list("?after=100").await, ((101..=120).collect(), None));
    assert_eq!(list("?after=10&limit=3").await, (vec![11, 12, 13], Some("13".to_owned())));
    assert_eq!(list("?after=117&limit=3").await, (vec![118, 119, 120], None));
    assert_eq!(list("?newest=50&limit=2").await, (vec![71, 72], Some("72".to_owned())));
    assert_eq!(list("?newest=1000&limit=1").await, (vec![1], Some("1".to_owned())));
    for far in [120, 121, u64::MAX] {
        assert_eq!(list(&format!("?after={far}")).await, (vec![], None));
    }
    let (_, body) = desk.answer(desk.get("/v1/events?limit=1")).await;
    let expected = json!({
        "seq": 1, "at": "2026-09-21T14:13:20Z", "event": "person_decided", "payment": payment_id(1), "deposit": null,
        "text": "A person decided: number 1, because \"a test\".", "order": null, "by": null,
    });
    assert_eq!(body["items"][0], expected);
    for (query, status) in [
        ("?after=1&newest=1", 422),
        ("?newest=0", 422),
        ("?newest=1001", 422),
        ("?limit=0", 422),
        ("?after=-1", 400),
        ("?after=x", 400),
        ("?colour=red", 400),
    ] {
        assert_eq!(desk.answer(desk.get(&format!("/v1/events{query}"))).await.0, status, "{query}");
    }
}

#[tokio::test]
async fn a_stream_tells_what_happened_and_then_what_happens() {
    let desk = Desk::open().await;
    happen(&desk, 1..=100).await;
    let mut reader = Reader::open(&desk, "", None).await;
    assert_eq!(reader.numbers(100).await, (1..=100).collect::<Vec<_>>());
    for n in 101..=105 {
        happen(&desk, n..=n).await;
        assert_eq!(reader.numbers(1).await, [n]);
    }
    let mut newest = Reader::open(&desk, "?newest=3", None).await;
    assert_eq!(newest.numbers(3).await, [103, 104, 105]);
    happen(&desk, 106..=300).await;
    let expected: Vec<u64> = (106..=300).collect();
    assert_eq!(reader.numbers(195).await, expected);
    assert_eq!(newest.numbers(195).await, expected);
}

#[tokio::test]
async fn a_stream_is_taken_up_again_where_it_broke_off() {
    let desk = Desk::open().await;
    happen(&desk, 1..=50).await;
    let mut reader = Reader::open(&desk, "?after=20", None).await;
    assert_eq!(reader.numbers(7).await, (21..=27).collect::<Vec<_>>());
    drop(reader);
    happen(&desk, 51..=60).await;
    // As a browser does: the same address, and what it has.
    let mut reader = Reader::open(&desk, "?after=20", Some("27")).await;
    assert_eq!(reader.numbers(33).await, (28..=60).collect::<Vec<_>>());
    for (last, status) in [("x", 400), ("-1", 400), ("", 400), ("18446744073709551616", 400)] {
        let request = desk.get("/v1/events/stream").header("Last-Event-ID", last);
        let (got, problem) = desk.answer(request).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some("malformed")), "{last:?}");
    }
    assert_eq!(desk.answer(desk.get("/v1/events/stream?after=1&newest=1")).await.0, 422);
}

#[tokio::test]
async fn a_stream_needs_the_role_read() {
    let store = MemoryStore::new();
    let handle = handle_on(&store);
    let people: &[(&str, &[Role])] = &[("blind", &[Role::Operate, Role::Approve]), ("reader", &[Role::Read])];
    let desk = Desk::serve_to(store, handle, people).await;
    happen(&desk, 1..=1).await;
    for (who, status) in [("blind", 403), ("reader", 200)] {
        let request = desk.client.get(desk.url("/v1/events/stream")).bearer_auth(desk.token_of(who));
        assert_eq!(request.send().await.unwrap().status(), status, "{who}");
    }
    assert_eq!(desk.client.get(desk.url("/v1/events/stream")).send().await.unwrap().status(), 401);
}

/// The clock runs ahead whenever nothing else is to do: minutes pass in no time.
#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_kept_alive_and_cut_by_no_limit() {
    let desk = Desk::open().await;
    let begun = tokio::time::Instant::now();
    let mut reader = Reader::open(&desk, "", None).await;
    for _ in 0..20 {
        let block = reader.block().await.expect("the stream goes on");
        assert!(block.starts_with(':'), "a comment: {block:?}");
    }
    // Far longer than a request may take (20 s), and than a connection may be silent (60 s).
    assert!(begun.elapsed() >= Duration::from_secs(290), "{:?}", begun.elapsed());
    happen(&desk, 1..=1).await;
    while reader.held.is_empty() {
        reader.held = reader.block().await.expect("the stream goes on").replace(':', "");
    }
}

#[tokio::test]
async fn streams_end_when_the_api_stops() {
    let desk = Desk::open().await;
    happen(&desk, 1..=1).await;
    let mut reader = Reader::open(&desk, "", None).await;
    reader.event().await;
    desk.stop();
    let end = timeout(LIMIT, reader.block()).await.expect("it ends");
    assert_eq!(end, None, "an orderly end, not a broken connection");
    timeout(LIMIT, desk.ended()).await.expect("the API does not wait for streams");
}

#[tokio::test]
async fn streams_leave_room_for_everybody_else() {
    let desk = Desk::open().await;
    happen(&desk, 1..=1).await;
    let mut open = Vec::new();
    for _ in 0..MAX_STREAMS {
        let mut reader = Reader::open(&desk, "", None).await;
        reader.event().await;
        open.push(reader);
    }
    let (status, problem) = desk.answer(desk.get("/v1/events/stream")).await;
    assert_eq!((status, problem["code"].as_str()), (429, Some("busy")), "{problem}");
    assert_eq!(desk.answer(desk.get("/v1/events")).await.0, 200, "everything else is served");
    drop(open.pop());
    let free = async {
        while desk.get("/v1/events/stream").send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, free).await.expect("the place of a reader that has gone is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_nobody_up_and_misses_nothing() {
    let desk = Arc::new(Desk::open().await);
    let mut slow = TcpStream::connect(desk.listen).await.unwrap();
    let (token, last) = (desk.token(), 40_000_u64);
    let request = format!(
        "GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    slow.write_all(request.as_bytes()).await.unwrap();
    // Some 10 MB, far more than the sockets between the two hold.
    for first in (1..=last).step_by(1_000) {
        happen(&desk, first..=first + 999).await;
    }
    let mut quick = Reader::open(&desk, &format!("?after={}", last - 5), None).await;
    assert_eq!(quick.numbers(5).await.len(), 5, "others are served");
    let mut lines = BufReader::new(slow).lines();
    let mut expected = 1;
    while expected <= last {
        let line = timeout(LIMIT, lines.next_line()).await.expect("it goes on").unwrap().expect("it is not cut off");
        if let Some(id) = line.strip_prefix("id: ") {
            assert_eq!(id.parse::<u64>().unwrap(), expected);
            expected += 1;
        }
    }
}
