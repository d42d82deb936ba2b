//! Which payments a delivery may be about. Its form is not documented, so every usual place is looked at; an id that is none
//! of ours wakes nothing.

use serde_json::Value;

use crate::domain::payment::PaymentId;

/// The most payments of one delivery.
const MOST: usize = 4;

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

/// The ids in a delivery that may be those of payments, each once.
pub(super) fn payments(body: &[u8]) -> Vec<PaymentId> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let mut found: Vec<PaymentId> = Vec::new();
    for text in PLACES.iter().filter_map(|place| value.pointer(place)?.as_str()) {
        let id = PaymentId::new(text).ok().filter(|id| !found.contains(id));
        found.extend(id);
        if found.len() >= MOST {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_the_usual_places_and_nowhere_else() {
        let cases: [(&str, &[&str]); 12] = [
            (r#"{"event":"payment.updated","data":{"id":"p-1","status":"COMPLETED"}}"#, &["p-1"]),
            (r#"{"id":"evt-1","data":{"payment":{"id":"p-1"}}}"#, &["p-1", "evt-1"]),
            (r#"{"paymentId":"p-1"}"#, &["p-1"]),
            (r#"{"id":"p-1","status":"FAILED"}"#, &["p-1"]),
            (r#"{"id":"p-1","data":{"id":"p-1"}}"#, &["p-1"]),
            (r#"{"data":{"id":"../../x"}}"#, &[]),
            (r#"{"data":{"id":7}}"#, &[]),
            (r#"{"data":"p-1"}"#, &[]),
            (r#"["p-1"]"#, &[]),
            ("p-1", &[]),
            ("", &[]),
            (r#"{"data":{"id":"p-1"}"#, &[]),
        ];
        for (body, expected) in cases {
            let found = payments(body.as_bytes());
            assert_eq!(found.iter().map(|id| id.as_str()).collect::<Vec<_>>(), expected, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
        assert_eq!(payments(deep.as_bytes()), [], "a deep one is refused and breaks nothing");
    }
}
