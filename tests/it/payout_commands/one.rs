//! One payout, from the wish to the bank.

use std::process::Stdio;

use rampwatch::domain::amount::Amount;
use rampwatch::sandbox::fake_api::Call;
use rampwatch::sandbox::{PAYER, PayOptions, pay};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::bench::{Bench, CONTENT};
use crate::cli::terminal::has_script;

/// The arguments of a payout of 25 USDC under a reference.
fn payout<'a>(reference: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["payout", "--reference", reference, "--amount", "25"];
    arguments.extend(CONTENT);
    arguments.extend(more);
    arguments
}

const TWENTY_FIVE: Amount = Amount::from_base_units(25_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_from_the_quote_to_the_bank_in_one_command() {
    let mut bench = Bench::start(250).await;
    bench.daemon_up().await;
    let invoice = bench.write("invoice.pdf", b"%PDF-1.7 an invoice");
    let wish = payout("INV-7", &["--fund", "--yes", "--json", "--attach", &invoice]);
    let first = bench.run(&wish).await;
    first.ends(
        0,
        &["you send   25.00 USDC on", "arrives    ", "MXN for 1 USDC, good for ", "bank account bank-1", "completed"],
    );
    let record = first.json();
    assert_eq!(record["payment"]["state"]["outcome"], "completed");
    assert_eq!(record["request"]["files"][0]["name"], "invoice.pdf");
    bench.assert_each_once(&[TWENTY_FIVE]).await;
    // The same again, with everything or with the reference alone, says how it ended and does nothing.
    let again = bench.run(&wish).await;
    again.ends(0, &[]);
    assert!(!again.err.contains("you send"), "nothing is agreed to twice: {}", again.err);
    assert_eq!(
        bench.run(&["payout", "--reference", "INV-7", "--json"]).await.ends(0, &[]).json()["payment_id"],
        record["payment_id"]
    );
    // Other content under it is refused by its field.
    let mut other = payout("INV-7", &["--fund", "--yes", "--attach", &invoice]);
    other[4] = "26";
    bench.run(&other).await.ends(5, &["INV-7", "amount"]);
    bench.run(&payout("INV-7", &["--yes", "--attach", &invoice])).await.ends(5, &["INV-7", "fund"]);
    bench.assert_each_once(&[TWENTY_FIVE]).await;
    let table = bench.run(&["payouts"]).await;
    assert!(table.ends(0, &[]).out.contains("INV-7") && table.out.contains("completed"), "{}", table.out);
    let shown = bench.run(&["payout", "show", "INV-7"]).await;
    assert!(shown.ends(0, &[]).out.contains("COMPLETED"), "{}", shown.out);
    bench.run(&["payout", "show", "INV-8"]).await.ends(4, &["INV-8"]);
    bench.run(&["payout", "cancel", "INV-7", "--reason", "no"]).await.ends(5, &["INV-7"]);
    bench.daemon.stop(super::bench::LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_daemon_the_command_does_its_work() {
    let bench = Bench::start(250).await;
    let done = bench.run(&payout("INV-7", &["--fund", "--yes"])).await;
    done.ends(0, &["no daemon runs", "completed"]);
    assert!(done.out.contains("INV-7") && done.out.contains("COMPLETED"), "{}", done.out);
    bench.assert_each_once(&[TWENTY_FIVE]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_hand_it_is_said_how_to_pay_and_followed_once_somebody_has() {
    let mut bench = Bench::start(250).await;
    bench.daemon_up().await;
    let from = PAYER.to_string();
    let mut create = payout("INV-7", &["--yes", "--qr", "--from-address", &from]);
    create[0] = "create";
    let created = bench.run(&create).await;
    created.ends(0, &[]);
    let off_ramp = bench.by_amount().remove(&TWENTY_FIVE).unwrap();
    let link = format!(
        "ethereum:{}@{}/transfer?address={}&uint256=25000000",
        rampwatch::sandbox::USDC,
        rampwatch::sandbox::CHAIN_ID,
        off_ramp.deposit_address
    );
    for word in ["25.00 USDC", off_ramp.deposit_address.to_string().as_str(), link.as_str(), "█"] {
        assert!(created.out.contains(word), "no {word:?} in {}", created.out);
    }
    // Created again it is the same; followed, it waits for the money.
    bench.run(&create).await.ends(0, &[]);
    assert_eq!(bench.by_amount().len(), 1);
    let follower = bench.spawn(&["payout", "--reference", "INV-7"]);
    let order = PayOptions {
        directory: bench.sandbox.directory().to_owned(),
        payment: off_ramp.id.clone(),
        amount: None,
        token: None,
        from: Some(PAYER),
    };
    pay(&order).await.unwrap();
    let followed = super::bench::finish(follower).await;
    followed.ends(0, &["completed"]);
    assert_eq!(bench.by_amount()[&TWENTY_FIVE].tally.accepted, 1);
    bench.daemon.stop(super::bench::LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_it_says_what_goes_on_and_how_to_take_it_up() {
    let mut bench = Bench::start(250).await;
    bench.daemon_up().await;
    let from = PAYER.to_string();
    let mut waiting = bench.spawn(&payout("INV-7", &["--yes", "--from-address", &from]));
    let mut lines = BufReader::new(waiting.stdout.take().unwrap()).lines();
    let told_to_pay = async { while !lines.next_line().await.unwrap().unwrap().starts_with("pay ") {} };
    tokio::time::timeout(super::bench::LIMIT, told_to_pay).await.unwrap();
    super::bench::interrupt(&waiting);
    let ended = super::bench::finish(waiting).await;
    ended.ends(
        130,
        &["interrupted: the payout goes on by itself, in the daemon", "`rampwatch payout --reference INV-7`"],
    );
    bench.daemon.stop(super::bench::LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told_at_once_and_nothing_is_placed() {
    let bench = Bench::start(1_000).await;
    let note = bench.write("note.pdf", b"no pdf");
    let mut wrong = payout("INV 7", &["--attach", &note]);
    wrong[4] = "1,000";
    bench.run(&wrong).await.ends(
        2,
        &[
            "--reference \"INV 7\": it is no reference",
            "--amount \"1,000\"",
            "does not begin as application/pdf",
            "add --yes",
        ],
    );
    bench
        .run(&["payout", "--amount", "1", "--yes"])
        .await
        .ends(2, &["missing: --user --recipient --bank-account", "--reason"]);
    for amount in ["1000.0000001", "-1", "1e3", "0"] {
        let mut wrong = payout("INV-7", &["--yes"]);
        wrong[4] = amount;
        bench.run(&wrong).await.ends(2, &["--amount", amount]);
    }
    bench.run(&["payout", "--reference", "INV-7"]).await.ends(4, &["INV-7 is not known here"]);
    bench.run(&["create", "--reference", "INV-7"]).await.ends(2, &["say what is to be opened"]);
    let calls = bench.sandbox.fake_api().journal();
    assert!(calls.iter().all(|entry| entry.call != Call::Create && entry.call != Call::Quote), "{calls:?}");
}

/// Answers the question on a terminal of its own. Returns the exit code, and everything that was shown.
async fn on_a_terminal(bench: &Bench, reference: &str, answer: &str) -> (i32, String) {
    let words = payout(reference, &["--fund"]).iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let shell =
        format!("stty cols 120 rows 60; exec \"$RAMPWATCH\" --config {:?} {words}", bench.sandbox.config_path());
    let mut command = bench.command_of("script", &["-qec", &shell, "/dev/null"]);
    command.envs([("RAMPWATCH", env!("CARGO_BIN_EXE_rampwatch")), ("TERM", "xterm"), ("SHELL", "/bin/sh")]);
    command.env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // What `script` reads stays open: it would take its end for the terminal's.
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(answer.as_bytes()).await.unwrap();
    let ended = super::bench::finish(child).await;
    drop(keyboard);
    (ended.code.unwrap(), ended.out)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_only_a_clear_yes_places_and_a_live_line_follows() {
    if !has_script().await {
        eprintln!("not shown here: there is no `script` of util-linux to make a terminal");
        return;
    }
    let mut bench = Bench::start(200).await;
    bench.daemon_up().await;
    let (code, screen) = on_a_terminal(&bench, "INV-7", "maybe\n").await;
    assert!(
        code == 1 && screen.contains("Place this payout? [y/N]") && screen.contains("Nothing was placed."),
        "{screen}"
    );
    assert!(screen.contains("25.00 USDC") && screen.contains("arrives"), "{screen}");
    assert_eq!(bench.run(&["payouts", "--json"]).await.ends(0, &[]).json()["items"], serde_json::json!([]));
    let (code, screen) = on_a_terminal(&bench, "INV-7", "y\n").await;
    assert!(code == 0 && screen.contains("INV-7  ") && screen.contains("at-the-bank"), "{screen}");
    bench.assert_each_once(&[TWENTY_FIVE]).await;
    bench.daemon.stop(super::bench::LIMIT).await.unwrap();
}
