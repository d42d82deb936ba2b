//! The sender: puts transactions on the chain and tells what became of them.
//!
//! Deliberately absent: choosing nonces, fees and moments, and trying again. Each call does what it says once, and
//! reports what each node said; what follows from it is decided in `policy`.

use async_trait::async_trait;
use thiserror::Error;

use super::chain::{ChainError, EndpointId, TransferPage};
use super::signer::DigestSignature;
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::operator::Operator;
use crate::domain::order::{Fees, RawTransaction};
use crate::domain::wallet::{Market, NonceCount, Receipt, TransferView};
use crate::domain::wei::Wei;

/// A transfer of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferSpec {
    /// The wallet that pays.
    pub wallet: Address,
    /// The token contract.
    pub token: Address,
    /// Who gets it.
    pub to: Address,
    /// How much, in base units.
    pub amount: Amount,
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxAction {
    /// Calls the token's `transfer`.
    Transfer(TransferSpec),
    /// Sends nothing from the wallet to itself.
    SelfSend {
        /// The wallet.
        wallet: Address,
    },
}

/// A transaction (EIP-1559) before it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxSpec {
    /// The chain's id.
    pub chain_id: u64,
    /// The account's nonce.
    pub nonce: u64,
    /// What it offers for its gas.
    pub fees: Fees,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// What it does.
    pub action: TxAction,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// Its hash.
    pub hash: B256,
    /// Its bytes, as they are broadcast.
    pub raw: RawTransaction,
}

/// What one endpoint answered when it was given a signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendAnswer {
    /// It took it.
    Accepted,
    /// It had it already, in its pool or in a block.
    AlreadyKnown,
    /// The nonce is consumed already.
    NonceTooLow,
    /// The nonce is further ahead than it takes.
    NonceTooHigh,
    /// Another transaction with this nonce waits there, and this one does not offer enough more.
    Underpriced,
    /// The tip, or the cap, is below what it takes at all.
    FeeTooLow(String),
    /// The wallet cannot pay for the gas.
    InsufficientFunds,
    /// It refused for another reason, in its words: the same bytes will not be taken there.
    Refused(String),
    /// Nobody knows whether it took it (no answer in time, connection lost after sending, an answer without sense).
    Unclear(String),
    /// It certainly did not get it (not connected, rate limit, key refused).
    NotReached(String),
}

/// What an endpoint answered, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAnswer<T> {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Its configured name.
    pub name: String,
    /// Its answer.
    pub answer: T,
}

/// What an endpoint says of some transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipts {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Its head, read before the receipts, so that what it did not know by then is told apart from what it lacks.
    pub head: BlockNumber,
    /// One for each hash that was asked about, in that order; `None` when the endpoint has none, and in words why it could
    /// not say so.
    pub receipts: Vec<Result<Option<Receipt>, String>>,
}

/// Puts transactions on one chain.
#[async_trait]
pub trait Sender: Send + Sync {
    /// What has to be signed.
    fn digest(&self, tx: &TxSpec) -> B256;

    /// The transaction with its signature.
    ///
    /// # Errors
    /// When the signature is not the wallet's.
    fn assemble(&self, tx: &TxSpec, signature: &DigestSignature) -> Result<SignedTx, SenderError>;

    /// What one endpoint says of a transfer that is about to be made.
    async fn view(&self, transfer: &TransferSpec) -> Result<TransferView, ChainError>;

    /// What the market asks for.
    async fn market(&self) -> Result<Market, ChainError>;

    /// The balances of the token, in base units, and of the native coin.
    async fn balances(&self, wallet: Address, token: Address) -> Result<(Amount, Wei), ChainError>;

    /// What every endpoint says of the wallet's nonces, in the configured order. With `at`, also as of that block.
    async fn nonces(
        &self,
        wallet: Address,
        at: Option<BlockNumber>,
    ) -> Vec<EndpointAnswer<Result<NonceCount, ChainError>>>;

    /// The transfers of these tokens that left the wallet in these blocks, the last included: all of them, or an error. With
    /// `by`, as this operator's endpoints say.
    async fn sent(
        &self,
        wallet: Address,
        tokens: &[Address],
        from: BlockNumber,
        to: BlockNumber,
        by: Option<&Operator>,
    ) -> Result<TransferPage, ChainError>;

    /// The wallet's balance of the token after this block, in base units; `None` when the node that answered does not
    /// have that block's state any more.
    async fn balance_at(
        &self,
        wallet: Address,
        token: Address,
        block: BlockNumber,
    ) -> Result<Option<Amount>, ChainError>;

    /// Gives the signed bytes to every endpoint at once, and returns what each said.
    async fn send(&self, tx: &SignedTx) -> Vec<EndpointAnswer<SendAnswer>>;

    /// What one endpoint says of these transactions; another one is asked when it does not answer.
    async fn receipts(&self, hashes: &[B256]) -> Result<Receipts, ChainError>;

    /// What every endpoint says of these transactions.
    async fn receipts_everywhere(&self, hashes: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>>;
}

/// Why a transaction could not be put together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SenderError {
    /// The signature is not the wallet's, or none at all. Nothing may be sent; a person must look.
    #[error("the signature is not the wallet's {wallet}: {detail}")]
    WrongSigner {
        /// The wallet.
        wallet: Address,
        /// What is wrong.
        detail: String,
    },
}
