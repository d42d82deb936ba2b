//! Why something that was asked for was not done.

use thiserror::Error;

use crate::domain::actor::Actor;
use crate::domain::time::Span;
use crate::engine::add::AddError;
use crate::ports::payment_api::ApiError;
use crate::ports::store::StoreError;

/// Why something was not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OperatorError {
    /// It is not known here.
    #[error("{0} is not known here")]
    NotFound(String),
    /// The payment API does not know it.
    #[error("the payment API knows no {0}")]
    UnknownToApi(String),
    /// It is there already, with other content.
    #[error("{0}")]
    Exists(String),
    /// Something that was given is wrong, or missing.
    #[error("{field}: {problem}")]
    Invalid {
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The rules forbid it.
    #[error("{0}")]
    Refused(String),
    /// It is another payout over again, and nobody has said that it is meant.
    #[error("{0}")]
    Repeat(String),
    /// Whoever asks has placed the order, and so cannot approve it.
    #[error("{0}")]
    OwnOrder(String),
    /// Whoever asks has asked too often.
    #[error(
        "{who} has asked too often: {what} are let through. Nothing was done; ask again in {} s",
        retry_after.as_millis().div_ceil(1_000)
    )]
    TooMany {
        /// How often one name may ask, in words.
        what: &'static str,
        /// Who asks.
        who: Actor,
        /// How long until there is room again.
        retry_after: Span,
    },
    /// The payment API was needed and could not be used.
    #[error("{0}")]
    Api(ApiError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<AddError> for OperatorError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::NotFound(id) => Self::NotFound(format!("payment {id}")),
            AddError::Exists(what) => Self::Exists(what),
            AddError::Invalid { field, problem } => Self::Invalid { field, problem },
            AddError::Refused(why) => Self::Refused(why),
            AddError::Store(error) => Self::Store(error),
        }
    }
}

impl OperatorError {
    /// When it is worth asking again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Span> {
        match self {
            Self::TooMany { retry_after, .. } => Some(*retry_after),
            Self::Api(error) => error.retry_after(),
            Self::NotFound(_)
            | Self::UnknownToApi(_)
            | Self::Exists(_)
            | Self::Invalid { .. }
            | Self::Refused(_)
            | Self::Repeat(_)
            | Self::OwnOrder(_)
            | Self::Store(_) => None,
        }
    }
}
