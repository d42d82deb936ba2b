//! Every call of the API, so that each can be tried against the same table of answers.

use rampwatch::adapters::payment_http::PaymentHttp;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::payment::{BankAccountId, QuoteId, RecipientId, UserId, WebhookId};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::webhook::{PAYMENT_UPDATED, Webhook};
use rampwatch::ports::off_ramp_api::{AttachedFile, Listing, NewOffRamp, OffRampApi as _, WebhookChange};
use rampwatch::ports::payment_api::{ApiError, ApiPayment};

use super::{REFERENCE, complete, get};

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Rate,
    Quote,
    Create,
    Complete,
    Get,
    ListUser,
    ListRecipient,
    CreateWebhook,
    GetWebhook,
    UpdateWebhook,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gave {
    Rate(Rate),
    Quote(Quote),
    Payment(Box<ApiPayment>),
    Listing(Listing),
    Webhook(Webhook),
}

impl Call {
    pub(super) const ALL: [Self; 10] = [
        Self::Rate,
        Self::Quote,
        Self::Create,
        Self::Complete,
        Self::Get,
        Self::ListUser,
        Self::ListRecipient,
        Self::CreateWebhook,
        Self::GetWebhook,
        Self::UpdateWebhook,
    ];

    /// Whether it changes something, and so has a connection of its own.
    pub(super) const fn acts(self) -> bool {
        matches!(self, Self::Create | Self::Complete | Self::CreateWebhook | Self::UpdateWebhook)
    }

    /// Its name in the metric.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Quote => "quote",
            Self::Create => "create",
            Self::Complete => "complete",
            Self::Get => "payment",
            Self::ListUser => "payments_of_user",
            Self::ListRecipient => "payments_of_recipient",
            Self::CreateWebhook => "create_webhook",
            Self::GetWebhook => "webhook",
            Self::UpdateWebhook => "update_webhook",
        }
    }

    /// How its request begins.
    pub(super) const fn line(self) -> &'static str {
        match self {
            Self::Rate => "POST /api/v1/payments/user-1/rate HTTP/1.1\r\n",
            Self::Quote => "POST /api/v1/payments/user-1/quote HTTP/1.1\r\n",
            Self::Create => "POST /api/v1/payments/recipient/rec-1/off-ramp HTTP/1.1\r\n",
            Self::Complete => "POST /api/v1/payments/recipient/rec-1/off-ramp/pay-1/complete HTTP/1.1\r\n",
            Self::Get => "GET /api/v1/payments/pay-1 HTTP/1.1\r\n",
            Self::ListUser => "GET /api/v1/payments/user/user-1 HTTP/1.1\r\n",
            Self::ListRecipient => "GET /api/v1/payments/recipient/rec-1 HTTP/1.1\r\n",
            Self::CreateWebhook => "POST /api/v1/webhooks HTTP/1.1\r\n",
            Self::GetWebhook => "GET /api/v1/webhooks/wh-1 HTTP/1.1\r\n",
            Self::UpdateWebhook => "PUT /api/v1/webhooks/wh-1 HTTP/1.1\r\n",
        }
    }

    /// A good answer.
    pub(super) fn good(self) -> String {
        match self {
            Self::Rate => r#"{"destinationAmount":1,"somethingNew":[1e400]}"#.to_owned(),
            Self::Quote => r#"{"id":"q-1","destinationAmount":1,"somethingNew":{}}"#.to_owned(),
            Self::Create | Self::Get => REFERENCE.replace("\"idempotencyKey\": \"k\"", "\"idempotencyKey\": \"key-1\""),
            Self::Complete => r#"{"id":"pay-1","status":"PROCESSING","transactionHash":"0xab"}"#.to_owned(),
            Self::ListUser | Self::ListRecipient => format!("[{REFERENCE}]"),
            Self::CreateWebhook | Self::GetWebhook | Self::UpdateWebhook => {
                r#"{"id":"wh-1","url":"https://desk.example/hook","secret":"hook-secret","events":["payment.updated"],
                "isActive":true,"metadata":null,"createdAt":"2026-11-22T10:00:00Z"}"#
                    .to_owned()
            }
        }
    }

    /// Makes it.
    pub(super) async fn make(self, client: &PaymentHttp) -> Result<Gave, ApiError> {
        let payment = |payment: ApiPayment| Gave::Payment(Box::new(payment));
        match self {
            Self::Rate => client.rate(&user(), &exchange("1000.1")).await.map(Gave::Rate),
            Self::Quote => client.quote(&user(), &exchange("1000.1"), &bank()).await.map(Gave::Quote),
            Self::Create => client.create(&recipient(), &off_ramp()).await.map(payment),
            Self::Complete => complete(client).await.map(payment),
            Self::Get => get(client).await.map(payment),
            Self::ListUser => client.payments_of_user(&user()).await.map(Gave::Listing),
            Self::ListRecipient => client.payments_of_recipient(&recipient()).await.map(Gave::Listing),
            Self::CreateWebhook => client.create_webhook(&change()).await.map(Gave::Webhook),
            Self::GetWebhook => client.webhook(&hook()).await.map(Gave::Webhook),
            Self::UpdateWebhook => client.update_webhook(&hook(), &change()).await.map(Gave::Webhook),
        }
    }
}

pub(super) fn user() -> UserId {
    UserId::new("user-1").unwrap()
}

pub(super) fn recipient() -> RecipientId {
    RecipientId::new("rec-1").unwrap()
}

pub(super) fn bank() -> BankAccountId {
    BankAccountId::new("bank-1").unwrap()
}

pub(super) fn hook() -> WebhookId {
    WebhookId::new("wh-1").unwrap()
}

/// So many USDC for MXN.
pub(super) fn exchange(amount: &str) -> Exchange {
    Exchange {
        source_currency: "USDC".to_owned(),
        source_amount: Amount::from_person(amount, 6).unwrap(),
        source_rail: "POLYGON".to_owned(),
        destination_currency: "MXN".to_owned(),
        destination_rail: "SPEI".to_owned(),
        destination_country: "MX".to_owned(),
        developer_fee: None,
    }
}

pub(super) fn decimal(text: &str) -> Option<Decimal> {
    Some(Decimal::from_person(text).unwrap())
}

/// An off-ramp to open, with a file.
pub(super) fn off_ramp() -> NewOffRamp {
    NewOffRamp {
        idempotency_key: "key-1".to_owned(),
        quote_id: QuoteId::new("q-1").unwrap(),
        bank_account: bank(),
        from_address: Address::repeat_byte(0xab),
        payment_reason: "RENT".to_owned(),
        document_reference: Some("INV \"7\"".to_owned()),
        reference_id: None,
        files: vec![AttachedFile { media_type: "application/pdf".to_owned(), bytes: b"hello".to_vec() }],
    }
}

pub(super) fn change() -> WebhookChange {
    WebhookChange {
        url: Some("https://desk.example/hook".to_owned()),
        with_secret: true,
        events: Some(vec![PAYMENT_UPDATED.to_owned()]),
        is_active: None,
    }
}
