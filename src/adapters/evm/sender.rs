//! The sender port over the same endpoints as the chain port.
//!
//! Signed bytes go to every endpoint at once: one that hangs, or that takes them and does not pass them on, does not keep
//! them from the others. All are waited for, within their timeouts. Deliberately absent: alloy's signers, fillers and nonce managers.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber, LogFilter};
use crate::domain::operator::Operator;
use crate::domain::wallet::{Market, NonceCount, TransferView};
use crate::domain::wei::Wei;
use crate::ports::chain::{ChainError, TransferPage, TransferQuery};
use crate::ports::sender::{EndpointAnswer, Receipts, SendAnswer, Sender, SenderError, SignedTx, TransferSpec, TxSpec};
use crate::ports::signer::DigestSignature;

use super::abilities::Ability;
use super::decode::Side;
use super::endpoint::Endpoint;
use super::rpc::Ask;
use super::{EvmChain, account, logs, receipts, send_answer, tx};

#[async_trait]
impl Sender for EvmChain {
    fn digest(&self, tx: &TxSpec) -> B256 {
        tx::digest(tx)
    }

    fn assemble(&self, tx: &TxSpec, signature: &DigestSignature) -> Result<SignedTx, SenderError> {
        tx::assemble(tx, signature)
    }

    async fn view(&self, transfer: &TransferSpec) -> Result<TransferView, ChainError> {
        account::view(&self.pool, transfer).await
    }

    async fn market(&self) -> Result<Market, ChainError> {
        account::market(&self.pool).await
    }

    async fn balances(&self, wallet: Address, token: Address) -> Result<(Amount, Wei), ChainError> {
        account::balances(&self.pool, wallet, token).await
    }

    async fn nonces(
        &self,
        wallet: Address,
        at: Option<BlockNumber>,
    ) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>> {
        account::nonces(&self.pool, wallet, at).await
    }

    async fn sent(
        &self,
        wallet: Address,
        tokens: &[Address],
        from: BlockNumber,
        to: BlockNumber,
        by: Option<&Operator>,
    ) -> Result<TransferPage, ChainError> {
        let (tokens, recipients) = (Arc::new(tokens.to_vec()), Arc::new(vec![wallet]));
        let query =
            TransferQuery { tokens, recipients, from, to, filter: LogFilter::Recipients, avoid: None, by: by.cloned() };
        logs::transfers(&self.pool, self.settings.max_in_flight, &query, Side::From, false).await?.whole()
    }

    async fn balance_at(
        &self,
        wallet: Address,
        token: Address,
        block: BlockNumber,
    ) -> Result<Option<Amount>, ChainError> {
        account::balance_at(&self.pool, wallet, token, block).await
    }

    async fn send(&self, tx: &SignedTx) -> Vec<EndpointAnswer<SendAnswer>> {
        join_all(self.pool.included().iter().map(|endpoint| give(endpoint, tx))).await
    }

    async fn receipts(&self, hashes: &[B256]) -> Result<Receipts, ChainError> {
        receipts::first(&self.pool, hashes).await
    }

    async fn receipts_everywhere(&self, hashes: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>> {
        receipts::everywhere(&self.pool, hashes).await
    }
}

/// Gives the bytes to one endpoint, also to one that rests: it may be well again, and nothing is lost by trying.
async fn give(endpoint: &Endpoint, tx: &SignedTx) -> EndpointAnswer<SendAnswer> {
    let result = endpoint.deliver(&Ask::new("eth_sendRawTransaction", json!([tx.raw.0]))).await;
    endpoint.note(Ability::Broadcast, &result);
    let answer = send_answer::read(tx.hash, &result);
    tracing::debug!(endpoint = %endpoint.name, tx_hash = %tx.hash, answer = ?answer, "a transaction was given to a node");
    EndpointAnswer { endpoint: endpoint.id, name: endpoint.name.clone(), answer }
}
