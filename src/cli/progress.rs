//! The bar on the terminal while the sweep catches up.
//!
//! Deliberately absent: a bar for a sweep that is nearly there, and any sign of it where stderr is no terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::daemon::until;
use crate::service::operator_service::OperatorService;
use crate::telemetry;

/// How many blocks the sweep must be behind for a bar to appear.
const WORTH_A_BAR: u64 = 256;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// What a bar says, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// How many are done.
    position: u64,
    /// How many there are to do in all.
    length: u64,
}

/// What is to be shown when the sweep is `behind` by so many blocks; `shown` is the length of the bar that is there
/// already. A bar stays until the sweep is through, and grows when there is more to do than it had room for.
fn progress(shown: Option<u64>, behind: u64) -> Option<Progress> {
    let worth = if shown.is_some() { 1 } else { WORTH_A_BAR };
    let length = shown.unwrap_or(behind).max(behind);
    (behind >= worth).then(|| Progress { position: length.saturating_sub(behind), length })
}

/// Shows the bar while there is something to show, until `stop`.
pub(super) async fn show_progress(handle: OperatorService, stop: CancellationToken) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut bar: Option<ProgressBar> = None;
    while until(&stop, tokio::time::sleep(EVERY)).await.is_some() {
        let behind = handle.health().snapshot().behind_by;
        match progress(bar.as_ref().and_then(ProgressBar::length), behind) {
            Some(Progress { position, length }) => {
                let bar = bar.get_or_insert_with(|| new_bar(length));
                bar.set_length(length);
                bar.set_position(position);
            }
            None => bar.take().iter().for_each(end_bar),
        }
    }
    bar.iter().for_each(end_bar);
}

fn end_bar(bar: &ProgressBar) {
    telemetry::write_lines_within(None);
    bar.finish_and_clear();
}

fn new_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // A template that does not parse leaves the default style, which is a bar too.
    if let Ok(style) = ProgressStyle::with_template("catching up [{bar:40}] {pos}/{len} blocks, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    let shown = bar.clone();
    telemetry::write_lines_within(Some(Box::new(move |write| shown.suspend(write))));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_appears_when_it_is_worth_it_and_stays_until_the_end() {
        let says = |position, length| Some(Progress { position, length });
        let table = [
            (None, 0, None),
            (None, WORTH_A_BAR - 1, None),
            (None, WORTH_A_BAR, says(0, WORTH_A_BAR)),
            (None, 10_000, says(0, 10_000)),
            (Some(10_000), 10_000, says(0, 10_000)),
            (Some(10_000), 4_000, says(6_000, 10_000)),
            (Some(10_000), 1, says(9_999, 10_000)),
            (Some(10_000), 0, None),
            (Some(10_000), 12_000, says(0, 12_000)),
            (Some(0), 5, says(0, 5)),
            (None, u64::MAX, says(0, u64::MAX)),
        ];
        for (shown, behind, expected) in table {
            assert_eq!(progress(shown, behind), expected, "{shown:?}, {behind} behind");
        }
    }
}
