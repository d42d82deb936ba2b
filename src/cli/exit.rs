//! How commands end: the exit codes, and the one line that says why.

use std::io::Write as _;
use std::process::ExitCode;

use crate::client::ClientError;
use crate::config::Settings;
use crate::daemon::{self, DaemonError};
use crate::domain::chain::Address;
use crate::http::Code;
use crate::service::operator_service::OperatorError;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed for a reason that has no number of its own.
    Failed,
    /// 2: the command line, or a value given on it, is wrong.
    Usage,
    /// 3: the configuration is wrong, or a node contradicts it.
    Configuration,
    /// 4: the payment, deposit or order is not known.
    NotFound,
    /// 5: refused by the rules; nothing was changed.
    Refused,
    /// 6: daemon, store, node or payment API cannot be used.
    Unavailable,
    /// 7: it goes on only when a person has decided something.
    Person,
    /// 8: a payout has ended without being paid out.
    NotPaid,
    /// 130: interrupted. What is under way goes on without the command.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Configuration => 3,
            Exit::NotFound => 4,
            Exit::Refused => 5,
            Exit::Unavailable => 6,
            Exit::Person => 7,
            Exit::NotPaid => 8,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    /// Empty when there is nothing to say.
    message: String,
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        let exit = match &error {
            OperatorError::NotFound(_) | OperatorError::UnknownToApi(_) => Exit::NotFound,
            OperatorError::Invalid { .. } => Exit::Usage,
            OperatorError::Exists(_)
            | OperatorError::Refused(_)
            | OperatorError::Repeat(_)
            | OperatorError::OwnOrder(_) => Exit::Refused,
            OperatorError::TooMany { .. } | OperatorError::Api(_) | OperatorError::Store(_) => Exit::Unavailable,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        let exit = match &error {
            DaemonError::Configuration(_) => Exit::Configuration,
            DaemonError::Unavailable(_) => Exit::Unavailable,
            DaemonError::Failed(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { code, detail } => Self::of_problem(code, &detail),
            ClientError::Unavailable(said) => Self::new(Exit::Unavailable, said),
            ClientError::Failed(said) => Self::new(Exit::Failed, said),
        }
    }
}

impl Failure {
    /// A failure with its message.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Whoever read the output has gone away; there is nothing more to do.
    pub(super) const fn reader_gone() -> Self {
        Self { exit: Exit::Done, message: String::new() }
    }

    /// Everything was said already; only the exit code is left to give.
    pub(super) const fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new() }
    }

    /// The exit code that it gives.
    pub(super) const fn exit(&self) -> Exit {
        self.exit
    }

    /// From what the operator API said.
    fn of_problem(code: Code, detail: &str) -> Self {
        let exit = match code {
            Code::NotFound => Exit::NotFound,
            Code::Invalid => Exit::Usage,
            Code::Exists | Code::Refused | Code::Repeat | Code::OwnOrder | Code::MissingRole => Exit::Refused,
            Code::Api | Code::Store | Code::Timeout | Code::Unauthorized | Code::Busy => Exit::Unavailable,
            Code::Malformed
            | Code::Host
            | Code::NoRoute
            | Code::Method
            | Code::TooLarge
            | Code::MediaType
            | Code::SlowBody => Exit::Failed,
        };
        Self::new(exit, detail)
    }

    /// From what putting the parts together said. What is no error of the configuration is something that cannot be
    /// used now.
    pub(super) fn of_wiring(error: &anyhow::Error) -> Self {
        DaemonError::of_wiring(error).into()
    }

    /// As [`daemon::check_wallet`].
    pub(super) fn unless_wallet_fits(settings: &Settings, wallet: Option<Address>) -> Result<(), Self> {
        Ok(daemon::check_wallet(settings, wallet)?)
    }

    /// The same, where the message was told already.
    pub(super) fn told(self) -> Self {
        Self { message: String::new(), ..self }
    }

    /// What there is to say.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Says why on stderr, and gives the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        if !self.message.is_empty() {
            // With stderr gone there is nobody to tell; the exit code still says it.
            drop(writeln!(std::io::stderr(), "error: {}", super::output::seen(&self.message)));
        }
        self.exit.into()
    }
}
