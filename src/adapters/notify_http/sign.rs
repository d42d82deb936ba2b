//! The signature of Standard Webhooks 1.0.0: HMAC-SHA256 of `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;
use thiserror::Error;

/// What a secret starts with, so that it is known for one.
const PREFIX: &str = "whsec_";
/// The least bytes of a key (the specification's 192 bits).
const MIN_BYTES: usize = 24;
/// The most (the specification's 512 bits).
const MAX_BYTES: usize = 64;

/// Why a text is no secret. It is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The prefix is missing, or what follows is no base64.
    #[error("must be whsec_ and base64, as Standard Webhooks writes it")]
    Form,
    /// The key is too short or too long.
    #[error("must stand for 24 to 64 bytes: make one with `openssl rand -base64 32`, and put whsec_ before it")]
    Length,
}

pub struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// Reads a secret.
    ///
    /// # Errors
    /// It is not written as Standard Webhooks says, or too short or too long.
    pub fn read(secret: &SecretString) -> Result<Self, SecretError> {
        let digits = secret.expose_secret().strip_prefix(PREFIX).ok_or(SecretError::Form)?;
        let key = SecretSlice::from(STANDARD.decode(digits).map_err(|_| SecretError::Form)?);
        if (MIN_BYTES..=MAX_BYTES).contains(&key.expose_secret().len()) {
            Ok(Self(key))
        } else {
            Err(SecretError::Length)
        }
    }

    /// The value of the header `webhook-signature`. `seconds` is the moment of the delivery.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        // A key of any length makes an HMAC; an empty signature, which nobody accepts, stands for what cannot be.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else { return String::new() };
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    /// The vector of the specification's own libraries (github.com/standard-webhooks/standard-webhooks,
    /// libraries/python/tests/test_webhooks.py, `test_sign_function`).
    #[test]
    fn signs_as_the_specifications_own_libraries() {
        let key = SigningKey::read(&secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn weak_and_malformed_secrets_are_refused_and_not_shown() {
        let of = |text: &str| SigningKey::read(&secret(text)).map(|_| ()).unwrap_err();
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64", "whsec_MfKQ9r8GKYqrTwjUPD8="]
        {
            let error = of(text);
            assert!(!error.to_string().contains("MfKQ"), "{error}");
        }
        assert_eq!(of("whsec_MfKQ9r8GKYqrTwjUPD8="), SecretError::Length);
        assert_eq!(of(&format!("whsec_{}", STANDARD.encode([7; 65]))), SecretError::Length);
        assert!(SigningKey::read(&secret(&format!("whsec_{}", STANDARD.encode([7; 64])))).is_ok());
    }
}
