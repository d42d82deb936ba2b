//! What may be asked of the handle: lists, single records, why something stands where it stands, open reviews.
//!
//! Every question looks at a bounded number of records. A list that ends early says where to go on. The store has
//! indexes for ids and addresses only: filters by state or verdict look at one record after the other.

use crate::domain::chain::B256;
use crate::domain::deposit::{Deposit, DepositKey, ReviewReason, Verdict};
use crate::domain::odd::explained;
use crate::domain::payment::{Payment, PaymentId, PaymentState, PayoutReference};
use crate::domain::time::Span;
use crate::engine::health::Readiness;
use crate::ports::store::Subject;
use crate::service::names_of;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::requests::{parse_address, parse_payment};
use crate::view::explain::Names;
use crate::view::reviews;
use crate::view::{DepositView, EventView, Page, PaymentView, TokenName, WhyView, moment};

/// The most items of one part of a list.
pub const MAX_PAGE: usize = 1_000;

/// The most records that one question looks at.
const MAX_SCAN: usize = 10_000;

/// The most deposits that are looked at to find a transaction.
const MAX_SEARCH: usize = 200_000;

/// How many records are read at once.
const CHUNK: usize = 500;

/// The most events that `why` shows.
const MAX_EVENTS: usize = 500;

/// The most deposits that `why` shows of a payment.
const MAX_WHY_DEPOSITS: usize = 100;

/// The names of the states, for filters.
pub const STATES: [&str; 8] = ["waiting", "seen", "due", "calling", "unclear", "following", "ended", "review"];

/// The names of the verdicts, for filters.
pub const VERDICTS: [&str; 5] = ["unjudged", "pays", "nothing", "review", "ignored"];

/// Which deposits are asked for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DepositFilter {
    pub address: Option<String>,
    /// Those that concern this payment.
    pub payment: Option<String>,
    pub verdict: Option<String>,
}

fn invalid(field: &'static str, problem: impl Into<String>) -> OperatorError {
    OperatorError::Invalid { field, problem: problem.into() }
}

fn one_of_names(field: &'static str, given: Option<&str>, names: &[&str]) -> Result<(), OperatorError> {
    match given.filter(|given| !names.contains(given)) {
        Some(given) => Err(invalid(
            field,
            explained(format_args!("{given:?} is none; it must be one of {}", names.join(", ")), given),
        )),
        None => Ok(()),
    }
}

/// The payments that a verdict names.
fn named(verdict: &Verdict) -> Vec<&PaymentId> {
    match verdict {
        Verdict::Pays { payment, .. } => vec![payment],
        Verdict::Review { why } => match why {
            ReviewReason::Split { payment, .. }
            | ReviewReason::SecondDeposit { payment }
            | ReviewReason::Replaced { payment }
            | ReviewReason::Early { payment }
            | ReviewReason::Late { payment }
            | ReviewReason::PaymentEnded { payment } => vec![payment],
            ReviewReason::GoneAfterFinal { payment } => payment.iter().collect(),
            ReviewReason::Ambiguous { candidates } => candidates.iter().collect(),
            ReviewReason::WrongToken
            | ReviewReason::Under { .. }
            | ReviewReason::Over { .. }
            | ReviewReason::NoFit
            | ReviewReason::NoPayment => Vec::new(),
        },
        Verdict::Unjudged | Verdict::Nothing { .. } | Verdict::Ignored { .. } => Vec::new(),
    }
}

/// Whether a deposit to the payment's address concerns the payment: its verdict or the payment's state names the one or
/// the other, or the verdict names no payment at all.
fn concerns(deposit: &Deposit, payment: &Payment) -> bool {
    let named = named(&deposit.verdict);
    named.is_empty() || named.contains(&&payment.id) || payment.state.deposit() == Some(&deposit.key)
}

impl OperatorService {
    pub(crate) fn names(&self) -> Names<'_> {
        names_of(&self.settings, &self.tokens)
    }

    /// The same handle, with names for tokens in what it shows.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Vec<TokenName>) -> Self {
        self.tokens = tokens.into();
        self
    }

    /// Whether the engine does its work. The chain may lag by `lag` before it counts as not ready.
    #[must_use]
    pub fn readiness(&self, lag: Span) -> Readiness {
        self.health().readiness(self.clock.now(), lag)
    }

    /// Payments in the order of their ids, those after `after`.
    ///
    /// # Errors
    /// When the state or the id is none, or the store fails.
    pub async fn list_payments(
        &self,
        state: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PaymentView>, OperatorError> {
        one_of_names("state", state, &STATES)?;
        let mut after = after.map(parse_payment).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let chunk = self.store.payments(after.as_ref(), CHUNK).await?;
            let last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for payment in chunk {
                if items.len() >= limit {
                    return Ok(Page { items, next: after.map(|id| id.to_string()) });
                }
                if state.is_none_or(|name| name == payment.state.name()) {
                    items.push(PaymentView::of(&payment, &self.names()));
                }
                after = Some(payment.id);
            }
            if last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: after.map(|id| id.to_string()) });
            }
        }
    }

    /// The payment with this id.
    pub(crate) async fn stored(&self, id: &str) -> Result<Payment, OperatorError> {
        let id = parse_payment(id)?;
        self.store.payment(&id).await?.ok_or_else(|| OperatorError::NotFound(format!("payment {id}")))
    }

    /// Deposits: those to one address by block and log index, others in the order of their keys; those after `after`.
    pub(crate) async fn deposits_page(
        &self,
        filter: &DepositFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<DepositView>, OperatorError> {
        let verdict = filter.verdict.as_deref();
        one_of_names("verdict", verdict, &VERDICTS)?;
        let after = after.map(parse_key).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        let payment = match &filter.payment {
            Some(id) => Some(self.stored(id).await?),
            None => None,
        };
        let mut address = filter.address.as_deref().map(|text| parse_address("address", text)).transpose()?;
        if let Some(payment) = &payment {
            let its = payment.terms.deposit_address;
            if *address.get_or_insert(its) != its {
                return Ok(Page { items: Vec::new(), next: None });
            }
        }
        let wanted = |deposit: &Deposit| {
            verdict.is_none_or(|name| name == deposit.verdict.name())
                && payment.as_ref().is_none_or(|payment| concerns(deposit, payment))
        };
        match address {
            Some(address) => {
                let all = self.store.deposits_at(address).await?;
                let start = after.map_or(0, |after| {
                    all.iter().position(|deposit| deposit.key == after).map_or(0, |at| at.saturating_add(1))
                });
                let mut rest = all.iter().skip(start).filter(|deposit| wanted(deposit)).peekable();
                let chosen: Vec<&Deposit> = rest.by_ref().take(limit).collect();
                let next = rest.peek().and_then(|_| chosen.last()).map(|deposit| deposit.key.to_string());
                let items = chosen.into_iter().map(|deposit| DepositView::of(deposit, &self.names())).collect();
                Ok(Page { items, next })
            }
            None => self.scan_deposits(wanted, after, limit).await,
        }
    }

    pub(crate) async fn scan_deposits(
        &self,
        wanted: impl Fn(&Deposit) -> bool + Send,
        mut after: Option<DepositKey>,
        limit: usize,
    ) -> Result<Page<DepositView>, OperatorError> {
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let chunk = self.store.deposits(after.as_ref(), CHUNK).await?;
            let last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for deposit in chunk {
                if items.len() >= limit {
                    return Ok(Page { items, next: after.map(|key| key.to_string()) });
                }
                if wanted(&deposit) {
                    items.push(DepositView::of(&deposit, &self.names()));
                }
                after = Some(deposit.key);
            }
            if last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: after.map(|key| key.to_string()) });
            }
        }
    }

    /// Why a payment or a deposit stands where it stands, without what the wallet has to do with it.
    pub(crate) async fn why_record(&self, subject: &str) -> Result<WhyView, OperatorError> {
        if let Ok(id) = PaymentId::new(subject) {
            if let Some(payment) = self.store.payment(&id).await? {
                return self.why_payment(&payment).await;
            }
            if let Some(why) = self.why_candidate(&id).await? {
                return Ok(why);
            }
        }
        if let Ok(reference) = PayoutReference::new(subject)
            && let Some(why) = self.why_payout(&reference).await?
        {
            return Ok(why);
        }
        if subject.parse::<DepositKey>().is_err() && parse_transaction(subject).is_none() {
            return Err(OperatorError::NotFound(format!("a payment {subject:?}")));
        }
        let key = self.find_deposit(subject).await?;
        let found = self.store.deposit(&key).await?;
        self.why_deposit(&found.ok_or_else(|| OperatorError::NotFound(format!("deposit {key}")))?).await
    }

    /// A payment, with what the API does not say of it at the moment.
    pub(crate) fn view_of(&self, payment: &Payment) -> PaymentView {
        let told = self.health().unanswered_of(&payment.id, self.clock.now());
        let unanswered = told.map(|(since, why)| format!("since {}: {why}", moment(since)));
        PaymentView { unanswered, ..PaymentView::of(payment, &self.names()) }
    }

    async fn why_payment(&self, payment: &Payment) -> Result<WhyView, OperatorError> {
        let names = self.names();
        let deposits = self.store.deposits_at(payment.terms.deposit_address).await?;
        let payments = self.store.payments_at(payment.terms.deposit_address).await?;
        let concerned = deposits.iter().filter(|deposit| concerns(deposit, payment));
        let concerned: Vec<&Deposit> = concerned.take(MAX_WHY_DEPOSITS).collect();
        let shown: Vec<DepositView> = concerned.iter().map(|deposit| DepositView::of(deposit, &names)).collect();
        let open = concerned.iter().filter_map(|deposit| reviews::of_deposit(deposit, &payments, &names));
        let reviews = reviews::of_payment(payment, &deposits, &names).into_iter().chain(open).collect();
        let pays =
            |deposit: &&Deposit| matches!(&deposit.verdict, Verdict::Pays { payment: id, .. } if *id == payment.id);
        let paying = deposits.iter().find(pays);
        let view = self.view_of(payment);
        let rule = match (paying, &payment.state) {
            (Some(deposit), PaymentState::Review { .. }) => format!(
                "{} Transaction {} had been matched: {}",
                view.state.text,
                deposit.key.tx_hash,
                crate::view::explain::verdict(deposit, &names)
            ),
            (Some(deposit), _) => {
                format!("Transaction {}: {}", deposit.key.tx_hash, crate::view::explain::verdict(deposit, &names))
            }
            (None, PaymentState::Waiting) if shown.is_empty() => {
                format!("No deposit to {} was seen yet.", payment.terms.deposit_address)
            }
            (None, PaymentState::Waiting) => "None of the deposits to its address pays it; each says why.".to_owned(),
            (None, _) => view.state.text.clone(),
        };
        let (events, more_events) = self.events_of(&Subject::Payment(payment.id.clone())).await?;
        Ok(WhyView {
            subject: "payment".to_owned(),
            rule,
            payment: Some(view),
            deposits: shown,
            reviews,
            orders: Vec::new(),
            money_back: None,
            events,
            more_events,
        })
    }

    async fn why_deposit(&self, deposit: &Deposit) -> Result<WhyView, OperatorError> {
        let names = self.names();
        let payments = self.store.payments_at(deposit.to).await?;
        let named = named(&deposit.verdict);
        let payment = payments.iter().find(|payment| named.first().is_some_and(|id| **id == payment.id));
        let (events, more_events) = self.events_of(&Subject::Deposit(deposit.key)).await?;
        Ok(WhyView {
            subject: "deposit".to_owned(),
            rule: crate::view::explain::verdict(deposit, &names),
            payment: payment.map(|payment| PaymentView::of(payment, &names)),
            deposits: vec![DepositView::of(deposit, &names)],
            reviews: reviews::of_deposit(deposit, &payments, &names).into_iter().collect(),
            orders: Vec::new(),
            money_back: None,
            events,
            more_events,
        })
    }

    pub(crate) async fn events_of(&self, subject: &Subject) -> Result<(Vec<EventView>, bool), OperatorError> {
        let recorded = self.store.events_of(subject, 0, MAX_EVENTS.saturating_add(1)).await?;
        let more = recorded.len() > MAX_EVENTS;
        let names = self.names();
        let events = recorded.iter().take(MAX_EVENTS).map(|recorded| EventView::of(recorded, &names)).collect();
        Ok((events, more))
    }

    /// The key of the deposit that is meant by a key, a transaction hash, or a transaction hash and a log index.
    ///
    /// # Errors
    /// When there is none, or several, or the store fails.
    pub async fn find_deposit(&self, text: &str) -> Result<DepositKey, OperatorError> {
        if let Ok(key) = text.parse() {
            return Ok(key);
        }
        let Some((tx_hash, log_index)) = parse_transaction(text) else {
            let problem = format_args!("{text:?} is neither a deposit's key nor a transaction hash");
            return Err(invalid("deposit", explained(problem, text)));
        };
        let mut found = self.search(tx_hash, log_index).await?;
        // After a reorg the same transaction may be known in several blocks: the one that stands is meant.
        if found.len() > 1 && found.iter().filter(|deposit| deposit.stands()).count() == 1 {
            found.retain(Deposit::stands);
        }
        match found.as_slice() {
            [] => Err(OperatorError::NotFound(format!("a deposit of transaction {text}"))),
            [one] => Ok(one.key),
            several => {
                let keys: Vec<String> = several.iter().take(8).map(|deposit| format!("\n  {}", deposit.key)).collect();
                Err(invalid("deposit", format!("{text} has several deposits; name one by its key:{}", keys.concat())))
            }
        }
    }

    async fn search(&self, tx_hash: B256, log_index: Option<u64>) -> Result<Vec<Deposit>, OperatorError> {
        let (mut found, mut looked_at) = (Vec::new(), 0_usize);
        let mut after: Option<DepositKey> = None;
        loop {
            let chunk = self.store.deposits(after.as_ref(), CHUNK).await?;
            after = chunk.last().map(|deposit| deposit.key);
            looked_at = looked_at.saturating_add(chunk.len());
            let last = chunk.len() < CHUNK;
            let fits = |deposit: &Deposit| {
                deposit.key.tx_hash == tx_hash && log_index.is_none_or(|index| index == deposit.key.log_index)
            };
            found.extend(chunk.into_iter().filter(fits));
            if last {
                return Ok(found);
            }
            if looked_at >= MAX_SEARCH {
                let problem = "there are too many deposits to search for a transaction; name the deposit by its key";
                return Err(invalid("deposit", problem));
            }
        }
    }
}

pub(crate) fn parse_key(text: &str) -> Result<DepositKey, OperatorError> {
    text.parse().map_err(|error: crate::domain::deposit::DepositKeyError| invalid("deposit", error.to_string()))
}

/// A transaction hash, with or without `:log-index`.
fn parse_transaction(text: &str) -> Option<(B256, Option<u64>)> {
    let (hash, index) = match text.split_once(':') {
        Some((hash, index)) => (hash, Some(index.parse().ok()?)),
        None => (text, None),
    };
    hash.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    Some((hash.parse().ok()?, index))
}
