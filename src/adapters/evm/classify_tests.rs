//! The recorded errors, and others like them.

use super::*;

use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    provider: String,
    code: Option<i64>,
    message: String,
    kind: String,
}

fn classes(kind: &str) -> &'static [Class] {
    match kind {
        "range" => &[Class::Range, Class::Results],
        "addresses" => &[Class::Addresses],
        "topics" => &[Class::Topics],
        "batch" => &[Class::Batch],
        "quota" => &[Class::Quota],
        "retry-or-split" => &[Class::RetryOrSplit],
        "node-behind-or-bad-range" => &[Class::BehindOrRange],
        "node-behind" => &[Class::Behind],
        "no-finality" => &[Class::NoFinality],
        "no-safe-tag" => &[Class::NoSafe],
        "state-sync-receipts" => &[Class::Receipts],
        "filters-not-sticky" => &[Class::Filters],
        "send" => &[Class::Transaction],
        "send-ok" => &[Class::AlreadyKnown],
        other => panic!("a new kind of error was recorded: {other}"),
    }
}

#[test]
fn all_recorded_errors() {
    let recorded = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/provider-errors.json"));
    let recorded: Vec<Recorded> = serde_json::from_str(recorded).unwrap();
    assert!(recorded.len() >= 35, "{} entries", recorded.len());
    for Recorded { provider, code, message, kind } in recorded {
        let class = classify(code, &message);
        assert!(classes(&kind).contains(&class), "{provider}: {message:?} is {kind}, not {class:?}");
        // The code must not be needed: providers change theirs.
        if kind != "quota" {
            assert_eq!(classify(None, &message), class, "{message}");
            assert_eq!(classify(Some(-32000), &message), class, "{message}");
        }
    }
}

#[test]
fn unrecorded_errors_like_them() {
    let cases: &[(Option<i64>, &str, Class)] = &[
        (None, "eth_getLogs is limited to a 777 block range", Class::Range),
        (Some(35), "ranges over 10000 blocks are not supported on freetier", Class::Range),
        (None, "Block range limit exceeded. See more details at https://docs.example", Class::Range),
        (
            Some(-32600),
            "You can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this \
            block range should work: [0x4b1a2c0, 0x4b1a2c9]. Upgrade to PAYG for expanded block range.",
            Class::Range,
        ),
        (None, "exceed maximum block range: 1", Class::Range),
        (None, "requested too many blocks from 1 to 9000, maximum is set to 2048", Class::Range),
        (None, "block range greater than 4,096 max", Class::Range),
        (Some(413), "Request Entity Too Large", Class::Range),
        (Some(413), "", Class::Range),
        (Some(-32005), "query returned more than 20000 results", Class::Results),
        (Some(-32005), "query returned more than 9 results", Class::Results),
        (
            Some(-32000),
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
            Class::Results,
        ),
        (None, "Query timeout exceeded. Consider reducing your block range.", Class::Results),
        (None, "response is too big", Class::Results),
        (None, "logs matched by query exceeds limit of 77", Class::Results),
        (None, "This query contains 77 filters. The current limit is 50.", Class::Addresses),
        (None, "too many addresses in filter, max 500", Class::Addresses),
        (None, "exceed max topics", Class::Topics),
        (None, "batch requests are not supported", Class::Batch),
        (None, "Batch of more than 3 requests are not allowed on free tier", Class::Batch),
        (Some(429), "", Class::RateLimit),
        (Some(429), "Your app has exceeded its compute units per second capacity.", Class::RateLimit),
        (Some(-32005), "limit exceeded", Class::RateLimit),
        (Some(-32005), "daily request count exceeded, request rate limited", Class::RateLimit),
        (Some(-32007), "50/second request limit reached - reduce calls per second", Class::RateLimit),
        (Some(-32005), "something else", Class::RateLimit),
        (Some(402), "whatever", Class::Quota),
        (None, "Monthly capacity limit exceeded", Class::Quota),
        (Some(401), "", Class::Denied),
        (None, "header not found", Class::Behind),
        (None, "block range extends beyond current head block", Class::Behind),
        (
            None,
            "One of the blocks specified in filter (fromBlock, toBlock or blockHash) cannot be found.",
            Class::Behind,
        ),
        (None, "invalid block range params", Class::BehindOrRange),
        (None, "Finalized block not found", Class::NoFinality),
        (None, "finalized block is not available", Class::NoFinality),
        (Some(3), "execution reverted: paused", Class::Reverted),
        (None, "transaction already imported", Class::AlreadyKnown),
        (Some(-32603), "Internal error", Class::Server),
        (Some(502), "", Class::Server),
        (Some(-32601), "the method does not exist", Class::Refused),
        (None, "", Class::Refused),
    ];
    for &(code, text, class) in cases {
        assert_eq!(classify(code, text), class, "{code:?} {text:?}");
    }
}

#[test]
fn the_list_of_classes_is_whole() {
    // The last class of the declaration, so that the places are all those that there are.
    let mut names: Vec<_> = Class::ALL.iter().map(|class| class.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Class::ALL.len(), "each name once");
}
