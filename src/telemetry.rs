//! What the program tells of itself: log lines to stderr, and the metrics' names and meanings.
//!
//! Deliberately absent: a listener for the metrics (the operator API renders them), traces sent anywhere, and the
//! places that count: each room counts its own, under a name of [`METRICS`].

use std::io::{self, IsTerminal as _};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured on a terminal, unless `NO_COLOR` is set.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log.filter is no log filter ({0}): write it as in RUST_LOG, such as info")]
    Filter(String),
    /// Something else in the process logs or counts already.
    #[error("telemetry was set up already: {0}")]
    Twice(String),
}

/// Libraries that are never heard, whatever the filter says: below the level of errors they show paths of URLs and
/// headers, which hold keys; and what goes wrong in them is said by the adapters, without secrets.
const SILENCED: [&str; 10] = [
    "alloy_pubsub",
    "alloy_rpc_client",
    "alloy_transport",
    "alloy_transport_ws",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "tokio_tungstenite",
    "tungstenite",
];

fn is_silenced(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    SILENCED.contains(&root)
}

/// Lets a line be written, when it is its turn.
pub type Around = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Who lets lines be written, while somebody does.
static AROUND: RwLock<Option<Around>> = RwLock::new(None);

/// Has `around` called for every line that is logged from now on, with what writes it: a progress bar steps aside that
/// way. `None` lets lines be written as they come.
pub fn write_lines_within(around: Option<Around>) {
    *AROUND.write().unwrap_or_else(PoisonError::into_inner) = around;
}

/// Writes log lines to stderr.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let around = AROUND.read().unwrap_or_else(PoisonError::into_inner);
        let Some(around) = around.as_ref() else { return io::stderr().write(line) };
        let mut written = Ok(0);
        around(&mut || written = io::stderr().write(line));
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts logging to stderr, for the whole process.
///
/// # Errors
/// The filter cannot be read, or logging was started before.
pub fn init(filter: &str, format: Format) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| TelemetryError::Filter(error.to_string()))?;
    let filter = filter.and(filter_fn(|metadata| !is_silenced(metadata.target())));
    let stderr = tracing_subscriber::fmt::layer().with_writer(|| Lines);
    let layer = match format {
        Format::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            stderr.with_ansi(std::io::stderr().is_terminal() && !plain).with_filter(filter).boxed()
        }
        Format::Json => stderr.with_ansi(false).json().flatten_event(true).with_filter(filter).boxed(),
    };
    let started = tracing_subscriber::registry().with(layer).try_init();
    started.map_err(|error| TelemetryError::Twice(error.to_string()))?;
    if format == Format::Json {
        // Whoever reads JSON reads nothing else, also when there is a defect.
        std::panic::set_hook(Box::new(|defect| tracing::error!(defect = %defect, "a thread panicked")));
    }
    Ok(())
}

/// The recorder's reading side.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

/// Starts counting, for the whole process, and describes every metric.
///
/// # Errors
/// Counting was started before.
pub fn install_metrics() -> Result<Metrics, TelemetryError> {
    let handle =
        PrometheusBuilder::new().install_recorder().map_err(|error| TelemetryError::Twice(error.to_string()))?;
    describe();
    metrics::gauge!("rampwatch_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("rampwatch_start_time_seconds").set(now.as_secs_f64().floor());
    Ok(Metrics(handle))
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only rises.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One documented metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

/// Every metric there is. A test fails when the source counts under another name.
pub const METRICS: &[Metric] = &[
    counter("rampwatch_rpc_requests_total", &["endpoint", "method"], "Requests made to RPC endpoints."),
    counter(
        "rampwatch_api_refused_total",
        &["why"],
        "Requests to the operator API that were refused: an unknown token, a missing role.",
    ),
    counter(
        "rampwatch_api_connections_cut_total",
        &[],
        "Connections to the operator API that were closed: 15 s old without a token shown, or the oldest of 64 such, for a newcomer.",
    ),
    counter("rampwatch_rpc_errors_total", &["endpoint", "class"], "Failed requests, by what failed."),
    counter("rampwatch_rpc_pushes_total", &["endpoint", "kind"], "Messages that subscriptions brought."),
    gauge("rampwatch_head_block", &[], "The newest block seen."),
    gauge("rampwatch_final_block", &[], "The newest block taken for final."),
    gauge("rampwatch_swept_block", &[], "The block through which every watched address is swept."),
    gauge(
        "rampwatch_unread_addresses",
        &[],
        "Watched addresses of which some blocks cannot be read, while all else goes on.",
    ),
    gauge(
        "rampwatch_rpc_no_logs_before",
        &["endpoint"],
        "The lowest block whose logs the endpoint may still have, where it lacks some.",
    ),
    counter("rampwatch_connections_renewed_total", &["to"], "Questions put again because a kept connection was gone."),
    gauge("rampwatch_worker_heartbeat_timestamp_seconds", &["worker"], "When each worker came round last."),
    gauge("rampwatch_watched_addresses", &[], "Addresses that are watched."),
    gauge("rampwatch_payments", &["state"], "Payments, by how far rampwatch is with them."),
    counter("rampwatch_deposits_total", &["verdict"], "Deposits judged, by verdict."),
    counter("rampwatch_completions_total", &["result"], "Calls to `/complete`, by how they ended."),
    counter("rampwatch_creations_total", &["result"], "Calls that open an off-ramp, by how they ended."),
    counter("rampwatch_api_requests_total", &["call", "result"], "Requests to the payment API, by how they ended."),
    counter("rampwatch_alarms_total", &["alarm"], "Things that should not happen and did."),
    gauge(
        "rampwatch_disputes",
        &[],
        "Payments and orders about which operators contradict each other, or too few say anything.",
    ),
    gauge("rampwatch_reviews", &[], "Payments, deposits, candidates and payouts that wait for a person."),
    gauge(
        "rampwatch_intake_lists",
        &["state"],
        "Lists at the API that intake follows (`followed`), and that the API refuses to show (`refused`).",
    ),
    counter(
        "rampwatch_intake_payments_total",
        &["result"],
        "Payments that intake found, by what became of them (`taken_up`, `lead`, `left`, `unreadable`).",
    ),
    gauge(
        "rampwatch_api_unanswered",
        &[],
        "Payments, lists and payouts that the API is asked for without a usable answer.",
    ),
    gauge("rampwatch_orders_open", &[], "Orders of the hot wallet that have not ended."),
    counter("rampwatch_orders_total", &["state"], "Moves of orders, by the state that they came to."),
    counter(
        "rampwatch_deliveries_total",
        &["result"],
        "Deliveries of the API's webhook: `taken`, `coalesced`, `replayed`, `bad_signature`, `stale`, `names_none`, `malformed`, `too_large`, `slow`, `too_many`.",
    ),
    counter(
        "rampwatch_hints_total",
        &["result"],
        "Payments that deliveries named: `asked`, `not_now` (ended, or being completed), `unknown`, `failed`.",
    ),
    counter(
        "rampwatch_notices_total",
        &["endpoint", "result"],
        "What people were to be told: `delivered`, `failed` (tried again), `given_up`, `gone`, `dropped` (over before it had lasted), `too_old`.",
    ),
    gauge("rampwatch_shadow", &[], "1 in shadow mode, else 0."),
    counter(
        "rampwatch_shadow_acts_total",
        &["act"],
        "What would have been done, had it not been for shadow mode (`complete`, `send`, `create`).",
    ),
    counter("rampwatch_shadow_outcomes_total", &["outcome"], "What was done instead, by how it compares."),
    counter(
        "rampwatch_subscription_ends_total",
        &["endpoint"],
        "Websocket subscriptions that ended or were not had; why is logged once for each reason.",
    ),
    gauge("rampwatch_subscription_live", &[], "1 while the subscription works, 0 while the chain is polled."),
    gauge(
        "rampwatch_ready",
        &["part"],
        "1 while `chain`, `api`, `store` and `workers` do their work, as `/readyz` says.",
    ),
    gauge("rampwatch_orders_held", &["hold"], "Open orders that something keeps from going on, by what it is."),
    gauge(
        "rampwatch_wallet_low",
        &["coin"],
        "1 while the wallet has less of the `token` or the `native` coin than `notify.low_token` or `notify.low_native`, or else, with funding enabled, than it may be asked to pay; looked at every `notify.balance_every`.",
    ),
    gauge("rampwatch_wallet_stopped", &["why"], "1 while the wallet is `paused` or `halted`."),
    gauge("rampwatch_build_info", &["version"], "Always 1."),
    gauge("rampwatch_start_time_seconds", &[], "When the daemon was started."),
];

/// Gives the recorder the help text of every metric.
pub fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn libraries_that_show_keys_are_never_heard() {
        for target in ["tungstenite::handshake::client", "hyper_util::client", "reqwest::connect", "alloy_transport_ws"]
        {
            assert!(is_silenced(target), "{target}");
        }
        for target in ["rampwatch::engine", "tungstenite_like", "sled"] {
            assert!(!is_silenced(target), "{target}");
        }
    }

    #[test]
    fn metrics_are_rendered_with_their_help() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = Metrics(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::counter!("rampwatch_alarms_total", "alarm" => "test").increment(2);
        });
        let text = metrics.render();
        assert!(text.contains("# HELP rampwatch_alarms_total Things that should not happen and did."), "{text}");
        assert!(text.contains("# TYPE rampwatch_alarms_total counter"), "{text}");
        assert!(text.contains("rampwatch_alarms_total{alarm=\"test\"} 2"), "{text}");
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("the source is there") {
            let path = entry.expect("and readable").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn the_source_counts_under_documented_names_only() {
        let documented: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(documented.len(), METRICS.len(), "each name once");
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut counted = 0;
        // This file is left out: it holds the search's own words.
        for file in files.iter().filter(|file| !file.ends_with("src/telemetry.rs")) {
            let text = std::fs::read_to_string(file).expect("a source file is text");
            for start in ["counter!(", "gauge!(", "histogram!("] {
                for (at, _) in text.match_indices(start) {
                    let rest = text[at + start.len()..].trim_start();
                    let Some(name) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
                    assert!(documented.contains(name), "{} counts {name:?}, which METRICS lacks", file.display());
                    counted += 1;
                }
            }
        }
        assert!(counted > 0, "the search finds what it looks for");
    }

    #[test]
    fn a_bad_filter_is_refused() {
        let error = init("rampwatch=loud", Format::Text).expect_err("it is no filter");
        assert!(error.to_string().contains("log.filter"), "{error}");
    }
}
