//! Which payments a delivery may be about. Its form is not documented, so every usual place is looked at; an id that is none
//! of ours wakes nothing.

use serde_json::Value;

use crate::domain::payment::PaymentId;
use crate::domain::text::short;

/// The most payments of one delivery. More are asked after by the clock.
const MOST: usize = 64;

/// Where an id may be, from the likeliest on.
const PLACES: [&str; 14] = [
    "/data/paymentId",
    "/data/payment_id",
    "/data/payment/id",
    "/data/object/id",
    "/data/id",
    "/payment/id",
    "/payload/paymentId",
    "/payload/payment/id",
    "/payload/id",
    "/object/id",
    "/paymentId",
    "/payment_id",
    "/resourceId",
    "/id",
];

/// Where a list of payments, of events, or of their ids may be.
const LISTS: [&str; 8] =
    ["/data", "/events", "/payments", "/items", "/data/payments", "/data/items", "/payload", "/payload/payments"];

/// What a delivery names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// These payments, or what may be payments; each once, and never none.
    Payments(Vec<PaymentId>),
    /// None. `kind`: what it calls itself.
    None {
        /// `webhook.test`, for example; shortened.
        kind: String,
    },
    NoJson,
}

/// Reads a delivery. One with nothing in it is one that names nothing.
pub(super) fn read(body: &[u8]) -> Named {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Named::None { kind: "nothing".to_owned() };
    }
    // Names of people in another encoding are no reason not to read an id.
    let Ok(value) = serde_json::from_str::<Value>(&String::from_utf8_lossy(body)) else { return Named::NoJson };
    let mut found = Vec::new();
    look_into(&value, &mut found);
    if !found.is_empty() {
        return Named::Payments(found);
    }
    let called = ["/event", "/type", "/eventType", "/event_type", "/action"]
        .iter()
        .find_map(|place| value.pointer(place)?.as_str());
    Named::None { kind: short(called.unwrap_or("without a name")) }
}

/// Finds the ids in an event, or in each item of a list, which may be an event, a payment or an id.
fn look_into(value: &Value, found: &mut Vec<PaymentId>) {
    let lists = LISTS.iter().filter_map(|place| value.pointer(place)?.as_array());
    for item in value.as_array().into_iter().chain(lists).flatten() {
        if found.len() >= MOST {
            return;
        }
        note(item, found);
        for place in PLACES {
            item.pointer(place).into_iter().for_each(|id| note(id, found));
        }
    }
    for place in PLACES {
        value.pointer(place).into_iter().for_each(|id| note(id, found));
    }
}

/// Notes an id: a text, or a whole number.
fn note(value: &Value, found: &mut Vec<PaymentId>) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return,
    };
    let id = PaymentId::new(text).ok().filter(|id| !found.contains(id) && found.len() < MOST);
    found.extend(id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_the_usual_places_and_nowhere_else() {
        let none = |kind: &str| Named::None { kind: kind.to_owned() };
        let cases: [(&str, Result<&[&str], Named>); 21] = [
            (r#"{"event":"payment.updated","data":{"id":"p-1","status":"COMPLETED"}}"#, Ok(&["p-1"])),
            (r#"{"id":"evt-1","data":{"payment":{"id":"p-1"}}}"#, Ok(&["p-1", "evt-1"])),
            (r#"{"paymentId":"p-1"}"#, Ok(&["p-1"])),
            (r#"{"id":"p-1","status":"FAILED"}"#, Ok(&["p-1"])),
            (r#"{"id":"p-1","data":{"id":"p-1"}}"#, Ok(&["p-1"])),
            (r#"{"data":{"id":7}}"#, Ok(&["7"])),
            (r#"["p-1"]"#, Ok(&["p-1"])),
            (r#"[{"event":"payment.updated","data":{"id":"p-1"}},{"data":{"id":"p-2"}}]"#, Ok(&["p-1", "p-2"])),
            (r#"{"data":[{"id":"p-1"},{"paymentId":"p-2"}]}"#, Ok(&["p-1", "p-2"])),
            (r#"{"events":[{"type":"x","data":{"payment":{"id":"p-1"}}}]}"#, Ok(&["p-1"])),
            ("\u{feff}{\"id\":\"p-1\"}", Ok(&["p-1"])),
            (r#"{"data":{"id":"../../x"}}"#, Err(none("without a name"))),
            (r#"{"data":{"id":7.5}}"#, Err(none("without a name"))),
            (r#"{"data":"p-1"}"#, Err(none("without a name"))),
            (r#"{"event":"webhook.test","data":{}}"#, Err(none("webhook.test"))),
            ("null", Err(none("without a name"))),
            ("[]", Err(none("without a name"))),
            ("", Err(none("nothing"))),
            (" \n", Err(none("nothing"))),
            ("p-1", Err(Named::NoJson)),
            (r#"{"data":{"id":"p-1"}"#, Err(Named::NoJson)),
        ];
        for (body, expected) in cases {
            match (read(body.as_bytes()), expected) {
                (Named::Payments(found), Ok(expected)) => {
                    assert_eq!(found.iter().map(|id| id.as_str()).collect::<Vec<_>>(), expected, "{body}");
                }
                (read, Err(expected)) => assert_eq!(read, expected, "{body}"),
                (read, Ok(_)) => panic!("{body}: {read:?}"),
            }
        }
        let latin = Named::Payments(vec![PaymentId::new("p-1").unwrap()]);
        assert_eq!(read(b"{\"name\":\"Ren\xe9\",\"id\":\"p-1\"}"), latin, "not UTF-8");
        let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
        assert_eq!(read(deep.as_bytes()), Named::NoJson, "a deep one is refused and breaks nothing");
        let long: Vec<String> = (0..5_000).map(|n| format!("p-{n}")).collect();
        let Named::Payments(found) = read(&serde_json::to_vec(&long).unwrap()) else { panic!("they are named") };
        assert_eq!(found.len(), MOST, "no delivery has the API asked after any number of payments");
    }
}
