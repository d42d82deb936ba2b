//! The payment API, as far as the engine needs it.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::amount::Amount;
use crate::domain::api_field::{ApiField, Unread};
use crate::domain::chain::{Address, B256};
use crate::domain::decimal::Decimal;
use crate::domain::payment::{ApiStatus, BankAccountId, PaymentId, RecipientId, Refusal};
use crate::domain::time::{Span, Timestamp};

/// A payment as the API tells it. What an API shape leaves out is `None`, and so is what cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPayment {
    /// Its id.
    pub id: PaymentId,
    /// Its status.
    pub status: ApiStatus,
    /// Its transaction hash, as it came.
    pub tx_hash: Option<String>,
    /// Whose it is.
    pub recipient_id: Option<RecipientId>,
    /// Where the money goes.
    pub deposit_address: Option<Address>,
    /// How much, in base units of the configured token.
    pub deposit_amount: Option<Amount>,
    /// On which chain, as it came.
    pub deposit_chain: Option<String>,
    /// The currency that is to be sent, as it came.
    pub source_currency: Option<String>,
    /// The bank account that the payment goes to.
    pub bank_account: Option<BankAccountId>,
    /// Who will send, if the creator said.
    pub sender: Option<Address>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// `OFF_RAMP` or `ON_RAMP`, as it came. Only an off-ramp pays out.
    pub kind: Option<String>,
    /// The key that it was created with.
    pub idempotency_key: Option<String>,
    /// What it costs, as the API says.
    pub fee: Option<Decimal>,
    /// What the payer calls it.
    pub document_reference: Option<String>,
    /// Why it stands as it does, in the API's words.
    pub reason: Option<String>,
    /// When the funds went out to the bank.
    pub sent_at: Option<Timestamp>,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// The fields that are there and cannot be read.
    pub unread: Vec<Unread>,
}

impl ApiPayment {
    /// A payment of which the API tells nothing else.
    #[must_use]
    pub const fn new(id: PaymentId, status: ApiStatus) -> Self {
        Self {
            id,
            status,
            tx_hash: None,
            recipient_id: None,
            deposit_address: None,
            deposit_amount: None,
            deposit_chain: None,
            source_currency: None,
            bank_account: None,
            sender: None,
            created_at: None,
            expires_at: None,
            kind: None,
            idempotency_key: None,
            fee: None,
            document_reference: None,
            reason: None,
            sent_at: None,
            completed_at: None,
            unread: Vec::new(),
        }
    }

    /// The same, with what another answer says where this one is silent or cannot be read. Status and hash are this one's.
    #[must_use]
    pub fn filled(self, more: Self) -> Self {
        let mut filled = Self {
            recipient_id: self.recipient_id.or(more.recipient_id),
            deposit_address: self.deposit_address.or(more.deposit_address),
            deposit_amount: self.deposit_amount.or(more.deposit_amount),
            deposit_chain: self.deposit_chain.or(more.deposit_chain),
            source_currency: self.source_currency.or(more.source_currency),
            bank_account: self.bank_account.or(more.bank_account),
            sender: self.sender.or(more.sender),
            created_at: self.created_at.or(more.created_at),
            expires_at: self.expires_at.or(more.expires_at),
            kind: self.kind.or(more.kind),
            idempotency_key: self.idempotency_key.or(more.idempotency_key),
            unread: Vec::new(),
            ..self
        };
        for unread in self.unread.into_iter().chain(more.unread) {
            if !filled.tells(unread.field) && filled.unread(unread.field).is_none() {
                filled.unread.push(unread);
            }
        }
        filled
    }

    /// Whether it says the field.
    const fn tells(&self, field: ApiField) -> bool {
        match field {
            ApiField::TransactionHash => self.tx_hash.is_some(),
            ApiField::RecipientId => self.recipient_id.is_some(),
            ApiField::DepositAddress => self.deposit_address.is_some(),
            ApiField::DepositAmount => self.deposit_amount.is_some(),
            ApiField::DepositChain => self.deposit_chain.is_some(),
            ApiField::SourceCurrency => self.source_currency.is_some(),
            ApiField::BankAccountId => self.bank_account.is_some(),
            ApiField::CreatedAt => self.created_at.is_some(),
            ApiField::ExpiresAt => self.expires_at.is_some(),
            ApiField::IdempotencyKey => self.idempotency_key.is_some(),
            ApiField::Type => self.kind.is_some(),
            ApiField::SentAt => self.sent_at.is_some(),
            ApiField::CompletedAt => self.completed_at.is_some(),
        }
    }

    /// What the field says, if it is there and cannot be read.
    #[must_use]
    pub fn unread(&self, field: ApiField) -> Option<&Unread> {
        self.unread.iter().find(|unread| unread.field == field)
    }
}

/// Calls the payment API. An implementation makes one request a call, and retries nothing by itself.
#[async_trait]
pub trait PaymentApi: Send + Sync {
    /// `GET /payments/{id}`.
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError>;

    /// `POST /payments/recipient/{recipient}/off-ramp/{id}/complete` with the transaction hash.
    async fn complete(&self, recipient: &RecipientId, id: &PaymentId, tx_hash: B256) -> Result<ApiPayment, ApiError>;
}

/// What a call came to. Both are facts to whoever made it; what fails there is the store.
pub type Answer<T> = Result<T, ApiError>;

/// What went wrong with a call. Messages are shortened and hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// Certainly not acted upon (not connected, 429): call again later.
    #[error("the payment API cannot be used right now: {detail}")]
    NotNow {
        /// What happened.
        detail: String,
        /// What `Retry-After` says.
        retry_after: Option<Span>,
    },
    /// It may have been acted upon (time-out, cut, 5xx, an unreadable answer): ask before calling again.
    #[error("the payment API's answer is unclear: {detail}")]
    Unclear {
        /// What happened.
        detail: String,
        /// What `Retry-After` says.
        retry_after: Option<Span>,
    },
    /// 401 or 403: stop calling.
    #[error("the payment API refused the key with HTTP {status}: {detail}")]
    KeyRefused {
        /// The HTTP status.
        status: u16,
        /// The API's message.
        detail: String,
    },
    /// 404: it does not know the payment.
    #[error("the payment API does not know it: {detail}")]
    NotFound {
        /// The API's message.
        detail: String,
    },
    /// Any other 4xx: the same call will not work.
    #[error("the payment API refused with HTTP {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The API's message.
        detail: String,
    },
}

impl ApiError {
    /// Every [`name`](Self::name).
    pub const NAMES: [&str; 4] = ["not_now", "unclear", "key_refused", "refused"];

    /// What it is called in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotNow { .. } => "not_now",
            Self::Unclear { .. } => "unclear",
            Self::KeyRefused { .. } => "key_refused",
            Self::NotFound { .. } | Self::Refused { .. } => "refused",
        }
    }

    /// What `Retry-After` says, where it is worth calling again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Span> {
        match self {
            Self::NotNow { retry_after, .. } | Self::Unclear { retry_after, .. } => *retry_after,
            Self::KeyRefused { .. } | Self::NotFound { .. } | Self::Refused { .. } => None,
        }
    }

    /// Whether the call may have been acted upon all the same.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        matches!(self, Self::Unclear { .. })
    }

    /// Whether it says something of the API as a whole, and not of what was asked for.
    #[must_use]
    pub const fn is_about_the_api(&self) -> bool {
        match self {
            Self::NotNow { .. } | Self::Unclear { .. } | Self::KeyRefused { .. } => true,
            Self::NotFound { .. } | Self::Refused { .. } => false,
        }
    }

    /// The refusal of what was asked for; or the error itself, where it is about the API.
    ///
    /// # Errors
    /// It is no refusal.
    pub fn into_refusal(self) -> Result<Refusal, Self> {
        match self {
            Self::NotFound { detail } => Ok(Refusal { status: 404, message: detail }),
            Self::Refused { status, detail } => Ok(Refusal { status, message: detail }),
            Self::NotNow { .. } | Self::Unclear { .. } | Self::KeyRefused { .. } => Err(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error after this one. An error that is new must get its place here, or this does not compile.
    fn next(error: &ApiError) -> Option<ApiError> {
        let detail = String::new();
        match error {
            ApiError::NotNow { .. } => Some(ApiError::Unclear { detail, retry_after: None }),
            ApiError::Unclear { .. } => Some(ApiError::KeyRefused { status: 401, detail }),
            ApiError::KeyRefused { .. } => Some(ApiError::NotFound { detail }),
            ApiError::NotFound { .. } => Some(ApiError::Refused { status: 400, detail }),
            ApiError::Refused { .. } => None,
        }
    }

    #[test]
    fn every_failure_is_counted_under_a_listed_name() {
        let first = ApiError::NotNow { detail: String::new(), retry_after: None };
        let mut names: Vec<_> = std::iter::successors(Some(first), next).map(|error| error.name()).collect();
        names.dedup();
        assert_eq!(names, ApiError::NAMES);
    }
}
