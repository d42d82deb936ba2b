//! What operators send, as text: the same form in the operator API and behind the commands.
//!
//! Nothing is guessed from text: an address with a wrong checksum, a moment without an offset and an unknown field are refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::chain::Address;
use crate::domain::odd::explained;
use crate::domain::payment::{PaymentId, RecipientId};
use crate::domain::time::Timestamp;
use crate::engine::add::AddPayment;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::shapes;
use crate::view::{DepositView, PaymentView, ResolvedView};

pub use crate::policy::resolve::Decision;

/// A payment to be added. What is left out is taken from the payment API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{
    "id": "7f0c2f5e-6d0e-4f2f-9a51-0d6f6f8f1c11",
    "recipient_id": "0d9e2d6a-37f3-4a0b-8f0e-5a1f0c9b7e42",
    "deposit_address": "0x52908400098527886E0F7030069857D2E4169EE7",
    "amount": "1000.50",
    "created_at": "2026-09-21T14:13:20Z",
}]))]
pub struct AddRequest {
    /// The API's id of the payment.
    #[schemars(with = "shapes::Id")]
    pub id: String,
    /// Whose payment it is.
    #[schemars(with = "shapes::Id")]
    pub recipient_id: String,
    /// The deposit address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Address>")]
    pub deposit_address: Option<String>,
    /// The amount in whole units of the token, such as `1000.50`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::DecimalAmount>")]
    pub amount: Option<String>,
    /// Who will send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Address>")]
    pub sender: Option<String>,
    /// When the API created it: RFC 3339, such as `2026-11-22T10:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Moment>")]
    pub created_at: Option<String>,
    /// When it runs out: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Moment>")]
    pub expires_at: Option<String>,
    /// The chain that the money comes in on, such as `POLYGON`: only needed where the API's own word cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub deposit_chain: Option<String>,
}

/// A person's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum ResolveRequest {
    /// The deposit pays the payment.
    Assign {
        /// The deposit: its key, or a transaction hash (with `:log-index`) that has only one.
        #[schemars(with = "shapes::DepositName")]
        deposit: String,
        /// The payment.
        #[schemars(with = "shapes::Id")]
        payment: String,
        /// Why, in at most 500 bytes; kept with the decision.
        #[schemars(length(min = 1, max = 500))]
        reason: String,
    },
    /// The deposit pays nothing.
    Ignore {
        /// The deposit, as above.
        #[schemars(with = "shapes::DepositName")]
        deposit: String,
        /// Why, in at most 500 bytes; kept with the decision.
        #[schemars(length(min = 1, max = 500))]
        reason: String,
    },
    /// No deposit at the address that could pay nothing there is to be decided upon any more, counted ones included.
    IgnoreAll {
        /// The deposit address.
        #[schemars(with = "shapes::Address")]
        address: String,
        /// Why, in at most 500 bytes; kept with the decision.
        #[schemars(length(min = 1, max = 500))]
        reason: String,
    },
    /// Look at the payment again, now.
    Retry {
        /// The payment.
        #[schemars(with = "shapes::Id")]
        payment: String,
        /// Why, in at most 500 bytes; kept with the decision.
        #[schemars(length(min = 1, max = 500))]
        reason: String,
    },
    /// Stop our completion of the payment.
    Cancel {
        /// The payment.
        #[schemars(with = "shapes::Id")]
        payment: String,
        /// Why, in at most 500 bytes; kept with the decision.
        #[schemars(length(min = 1, max = 500))]
        reason: String,
    },
    /// Do not add a payment that intake has found.
    Dismiss {
        /// The payment.
        #[schemars(with = "shapes::Id")]
        payment: String,
        /// Why; kept with the decision.
        #[schemars(length(min = 1, max = 500))]
        reason: String,
    },
}

impl ResolveRequest {
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Assign { reason, .. }
            | Self::Ignore { reason, .. }
            | Self::IgnoreAll { reason, .. }
            | Self::Retry { reason, .. }
            | Self::Cancel { reason, .. }
            | Self::Dismiss { reason, .. } => reason,
        }
    }
}

impl TryFrom<&AddRequest> for AddPayment {
    type Error = OperatorError;

    fn try_from(request: &AddRequest) -> Result<Self, OperatorError> {
        let address = |field, text: &Option<String>| text.as_deref().map(|text| parse_address(field, text)).transpose();
        let moment = |field, text: &Option<String>| text.as_deref().map(|text| parse_moment(field, text)).transpose();
        Ok(Self {
            id: parse_payment(&request.id)?,
            recipient_id: RecipientId::new(request.recipient_id.as_str())
                .map_err(|error| invalid("recipient", error.to_string()))?,
            deposit_address: address("deposit-address", &request.deposit_address)?,
            amount: request.amount.clone(),
            sender: address("sender", &request.sender)?,
            created_at: moment("created-at", &request.created_at)?,
            expires_at: moment("expires-at", &request.expires_at)?,
            deposit_chain: request.deposit_chain.clone(),
        })
    }
}

fn invalid(field: &'static str, problem: String) -> OperatorError {
    OperatorError::Invalid { field, problem }
}

/// A payment's id.
pub(crate) fn parse_payment(text: &str) -> Result<PaymentId, OperatorError> {
    PaymentId::new(text).map_err(|error| invalid("payment", error.to_string()))
}

/// An address as people write it. One in mixed case must have the right checksum (EIP-55), which finds typing errors.
///
/// # Errors
/// It is no address, or its checksum is wrong.
pub fn parse_address(field: &'static str, text: &str) -> Result<Address, OperatorError> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40);
    let hex = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let Some(hex) = hex else {
        let problem = format_args!("{text:?} is no address: write 0x and 40 hexadecimal digits");
        return Err(invalid(field, explained(problem, text)));
    };
    let mixed = hex.bytes().any(|byte| byte.is_ascii_lowercase()) && hex.bytes().any(|byte| byte.is_ascii_uppercase());
    let parsed = if mixed { Address::parse_checksummed(text, None).ok() } else { text.parse().ok() };
    parsed.ok_or_else(|| invalid(field, format!("{text} has a wrong checksum (EIP-55): copy the address anew")))
}

/// A moment as people write it.
fn parse_moment(field: &'static str, text: &str) -> Result<Timestamp, OperatorError> {
    let parsed: Option<jiff::Timestamp> = text.parse().ok();
    let millis = parsed.and_then(|parsed| u64::try_from(parsed.as_millisecond()).ok());
    millis.map(Timestamp::from_millis).ok_or_else(|| {
        let problem = format_args!("{text:?} is no moment: write it with an offset, such as 2026-11-22T10:00:00Z");
        invalid(field, explained(problem, text))
    })
}

/// A day as people write it, which begins at midnight UTC, or a moment.
pub(crate) fn parse_day_or_moment(field: &'static str, text: &str) -> Result<Timestamp, OperatorError> {
    match text.parse::<jiff::civil::Date>() {
        // A moment is read as a date too, its time cut off: only what has no time is a day.
        Ok(_) if text.len() == "2026-11-22".len() => parse_moment(field, &format!("{text}T00:00:00Z")),
        _ => parse_moment(field, text).map_err(|_| {
            let right =
                "a day such as 2026-11-22, which begins at midnight UTC, nor a moment such as 2026-11-22T10:00:00Z";
            invalid(field, explained(format_args!("{text:?} is neither {right}"), text))
        }),
    }
}

impl OperatorService {
    /// Adds a payment from what an operator sent.
    ///
    /// # Errors
    /// As [`OperatorService::add`], and when a text is not what its field needs.
    pub async fn add_request(&self, request: &AddRequest) -> Result<PaymentView, OperatorError> {
        let payment = self.add(AddPayment::try_from(request)?).await?;
        Ok(PaymentView::of(&payment, &self.names()))
    }

    /// Carries out a decision that an operator sent.
    ///
    /// # Errors
    /// As [`OperatorService::resolve`], and when a text is not what its field needs.
    pub async fn resolve_request(&self, request: &ResolveRequest) -> Result<ResolvedView, OperatorError> {
        let decision = match request {
            ResolveRequest::Assign { deposit, payment, .. } => {
                Decision::Assign { deposit: self.find_deposit(deposit).await?, payment: parse_payment(payment)? }
            }
            ResolveRequest::Ignore { deposit, .. } => Decision::Ignore { deposit: self.find_deposit(deposit).await? },
            ResolveRequest::Retry { payment, .. } => Decision::Retry { payment: parse_payment(payment)? },
            ResolveRequest::Cancel { payment, .. } => Decision::Cancel { payment: parse_payment(payment)? },
            ResolveRequest::Dismiss { payment, reason } => return self.dismiss_candidate(payment, reason).await,
            ResolveRequest::IgnoreAll { address, reason } => {
                let ignored = self.ignore_all_at(parse_address("address", address)?, reason).await?;
                return Ok(ResolvedView { ignored: Some(ignored), ..ResolvedView::of("ignore-all") });
            }
        };
        self.resolve(&decision, request.reason()).await?;
        let (payment, deposit) = match &decision {
            Decision::Assign { deposit, payment } => (Some(payment), Some(deposit)),
            Decision::Ignore { deposit } => (None, Some(deposit)),
            Decision::Retry { payment } | Decision::Cancel { payment } => (Some(payment), None),
        };
        let mut view = ResolvedView::of(decision.name());
        if let Some(id) = payment {
            view.payment = self.store.payment(id).await?.map(|payment| PaymentView::of(&payment, &self.names()));
        }
        if let Some(key) = deposit {
            view.deposit = self.store.deposit(key).await?.map(|deposit| DepositView::of(&deposit, &self.names()));
        }
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_their_checksum() {
        let good = "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359";
        assert!(parse_address("sender", good).is_ok());
        assert!(parse_address("sender", &good.to_lowercase()).is_ok());
        for bad in
            ["0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359", "3c499c542cef5e3811e1192ce70d8cc03d5c3359", "0x12", ""]
        {
            assert!(parse_address("sender", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_need_an_offset() {
        let parsed = parse_moment("created-at", "2026-11-22T10:00:00+01:00").expect("it is one");
        assert_eq!(parsed, parse_moment("created-at", "2026-11-22T09:00:00Z").expect("and so is this"));
        for bad in ["2026-11-22", "2026-11-22T10:00:00", "1969-01-01T00:00:00Z", "now", ""] {
            assert!(parse_moment("created-at", bad).is_err(), "{bad}");
        }
    }
}
