//! Whether a webhook may be registered: the API neither lists them nor keeps one from being registered twice.

use thiserror::Error;

use crate::domain::payment::WebhookId;
use crate::domain::webhook::{AttemptState, Webhook, WebhookAttempt};

/// Why a webhook is not registered unless somebody insists.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Doubled {
    /// There is one for the URL.
    #[error(
        "webhook {0} tells this URL of changes already; a second one would tell it of everything twice. To change it: \
         `rampwatch webhook update {0}`; to register another all the same: --again"
    )]
    Registered(WebhookId),
    /// There may be one for the URL.
    #[error(
        "this URL may be registered already: the answer to the last attempt never came ({0}). The API has no call that \
         would tell: look where its webhooks are shown, or register it once more with --again. A second one does no harm \
         beyond telling of everything twice"
    )]
    Perhaps(String),
}

/// Whether a webhook may be registered for this URL, by what is known of others and of the last attempt.
///
/// # Errors
/// There is one, or there may be one.
pub fn may_register(url: &str, known: &[Webhook], attempt: Option<&WebhookAttempt>) -> Result<(), Doubled> {
    if let Some(same) = known.iter().find(|webhook| webhook.url == url) {
        return Err(Doubled::Registered(same.id.clone()));
    }
    match attempt.map(|attempt| &attempt.state) {
        Some(AttemptState::Calling) => Err(Doubled::Perhaps("this program ended, or another is at it".to_owned())),
        Some(AttemptState::Unclear { why }) => Err(Doubled::Perhaps(why.clone())),
        // One that was registered and is for another URL by now was changed since.
        Some(AttemptState::Registered { .. } | AttemptState::Refused { .. }) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn nothing_is_registered_twice_unasked() {
        let (here, there) = ("https://desk.example/hook", "https://other.example/hook");
        let id = WebhookId::new("wh-1").expect("it is one");
        let known = |url: &str| Webhook {
            id: id.clone(),
            url: url.to_owned(),
            events: Vec::new(),
            is_active: Some(false),
            created_at: None,
            updated_at: None,
        };
        let why = || "HTTP 502".to_owned();
        let attempt = |state| Some(WebhookAttempt { url: here.to_owned(), at: Timestamp::EPOCH, state });
        let registered = || AttemptState::Registered { webhook: id.clone() };
        let perhaps = |why: &str| Err(Doubled::Perhaps(why.to_owned()));
        for (known, attempt, expected) in [
            (vec![], None, Ok(())),
            (vec![known(there)], None, Ok(())),
            (vec![known(there), known(here)], None, Err(Doubled::Registered(id.clone()))),
            (vec![known(here)], attempt(registered()), Err(Doubled::Registered(id.clone()))),
            (vec![known(there)], attempt(registered()), Ok(())),
            (vec![], attempt(AttemptState::Refused { why: why() }), Ok(())),
            (vec![], attempt(AttemptState::Unclear { why: why() }), perhaps("HTTP 502")),
            (vec![], attempt(AttemptState::Calling), perhaps("this program ended, or another is at it")),
        ] {
            assert_eq!(may_register(here, &known, attempt.as_ref()), expected, "{known:?} {attempt:?}");
        }
    }
}
