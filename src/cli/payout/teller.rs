//! The live line on stderr: a spinner on a terminal, a line for each change elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output;
use crate::telemetry;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Tells how something stands, as long as it changes.
pub(super) struct Teller {
    bar: Option<ProgressBar>,
    last: String,
}

impl Teller {
    /// One for stderr as it is.
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(spinner);
        if let Some(bar) = bar.clone() {
            telemetry::write_lines_within(Some(Box::new(move |write| bar.suspend(write))));
        }
        Self { bar, last: String::new() }
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
