//! The export: what is in it, that its columns are those of the document, and its pages.

use std::collections::BTreeSet;

use rampwatch::domain::event::{Event, EventKind};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::service::export::{COLUMNS, ExportRow, Interval, KINDS};
use rampwatch::service::operator_service::OperatorService;
use rampwatch::view::Page;

use super::story;
use crate::store::specimens;
use crate::support::desk::{Desk, handle_on};
use crate::support::memory_store::MemoryStore;
use crate::support::records::at;

const DOCUMENT: &str = include_str!("../../../docs/export.md");

fn always() -> Interval {
    Interval::parse(None, None).unwrap()
}

/// The moment of a row.
fn millis(row: &ExportRow) -> u64 {
    let time: jiff::Timestamp = row.time.parse().unwrap();
    u64::try_from(time.as_millisecond()).unwrap()
}

/// All rows, in pages of so many.
async fn all(handle: &OperatorService, interval: &Interval, limit: usize) -> Vec<ExportRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page: Page<ExportRow> = handle.export(interval, after.as_deref(), limit).await.unwrap();
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

/// The first cells of a document's table below this heading.
fn documented(heading: &str) -> Vec<Vec<String>> {
    let (_, below) = DOCUMENT.split_once(&format!("## {heading}\n")).unwrap();
    let below = below.split("\n## ").next().unwrap();
    let lines = below.lines().filter(|line| line.starts_with("| `") || line.starts_with("| alarm"));
    // The row above the line of dashes names the cells.
    let lines = lines.filter(|line| !line.starts_with("| `kind` | `what` |"));
    lines.map(|line| line.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_document_has_every_column_in_order_and_every_kind() {
    let columns: Vec<String> = documented("Columns").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(columns, COLUMNS);
    let row = serde_json::to_value(ExportRow::default()).unwrap();
    let fields: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, COLUMNS.into_iter().collect::<BTreeSet<_>>());
    let kinds: BTreeSet<String> = documented("Rows").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(kinds, KINDS.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn every_row_that_can_be_is_in_the_document() {
    let store = MemoryStore::new();
    store.commit(specimens::everything()).await.unwrap();
    let mut rows = all(&handle_on(&store), &always(), 7).await;
    rows.extend(all(&handle_on(&story::told().await), &always(), 1_000).await);
    let documented = documented("Rows");
    let mut seen = BTreeSet::new();
    for row in rows {
        assert!(KINDS.contains(&row.kind.as_str()), "{row:?}");
        seen.insert(row.kind.clone());
        let named = format!("`{}`", row.what);
        let known = documented
            .iter()
            .any(|line| line[0] == format!("`{}`", row.kind) && (line[1].contains(&named) || row.kind == "alarm"));
        // The specimens' people decide things that no command does.
        assert!(known || row.kind == "decision", "{} {} is not in the document", row.kind, row.what);
    }
    assert_eq!(seen, KINDS.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn a_whole_story_is_told_in_order() {
    let rows = all(&handle_on(&story::told().await), &always(), 1_000).await;
    let lines = rows.iter().map(|row| {
        let cells = serde_json::to_value(row).unwrap();
        let filled = COLUMNS.iter().filter(|name| !cells[**name].is_null());
        filled.map(|name| format!("{name}={}", cells[*name])).collect::<Vec<_>>().join(" ")
    });
    insta::assert_snapshot!("story", lines.collect::<Vec<_>>().join("\n"));
    let fee: Vec<&ExportRow> = rows.iter().filter(|row| row.kind == "fee").collect();
    assert_eq!(fee.len(), 2);
    assert_eq!(fee[0].fee_wei.as_deref(), Some((62_000_u128 * 85_000_000_001).to_string().as_str()));
    assert_eq!(fee[0].fee_native.as_deref(), Some("0.005270000000062"));
    assert_eq!((fee[1].what.as_str(), fee[1].api_fee.as_deref()), ("api", Some("1.25")));
}

#[tokio::test]
async fn pages_and_intervals_neither_lose_nor_double() {
    let store = story::told().await;
    // Events out of the order of time, as after a clock that was set back.
    let odd = |millis| {
        let kind = EventKind::PersonDecided { action: "ignore".to_owned(), reason: "late".to_owned(), by: None };
        Event { at: at(millis), payment: None, deposit: None, kind }
    };
    store.commit(Commit { events: vec![odd(500), odd(99_000)], ..Commit::default() }).await.unwrap();
    let handle = handle_on(&store);
    let whole = all(&handle, &always(), 1_000).await;
    for limit in [1, 2, 3, 10] {
        assert_eq!(all(&handle, &always(), limit).await, whole, "pages of {limit}");
    }
    let seqs: Vec<u64> = whole.iter().map(|row| row.seq).collect();
    assert!(seqs.is_sorted());
    // Cut at a moment at which something happened: it is in the later part, and in no other.
    for cut in [0, 500, 12_500, 20_200, 60_000, 99_000, 99_001] {
        let before = all(&handle, &Interval { to: at(cut), ..always() }, 5).await;
        let after = all(&handle, &Interval { from: at(cut), ..always() }, 5).await;
        let mut both: Vec<ExportRow> = before.into_iter().chain(after.clone()).collect();
        both.sort_by_key(|row| row.seq);
        assert_eq!(both, whole, "cut at {cut}");
        assert!(after.iter().all(|row| millis(row) >= at(cut).as_millis()), "cut at {cut}");
    }
}

#[test]
fn days_and_moments_are_taken_and_nothing_else() {
    let parse = |from: &str, to: &str| Interval::parse(Some(from), Some(to));
    let day = parse("2026-11-22", "2026-11-23").unwrap();
    assert_eq!(day, parse("2026-11-22T00:00:00Z", "2026-11-23T01:00:00+01:00").unwrap());
    assert!(parse("2026-11-22", "2026-11-22").is_ok());
    for (from, to) in [
        ("2026-11-23", "2026-11-22"),
        ("yesterday", "2026-11-22"),
        ("2026-11-22T10:00:00", "2026-11-23"),
        ("2026-13-01", "2027-01-01"),
        ("20261122", "2027-01-01"),
        ("", "2026-11-22"),
    ] {
        assert!(parse(from, to).is_err(), "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn the_operator_api_gives_the_same_rows() {
    let store = story::told().await;
    let handle = handle_on(&store);
    let desk = Desk::serve(store, handle.clone()).await;
    let (status, body) = desk.answer(desk.get("/v1/export?from=2026-09-01&to=2027-01-01&limit=1000")).await;
    assert_eq!(status, 200, "{body}");
    let page: Page<ExportRow> = serde_json::from_value(body).unwrap();
    assert_eq!((page.items, page.next), (all(&handle, &always(), 1_000).await, None));
    for bad in ["from=nonsense", "after=x", "to=2026-01-01&from=2026-02-01", "since=2026-01-01"] {
        let (status, body) = desk.answer(desk.get(&format!("/v1/export?{bad}"))).await;
        assert!([400, 422].contains(&status), "{bad}: {status} {body}");
    }
}
