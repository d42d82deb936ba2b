//! The webhook: whether deliveries are registered, can be checked, and are heard.

use super::{Finding, Says};
use crate::domain::checkup::{InletCheckup, RegisteredWebhook, WebhookCheckup};

/// What to do about a secret that is missing.
const NO_SECRET: &str = "give webhook.secret_file or webhook.secret_env: without it no delivery can be checked";

/// What is wrong with the webhook. Nothing depends on it but speed: without one the API is asked by the clock.
#[must_use]
pub fn webhook(found: &WebhookCheckup) -> Vec<Finding> {
    let says = Says::of("webhook", "");
    let has_inlet = found.inlet != InletCheckup::NotConfigured;
    if found.public_url.is_none() && !has_inlet {
        return vec![says.ok("none is configured; the payment API is asked by the clock")];
    }
    let mut findings = Vec::new();
    match (&found.secret, has_inlet) {
        (Err(why), _) => {
            let remedy = "correct it where it says: without it no delivery can be checked";
            findings.push(says.fail(format!("its secret cannot be used: {why}"), remedy));
        }
        (Ok(false), true) => findings.push(says.fail("it has no secret", NO_SECRET)),
        (Ok(false), false) => findings.push(says.warn("it has no secret", NO_SECRET)),
        (Ok(true), _) => {}
    }
    match &found.inlet {
        InletCheckup::NotConfigured => {
            let remedy = "set webhook.listen, and have webhook.public_url lead there";
            findings.push(says.warn("deliveries are registered for this program, and nothing here hears them", remedy));
        }
        InletCheckup::Asked(Err(why)) => {
            let remedy = "look at the daemon's log, and restart it if webhook.listen was changed";
            findings.push(says.fail(format!("the daemon runs, and its inlet does not listen: {why}"), remedy));
        }
        InletCheckup::NotRunning | InletCheckup::Asked(Ok(())) => {}
    }
    if let Some(url) = &found.public_url {
        findings.extend(registered(&says, url, &found.registered));
    }
    if findings.is_empty() {
        findings.push(says.ok(found.public_url.as_ref().map_or_else(
            || "the inlet is configured; who delivers to it is not (webhook.public_url)".to_owned(),
            |url| format!("deliveries to {url} are registered and active"),
        )));
    }
    findings
}

fn registered(says: &Says, url: &str, told: &Result<Vec<RegisteredWebhook>, String>) -> Option<Finding> {
    let all = match told {
        Ok(all) => all,
        Err(why) => {
            let found = format!("whether deliveries to {url} are registered cannot be looked up: {why}");
            return Some(says.warn(found, "start the daemon, or see the store and the API above"));
        }
    };
    let Some(here) = all.iter().find(|webhook| webhook.url == url) else {
        let found = format!("no webhook was registered from here for {url}");
        return Some(says.warn(found, "`rampwatch webhook register`, or correct webhook.public_url"));
    };
    if let Some(why) = &here.stale {
        let found = format!("the payment API does not say how webhook {} is: {why}", here.id);
        return Some(
            says.warn(found, "`rampwatch webhook list`; if the API does not know it any more, register it again"),
        );
    }
    let found = || format!("webhook {} to {url} is switched off at the payment API", here.id);
    (here.active == Some(false))
        .then(|| says.warn(found(), format!("`rampwatch webhook update {} --active true`", here.id)))
}
