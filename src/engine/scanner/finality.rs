//! Asks for finality while something waits for it, and settles what became final.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scanner, Trouble};
use crate::domain::chain::{Address, BlockNumber, Header, WitnessedHeader};
use crate::domain::coverage::FinalityMark;
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey, Verdict};
use crate::domain::event::{Event, EventKind};
use crate::domain::operator::Operator;
use crate::domain::time::{Span, Timestamp};
use crate::engine::agreement::witnesses;
use crate::engine::transaction;
use crate::planted::{Bug, planted};
use crate::policy::finality::{MarkMove, advance, counted_final, final_block, final_number};
use crate::policy::payment_machine::Unexpected;
use crate::ports::chain::{EndpointId, FinalityReport};
use crate::ports::store::{Commit, StoreError};

/// How old the kept mark may grow while nothing waits for finality.
const MARK_SERVES_FOR: Span = Span::from_secs(86_400);

/// How many provisional deposits are taken up in one pass.
const BATCH: usize = 2_000;

/// After how many deposits that seem to be gone other operators are asked in one pass.
const MOST_ASKED: usize = 8;

/// How many batches are settled in one pass.
const MOST_BATCHES: usize = 4;

/// After so many heads without a new final block, only every second head is worth the question.
const PATIENT_HEADS: u32 = 8;

/// Where deposits stand, by address, with the header of the block that is at their height.
type Standings = BTreeMap<Address, Vec<(DepositKey, BlockStatus, Header)>>;

/// Whether a reading's word that its anchor is final is taken.
pub(super) enum Believed {
    /// More was believed before, or another block at this height; what is to be made of that is left to the question for finality.
    No,
    /// With the mark to keep, if it moves.
    Yes { mark: Option<FinalityMark> },
}

impl Scanner {
    /// Who runs an endpoint, where it counts whose word a fact is.
    pub(super) fn word_of(&self, endpoint: EndpointId) -> Option<Operator> {
        (self.settings.agreement > 1).then(|| self.ports.chain.operator(endpoint))
    }

    /// Whether the final block may have come to something that waits, with the head at this number.
    pub(super) fn worth_asking(&self, head: BlockNumber) -> bool {
        let heads = self.waiting.heads_without_news;
        let patient = heads > PATIENT_HEADS && heads.checked_rem(2) == Some(0);
        let deep_enough = |lowest: BlockNumber| head >= lowest.saturating_add(self.settings.finality.depth());
        !patient && self.waiting.lowest.is_some_and(deep_enough)
    }

    /// Learns from the store whether some payment waits for a block to become final.
    pub(super) async fn find_waiting(&mut self) -> Result<(), StoreError> {
        let provisional = self.ports.store.provisional(BlockNumber::MAX, BATCH).await?;
        let waits = |deposit: &&Deposit| matches!(deposit.verdict, Verdict::Pays { .. });
        let waiting = provisional.iter().find(waits);
        // They come by block. Where worthless ones fill the whole batch, one that waits may be behind them.
        let flood = provisional.first().filter(|_| provisional.len() >= BATCH);
        let lowest = waiting.or(flood).map(|deposit| deposit.block_number);
        if lowest.is_none() {
            self.waiting = super::Waiting::default();
        } else if self.waiting.lowest.is_none() {
            self.waiting.moved_at = Some(self.ports.clock.now());
            self.waiting.heads_without_news = 0;
        }
        self.waiting.lowest = lowest;
        self.waiting.pays = waiting.is_some();
        let head = self.view.head.map_or(0, |(head, _)| head.block.number);
        if self.worth_asking(head) {
            self.want_final();
        }
        Ok(())
    }

    /// Asks one endpoint what is final, and settles every deposit at or below.
    pub(super) async fn ask_finality(&mut self) -> Result<(), Trouble> {
        let report = self.finality_report().await?;
        self.schedule.ask_final_at = None;
        self.schedule.unsettled = match self.learn_finality(&report).await? {
            Some(number) => self.settle_final(number, &report).await?,
            None => false,
        };
        let now = self.ports.clock.now();
        if self.schedule.unsettled {
            self.schedule.ask_final_at = Some(now);
        } else {
            self.schedule.settled_at = now;
        }
        Ok(())
    }

    /// Asks one endpoint what is final, and settles nothing yet.
    pub(super) async fn only_learn_finality(&mut self) -> Result<(), Trouble> {
        let report = self.finality_report().await?;
        self.learn_finality(&report).await.map(|_| ())
    }

    /// What one endpoint says of finality.
    async fn finality_report(&mut self) -> Result<FinalityReport, Trouble> {
        let report = self.ports.chain.finality(self.settings.finality.uses_tag()).await?;
        self.schedule.asked_final_at = self.ports.clock.now();
        Ok(report)
    }

    /// Keeps what is believed of a report: the highest final block, if there is one.
    async fn learn_finality(&mut self, report: &FinalityReport) -> Result<Option<BlockNumber>, Trouble> {
        let rule = self.settings.finality;
        let now = self.ports.clock.now();
        if self.view.head.is_none_or(|(head, _)| head.block.number < report.head.block.number) {
            self.view.head = Some((report.head, now));
        }
        self.view.tag_at_head = report.finalized.is_some_and(|tag| tag.block == report.head.block);
        let Some(number) = final_number(rule, &report.head, report.finalized.as_ref()) else {
            return Ok(None);
        };
        let before = self.view.finals.insert(report.endpoint, (number, now)).map(|(last, _)| last);
        let moved_back = before.is_none_or(|last| number < last) || std::mem::take(&mut self.view.above_head.mark);
        let rises = before.is_some_and(|last| number > last) || self.view.last_final.is_none_or(|last| number > last);
        self.count_final(now);
        if rises {
            self.moved(now);
        }
        self.mark(number, report, moved_back, now).await?;
        Ok(Some(number))
    }

    /// Finality goes on.
    fn moved(&mut self, now: Timestamp) {
        self.waiting.heads_without_news = 0;
        self.waiting.moved_at = Some(now);
    }

    /// Counts what the endpoints have said lately. It comes down when they say less.
    pub(super) fn count_final(&mut self, now: Timestamp) {
        let last_final = counted_final(self.view.finals.values().copied(), now);
        self.view.last_final = last_final;
        self.health.update(|health| health.last_final = last_final);
        if let Some(number) = last_final {
            metrics::gauge!("rampwatch_final_block").set(super::gauge(number));
        }
    }

    /// The final block, as far as the head that is known reaches.
    pub(super) fn final_below_head(&self) -> Option<BlockNumber> {
        self.view.last_final.map(|number| self.view.head.map_or(number, |(head, _)| number.min(head.block.number)))
    }

    /// Takes a reading's word that its anchor is final.
    pub(super) async fn believe_anchor(&mut self, anchor: &Header, endpoint: EndpointId) -> Result<Believed, Trouble> {
        let now = self.ports.clock.now();
        let mark = self.ports.store.finality().await?;
        let mark = match advance(mark.as_ref(), anchor.block, now) {
            MarkMove::MovesBack(_) => return Ok(Believed::No),
            MarkMove::Keeps if mark.is_some_and(|mark| mark.current.hash != anchor.block.hash) => {
                return Ok(Believed::No);
            }
            MarkMove::Keeps => None,
            MarkMove::Rises(new) => Some(new),
        };
        let number = anchor.block.number;
        let said = self.view.finals.entry(endpoint).or_insert((number, now));
        let rises = number > said.0 || self.view.last_final.is_none_or(|last| number > last);
        *said = (number.max(said.0), now);
        self.count_final(now);
        if rises {
            self.moved(now);
        }
        Ok(Believed::Yes { mark })
    }

    /// Keeps what is believed of finality. A number that is lower than the mark counts as moved back only when the
    /// same endpoint had said more before (another may just lag), or when nothing was heard of it since the start.
    async fn mark(
        &self,
        number: BlockNumber,
        report: &FinalityReport,
        moved_back: bool,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let mark = self.ports.store.finality().await?;
        let something = !self.ports.store.provisional(number, 1).await?.is_empty();
        let lower = mark.is_some_and(|mark| number < mark.current.number);
        // The next start holds the first head against it.
        let old = mark.is_none_or(|mark| mark.at > now || now.since(mark.at) >= MARK_SERVES_FOR);
        if !(something || old || (lower && moved_back)) {
            return Ok(());
        }
        if lower && !moved_back {
            return Ok(());
        }
        // What the endpoint has just given need not be asked for again.
        let given = [report.finalized, Some(report.head)].into_iter().flatten();
        let given = given.map(|header| header.block).find(|block| block.number == number);
        let block = match given {
            Some(block) => block,
            None => match self.ports.chain.header(number, Some(report.endpoint)).await? {
                Some(header) => header.block,
                None => return Ok(()),
            },
        };
        match advance(mark.as_ref(), block, now) {
            MarkMove::Keeps => Ok(()),
            MarkMove::Rises(new) => self.keep_mark(Some(new)).await,
            MarkMove::MovesBack(new) => {
                let from = mark.map_or(block, |mark| mark.current);
                tracing::warn!(
                    from = from.number,
                    to = block.number,
                    "the final block moved back; completions above it wait"
                );
                self.health.update(|health| health.finality_doubted = Some(now));
                let kind = EventKind::FinalityMoved { from, to: block };
                let commit = Commit { finality: Some(new), events: vec![Event::new(now, kind)], ..Commit::default() };
                transaction::commit(&*self.ports.store, commit).await?;
                Ok(())
            }
        }
    }

    /// Keeps a mark that has risen, if it has.
    pub(super) async fn keep_mark(&self, risen: Option<FinalityMark>) -> Result<(), Trouble> {
        if risen.is_some() {
            transaction::commit(&*self.ports.store, Commit { finality: risen, ..Commit::default() }).await?;
        }
        Ok(())
    }

    /// The header at a height on this endpoint's chain, asked for once in a pass.
    pub(super) async fn header_at(
        &self,
        number: BlockNumber,
        endpoint: EndpointId,
        headers: &mut BTreeMap<BlockNumber, Option<Header>>,
    ) -> Result<Option<Header>, Trouble> {
        if let Some(known) = headers.get(&number) {
            return Ok(*known);
        }
        let header = self.ports.chain.header(number, Some(endpoint)).await?;
        headers.insert(number, header);
        Ok(header)
    }

    /// Learns the headers at these heights on this endpoint's chain, as far as they are not known.
    pub(super) async fn learn_headers(
        &self,
        numbers: BTreeSet<BlockNumber>,
        endpoint: EndpointId,
        headers: &mut BTreeMap<BlockNumber, Option<Header>>,
    ) -> Result<(), Trouble> {
        let unknown: Vec<BlockNumber> = numbers.into_iter().filter(|number| !headers.contains_key(number)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let found = self.ports.chain.headers(&unknown, Some(endpoint)).await?;
        headers.extend(unknown.into_iter().zip(found));
        Ok(())
    }

    /// Every provisional deposit at or below the final block either stands for good or is gone. True when some are left that
    /// were not come to.
    async fn settle_final(&mut self, number: BlockNumber, report: &FinalityReport) -> Result<bool, Trouble> {
        for _ in 0..MOST_BATCHES {
            let provisional = self.ports.store.provisional(number, BATCH).await?;
            if provisional.is_empty() {
                return Ok(false);
            }
            let settled = self.settle_batch(&provisional, report).await?;
            if settled {
                self.progress.settled_at = Some(self.ports.clock.now());
            }
            self.find_waiting().await?;
            if provisional.len() < BATCH || !settled {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True when at least one of them could be settled.
    async fn settle_batch(&self, provisional: &[Deposit], report: &FinalityReport) -> Result<bool, Trouble> {
        let mut standings: Standings = BTreeMap::new();
        let blocks = self.final_blocks(provisional, report).await?;
        let (now, mut asked) = (self.ports.clock.now(), 0);
        for deposit in provisional {
            // Who does not call it final himself, or has no such block, is asked again.
            let Some(header) = blocks.get(&deposit.block_number) else { continue };
            let standing = if header.block.hash == deposit.key.block_hash || planted(Bug::FinalByNumber) {
                BlockStatus::Final { at: now }
            } else if self.is_gone(deposit, &mut asked).await {
                BlockStatus::Gone { after_final: false }
            } else {
                continue;
            };
            let Some(time) = self.settled_time(deposit, header, report.endpoint, &mut asked).await else { continue };
            standings.entry(deposit.to).or_default().push((deposit.key, standing, Header { time, ..*header }));
        }
        self.write_standings(standings, report.endpoint).await
    }

    /// When the deposit's block was made, where its log and the header say different things: by as many operators as have to agree.
    /// `None`: they are asked again with the next final blocks.
    async fn settled_time(
        &self,
        deposit: &Deposit,
        header: &Header,
        endpoint: EndpointId,
        asked: &mut usize,
    ) -> Option<Timestamp> {
        if header.block.hash != deposit.key.block_hash || header.time == deposit.block_time {
            return Some(header.time);
        }
        *asked = asked.saturating_add(1);
        if *asked > MOST_ASKED && self.ports.operators_needed(&self.settings) > 1 {
            return None;
        }
        self.agreed_time(header, endpoint).await
    }

    /// Whether a deposit whose height has another block, by one operator's word, is gone. Where operators have to agree, so
    /// many must have another block there: what one of them hides would not be looked for again before the last reading.
    async fn is_gone(&self, deposit: &Deposit, asked: &mut usize) -> bool {
        if self.ports.operators_needed(&self.settings) <= 1 {
            return true;
        }
        // Whoever invents deposits must not have us ask without end: the others are come to with the next final blocks.
        *asked = asked.saturating_add(1);
        *asked <= MOST_ASKED && self.is_elsewhere(deposit).await
    }

    /// Whether as many operators as have to agree have another block at the deposit's height.
    pub(super) async fn is_elsewhere(&self, deposit: &Deposit) -> bool {
        let needed = self.ports.operators_needed(&self.settings);
        witnesses(&self.ports, &self.settings, deposit).await.elsewhere.len() >= needed
    }

    /// The final blocks at the heights of these deposits, each by the word of one node that both gave it and calls it final.
    async fn final_blocks(
        &self,
        deposits: &[Deposit],
        report: &FinalityReport,
    ) -> Result<BTreeMap<BlockNumber, Header>, Trouble> {
        let rule = self.settings.finality;
        let of_report = |header| WitnessedHeader { header, finalized: report.finalized, head: report.head };
        let is_final = |found: &WitnessedHeader| final_block(rule, found).and(found.header);
        let given = [Some(report.head), report.finalized].into_iter().flatten();
        let mut blocks: BTreeMap<BlockNumber, Header> =
            given.filter_map(|header| is_final(&of_report(Some(header)))).map(|it| (it.block.number, it)).collect();
        let numbers: BTreeSet<BlockNumber> = deposits.iter().map(|deposit| deposit.block_number).collect();
        let unknown: Vec<BlockNumber> = numbers.into_iter().filter(|number| !blocks.contains_key(number)).collect();
        if !unknown.is_empty() {
            let found = self.ports.chain.witnessed_headers(&unknown, rule.uses_tag(), report.endpoint).await?;
            blocks.extend(found.iter().filter_map(is_final).map(|it| (it.block.number, it)));
        }
        Ok(blocks)
    }

    /// True when at least one of them was written.
    async fn write_standings(&self, standings: Standings, endpoint: EndpointId) -> Result<bool, Trouble> {
        let said_by = self.word_of(endpoint);
        let said_by = said_by.as_ref();
        let writing = standings.into_iter().map(|(address, standings)| async move {
            let mut wrong: Option<(BlockNumber, Timestamp)> = None;
            let result = self
                .addresses
                .change(address, |unit, context| {
                    for (key, standing, header) in &standings {
                        let is_its = header.block.hash == key.block_hash;
                        // What its log said of the time was good for as long as nothing hung on it.
                        if is_its && unit.book.set_block_time(key, header.time, context.now) {
                            wrong = Some((header.block.number, header.time));
                        }
                        let canonical = (!is_its).then_some(header.block.hash);
                        unit.book.set_standing(key, *standing, canonical, context.now);
                        if matches!(standing, BlockStatus::Final { .. }) {
                            unit.book.set_final_by(key, said_by.cloned());
                        }
                    }
                    Ok::<(), Unexpected>(())
                })
                .await;
            if let Some((number, time)) = wrong {
                self.tell_wrong_time(number, time, endpoint);
            }
            self.told(address, result)
        });
        Ok(super::absorb::all(writing).await?.contains(&true))
    }
}
