//! Whether a delivery comes from whoever has the secret: an HMAC of the body, compared in constant time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Sha256, Sha512};

use crate::config::{Algorithm, Encoding, InletSettings};

/// Both alphabets, with the padding at the end or without: a signature is right or not by its bytes.
const BASE64: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT), GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT)];
const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// From here on a number is milliseconds: as seconds it would be in the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

/// How many signatures are remembered, so that a delivery that comes again is known. Beyond that a repetition counts as new,
/// and costs a question at most.
const REMEMBERED: usize = 4_096;

/// The most signatures of one delivery that are looked at. While a secret is being replaced a delivery has two.
const MAX_SIGNATURES: usize = 16;

/// What a delivery is known by, whichever of its signatures was right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(Vec<u8>);

/// What a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what somebody with the secret sent, and new.
    Genuine(Tag),
    /// It was heard before. Only a signed moment tells: without one, two deliveries may be alike and both be news.
    Replayed,
    /// No signature is there, or none that is right.
    Forged,
    /// Its moment is missing, no moment, or too far from ours.
    Stale,
}

#[derive(Default)]
struct Memory {
    order: VecDeque<Tag>,
    known: BTreeSet<Tag>,
}

/// Judges deliveries.
pub(super) struct Verifier {
    algorithm: Algorithm,
    encoding: Encoding,
    header: String,
    prefix: String,
    timestamp_header: Option<String>,
    tolerance_secs: u64,
    /// The present one first.
    secrets: Vec<SecretString>,
    heard: Mutex<Memory>,
}

impl Verifier {
    pub(super) fn new(settings: &InletSettings, secrets: &[SecretString]) -> Self {
        Self {
            algorithm: settings.algorithm,
            encoding: settings.encoding,
            header: settings.header.clone(),
            prefix: settings.prefix.clone(),
            timestamp_header: settings.timestamp_header.clone(),
            tolerance_secs: settings.tolerance.as_secs(),
            secrets: secrets.to_vec(),
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
        let Some(tag) = self.right_one(headers, moment, body) else { return Verdict::Forged };
        let Some(moment) = moment else { return Verdict::Genuine(tag) };
        if seconds_of(moment).is_none_or(|seconds| seconds.abs_diff(now) > self.tolerance_secs) {
            return Verdict::Stale;
        }
        if self.remember(&tag) { Verdict::Genuine(tag) } else { Verdict::Replayed }
    }

    /// Forgets a delivery that was heard and could not be taken, so that it can come again.
    pub(super) fn forget(&self, tag: &Tag) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.known.remove(tag);
        heard.order.retain(|other| other != tag);
    }

    /// Returns whether it is new.
    fn remember(&self, tag: &Tag) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.known.insert(tag.clone()) {
            return false;
        }
        heard.order.push_back(tag.clone());
        if heard.order.len() > REMEMBERED
            && let Some(oldest) = heard.order.pop_front()
        {
            heard.known.remove(&oldest);
        }
        true
    }

    /// The signatures' bytes. There may be several, in one header or in several of its name: divided by commas, blanks or
    /// semicolons, each with the prefix or without.
    fn signatures(&self, headers: &HeaderMap) -> Vec<Vec<u8>> {
        let values = headers.get_all(&self.header).iter().filter_map(|value| value.to_str().ok());
        let parts = values.flat_map(|value| value.split([',', ' ', ';'])).filter(|text| !text.is_empty());
        let has_prefix =
            |text: &str| text.get(..self.prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(&self.prefix));
        let bare = |text| if has_prefix(text) { text.split_at(self.prefix.len()).1 } else { text };
        let bytes = parts.map(bare).take(MAX_SIGNATURES).filter_map(|text| match self.encoding {
            Encoding::Hex => unhex(text),
            Encoding::Base64 => BASE64.iter().find_map(|alphabet| alphabet.decode(text).ok()),
        });
        bytes.filter(|bytes| !bytes.is_empty()).collect()
    }

    /// What the delivery is known by, if one of its signatures is right by one of the secrets.
    fn right_one(&self, headers: &HeaderMap, moment: Option<&str>, body: &[u8]) -> Option<Tag> {
        let signatures = self.signatures(headers);
        let stamp = moment.map(|moment| format!("{moment}.")).unwrap_or_default();
        let mut tag = None;
        let mut is_right = false;
        for secret in &self.secrets {
            let (mine, right) = match self.algorithm {
                Algorithm::HmacSha256 => compare::<Hmac<Sha256>>(secret, &stamp, body, &signatures),
                Algorithm::HmacSha512 => compare::<Hmac<Sha512>>(secret, &stamp, body, &signatures),
            }?;
            tag = tag.or(Some(Tag(mine)));
            is_right |= right;
        }
        tag.filter(|_| is_right)
    }
}

/// The HMAC by this secret, and whether one of the signatures is it. `verify_slice` takes the same time whatever differs, and a
/// key of any length makes an HMAC.
fn compare<M: Mac + KeyInit + Clone>(
    secret: &SecretString,
    stamp: &str,
    body: &[u8],
    signatures: &[Vec<u8>],
) -> Option<(Vec<u8>, bool)> {
    let mut mac = <M as KeyInit>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(stamp.as_bytes());
    mac.update(body);
    let right = signatures.iter().filter(|signature| mac.clone().verify_slice(signature).is_ok()).count();
    Some((mac.finalize().into_bytes().to_vec(), right > 0))
}

/// A moment in Unix seconds: seconds or milliseconds in digits, or RFC 3339. What is signed is the text, and it has one reading.
fn seconds_of(moment: &str) -> Option<u64> {
    if !moment.is_empty() && moment.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u64 = moment.parse().ok()?;
        return Some(if number < MILLISECONDS { number } else { number / 1_000 });
    }
    moment.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok())
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
