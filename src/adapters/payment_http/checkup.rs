//! Asks the payment API, for a person, whether it takes the key: a question for a payment that cannot be there.

use crate::domain::checkup::{ApiCheckup, KeyWord};
use crate::domain::payment::NO_PAYMENT;
use crate::outbound::date_of;
use crate::ports::clock::Clock;
use crate::ports::payment_api::ApiError;

use super::PaymentHttp;

impl PaymentHttp {
    /// Asks for a payment that cannot be there. An API that says so has taken the key.
    pub async fn checkup(&self, clock: &dyn Clock) -> ApiCheckup {
        let asked_at = clock.now();
        let unclear = |detail: String| KeyWord::Unclear { detail };
        let (key, date) = match self.url(&["payments", NO_PAYMENT]) {
            Err(error) => (unclear(error.to_string()), None),
            Ok(url) => match self.get(url).await {
                Err(error) => (word(self.failures.of_sending(&error)), None),
                Ok(response) => {
                    let date = date_of(response.headers());
                    (self.word(response).await, date)
                }
            },
        };
        ApiCheckup { key, date, asked_at, took: clock.now().since(asked_at) }
    }

    async fn word(&self, mut response: reqwest::Response) -> KeyWord {
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return KeyWord::Taken;
        }
        let mut body = Vec::new();
        // What could be read of the body may still hold the API's reason.
        while let Ok(Some(chunk)) = response.chunk().await {
            if body.len().saturating_add(chunk.len()) > super::MAX_BODY_BYTES {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        word(self.failures.of_status(status, &headers, &body))
    }
}

fn word(error: ApiError) -> KeyWord {
    match error {
        ApiError::NotFound { .. } => KeyWord::Taken,
        ApiError::KeyRefused { status, .. } => KeyWord::Refused { status },
        ApiError::NotNow { detail, .. } | ApiError::Unclear { detail, .. } => KeyWord::Unclear { detail },
        refused @ ApiError::Refused { .. } => KeyWord::Unclear { detail: refused.to_string() },
    }
}
