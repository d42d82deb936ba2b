//! The chain: hints that are fast and may be lost, and readings that are the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::chain::{Address, B256, BlockNumber, Header, LogFilter, Transfer, WitnessedHeader};
use crate::domain::operator::Operator;
use crate::domain::testimony::Testimony;
use crate::domain::time::Timestamp;

/// One of the configured endpoints, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub usize);

/// What the hints are to tell of. No recipients: nothing; the connection is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchSet {
    /// The token contracts.
    pub tokens: Arc<Vec<Address>>,
    /// The watched addresses, sorted, each once.
    pub recipients: Arc<Vec<Address>>,
    /// They are too many to be told of: only heads are hinted.
    pub heads_only: bool,
}

/// What is to be said of an endpoint. Each is said once, when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointNews {
    /// It contradicts the configuration, the clock or what is known of the chain, and is left out for a while.
    Contradicts {
        /// What it says, without secrets.
        said: String,
    },
    /// Its head stands still or lags while others move: it is asked last, and its word on finality does not count.
    Stalls {
        /// What it shows.
        said: String,
    },
    /// It is used again.
    Back,
}

/// Something that may be worth a look. Hints can be late, doubled, missing or wrong; none is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A transfer to a watched address was seen, or taken back, in this block.
    Transfer {
        /// The block.
        block: BlockNumber,
    },
    /// A new head.
    Head(Header),
    /// The subscription works from now on.
    Live,
    /// Hints may have been lost (connection lost, lag, undecodable): sweep now.
    Gap {
        /// Why, in words, without secrets.
        why: String,
    },
    /// There is no working subscription: poll until `Live` comes.
    Down {
        /// Why, in words, without secrets.
        why: String,
    },
    /// What is to be told of an endpoint. It is never lost, and says nothing of the chain.
    Endpoint {
        /// The endpoint's name.
        name: String,
        /// What.
        news: EndpointNews,
    },
}

/// A question for transfers.
#[derive(Clone, Debug)]
pub struct TransferQuery {
    /// The token contracts.
    pub tokens: Arc<Vec<Address>>,
    /// The recipients.
    pub recipients: Arc<Vec<Address>>,
    /// How the node is asked for theirs. The answer is the same.
    pub filter: LogFilter,
    /// The first block.
    pub from: BlockNumber,
    /// The last block, included. It must exist.
    pub to: BlockNumber,
    /// An endpoint that should rather not answer (it gave the first reading), when there is another.
    pub avoid: Option<EndpointId>,
    /// Only this operator's endpoints may answer.
    pub by: Option<Operator>,
}

/// The answer to a [`TransferQuery`]: all of the range, or an error.
#[derive(Clone, Debug)]
pub struct TransferPage {
    /// The transfers, by block and log index. Logs marked `removed` are left out.
    pub transfers: Vec<Transfer>,
    /// The header of the range's last block, from the node that answered, in the same request where possible:
    /// so the node had the block.
    pub anchor: Header,
    /// Whether it was given as the `finalized` block in each answer that reaches up to it, together with that answer's logs.
    pub is_tagged: bool,
    /// Which endpoint answered (the last, if several did).
    pub endpoint: EndpointId,
    /// Logs with a transfer's topic that are no transfer: what is wrong with each.
    pub malformed: Vec<String>,
    /// What no endpoint that was asked could tell without contradicting itself.
    pub flaws: Flaws,
}

impl TransferPage {
    /// The page, for whoever needs all of it.
    ///
    /// # Errors
    /// [`ChainError::Refused`] when anything is missing from it.
    pub fn whole(self) -> Result<Self, ChainError> {
        if self.flaws.is_empty() { Ok(self) } else { Err(ChainError::Refused(self.flaws.in_words())) }
    }
}

/// What is missing from an answer because it can't be read, or contradicts itself. For those concerned the range does not
/// count as read; all others lose nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// What is wrong, by the account that it is about.
    pub of: BTreeMap<Address, String>,
    /// What is wrong where nobody can tell whose it is: it may be anybody's.
    pub of_all: Option<String>,
}

impl Flaws {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty() && self.of_all.is_none()
    }

    /// What is wrong for an account, if anything is.
    #[must_use]
    pub fn about(&self, account: &Address) -> Option<&str> {
        self.of.get(account).or(self.of_all.as_ref()).map(String::as_str)
    }

    /// Everything that is wrong, each thing once.
    #[must_use]
    pub fn in_words(&self) -> String {
        let words: BTreeSet<&str> = self.of.values().chain(&self.of_all).map(String::as_str).collect();
        words.into_iter().collect::<Vec<_>>().join("; ")
    }

    /// Takes in what is wrong with another part of the answer.
    pub fn extend(&mut self, other: Self) {
        for (account, why) in other.of {
            self.of.entry(account).or_insert(why);
        }
        self.of_all = self.of_all.take().or(other.of_all);
    }
}

/// What an endpoint says of finality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalityReport {
    /// The header under the `finalized` tag; `None` when the node has none (Bor says "finalized block not found").
    pub finalized: Option<Header>,
    /// The same endpoint's head.
    pub head: Header,
    /// Which endpoint said so.
    pub endpoint: EndpointId,
}

/// Reads one chain. Endpoints are chosen, and errors of one made good by another, inside.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The chain's id, as configured and as checked at every connect.
    fn chain_id(&self) -> u64;

    /// How many endpoints there are, at least one: each has its place as its [`EndpointId`].
    fn endpoints(&self) -> usize {
        1
    }

    /// Tells of a block that an earlier life believed to be final, and when that was (our clock): heads that cannot have come
    /// after it are not believed.
    fn go_on_from(&self, _number: BlockNumber, _at: Timestamp) {}

    /// The newest block.
    async fn head(&self) -> Result<Header, ChainError>;

    /// What one endpoint says of finality. With `tag` false only the head is asked for (depth rule).
    async fn finality(&self, tag: bool) -> Result<FinalityReport, ChainError>;

    /// The header of the block with this number on `at`'s chain (any endpoint's when `None`); `Ok(None)` when
    /// the node has no such block.
    async fn header(&self, number: BlockNumber, at: Option<EndpointId>) -> Result<Option<Header>, ChainError>;

    /// The headers of several blocks on `at`'s chain, in the order of the numbers, each as [`Chain::header`] gives it.
    async fn headers(
        &self,
        numbers: &[BlockNumber],
        at: Option<EndpointId>,
    ) -> Result<Vec<Option<Header>>, ChainError> {
        let mut headers = Vec::with_capacity(numbers.len());
        for number in numbers {
            headers.push(self.header(*number, at).await?);
        }
        Ok(headers)
    }

    /// The headers of several blocks, in the order of the numbers, each with the word on finality of the very node that
    /// gave it; with `tag` false only its head is asked for. Behind one endpoint may be several nodes: one that hangs, on blocks
    /// that were replaced since, is known by what it calls final itself. `at` is asked first.
    async fn witnessed_headers(
        &self,
        numbers: &[BlockNumber],
        tag: bool,
        at: EndpointId,
    ) -> Result<Vec<WitnessedHeader>, ChainError>;

    /// All transfers that answer the query.
    async fn transfers(&self, query: &TransferQuery) -> Result<TransferPage, ChainError>;

    /// The same, where the last block of the range is likely to be the `finalized` one: where it can, it has the header
    /// under that tag take the anchor's place in the request. If it is another block after all, the ordinary question is put.
    async fn transfers_to_final(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        self.transfers(query).await
    }

    /// Who runs an endpoint.
    fn operator(&self, endpoint: EndpointId) -> Operator;

    /// Who can be asked: each operator with an endpoint that is not excluded, once, those whose endpoints are well first.
    fn operators(&self) -> Vec<Operator>;

    /// What a node of this operator says of a transaction and of finality, in one answer. With `tag` false the `finalized`
    /// tag is not asked for (depth rule).
    async fn testify(&self, operator: &Operator, tx_hash: B256, tag: bool) -> Testimony;

    /// From now on the endpoints with these names are not asked anything, and what they said does not count.
    fn exclude(&self, endpoints: &BTreeSet<String>);

    /// An endpoint said something that turned out to be wrong: it is told of, once.
    fn doubt(&self, _endpoint: EndpointId, _said: &str) {}

    /// Sets what the hints tell of, from now on.
    fn watch(&self, set: WatchSet);

    /// Waits for the next hint. Safe to drop and call again.
    async fn hint(&self) -> Hint;
}

/// What went wrong with the chain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// No endpoint gave an answer. Try again later.
    #[error("no RPC endpoint answered: {0}")]
    Unavailable(String),
    /// Every endpoint answered, and none tells of this: a past that is gone, a block that no node can read. Asking again
    /// soon is no use; other blocks may be had.
    #[error("no RPC endpoint can tell: {0}")]
    Refused(String),
    /// The node does not have a block that was asked about. Try again soon.
    #[error("the node is behind: {0}")]
    Behind(String),
    /// Every endpoint contradicts the configuration. A person must look.
    #[error("{0}")]
    Contradiction(String),
}
