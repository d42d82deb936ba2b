//! Whom a payout is placed with: the daemon that runs, or the engine, run here for as long as the command takes.
//!
//! A daemon that goes away is waited for a while: it may be starting anew. Asking again is safe, because everything that
//! is asked here can be asked twice.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::exit::{Exit, Failure};
use super::super::{operator, output};
use crate::client::{Client, ClientError};
use crate::config::Settings;
use crate::daemon;
use crate::service::operator_service::OperatorService;

/// How long a daemon that has gone away is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked for meanwhile.
const EVERY: Duration = Duration::from_millis(200);

/// How long the wallet of a daemon that was just started is waited for.
const WALLET_WITHIN: Duration = Duration::from_secs(10);

/// How long the engine that runs here may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Whom a payout is placed with.
pub(super) struct Session {
    operator: Client,
    /// The engine that this command runs, when no daemon does.
    engine: Option<Engine>,
    /// Whether it was said that it does not answer.
    is_away: Cell<bool>,
}

struct Engine {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Session {
    /// Finds the daemon; when none runs, starts the engine in this process, and says so.
    ///
    /// # Errors
    /// Something listens and does not answer as the daemon, or the engine does not start.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let session = Self::reach(settings).await?;
        if settings.wallet.is_some() {
            session.await_wallet().await;
        }
        Ok(session)
    }

    /// Waits until the wallet's record is there. A daemon that was just started for the first time makes it in a moment;
    /// when it does not come, whoever needs it says so.
    async fn await_wallet(&self) {
        let opened = async {
            while self.operator.wallet().await.is_err_and(|error| Failure::from(error).exit() == Exit::Refused) {
                tokio::time::sleep(EVERY).await;
            }
        };
        // Late is no failure here.
        let _ = tokio::time::timeout(WALLET_WITHIN, opened).await;
    }

    async fn reach(settings: &Settings) -> Result<Self, Failure> {
        if let Some(operator) = operator::daemon(settings).await? {
            return Ok(Self { operator, engine: None, is_away: Cell::new(false) });
        }
        output::remark(
            "no daemon runs: this command does the daemon's work itself, as long as it runs; other commands reach it",
        );
        let (stop, served) = (CancellationToken::new(), settings.clone());
        let (tell, told) = oneshot::channel::<OperatorService>();
        let stopped = stop.clone();
        let mut task = tokio::spawn(async move {
            // Nobody listens any more only when this command is ending.
            Ok(daemon::serve(&served, stopped, |handle| drop(tell.send(handle))).await?)
        });
        match told.await {
            Ok(handle) => Ok(Self {
                operator: operator::here(handle, settings),
                engine: Some(Engine { stop, task }),
                is_away: Cell::new(false),
            }),
            Err(_) => Err(ended(&mut task).await),
        }
    }

    /// The way to it.
    pub(super) const fn operator(&self) -> &Client {
        &self.operator
    }

    /// Whether what was placed goes on when this command ends.
    pub(super) const fn goes_on(&self) -> bool {
        self.engine.is_none()
    }

    /// Ends what was started.
    ///
    /// # Errors
    /// The engine had failed.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let Some(Engine { stop, task }) = self.engine else { return Ok(()) };
        stop.cancel();
        match tokio::time::timeout(GRACE, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(Failure::new(Exit::Failed, format!("the engine ended badly: {error}"))),
            // What is cut off here is looked into at the next start, as after a crash.
            Err(_) => Ok(()),
        }
    }

    /// Asks until there is an answer, or what was asked for is refused; a daemon that is away is waited for.
    ///
    /// # Errors
    /// What was asked for is refused, or the daemon stays away.
    pub(super) async fn ask<T>(
        &self,
        mut question: impl AsyncFnMut(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let mut until: Option<Instant> = None;
        loop {
            if self.engine.as_ref().is_some_and(|engine| engine.task.is_finished()) {
                return Err(Failure::new(
                    Exit::Failed,
                    "the engine that this command runs has ended; its log says why",
                ));
            }
            let failure = match question(&self.operator).await.map_err(Failure::from) {
                Err(failure) if failure.exit() == Exit::Unavailable => failure,
                answer => {
                    self.is_away.set(false);
                    return answer;
                }
            };
            if !self.is_away.replace(true) {
                // As a log line, so that the live line steps aside.
                tracing::warn!("{}; waiting up to {} s for it", failure.message(), PATIENCE.as_secs());
            }
            let now = Instant::now();
            let until = *until.get_or_insert_with(|| now.checked_add(PATIENCE).unwrap_or(now));
            if now >= until {
                return Err(failure);
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Why the engine did not start.
async fn ended(task: &mut JoinHandle<Result<(), Failure>>) -> Failure {
    match task.await {
        Ok(Err(failure)) => failure,
        Ok(Ok(())) => Failure::new(Exit::Failed, "the engine ended before it was up"),
        Err(error) => Failure::new(Exit::Failed, format!("the engine ended badly: {error}")),
    }
}
