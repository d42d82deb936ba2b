//! Requests a block while nothing happens, in the quiet states of the closed loop: nothing watched, only ended payments
//! watched, a payment open and no hint (by websocket and by polling), and waiting for finality.
//!
//! A block every 20 ms stands for one every 1.5 s, and the example's spans are shortened by the same factor, as in
//! `tests/it/closed_loop/budget.rs`; here it is the program itself, and the load source counts.

use std::time::Duration;

use anyhow::Result;
use rampwatch::domain::chain::Address;
use rampwatch::domain::time::Span;

use crate::Args;
use crate::configuration::Configuration;
use crate::daemon::{Daemon, Ground};
use crate::figures::number;
use crate::seed::{self, Awaited, Story};
use crate::table::{Reached, Table};
use crate::tools::{FakeRpc, Tools, free_port};

const BLOCKS: u64 = 400;
const BLOCK_MS: u64 = 20;
const LIMIT: Duration = Duration::from_secs(20);

/// A quiet state, and what it may cost.
struct Quiet {
    what: &'static str,
    /// An open payment, or none.
    open: bool,
    /// Whether the payment has ended.
    ended: bool,
    websocket: bool,
    most: f64,
}

const STATES: [Quiet; 3] = [
    Quiet { what: "only ended payments watched", open: false, ended: true, websocket: true, most: 0.05 },
    Quiet { what: "a payment open, no hint, by websocket", open: true, ended: false, websocket: true, most: 0.2 },
    Quiet { what: "a payment open, by polling", open: true, ended: false, websocket: false, most: 0.2 },
];

pub(crate) async fn measure(args: &Args, tools: &Tools, table: &mut Table) -> Result<()> {
    for quiet in &STATES {
        // Nobody sends to the watched address: the load source knows nothing of it.
        let source = FakeRpc::start(tools, &[("--blocks", 1_000), ("--logs-per-block", 50)]).await?;
        let ground = Ground::new(&args.folder, "states", args.keep)?;
        let created_at = seed::now().minus(Span::from_secs(60));
        let awaited = [Awaited { address: Address::repeat_byte(7), amount: 5 }];
        let story = Story { created_at, swept_to: None };
        seed::fill(&ground.store(), &awaited, &story).await?;
        if quiet.ended {
            seed::end(&ground.store(), 0).await?;
        }
        let configuration = Configuration {
            websocket: quiet.websocket,
            hurried: true,
            ..Configuration::new(source.port(), free_port()?)
        };
        let mut daemon = Daemon::start(&args.program, &ground, &configuration)?;
        daemon.swept(LIMIT).await?;
        if quiet.websocket {
            daemon.counted("rampwatch_subscription_live", 1.0, LIMIT).await?;
        }
        source.reset().await?;
        source.publish(BLOCKS, BLOCK_MS, 0).await?;
        let stats = source.stats().await?;
        daemon.stop().await?;
        source.stop().await?;
        let (calls, pushes) = (number(stats.calls) / number(BLOCKS), number(stats.pushes) / number(BLOCKS));
        eprintln!("   {}", stats.methods);
        let is_met = calls <= quiet.most && (calls > 0.0 || !quiet.open);
        let what = format!("requests a block (pushes), {}", quiet.what);
        table.add(&what, &format!("{calls:.3} ({pushes:.1})"), &format!("≤ {}", quiet.most), Reached::of(is_met), "");
    }
    Ok(())
}
