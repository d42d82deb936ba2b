//! Asks operators whether they say the same of a fact that frees something, and keeps what they say otherwise (decision 14).
//!
//! As many operators are asked at once as are missing; one that does not answer soon delays nothing while another can be
//! asked. Deliberately absent: judging (`policy::evidence`), and acting: whoever asks acts only with the proof.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{EngineSettings, Ports, transaction};
use crate::domain::chain::{LogFilter, Transfer};
use crate::domain::deposit::Deposit;
use crate::domain::dispute::{Dispute, DisputeEnd, DisputeKind, MAX_SAID, Matter};
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::operator::Operator;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::testimony::{Said, Testimony};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};
use crate::policy::evidence::{Agreed, Agreement, Claim, judge};
use crate::ports::chain::TransferQuery;
use crate::ports::store::{Commit, Store, StoreError};

/// How long an operator may take before another one is asked too.
const HEDGE_AFTER: Span = Span::from_millis(700);

/// How soon operators are asked again of what they have not agreed upon for a while: each look asks them all, and whoever
/// invents deposits must not have us ask without end.
pub(crate) const ASK_AGAIN: Span = Span::from_secs(10);

/// How long too few operators may say anything before people hear of it.
pub(crate) const TOLD_AFTER: Span = Span::from_secs(20);

/// The most open disputes that are counted.
const MOST_SHOWN: usize = 10_000;

/// A question to operators.
pub(crate) struct Question<'a> {
    pub(crate) matter: Matter,
    pub(crate) claim: Claim,
    /// The operator whose word it is so far, if it is the word of one.
    pub(crate) said_by: Option<&'a Operator>,
    /// When the payment runs out.
    pub(crate) deadline: Option<Timestamp>,
}

/// What asking came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Enough operators say the same, and none says otherwise.
    Agreed(Agreed),
    /// Too few say so: it is to be asked again.
    Missing {
        /// Why, in words.
        why: String,
        lasted: Span,
    },
    /// Somebody says otherwise: nothing is done.
    Disputed,
}

impl Answer {
    /// Why nothing is done, in words.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Agreed(_) => "operators agree".to_owned(),
            Self::Missing { why, .. } => why.clone(),
            Self::Disputed => "operators contradict each other: rampwatch disputes".to_owned(),
        }
    }
}

/// Asks operators, for the completer and the funder.
pub(crate) struct Agreements {
    ports: Ports,
    settings: Arc<EngineSettings>,
    /// What was asked about without an agreement.
    open: Mutex<BTreeMap<Matter, Unagreed>>,
}

/// Operators were asked about a matter and do not agree yet.
#[derive(Clone, Copy)]
struct Unagreed {
    asked_at: Timestamp,
    /// Since when too few of them have said anything.
    silent_since: Option<Timestamp>,
}

impl Agreements {
    pub(crate) fn new(ports: Ports, settings: Arc<EngineSettings>) -> Self {
        Self { ports, settings, open: Mutex::default() }
    }

    /// Whether operators were asked about this without an agreement so lately that asking again is no use yet.
    pub(crate) fn rests(&self, matter: &Matter) -> bool {
        let now = self.ports.clock.now();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(matter).is_some_and(|it| it.asked_at <= now && now.since(it.asked_at) < ASK_AGAIN)
    }

    /// Asks until enough operators agree, one of them says otherwise, or nobody is left to ask.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Answer, StoreError> {
        let mut open = self.ports.chain.operators();
        let needed = self.settings.operators_needed(open.len()).max(1);
        let record = if self.settings.agreement > 1 { self.record(&question.matter).await? } else { None };
        let is_same = |dispute: &&Dispute| dispute.tx_hash == question.claim.tx_hash && dispute.ended.is_none();
        let trusted = record.as_ref().and_then(dispute_of).filter(is_same).and_then(|it| it.trusted.as_ref());
        // Nobody who was excluded counts. Of a matter that a person has decided, the trusted operator alone is heard.
        let said_by = question.said_by.filter(|said_by| open.contains(said_by));
        let (said_by, needed) = match trusted {
            Some(trust) => {
                open.retain(|operator| *operator == trust.operator);
                (said_by.filter(|said_by| **said_by == trust.operator), 1)
            }
            None => (said_by, needed),
        };
        let (mut agreement, mut heard) = self.gather(&question.claim, said_by, open.clone(), needed).await;
        // Whoever is contradicted is asked once more: what nobody says any more is no dispute.
        if said_by.is_some() && matches!(agreement, Agreement::Disputed(_)) {
            (agreement, heard) = self.gather(&question.claim, None, open, needed).await;
        }
        match agreement {
            Agreement::Reached(agreed) => {
                self.forget(&question.matter);
                if let Some(record) = record {
                    self.end(record, "the operators agree").await?;
                }
                Ok(Answer::Agreed(agreed))
            }
            Agreement::Missing { more, silent } => {
                let why = format!("{more} more operator(s) must say the same; {}", silent.join("; "));
                let lasted = self.note_unagreed(&question.matter, true);
                if lasted >= TOLD_AFTER {
                    let said = heard.iter().map(spoken).collect();
                    self.keep(question, record, DisputeKind::Silence, said).await?;
                }
                Ok(Answer::Missing { why, lasted })
            }
            Agreement::Disputed(said) => {
                self.note_unagreed(&question.matter, false);
                self.keep(question, record, DisputeKind::Contradiction, said).await?;
                Ok(Answer::Disputed)
            }
        }
    }

    /// The matter is over without an agreement.
    pub(crate) async fn over(&self, matter: &Matter, how: &str) -> Result<(), StoreError> {
        self.forget(matter);
        match self.record(matter).await? {
            Some(record) => self.end(record, how).await,
            None => Ok(()),
        }
    }

    /// The wallet's own records contradict what operators say of an order.
    pub(crate) async fn contradicted(&self, question: &Question<'_>, why: &str) -> Result<(), StoreError> {
        self.note_unagreed(&question.matter, false);
        let record = self.record(&question.matter).await?;
        let claim = &question.claim;
        let ours = format!("{:?} of {} in block {}", claim.did, claim.tx_hash, claim.block.number);
        let said = |operator: &str, words: &str| Said {
            operator: Operator::named(operator),
            endpoint: String::new(),
            words: short(words),
        };
        let said = vec![said("the nodes' receipts", &ours), said("the wallet's records", why)];
        self.keep(question, record, DisputeKind::Contradiction, said).await
    }

    /// How operators stand to a claim, and what was heard.
    async fn gather(
        &self,
        claim: &Claim,
        said_by: Option<&Operator>,
        open: Vec<Operator>,
        needed: usize,
    ) -> (Agreement, Vec<Testimony>) {
        let rule = self.settings.finality;
        let mut heard: Vec<Testimony> = Vec::new();
        let mut agreement = judge(claim, said_by, &heard, rule, needed);
        let mut left = open.into_iter().filter(|operator| said_by != Some(operator));
        let mut under_way = FuturesUnordered::new();
        loop {
            let Agreement::Missing { more, .. } = &agreement else { return (agreement, heard) };
            while under_way.len() < *more {
                let Some(operator) = left.next() else { break };
                under_way.push(self.testimony(operator, claim));
            }
            let next = tokio::select! {
                biased;
                next = under_way.next() => next,
                // One that takes its time delays nothing while another can be asked.
                () = self.ports.clock.sleep(HEDGE_AFTER), if !under_way.is_empty() => {
                    if let Some(operator) = left.next() {
                        under_way.push(self.testimony(operator, claim));
                        continue;
                    }
                    under_way.next().await
                }
            };
            let Some(testimony) = next else { return (agreement, heard) };
            heard.push(testimony);
            agreement = judge(claim, said_by, &heard, rule, needed);
        }
    }

    async fn testimony(&self, operator: Operator, claim: &Claim) -> Testimony {
        self.ports.chain.testify(&operator, claim.tx_hash, self.settings.finality.uses_tag()).await
    }

    /// Notes that a matter was asked about without an agreement, and whether too few say anything; returns for how long that
    /// has been so.
    fn note_unagreed(&self, matter: &Matter, is_silent: bool) -> Span {
        let now = self.ports.clock.now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let before = open.get(matter).and_then(|it| it.silent_since);
        let silent_since = is_silent.then_some(before.unwrap_or(now));
        open.insert(matter.clone(), Unagreed { asked_at: now, silent_since });
        silent_since.map_or(Span::ZERO, |since| now.since(since))
    }

    fn forget(&self, matter: &Matter) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(matter);
    }

    async fn record(&self, matter: &Matter) -> Result<Option<Record>, StoreError> {
        self.ports.store.record(&RecordKey { kind: RecordKind::Dispute, id: matter.id() }).await
    }

    /// Keeps a dispute as evidence, with an alarm the first time, and again when it becomes a contradiction.
    async fn keep(
        &self,
        question: &Question<'_>,
        record: Option<Record>,
        kind_of: DisputeKind,
        mut said: Vec<Said>,
    ) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        said.truncate(MAX_SAID);
        let before = record.as_ref().and_then(dispute_of).filter(|it| it.ended.is_none());

        // What is known is not written again; heads move with each answer, and are no news.
        let is_known = |it: &Dispute| {
            let kept = it.kind_of == kind_of || it.kind_of == DisputeKind::Contradiction;
            kept && it.tx_hash == question.claim.tx_hash
        };
        if before.is_some_and(is_known) {
            return Ok(());
        }
        let dispute = Dispute {
            matter: question.matter.clone(),
            tx_hash: question.claim.tx_hash,
            block: question.claim.block,
            kind_of,
            since: before.map_or(now, |it| it.since),
            said,
            deadline: question.deadline,
            trusted: before.filter(|it| it.tx_hash == question.claim.tx_hash).and_then(|it| it.trusted.clone()),
            ended: None,
        };
        let (about, deadline) = (question.matter.to_string(), question.deadline);
        let alarm = match kind_of {
            DisputeKind::Contradiction => Alarm::OperatorsDisagree { about, deadline },
            DisputeKind::Silence => Alarm::AgreementMissing { about, deadline },
        };
        // What was told, and was over for a moment only, is not told again.
        let was_told =
            |it: &Dispute| it.ended.is_some() && it.kind_of == kind_of && it.tx_hash == question.claim.tx_hash;
        let alarm = (!record.as_ref().and_then(dispute_of).is_some_and(was_told)).then_some(alarm);
        let why = match kind_of {
            DisputeKind::Contradiction => "began: operators contradict each other",
            DisputeKind::Silence => "began: too few operators say anything",
        };
        self.store(record, dispute, why, alarm).await
    }

    async fn end(&self, record: Record, how: &str) -> Result<(), StoreError> {
        let Some(dispute) = dispute_of(&record).filter(|it| it.ended.is_none()).cloned() else { return Ok(()) };
        let ended = Some(DisputeEnd { at: self.ports.clock.now(), how: how.to_owned() });
        self.store(Some(record), Dispute { ended, ..dispute }, &format!("is over: {how}"), None).await
    }

    async fn store(
        &self,
        record: Option<Record>,
        dispute: Dispute,
        why: &str,
        alarm: Option<Alarm>,
    ) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        let payment = Some(dispute.matter.payment().clone());
        let next_at = dispute.ended.is_none().then_some(now);
        let body = RecordBody::Dispute(Box::new(dispute));
        let event = |kind| Event { at: now, payment: payment.clone(), deposit: None, kind };
        let changed = EventKind::RecordChanged { body: Box::new(body.clone()), why: why.to_owned() };
        let mut events = vec![event(changed)];
        events.extend(alarm.map(|alarm| event(EventKind::Alarm { alarm })));
        let version = record.map_or(0, |record| record.version);
        let records = vec![Record { version, next_at, body }];
        match transaction::commit(&*self.ports.store, Commit { records, events, ..Commit::default() }).await {
            Ok(_) => show_open(&*self.ports.store).await,
            // Somebody else has just written it; the next question finds it so.
            Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Who shows a deposit in its block, and who answers without it.
#[derive(Debug, Default)]
pub(crate) struct Witnesses {
    /// These show it.
    pub(crate) with: BTreeSet<Operator>,
    /// These have read its block's height, and do not.
    pub(crate) without: BTreeSet<Operator>,
    /// Of those, these have another block at its height. Whoever has that very block only withholds it.
    pub(crate) elsewhere: BTreeSet<Operator>,
}

/// Reads the height of a deposit's block from each operator. Who gives no answer counts for nothing.
pub(crate) async fn witnesses(ports: &Ports, settings: &EngineSettings, deposit: &Deposit) -> Witnesses {
    let mut witnesses = Witnesses::default();
    for operator in ports.chain.operators() {
        let query = TransferQuery {
            tokens: Arc::new(settings.tokens()),
            recipients: Arc::new(vec![deposit.to]),
            filter: LogFilter::Recipients,
            from: deposit.block_number,
            to: deposit.block_number,
            avoid: None,
            by: Some(operator.clone()),
        };
        let Ok(page) = ports.chain.transfers(&query).await else { continue };
        // The same transaction in another block at that height is another deposit.
        let is_it = |it: &Transfer| it.tx_hash == deposit.key.tx_hash && it.block.hash == deposit.key.block_hash;
        if page.transfers.iter().any(is_it) {
            witnesses.with.insert(operator);
            continue;
        }
        // What it cannot tell is no word that it is elsewhere.
        if page.flaws.about(&deposit.to).is_some() {
            continue;
        }
        if page.anchor.block.hash != deposit.key.block_hash {
            witnesses.elsewhere.insert(operator.clone());
        }
        witnesses.without.insert(operator);
    }
    witnesses
}

/// Shows how many disputes are open.
pub(crate) async fn show_open(store: &dyn Store) -> Result<(), StoreError> {
    let open = store.records_due(RecordKind::Dispute, Timestamp::FAR_FUTURE, MOST_SHOWN).await?.len();
    metrics::gauge!("rampwatch_disputes").set(u32::try_from(open).unwrap_or(u32::MAX));
    Ok(())
}

fn dispute_of(record: &Record) -> Option<&Dispute> {
    match &record.body {
        RecordBody::Dispute(dispute) => Some(dispute),
        _ => None,
    }
}

/// What a testimony comes to, where nobody contradicts anybody.
fn spoken(testimony: &Testimony) -> Said {
    let words = match &testimony.statement {
        Ok(statement) if statement.receipt.is_some() => {
            format!("has it, and does not call its block final yet (head {})", statement.head.block.number)
        }
        Ok(statement) => format!("has no receipt of it (head {})", statement.head.block.number),
        Err(why) => format!("no answer: {why}"),
    };
    Said { operator: testimony.operator.clone(), endpoint: testimony.endpoint.clone(), words: short(&words) }
}
