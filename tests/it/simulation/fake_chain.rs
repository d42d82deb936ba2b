//! The chain as the process sees it: several endpoints that lag, lie, are away and take their time. What they show
//! is the true chain at some moment, so that all answers of one endpoint fit together.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rampwatch::domain::chain::{B256, BlockNumber, Header, Transfer, WitnessedHeader};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::testimony::{Statement, Testimony};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::chain::{
    Chain, ChainError, EndpointId, FinalityReport, Hint, TransferPage, TransferQuery, WatchSet,
};
use rampwatch::ports::clock::Clock;

use super::endpoints::{Endpoints, Sight};
use super::fuse::{Life, Point, Side};
use super::hints::HintQueue;
use super::lies::shown;
use super::odd_nodes;
use super::settings::CHAIN_ID;
use super::wallet;
use super::weather::Fault;
use super::world::World;

/// What an operator is called.
fn name_of(operator: usize) -> Operator {
    Operator::named(&format!("operator-{operator}"))
}

/// The chain port of one life of the process.
pub(super) struct FakeChain {
    world: Arc<World>,
    life: Arc<Life>,
    hints: Arc<HintQueue>,
    endpoints: Endpoints,
}

impl FakeChain {
    /// The port of this life.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>) -> Self {
        let endpoints =
            Endpoints::new(Arc::clone(&world), Arc::clone(&life), &format!("chain calls of life {}", life.number));
        let hints = world.hints.connect(life.number, world.clock);
        Self { world, life, hints, endpoints }
    }

    /// What an endpoint says of finality. The process is told.
    fn report_of(&self, sight: &Sight, tag: bool) -> Result<FinalityReport, ChainError> {
        let head = self.endpoints.head(sight)?;
        let mut finalized = if tag { shown::tag(&self.world, sight) } else { None };
        let ahead = self.world.weather.is(self.world.clock.elapsed(), Fault::TagAhead(sight.endpoint));
        if let Some(header) = finalized.as_mut().filter(|_| ahead) {
            header.block.number = head.block.number + 1;
            self.world.count("chain: tag above the head");
        }
        if tag && finalized.is_none() {
            self.world.count("chain: no finalized tag");
        }
        let deep = head.block.number.saturating_sub(self.world.settings.depth);
        let below_head = |header: &Header| header.block.number <= head.block.number;
        let tagged = finalized.filter(below_head).map(|header| header.block.number);
        let told = if tag { tagged.map(|number| number.min(deep)) } else { Some(deep) };
        self.world.tell_final(told.unwrap_or(0));
        Ok(FinalityReport { finalized, head, endpoint: EndpointId(sight.endpoint) })
    }

    /// The way to an endpoint that may answer the question.
    async fn reach_for(&self, query: &TransferQuery) -> Result<Sight, ChainError> {
        let operators = &self.world.settings.operators;
        let may = |endpoint: usize| query.by.as_ref().is_none_or(|by| name_of(operators[endpoint]) == *by);
        self.endpoints.reach_among(may, None, query.avoid).await
    }

    /// Whether the last block of the question is what this endpoint calls finalized.
    fn ends_at_tag(&self, sight: &Sight, query: &TransferQuery) -> bool {
        let tag = shown::tag(&self.world, sight);
        let ahead = self.world.weather.is(self.world.clock.elapsed(), Fault::TagAhead(sight.endpoint));
        tag.is_some_and(|tag| tag.block.number == query.to) && !ahead
    }

    fn header_of(&self, sight: &Sight, number: BlockNumber) -> Option<Header> {
        shown::header(&self.world, sight, number).filter(|_| !odd_nodes::has_lost(&self.world, sight.endpoint, number))
    }

    fn answer(&self, query: &TransferQuery, sight: &Sight) -> Result<TransferPage, ChainError> {
        let Some(anchor) = shown::header(&self.world, sight, query.to) else {
            self.world.count("chain: behind");
            return Err(ChainError::Behind(format!("block {} is not there", query.to)));
        };
        self.endpoints.believe(sight, &anchor)?;
        odd_nodes::refuses(&self.world, sight, query)?;
        let (elapsed, blocks) = (self.world.clock.elapsed(), query.to - query.from + 1);
        let refuses =
            |fault| matches!(fault, Fault::Limits(endpoint, most) if endpoint == sight.endpoint && blocks > most);
        if self.world.weather.at(elapsed).any(refuses) {
            self.world.count("chain: too many blocks");
            return Err(ChainError::Unavailable(format!("{blocks} blocks are too many")));
        }
        let asked =
            |transfer: &Transfer| query.recipients.contains(&transfer.to) && query.tokens.contains(&transfer.token);
        let mut truth = self.world.chain().transfers_in(sight.view, query.from, query.to);
        let mut told = shown::transfers(&self.world, sight, sight.logs, query.from, query.to);
        truth.retain(asked);
        told.retain(asked);
        if told != truth && sight.lies.is_honest() {
            self.world.count("chain: logs of another head");
        }
        let all = told.len();
        told.retain(|transfer| !sight.withholds || transfer.tx_hash.0[31] % 2 == 0);
        if told.len() < all {
            self.world.count("chain: logs withheld");
        }
        if sight.empty && !told.is_empty() {
            told.clear();
            self.world.count("chain: logs empty");
        }
        let flaws = odd_nodes::flaws(&self.world, sight, &mut told);
        {
            let chain = self.world.chain();
            self.world.answers().note(&chain, query, (&told, &flaws), self.world.clock.now());
        }
        odd_nodes::tell_times(&self.world, sight, &mut told);
        let endpoint = EndpointId(sight.endpoint);
        Ok(TransferPage { transfers: told, anchor, is_tagged: false, endpoint, malformed: Vec::new(), flaws })
    }
}

#[async_trait]
impl Chain for FakeChain {
    fn chain_id(&self) -> u64 {
        CHAIN_ID
    }

    fn endpoints(&self) -> usize {
        self.world.settings.endpoints
    }

    fn go_on_from(&self, number: BlockNumber, at: Timestamp) {
        self.life.gate.go_on_from(number, at, self.world.process_now());
    }

    async fn head(&self) -> Result<Header, ChainError> {
        self.life.before(Point::ChainHead).await;
        let sight = self.endpoints.reach(None, None).await;
        let answer = sight.and_then(|sight| self.endpoints.head(&sight));
        self.life.after(Point::ChainHead).await;
        answer
    }

    async fn finality(&self, tag: bool) -> Result<FinalityReport, ChainError> {
        self.life.before(Point::ChainFinality).await;
        let sight = self.endpoints.reach(None, None).await;
        let answer = sight.and_then(|sight| self.report_of(&sight, tag));
        self.life.after(Point::ChainFinality).await;
        answer
    }

    async fn header(&self, number: BlockNumber, at: Option<EndpointId>) -> Result<Option<Header>, ChainError> {
        self.life.before(Point::ChainHeader).await;
        let sight = self.endpoints.reach(at, None).await;
        let answer = sight.map(|sight| self.header_of(&sight, number));
        self.life.after(Point::ChainHeader).await;
        answer
    }

    async fn witnessed_headers(
        &self,
        numbers: &[BlockNumber],
        tag: bool,
        at: EndpointId,
    ) -> Result<Vec<WitnessedHeader>, ChainError> {
        self.life.before(Point::ChainHeader).await;
        let sight = self.endpoints.reach(Some(at), None).await;
        let answer = sight.and_then(|sight| {
            let FinalityReport { finalized, head, .. } = self.report_of(&sight, tag)?;
            let witnessed = |header| WitnessedHeader { header, finalized, head };
            Ok(numbers.iter().map(|number| witnessed(self.header_of(&sight, *number))).collect())
        });
        self.life.after(Point::ChainHeader).await;
        answer
    }

    async fn transfers(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        self.life.before(Point::ChainTransfers).await;
        let asked_at = self.world.clock.now();
        let sight = self.reach_for(query).await;
        let answer = sight.and_then(|sight| self.answer(query, &sight));
        if let Ok(page) = &answer {
            wallet::heard::transfers(&self.world, query, &page.transfers, asked_at);
        }
        self.life.after(Point::ChainTransfers).await;
        answer
    }

    async fn transfers_to_final(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        self.life.before(Point::ChainTransfers).await;
        let asked_at = self.world.clock.now();
        let sight = self.reach_for(query).await;
        let proven = sight.ok().filter(|sight| self.ends_at_tag(sight, query));
        let answer = proven.and_then(|sight| self.answer(query, &sight).ok());
        if let Some(page) = &answer {
            if page.transfers.iter().any(|transfer| transfer.block == page.anchor.block) {
                self.world.tell_final(query.to);
            }
            self.world.count("chain: read up to the finalized block");
            wallet::heard::transfers(&self.world, query, &page.transfers, asked_at);
        }
        self.life.after(Point::ChainTransfers).await;
        match answer {
            Some(page) => Ok(TransferPage { is_tagged: true, ..page }),
            None => self.transfers(query).await,
        }
    }

    fn operator(&self, endpoint: EndpointId) -> Operator {
        name_of(self.world.settings.operators[endpoint.0])
    }

    fn operators(&self) -> Vec<Operator> {
        let elapsed = self.world.clock.elapsed();
        let mut operators = self.world.settings.operators.clone();
        operators.sort_unstable();
        operators.dedup();
        let of = |operator: usize| {
            (0..self.world.settings.endpoints).filter(move |it| self.world.settings.operators[*it] == operator)
        };
        operators.sort_by_key(|operator| of(*operator).all(|endpoint| self.endpoints.is_away(endpoint, elapsed)));
        operators.into_iter().map(name_of).collect()
    }

    async fn testify(&self, operator: &Operator, tx_hash: B256, tag: bool) -> Testimony {
        self.life.before(Point::ChainTestify).await;
        let operators = &self.world.settings.operators;
        let which = operators.iter().find(|known| name_of(**known) == *operator).copied();
        let sight = self.endpoints.reach_operator(which.unwrap_or_default()).await;
        let statement = sight.and_then(|sight| {
            let report = self.report_of(&sight, tag).map_err(|error| error.to_string())?;
            let FinalityReport { finalized, head, .. } = report;
            let receipt = shown::receipt(&self.world, &sight, tx_hash);
            let kind = if receipt.is_some() { "a receipt" } else { "none" };
            self.world.count(&format!("testimony: {kind}"));
            Ok(Statement { head, finalized, receipt })
        });
        if statement.is_err() {
            self.world.count("testimony: no answer");
        }
        self.life.after(Point::ChainTestify).await;
        Testimony { operator: operator.clone(), endpoint: operator.to_string(), statement }
    }

    fn exclude(&self, _: &BTreeSet<String>) {}

    fn watch(&self, set: WatchSet) {
        if self.life.passes(Point::ChainWatch, Side::Before) {
            self.hints.watch(set);
            self.life.passes(Point::ChainWatch, Side::After);
        }
    }

    async fn hint(&self) -> Hint {
        self.life.before(Point::ChainHint).await;
        let hint = self.hints.next().await;
        self.life.after(Point::ChainHint).await;
        hint
    }
}
