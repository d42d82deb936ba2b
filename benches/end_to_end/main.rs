//! How fast is rampwatch, and what does it need? `make bench`, or `make bench ONLY=live`.
//!
//! The program (`--program`, by default the one of this build) runs as anybody would run it: with a configuration file, a store
//! on the disk, over HTTP and a websocket. Its chain and its payment API are the load source `fakerpc`, a deterministic node with a sink for
//! `/complete`; what it is compared with is `baseline`, which does the least that can be done with the same
//! bytes and keeps nothing. Both are built from `benches/load`, and run within the same minute.
//!
//! What each part measures, and when its clock starts and stops, is said at the head of its file. The result is a table in
//! Markdown on stdout (`--out` keeps it); progress goes to stderr. A goal that is missed is said, and is no failure: a
//! figure that is wrong is one (a deposit missing, a payment completed twice), and ends the run.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measurement that cannot go on may end with a panic that names the line"
)]

mod backfill;
mod burst;
mod configuration;
mod daemon;
mod figures;
mod idle;
mod live;
mod micro;
mod million;
mod process;
mod seed;
mod states;
mod store;
mod table;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::table::Table;
use crate::tools::Tools;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What the benchmarks of single steps found.
    Micro,
    /// Catching up with 200,000 blocks.
    Backfill,
    /// From a block's publication to the call of `/complete`.
    Live,
    /// Requests a block while nothing happens.
    States,
    /// Nothing watched.
    Idle,
    /// One million open payments.
    Million,
    /// 10,000 deposits in one block.
    Burst,
    /// Durable changes a second.
    Store,
}

/// Where cargo puts what it builds.
pub(crate) fn build_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}

/// Measures rampwatch beside the load source and its baseline.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The rampwatch to be measured
    #[arg(long, default_value = env!("CARGO_BIN_EXE_rampwatch"))]
    program: PathBuf,
    /// The folder with the built fakerpc and baseline (backfill, live)
    #[arg(long, default_value_os_t = build_folder().join("bench-tools/release"))]
    tools: PathBuf,
    /// A folder for stores, on the disk that is to be measured; it is made, and what is left in it can be removed
    #[arg(long, default_value_os_t = build_folder().join("bench-run"))]
    folder: PathBuf,
    /// Measure only this; may be given several times, or with commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often backfill and live are measured; medians are shown
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Blocks of each live measurement
    #[arg(long, default_value_t = 300)]
    live_blocks: u64,
    /// Leave the folders of the runs, with configuration, log and store, for a look
    #[arg(long)]
    keep: bool,
    /// Calls to the payment API at once, in the burst (`api.max_concurrent`); as many as it comes with, if not given
    #[arg(long)]
    api_concurrency: Option<usize>,
    /// Open payments of the part `million`
    #[arg(long, default_value_t = 1_000_000)]
    payments: usize,
    /// Keep the table in this file too
    #[arg(long)]
    out: Option<PathBuf>,
    /// What cargo gives to every benchmark; it says nothing
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match runtime.block_on(measure(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: &Args) -> Result<()> {
    ensure!(args.runs > 0, "--runs must be at least 1");
    let tools = Tools::find(&args.tools)?;
    std::fs::create_dir_all(&args.folder).with_context(|| format!("the folder {}", args.folder.display()))?;
    ensure!(args.program.is_file(), "there is no program {}", args.program.display());
    let mut table = Table::default();
    let all = Part::value_variants();
    for part in all.iter().filter(|part| args.only.is_empty() || args.only.contains(part)) {
        eprintln!("== {part:?}");
        match part {
            Part::Micro => micro::add(&mut table),
            Part::Backfill => backfill::measure(args, &tools, &mut table).await,
            Part::Live => live::measure(args, &tools, &mut table).await,
            Part::States => states::measure(args, &tools, &mut table).await,
            Part::Idle => idle::measure(args, &tools, &mut table).await,
            Part::Million => million::measure(args, &tools, &mut table).await,
            Part::Burst => burst::measure(args, &tools, &mut table).await,
            Part::Store => store::measure(args, &mut table).await,
        }
        .with_context(|| format!("{part:?}"))?;
    }
    let text = format!("{}\n{}", table::machine(&args.program)?, table.markdown());
    println!("{text}");
    if let Some(out) = &args.out {
        std::fs::write(out, &text).with_context(|| format!("writing {}", out.display()))?;
        eprintln!("kept in {}", out.display());
    }
    Ok(())
}
