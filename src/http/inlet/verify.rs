//! Whether a delivery comes from whoever has the secret: an HMAC of the body, compared in constant time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Sha256, Sha512};

use crate::config::{Algorithm, Encoding, InletSettings};

/// How many signatures are remembered, so that a delivery that comes again is known. Beyond that a repetition counts as new,
/// and costs a question at most.
const REMEMBERED: usize = 4_096;

/// What a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what somebody with the secret sent, and new.
    Genuine,
    /// It was heard before. Only a signed moment tells: without one, two deliveries may be alike and both be news.
    Replayed,
    /// The signature is missing, there twice, or wrong.
    Forged,
    /// Its moment is missing, no moment, or too far from ours.
    Stale,
}

#[derive(Default)]
struct Memory {
    order: VecDeque<Vec<u8>>,
    known: BTreeSet<Vec<u8>>,
}

/// Judges deliveries.
pub(super) struct Verifier {
    algorithm: Algorithm,
    encoding: Encoding,
    header: String,
    prefix: String,
    timestamp_header: Option<String>,
    tolerance_secs: u64,
    secret: SecretString,
    heard: Mutex<Memory>,
}

impl Verifier {
    pub(super) fn new(settings: &InletSettings, secret: &SecretString) -> Self {
        Self {
            algorithm: settings.algorithm,
            encoding: settings.encoding,
            header: settings.header.clone(),
            prefix: settings.prefix.clone(),
            timestamp_header: settings.timestamp_header.clone(),
            tolerance_secs: settings.tolerance.as_secs(),
            secret: secret.clone(),
            heard: Mutex::default(),
        }
    }

    /// Judges a delivery that came now (in Unix seconds), and remembers it.
    pub(super) fn judge(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Verdict {
        let moment = match &self.timestamp_header {
            None => None,
            Some(name) => match only(headers, name) {
                Some(moment) => Some(moment),
                None => return Verdict::Stale,
            },
        };
        let Some(signature) = self.signature(headers) else { return Verdict::Forged };
        if !self.is_right(moment, body, &signature) {
            return Verdict::Forged;
        }
        let Some(moment) = moment else { return Verdict::Genuine };
        // Only digits: what is signed is the text, and it must have one reading.
        let digits = !moment.is_empty() && moment.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: Option<u64> = moment.parse().ok().filter(|_| digits);
        if seconds.is_none_or(|seconds| seconds.abs_diff(now) > self.tolerance_secs) {
            return Verdict::Stale;
        }
        if self.remember(signature) { Verdict::Genuine } else { Verdict::Replayed }
    }

    /// Forgets a delivery that was heard and could not be taken, so that it can come again.
    pub(super) fn forget(&self, headers: &HeaderMap) {
        let Some(signature) = self.signature(headers) else { return };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.known.remove(&signature);
        heard.order.retain(|other| *other != signature);
    }

    /// Returns whether it is new.
    fn remember(&self, signature: Vec<u8>) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.known.insert(signature.clone()) {
            return false;
        }
        heard.order.push_back(signature);
        if heard.order.len() > REMEMBERED
            && let Some(oldest) = heard.order.pop_front()
        {
            heard.known.remove(&oldest);
        }
        true
    }

    /// The signature's bytes.
    fn signature(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let text = only(headers, &self.header)?;
        let text = text.strip_prefix(self.prefix.as_str()).unwrap_or(text);
        match self.encoding {
            Encoding::Hex => unhex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
    }

    fn is_right(&self, moment: Option<&str>, body: &[u8], signature: &[u8]) -> bool {
        let key = self.secret.expose_secret().as_bytes();
        let stamp = moment.map(|moment| format!("{moment}.")).unwrap_or_default();
        // A key of any length makes an HMAC, and `verify_slice` takes the same time whatever differs.
        match self.algorithm {
            Algorithm::HmacSha256 => Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mut mac| {
                mac.update(stamp.as_bytes());
                mac.update(body);
                mac.verify_slice(signature).is_ok()
            }),
            Algorithm::HmacSha512 => Hmac::<Sha512>::new_from_slice(key).is_ok_and(|mut mac| {
                mac.update(stamp.as_bytes());
                mac.update(body);
                mac.verify_slice(signature).is_ok()
            }),
        }
    }
}

/// A header's value, if it is there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}
