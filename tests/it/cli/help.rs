//! The help of every command, and the exit codes in it.

use super::Place;

/// Every command, and words that its help must have.
const COMMANDS: &[(&[&str], &[&str])] = &[
    (&[], &["Usage: rampwatch", "Exit codes:", "RAMPWATCH_CONFIG"]),
    (&["run"], &["SIGTERM"]),
    (&["add"], &["<PAYMENT> <RECIPIENT>", "--deposit-address", "--amount", "--sender", "--created-at", "--expires-at"]),
    (&["list"], &["--state", "--after", "--limit", "--json", "waiting", "review"]),
    (&["show"], &["<PAYMENT>", "--json"]),
    (&["deposits"], &["--address", "--payment", "--verdict", "--review", "--json"]),
    (&["reviews"], &["settle", "--json"]),
    (&["why"], &["<SUBJECT>", "transaction hash", "--json"]),
    (&["events"], &["--follow", "--after", "--limit", "--json", "`rampwatch why`"]),
    (&["resolve"], &["assign", "ignore", "retry", "cancel"]),
    (&["resolve", "assign"], &["<DEPOSIT> <PAYMENT>", "--reason", "finality"]),
    (&["resolve", "ignore"], &["<DEPOSIT>", "--reason"]),
    (&["resolve", "retry"], &["<PAYMENT>", "--reason"]),
    (&["resolve", "cancel"], &["<PAYMENT>", "--reason", "stays watched", "`rampwatch cancel`"]),
    (&["fund"], &["<PAYMENT>", "--yes", "--json", "Nothing is sent before you agree"]),
    (&["payout"], &["--reference", "--fund", "--yes", "--file", "--skip-bad", "--result", "docs/batch-csv.md", "130"]),
    (&["payout", "show"], &["<REFERENCE>", "--qr", "--json"]),
    (&["payout", "cancel"], &["<REFERENCE>", "--reason", "runs out by itself"]),
    (&["payout", "retry"], &["<REFERENCE>", "--reason", "mended"]),
    (&["create"], &["--reference", "--qr", "opens nothing new"]),
    (&["payouts"], &["--state", "--after", "--limit", "--json", "review"]),
    (&["orders"], &["--state", "--payment", "--after", "--limit", "--json", "awaiting-approval"]),
    (&["approve"], &["<ORDER>", "--reason", "--json"]),
    (&["reject"], &["<ORDER>", "--reason", "nothing is sent"]),
    (&["cancel"], &["<ORDER>", "--reason", "not known before", "`rampwatch resolve cancel"]),
    (&["wallet"], &["new", "import", "address", "balance", "status", "pause", "resume", "adopt", "returns"]),
    (&["wallet", "balance"], &["POL", "no daemon", "--json"]),
    (&["wallet", "status"], &["--json", "24 hours"]),
    (&["wallet", "pause"], &["--reason", "--json", "not even a self-send"]),
    (&["wallet", "resume"], &["--reason", "checked anew"]),
    (&["wallet", "adopt"], &["--reason", "running daemon", "nothing else uses the key"]),
    (&["wallet", "returns"], &["--after", "--limit", "--json", "refunded"]),
    (&["wallet", "new"], &["--keystore", "--password-file", "--password-env", "never overwritten"]),
    (&["wallet", "import"], &["--keystore", "--key-file", "--key-env", "never give them"]),
    (&["wallet", "address"], &["--json"]),
    (&["export"], &["--from", "--to", "--format", "--out", "mode 0600", "docs/export.md"]),
    (&["receipt"], &["<PAYMENT>", "--format", "markdown", "missing"]),
    (&["reconcile"], &["--from", "--to", "--chain-only", "--json", "changes nothing", "Exits with 1"]),
    (&["notices"], &["--pending", "--after", "--limit", "--json"]),
    (&["notify", "test"], &["--endpoint"]),
    (&["config", "check"], &["API key", "nodes"]),
    (&["doctor"], &["endpoints", "API key", "wallet", "within a minute", "warnings alone end with 0", "--json"]),
    (&["store"], &["backup", "restore", "check", "daemon must be stopped"]),
    (&["store", "backup"], &["FILE OR FOLDER", "mode 0600", "daemon must be stopped", "loses nothing", "--json"]),
    (&["store", "restore"], &["<FILE>", "--into", "where no store is", "--json"]),
    (&["store", "check"], &["--backup", "change nothing", "--json"]),
    (&["rate"], &["<AMOUNT>", "--user", "--to", "--rail", "--country", "--developer-fee", "binds nobody", "--json"]),
    (&["quote"], &["<AMOUNT>", "--bank-account", "10 to 15 minutes", "--json"]),
    (&["webhook"], &["register", "list", "update", "webhook.secret_file"]),
    (&["webhook", "register"], &["--url", "--event", "--again", "webhook.public_url", "--json"]),
    (&["webhook", "list"], &["as the API tells them now", "--json"]),
    (&["webhook", "update"], &["<WEBHOOK>", "--url", "--event", "--active", "--rotate-secret", "--json"]),
    (&["completions"], &["<SHELL>", "bash", "zsh", "fish"]),
    (&["disputes"], &["--all", "decide", "operators contradict each other"]),
    (&["disputes", "decide"], &["<DISPUTE>", "--trust", "--reason"]),
    (&["endpoints"], &["exclude", "include"]),
    (&["endpoints", "exclude"], &["<NAME>", "--reason", "at once"]),
    (&["endpoints", "include"], &["<NAME>", "--reason"]),
    (&["openapi"], &["OpenAPI document"]),
    (&["demo"], &["Usage: rampwatch demo"]),
    (&["sandbox"], &["--fork-url", "--directory", "--shape", "pay", "--no-wallet", "--auto", "takes no other key"]),
    (&["sandbox", "pay"], &["<PAYMENT>", "--amount", "--token", "--from"]),
];

#[tokio::test]
async fn every_command_has_help() {
    let place = Place::offline();
    for (command, words) in COMMANDS {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let help = place.run(&arguments).await.data();
        // Wherever the lines are broken.
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in *words {
            assert!(flat.contains(word), "{command:?} has no {word:?}:\n{help}");
        }
        assert!(help.contains("--config <FILE>"), "{command:?}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{command:?} is too wide:\n{help}");
    }
}

#[tokio::test]
async fn the_help_lists_every_command_and_exit_code() {
    let place = Place::offline();
    let help = place.run(&["--help"]).await.data();
    let (before, _) = help.split_once("Options:").unwrap();
    let (_, commands) = before.split_once("Commands:").unwrap();
    let first_word = |line: &str| {
        line.strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
            .map(|rest| rest.split_whitespace().next().unwrap_or_default().to_owned())
    };
    let listed: Vec<String> = commands.lines().filter_map(first_word).filter(|name| name != "help").collect();
    let tested = |name: &String| COMMANDS.iter().any(|(command, _)| command.first() == Some(&name.as_str()));
    let untested: Vec<&String> = listed.iter().filter(|name| !tested(name)).collect();
    assert!(untested.is_empty() && listed.len() >= 10, "{untested:?} of {listed:?}");
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    for (code, words) in [
        (0, "done"),
        (1, "failed"),
        (2, "command line"),
        (3, "configuration"),
        (4, "not known"),
        (5, "refused"),
        (6, "cannot be used"),
        (7, "a person"),
        (8, "without being paid out"),
        (130, "interrupted"),
    ] {
        let line = codes.lines().find(|line| line.trim_start().starts_with(&format!("{code}  ")));
        assert!(line.is_some_and(|line| line.contains(words)), "{code} {words}");
    }
}

#[tokio::test]
async fn the_version_is_the_packages() {
    let said = Place::offline().run(&["--version"]).await.data();
    assert_eq!(said, format!("rampwatch {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_wrong_command_line_is_2_and_reads_no_configuration() {
    let place = Place::offline();
    std::fs::remove_file(place.path("config.toml")).unwrap();
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["list", "--state", "lost"],
        &["list", "--limit", "0"],
        &["list", "--limit", "-1"],
        &["deposits", "--review", "--verdict", "pays"],
        &["show"],
        &["add", "pay-1"],
        &["resolve", "retry", "pay-1"],
        &["resolve", "assign", "pay-1", "--reason", "r"],
        &["sandbox", "pay", "a/b"],
        &["fund"],
        &["fund", "pay-1", "--no"],
        &["payout", "--file", "batch.csv", "--reference", "INV-7"],
        &["payout", "--reason", "BECAUSE"],
        &["payout", "show"],
        &["payouts", "--state", "lost"],
        &["orders", "--state", "lost"],
        &["approve", "pay-1:1"],
        &["cancel", "--reason", "r"],
        &["wallet", "pause"],
        &["wallet", "returns", "--limit", "0"],
    ] {
        let ran = place.run(arguments).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.is_empty());
    }
}
