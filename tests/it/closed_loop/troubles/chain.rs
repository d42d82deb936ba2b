//! A chain in the process, behind the engine's port: blocks are numbers, and it answers as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockNumber, BlockRef, Header, Transfer, WitnessedHeader};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::testimony::Testimony;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::chain::{
    Chain, ChainError, EndpointId, FinalityReport, Flaws, Hint, TransferPage, TransferQuery, WatchSet,
};

use super::super::rig::{CHAIN_ID, USDC};

/// How the chain stands and answers.
pub(crate) struct Told {
    pub(crate) head: BlockNumber,
    /// The time of block 0; a block follows every second.
    pub(crate) genesis: Timestamp,
    /// The finalized block; `None` when the node has no such tag.
    pub(crate) finalized: Option<BlockNumber>,
    /// Finality is not answered at all.
    pub(crate) finality_fails: bool,
    /// Blocks below this one are not there any more.
    pub(crate) pruned_below: BlockNumber,
    /// A block that the node does not show just now.
    pub(crate) hidden: Option<BlockNumber>,
    /// Readings that begin below this block fail.
    pub(crate) unread_below: BlockNumber,
    /// Readings that are to go to another endpoint return nothing.
    pub(crate) second_withholds: bool,
    /// Readings that are to go to another endpoint wait for this.
    pub(crate) second_waits: Option<Arc<Semaphore>>,
    pub(crate) transfers: Vec<Transfer>,
    /// Blocks with another hash than they used to have.
    pub(crate) replaced: BTreeMap<BlockNumber, B256>,
    /// Every reading asked for.
    pub(crate) queries: Vec<TransferQuery>,
    /// How often finality was asked for.
    pub(crate) finality_asked: usize,
}

#[derive(Clone)]
pub(crate) struct PlainChain {
    told: Arc<Mutex<Told>>,
    hints: Arc<(mpsc::UnboundedSender<Hint>, tokio::sync::Mutex<mpsc::UnboundedReceiver<Hint>>)>,
}

fn hash_of(number: BlockNumber) -> B256 {
    B256::left_padding_from(&number.saturating_add(1).to_be_bytes())
}

impl PlainChain {
    /// A chain with this head, whose newest block is a little in the future, so that addresses can be let go.
    pub(crate) fn new(head: BlockNumber, now: Timestamp) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let told = Told {
            head,
            genesis: now.plus(Span::from_secs(600)).minus(Span::from_secs(head)),
            finalized: Some(head.saturating_sub(4)),
            finality_fails: false,
            pruned_below: 0,
            hidden: None,
            unread_below: 0,
            second_withholds: false,
            second_waits: None,
            transfers: Vec::new(),
            replaced: BTreeMap::new(),
            queries: Vec::new(),
            finality_asked: 0,
        };
        Self { told: Arc::new(Mutex::new(told)), hints: Arc::new((sender, tokio::sync::Mutex::new(receiver))) }
    }

    pub(crate) fn told<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.told.lock().unwrap())
    }

    pub(crate) fn push(&self, hint: Hint) {
        self.hints.0.send(hint).unwrap();
    }

    pub(crate) fn time_of(&self, number: BlockNumber) -> Timestamp {
        self.told(|told| told.genesis.plus(Span::from_secs(number)))
    }

    /// Puts a transfer of `value` base units into the block.
    pub(crate) fn pay(&self, number: BlockNumber, log_index: u64, to: Address, value: u128) {
        let transfer = Transfer {
            block: BlockRef { number, hash: hash_of(number) },
            block_time: Some(self.time_of(number)),
            tx_hash: B256::repeat_byte(0x77),
            log_index,
            token: USDC,
            from: Address::repeat_byte(0xee),
            to,
            amount: Amount::from_base_units(value),
        };
        self.told(|told| told.transfers.push(transfer));
    }

    fn header_of(&self, number: BlockNumber) -> Header {
        let time = self.time_of(number);
        let hash = self.told(|told| told.replaced.get(&number).copied()).unwrap_or_else(|| hash_of(number));
        Header { block: BlockRef { number, hash }, parent: hash_of(number.saturating_sub(1)), time }
    }
}

#[async_trait]
impl Chain for PlainChain {
    fn chain_id(&self) -> u64 {
        CHAIN_ID
    }

    async fn head(&self) -> Result<Header, ChainError> {
        let head = self.told(|told| told.head);
        Ok(self.header_of(head))
    }

    async fn finality(&self, _: bool) -> Result<FinalityReport, ChainError> {
        let (head, finalized, fails) = self.told(|told| {
            told.finality_asked += 1;
            (told.head, told.finalized, told.finality_fails)
        });
        if fails {
            return Err(ChainError::Unavailable("finality is not answered".to_owned()));
        }
        let finalized = finalized.map(|number| self.header_of(number));
        Ok(FinalityReport { finalized, head: self.header_of(head), endpoint: EndpointId(0) })
    }

    async fn header(&self, number: BlockNumber, _: Option<EndpointId>) -> Result<Option<Header>, ChainError> {
        let there = self.told(|told| (told.pruned_below..=told.head).contains(&number) && told.hidden != Some(number));
        Ok(there.then(|| self.header_of(number)))
    }

    async fn witnessed_headers(
        &self,
        numbers: &[BlockNumber],
        _: bool,
        at: EndpointId,
    ) -> Result<Vec<WitnessedHeader>, ChainError> {
        let (head, finalized) = self.told(|told| (told.head, told.finalized));
        let (head, finalized) = (self.header_of(head), finalized.map(|number| self.header_of(number)));
        let headers = self.headers(numbers, Some(at)).await?;
        Ok(headers.into_iter().map(|header| WitnessedHeader { header, finalized, head }).collect())
    }

    async fn transfers(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        let (unread, withholds, waits) = self.told(|told| {
            told.queries.push(query.clone());
            let second = query.avoid.is_some();
            let waits = told.second_waits.clone().filter(|_| second);
            (query.from < told.unread_below, second && told.second_withholds, waits)
        });
        if unread {
            return Err(ChainError::Unavailable("so old a block is not read".to_owned()));
        }
        if let Some(waits) = waits {
            waits.acquire().await.unwrap().forget();
        }
        let asked = |transfer: &&Transfer| {
            (query.from..=query.to).contains(&transfer.block.number) && query.recipients.contains(&transfer.to)
        };
        let found = self.told(|told| told.transfers.iter().filter(asked).cloned().collect::<Vec<_>>());
        let transfers = if withholds { Vec::new() } else { found };
        let anchor = self.header_of(query.to);
        Ok(TransferPage {
            transfers,
            anchor,
            is_tagged: false,
            endpoint: EndpointId(0),
            malformed: Vec::new(),
            flaws: Flaws::default(),
        })
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
        self.hints.1.lock().await.recv().await.unwrap()
    }
}
