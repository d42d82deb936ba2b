//! A chain for an engine that is not meant to read any.

use async_trait::async_trait;
use rampwatch::domain::chain::{BlockNumber, Header, WitnessedHeader};
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
    fn watch(&self, _: WatchSet) {}
    async fn hint(&self) -> Hint {
        std::future::pending().await
    }
}
