//! Opening an off-ramp through the API: everything in the request is checked, and the quote must be good for it.

use std::str::FromStr;

use alloy::primitives::keccak256;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::book::NewOffRamp;
use super::server::{Answer, Shared, World, now};
use super::shapes;
use crate::domain::chain::{Address, B256};
use crate::domain::payment::{BankAccountId, RecipientId};
use crate::domain::payout::PAYMENT_REASONS;

/// The most files that an off-ramp may bear.
const MAX_FILES: usize = 5;

/// The most bytes that a file may have.
const MAX_FILE_BYTES: usize = 5 * 1024 * 1024;

/// The kinds of files that are taken.
const MEDIA_TYPES: [&str; 3] = ["application/pdf", "image/jpeg", "image/png"];

/// What happens when a key comes again with another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyReuse {
    /// It gives the payment that it gave before, as the API documents.
    SamePayment,
    /// It is refused with 409, as many APIs do.
    Refused,
}

/// A file that came with an off-ramp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    pub media_type: String,
    pub bytes: usize,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    idempotency_key: String,
    quote_id: String,
    bank_account_id: String,
    from_address: String,
    payment_reason: String,
    document_reference: Option<String>,
    reference_id: Option<String>,
    #[serde(default)]
    files: Vec<String>,
}

/// Opens an off-ramp, or gives the one that the key gave before.
pub(super) fn create(shared: &Shared, recipient: &str, body: &[u8]) -> Answer {
    let (new, quote_id) = match checked(recipient, body) {
        Ok(checked) => checked,
        Err(answer) => return answer,
    };
    let mut world = shared.world();
    let shape = world.behaviour.shape;
    if let Some(known) = new.idempotency_key.as_deref().and_then(|key| world.book.by_key(key)) {
        let same = known.body_digest == new.body_digest;
        let may = same || world.behaviour.key_reuse == KeyReuse::SamePayment;
        if Some(&known.recipient_id) != new.recipient_id.as_ref() || !may {
            let message = "idempotencyKey was used for another request";
            return Answer::error(StatusCode::CONFLICT, message, None);
        }
        return Answer::with(StatusCode::CREATED, false, shapes::payment(&known, shape));
    }
    let new = match on_quote(&world, new, &quote_id) {
        Ok(new) => new,
        Err(answer) => return answer,
    };
    match world.book.open(new, now()) {
        Ok(off_ramp) => {
            world.quotes.used(&quote_id, off_ramp.id.clone());
            // The create answer of both descriptions: the guide adds where the money goes.
            Answer::with(StatusCode::CREATED, true, shapes::payment(&off_ramp, shape))
        }
        Err(refusal) => super::routes::refused(&refusal),
    }
}

fn bad(message: &str, field: &str) -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, message, Some(field))
}

/// Takes the amount from the quote, which must be this user's, for this bank account, alive and unused.
fn on_quote(world: &World, new: NewOffRamp, quote_id: &str) -> Result<NewOffRamp, Answer> {
    let owner = new.recipient_id.as_ref().map(|recipient| world.people.owner(recipient));
    let given = world.quotes.get(quote_id).filter(|given| Some(given.user.as_str()) == owner);
    let Some(given) = given else {
        return Err(Answer::error(StatusCode::NOT_FOUND, "Quote not found", None));
    };
    if new.bank_account.as_ref().is_none_or(|account| account.as_str() != given.bank_account) {
        return Err(bad("bankAccountId is not the one that the quote was given for", "bankAccountId"));
    }
    if given.used_by.is_some() {
        return Err(Answer::error(StatusCode::CONFLICT, "Quote was used already", None));
    }
    if given.expires_at <= now() {
        return Err(bad("Quote has expired", "quoteId"));
    }
    Ok(NewOffRamp { amount: given.price.source, fee: given.price.total, ..new })
}

/// Checks a request, and gives what is to be opened, without an amount yet, and the quote's id.
fn checked(recipient: &str, text: &[u8]) -> Result<(NewOffRamp, String), Answer> {
    let body: Body = serde_json::from_slice(text).map_err(|error| bad(&error.to_string(), "body"))?;
    let filled = [
        ("idempotencyKey", Some(&body.idempotency_key)),
        ("quoteId", Some(&body.quote_id)),
        ("bankAccountId", Some(&body.bank_account_id)),
        ("documentReference", body.document_reference.as_ref()),
    ];
    for (field, value) in filled {
        if value.is_some_and(|value| value.is_empty() || value.chars().count() > 255) {
            return Err(bad(&format!("{field} must have 1 to 255 characters"), field));
        }
    }
    if !PAYMENT_REASONS.contains(&body.payment_reason.as_str()) {
        return Err(bad("paymentReason must be one of the known reasons", "paymentReason"));
    }
    if body.reference_id.as_deref().is_some_and(|id| !is_uuid(id)) {
        return Err(bad("referenceId must be a UUID", "referenceId"));
    }
    let sender = Address::from_str(&body.from_address).ok().filter(|_| body.from_address.starts_with("0x"));
    let sender = sender.ok_or_else(|| bad("fromAddress must be an address", "fromAddress"))?;
    let recipient_id =
        RecipientId::new(recipient).map_err(|_| Answer::error(StatusCode::NOT_FOUND, "Recipient not found", None))?;
    let bank_account =
        BankAccountId::new(body.bank_account_id).map_err(|_| bad("bankAccountId is no id", "bankAccountId"))?;
    if body.files.len() > MAX_FILES {
        return Err(bad(&format!("there may be at most {MAX_FILES} files"), "files"));
    }
    let files: Result<Vec<FileSeen>, String> = body.files.iter().map(|url| file(url)).collect();
    let new = NewOffRamp {
        recipient_id: Some(recipient_id),
        bank_account: Some(bank_account),
        sender: Some(sender),
        idempotency_key: Some(body.idempotency_key),
        quote_id: Some(body.quote_id.clone()),
        payment_reason: Some(body.payment_reason),
        document_reference: body.document_reference,
        reference_id: body.reference_id,
        files: files.map_err(|why| bad(&why, "files"))?,
        body_digest: digest(text),
        ..NewOffRamp::default()
    };
    Ok((new, body.quote_id))
}

/// What tells two requests apart, however their fields are ordered.
fn digest(text: &[u8]) -> Option<B256> {
    serde_json::from_slice::<Value>(text).ok().map(|value| keccak256(value.to_string()))
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// A file as a data URL (RFC 2397).
fn file(url: &str) -> Result<FileSeen, String> {
    let parts = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let Some((media_type, encoded)) = parts else {
        return Err("each file must be a data URL in base64".to_owned());
    };
    if !MEDIA_TYPES.contains(&media_type) {
        return Err(format!("files must be of {}", MEDIA_TYPES.join(", ")));
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| "a file is no base64".to_owned())?;
    if bytes.is_empty() || bytes.len() > MAX_FILE_BYTES {
        return Err(format!("a file must have 1 to {MAX_FILE_BYTES} bytes"));
    }
    let sha256 = alloy::primitives::hex::encode(Sha256::digest(&bytes));
    Ok(FileSeen { media_type: media_type.to_owned(), bytes: bytes.len(), sha256 })
}
