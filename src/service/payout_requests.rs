//! A payout's wish out of the text that people and programs send, and the text of it again.
//!
//! Nothing is guessed: numbers with signs, separators or exponents, unknown reasons and ids with odd characters are refused,
//! each with the field's name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::chain::{Address, B256};
use crate::domain::decimal::Decimal;
use crate::domain::odd::{Odd, explained};
use crate::domain::payment::{BankAccountId, IdError, PayoutReference, RecipientId, UserId};
use crate::domain::payout::{Attachment, FundBy, PaymentReason, PayoutWish};
use crate::domain::quote::Exchange;
use crate::domain::text::is_hidden;
use crate::engine::{EngineSettings, PayoutRules};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::quotes::exchange;
use crate::service::requests::parse_address;
use crate::view::payout::{FileRef, Fund, PayoutRequest, RateRequest};

/// The longest text that the API takes for a document reference.
const MAX_TEXT: usize = 255;

/// The longest name of a file that is kept.
const MAX_NAME: usize = 120;

pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> OperatorError {
    OperatorError::Invalid { field, problem: problem.into() }
}

fn id<T>(field: &'static str, text: &str, parse: impl Fn(String) -> Result<T, IdError>) -> Result<T, OperatorError> {
    parse(text.to_owned()).map_err(|error| invalid(field, error.to_string()))
}

/// A payout's reference.
pub(crate) fn reference(text: &str) -> Result<PayoutReference, OperatorError> {
    id("reference", text, PayoutReference::new)
}

fn decimal(field: &'static str, text: Option<&String>) -> Result<Option<Decimal>, OperatorError> {
    text.map(|text| Decimal::from_person(text)).transpose().map_err(|error| invalid(field, error.to_string()))
}

fn text(field: &'static str, given: Option<&String>) -> Result<Option<String>, OperatorError> {
    let Some(text) = given else { return Ok(None) };
    if let Some(odd) = Odd::in_words(text) {
        return Err(invalid(field, odd.to_string()));
    }
    if text.trim().is_empty() || text.chars().count() > MAX_TEXT {
        return Err(invalid(field, format!("it must have 1 to {MAX_TEXT} characters, on one line")));
    }
    Ok(Some(text.clone()))
}

fn uuid(field: &'static str, given: Option<&String>) -> Result<Option<String>, OperatorError> {
    let Some(text) = given else { return Ok(None) };
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if lengths == [8, 4, 4, 4, 12] && hex {
        return Ok(Some(text.to_ascii_lowercase()));
    }
    let text: String = text.chars().take(80).collect();
    let problem = format_args!("{text:?} is no UUID, such as 3f2b8c1e-5d6a-4f7b-8c9d-0e1f2a3b4c5d");
    Err(invalid(field, explained(problem, &text)))
}

fn file(given: &FileRef, rules: &PayoutRules) -> Result<Attachment, OperatorError> {
    let hex = given.digest.strip_prefix("0x").unwrap_or(&given.digest);
    let digest: Option<B256> = hex.parse().ok().filter(|_| hex.len() == 64);
    let Some(digest) = digest else {
        return Err(invalid("files", "a digest is the SHA-256 of the file, in 64 hexadecimal digits"));
    };
    if !rules.files.types.contains(&given.media_type) {
        let media_type: String = given.media_type.chars().take(80).collect();
        let taken = rules.files.types.join(", ");
        return Err(invalid("files", format!("{media_type:?} is none of the media types that are taken: {taken}")));
    }
    if given.name.chars().count() > MAX_NAME || given.name.chars().any(is_hidden) {
        return Err(invalid("files", format!("a file's name has at most {MAX_NAME} characters, on one line")));
    }
    let (media_type, bytes, name) = (given.media_type.clone(), given.bytes, given.name.clone());
    Ok(Attachment { digest, media_type, bytes, name })
}

impl PayoutRequest {
    /// The part of it that a rate could be asked for.
    fn rate(&self) -> RateRequest {
        RateRequest {
            user: self.user.clone(),
            amount: self.amount.clone(),
            source_currency: self.source_currency.clone(),
            source_rail: self.source_rail.clone(),
            destination_currency: self.destination_currency.clone(),
            destination_rail: self.destination_rail.clone(),
            destination_country: self.destination_country.clone(),
            developer_fee: self.developer_fee.clone(),
        }
    }
}

/// The exchange that is asked for. Only the configured token on the configured chain can be paid with.
fn paid_exchange(settings: &EngineSettings, request: &PayoutRequest) -> Result<Exchange, OperatorError> {
    let params = &settings.payouts.params;
    let exchange = exchange(settings, &request.rate())?;
    let own = |field, given: &str, configured: &str, key: &str| {
        if given.eq_ignore_ascii_case(configured) {
            return Ok(());
        }
        let problem = format!("{given} is not what is paid with here, {configured} ({key}); leave it out");
        Err(invalid(field, problem))
    };
    own("source_currency", &exchange.source_currency, &params.currency, "chain.token.symbol")?;
    own("source_rail", &exchange.source_rail, &params.chain_name, "chain.name")?;
    Ok(exchange)
}

/// The wish that a request is, of what is sent from `from_address`.
pub(crate) fn wish_of(
    settings: &EngineSettings,
    request: &PayoutRequest,
    from_address: Address,
) -> Result<PayoutWish, OperatorError> {
    let rules = &settings.payouts;
    if request.files.len() > rules.files.max_files {
        let most = rules.files.max_files;
        return Err(invalid("files", format!("at most {most} files may go with a payout (payouts.max_files)")));
    }
    let reason = PaymentReason::new(&request.reason).map_err(|error| invalid("reason", error.to_string()))?;
    Ok(PayoutWish {
        user: id("user", &request.user, UserId::new)?,
        recipient: id("recipient", &request.recipient, RecipientId::new)?,
        bank_account: id("bank_account", &request.bank_account, BankAccountId::new)?,
        exchange: paid_exchange(settings, request)?,
        from_address,
        reason,
        document_reference: text("document_reference", request.document_reference.as_ref())?,
        reference_id: uuid("reference_id", request.reference_id.as_ref())?,
        files: request.files.iter().map(|given| file(given, rules)).collect::<Result<_, _>>()?,
        min_destination_amount: decimal("min_destination_amount", request.min_destination_amount.as_ref())?,
        fund: match request.fund {
            Fund::ByHand => FundBy::ByHand,
            Fund::Wallet => FundBy::Wallet,
        },
    })
}

impl OperatorService {
    /// The wish that a request is. `sender`: who sends unless the request says so.
    pub(crate) fn wish(&self, request: &PayoutRequest, sender: Option<Address>) -> Result<PayoutWish, OperatorError> {
        let given = request.from_address.as_deref().map(|text| parse_address("from_address", text)).transpose()?;
        let Some(from_address) = given.or(sender) else {
            let problem = "there is no wallet that would send: give the address that the USDC will come from";
            return Err(invalid("from_address", problem));
        };
        if from_address.is_zero() || from_address == self.settings.token {
            return Err(invalid("from_address", "nobody can send from the zero address or the token's own contract"));
        }
        wish_of(&self.settings, request, from_address)
    }
}

/// The first field in which two wishes differ, with what each says.
pub(crate) fn first_difference(known: &PayoutWish, wanted: &PayoutWish, decimals: u8) -> Option<String> {
    if known == wanted {
        return None;
    }
    let (known, wanted) = (told(known, decimals), told(wanted, decimals));
    let names: BTreeSet<&String> = known.keys().chain(wanted.keys()).collect();
    let Some(name) = names.into_iter().find(|name| known.get(*name) != wanted.get(*name)) else {
        return Some("content".to_owned());
    };
    let value = |of: &Map<String, Value>| of.get(name).map_or_else(|| "none".to_owned(), Value::to_string);
    Some(format!("{name} ({}, and here {})", value(&known), value(&wanted)))
}

/// Everything that a wish says, as it is shown.
fn told(wish: &PayoutWish, decimals: u8) -> Map<String, Value> {
    match serde_json::to_value(request_of(None, wish, decimals)) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The request that a wish came from, with everything that was left out.
pub(crate) fn request_of(reference: Option<&PayoutReference>, wish: &PayoutWish, decimals: u8) -> PayoutRequest {
    let exchange = &wish.exchange;
    PayoutRequest {
        reference: reference.map(ToString::to_string),
        user: wish.user.to_string(),
        recipient: wish.recipient.to_string(),
        bank_account: wish.bank_account.to_string(),
        amount: exchange.source_amount.to_decimal(decimals),
        source_currency: Some(exchange.source_currency.clone()),
        source_rail: Some(exchange.source_rail.clone()),
        destination_currency: exchange.destination_currency.clone(),
        destination_rail: exchange.destination_rail.clone(),
        destination_country: exchange.destination_country.clone(),
        developer_fee: exchange.developer_fee.as_ref().map(ToString::to_string),
        from_address: Some(wish.from_address.to_string()),
        reason: wish.reason.as_str().to_owned(),
        document_reference: wish.document_reference.clone(),
        reference_id: wish.reference_id.clone(),
        files: wish.files.iter().map(file_ref).collect(),
        min_destination_amount: wish.min_destination_amount.as_ref().map(ToString::to_string),
        fund: match wish.fund {
            FundBy::ByHand => Fund::ByHand,
            FundBy::Wallet => Fund::Wallet,
        },
        // How it was placed is told by its event.
        allow_repeat: false,
    }
}

fn file_ref(file: &Attachment) -> FileRef {
    let digest = file.digest.to_string();
    FileRef {
        digest: digest.strip_prefix("0x").unwrap_or(&digest).to_owned(),
        media_type: file.media_type.clone(),
        bytes: file.bytes,
        name: file.name.clone(),
    }
}
