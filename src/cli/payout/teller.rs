//! The live line on stderr: a spinner on a terminal, a line for each change elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output;
use crate::telemetry;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// How often there is a line, where not every change is worth one.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// Tells how something stands, as long as it changes.
pub(super) struct Teller {
    bar: Option<ProgressBar>,
    last: String,
    told_at: Option<Instant>,
}

impl Teller {
    /// One for stderr as it is.
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(spinner);
        if let Some(bar) = bar.clone() {
            telemetry::write_lines_within(Some(Box::new(move |write| bar.suspend(write))));
        }
        Self { bar, last: String::new(), told_at: None }
    }

    /// Says how it stands now. What was said last is not said again.
    pub(super) fn tell(&mut self, text: &str) {
        let text = output::plain(text);
        if text == self.last {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(text.clone()),
            None => output::remark(&format!("{}  {text}", now())),
        }
        self.last = text;
        self.told_at = Some(Instant::now());
    }

    /// The same for what changes many times in a second: where each change is a line, most of them are left out.
    pub(super) fn tell_now_and_then(&mut self, text: &str) {
        let is_soon = self.told_at.is_some_and(|at| at.elapsed() < LINE_EVERY);
        if self.bar.is_some() || !is_soon {
            self.tell(text);
        }
    }

    /// Writes lines that stay, without tearing the live one.
    pub(super) fn remark(&self, text: &str) {
        self.aside(|| output::remark(text));
    }

    /// Writes elsewhere on the terminal while the live line is away.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            telemetry::write_lines_within(None);
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // A template that does not parse leaves the default style, which is a spinner too.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed}  {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// The moment, to the second.
fn now() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%SZ").to_string()
}
