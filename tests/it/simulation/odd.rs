//! The API's answers in other clothes: dates in other forms, ids as numbers, fields that cannot be read, statuses that nobody
//! knows. Each is written as JSON and read by the program's own reader, so that what the process makes of it is what it would
//! make of the bytes.

use rampwatch::adapters::payment_http::PaymentHttp;
use rampwatch::domain::api_field::ApiField;
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::payment_api::{ApiError, ApiPayment};
use serde_json::{Map, Value, json};

use super::only::Chaos;
use super::rng::Rng;
use super::world::World;

/// Answers in other clothes, out of a thousand, while things go wrong.
const ODD: u64 = 80;

/// The decimals of the token.
const DECIMALS: u8 = 6;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    /// Dates as milliseconds, as seconds with a fraction, or with an offset: read as they are.
    OtherDates,
    /// Dates without a zone.
    BareDates,
    /// What is only shown is anything.
    Shown,
    /// One field that decides is anything.
    Term,
    /// The hash is anything.
    Hash,
    /// The id is another one.
    Id,
    /// The status is one that nobody knows.
    Status,
}

const ALL: [Odd; 7] = [Odd::OtherDates, Odd::BareDates, Odd::Shown, Odd::Term, Odd::Hash, Odd::Id, Odd::Status];

/// The answer, sometimes in other clothes.
pub(super) fn dressed(world: &World, rng: &mut Rng, said: ApiPayment) -> Result<ApiPayment, ApiError> {
    if world.settings.api_faults == 0 || !rng.permille(ODD) || !world.fails(Chaos::Api) {
        return Ok(said);
    }
    let odd = *rng.pick(&ALL);
    let mut body = written(&said);
    dress(odd, rng, &mut body);
    world.count(&format!("odd answer: {odd:?}"));
    if odd == Odd::Status {
        let status = body.get("status").map(ToString::to_string).unwrap_or_default();
        world.api().odd_statuses.insert((said.id.clone(), status.trim_matches('"').to_owned()));
    }
    let body = serde_json::to_vec(&body).expect("it is JSON");
    let read = PaymentHttp::read_payment(&body, &said.id, DECIMALS);
    match (odd, &read) {
        (Odd::OtherDates | Odd::Shown, Ok(read)) if as_far_as_it_counts(read) == as_far_as_it_counts(&said) => {}
        (Odd::BareDates | Odd::Term | Odd::Hash | Odd::Status, Ok(_)) | (Odd::Id, Err(_)) => {}
        _ => world.violate(&format!("{odd:?}: {} was read as {read:?}", String::from_utf8_lossy(&body))),
    }
    read.map_err(|detail| ApiError::Unclear { detail, retry_after: None })
}

/// Whether an answer hides nothing that decides, but for what a person has vouched for.
pub(super) fn hides_nothing(world: &World, said: &ApiPayment) -> bool {
    let decides = [
        ApiField::TransactionHash,
        ApiField::RecipientId,
        ApiField::DepositAddress,
        ApiField::DepositAmount,
        ApiField::DepositChain,
    ];
    let stored = world.store.contents().payments.get(&said.id).map(|payment| payment.vouched.clone());
    let vouched = stored.unwrap_or_default();
    said.unread.iter().all(|unread| !decides.contains(&unread.field) || vouched.contains(&unread.field))
}

/// The payment as the API would write it.
fn written(said: &ApiPayment) -> Map<String, Value> {
    let moment = |at: Option<Timestamp>| at.map(|at| at.as_millis());
    let amount = said.deposit_amount.map(|amount| amount.to_decimal(DECIMALS));
    let all = json!({
        "id": said.id, "status": said.status.as_str(), "transactionHash": said.tx_hash, "recipientId": said.recipient_id,
        "depositAddress": said.deposit_address.map(|address| address.to_string()), "depositAmount": amount,
        "depositChain": said.deposit_chain, "sourceCurrency": said.source_currency, "bankAccountId": said.bank_account,
        "fromAddress": said.sender.map(|sender| sender.to_string()), "createdAt": moment(said.created_at),
        "expiresAt": moment(said.expires_at), "type": said.kind, "idempotencyKey": said.idempotency_key,
    });
    let Value::Object(all) = all else { unreachable!("it was written as an object") };
    all.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn dress(odd: Odd, rng: &mut Rng, body: &mut Map<String, Value>) {
    let mut put = |field: &str, value: Value| drop(body.insert(field.to_owned(), value));
    match odd {
        Odd::OtherDates => {
            for field in ["createdAt", "expiresAt"] {
                let Some(millis) = body.get(field).and_then(Value::as_u64) else { continue };
                let (secs, rest) = (millis / 1_000, millis % 1_000);
                let at = jiff::Timestamp::from_millisecond(millis.try_into().expect("soon")).expect("a moment");
                let east = at.to_string().replace('Z', "+00:00");
                let value = match rng.below(4) {
                    0 => json!(format!("{secs}.{rest:03}")),
                    1 => json!(millis.to_string()),
                    2 => json!(east),
                    _ => json!(millis),
                };
                body.insert(field.to_owned(), value);
            }
        }
        Odd::BareDates => {
            for field in ["createdAt", "expiresAt", "sentAt", "completedAt"] {
                put(field, json!("2026-11-29T20:03:05"));
            }
        }
        Odd::Shown => {
            for field in ["sentAt", "completedAt", "fee", "reason", "documentReference", "metadata", "sourceAccount"] {
                put(field, anything(rng));
            }
        }
        Odd::Term => {
            let terms =
                ["recipientId", "depositAddress", "depositAmount", "depositChain", "sourceCurrency", "bankAccountId"];
            let term = *rng.pick(&terms);
            put(term, garbage(rng));
        }
        Odd::Hash => put("transactionHash", garbage(rng)),
        Odd::Id => put("id", json!("somebody-else")),
        Odd::Status => put("status", rng.pick(&[json!("ON_HOLD"), json!(7), json!({"code": 7})]).clone()),
    }
}

/// Any value.
fn anything(rng: &mut Rng) -> Value {
    rng.pick(&[Value::Null, json!(7), json!(""), json!("x"), json!([]), json!({"a": 1}), json!(-1.5), json!(true)])
        .clone()
}

/// A value that no field that decides can have.
fn garbage(rng: &mut Rng) -> Value {
    rng.pick(&[json!(-1.5), json!([]), json!({"id": 137}), json!(true), json!("x".repeat(300))]).clone()
}

/// What follows from a payment, without what is only shown.
fn as_far_as_it_counts(said: &ApiPayment) -> ApiPayment {
    let shown = |field: ApiField| matches!(field, ApiField::SentAt | ApiField::CompletedAt);
    let unread = said.unread.iter().filter(|unread| !shown(unread.field)).cloned().collect();
    ApiPayment {
        unread,
        fee: None,
        reason: None,
        document_reference: None,
        sent_at: None,
        completed_at: None,
        ..said.clone()
    }
}
