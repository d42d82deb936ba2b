//! `[notify]`: who is told what, and when. Without it nobody is told.
//!
//! Deliberately absent: the form of a signing secret, which is the adapter's business; a secret is only read here, by
//! [`NotifyEndpoint::url`] and [`NotifyEndpoint::secret`].

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::amount::Amount;
use crate::domain::notice::NoticeKind;
use crate::domain::time::Span;
use crate::domain::wei::Wei;
use crate::outbound::is_loopback;

use super::ConfigError;
use super::environment::Variables;
use super::key::{KeySource, key_line, secret_file, secret_line};
use super::parse::{path, variable_name};
use super::reader::{Section, Show};

/// The most endpoints: each reads every event.
const MAX_ENDPOINTS: usize = 8;
/// The longest name: it is a part of each delivery's id.
const MAX_NAME: usize = 32;

const fn secs(count: u64) -> Span {
    Span::from_secs(count)
}
const DAY: Span = secs(86_400);

/// `[notify]`.
#[derive(Clone, Debug)]
pub struct NotifySettings {
    /// How long an order must have been held up before it is told.
    pub hold_after: Span,
    /// How long the chain must have been unreadable before it is told.
    pub chain_after: Span,
    /// Less of the token than this in the wallet is told, in base units.
    pub low_token: Option<Amount>,
    /// Less of the native coin than this in the wallet is told.
    pub low_native: Option<Wei>,
    /// How often the wallet's balances are read for that.
    pub balance_every: Span,
    /// For a whole delivery.
    pub timeout: Span,
    /// The endpoints; at least one.
    pub endpoints: Vec<NotifyEndpoint>,
}

/// `[[notify.endpoints]]`.
#[derive(Clone, Debug)]
pub struct NotifyEndpoint {
    /// Its name, unique: letters, digits, `-` and `_`.
    pub name: String,
    /// What deliveries look like.
    pub form: NotifyForm,
    /// Which kinds it takes.
    pub kinds: Vec<NoticeKind>,
    url: UrlSource,
    secret: Option<KeySource>,
}

/// What deliveries look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyForm {
    /// Standard Webhooks, signed.
    Standard,
    /// What Slack takes.
    Slack,
}

/// Where an endpoint's URL comes from. It may hold a key, so it is a secret.
#[derive(Clone, Debug)]
enum UrlSource {
    Given(SecretString),
    From(KeySource),
}

impl NotifyEndpoint {
    /// Where deliveries go.
    ///
    /// # Errors
    /// The variable is not set; the file cannot be read or can be reached by others; or what is there is no `https` URL
    /// (`http` is for loopback only). Errors do not show it.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        let source = match &self.url {
            UrlSource::Given(url) => return Ok(url.clone()),
            UrlSource::From(source) => source,
        };
        let (text, whence) = read(source, &self.name, "url")?;
        let text = key_line(&text, &whence)?;
        notify_url(text.expose_secret()).map_err(|why| ConfigError::Secret(format!("{whence}: {why}")))
    }

    /// What deliveries are signed with; `None` in Slack's form.
    ///
    /// # Errors
    /// The variable is not set; or the file cannot be read or can be reached by others.
    pub fn secret(&self) -> Result<Option<SecretString>, ConfigError> {
        let Some(source) = &self.secret else { return Ok(None) };
        let (secret, whence) = read(source, &self.name, "secret")?;
        key_line(&secret, &whence).map(Some)
    }
}

/// Reads what a variable or a file holds, and says where it came from.
fn read(source: &KeySource, endpoint: &str, key: &str) -> Result<(SecretString, String), ConfigError> {
    match source {
        KeySource::Variable { name, value } => {
            let whence = format!("the environment variable {name} ({key}_env of the notify endpoint {endpoint:?})");
            let unset = || ConfigError::Secret(format!("{whence} is not set"));
            Ok((secret_line(value.as_ref().ok_or_else(unset)?, &whence)?, whence))
        }
        KeySource::File(path) => {
            let file = path.display().to_string();
            let whence = format!("the file {file:?} ({key}_file of the notify endpoint {endpoint:?})");
            Ok((secret_file(path, &whence)?, whence))
        }
    }
}

/// Reads `[notify]`, which is there or not.
pub(super) fn notify(
    section: Option<Section<'_>>,
    base: &Path,
    variables: &Variables<'_>,
    decimals: Option<u8>,
    has_wallet: bool,
) -> Option<NotifySettings> {
    let mut section = section?;
    let hold_after = section.span("hold_after", secs(600), secs(1)..=DAY);
    let chain_after = section.span("chain_after", secs(900), secs(1)..=DAY);
    let places = decimals.unwrap_or(30);
    let low_token = section.removable("low_token", Show::Value, |text| {
        Amount::from_person(text, places).map_err(|error| error.to_string())
    });
    let low_native = section
        .removable("low_native", Show::Value, |text| Wei::from_person_native(text).map_err(|error| error.to_string()));
    for (key, given) in [("low_token", low_token.is_some()), ("low_native", low_native.is_some())] {
        if given && !has_wallet {
            section.complain(key, "there is no wallet whose balance could be low: give [wallet], or leave it out");
        }
    }
    let balance_every = section.span("balance_every", secs(600), secs(1)..=DAY);
    let timeout = section.span("timeout", secs(15), Span::from_millis(100)..=secs(60));
    let endpoints = endpoints(&mut section, base, variables);
    section.finish("hold_after, chain_after, low_token, low_native, balance_every, timeout, endpoints");
    Some(NotifySettings {
        hold_after: hold_after?,
        chain_after: chain_after?,
        low_token,
        low_native,
        balance_every: balance_every?,
        timeout: timeout?,
        endpoints: endpoints?,
    })
}

fn endpoints(notify: &mut Section<'_>, base: &Path, variables: &Variables<'_>) -> Option<Vec<NotifyEndpoint>> {
    let sections = notify.list("endpoints");
    let expected = sections.len();
    if notify.wrong("endpoints") {
        return None;
    }
    if expected == 0 || expected > MAX_ENDPOINTS {
        let text = format!("give 1 to {MAX_ENDPOINTS} endpoints ([[notify.endpoints]]), or leave [notify] out");
        notify.complain("endpoints", text);
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    let mut endpoints = Vec::new();
    for mut section in sections {
        let name = section.required("name", Show::Value, "give a short name for logs and metrics", name);
        if let Some(name) = &name {
            if names.contains(name) {
                section.complain("name", "another endpoint has the same name: give each its own");
            }
            names.push(name.clone());
        }
        endpoints.extend(endpoint(section, name, base, variables));
    }
    (endpoints.len() == expected).then_some(endpoints)
}

fn endpoint(
    mut section: Section<'_>,
    name: Option<String>,
    base: &Path,
    variables: &Variables<'_>,
) -> Option<NotifyEndpoint> {
    let url = url(&mut section, base, variables);
    let form = section.or("form", NotifyForm::Standard, |text| match text {
        "standard" => Ok(NotifyForm::Standard),
        "slack" => Ok(NotifyForm::Slack),
        _ => Err("it must be \"standard\" or \"slack\"".to_owned()),
    });
    let given = section.has("secret_env") || section.has("secret_file");
    let secret = source(&mut section, "secret_env", "secret_file", base, variables);
    let secret_wrong = section.wrong("secret_env") || section.wrong("secret_file");
    match form {
        Some(NotifyForm::Standard) if secret.is_none() && !secret_wrong => {
            let text = "it is missing: name the environment variable that holds the signing secret (whsec_…), or give \
                        secret_file";
            section.complain("secret_env", text);
        }
        Some(NotifyForm::Slack) if given => {
            section.complain("form", "Slack's form is not signed: leave secret_env and secret_file out");
        }
        Some(NotifyForm::Standard | NotifyForm::Slack) | None => {}
    }
    let kinds_given = section.has("kinds");
    let kinds = section.texts("kinds", NoticeKind::ALL.len(), |text| {
        let names = NoticeKind::NAMES.join(", ");
        NoticeKind::of_name(text).ok_or_else(|| format!("it is no kind of notice; there are: {names}"))
    });
    let wrong = section.wrong("secret_env") || section.wrong("secret_file") || section.wrong("form");
    section.finish("name, url, url_env, url_file, form, secret_env, secret_file, kinds");
    // Completed payments are told only where somebody asks for them: they are no trouble.
    let usual = || NoticeKind::ALL.iter().copied().filter(|kind| *kind != NoticeKind::Completed).collect();
    let kinds = if kinds_given { kinds? } else { usual() };
    (!wrong).then_some(())?;
    Some(NotifyEndpoint { name: name?, form: form?, kinds, url: url?, secret })
}

fn url(section: &mut Section<'_>, base: &Path, variables: &Variables<'_>) -> Option<UrlSource> {
    let given = section.removable("url", Show::Nothing, notify_url);
    let from = source(section, "url_env", "url_file", base, variables);
    let wrong = ["url", "url_env", "url_file"].into_iter().any(|key| section.wrong(key));
    match (given, from) {
        (Some(_), Some(_)) => {
            section.complain("url", "url_env or url_file is given too: give exactly one of the three");
            None
        }
        (Some(url), None) => Some(UrlSource::Given(url)),
        (None, Some(from)) => Some(UrlSource::From(from)),
        (None, None) => {
            if !wrong {
                section
                    .complain("url", "it is missing: give where to deliver, or url_env or url_file, as it is secret");
            }
            None
        }
    }
}

/// A secret's variable or file; at most one of the two.
fn source(
    section: &mut Section<'_>,
    env: &str,
    file: &str,
    base: &Path,
    variables: &Variables<'_>,
) -> Option<KeySource> {
    let variable = variables.name(section, env, variable_name);
    let private = section.removable(file, Show::Value, |text| path(base, text));
    match (variable, private) {
        (Some(_), Some(_)) => {
            section.complain(file, format!("{env} is given too: give one of the two"));
            None
        }
        (Some(name), None) => Some(KeySource::Variable { value: variables.held(&name), name }),
        (None, Some(file)) => Some(KeySource::File(file)),
        (None, None) => None,
    }
}

/// A name that goes into the ids of deliveries, where a `.` has a meaning.
fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(plain) {
        return Err(format!("it must be 1 to {MAX_NAME} letters, digits, '-' or '_'"));
    }
    Ok(text.to_owned())
}

/// Where deliveries go. What is told is confidential, and the URL often the key, so plain HTTP is for loopback only.
fn notify_url(text: &str) -> Result<SecretString, String> {
    let expected = || "it must be a URL that starts with https://".to_owned();
    let url = super::parse::url(text, &expected())?;
    if url.host().is_none() {
        return Err(expected());
    }
    match url.scheme() {
        "https" => Ok(SecretString::from(String::from(url))),
        "http" if is_loopback(&url) => Ok(SecretString::from(String::from(url))),
        "http" => Err("it must start with https://: over http:// anyone on the way reads along".to_owned()),
        _ => Err(expected()),
    }
}
