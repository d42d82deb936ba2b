//! What the benchmarks of single steps have left (`cargo bench --bench micro`, which `make bench` runs first): criterion keeps
//! its estimates in files, in nanoseconds.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::table::{Reached, Table};

/// What matching one log must stay below, in nanoseconds.
const MOST_MATCH: f64 = 2_000.0;

pub(crate) fn add(table: &mut Table) -> Result<()> {
    let (rare, all) = (median("matching/1_percent_watched")?, median("matching/all_watched")?);
    let what = "match one log against 1,000,000 open payments, its recipient watched";
    table.add(what, &time(all), "< 2 µs", Reached::of(all < MOST_MATCH), "");
    table.tell("… 1 % of the recipients watched", &time(rare), "");
    let logs = median("reading/500_blocks")?;
    let value = format!("{} ({} a log)", time(logs), time(logs / 10_000.0));
    table.tell("parse and decode an answer of 500 blocks, 10,000 logs, 6 MB", &value, "");
    table.tell("parse and decode one log", &time(median("reading/one_log")?), "");
    let (matched, last) = (median("payment_machine/matched")?, median("payment_machine/final")?);
    table.tell("one step of a payment: matched / final", &format!("{} / {}", time(matched), time(last)), "");
    table.tell("one durable commit, one writer", &time(median("commit/one_writer_durable")?), "");
    Ok(())
}

/// The median of a benchmark, in nanoseconds.
fn median(name: &str) -> Result<f64> {
    let file = crate::build_folder().join("criterion").join(name).join("new/estimates.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} is not there: run `cargo bench --bench micro` first", file.display()))?;
    let estimates: Value = serde_json::from_str(&text)?;
    estimates["median"]["point_estimate"].as_f64().with_context(|| format!("no median in {}", file.display()))
}

fn time(nanos: f64) -> String {
    match nanos {
        small if small < 1e3 => format!("{small:.0} ns"),
        middle if middle < 1e6 => format!("{:.2} µs", middle / 1e3),
        large => format!("{:.2} ms", large / 1e6),
    }
}
