//! The files for those who run rampwatch: alerts that name metrics which are there, a service that systemd takes, an image
//! that holds no secrets, and a page that lists every metric.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rampwatch::telemetry::{METRICS, Metric};
use saphyr::{LoadableYamlNode as _, Yaml};

use crate::store::specimens;
use crate::support::temp_dir;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// An alert of the example.
#[derive(Debug)]
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) expr: String,
    pub(crate) severity: String,
    pub(crate) summary: String,
    pub(crate) description: String,
}

impl Alert {
    fn words(&self) -> String {
        format!("{} {}", self.summary, self.description)
    }
}

fn list<'a>(of: &Yaml<'a>, key: &str) -> Vec<Yaml<'a>> {
    of.as_mapping_get(key).unwrap().as_vec().unwrap().clone()
}

pub(crate) fn alerts() -> Vec<Alert> {
    let text = text("ops/prometheus-alerts.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let field = |of: &Yaml<'_>, key: &str| {
        let value = of.as_mapping_get(key).and_then(Yaml::as_str);
        value.unwrap_or_else(|| panic!("no {key} in {of:?}")).to_owned()
    };
    assert_eq!(documents.len(), 1);
    let mut alerts = Vec::new();
    for group in list(&documents[0], "groups") {
        assert!(field(&group, "name").starts_with("rampwatch-"));
        for rule in list(&group, "rules") {
            let annotations = rule.as_mapping_get("annotations").unwrap();
            let severity = field(rule.as_mapping_get("labels").unwrap(), "severity");
            let anchor = format!("/runbook/alerts.md#{}", field(&rule, "alert").to_lowercase());
            assert!(field(annotations, "runbook_url").ends_with(&anchor), "{anchor}");
            let (summary, description) = (field(annotations, "summary"), field(annotations, "description"));
            alerts.push(Alert {
                name: field(&rule, "alert"),
                expr: field(&rule, "expr"),
                severity,
                summary,
                description,
            });
        }
    }
    alerts
}

/// The parts of a text that are made of these letters only.
fn words(text: &str, part: impl Fn(char) -> bool) -> Vec<&str> {
    text.split(|letter| !part(letter)).filter(|word| !word.is_empty()).collect()
}

fn metric(name: &str) -> &'static Metric {
    METRICS.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("there is no metric {name}"))
}

/// The labels in the braces that follow each metric.
fn labels_of(expr: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, _) in expr.match_indices("rampwatch_") {
        let end = expr[at..]
            .find(|letter: char| !letter.is_ascii_lowercase() && letter != '_')
            .map_or(expr.len(), |end| at + end);
        let braces = expr[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let matchers = braces.map_or("", |(inside, _)| inside).split(',').filter(|matcher| !matcher.is_empty());
        let names = matchers.map(|matcher| matcher.split(['=', '!']).next().unwrap().trim());
        found.push((&expr[at..end], names.collect()));
    }
    found
}

#[test]
fn alerts_name_metrics_and_labels_that_there_are() {
    let alerts = alerts();
    assert!(alerts.len() >= 20);
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "each name once");
    for alert in &alerts {
        let Alert { name, expr, severity, .. } = alert;
        let said = alert.words();
        assert!(["page", "ticket"].contains(&severity.as_str()), "{name}");
        assert!(said.len() > 60, "{name} says what to do");
        let metrics = labels_of(expr);
        assert!(!metrics.is_empty(), "{name} asks for no metric");
        for (used, labels) in &metrics {
            let known = metric(used).labels;
            assert!(labels.iter().all(|label| known.contains(label)), "{name}: {used} has no {labels:?}");
        }
        for open in [('(', ')'), ('{', '}'), ('[', ']')] {
            assert_eq!(expr.matches(open.0).count(), expr.matches(open.1).count(), "{name}: {expr}");
        }
        // What is grouped by, and what the words show, is a label of the metric.
        let grouped = expr.split("by (").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
        let shown = said.match_indices("$labels.").map(|(at, found)| &said[at + found.len()..]);
        let shown = shown.filter_map(|rest| words(rest, |letter| letter.is_ascii_lowercase()).first().copied());
        for label in words(grouped, |letter| letter.is_ascii_lowercase()).into_iter().chain(shown) {
            assert!(metric(metrics[0].0).labels.contains(&label), "{name}: no label {label}");
        }
    }
}

#[test]
fn every_alarm_has_an_alert_and_every_command_in_it_is_one() {
    let alerts = alerts();
    let alarms: BTreeSet<String> = specimens::kinds()
        .iter()
        .chain(&specimens::later_kinds())
        .filter_map(|kind| Some(serde_json::to_value(kind).unwrap()["alarm"]["alarm"].as_str()?.to_owned()))
        .collect();
    assert!(alarms.len() >= 9, "{alarms:?}");
    for alarm in &alarms {
        let asked = format!("rampwatch_alarms_total{{alarm=\"{alarm}\"}}");
        assert!(alerts.iter().any(|alert| alert.expr.contains(&asked)), "no alert for {alarm}");
    }
    let program = env!("CARGO_BIN_EXE_rampwatch");
    for alert in &alerts {
        let name = &alert.name;
        for command in
            alert.words().split('`').skip(1).step_by(2).filter_map(|quoted| quoted.strip_prefix("rampwatch "))
        {
            let arguments: Vec<&str> = command.split(' ').take_while(|word| !word.starts_with('-')).collect();
            let known = Command::new(program).args(&arguments).arg("--help").output().unwrap();
            assert!(known.status.success(), "{name}: there is no `rampwatch {command}`");
        }
    }
}

#[test]
fn systemd_takes_the_service() {
    let service = text("ops/rampwatch.service");
    for setting in [
        "User=rampwatch",
        "ExecStart=/usr/local/bin/rampwatch run",
        "ProtectSystem=strict",
        "StateDirectory=rampwatch",
        "LoadCredential=api-key:",
        "LoadCredential=wallet-password:",
        "Restart=on-failure",
        // A provider that is away for an hour must not leave it down for good.
        "StartLimitIntervalSec=0",
        // The codes of cli/exit.rs that no second try mends.
        "RestartPreventExitStatus=2 3",
        "NoNewPrivileges=yes",
        "LimitCORE=0",
    ] {
        assert!(service.contains(setting), "no {setting}");
    }
    let stop = service.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s')).unwrap();
    assert!(stop.parse::<u32>().unwrap() > 10, "it is given the time that it may need");
    let Ok(found) = Command::new("systemd-analyze").arg("--version").output() else { return };
    assert!(found.status.success());
    let folder = temp_dir();
    let unit = folder.path().join("rampwatch.service");
    std::fs::write(&unit, service.replace("/usr/local/bin/rampwatch", env!("CARGO_BIN_EXE_rampwatch"))).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("rampwatch.service"), "{said}");
}

/// What the service sets is read as it is meant: the key comes from systemd's file, and the variable's name is taken away.
#[test]
fn the_service_s_environment_is_a_configuration() {
    let folder = temp_dir();
    let service = text("ops/rampwatch.service");
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::copy(path("config.toml"), folder.path().join("config.toml")).unwrap();
    let key = credentials.join("api-key");
    std::fs::write(&key, "sk_dev_of_the_service\n").unwrap();
    let set = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rampwatch"));
        command.args(["doctor", "--json"]).env_clear().env("CREDENTIALS_DIRECTORY", &credentials);
        for line in service.lines().filter_map(|line| line.strip_prefix("Environment=")) {
            let (name, value) = line.split_once('=').unwrap();
            let value =
                value.replace("%d", credentials.to_str().unwrap()).replace("%S", folder.path().to_str().unwrap());
            command.env(name, value.replace("/etc/rampwatch", folder.path().to_str().unwrap()));
        }
        command.env("RAMPWATCH__RPC__ENDPOINTS__0__HTTP", "http://127.0.0.1:9/");
        command.env("RAMPWATCH__RPC__ENDPOINTS__0__WS", "").env("RAMPWATCH__API__BASE_URL", "http://127.0.0.1:9/");
        let output = command.env("RAMPWATCH__HTTP__LISTEN", "127.0.0.1:0").output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    // systemd lets the service in by an access list, which shows as the group's right; others stay refused.
    for (mode, private) in [(0o400, true), (0o440, true), (0o600, true), (0o444, false), (0o460, false)] {
        set(mode);
        let said = run();
        assert_eq!(said.contains("api-key is private"), private, "{mode:o}: {said}");
        assert_eq!(said.contains("can be reached by others"), !private, "{mode:o}: {said}");
        assert!(said.contains("nobody listens at ") && said.contains("rampwatch/store/operator.sock"), "{said}");
        assert!(!said.contains("sk_dev_of"), "{said}");
    }
}

#[test]
fn the_image_is_built_of_the_source_alone_and_runs_as_nobody() {
    let dockerfile = text("Dockerfile");
    let toml = text("Cargo.toml");
    let rust = toml.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    assert!(
        dockerfile.contains(&format!("FROM rust:{rust}-")),
        "the image is built with the oldest Rust that is promised"
    );
    let last = dockerfile.rsplit_once("\nFROM ").unwrap().1;
    let user = last.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert_eq!(user, "${UID}:${UID}");
    assert!(last.contains("ARG UID=10001") && last.contains("STOPSIGNAL SIGTERM") && last.contains("CMD [\"run\"]"));
    for word in ["API_KEY=", "PASSWORD", "PRIVATE", "COPY . "] {
        assert!(!last.contains(word), "{word}");
    }
    let ignored = text(".dockerignore");
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(lines[0], "*", "nothing goes in but what is named");
    let copied =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    for source in copied.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' ')) {
        assert!(path(source).exists(), "{source} is not there");
        assert!(lines.contains(&format!("!{source}").as_str()), "{source} is kept out");
    }
}
