//! Likely repeats, as a person with a file meets them.

use rampwatch::domain::amount::Amount;
use rampwatch::sandbox::fake_api::Call;

use super::bench::{Bench, CONTENT, LIMIT, finish};

const HEADER: &str = "reference,user,recipient,bank_account,amount,destination_currency,destination_rail,\
                      destination_country,reason,fund";

fn batch(rows: &[(&str, &str)]) -> String {
    let rows = rows
        .iter()
        .map(|(reference, amount)| format!("{reference},user-1,rec-1,bank-1,{amount},MXN,SPEI,MX,RENT,wallet\n"));
    format!("{HEADER}\n{}", rows.collect::<String>())
}

fn usdc(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

/// metasfresh/metasfresh#25498, dimagi/commcare-connect#1449 and pagermon/pagermon#440, told by a file: the same debts under new
/// numbers, twice in one file, and under a number that lost its zeros.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_exported_anew_is_asked_about_and_its_new_rows_go() {
    let mut bench = Bench::start(200).await;
    bench.daemon_up().await;
    let first = bench.write("may.csv", batch(&[("0012", "11"), ("A-2", "12")]));
    bench.run(&["payout", "--file", &first, "--yes"]).await.ends(0, &[]);

    let text = batch(&[("B-1", "11.00"), ("B-2", "12"), ("12", "14"), ("B-4", "13"), ("B-5", "13.0")]);
    let second = bench.write("june.csv", text);
    let named = [
        "line 2: column reference: \"B-1\" equals payout 0012, placed 20",
        "--allow-repeat B-1",
        "line 3: column reference: \"B-2\" equals payout A-2, placed 20",
        "line 4: column reference: \"12\" has the reference of payout 0012, placed 20",
        "line 6: column reference: \"B-5\" equals line 5 (B-4) in everything but its reference",
    ];
    for more in [&["--yes"][..], &["--check"]] {
        let ended = bench.run(&[&["payout", "--file", &second], more].concat()).await;
        ended.ends(2, &named).ends(2, &["4 of 5 rows are bad, and nothing was placed"]);
    }
    let creates = || bench.sandbox.fake_api().journal().iter().filter(|entry| entry.call == Call::Create).count();
    assert_eq!(creates(), 2, "nothing was opened");
    let unknown = bench.run(&["payout", "--file", &second, "--check", "--allow-repeat", "B-9"]).await;
    unknown.ends(2, &["--allow-repeat \"B-9\": no row has this reference"]);

    // The new row goes, and the one that is meant; each fault is told once.
    let went = bench.run(&["payout", "--file", &second, "--yes", "--skip-bad", "--allow-repeat", "B-5"]).await;
    went.ends(2, &["2 rows, 26.00 USDC", "3 rows were bad and left out"]);
    assert_eq!(went.err.matches("\"B-1\" equals payout").count(), 1, "{}", went.err);
    assert!(!went.err.contains("\"B-5\" equals"), "{}", went.err);
    assert_eq!(creates(), 4);
    // Again, nothing is a repeat of itself.
    let again = bench.run(&["payout", "--file", &second, "--yes", "--skip-bad"]).await;
    again.ends(2, &["known        2 rows, 26.00 USDC"]);
    assert_eq!(creates(), 4);

    // One by one it is the same.
    let one = |reference: &'static str, more: &[&'static str]| {
        let head = ["payout", "--reference", reference, "--amount", "11", "--fund", "--yes"];
        [&head[..], &CONTENT[..], more].concat()
    };
    let said = ["payout C-1 equals payout 0012, placed 20", "--reference C-1 --allow-repeat C-1"];
    bench.run(&one("C-1", &[])).await.ends(5, &said);
    bench.run(&one("C-1", &["--allow-repeat", "0012"])).await.ends(2, &["--allow-repeat \"0012\"", "own reference"]);
    assert_eq!(creates(), 4);
    bench.run(&one("C-1", &["--allow-repeat", "C-1"])).await.ends(0, &[]);
    let paid: Vec<Amount> = bench.sandbox.fake_api().off_ramps().iter().map(|off_ramp| off_ramp.amount).collect();
    assert_eq!((paid.len(), paid.iter().filter(|amount| **amount == usdc(11)).count()), (5, 2));

    // Two people with the same debt at the same moment: one of them is asked, wherever the other is by then.
    let both = ["D-1", "D-2"].map(|reference| {
        let head = ["payout", "--reference", reference, "--amount", "17", "--fund", "--yes"];
        bench.spawn(&[&head[..], &CONTENT[..]].concat())
    });
    let [one, other] = both;
    let (one, other) = tokio::join!(finish(one), finish(other));
    let mut codes = [one.code, other.code];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(5)], "{}\n{}", one.err, other.err);
    assert!(format!("{}{}", one.err, other.err).contains(" equals payout D-"), "{}\n{}", one.err, other.err);
    assert_eq!(creates(), 6);
    bench.daemon.stop(LIMIT).await.unwrap();
}
