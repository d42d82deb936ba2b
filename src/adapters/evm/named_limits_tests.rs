use super::*;

use crate::adapters::evm::classify::classify;

#[test]
fn suggestions() {
    let cases = [
        ("query returned more than 10000 results. Try with this block range [0xBDE5F8, 0x102DBCC].", 2_000, None),
        ("query returned more than 10000 results. Try with this block range [0xBDE5F8, 0xBDE600].", 2_000, Some(9)),
        ("query exceeds max results 20000, retry with the range 23879634-23879696", 2_000, Some(63)),
        ("query exceeds max results 20000, retry with the range 23879634-23879696", 63, None),
        ("logs matched by query exceeds limit of 100", 2_000, None),
        ("response size should not greater than 100 bytes", 2_000, None),
        ("eth_getLogs is limited to a 10,000 range", 50_000, Some(10_000)),
        ("eth_getLogs is limited to a 10,000 range", 10_000, None),
        ("eth_getLogs block range too large, range: 99991, max: 3500", 99_992, Some(3_500)),
        ("block range too large (2000), maximum allowed is 1000 blocks", 2_000, Some(1_000)),
        ("block range is larger than max block range, block range = 5120, max block range = 5000", 5_120, Some(5_000)),
        ("Max range: 800", 2_000, Some(800)),
        ("requested too many blocks from 75000001 to 75009000, maximum is set to 2048", 9_000, None),
        ("1rpc: range over limit", 2_000, None),
        ("limited to 0 - 500 blocks range", 2_000, Some(501)),
        ("range too large", 2_000, None),
    ];
    for (text, asked, expected) in cases {
        assert_eq!(suggested_blocks(classify(None, text), text, asked), expected, "{text:?} for {asked}");
    }
    let text = "This query contains 5006 filters. The current limit is 5000.";
    assert_eq!(suggested_recipients(text, 5_003), Some(5_000));
    assert_eq!(suggested_recipients(text, 5_000), None);
}

#[test]
fn numbers_in_texts() {
    let values = |text: &str| numbers(text).iter().map(|number| number.value).collect::<Vec<_>>();
    assert_eq!(values("10,000 or 0xFF, 1,2 x1 1x 12"), [10_000, 255, 1, 2, 12]);
    assert_eq!(values("99999999999999999999 7"), [7]);
    assert_eq!(values("1,000,000 1,0000"), [1_000_000, 1, 0]);
    assert_eq!(values("é5é 5"), [5]);
}

#[test]
fn r2_what_a_batch_may_hold_and_when_to_come_back() {
    for (text, asked, expected) in [
        ("batch limit 10 exceeded. Requested batch of size: 20", 20, Some(10)),
        ("batch limit 1 exceeded. Requested batch of size: 2", 2, Some(1)),
        ("Batch size too large: 21, maximum 20", 21, Some(20)),
        ("batch requests are not supported", 20, None),
        ("batch of 5 calls refused", 5, None),
    ] {
        assert_eq!(suggested_batch(text, asked), expected, "{text}");
    }
    for (text, expected) in [
        ("Too many requests, reason: call rate limit exhausted, retry in 10s", Some(Duration::from_secs(10))),
        ("rate limited, please retry after 250ms", Some(Duration::from_millis(250))),
        ("slow down; try again in 1.5 seconds", Some(Duration::from_secs(2))),
        ("wait 2 minutes", Some(Duration::from_secs(120))),
        ("retry in 99999999999999999999s", None),
        ("retry later", None),
    ] {
        assert_eq!(suggested_wait(text), expected, "{text}");
    }
}
