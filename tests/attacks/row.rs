//! What a row of the suite is, and how it comes out.

use futures_util::future::LocalBoxFuture;
use rampwatch::sandbox::SandboxError;

use crate::kit::Kit;

/// One attack.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its name in the notes of the review that found it, and what distinguishes it where one finding has several.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) what: &'static str,
    /// Plays it, with the lie or, as the control, without: the same world, which has to pay and to complete.
    pub(crate) play: fn(Kit, Told) -> LocalBoxFuture<'static, Played>,
}

/// Whether the lie is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is not: the control.
    Truth,
    /// It is.
    Lie,
}

/// What a played row comes to: what was seen where it held.
pub(crate) type Played = Result<String, Stop>;

/// Why a row did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The program did what it must not do, or did not do what it must.
    Broken(String),
    /// Nothing is known of the program: the suite, or what it stands on, failed.
    Fault(String),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<SandboxError> for Stop {
    fn from(error: SandboxError) -> Self {
        Self::Fault(error.to_string())
    }
}

/// The row is broken, for this reason.
pub(crate) fn broken<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Broken(why.into()))
}

/// How a row came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held(String),
    Broken(String),
    Fault(String),
}

impl Verdict {
    /// From the control and the attack. Without a control that worked, the attack has shown nothing.
    pub(crate) fn of(control: Played, attack: Played) -> Self {
        match (control, attack) {
            (Err(Stop::Fault(why)), _) => Self::Fault(format!("in the control: {why}")),
            (_, Err(Stop::Fault(why))) => Self::Fault(why),
            (Err(Stop::Broken(why)), _) => Self::Broken(format!("the control failed: {why}")),
            (Ok(_), Err(Stop::Broken(why))) => Self::Broken(why),
            (Ok(_), Ok(seen)) => Self::Held(seen),
        }
    }

    /// In a word.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Broken(_) => "broken",
            Self::Fault(_) => "fault",
        }
    }

    /// What was seen.
    pub(crate) fn seen(&self) -> &str {
        match self {
            Self::Held(seen) | Self::Broken(seen) | Self::Fault(seen) => seen,
        }
    }
}
