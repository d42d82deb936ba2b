//! What `rampwatch doctor` makes of what it was told: ok, a warning or a failure, and what to do.
//!
//! A failure is something without which deposits are missed, payments not completed or orders not sent. A warning is
//! something that works now and may soon not, or works less well than it could. Deliberately absent: asking.

use crate::domain::time::Span;

mod around;
mod endpoints;
mod operators;
mod wallet;
mod webhook;

pub use around::{
    api, clock_of_api, clock_of_chain, daemon, memory, private_file, socket, store, token, unused_authorities,
    unused_proxies,
};
pub use endpoints::{EndpointRules, agreement, endpoints};
pub use operators::operators;
pub use wallet::{WalletRules, auto_unlimited, wallet};
pub use webhook::webhook;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// It is as it should be.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// It does not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check it belongs to, such as `endpoint`.
    pub check: &'static str,
    /// What it is about, such as the endpoint's name. May be empty.
    pub about: String,
    /// How bad it is.
    pub grade: Grade,
    pub found: String,
    /// What to do. Empty when there is nothing to do.
    pub remedy: String,
}

/// What a check says, each with its own name before it.
#[derive(Clone, Debug)]
struct Says {
    check: &'static str,
    about: String,
}

impl Says {
    fn of(check: &'static str, about: impl Into<String>) -> Self {
        Self { check, about: about.into() }
    }

    fn say(&self, grade: Grade, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        let (check, about) = (self.check, self.about.clone());
        Finding { check, about, grade, found: found.into(), remedy: remedy.into() }
    }

    fn ok(&self, found: impl Into<String>) -> Finding {
        self.say(Grade::Ok, found, "")
    }

    fn warn(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.say(Grade::Warning, found, remedy)
    }

    fn fail(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.say(Grade::Failure, found, remedy)
    }
}

/// Something that could not be looked at, because it took too long or broke off.
#[must_use]
pub fn not_looked_at(check: &'static str, why: &str) -> Finding {
    Says::of(check, "")
        .fail(format!("it could not be looked at: {why}"), "try again; if it stays so, look at what hangs")
}

/// A setting that contradicts another.
#[must_use]
pub fn contradiction(check: &'static str, what: &str) -> Finding {
    Says::of(check, "").fail(what, "change the configuration")
}

/// A span in words: to a tenth of a second below ten seconds, in seconds above.
fn words(span: Span) -> String {
    let millis = span.as_millis();
    if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", millis / 1_000) }
}
