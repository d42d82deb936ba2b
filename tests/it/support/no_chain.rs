//! A chain for an engine that is not meant to read any.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rampwatch::domain::chain::{B256, BlockNumber, Header, WitnessedHeader};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::testimony::Testimony;
use rampwatch::ports::chain::{
    Chain, ChainError, EndpointId, FinalityReport, Hint, TransferPage, TransferQuery, WatchSet,
};

/// A chain that cannot be read.
pub(crate) struct NoChain;

fn unread<T>() -> Result<T, ChainError> {
    Err(ChainError::Unavailable("nobody home".to_owned()))
}

#[async_trait]
impl Chain for NoChain {
    fn chain_id(&self) -> u64 {
        137
    }
    async fn head(&self) -> Result<Header, ChainError> {
        unread()
    }
    async fn finality(&self, _: bool) -> Result<FinalityReport, ChainError> {
        unread()
    }
    async fn header(&self, _: BlockNumber, _: Option<EndpointId>) -> Result<Option<Header>, ChainError> {
        unread()
    }
    async fn witnessed_headers(
        &self,
        _: &[BlockNumber],
        _: bool,
        _: EndpointId,
    ) -> Result<Vec<WitnessedHeader>, ChainError> {
        unread()
    }
    async fn transfers(&self, _: &TransferQuery) -> Result<TransferPage, ChainError> {
        unread()
    }
    fn operator(&self, _: EndpointId) -> Operator {
        Operator::named("one")
    }
    fn operators(&self) -> Vec<Operator> {
        vec![Operator::named("one")]
    }
    async fn testify(&self, operator: &Operator, _: B256, _: bool) -> Testimony {
        let statement = Err("it does not tell of transactions".to_owned());
        Testimony { operator: operator.clone(), endpoint: "one".to_owned(), statement }
    }
    fn exclude(&self, _: &BTreeSet<String>) {}
    fn watch(&self, _: WatchSet) {}
    async fn hint(&self) -> Hint {
        std::future::pending().await
    }
}
