//! The wall of shadow mode: wrappers around the ways out that let questions through and nothing else.
//!
//! The engine decides by itself not to act in shadow mode. These make it certain: whatever would change something ends here,
//! with an error that says so and a line in the log, because it is a defect that it came this far. Deliberately absent: any way
//! to open the wall again; the parts are wired without it when shadow mode is off.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::operator::Operator;
use crate::domain::payment::{BankAccountId, PaymentId, RecipientId, UserId, WebhookId};
use crate::domain::quote::{Exchange, Quote, Rate};
use crate::domain::wallet::{Market, NonceCount, TransferView};
use crate::domain::webhook::Webhook;
use crate::domain::wei::Wei;
use crate::ports::chain::{ChainError, EndpointId, TransferPage};
use crate::ports::off_ramp_api::{Listing, NewOffRamp, OffRampApi, WebhookChange};
use crate::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use crate::ports::sender::{EndpointAnswer, Receipts, SendAnswer, Sender, SenderError, SignedTx, TransferSpec, TxSpec};
use crate::ports::signer::{DigestSignature, Signer, SignerError};

/// The payment API without what changes something there.
pub struct ShadowApi {
    payments: Arc<dyn PaymentApi>,
    off_ramps: Arc<dyn OffRampApi>,
}

impl ShadowApi {
    /// Lets questions through to these.
    #[must_use]
    pub fn new(payments: Arc<dyn PaymentApi>, off_ramps: Arc<dyn OffRampApi>) -> Self {
        Self { payments, off_ramps }
    }
}

/// What a call that changes something is answered with: certainly nothing was done.
fn walled<T>(what: &str) -> Result<T, ApiError> {
    tracing::error!(what, "stopped by shadow mode: it should never have come this far");
    Err(ApiError::NotNow { detail: format!("shadow mode: {what} is not done"), retry_after: None })
}

#[async_trait]
impl PaymentApi for ShadowApi {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        self.payments.payment(id).await
    }

    async fn complete(&self, _: &RecipientId, _: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        walled("a completion")
    }
}

#[async_trait]
impl OffRampApi for ShadowApi {
    async fn rate(&self, user: &UserId, exchange: &Exchange) -> Result<Rate, ApiError> {
        self.off_ramps.rate(user, exchange).await
    }

    async fn quote(&self, user: &UserId, exchange: &Exchange, to: &BankAccountId) -> Result<Quote, ApiError> {
        self.off_ramps.quote(user, exchange, to).await
    }

    async fn create(&self, _: &RecipientId, _: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        walled("opening an off-ramp")
    }

    async fn payments_of_user(&self, user: &UserId) -> Result<Listing, ApiError> {
        self.off_ramps.payments_of_user(user).await
    }

    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError> {
        self.off_ramps.payments_of_recipient(recipient).await
    }

    async fn create_webhook(&self, _: &WebhookChange) -> Result<Webhook, ApiError> {
        walled("registering a webhook")
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Webhook, ApiError> {
        self.off_ramps.webhook(id).await
    }

    async fn update_webhook(&self, _: &WebhookId, _: &WebhookChange) -> Result<Webhook, ApiError> {
        walled("changing a webhook")
    }
}

/// A sender that sends nothing.
pub struct ShadowSender(Arc<dyn Sender>);

impl ShadowSender {
    /// Lets questions through to this one.
    #[must_use]
    pub fn new(inner: Arc<dyn Sender>) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl Sender for ShadowSender {
    fn digest(&self, tx: &TxSpec) -> B256 {
        self.0.digest(tx)
    }

    fn assemble(&self, _: &TxSpec, _: &DigestSignature) -> Result<SignedTx, SenderError> {
        tracing::error!("stopped by shadow mode: a transaction was to be put together");
        Err(SenderError::WrongSigner { wallet: Address::ZERO, detail: "shadow mode: nothing is signed".to_owned() })
    }

    async fn view(&self, transfer: &TransferSpec) -> Result<TransferView, ChainError> {
        self.0.view(transfer).await
    }

    async fn market(&self) -> Result<Market, ChainError> {
        self.0.market().await
    }

    async fn balances(&self, wallet: Address, token: Address) -> Result<(Amount, Wei), ChainError> {
        self.0.balances(wallet, token).await
    }

    async fn nonces(
        &self,
        wallet: Address,
        at: Option<BlockNumber>,
    ) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>> {
        self.0.nonces(wallet, at).await
    }

    async fn sent(
        &self,
        wallet: Address,
        tokens: &[Address],
        from: BlockNumber,
        to: BlockNumber,
        by: Option<&Operator>,
    ) -> Result<TransferPage, ChainError> {
        self.0.sent(wallet, tokens, from, to, by).await
    }

    async fn balance_at(
        &self,
        wallet: Address,
        token: Address,
        block: BlockNumber,
    ) -> Result<Option<Amount>, ChainError> {
        self.0.balance_at(wallet, token, block).await
    }

    async fn send(&self, tx: &SignedTx) -> Vec<EndpointAnswer<SendAnswer>> {
        tracing::error!(tx_hash = %tx.hash, "stopped by shadow mode: a transaction was to be broadcast");
        let answer = SendAnswer::NotReached("shadow mode: nothing is broadcast".to_owned());
        vec![EndpointAnswer { endpoint: EndpointId(0), name: "shadow mode".to_owned(), answer }]
    }

    async fn receipts(&self, hashes: &[B256]) -> Result<Receipts, ChainError> {
        self.0.receipts(hashes).await
    }

    async fn receipts_everywhere(&self, hashes: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>> {
        self.0.receipts_everywhere(hashes).await
    }
}

/// A signer that signs nothing. It still tells whose key it would be.
pub struct ShadowSigner(Arc<dyn Signer>);

impl ShadowSigner {
    /// Tells this one's address.
    #[must_use]
    pub fn new(inner: Arc<dyn Signer>) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl Signer for ShadowSigner {
    fn address(&self) -> Address {
        self.0.address()
    }

    async fn sign(&self, _: B256) -> Result<DigestSignature, SignerError> {
        tracing::error!("stopped by shadow mode: something was to be signed");
        Err(SignerError::Refused("shadow mode: nothing is signed".to_owned()))
    }
}
