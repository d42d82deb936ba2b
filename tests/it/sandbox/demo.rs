//! The demo, with the real binary: it tells the whole story, the wallet's receipts at the end, and leaves nothing.

use std::path::PathBuf;

use rampwatch::sandbox::demo::{DemoOptions, run};

/// The words in a line that begins like this.
#[track_caller]
fn line<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let found = text.lines().find(|line| line.trim_start().starts_with(start));
    found.unwrap_or_else(|| panic!("no line {start:?} in {text}")).split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_funds_and_shows_the_receipts() {
    let options = DemoOptions { program: Some(PathBuf::from(env!("CARGO_BIN_EXE_rampwatch"))) };
    let mut told = Vec::new();
    let ended = run(&options, &mut told).await;
    let text = String::from_utf8(told).unwrap();
    ended.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let (_, funding) = text.split_once("The hot wallet pays").unwrap();
    for part in [
        "fund-held:1: held (the token has blacklisted the deposit address)",
        "awaiting approval",
        "cancelling, outcome unknown",
        "fund-cancelled:1: ended",
        "6 transfers for 6 payments, 60723.00 USDC in all",
        "Everything came out as it must",
    ] {
        assert!(funding.contains(part), "no {part:?} in {funding}");
    }
    let (_, receipts) = text.split_once("The receipts of one payment:").unwrap();
    assert_eq!(line(receipts, "payment")[1], "fund-raised:");
    assert_eq!(line(receipts, "order")[1], "fund-raised:1:");
    assert_eq!(line(receipts, "nonce")[1], "0");
    let transactions: Vec<&str> =
        receipts.lines().filter(|line| line.trim_start().starts_with("transaction")).collect();
    let mined: Vec<&&str> = transactions.iter().filter(|line| line.ends_with(": mined")).collect();
    assert!(transactions.len() >= 2 && mined.len() == 1, "{transactions:?}");
    assert!(line(receipts, "block").contains(&"log"), "{receipts}");
    let answer = line(receipts, "API answer").join(" ");
    assert!(answer.contains("HTTP 200") && answer.ends_with("COMPLETED"), "{answer}");
    println!("{text}");
}
