//! `rampwatch doctor`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpStream;

use super::exit::{Exit, Failure};
use super::{operator, output};
use crate::config::Settings;
use crate::daemon::{self, Finding, Grade};
use crate::domain::checkup::{InletCheckup, RegisteredWebhook, Told, WebhookCheckup};

/// Look at everything around rampwatch, and say what is well, what is not, and what to do: endpoints, tokens, API key,
/// clocks, store, wallet, private files, a daemon that runs, and the webhook
///
/// Everything is asked at the same time and within a minute, and nothing is changed. It ends with 1 if anything has failed;
/// warnings alone end with 0.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Whether nothing has failed.
    healthy: bool,
    warnings: usize,
    failures: usize,
    findings: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    check: &'static str,
    about: &'a str,
    /// `ok`, `warning` or `failure`.
    grade: &'static str,
    found: &'a str,
    remedy: &'a str,
}

impl Doctor {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let mut examined = daemon::examine(settings).await;
        examined.findings.extend(daemon::judge_webhook(&webhook(settings).await));
        if let Err(why) = Failure::unless_wallet_fits(settings, examined.wallet) {
            examined.findings.push(Finding {
                check: "wallet",
                about: String::new(),
                grade: Grade::Failure,
                found: why.message().to_owned(),
                remedy: "change [wallet], or chain.id".to_owned(),
            });
        }
        let findings = examined.findings;
        let count = |grade: Grade| findings.iter().filter(|finding| finding.grade == grade).count();
        let (warnings, failures) = (count(Grade::Warning), count(Grade::Failure));
        if self.json {
            let lines = findings.iter().map(|finding| Line {
                check: finding.check,
                about: &finding.about,
                grade: word(finding.grade),
                found: &finding.found,
                remedy: &finding.remedy,
            });
            output::print_json(&Report { healthy: failures == 0, warnings, failures, findings: lines.collect() })?;
        } else {
            let lines: String = findings.iter().map(text).collect();
            let (warned, failed) = (output::many(warnings, "warning"), output::many(failures, "failure"));
            output::print(&format!("{lines}{} ok, {warned}, {failed}\n", count(Grade::Ok)))?;
        }
        if failures > 0 {
            return Err(Failure::new(Exit::Failed, format!("{failures} of the checks failed")));
        }
        Ok(())
    }
}

/// How long the webhook's inlet on this machine may take to accept a connection.
const INLET_WITHIN: Duration = Duration::from_secs(5);

/// What is configured of the webhook, and what came of it. Where nothing is, nothing is asked.
async fn webhook(settings: &Settings) -> WebhookCheckup {
    let configured = &settings.webhook;
    let public_url = configured.public_url.clone();
    let secret = configured.secret().map(|secret| secret.is_some()).map_err(|error| error.to_string());
    if public_url.is_none() && configured.inlet.is_none() {
        return WebhookCheckup { public_url, secret, inlet: InletCheckup::NotConfigured, registered: Ok(Vec::new()) };
    }
    let operator = operator::open(settings).await;
    let runs = operator.as_ref().is_ok_and(|operator| !operator.is_in_process());
    let inlet = match &configured.inlet {
        Some(inlet) if runs && inlet.listen.port() != 0 => InletCheckup::Asked(listens(inlet.listen).await),
        Some(_) => InletCheckup::NotRunning,
        None => InletCheckup::NotConfigured,
    };
    let registered = match operator {
        Ok(operator) => {
            let page = operator.webhooks().await.map_err(Failure::from);
            page.map(|page| page.items.into_iter().map(seen).collect())
        }
        Err(failure) => Err(failure),
    };
    WebhookCheckup { public_url, secret, inlet, registered: registered.map_err(|error| error.message().to_owned()) }
}

fn seen(view: crate::view::webhook::WebhookView) -> RegisteredWebhook {
    RegisteredWebhook { id: view.id.to_string(), url: view.url, active: view.active, stale: view.stale }
}

async fn listens(address: std::net::SocketAddr) -> Told<()> {
    match tokio::time::timeout(INLET_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no connection within {} s", INLET_WITHIN.as_secs())),
    }
}

const fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Ok => "ok",
        Grade::Warning => "warning",
        Grade::Failure => "failure",
    }
}

/// One line for what was found, and one for what to do.
fn text(finding: &Finding) -> String {
    let Finding { check, about, grade, found, remedy } = finding;
    let about = if about.is_empty() { String::new() } else { format!(" {}", output::plain(about)) };
    let line = format!("{:<8} {check}{about}: {}\n", word(*grade), output::plain(found));
    if remedy.is_empty() { line } else { format!("{line}{:<8} -> {}\n", "", output::plain(remedy)) }
}
