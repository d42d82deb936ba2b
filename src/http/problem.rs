//! Errors as `application/problem+json` (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::refusals::Refusals;
use crate::domain::actor::{Actor, Role};
use crate::domain::time::Span;
use crate::service::operator_service::OperatorError;
use crate::view::shapes;

/// What went wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request cannot be understood.
    Malformed,
    /// Something in it is wrong or missing.
    Invalid,
    /// No token, or a wrong one.
    Unauthorized,
    /// The token does not bear the role that the route needs.
    MissingRole,
    /// Whoever asks has placed the order, and so cannot approve it.
    OwnOrder,
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
    /// It is another payout over again, and nobody has said that it is meant.
    Repeat,
    /// The body is too large.
    TooLarge,
    /// The body is not said to be of the type that the route takes.
    MediaType,
    /// The body took too long to come.
    SlowBody,
    /// Too much of this is going on already.
    Busy,
    /// The payment API was needed and could not be used.
    Api,
    /// The store failed.
    Store,
    /// It took too long.
    Timeout,
}

impl Code {
    /// The HTTP status that goes with it.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Host | Self::MissingRole | Self::OwnOrder => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Exists | Self::Refused | Self::Repeat => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Api => StatusCode::BAD_GATEWAY,
            Self::Store => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl Code {
    /// Its name, as it is sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    /// What it means, for the document.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Malformed => "the request cannot be understood.",
            Self::Invalid => "something in it is wrong or missing.",
            Self::Unauthorized => "no token, or a wrong one.",
            Self::MissingRole => "the token does not bear the role.",
            Self::OwnOrder => "whoever asks has placed the order.",
            Self::Host => "the Host is another machine.",
            Self::NotFound => "it is not known here.",
            Self::NoRoute => "there is no such route.",
            Self::Method => "the route does not take this method.",
            Self::Exists => "it is there already, with other content.",
            Self::Refused => "the rules forbid it; nothing was changed.",
            Self::Repeat => "it is another payout over again, and allow_repeat does not say that it is meant.",
            Self::TooLarge => "the body is too large.",
            Self::MediaType => "the body is of another media type.",
            Self::SlowBody => "the body took too long to come.",
            Self::Busy => "too much of this is going on already.",
            Self::Api => "the payment API was needed and could not be used.",
            Self::Store => "the store failed.",
            Self::Timeout => "it took too long; ask how it stands before trying again.",
        }
    }
}

/// An error as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong and what to do, for people.
    pub detail: String,
    /// The role that is missing, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Role>")]
    pub needs: Option<Role>,
    /// When it is worth asking again, for the header `Retry-After`.
    #[serde(skip)]
    #[schemars(skip)]
    pub retry_after: Option<Span>,
}

impl Problem {
    /// A problem with the status that goes with its code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = code.status();
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { title, status: status.as_u16(), code, detail: detail.into(), needs: None, retry_after: None }
    }

    /// A token without this role was given.
    #[must_use]
    pub fn missing_role(role: Role, name: &Actor) -> Self {
        let detail = format!("this needs the role {role}, which the token of {name} does not bear (http.tokens)");
        Self { needs: Some(role), ..Self::new(Code::MissingRole, detail) }
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        let code = match &error {
            OperatorError::NotFound(_) | OperatorError::UnknownToApi(_) => Code::NotFound,
            OperatorError::Exists(_) => Code::Exists,
            OperatorError::Invalid { .. } => Code::Invalid,
            OperatorError::Refused(_) => Code::Refused,
            OperatorError::Repeat(_) => Code::Repeat,
            OperatorError::OwnOrder(_) => Code::OwnOrder,
            OperatorError::TooMany { .. } => Code::Busy,
            OperatorError::Api(_) => Code::Api,
            OperatorError::Store(_) => Code::Store,
        };
        if code == Code::Busy {
            Refusals::count_limit();
        }
        Self { retry_after: error.retry_after(), ..Self::new(code, error.to_string()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(span) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(span.as_millis().div_ceil(1_000)));
        }
        if self.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rampwatch\""));
        }
        response
    }
}
