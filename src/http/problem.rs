//! Errors as `application/problem+json` (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::engine::handle::HandleError;

/// What went wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request cannot be understood.
    Malformed,
    /// Something in it is wrong or missing.
    Invalid,
    /// No token, or a wrong one.
    Unauthorized,
    /// The `Host` is another machine.
    Host,
    /// It is not known here.
    NotFound,
    /// There is no such route.
    NoRoute,
    /// The route does not take this method.
    Method,
    /// It is there already, with other content.
    Exists,
    /// The rules forbid it.
    Refused,
    /// The body is too large.
    TooLarge,
    /// The payment API was needed and could not be used.
    Api,
    /// The store failed.
    Store,
    /// It took too long.
    Timeout,
}

impl Code {
    /// The HTTP status that goes with it.
    const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Host => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Exists | Self::Refused => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Api => StatusCode::BAD_GATEWAY,
            Self::Store => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// An error as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong and what to do, for people.
    pub detail: String,
}

impl Problem {
    /// A problem with the status that goes with its code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = code.status();
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { title, status: status.as_u16(), code, detail: detail.into() }
    }
}

impl From<HandleError> for Problem {
    fn from(error: HandleError) -> Self {
        let code = match &error {
            HandleError::NotFound(_) => Code::NotFound,
            HandleError::Exists(_) => Code::Exists,
            HandleError::Invalid { .. } => Code::Invalid,
            HandleError::Refused(_) => Code::Refused,
            HandleError::Api(_) => Code::Api,
            HandleError::Store(_) => Code::Store,
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rampwatch\""));
        }
        response
    }
}
