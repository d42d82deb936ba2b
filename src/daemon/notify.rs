//! Who is told what, put together from the settings.

use std::sync::Arc;

use crate::adapters::notify_http::{self, NotifyHttp, NotifyHttpSettings};
use crate::adapters::system::SystemClock;
use crate::config::Settings;
use crate::engine::EngineSettings;
use crate::engine::notifier::{NoticeRules, NotifierSetup};
use crate::ports::clock::Clock as _;
use crate::ports::notifier::Notifier;
use crate::ports::store::Store;
use crate::service::notice_words::{Words, test_message};

/// What is told at these endpoints, and when; `None` when nobody is told.
pub(super) fn telling(
    settings: &Settings,
    endpoints: Vec<Arc<dyn Notifier>>,
    store: &Arc<dyn Store>,
    engine: &Arc<EngineSettings>,
) -> Option<NotifierSetup> {
    let notify = settings.notify.as_ref()?;
    let rules = NoticeRules {
        hold_after: notify.hold_after,
        chain_after: notify.chain_after,
        low_token: notify.low_token,
        low_native: notify.low_native,
        balance_every: notify.balance_every,
    };
    let wording = Arc::new(Words::new(store.clone(), engine.clone(), super::token_names(settings)));
    Some(NotifierSetup { endpoints, rules, wording })
}

pub(super) fn notifiers(settings: &Settings) -> anyhow::Result<Vec<Arc<dyn Notifier>>> {
    let Some(notify) = &settings.notify else { return Ok(Vec::new()) };
    let outbound = super::outbound(settings)?;
    let mut endpoints: Vec<Arc<dyn Notifier>> = Vec::new();
    for endpoint in &notify.endpoints {
        // A secret is there exactly where the form is signed; the configuration has seen to that.
        let form = match endpoint.secret()? {
            Some(secret) => notify_http::Form::Standard { secret },
            None => notify_http::Form::Slack,
        };
        endpoints.push(Arc::new(NotifyHttp::new(NotifyHttpSettings {
            name: endpoint.name.clone(),
            url: endpoint.url()?,
            form,
            kinds: endpoint.kinds.clone(),
            connect_timeout: settings.api.connect_timeout.min(notify.timeout),
            timeout: notify.timeout,
            outbound: outbound.clone(),
        })?));
    }
    Ok(endpoints)
}

/// Sends a test message to the endpoint of this name, or to all. Returns, for each, its name and what went wrong.
///
/// # Errors
/// An endpoint's URL or secret cannot be had or used.
pub async fn notify_test(settings: &Settings, only: Option<&str>) -> anyhow::Result<Vec<(String, Result<(), String>)>> {
    let now = SystemClock.now();
    let message = test_message(now);
    let mut told = Vec::new();
    for endpoint in notifiers(settings)? {
        let name = endpoint.name().to_owned();
        if only.is_none_or(|only| only == name) {
            let id = format!("rw-test-{}-{name}", now.as_millis());
            told.push((name, endpoint.deliver(&id, &message, now).await.map_err(|error| error.to_string())));
        }
    }
    Ok(told)
}
