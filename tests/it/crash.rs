//! A short run of the crash test (`make crash-test` is the long one): a few kills of this build's binary under load.

use std::path::PathBuf;

use crate::crash_run::{Plan, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_few_kills_lose_and_double_nothing() {
    let mut plan = Plan::new(PathBuf::from(env!("CARGO_BIN_EXE_rampwatch")));
    plan.kills = 3;
    plan.completed = 10;
    // Three kills cannot hit each kind of step.
    plan.all_kinds = false;
    let report = run(&plan).await.unwrap();
    assert_eq!(report.problems(&plan), Vec::<String>::new());
    let line = report.line();
    assert!(line.starts_with("kills=3 ") && line.ends_with(" lost=0 wrong=0 doubled=0 missing=0"), "{line}");
}
