//! SIGINT and SIGTERM, for commands that a person may leave at any moment.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::super::exit::{Exit, Failure};

/// Listens from the beginning on, so that no signal ends the command without a word.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// The system does not let it.
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("signals cannot be heard: {error}"));
        let term = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { term, int: signal(SignalKind::interrupt()).map_err(failed)? })
    }

    /// Waits for one.
    pub(super) async fn heard(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
