//! Gathers what the chain and the payment API say, and holds the books against it.
//!
//! It reads by ways of its own, apart from the loops: who checks must not take the word of what is checked. It changes
//! nothing. Requests are bounded, and told while they go on. Deliberately absent: decisions; `policy::reconcile` finds
//! the differences.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::chain::{Address, BlockNumber, LogFilter, Transfer};
use crate::domain::payment::PaymentId;
use crate::domain::time::{Span, Timestamp};
use crate::engine::EngineSettings;
use crate::policy::finality::final_number;
use crate::policy::reconcile::{ApiFacts, Blocks, Books, ChainFacts, Listed, Scope, WalletFacts, compare};
use crate::ports::chain::{Chain, ChainError, TransferQuery};
use crate::ports::clock::Clock;
use crate::ports::off_ramp_api::OffRampApi;
use crate::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use crate::ports::sender::Sender;
use crate::service::export::Interval;
use crate::service::names_of;
use crate::service::operator_service::OperatorError;
use crate::service::reconcile_report::{Findings, report};
use crate::view::TokenName;
use crate::view::reconcile::ReconcileView;

/// The most readings of the chain, each of as many blocks as one job of catching up has.
const MAX_READINGS: u64 = 20_000;

/// The most recipients whose payments are asked for, and the most payments that are asked after one by one.
const MAX_ASKED: usize = 10_000;

/// How often a question is put again that could not be answered just then.
const TRIES: u32 = 4;

/// Between two tries, where the other side does not say; and the longest that its word is followed.
const WAIT: Span = Span::from_secs(2);
const LONGEST_WAIT: Span = Span::from_secs(60);

/// How far a reconciliation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being read: `blocks`, `recipients` or `payments`.
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
}

/// Whoever is told how far it is.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Reads the chain and the API for a reconciliation.
#[derive(Clone)]
pub struct Auditor {
    pub chain: Arc<dyn Chain>,
    /// Reads what concerns the wallet.
    pub sender: Arc<dyn Sender>,
    /// Asks after single payments; without it the API is left out.
    pub api: Option<Arc<dyn PaymentApi>>,
    /// Lists payments; without it the API is left out.
    pub off_ramp_api: Option<Arc<dyn OffRampApi>>,
    pub clock: Arc<dyn Clock>,
    /// What the engine goes by.
    pub settings: Arc<EngineSettings>,
    pub tokens: Vec<TokenName>,
}

fn unavailable(error: &ChainError) -> OperatorError {
    OperatorError::Refused(format!("the chain cannot be read: {error}"))
}

impl Auditor {
    /// Compares the books with the chain and with the API.
    ///
    /// # Errors
    /// When either cannot be read, or there is more to read than is reasonable. Half a comparison is none.
    pub async fn audit(
        &self,
        books: &Books,
        interval: &Interval,
        tell: Tell<'_>,
    ) -> Result<ReconcileView, OperatorError> {
        let now = self.clock.now();
        let mut not_compared = Vec::new();
        let chain = self.read_chain(books, interval, tell, &mut not_compared).await?;
        let api = match (&self.api, &self.off_ramp_api) {
            (Some(api), Some(off_ramp_api)) => {
                Some(self.read_api(books, &**api, &**off_ramp_api, tell, &mut not_compared).await?)
            }
            _ => {
                not_compared.push("The payment API: there is no key for it at hand.".to_owned());
                None
            }
        };
        let scope = Scope { now, from: interval.from, to: interval.to, token: self.settings.token };
        let differences = compare(books, Some(&chain), api.as_ref(), &scope);
        let api = api.as_ref();
        let found = Findings { books, chain: &chain, api, interval, now, differences: &differences };
        Ok(report(&names_of(&self.settings, &self.tokens), &found, not_compared))
    }

    async fn read_chain(
        &self,
        books: &Books,
        interval: &Interval,
        tell: Tell<'_>,
        not_compared: &mut Vec<String>,
    ) -> Result<ChainFacts, OperatorError> {
        let blocks = self.blocks_of(interval).await?;
        let mut facts = ChainFacts { read: windows(books, blocks), ..ChainFacts::default() };
        let unread = books.payments.values().map(|payment| payment.terms.deposit_address);
        let unread: BTreeSet<Address> = unread.filter(|address| !facts.read.contains_key(address)).collect();
        if !unread.is_empty() {
            let count = unread.len();
            not_compared
                .push(format!("{count} deposit addresses: the sweep has covered none of these blocks for them."));
        }
        let wallet = books.wallet.as_ref().map(|wallet| wallet.address);
        let mut outgoing = Vec::new();
        let jobs = self.jobs(&facts.read)?;
        let of = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
        for (done, (range, addresses)) in (0_u64..).zip(jobs) {
            tell(Progress { what: "blocks", done, of });
            if let Some(wallet) = wallet.filter(|wallet| addresses.contains(wallet)) {
                outgoing.extend(self.sent(wallet, range).await?);
            }
            facts.incoming.extend(self.received(addresses, range).await?);
        }
        tell(Progress { what: "blocks", done: of, of });
        if let Some(wallet) = wallet {
            facts.wallet = Some(self.read_wallet(wallet, &facts.read, outgoing, not_compared).await);
        }
        Ok(facts)
    }

    fn tokens(&self) -> Vec<Address> {
        std::iter::once(self.settings.token).chain(self.settings.other_tokens.iter().copied()).collect()
    }

    async fn received(&self, addresses: Vec<Address>, range: Blocks) -> Result<Vec<Transfer>, OperatorError> {
        let (tokens, recipients) = (Arc::new(self.tokens()), Arc::new(addresses));
        let query = TransferQuery {
            tokens,
            recipients,
            from: range.from,
            to: range.to,
            filter: LogFilter::Recipients,
            avoid: None,
            by: None,
        };
        let page = self.again(async || self.chain.transfers(&query).await?.whole()).await?;
        Ok(page.transfers)
    }

    async fn sent(&self, wallet: Address, range: Blocks) -> Result<Vec<Transfer>, OperatorError> {
        let tokens = self.tokens();
        let page = self.again(async || self.sender.sent(wallet, &tokens, range.from, range.to, None).await).await?;
        Ok(page.transfers)
    }

    /// Asks the chain again when it could not answer.
    async fn again<T>(&self, ask: impl AsyncFn() -> Result<T, ChainError>) -> Result<T, OperatorError> {
        let mut tries: u32 = 1;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(ChainError::Unavailable(_) | ChainError::Behind(_)) if tries < TRIES => {
                    tries = tries.saturating_add(1);
                    self.clock.sleep(WAIT).await;
                }
                Err(error) => return Err(unavailable(&error)),
            }
        }
    }

    /// The final blocks of the interval.
    async fn blocks_of(&self, interval: &Interval) -> Result<Blocks, OperatorError> {
        let rule = self.settings.finality;
        let said = self.again(async || self.chain.finality(rule.uses_tag()).await).await?;
        let Some(last) = final_number(rule, &said.head, said.finalized.as_ref()) else {
            return Err(OperatorError::Refused("no block is final yet: try again in a while".to_owned()));
        };
        let from = if interval.from == Timestamp::EPOCH { 0 } else { self.first_at(interval.from, last).await? };
        let after = if interval.to >= said.head.time { None } else { Some(self.first_at(interval.to, last).await?) };
        // An interval without a block ends before it begins, and then nothing is read.
        let to = after.map_or(last, |after| after.saturating_sub(1));
        Ok(Blocks { from, to })
    }

    /// The first block at or after a moment; the one after `last` when there is none.
    async fn first_at(&self, moment: Timestamp, last: BlockNumber) -> Result<BlockNumber, OperatorError> {
        let (mut low, mut high) = (0, last.saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            let header = self.again(async || self.chain.header(middle, None).await).await?;
            // Blocks that a node no longer has are old.
            if header.is_some_and(|header| header.time >= moment) {
                high = middle;
            } else {
                low = middle.saturating_add(1);
            }
        }
        Ok(low)
    }

    /// Which blocks are read for whom, one reading after the other.
    fn jobs(&self, read: &BTreeMap<Address, Blocks>) -> Result<Vec<(Blocks, Vec<Address>)>, OperatorError> {
        let chunk = self.settings.sweep.chunk.max(1);
        let Some(first) = read.values().map(|blocks| blocks.from).min() else { return Ok(Vec::new()) };
        let last = read.values().map(|blocks| blocks.to).max().unwrap_or(first);
        let count = last.saturating_sub(first).checked_div(chunk).unwrap_or(0);
        if count >= MAX_READINGS {
            return Err(OperatorError::Refused(format!(
                "blocks {first} to {last} are more than are read in one go: narrow it with --from and --to"
            )));
        }
        let mut jobs = Vec::new();
        for nth in 0..=count {
            let from = first.saturating_add(nth.saturating_mul(chunk));
            let range = Blocks { from, to: from.saturating_add(chunk).saturating_sub(1).min(last) };
            let here = read.iter().filter(|(_, blocks)| blocks.both(&range).is_some());
            let addresses: Vec<Address> = here.map(|(address, _)| *address).collect();
            if !addresses.is_empty() {
                jobs.push((range, addresses));
            }
        }
        Ok(jobs)
    }

    async fn read_wallet(
        &self,
        address: Address,
        read: &BTreeMap<Address, Blocks>,
        outgoing: Vec<Transfer>,
        not_compared: &mut Vec<String>,
    ) -> WalletFacts {
        let mut facts = WalletFacts { address, outgoing, balances: None, mined: None };
        if let Some(blocks) = read.get(&address) {
            let at = |number| self.sender.balance_at(address, self.settings.token, number);
            if let (Ok(Some(before)), Ok(Some(after))) = (at(blocks.from.saturating_sub(1)).await, at(blocks.to).await)
            {
                facts.balances = Some((before, after));
            } else {
                not_compared.push(
                    "The wallet's balance against its transfers: no node still knows the balances of back then."
                        .to_owned(),
                );
            }
        } else {
            not_compared.push("The wallet's transfers: the sweep has covered none of these blocks for it.".to_owned());
        }
        // An endpoint that hangs behind counts fewer: the most is the truth.
        let counts = self.sender.nonces(address, None).await;
        facts.mined = counts.into_iter().filter_map(|count| count.answer.ok()).map(|count| count.latest).max();
        if facts.mined.is_none() {
            not_compared.push("The wallet's nonces: no node told them.".to_owned());
        }
        facts
    }

    async fn read_api(
        &self,
        books: &Books,
        api: &dyn PaymentApi,
        off_ramp_api: &dyn OffRampApi,
        tell: Tell<'_>,
        not_compared: &mut Vec<String>,
    ) -> Result<ApiFacts, OperatorError> {
        let recipients: BTreeSet<_> = books.payments.values().map(|payment| payment.recipient_id.clone()).collect();
        let mut facts = ApiFacts { recipients, ..ApiFacts::default() };
        let of = bounded(facts.recipients.len(), "recipients")?;
        for (done, recipient) in (0_u64..).zip(&facts.recipients) {
            tell(Progress { what: "recipients", done, of });
            let answer = self.ask(async || off_ramp_api.payments_of_recipient(recipient).await).await?;
            let Some(listing) = answer else { continue };
            not_compared.extend(listing.unreadable.iter().map(|why| format!("A payment at the API: {why}")));
            not_compared.extend(
                listing.partial.map(|why| format!("Payments of recipient {recipient} that are nowhere here: {why}.")),
            );
            facts.listed.extend(listing.payments.into_iter().map(|said| (said.id.clone(), self.listed(said))));
        }
        // A list may be cut somewhere, which nothing documents: what it lacks is asked after before it counts as missing.
        let lacking: Vec<&PaymentId> = books.payments.keys().filter(|id| !facts.listed.contains_key(*id)).collect();
        let of = bounded(lacking.len(), "payments that the API does not list")?;
        for (done, id) in (0_u64..).zip(lacking) {
            tell(Progress { what: "payments", done, of });
            match self.ask(async || api.payment(id).await).await? {
                Some(said) => drop(facts.listed.insert(id.clone(), self.listed(said))),
                None => drop(facts.absent.insert(id.clone())),
            }
        }
        Ok(facts)
    }

    fn listed(&self, said: ApiPayment) -> Listed {
        let is_chain = said.deposit_chain.is_none_or(|name| name.eq_ignore_ascii_case(&self.settings.chain_name));
        let is_off_ramp = said.kind.is_none_or(|kind| kind.eq_ignore_ascii_case("OFF_RAMP"));
        Listed {
            id: said.id,
            status: said.status,
            tx_hash: said.tx_hash,
            amount: said.deposit_amount,
            address: said.deposit_address,
            created_at: said.created_at,
            is_ours: is_chain && is_off_ramp,
        }
    }

    /// Asks the API, again where it cannot answer just then; `None` when it does not know what it was asked after.
    async fn ask<T>(&self, ask: impl AsyncFn() -> Result<T, ApiError>) -> Result<Option<T>, OperatorError> {
        let mut tries: u32 = 1;
        loop {
            match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(ApiError::NotFound { .. }) => return Ok(None),
                Err(ApiError::NotNow { retry_after, .. } | ApiError::Unclear { retry_after, .. }) if tries < TRIES => {
                    tries = tries.saturating_add(1);
                    self.clock.sleep(retry_after.unwrap_or(WAIT).min(LONGEST_WAIT)).await;
                }
                Err(error) => return Err(OperatorError::Api(error)),
            }
        }
    }
}

fn bounded(count: usize, what: &str) -> Result<u64, OperatorError> {
    if count > MAX_ASKED {
        return Err(OperatorError::Refused(format!(
            "{count} {what} are more than are asked after in one go ({MAX_ASKED})"
        )));
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Which of these blocks were swept for which address: what lies beyond, the ledger does not claim to know.
fn windows(books: &Books, blocks: Blocks) -> BTreeMap<Address, Blocks> {
    let swept = books.coverage.values().filter_map(|coverage| {
        let swept = coverage.swept?;
        let window = Blocks { from: swept.start, to: swept.covered_to }.both(&blocks)?;
        Some((coverage.address, window))
    });
    swept.collect()
}
