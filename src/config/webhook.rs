//! `[webhook]`: where the payment API is to tell of payments that have moved on, and the secret that it signs with. May be
//! left out; nothing is told then, and the API is asked by the clock as ever.
//!
//! Deliberately absent: the secret itself, which [`WebhookSettings::secret`] reads when somebody needs it.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::webhook::checked_url;

use super::ConfigError;
use super::key::{KeySource, held, secret_file, secret_line};
use super::parse::{path, variable_name};
use super::reader::{Section, Show};

/// `[webhook]`.
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// Where deliveries reach this program from outside: what `webhook register` registers unless told otherwise.
    pub public_url: Option<String>,
    /// Where the secret comes from. [`WebhookSettings::secret`] reads it.
    pub secret_source: Option<KeySource>,
}

impl WebhookSettings {
    /// The secret that deliveries are signed with; `None` when none is configured. A line end after it is left away.
    ///
    /// # Errors
    /// The variable is not set; the file cannot be read, is no file, can be read or written by others than its owner; or
    /// what is there is empty, too long, more than one line, or has blanks or unprintable characters in it.
    pub fn secret(&self) -> Result<Option<SecretString>, ConfigError> {
        let Some(source) = &self.secret_source else { return Ok(None) };
        let (secret, whence) = match source {
            KeySource::Variable { name, value } => {
                let whence = format!("the environment variable {name} (webhook.secret_env)");
                let unset = || {
                    let remedy = "set it, or name a file with webhook.secret_file";
                    ConfigError::Secret(format!("{whence} is not set: {remedy}"))
                };
                (secret_line(value.as_ref().ok_or_else(unset)?, &whence)?, whence)
            }
            KeySource::File(path) => {
                let whence = format!("the file {:?} (webhook.secret_file)", path.display().to_string());
                (secret_file(path, &whence)?, whence)
            }
        };
        if secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Some(secret));
        }
        let why = "holds blanks or unprintable characters: put a secret of letters, digits and signs there";
        Err(ConfigError::Secret(format!("{whence} {why}")))
    }
}

/// Reads `[webhook]`, all of which may be missing.
pub(super) fn webhook(mut section: Section<'_>, base: &Path, others: &[(String, String)]) -> Option<WebhookSettings> {
    let public_url = section.removable("public_url", Show::Nothing, |text| {
        checked_url(text).map(|()| text.to_owned()).map_err(|why| why.to_string())
    });
    let secret_env = section.removable("secret_env", Show::Nothing, variable);
    let secret_file = section.removable("secret_file", Show::Value, |text| path(base, text));
    let wrong = ["public_url", "secret_env", "secret_file"].iter().any(|key| section.wrong(key));
    let both = secret_env.is_some() && secret_file.is_some();
    if both {
        section.complain("secret_file", "webhook.secret_env is given too: give one of the two at most");
    }
    section.finish("public_url, secret_env, secret_file");
    if wrong || both {
        return None;
    }
    let variable = secret_env.map(|name| KeySource::Variable { value: held(&name, others), name });
    Some(WebhookSettings { public_url, secret_source: variable.or(secret_file.map(KeySource::File)) })
}

/// The name of the variable that holds the secret. A secret in its place is recognised, and not shown.
fn variable(text: &str) -> Result<String, String> {
    if text.starts_with("whsec_") {
        return Err("this looks like the secret itself: give the name of the variable that holds it".to_owned());
    }
    variable_name(text)
}
