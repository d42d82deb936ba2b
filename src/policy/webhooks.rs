//! Whether a webhook may be registered: the API neither lists them nor keeps one from being registered twice.

use thiserror::Error;

use crate::domain::payment::WebhookId;
use crate::domain::webhook::{AttemptState, Webhook, WebhookAttempt, host};

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

/// Why deliveries are not sent to a URL: it is not known to be ours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotOurs {
    /// Nobody has configured where deliveries reach this program.
    #[error("webhook.public_url is not set, so no host is known to be ours: set it to where deliveries are to go")]
    Unknown,
    /// It is another host, or not over TLS.
    #[error(
        "deliveries go to {0} only, over https: that is the host of webhook.public_url. To send them elsewhere, change the \
         configuration"
    )]
    OtherHost(String),
}

/// Whether deliveries may be sent to this URL, which is well-formed: they tell of every payment, so only the configuration says
/// to which host.
///
/// # Errors
/// It is not known to be ours.
pub fn is_ours(url: &str, public_url: Option<&str>) -> Result<(), NotOurs> {
    let public_url = public_url.ok_or(NotOurs::Unknown)?;
    let ours = host(public_url).ok_or(NotOurs::Unknown)?;
    let is_secure = url.starts_with("https://") || public_url.starts_with("http://");
    if is_secure && host(url).is_some_and(|host| host.eq_ignore_ascii_case(ours)) {
        return Ok(());
    }
    Err(NotOurs::OtherHost(ours.to_owned()))
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
    fn s7_deliveries_go_to_our_own_host_only() {
        let ours = Some("https://desk.example/hook");
        let other = |host: &str| Err(NotOurs::OtherHost(host.to_owned()));
        for (url, public_url, expected) in [
            ("https://desk.example/hook", ours, Ok(())),
            ("https://desk.example:8443/another/path", ours, Ok(())),
            ("https://DESK.example", ours, Ok(())),
            ("https://desk.example.evil.example/hook", ours, other("desk.example")),
            ("https://evil.example/desk.example", ours, other("desk.example")),
            ("https://example/hook", ours, other("desk.example")),
            ("http://desk.example/hook", ours, other("desk.example")),
            ("http://localhost/hook", ours, other("desk.example")),
            ("http://127.0.0.1:9/hook", Some("http://127.0.0.1:8787/hook"), Ok(())),
            ("https://desk.example/hook", None, Err(NotOurs::Unknown)),
        ] {
            assert_eq!(is_ours(url, public_url), expected, "{url} {public_url:?}");
        }
    }

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
