//! `[webhook]`: where the payment API is to tell of payments that have moved on, and the secret that it signs with. May be
//! left out; nothing is told then, and the API is asked by the clock as ever.
//!
//! Deliberately absent: the secret itself, which [`WebhookSettings::secret`] reads when somebody needs it.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::time::Span;
use crate::domain::webhook::checked_url;

use super::ConfigError;
use super::environment::Variables;
use super::key::{KeySource, key_line, secret_file, secret_line};
use super::parse::{begins_as, path, variable_name};
use super::reader::{Section, Show};

/// `[webhook]`.
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// Where deliveries reach this program from outside: what `webhook register` registers unless told otherwise.
    pub public_url: Option<String>,
    /// Where the secret comes from. [`WebhookSettings::secret`] reads it.
    pub secret_source: Option<KeySource>,
    /// Where the secret before that one comes from, while it is being replaced. [`WebhookSettings::secrets`] reads it.
    pub previous_source: Option<KeySource>,
    /// The inlet that hears deliveries, if there is one.
    pub inlet: Option<InletSettings>,
}

/// The inlet: where deliveries are heard, and how they are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InletSettings {
    /// Where it listens; it serves nothing but deliveries, so this may be reached from outside. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The header with the signature, in lower case.
    pub header: String,
    /// How deliveries are signed.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// What may stand before the signature in its header; empty: nothing.
    pub prefix: String,
    /// The header with the moment of the delivery in Unix seconds, in lower case. If there is one, what is signed is the
    /// moment as it is written, a full stop, and the body; otherwise the body.
    pub timestamp_header: Option<String>,
    /// How far that moment may be from ours.
    pub tolerance: Span,
    /// The most bytes of a delivery.
    pub max_body: usize,
    /// The most deliveries that are taken in a second.
    pub rate: u32,
}

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, in either case.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl WebhookSettings {
    /// The secret that deliveries are signed with; `None` when none is configured. A line end after it is left away.
    ///
    /// # Errors
    /// The variable is not set; the file cannot be read, is no file, can be read or written by others than its owner; or
    /// what is there is empty, too long, more than one line, or has blanks or unprintable characters in it.
    pub fn secret(&self) -> Result<Option<SecretString>, ConfigError> {
        self.secret_source.as_ref().map(|source| read(source, "secret")).transpose()
    }

    /// All secrets that deliveries may be signed with: the present one, and the one before it if that is configured.
    ///
    /// # Errors
    /// As [`WebhookSettings::secret`], for each of them.
    pub fn secrets(&self) -> Result<Vec<SecretString>, ConfigError> {
        let previous = self.previous_source.as_ref().map(|source| read(source, "previous_secret")).transpose()?;
        Ok(self.secret()?.into_iter().chain(previous).collect())
    }
}

/// A secret; `key` is the setting's name without its `_env` or `_file`.
fn read(source: &KeySource, key: &str) -> Result<SecretString, ConfigError> {
    let (secret, whence) = match source {
        KeySource::Variable { name, value } => {
            let whence = format!("the environment variable {name} (webhook.{key}_env)");
            let unset = || {
                let remedy = format!("set it, or name a file with webhook.{key}_file");
                ConfigError::Secret(format!("{whence} is not set: {remedy}"))
            };
            (secret_line(value.as_ref().ok_or_else(unset)?, &whence)?, whence)
        }
        KeySource::File(path) => {
            let whence = format!("the file {:?} (webhook.{key}_file)", path.display().to_string());
            (secret_file(path, &whence)?, whence)
        }
    };
    let secret = key_line(&secret, &whence)?;
    if secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(secret);
    }
    let why = "holds blanks or unprintable characters: put a secret of letters, digits and signs there";
    Err(ConfigError::Secret(format!("{whence} {why}")))
}

/// Reads `[webhook]`, all of which may be missing.
pub(super) fn webhook(mut section: Section<'_>, base: &Path, variables: &Variables<'_>) -> Option<WebhookSettings> {
    let public_url = section.removable("public_url", Show::Nothing, |text| {
        checked_url(text).map(|()| text.to_owned()).map_err(|why| why.to_string())
    });
    let secret = source(&mut section, base, variables, ["secret_env", "secret_file"]);
    let previous = source(&mut section, base, variables, ["previous_secret_env", "previous_secret_file"]);
    let keys = ["public_url", "secret_env", "secret_file", "previous_secret_env", "previous_secret_file"];
    let wrong = keys.iter().any(|key| section.wrong(key));
    let has_secret = !matches!(secret, Ok(None));
    let lonely = !has_secret && !wrong && matches!(previous, Ok(Some(_)));
    if lonely {
        let text = "there is no present secret: give webhook.secret_env or webhook.secret_file";
        section.complain("previous_secret_file", text);
    }
    let given = section.has("listen");
    let inlet = inlet(&mut section, has_secret || wrong);
    section.finish(
        "public_url, secret_env, secret_file, previous_secret_env, previous_secret_file, listen, header, algorithm, encoding, prefix, timestamp_header, tolerance, \
         max_body, rate",
    );
    if wrong || lonely || (given && inlet.is_none()) {
        return None;
    }
    let (secret_source, previous_source) = (secret.ok()?, previous.ok()?);
    Some(WebhookSettings { public_url, secret_source, previous_source, inlet })
}

/// Where a secret comes from, by the key of its variable or of its file; an error when both are given.
fn source(
    section: &mut Section<'_>,
    base: &Path,
    variables: &Variables<'_>,
    [env, file]: [&'static str; 2],
) -> Result<Option<KeySource>, ()> {
    let named = variables.name(section, env, variable);
    let path = section.removable(file, Show::Value, |text| path(base, text));
    if named.is_some() && path.is_some() {
        section.complain(file, format!("webhook.{env} is given too: give one of the two at most"));
        return Err(());
    }
    let variable = named.map(|name| KeySource::Variable { value: variables.held(&name), name });
    Ok(variable.or(path.map(KeySource::File)))
}

/// The inlet, if `listen` is given; its other keys are looked at all the same.
fn inlet(section: &mut Section<'_>, has_secret: bool) -> Option<InletSettings> {
    let given = section.has("listen");
    let listen = section.removable("listen", Show::Value, |text| {
        text.parse::<SocketAddr>().map_err(|_| "it must be an address and a port, such as 127.0.0.1:8788".to_owned())
    });
    let header = section.or("header", "x-webhook-signature".to_owned(), header_name);
    let algorithm = section.or("algorithm", Algorithm::HmacSha256, |text| match text {
        "hmac-sha256" => Ok(Algorithm::HmacSha256),
        "hmac-sha512" => Ok(Algorithm::HmacSha512),
        _ => Err("it must be \"hmac-sha256\" or \"hmac-sha512\"".to_owned()),
    });
    let encoding = section.or("encoding", Encoding::Hex, |text| match text {
        "hex" => Ok(Encoding::Hex),
        "base64" => Ok(Encoding::Base64),
        _ => Err("it must be \"hex\" or \"base64\"".to_owned()),
    });
    let prefix = section.or("prefix", "sha256=".to_owned(), |text| {
        if text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(text.to_owned());
        }
        Err("it must be at most 32 letters, digits or signs, or empty".to_owned())
    });
    let timestamp_header = section.removable("timestamp_header", Show::Value, header_name);
    let tolerance = section.span("tolerance", Span::from_secs(300), Span::from_secs(1)..=Span::from_secs(86_400));
    let max_body = section.number("max_body", Some(65_536), 64..=1_048_576);
    let rate = section.number("rate", Some(20), 1..=1_000);
    if let (Some(signature), Some(moment)) = (&header, &timestamp_header)
        && signature == moment
    {
        section.complain("timestamp_header", "it must not be the header with the signature (webhook.header)");
        return None;
    }
    if given && !has_secret {
        let text = "deliveries cannot be told from forgeries without a secret: give webhook.secret_env or \
                    webhook.secret_file";
        section.complain("listen", text);
        return None;
    }
    let timestamp_wrong = section.wrong("timestamp_header");
    let inlet = InletSettings {
        listen: listen?,
        header: header?,
        algorithm: algorithm?,
        encoding: encoding?,
        prefix: prefix?,
        timestamp_header,
        tolerance: tolerance?,
        max_body: usize::try_from(max_body?).ok()?,
        rate: u32::try_from(rate?).ok()?,
    };
    (!timestamp_wrong).then_some(inlet)
}

fn header_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Err("it must be the name of a header: letters, digits, '-' and '_'".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// The name of the variable that holds the secret. A secret in its place is recognised, and not shown.
fn variable(text: &str) -> Result<String, String> {
    if begins_as(text, "whsec_") {
        return Err("this looks like the secret itself: give the name of the variable that holds it".to_owned());
    }
    variable_name(text)
}
