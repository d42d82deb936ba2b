//! The pages that are made, not written: `make docs` makes them anew, and a page that is stale fails here.
//!
//! Their source is what the program itself says: its help, its example configuration, its list of metrics, the comments on
//! events, the alerts of the example.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rampwatch::telemetry::{Kind, METRICS};

use crate::ops::{Alert, alerts};
use crate::support::pages::{docs_of_variants, hold};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rampwatch");

fn source(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn help(command: &[String]) -> String {
    let output = Command::new(PROGRAM).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// A command's help without the two flags that every command has.
fn own_part(help: &str) -> String {
    let mut kept = Vec::new();
    let mut skipping = false;
    for line in help.lines() {
        let flag = line.trim_start();
        let is_flag = line.starts_with("  ") && (flag.starts_with('-') || flag.starts_with("-h"));
        if is_flag {
            skipping = flag.starts_with("--config <FILE>") || flag.starts_with("-h, --help");
        } else if !line.starts_with("   ") && !line.is_empty() {
            skipping = false;
        }
        if !skipping {
            kept.push(line);
        }
    }
    kept.join("\n").trim_end().trim_end_matches("Options:").trim_end().to_owned()
}

fn describe_command(path: &[String], text: &str, table: &mut String, details: &mut String) {
    let name = format!("rampwatch {}", path.join(" "));
    let about = text.split("\n\n").next().unwrap().replace('\n', " ").replace('|', "\\|");
    writeln!(table, "| [`{name}`](#{}) | {about} |", name.replace(' ', "-")).unwrap();
    write!(details, "\n## {name}\n\n```text\n{}\n```\n", own_part(text)).unwrap();
    for one in commands(text) {
        let path: Vec<String> = path.iter().cloned().chain([one]).collect();
        describe_command(&path, &help(&path), table, details);
    }
}

#[test]
fn the_commands() {
    let whole = help(&[]);
    let (mut table, mut details) = (String::new(), String::new());
    for name in commands(&whole) {
        let path = [name];
        describe_command(&path, &help(&path), &mut table, &mut details);
    }
    let (_, codes) = whole.split_once("Exit codes:\n").unwrap();
    let codes = codes.lines().take_while(|line| !line.is_empty()).map(|line| {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        format!("| {code} | {} |\n", meaning.trim())
    });
    let codes: String = codes.collect();
    hold(
        "docs/reference/commands.md",
        &format!(
            "# Commands\n\nWhile the daemon runs, commands go through its operator API, over its Unix socket. When none answers at \
             `http.socket`, they open the store.\nWith `http.token_file` they show that token, and where the socket cannot be \
             reached they go to `http.listen` with it. Only `run` and `add` make a store\nwhere there is none.\n\nData goes to \
             stdout, errors and logs to stderr. Commands that read take `--json`. Every `resolve` needs `--reason`; it is kept. A \
             deposit is named\nby its key (chain, block hash, transaction hash, log index, as `why` and `--json` print it), or by its \
             transaction hash, with `:log-index` where the\ntransaction has several. Every command takes `--config <FILE>` and \
             `--help`.\n\n| command | what it does |\n|---|---|\n{table}\n## Exit codes\n\n| code | meaning \
             |\n|---|---|\n{codes}{details}"
        ),
    );
}

/// A key of the example configuration: where, its example, and what the comment beside it says.
struct Key {
    name: String,
    example: String,
    meaning: String,
    is_set: bool,
}

/// Splits what stands before a comment from the comment; a `#` within quotes begins none.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted && at > 0 => return (line[..at].trim(), line[at + 1..].trim()),
            _ => {}
        }
    }
    (line.trim(), "")
}

fn is_key(text: &str) -> bool {
    text.split_once(" = ")
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|it| it.is_ascii_lowercase() || it == '_'))
}

/// The example configuration as sections: each with what is said above or beside it, and its keys.
fn sections(text: &str) -> Vec<(String, String, Vec<Key>)> {
    let mut sections = vec![(String::new(), String::new(), Vec::new())];
    let mut above = String::new();
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let indented = line.trim_start();
        let is_header = bare.starts_with('[') && bare.split_whitespace().next().is_some_and(|it| it.ends_with(']'));
        if is_header {
            let (name, comment) = split_comment(bare);
            let name = name.trim_matches(['[', ']']).to_owned();
            let said = [above.trim(), comment].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
            sections.push((name, said, Vec::new()));
            above.clear();
        } else if is_key(split_comment(bare).0) {
            let (setting, comment) = split_comment(bare);
            let (name, example) = setting.split_once(" = ").unwrap();
            let key = Key {
                name: name.to_owned(),
                example: example.to_owned(),
                meaning: format!("{} {comment}", above.trim()).trim().to_owned(),
                is_set: bare == line,
            };
            sections.last_mut().unwrap().2.push(key);
            above.clear();
        } else if line.starts_with("   ") && indented.starts_with('#') {
            // What goes on under a comment belongs to it.
            let more = indented.trim_start_matches('#').trim();
            let section = sections.last_mut().unwrap();
            let goes_on = section.2.last_mut().map_or(&mut section.1, |key| &mut key.meaning);
            write!(goes_on, " {more}").unwrap();
        } else if let Some(comment) = line.strip_prefix("# ") {
            write!(above, " {comment}").unwrap();
        } else {
            above.clear();
        }
    }
    sections
}

#[test]
fn the_configuration() {
    let mut page = "# Configuration\n\n`config.toml` at the top of the source is the documented example, and this page is made of it. It \
                    is found by `--config`, else by the variable\n`RAMPWATCH_CONFIG`, else as `./config.toml`. It must belong to root or \
                    to the user who reads it, and neither group nor others may write it\n(`chmod go-w`; root's 0644 or 0640 and a mounted \
                    ConfigMap are right). Found as `./config.toml`, outside of `/etc/rampwatch`, it may name only\nvariables that begin \
                    with `RAMPWATCH_` for its secrets: name the file, and it may name any.\n\nAny key can be given by a variable \
                    instead: `RAMPWATCH__API__TIMEOUT=20s`, `RAMPWATCH__RPC__ENDPOINTS__0__HTTP=https://…`. An empty variable takes \
                    an\noptional value away. Relative paths start at the folder that the file is in. Spans of time are written like \
                    `500ms`, `30s`, `5m`, `2h` or `7d`.\nEverything that is wrong is told at once, by key.\n\nNothing that leaves goes \
                    by variables: `HTTP_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and the like are not read (`doctor` says which are \
                    set).\n`[network] proxy` names one HTTP proxy for everything that leaves, loopback excepted; `[network] ca_file` the \
                    authorities that HTTPS and `wss` trust.\n"
        .to_owned();
    for (name, said, keys) in sections(&source("config.toml")).iter().filter(|(_, _, keys)| !keys.is_empty()) {
        let title = if name.is_empty() { "Top level".to_owned() } else { format!("`[{name}]`") };
        write!(page, "\n## {title}\n\n").unwrap();
        if !said.is_empty() && !name.is_empty() {
            write!(page, "{said}\n\n").unwrap();
        }
        page.push_str("| key | in the example | |\n|---|---|---|\n");
        for key in keys {
            let example =
                if key.is_set { format!("`{}`", key.example) } else { format!("not set; such as `{}`", key.example) };
            writeln!(
                page,
                "| `{}` | {} | {} |",
                key.name,
                example.replace('|', "\\|"),
                key.meaning.replace('|', "\\|")
            )
            .unwrap();
        }
    }
    hold("docs/reference/configuration.md", &page);
}

#[test]
fn the_metrics() {
    let mut page = "# Metrics\n\nAt `/metrics` of `http.listen`, in Prometheus' text format. `rampwatch_alarms_total`, \
                    `rampwatch_completions_total`, `rampwatch_creations_total` and\n`rampwatch_rpc_errors_total` show every label at 0 \
                    from the start, so that the first alarm is a rise. `ops/prometheus-alerts.yml` has an [alert](../runbook/alerts.md)\nfor \
                    each of these that somebody must hear of, with what to do.\n\n| name | kind | labels | |\n|---|---|---|---|\n"
        .to_owned();
    for metric in METRICS {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        writeln!(page, "| `{}` | {kind} | {} | {} |", metric.name, metric.labels.join(", "), metric.help).unwrap();
    }
    hold("docs/reference/metrics.md", &page);
}

/// A variant's name as it is in JSON.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn the_events() {
    let text = source("src/domain/event.rs");
    let mut page = "# Events\n\nEvery change is stored with the events that explain it; they are the ledger. `rampwatch events` and `GET \
                    /v1/events` show them, each with its number, its\nmoment, one word (`event`), and a sentence that says what happened \
                    and why (`text`), with the payment, deposit, order and person it is about. Numbers rise\nby one from 1, and no event \
                    ever changes.\n\n| event | what happened |\n|---|---|\n"
        .to_owned();
    for (name, docs) in docs_of_variants(&text, "EventKind") {
        writeln!(page, "| `{}` | {docs} |", snake(&name)).unwrap();
    }
    page.push_str(
        "\n## Alarms\n\nAn event `alarm` is something that should not happen. Each is counted in `rampwatch_alarms_total`, has an \
         [alert](../runbook/alerts.md), and is one of:\n\n| alarm | what happened |\n|---|---|\n",
    );
    for (name, docs) in docs_of_variants(&text, "Alarm") {
        writeln!(page, "| `{}` | {docs} |", snake(&name)).unwrap();
    }
    hold("docs/reference/events.md", &page);
}

#[test]
fn the_alerts() {
    let mut page = "# Alerts\n\nWhat each alert of `ops/prometheus-alerts.yml` means and what to do. \"page\" is for whoever is on call, now; \
                    \"ticket\" is for the next working day.\n"
        .to_owned();
    for Alert { name, expr, severity, summary, description } in alerts() {
        let plain = |text: &str| text.replace("{{ $labels.", "<").replace("{{ $value", "<value").replace(" }}", ">");
        write!(page, "\n## {name}\n\n**{}** ({severity})\n\n", plain(&summary)).unwrap();
        write!(page, "{}\n\n```promql\n{}\n```\n", plain(&description).trim(), expr.trim()).unwrap();
    }
    hold("docs/runbook/alerts.md", &page);
}
