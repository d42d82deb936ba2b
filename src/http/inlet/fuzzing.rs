//! Deliveries to the webhook inlet, for fuzzing (`make fuzz`).

use axum::http::{HeaderMap, HeaderValue};
use secrecy::SecretString;

use super::body::{Named, read};
use super::verify::{Verdict, Verifier};
use crate::config::{Algorithm, Encoding, InletSettings};
use crate::domain::time::Span;

/// Reads the bytes as a delivery's body, and as its signature and its moment. Returns the ids that would be asked after.
pub(crate) fn delivery(data: &[u8]) -> Vec<String> {
    let words = match read(data) {
        Named::Payments(found) => {
            assert!(found.len() <= 64, "{} payments would be asked after", found.len());
            found.iter().map(ToString::to_string).collect()
        }
        Named::None { kind } => vec![kind],
        Named::NoJson => Vec::new(),
    };
    for encoding in [Encoding::Hex, Encoding::Base64] {
        let settings = InletSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            header: "x-signature".to_owned(),
            algorithm: Algorithm::HmacSha256,
            encoding,
            prefix: "sha256=".to_owned(),
            timestamp_header: Some("x-moment".to_owned()),
            tolerance: Span::from_secs(300),
            max_body: 65_536,
            rate: 20,
        };
        let verifier = Verifier::new(&settings, &["nobody knows it", "nor the one before it"].map(SecretString::from));
        let Ok(value) = HeaderValue::from_bytes(data) else { continue };
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", value.clone());
        headers.insert("x-moment", value);
        assert!(
            matches!(verifier.judge(&headers, data, 1_800_000_000), Verdict::Forged | Verdict::Stale),
            "whoever does not have the secret is not believed"
        );
    }
    words
}
