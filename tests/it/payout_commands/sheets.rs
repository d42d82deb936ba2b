//! Cells and headers that look right and are not (R12): each is named with what is odd about it, and nothing is placed.

use super::bench::Bench;

const HEADER: &str = "reference,user,recipient,bank_account,amount,destination_currency,destination_rail,destination_country,\
                      reason,fund";
const ROW: &str = "A-1,user-1,recipient-1,bank-1,1,MXN,SPEI,MX,RENT,by_hand";

/// Beside R12's own: fdlk's `1.0` and pandas-dev/pandas#31821 (`1.05514380400001E+016`), spreadsheet errors, whatwg/url#151 and
/// aelassas/servy#963 (U+200B in what was copied from a page, before a flag too), and blanks that are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r12_cells_that_look_right_and_are_not_are_named() {
    let bench = Bench::start(1_000).await;
    let format = "a spreadsheet's number format: make the column text and type it again";
    let cells: &[(&str, &str, &[&str])] = &[
        ("recipient-1", "recipient-1\u{200b}", &["column recipient", "the 12th character is U+200B"]),
        ("A-1", "INV\u{2011}2026\u{2011}1", &["column reference", "the 4th character is U+2011", "looks like -"]),
        ("A-1", "'0012", &["column reference", "apostrophe", "make the column text"]),
        ("user-1", "8.96529E+19", &["column user", format]),
        ("user-1", "1.05514380400001E+016", &["column user", format]),
        (",1,", ",1E+05,", &["column amount", format]),
        ("MXN", "MXN\u{200b}", &["column destination_currency", "the 4th character is U+200B"]),
        ("by_hand", "by_hand\u{200b}", &["column fund", "the 8th character is U+200B"]),
        ("RENT", "RENT\u{200b}", &["column reason", "the 5th character is U+200B"]),
        ("A-1", "A\u{ad}-1", &["column reference", "the 2nd character is U+00AD"]),
        (",MX,", ",M\u{425},", &["column destination_country", "the 2nd character is U+0425", "looks like X"]),
        ("bank-1", "bank\u{a0}1", &["column bank_account", "the 5th character is U+00A0", "no plain space"]),
        (",1,", ",\u{ff11},", &["column amount", "the 1st character is U+FF11", "looks like 1"]),
        ("user-1", "#REF!", &["column user", "a spreadsheet's error"]),
        ("user-1", "=\"user-1\"", &["column user", "a spreadsheet's formula"]),
    ];
    for (from, to, words) in cells {
        let to = if to.contains('"') { format!("\"{}\"", to.replace('"', "\"\"")) } else { (*to).to_owned() };
        let file = bench.write("cells.csv", format!("{HEADER}\n{}\n", ROW.replacen(from, &to, 1)));
        bench.run(&["payout", "--file", &file, "--check"]).await.ends(2, &["line 2: "]).ends(2, words);
    }
    let heads: &[(&str, &str, &[&str])] = &[
        ("bank_account", "Bank Account", &["column \"Bank Account\"", "did you mean bank_account?"]),
        ("bank_account", "bank-account", &["did you mean bank_account?"]),
        ("recipient,", "Recipient,", &["did you mean recipient?"]),
        ("amount", "amount\u{200b}", &["the 7th character is U+200B", "did you mean amount?"]),
        ("user", "us\u{435}r", &["the 3rd character is U+0435", "did you mean user?"]),
        ("reference,user", "sep=,\nreference,user", &["line 1 (\"sep=,\")", "remove the first line"]),
        ("reference,user", "sep=;\nreference,user", &["line 1 (\"sep=;\")", "remove the first line"]),
    ];
    for (from, to, words) in heads {
        let file = bench.write("heads.csv", format!("{}\n{ROW}\n", HEADER.replacen(from, to, 1)));
        bench.run(&["payout", "--file", &file, "--check"]).await.ends(2, words);
    }

    // What many rows have in common is told once, and counted.
    let row = |n: usize| ROW.replacen("A-1", &format!("A-{n}"), 1).replacen("bank-1", &format!("bank-{n}"), 1);
    let rows: String = (1..=9).map(|n| row(n).replacen("MXN", "MXN\u{200b}", 1) + "\n").collect();
    let file = bench.write("many.csv", format!("{HEADER}\n{rows}"));
    let many = bench.run(&["payout", "--file", &file, "--check"]).await;
    many.ends(2, &["lines 2, 3, 4, 5, 6 and 4 more: column destination_currency", "no row is good"]);
    assert_eq!(many.err.matches("U+200B").count(), 1, "{}", many.err);

    // Flags and arguments too, even where the flag itself is not seen for one.
    let flags: &[(&[&str], &str)] = &[
        (&["payout", "--reference", "A-1\u{200b}", "--yes"], "the 4th character is U+200B"),
        (&["payout", "--reason", "RENT\u{200b}"], "the 5th character is U+200B"),
        (&["list", "\u{200b}--json"], "the 1st character is U+200B"),
        (&["list", "\u{2014}\u{2014}json"], "the 1st character is U+2014, which looks like -"),
        (&["list", "--state", "waiting\u{a0}"], "the 8th character is U+00A0"),
        (&["rate", "--user", "user-1\u{200b}", "--amount", "1"], "the 7th character is U+200B"),
    ];
    for (arguments, words) in flags {
        bench.run(arguments).await.ends(2, &[words]);
    }
    assert!(bench.sandbox.fake_api().journal().is_empty());
}
