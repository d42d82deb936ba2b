//! What is told of the places at which rampwatch listens.

use crate::domain::event::{Alarm, EventKind};
use crate::engine::transaction;
use crate::service::operator_service::{OperatorError, OperatorService};

impl OperatorService {
    /// Raises the alarm that nothing listens where a setting says. Watching and completing go on.
    ///
    /// # Errors
    /// The store fails.
    pub async fn tell_not_listening(&self, setting: &str, said: &str) -> Result<(), OperatorError> {
        let (setting, said) = (setting.to_owned(), said.to_owned());
        tracing::error!(setting, said, "nothing listens there; it is tried again");
        self.tell(EventKind::Alarm { alarm: Alarm::NotListening { setting, said } }).await
    }

    /// Tells that it listens again.
    ///
    /// # Errors
    /// The store fails.
    pub async fn tell_listening(&self, setting: &str) -> Result<(), OperatorError> {
        self.tell(EventKind::ListenerBack { setting: setting.to_owned() }).await
    }

    async fn tell(&self, kind: EventKind) -> Result<(), OperatorError> {
        Ok(transaction::tell(&*self.store, self.clock.now(), [kind]).await?)
    }
}
