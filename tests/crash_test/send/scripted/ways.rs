//! The ways over the network, with a point at every call: the chain, the sender, the payment API; and the signer, which
//! is a service over the network too where a key service signs.

use std::sync::Arc;

use async_trait::async_trait;
use std::collections::BTreeSet;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockNumber, Header, WitnessedHeader};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::payment::{PaymentId, RecipientId};
use rampwatch::domain::testimony::Testimony;
use rampwatch::domain::wallet::{Market, NonceCount, TransferView};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::chain::{
    Chain, ChainError, EndpointId, FinalityReport, Hint, TransferPage, TransferQuery, WatchSet,
};
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use rampwatch::ports::sender::{
    EndpointAnswer, Receipts, SendAnswer, Sender, SenderError, SignedTx, TransferSpec, TxSpec,
};
use rampwatch::ports::signer::{DigestSignature, Signer, SignerError};

use super::points::Points;

/// Something whose calls are points.
pub(crate) struct Mortal<T> {
    pub(crate) inner: T,
    pub(crate) points: Arc<Points>,
}

impl<T> Mortal<T> {
    async fn at<R>(&self, name: &str, call: impl Future<Output = R>) -> R {
        let pass = self.points.call(name);
        let result = call.await;
        self.points.done(&pass);
        result
    }
}

#[async_trait]
impl<T: Chain> Chain for Mortal<Arc<T>> {
    fn chain_id(&self) -> u64 {
        self.inner.chain_id()
    }

    async fn head(&self) -> Result<Header, ChainError> {
        self.at("chain.head", self.inner.head()).await
    }

    async fn finality(&self, tag: bool) -> Result<FinalityReport, ChainError> {
        self.at("chain.finality", self.inner.finality(tag)).await
    }

    async fn header(&self, number: BlockNumber, at: Option<EndpointId>) -> Result<Option<Header>, ChainError> {
        self.at("chain.header", self.inner.header(number, at)).await
    }

    async fn witnessed_headers(
        &self,
        numbers: &[BlockNumber],
        tag: bool,
        at: EndpointId,
    ) -> Result<Vec<WitnessedHeader>, ChainError> {
        self.at("chain.witnessed_headers", self.inner.witnessed_headers(numbers, tag, at)).await
    }

    async fn transfers(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        self.at("chain.transfers", self.inner.transfers(query)).await
    }

    fn operator(&self, endpoint: EndpointId) -> Operator {
        self.inner.operator(endpoint)
    }

    fn operators(&self) -> Vec<Operator> {
        self.inner.operators()
    }

    async fn testify(&self, operator: &Operator, tx_hash: B256, tag: bool) -> Testimony {
        self.at("chain.testify", self.inner.testify(operator, tx_hash, tag)).await
    }

    fn exclude(&self, endpoints: &BTreeSet<String>) {
        self.inner.exclude(endpoints);
    }

    fn watch(&self, set: WatchSet) {
        self.inner.watch(set);
    }

    async fn hint(&self) -> Hint {
        self.inner.hint().await
    }
}

#[async_trait]
impl<T: Sender> Sender for Mortal<Arc<T>> {
    fn digest(&self, tx: &TxSpec) -> B256 {
        self.inner.digest(tx)
    }

    fn assemble(&self, tx: &TxSpec, signature: &DigestSignature) -> Result<SignedTx, SenderError> {
        self.inner.assemble(tx, signature)
    }

    async fn view(&self, transfer: &TransferSpec) -> Result<TransferView, ChainError> {
        self.at("sender.view", self.inner.view(transfer)).await
    }

    async fn market(&self) -> Result<Market, ChainError> {
        self.at("sender.market", self.inner.market()).await
    }

    async fn balances(&self, wallet: Address, token: Address) -> Result<(Amount, Wei), ChainError> {
        self.at("sender.balances", self.inner.balances(wallet, token)).await
    }

    async fn nonces(
        &self,
        wallet: Address,
        at: Option<BlockNumber>,
    ) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>> {
        self.at("sender.nonces", self.inner.nonces(wallet, at)).await
    }

    async fn sent(
        &self,
        wallet: Address,
        tokens: &[Address],
        from: BlockNumber,
        to: BlockNumber,
        by: Option<&Operator>,
    ) -> Result<TransferPage, ChainError> {
        self.at("sender.sent", self.inner.sent(wallet, tokens, from, to, by)).await
    }

    async fn balance_at(
        &self,
        wallet: Address,
        token: Address,
        block: BlockNumber,
    ) -> Result<Option<Amount>, ChainError> {
        self.at("sender.balance_at", self.inner.balance_at(wallet, token, block)).await
    }

    async fn send(&self, tx: &SignedTx) -> Vec<EndpointAnswer<SendAnswer>> {
        self.at("sender.send", self.inner.send(tx)).await
    }

    async fn receipts(&self, hashes: &[B256]) -> Result<Receipts, ChainError> {
        self.at("sender.receipts", self.inner.receipts(hashes)).await
    }

    async fn receipts_everywhere(&self, hashes: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>> {
        self.at("sender.receipts_everywhere", self.inner.receipts_everywhere(hashes)).await
    }
}

#[async_trait]
impl<T: Signer> Signer for Mortal<T> {
    fn address(&self) -> Address {
        self.inner.address()
    }

    async fn sign(&self, digest: B256) -> Result<DigestSignature, SignerError> {
        self.at("signer.sign", self.inner.sign(digest)).await
    }
}

#[async_trait]
impl<T: PaymentApi> PaymentApi for Mortal<T> {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        self.at("api.payment", self.inner.payment(id)).await
    }

    async fn complete(&self, recipient: &RecipientId, id: &PaymentId, tx_hash: B256) -> Result<ApiPayment, ApiError> {
        self.at("api.complete", self.inner.complete(recipient, id, tx_hash)).await
    }
}
