//! Batches: what is refused, what goes on, and what the result file says.

use std::fmt::Write as _;

use rampwatch::domain::amount::Amount;
use rampwatch::sandbox::fake_api::Call;

use super::bench::{Bench, CONTENT, LIMIT, finish};
use crate::support::eventually;

const HEADER: &str = "reference,user,recipient,bank_account,amount,destination_currency,destination_rail,\
                      destination_country,reason,fund";

fn usdc(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

/// A batch with these references and amounts, by the wallet.
fn batch(rows: &[(&str, &str)]) -> String {
    let mut text = format!("{HEADER}\n");
    for (reference, amount) in rows {
        writeln!(text, "{reference},user-1,rec-1,bank-1,{amount},MXN,SPEI,MX,RENT,wallet").unwrap();
    }
    text
}

/// The rows of a result file: each a list of cells. None of the tests has a comma in a cell that it reads.
fn result(bench: &Bench, name: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(bench.path(name)).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// What the result says of a row: its line, reference, state and trouble.
fn told(rows: &[Vec<String>]) -> Vec<(&str, &str, &str, &str)> {
    rows.iter().map(|row| (&*row[0], &*row[1], &*row[2], &*row[12])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_row_is_named_and_nothing_starts_or_the_good_ones_go_on() {
    let mut bench = Bench::start(200).await;
    bench.daemon_up().await;
    let file = bench
        .write("batch.csv", batch(&[("B-1", "11"), ("B-2", "\"1,000\""), ("B-3", "13"), ("B-3", "14"), ("=x", "15")]));
    let named = [
        "line 3: column amount: the amount \"1,000\" is not a plain decimal number; write it like 1000.50",
        "line 4: column reference: \"B-3\": it is on line 5 too",
        "line 5: column reference: \"B-3\": it is on line 4 too",
        "line 6: column reference: \"=x\": it is no reference",
    ];
    for more in [&["--yes"][..], &["--check"]] {
        let ended = bench.run(&[&["payout", "--file", &file], more].concat()).await;
        ended.ends(2, &named).ends(2, &["4 of 5 rows are bad, and nothing was placed", "--skip-bad"]);
    }
    assert!(!bench.path("batch.csv.result.csv").exists());
    assert!(bench.sandbox.fake_api().journal().iter().all(|entry| entry.call != Call::Create));

    let went_on = bench.run(&["payout", "--file", &file, "--yes", "--skip-bad"]).await;
    went_on.ends(2, &named).ends(2, &["1 rows, 11.00 USDC", "4 rows were bad and left out"]);
    bench.assert_each_once(&[usdc(11)]).await;
    let rows = result(&bench, "batch.csv.result.csv");
    let told = told(&rows);
    assert_eq!(told[0], ("2", "B-1", "completed", ""));
    assert_eq!((told[1].2, told[4].1, told[4].2), ("bad", "'=x", "bad"), "a formula is defused");
    assert!(told[1].3.starts_with("column amount: "), "{told:?}");

    // Mended and run again, only what is new is placed. A reference that is known with other content starts nothing.
    bench.write("batch.csv", batch(&[("B-1", "11.00"), ("B-2", "12"), ("B-3", "13")]));
    let again = bench.run(&["payout", "--file", &file, "--yes", "--json"]).await;
    again.ends(0, &["known        1 rows, 11.00 USDC: taken up where they are", "from wallet  2 rows, 25.00 USDC"]);
    assert_eq!(again.json()["completed"], 3);
    bench.assert_each_once(&[usdc(11), usdc(12), usdc(13)]).await;
    bench.write("batch.csv", batch(&[("B-4", "16"), ("B-2", "12.5")]));
    let other = bench.run(&["payout", "--file", &file, "--yes"]).await;
    other.ends(
        2,
        &[
            "line 3: column reference: \"B-2\" is known already, with 12.00 as its amount; the row has 12.5",
            "1 of 2 rows",
        ],
    );
    bench.assert_each_once(&[usdc(11), usdc(12), usdc(13)]).await;
    bench.daemon.stop(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_and_limits_are_shown_and_a_check_places_nothing() {
    let bench = Bench::start(1_000).await;
    let mut text = batch(&[("B-1", "60000"), ("B-2", "100000.000001")]);
    writeln!(text, "B-3,user-1,rec-2,bank-1,5,BRL,PIX,BR,RENT,").unwrap();
    let file = bench.write("batch.csv", text);
    let checked = bench.run(&["payout", "--file", &file, "--check"]).await;
    for words in [
        "in all       3 rows, 160005.000001 USDC",
        "paid out in BRL: 1 rows, 5.00 USDC",
        "by hand      1 rows, 5.00 USDC",
        "1 rows are above 100000.00 USDC (funding.max_per_payment)",
        "1 rows are above 50000.00 USDC (funding.approval_above): each waits for an approval",
    ] {
        assert!(checked.ends(0, &[]).out.contains(words), "no {words:?} in {}", checked.out);
    }
    assert!(!bench.sandbox.directory().join("data").exists(), "no store was made");
    let json = bench.run(&["payout", "--file", &file, "--check", "--json"]).await.ends(0, &[]).json();
    assert_eq!((json["all"]["rows"].as_u64(), json["need_approval"].as_u64()), (Some(3), Some(1)));
    let unasked = bench.run(&["payout", "--file", &file]).await;
    unasked.ends(2, &["no terminal to ask on", "--yes"]);
    assert!(bench.sandbox.fake_api().journal().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_no_batch_are_refused_before_anything_is_asked() {
    let bench = Bench::start(1_000).await;
    let semicolons = bench.write("semi.csv", batch(&[("B-1", "1")]).replace(',', ";"));
    bench.run(&["payout", "--file", &semicolons, "--yes"]).await.ends(2, &["semi.csv: ", "separated by semicolons"]);
    let huge = bench.write("huge.csv", vec![b'x'; (8 << 20) + 1]);
    bench.run(&["payout", "--file", &huge, "--yes"]).await.ends(2, &["huge.csv is larger than 8 MiB"]);
    bench.run(&["payout", "--file", "missing.csv", "--yes"]).await.ends(2, &["missing.csv cannot be read"]);
    bench.run(&["payout", "--file", ".", "--yes"]).await.ends(2, &["is no file"]);
    let file = bench.write("batch.csv", batch(&[("B-1", "1")]));
    let twice = ["payout", "--file", &file, "--yes", "--reference", "B-1"];
    bench.run(&twice).await.ends(2, &["--reference"]);
    bench.run(&["payout", "--check"]).await.ends(2, &["--file"]);
    bench
        .run(&["payout", "--file", &file, "--yes", "--result", &semicolons])
        .await
        .ends(1, &["semi.csv is there and is no result"]);
    assert!(bench.sandbox.fake_api().journal().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_the_result_stands_and_the_file_takes_it_up() {
    let mut bench = Bench::start(200).await;
    bench.daemon_up().await;
    // By hand: it waits for its money until somebody pays.
    let flags = [&["payout", "--file", "batch.csv", "--yes"], &CONTENT[..]].concat();
    bench.write("batch.csv", "reference,amount\nB-1,21\nB-2,22\n");
    let running = bench.spawn(&flags);
    let open = || async { bench.sandbox.fake_api().off_ramps().len() == 2 };
    eventually(LIMIT, "both are open", open).await;
    let told_to_pay = || async {
        let rows =
            if bench.path("batch.csv.result.csv").exists() { result(&bench, "batch.csv.result.csv") } else { vec![] };
        rows.len() == 2 && rows.iter().all(|row| row[2] == "waiting" && row[7].starts_with("ethereum:0x"))
    };
    eventually(LIMIT, "the result says how to pay", told_to_pay).await;
    bench.run(&flags).await.ends(6, &["batch.csv is being worked on by another"]);
    super::bench::interrupt(&running);
    let ended = finish(running).await;
    ended.ends(
        130,
        &["interrupted: what was placed goes on by itself, in the daemon", "`rampwatch payout --file batch.csv`"],
    );
    assert!(ended.out.contains("in progress   2"), "{}", ended.out);
    bench.daemon.stop(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_is_one_and_the_columns_are_documented() {
    let bench = Bench::start(1_000).await;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/");
    let checked = bench.run(&["payout", "--file", &format!("{root}batch-example.csv"), "--check", "--json"]).await;
    assert_eq!(checked.ends(0, &[]).json()["all"]["rows"], 3);
    // The refusal of a column lists them all.
    let wrong = bench.write("wrong.csv", "iban\n1\n");
    let refused = bench.run(&["payout", "--file", &wrong, "--check"]).await;
    let (_, columns) = refused.ends(2, &[]).err.split_once("the columns are ").unwrap();
    let page = std::fs::read_to_string(format!("{root}batch-csv.md")).unwrap();
    let columns: Vec<&str> = columns.trim().split(", ").collect();
    assert_eq!(columns.len(), 18, "{columns:?}");
    for column in columns {
        assert!(page.contains(&format!("| `{column}` |")), "{column} is not documented");
    }
    let help = bench.run(&["payout", "--help"]).await.out;
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("docs/batch-csv.md") && flat.contains("min_destination_amount, fund"), "{help}");
}
