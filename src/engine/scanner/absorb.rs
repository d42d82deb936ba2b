//! Takes a reading in: new deposits, deposits that came back, deposits that are missing, and the coverage.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures_util::StreamExt;

use super::finality::Believed;
use super::readings::Heard;
use super::strays::{Arrival, ProvenFinal, Strays};
use super::{Scanner, Trouble};
use crate::domain::chain::{Address, B256, BlockNumber, BlockRef, Header, Transfer};
use crate::domain::coverage::{Coverage, FinalityMark};
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey};
use crate::domain::event::{Alarm, EventKind, Reading};
use crate::domain::operator::Operator;
use crate::domain::time::{Span, Timestamp};
use crate::engine::address_repository::{AddressUnit, RepositoryError};
use crate::planted::{Bug, planted};
use crate::policy::finality::{FinalityRule, GoneBy, gone, is_final_as_read};
use crate::policy::numbering::as_known;
use crate::policy::payment_machine::{Context, Unexpected};
use crate::policy::sweep::{self, Job, SweepParams};
use crate::ports::chain::{ChainError, EndpointId, Flaws};
use crate::ports::store::{Commit, StoreError};

/// How many addresses are written at once. The store groups their commits.
const AT_ONCE: usize = 256;

/// How long an address stands back behind others when a log of it is withheld, or when it cannot be let go yet.
pub(super) const REST: Span = Span::from_secs(15);

/// What a reading of one address has to be held against.
struct Evidence {
    transfers: Vec<Seen>,
    /// What became of deposits that the store has and the reading has not.
    missing: BTreeMap<DepositKey, Missing>,
    /// Whether any of it is not in the store yet.
    has_news: bool,
}

/// A transfer that was read.
struct Seen {
    transfer: Transfer,
    /// The time of its block.
    time: Timestamp,
    /// Whose node showed it, where that counts.
    by: Option<Operator>,
}

/// Where a reading comes from.
#[derive(Clone, Copy)]
struct Source {
    anchor: Header,
    /// Whether the anchor came as the finalized block.
    is_tagged: bool,
    endpoint: EndpointId,
}

impl Source {
    /// Whether the reading itself proves that this transfer's block is final.
    fn proves(&self, rule: FinalityRule, transfer: &Transfer) -> bool {
        is_final_as_read(rule, &self.anchor, self.is_tagged, &transfer.block)
    }
}

/// What a reading says, and whose word it is.
#[derive(Clone, Copy)]
struct Told<'a> {
    job: &'a Job,
    reading: Reading,
    source: Source,
    /// Who shows the transfers that the source does not.
    elsewhere: &'a BTreeMap<Place, EndpointId>,
    /// Who has read it, where several had to.
    readers: &'a [Operator],
    /// What of it is not sound.
    flaws: &'a Flaws,
}

/// What became of a deposit that a reading did not return.
#[derive(Clone, Copy, Debug)]
enum Missing {
    /// Another block is at its height: this one.
    Gone(BlockRef),
    /// Its block stands: the provider withholds the log.
    Withheld {
        /// Whether an alarm was raised about it before.
        told: bool,
    },
}

/// A reading that is being taken in.
#[derive(Clone, Copy)]
struct Read<'a> {
    job: &'a Job,
    reading: Reading,
    now: Timestamp,
    /// Where it comes from, if the reading itself proves that some of its deposits are final.
    proof: Option<Source>,
    /// What is believed of finality since, to be stored with what was read.
    mark: Option<FinalityMark>,
    /// Who runs the endpoint that it comes from, where that counts.
    said_by: Option<&'a Operator>,
    /// Who says what has gone.
    gone_by: GoneBy<'a>,
    /// What of it is not sound.
    flaws: &'a Flaws,
}

/// The coverage after the reading; `None` when it stays.
fn raised(
    coverage: &Coverage,
    read: Read<'_>,
    last_final: Option<BlockNumber>,
    params: &SweepParams,
) -> Option<Coverage> {
    match read.reading {
        Reading::Sweep => sweep::after_sweep(coverage, read.job, last_final?, read.now, params),
        Reading::Second => sweep::after_second(coverage, read.job, read.now, params),
    }
}

/// Waits for all, several at a time; the first trouble ends it.
pub(super) async fn all<T>(
    work: impl Iterator<Item = impl Future<Output = Result<T, Trouble>>>,
) -> Result<Vec<T>, Trouble> {
    let mut under_way = futures_util::stream::iter(work).buffer_unordered(AT_ONCE);
    let mut results = Vec::new();
    while let Some(result) = under_way.next().await {
        results.push(result?);
    }
    Ok(results)
}

impl Scanner {
    /// Takes in everything that `page` says of `job`'s range and addresses. Returns the addresses for which the range
    /// does not count as read: a log was withheld, or what was read could not be written.
    pub(super) async fn absorb(
        &mut self,
        job: &Job,
        heard: impl Into<Heard>,
        reading: Reading,
    ) -> Result<BTreeSet<Address>, Trouble> {
        let Heard { page, elsewhere, readers } = heard.into();
        self.alarm_malformed(page.malformed).await?;
        let flaws = page.flaws;
        self.note_flaws(job, reading, &flaws);
        let mut by_address: BTreeMap<Address, Vec<Transfer>> = BTreeMap::new();
        let source = Source { anchor: page.anchor, is_tagged: page.is_tagged, endpoint: page.endpoint };
        let mut headers = BTreeMap::from([(page.anchor.block.number, Some(page.anchor))]);
        for transfer in page.transfers {
            by_address.entry(transfer.to).or_default().push(transfer);
        }
        let mut affected: BTreeSet<Address> = by_address.keys().copied().collect();
        // Only a deposit within the range can miss from it.
        let is_asked_for = |address: &Address| job.addresses.binary_search(address).is_ok();
        let reaching: BTreeSet<Address> = self.known.newest_deposits.from(job.from).filter(is_asked_for).collect();
        affected.extend(&reaching);
        let asked: Vec<Address> = reaching.iter().copied().collect();
        let known = self.ports.store.deposits_of(&asked).await?;
        let known: BTreeMap<Address, Vec<Deposit>> = asked.into_iter().zip(known).collect();
        let timeless = self.without_time(by_address.iter(), &known, &page.anchor).await?;
        match self.learn_headers(timeless, page.endpoint, &mut headers).await {
            // Those whose block's time nobody tells wait; each is asked for once more by itself.
            Err(Trouble::Chain(ChainError::Refused(_))) => {}
            learnt => learnt?,
        }
        let told = Told { job, reading, source, elsewhere: &elsewhere, readers: &readers, flaws: &flaws };
        let (mut evidence, mut left) = self.weigh(affected, by_address, known, told, &mut headers).await?;
        for (address, evidence) in &evidence {
            let newest = evidence.transfers.iter().map(|seen| seen.transfer.block.number).max();
            if let Some(newest) = newest {
                self.known.newest_deposits.note(*address, newest);
            }
        }
        self.note_withheld(&evidence);
        if reading == Reading::Sweep {
            self.owe_second_readings(&mut evidence).await?;
        }
        let brought_news = !evidence.is_empty();
        let (proof, mark) = self.proof_in(&evidence, source).await?;
        // With one address alone, the mark is stored with it: the disk is waited for once.
        let (within, apart) = if evidence.len() == 1 { (mark, None) } else { (None, mark) };
        // One moment for all, so that those who were read together go on standing together.
        let said_by = self.word_of(source.endpoint);
        let gone_by = match reading {
            _ if self.ports.operators_needed(&self.settings) <= 1 => GoneBy::Only,
            Reading::Sweep => GoneBy::One,
            Reading::Second => GoneBy::Several(&readers),
        };
        let (now, said_by) = (self.ports.clock.now(), said_by.as_ref());
        let read = Read { job, reading, now, proof, mark: within, said_by, gone_by, flaws: &flaws };
        if planted(Bug::CoverageBeforeDeposits) {
            let (last_final, params) = (self.view.last_final, self.settings.sweep);
            self.index.raise(job, &BTreeSet::new(), |coverage| raised(coverage, read, last_final, &params));
            self.keep_some().await?;
        }
        let this = &*self;
        // Owned pieces: a future that borrows its item cannot be sent to another thread from here.
        let writing =
            evidence.into_iter().map(|(address, evidence)| async move { this.write(address, &evidence, read).await });
        // The mark goes first, and does not hold up the rest: the store keeps the order.
        let (_, unwritten) = futures_util::future::try_join(self.keep_mark(apart), all(writing)).await?;
        left.extend(unwritten.into_iter().flatten().chain(flaws.of.keys().copied()));
        left.iter().for_each(|address| self.rest(*address));
        let (last_final, params) = (self.view.last_final, self.settings.sweep);
        if flaws.of_all.is_none() {
            self.index.raise(job, &left, |coverage| raised(coverage, read, last_final, &params));
        }
        let covers = |address: &Address| !left.contains(address) && self.index.joins(address, job.from);
        self.readings.unread.worked(job, reading, &flaws, covers);
        self.reload().await?;
        if reading == Reading::Second || sweep::is_worth_raising(job, last_final, brought_news, &params) {
            self.keep_some().await?;
        }
        Ok(left)
    }

    /// Holds what was read of each address against what is known of it. Returns what is news, and the addresses whose blocks cannot
    /// be told now: the others have no part in that.
    async fn weigh(
        &mut self,
        affected: BTreeSet<Address>,
        mut by_address: BTreeMap<Address, Vec<Transfer>>,
        mut known: BTreeMap<Address, Vec<Deposit>>,
        told: Told<'_>,
        headers: &mut BTreeMap<BlockNumber, Option<Header>>,
    ) -> Result<(Vec<(Address, Evidence)>, BTreeSet<Address>), Trouble> {
        let (mut evidence, mut left) = (Vec::new(), BTreeSet::new());
        for address in affected {
            let mut transfers = by_address.remove(&address).unwrap_or_default();
            as_known(&mut transfers, known.get(&address).into_iter().flatten());
            let is_there = |key: &DepositKey| transfers.iter().any(|transfer| place_of(transfer) == place_of_key(key));
            self.known.told.withheld.retain(|key| !is_there(key));
            // What is above everything that the store has of the address is news.
            let mut known = known.remove(&address).unwrap_or_default();
            // Of what is missing from an answer that is not sound, nothing follows.
            known.retain(|deposit| told.flaws.about(&address).is_none() || is_there(&deposit.key));
            let found = match self.evidence(&known, transfers, told, headers).await {
                Err(Trouble::Chain(error @ (ChainError::Refused(_) | ChainError::Behind(_)))) => {
                    tracing::debug!(%address, %error, "what was read of an address waits");
                    left.insert(address);
                    let now = self.ports.clock.now();
                    if self.readings.unread.note(told.reading, address, &error.to_string(), now) {
                        // It is read again as soon as a block's time has passed; what lasts is left to the usual sweeps.
                        self.schedule.hinted = self.schedule.hinted.or(Some((told.source.anchor.block.number, 0)));
                    }
                    continue;
                }
                found => found?,
            };
            // Most of what a sweep reads was read before: only for what is news is the address's book opened.
            if found.has_news {
                evidence.push((address, found));
            }
        }
        Ok((evidence, left))
    }

    /// That a deposit has gone is the word of whoever was read. Its block is read a second time, as if it had not been yet: what
    /// one has hidden, others show then. Kept before it is called gone, so that no crash in between can lose it; what cannot be
    /// kept is not called gone yet.
    async fn owe_second_readings(&mut self, evidence: &mut [(Address, Evidence)]) -> Result<(), Trouble> {
        let at = self.ports.clock.now().plus(self.settings.sweep.second_after);
        let mut owed = Vec::new();
        for (address, evidence) in evidence.iter() {
            let gone = evidence.missing.values().filter_map(|missing| match missing {
                Missing::Gone(block) => Some(block.number),
                Missing::Withheld { .. } => None,
            });
            let coverage = gone.min().zip(self.index.coverage(address));
            owed.extend(coverage.and_then(|(from, coverage)| sweep::owed_again(&coverage, from, at)));
        }
        if owed.is_empty() {
            return Ok(());
        }
        if self.store_coverage(Commit { coverage: owed.clone(), ..Commit::default() }).await? {
            self.index.taken_back(&owed);
        } else {
            let all = evidence.iter_mut().map(|(_, evidence)| &mut evidence.missing);
            all.for_each(|missing| missing.retain(|_, it| matches!(it, Missing::Withheld { .. })));
        }
        self.reload().await?;
        Ok(())
    }

    /// The reading's anchor, where the reading itself proves that deposits in the anchor's block are final, and the mark to
    /// keep then, if it moves.
    async fn proof_in(
        &mut self,
        evidence: &[(Address, Evidence)],
        source: Source,
    ) -> Result<(Option<Source>, Option<FinalityMark>), Trouble> {
        let rule = self.settings.finality;
        let proves = |seen: &Seen| source.proves(rule, &seen.transfer);
        if !evidence.iter().any(|(_, evidence)| evidence.transfers.iter().any(proves)) {
            return Ok((None, None));
        }
        Ok(match self.believe_anchor(&source.anchor, source.endpoint).await? {
            Believed::No => (None, None),
            Believed::Yes { mark } => (Some(source), mark),
        })
    }

    /// Deposits that are withheld for the first time are to be told of; their addresses stand back for a while.
    fn note_withheld(&mut self, evidence: &[(Address, Evidence)]) {
        for (address, evidence) in evidence {
            if evidence.missing.values().any(|missing| matches!(missing, Missing::Withheld { .. })) {
                self.rest(*address);
            }
            let new =
                evidence.missing.iter().filter(|(_, missing)| matches!(missing, Missing::Withheld { told: false }));
            self.known.told.withheld.extend(new.map(|(key, _)| *key));
        }
    }

    /// Writes what was read of one address, with its coverage, in one commit. Returns the address when the range does
    /// not count as read for it.
    async fn write(&self, address: Address, evidence: &Evidence, read: Read<'_>) -> Result<Option<Address>, Trouble> {
        let mut is_left = false;
        let (chain_id, rule) = (self.ports.chain.chain_id(), self.settings.finality);
        let result = self
            .addresses
            .change(address, |unit, context| {
                unit.coverage = unit.coverage.take().map(|stored| self.index.brought_up(&stored));
                unit.mark = read.mark;
                let mut strays = Strays::new(read.reading, unit.coverage.as_ref(), self.settings.matching);
                for Seen { transfer, time, by } in &evidence.transfers {
                    let seen = Deposit::from_transfer(chain_id, transfer, *time, context.now);
                    let proves = read.proof.is_some_and(|source| source.proves(rule, transfer));
                    let proof = proves.then_some(ProvenFinal(read.said_by));
                    let arrival = Arrival { seen: Deposit { seen_by: by.clone(), ..seen }, proof };
                    strays.keep_or_leave(unit, arrival, context);
                }
                let mut withheld = false;
                for (key, missing) in &evidence.missing {
                    withheld |= note_missing(unit, key, *missing, read.gone_by, context);
                }
                is_left = withheld;
                // A provider that withholds a log may withhold others: the range does not count as read.
                let is_sound = !withheld && read.flaws.about(&address).is_none();
                let counts = unit.coverage.as_ref().filter(|coverage| is_sound && !coverage.closed);
                let params = &self.settings.sweep;
                if let Some(raised) = counts.and_then(|coverage| raised(coverage, read, self.view.last_final, params)) {
                    unit.coverage = Some(raised);
                }
                strays.take_in(unit, context);
                Ok::<(), Unexpected>(())
            })
            .await;
        is_left |= result.is_err();
        self.told(address, result)?;
        Ok(is_left.then_some(address))
    }

    /// Whether anything was written. A payment that could not take it is left for the next reading.
    pub(super) fn told(
        &self,
        address: Address,
        result: Result<bool, RepositoryError<Unexpected>>,
    ) -> Result<bool, Trouble> {
        match result {
            Ok(is_changed) => Ok(is_changed),
            Err(RepositoryError::Store(StoreError::Conflict(what) | StoreError::Corrupt(what))) => {
                tracing::warn!(%address, what, "the address keeps changing, or does not read; read again later");
                Ok(false)
            }
            Err(RepositoryError::Store(error)) => Err(error.into()),
            Err(
                error @ (RepositoryError::Refused(_) | RepositoryError::Unexpected(_) | RepositoryError::NoPayment(_)),
            ) => {
                tracing::error!(%address, %error, "what was read does not go with a payment's state; read again later");
                Ok(false)
            }
        }
    }

    /// What the reading has to say of an address, held against the deposits that are known.
    async fn evidence(
        &self,
        known: &[Deposit],
        transfers: Vec<Transfer>,
        Told { job, source, elsewhere, readers, .. }: Told<'_>,
        headers: &mut BTreeMap<BlockNumber, Option<Header>>,
    ) -> Result<Evidence, Trouble> {
        let by_place: BTreeMap<Place, &Deposit> = known.iter().map(|it| (place_of_key(&it.key), it)).collect();
        let mut evidence = Evidence { transfers: Vec::new(), missing: BTreeMap::new(), has_news: false };
        let mut read = BTreeSet::new();
        // What was counted is no news, however often it is read; unless the coverage begins anew, and the count with it.
        let swept = transfers.first().and_then(|it| self.index.coverage(&it.to)).and_then(|coverage| coverage.swept);
        let covered_to = swept.map_or(0, |swept| swept.covered_to);
        let tallies: Vec<_> = known.iter().filter_map(|it| Some((it.token, it.tally.as_deref()?))).collect();
        let is_counted = |it: &Transfer| {
            let mut of_token = tallies.iter().filter(|(token, _)| *token == it.token);
            let is_covered = it.block.number <= covered_to && !planted(Bug::StrayCountedTwice);
            is_covered && of_token.any(|(_, tally)| tally.has(it.block.number, it.amount))
        };
        for transfer in transfers {
            let place = place_of(&transfer);
            if !by_place.contains_key(&place) && is_counted(&transfer) {
                continue;
            }
            let shown_by = elsewhere.get(&place).copied().unwrap_or(source.endpoint);
            let proven = source.proves(self.settings.finality, &transfer);
            let (time, is_news) = match by_place.get(&place) {
                None => {
                    // Each endpoint has blocks of its own.
                    let mut its_own = BTreeMap::new();
                    let known = if shown_by == source.endpoint { &mut *headers } else { &mut its_own };
                    (self.block_time_of(&transfer, shown_by, known).await?, true)
                }
                Some(deposit) => {
                    let is_news = match deposit.standing {
                        BlockStatus::Final { .. } => false,
                        BlockStatus::Provisional => proven,
                        BlockStatus::Gone { .. } => true,
                    };
                    (deposit.block_time, is_news)
                }
            };
            evidence.has_news |= is_news;
            read.insert(place);
            evidence.transfers.push(Seen { transfer, time, by: self.word_of(shown_by) });
        }
        for deposit in known {
            let key = deposit.key;
            let in_range = (job.from..=job.to).contains(&deposit.block_number);
            if !in_range || !deposit.stands() || read.contains(&place_of_key(&key)) {
                continue;
            }
            let header = self.header_at(deposit.block_number, source.endpoint, headers).await?;
            match header {
                Some(header) if planted(Bug::WithheldMeansGone) => {
                    evidence.missing.insert(key, Missing::Gone(header.block))
                }
                Some(header) => {
                    let is_there = header.block.hash == key.block_hash || self.is_ones_word(deposit, readers).await;
                    let told = self.known.told.withheld.contains(&key);
                    let withheld = Missing::Withheld { told };
                    evidence.missing.insert(key, if is_there { withheld } else { Missing::Gone(header.block) })
                }
                None => None,
            };
        }
        evidence.has_news |= !evidence.missing.is_empty();
        Ok(evidence)
    }

    /// Whether one reader alone says that a final deposit's height has another block; the others may only withhold the deposit.
    async fn is_ones_word(&self, deposit: &Deposit, readers: &[Operator]) -> bool {
        let is_final = matches!(deposit.standing, BlockStatus::Final { .. });
        is_final && readers.len() > 1 && !self.is_elsewhere(deposit).await
    }
}

/// What tells a deposit from every other one of the same chain.
pub(super) type Place = (B256, B256, u64);

pub(super) const fn place_of(transfer: &Transfer) -> Place {
    (transfer.block.hash, transfer.tx_hash, transfer.log_index)
}

pub(super) const fn place_of_key(key: &DepositKey) -> Place {
    (key.block_hash, key.tx_hash, key.log_index)
}

/// Writes into the book what became of a missing deposit. True when the provider withholds it.
fn note_missing(
    unit: &mut AddressUnit,
    key: &DepositKey,
    missing: Missing,
    by: GoneBy<'_>,
    context: &Context<'_>,
) -> bool {
    let Some(deposit) = unit.book.deposit(key).filter(|deposit| deposit.stands()) else { return false };
    match missing {
        Missing::Withheld { told } => {
            if !told {
                unit.book.note_deposit(key, context.now, EventKind::Alarm { alarm: Alarm::LogWithheld });
            }
            true
        }
        Missing::Gone(canonical) => {
            match gone(deposit, by) {
                Some(BlockStatus::Gone { after_final: true }) => {
                    unit.book.lose_final(key, Some(canonical.hash), context.now)
                }
                Some(standing) => unit.book.set_standing(key, standing, Some(canonical.hash), context.now),
                None => {}
            }
            false
        }
    }
}
