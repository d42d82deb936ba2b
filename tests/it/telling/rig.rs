//! An engine that tells, over a store in memory and a clock that runs with tokio's: neither chain nor API answers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rampwatch::adapters::system::SystemChance;
use rampwatch::domain::chain::{Address, B256, BlockNumber};
use rampwatch::domain::coverage::{Coverage, FinalityMark};
use rampwatch::domain::deposit::{Deposit, DepositKey};
use rampwatch::domain::event::{Event, EventKind, Recorded};
use rampwatch::domain::notice::{Message, Notice, NoticeKind};
use rampwatch::domain::order::{Order, OrderId};
use rampwatch::domain::payment::{Outcome, Payment, PaymentId, PaymentReview, PaymentState, RecipientId};
use rampwatch::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Wallet;
use rampwatch::engine::health::Health;
use rampwatch::engine::notifier::{self, NoticeRules, NotifierSetup};
use rampwatch::engine::{EngineError, FundingPorts, Ports};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::notifier::{Notifier, NotifyError};
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use rampwatch::ports::store::{Changes, Commit, Lane, Store, StoreError, Subject};
use rampwatch::service::notice_words::Words;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::desk::engine_settings;
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::no_chain::NoChain;
use crate::support::records::{at, deposit_key, payment, payment_id};

/// A clock that runs with tokio's, which the tests pause.
#[derive(Clone)]
pub(super) struct Virtual(Instant);

impl Virtual {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        at(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// Where a process dies: the nth time that it comes to a commit or a delivery, before or after it.
pub(super) struct Fuse {
    left: AtomicU32,
    blown: watch::Sender<bool>,
}

impl Fuse {
    pub(super) fn new(nth: u32) -> Arc<Self> {
        Arc::new(Self { left: AtomicU32::new(nth), blown: watch::Sender::new(false) })
    }

    /// One that never blows.
    pub(super) fn none() -> Arc<Self> {
        Self::new(u32::MAX)
    }

    pub(super) fn is_blown(&self) -> bool {
        *self.blown.borrow()
    }

    /// A point at which the process may die. Once it is dead, nothing goes on.
    async fn point(&self) {
        if self.is_blown() || self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.blown.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}

/// The store of a process that may die.
struct Mortal {
    inner: MemoryStore,
    fuse: Arc<Fuse>,
    fails: bool,
}

macro_rules! mortal_store {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl Store for Mortal {
            async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
                if self.fails {
                    return Err(StoreError::Failed("the disk is full".to_owned()));
                }
                self.fuse.point().await;
                let done = self.inner.commit(commit).await;
                self.fuse.point().await;
                done
            }

            fn changes(&self) -> watch::Receiver<Changes> {
                self.inner.changes()
            }

            $(async fn $name(&self, $($arg: $type),*) -> Result<$result, StoreError> {
                self.inner.$name($($arg),*).await
            })*
        }
    };
}

mortal_store! {
    fn payment(id: &PaymentId) -> Option<Payment>;
    fn payments(after: Option<&PaymentId>, limit: usize) -> Vec<Payment>;
    fn payments_at(address: Address) -> Vec<Payment>;
    fn due(lane: Lane, now: Timestamp, limit: usize) -> Vec<Payment>;
    fn next_due(lane: Lane) -> Option<Timestamp>;
    fn deposit(key: &DepositKey) -> Option<Deposit>;
    fn deposits(after: Option<&DepositKey>, limit: usize) -> Vec<Deposit>;
    fn deposits_at(address: Address) -> Vec<Deposit>;
    fn provisional(through: BlockNumber, limit: usize) -> Vec<Deposit>;
    fn coverage(address: Address) -> Option<Coverage>;
    fn watched(after: Option<Address>, limit: usize) -> Vec<Coverage>;
    fn coverage_since(count: u64) -> Option<Vec<(Address, u64)>>;
    fn finality() -> Option<FinalityMark>;
    fn waiting(after: Option<&PaymentId>, limit: usize) -> Vec<Payment>;
    fn order(id: &OrderId) -> Option<Order>;
    fn orders(after: Option<&OrderId>, limit: usize) -> Vec<Order>;
    fn orders_of(payment: &PaymentId) -> Vec<Order>;
    fn orders_to(address: Address) -> Vec<Order>;
    fn open_orders() -> Vec<Order>;
    fn spent_since(since: Timestamp) -> Vec<Order>;
    fn order_of_tx(tx_hash: B256) -> Option<Order>;
    fn wallet() -> Option<Wallet>;
    fn record(key: &RecordKey) -> Option<Record>;
    fn record_by_alias(kind: RecordKind, alias: &str) -> Option<Record>;
    fn records_page(kind: RecordKind, after: Option<&str>, limit: usize) -> Vec<Record>;
    fn records_due(kind: RecordKind, now: Timestamp, limit: usize) -> Vec<Record>;
    fn next_record_due(kind: RecordKind) -> Option<Timestamp>;
    fn events(after: u64, limit: usize) -> Vec<Recorded>;
    fn events_of(subject: &Subject, after: u64, limit: usize) -> Vec<Recorded>;
}

/// What an endpoint answers.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// It has it.
    Yes,
    /// It has it, and its answer is lost.
    Lost,
    /// Not now.
    No(Option<Span>),
    /// Never again.
    Gone,
    /// It says nothing for so long, and then has it.
    Slow(Span),
}

/// What an endpoint heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) id: String,
    pub(super) message: Message,
    pub(super) at: Timestamp,
}

/// An endpoint. It outlives the processes that tell it.
pub(super) struct Ear {
    name: String,
    kinds: Vec<NoticeKind>,
    answers: Mutex<VecDeque<Answer>>,
    usual: Answer,
    heard: Mutex<Vec<Heard>>,
}

impl Ear {
    pub(super) fn new(name: &str) -> Arc<Self> {
        Self::that(name, Answer::Yes)
    }

    /// One that usually answers so.
    pub(super) fn that(name: &str, usual: Answer) -> Arc<Self> {
        let (name, kinds) = (name.to_owned(), NoticeKind::ALL.to_vec());
        Arc::new(Self { name, kinds, answers: Mutex::default(), usual, heard: Mutex::default() })
    }

    /// One that takes only these.
    pub(super) fn for_kinds(name: &str, kinds: &[NoticeKind]) -> Arc<Self> {
        let (name, kinds) = (name.to_owned(), kinds.to_vec());
        Arc::new(Self { name, kinds, answers: Mutex::default(), usual: Answer::Yes, heard: Mutex::default() })
    }

    /// What it answers next, in this order.
    pub(super) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Everything it was asked to take, refused or not.
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(super) fn titles(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.message.title).collect()
    }
}

/// An endpoint as a process that may die sees it.
struct Line {
    ear: Arc<Ear>,
    fuse: Arc<Fuse>,
    clock: Virtual,
}

#[async_trait]
impl Notifier for Line {
    fn name(&self) -> &str {
        &self.ear.name
    }

    fn takes(&self, kind: NoticeKind) -> bool {
        self.ear.kinds.contains(&kind)
    }

    async fn deliver(&self, id: &str, message: &Message, now: Timestamp) -> Result<(), NotifyError> {
        assert_eq!(now, self.clock.now(), "the moment is that of the delivery");
        self.fuse.point().await;
        let answer = self.ear.answers.lock().unwrap().pop_front().unwrap_or(self.ear.usual.clone());
        if let Answer::Slow(span) = answer {
            self.clock.sleep(span).await;
        }
        self.ear.heard.lock().unwrap().push(Heard { id: id.to_owned(), message: message.clone(), at: now });
        self.fuse.point().await;
        let later =
            |retry_after| Err(NotifyError::Later { detail: "HTTP 503 Service Unavailable".to_owned(), retry_after });
        match answer {
            Answer::Yes | Answer::Slow(_) => Ok(()),
            Answer::Lost => later(None),
            Answer::No(retry_after) => later(retry_after),
            Answer::Gone => Err(NotifyError::Gone),
        }
    }
}

/// An API that does not answer.
struct NoApi;

#[async_trait]
impl PaymentApi for NoApi {
    async fn payment(&self, _: &PaymentId) -> Result<ApiPayment, ApiError> {
        Err(ApiError::NotNow { detail: "nobody home".to_owned(), retry_after: None })
    }
    async fn complete(&self, _: &RecipientId, _: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        Err(ApiError::NotNow { detail: "nobody home".to_owned(), retry_after: None })
    }
}

/// When conditions are told.
pub(super) fn rules() -> NoticeRules {
    NoticeRules {
        hold_after: Span::from_secs(600),
        chain_after: Span::from_secs(900),
        low_token: None,
        low_native: None,
        balance_every: Span::from_secs(600),
    }
}

/// A store with its endpoints, and the process that runs over it, if one does.
pub(super) struct Rig {
    pub(super) clock: Virtual,
    pub(super) store: MemoryStore,
    pub(super) rules: NoticeRules,
    pub(super) funding: Option<FundingPorts>,
    pub(super) store_fails: bool,
    ears: Vec<Arc<Ear>>,
    running: Option<(CancellationToken, JoinHandle<Result<(), EngineError>>)>,
}

impl Rig {
    pub(super) fn new(ears: &[&Arc<Ear>]) -> Self {
        Self {
            clock: Virtual::new(),
            store: MemoryStore::new(),
            rules: rules(),
            funding: None,
            store_fails: false,
            ears: ears.iter().map(|ear| Arc::clone(ear)).collect(),
            running: None,
        }
    }

    /// Starts a process that dies when the fuse blows.
    pub(super) fn start(&mut self, fuse: &Arc<Fuse>) {
        let line = |ear: &Arc<Ear>| -> Arc<dyn Notifier> {
            Arc::new(Line { ear: ear.clone(), fuse: fuse.clone(), clock: self.clock.clone() })
        };
        let endpoints = self.ears.iter().map(line).collect();
        let store = Mortal { inner: self.store.clone(), fuse: fuse.clone(), fails: self.store_fails };
        let ports = Ports {
            store: Arc::new(store),
            chain: Arc::new(NoChain),
            api: Arc::new(NoApi),
            off_ramp_api: None,
            payouts: None,
            clock: Arc::new(self.clock.clone()),
            chance: Arc::new(SystemChance),
            funding: self.funding.clone(),
        };
        let stop = CancellationToken::new();
        let (health, settings) = (Arc::new(Health::default()), engine_settings());
        let wording = Arc::new(Words::new(ports.store.clone(), settings.clone(), vec![]));
        let telling = NotifierSetup { endpoints, rules: self.rules, wording };
        let engine = notifier::run_beside(ports, settings, health, Some(telling), stop.clone());
        self.running = Some((stop, tokio::spawn(engine)));
    }

    /// Starts a process that lives, and waits until it reads events.
    pub(super) async fn begin(&mut self) {
        self.start(&Fuse::none());
        eventually(Duration::from_secs(60), "the cursors are there", || async { self.has_begun() }).await;
    }

    /// Whether every endpoint has found its beginning.
    pub(super) fn has_begun(&self) -> bool {
        let contents = self.store.contents();
        let begun = contents
            .records
            .values()
            .filter(|record| matches!(&record.body, RecordBody::NoticeCursor(cursor) if cursor.through.is_some()));
        begun.count() == self.ears.len()
    }

    /// The process dies, and its store is opened again.
    pub(super) async fn die(&mut self) {
        if let Some((_, running)) = self.running.take() {
            running.abort();
            drop(running.await);
        }
        self.store = self.store.reopen();
    }

    /// The process ends in good order, or says why it ended by itself.
    pub(super) async fn stop(&mut self) -> Result<(), EngineError> {
        let (stop, running) = self.running.take().unwrap();
        stop.cancel();
        let ended = running.await.unwrap();
        self.store = self.store.reopen();
        ended
    }

    /// Something happens now.
    pub(super) async fn happens(&self, payment: Option<PaymentId>, kind: EventKind) {
        let event = Event { at: self.clock.now(), payment, deposit: None, kind };
        self.store.commit(Commit { events: vec![event], ..Commit::default() }).await.unwrap();
    }

    /// The nth payment goes to review.
    pub(super) async fn review(&self, n: u64) {
        let why = PaymentReview::StillAwaiting;
        self.moved(n, PaymentState::Review { why, deposit: Some(deposit_key(n)) }).await;
    }

    pub(super) async fn ended(&self, n: u64, outcome: Outcome) {
        self.moved(n, PaymentState::Ended { outcome, at: self.clock.now() }).await;
    }

    async fn moved(&self, n: u64, to: PaymentState) {
        let stored = self.store.payment(&payment_id(n)).await.unwrap().unwrap_or_else(|| payment(n));
        let kind = EventKind::PaymentMoved {
            from: Box::new(stored.state.clone()),
            to: Box::new(to.clone()),
            why: "a test".to_owned(),
        };
        let event = Event { at: self.clock.now(), payment: Some(payment_id(n)), deposit: None, kind };
        let payments = vec![Payment { state: to, ..stored }];
        self.store.commit(Commit { payments, events: vec![event], ..Commit::default() }).await.unwrap();
    }

    /// Lets time pass.
    pub(super) async fn wait(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// All notices, by event.
    pub(super) fn notices(&self) -> Vec<Notice> {
        let notice = |record: Record| match record.body {
            RecordBody::Notice(notice) => Some(*notice),
            _ => None,
        };
        self.store.contents().records.into_values().filter_map(notice).collect()
    }

    pub(super) fn states(&self) -> Vec<&'static str> {
        self.notices().iter().map(|notice| notice.state.name()).collect()
    }
}
