//! The load: payments are opened, added and paid without a pause, whatever becomes of rampwatch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::payment::{BankAccountId, PaymentId};
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};
use rampwatch::sandbox::token::BatchItem;
use rampwatch::sandbox::{DEV_ACCOUNTS, Node, Operator, Sandbox, SandboxError, USDC, USDC_E};
use tokio::task::{JoinHandle, JoinSet};

use super::Outcome;
use super::chance::Chance;

/// How long a refused or unanswered addition waits before it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// How many additions are under way at once.
const ADDERS: usize = 4;

/// Every payment by its id, with what the API knew when it was opened.
pub(crate) type Book = BTreeMap<PaymentId, OffRamp>;

/// How the load goes.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// The bank account of what is opened; the fake API's usual one when `None`.
    pub(crate) bank_account: Option<BankAccountId>,
    /// Between two openings, in milliseconds.
    pub(crate) pause: (u64, u64),
}

impl Default for Habits {
    fn default() -> Self {
        Self { bank_account: None, pause: (80, 260) }
    }
}

/// What the parts of the load share.
struct Shared {
    sandbox: Arc<Sandbox>,
    habits: Habits,
    operator: Operator,
    book: Mutex<Book>,
    to_add: Mutex<Vec<PaymentId>>,
    acknowledged: Mutex<BTreeSet<PaymentId>>,
    adding: AtomicUsize,
    exact: AtomicUsize,
    no_more: AtomicBool,
}

/// The load. It ends with [`Load::finish`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    opening: JoinHandle<Outcome<()>>,
    adders: JoinSet<()>,
}

impl Load {
    /// Begins.
    pub(crate) fn start(sandbox: Arc<Sandbox>, operator: Operator, seed: u64, habits: Habits) -> Self {
        let shared = Arc::new(Shared {
            sandbox,
            habits,
            operator,
            book: Mutex::default(),
            to_add: Mutex::default(),
            acknowledged: Mutex::default(),
            adding: AtomicUsize::new(0),
            exact: AtomicUsize::new(0),
            no_more: AtomicBool::new(false),
        });
        let opening = tokio::spawn(open(Arc::clone(&shared), Chance::new(seed, "load")));
        let mut adders = JoinSet::new();
        for _ in 0..ADDERS {
            adders.spawn(add(Arc::clone(&shared)));
        }
        Self { shared, opening, adders }
    }

    /// How many payments were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.shared.book.lock().unwrap().len()
    }

    /// Whether it goes on; one that has ended by itself says why when it is finished.
    pub(crate) fn goes_on(&self) -> bool {
        !self.opening.is_finished()
    }

    /// How many additions rampwatch has been asked for and has not answered.
    pub(crate) fn adding(&self) -> usize {
        self.shared.adding.load(Ordering::Relaxed)
    }

    /// The payments whose addition rampwatch has acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeSet<PaymentId> {
        self.shared.acknowledged.lock().unwrap().clone()
    }

    /// Waits until so many payments were opened that are paid exactly.
    pub(crate) async fn wait_for_exact(&self, payments: usize) {
        while self.shared.exact.load(Ordering::Relaxed) < payments && self.goes_on() {
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Opens no more, and waits until all that were opened are added and paid.
    pub(crate) async fn finish(mut self, limit: Duration) -> Outcome<Book> {
        self.shared.no_more.store(true, Ordering::Relaxed);
        let ended = async {
            (&mut self.opening).await.unwrap()?;
            while self.adders.join_next().await.is_some() {}
            Ok(())
        };
        let late = |_| SandboxError::TooLate { what: "all payments added".to_owned(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, ended).await.map_err(late)??;
        Ok(self.shared.book.lock().unwrap().clone())
    }
}

/// Adds what is to be added, until there is nothing more to come.
async fn add(shared: Arc<Shared>) {
    loop {
        let next = shared.to_add.lock().unwrap().pop();
        let Some(id) = next else {
            if shared.no_more.load(Ordering::Relaxed) && shared.everything_is_added() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let recipient = shared.book.lock().unwrap()[&id].recipient_id.clone();
        shared.adding.fetch_add(1, Ordering::Relaxed);
        let added = shared.operator.add(&id, &recipient).await;
        shared.adding.fetch_sub(1, Ordering::Relaxed);
        match added {
            Ok(_) => drop(shared.acknowledged.lock().unwrap().insert(id)),
            // It is down, or the API failed: the same is asked again, which must change nothing if it was done.
            Err(_) => {
                shared.to_add.lock().unwrap().insert(0, id);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Shared {
    fn everything_is_added(&self) -> bool {
        self.acknowledged.lock().unwrap().len() == self.book.lock().unwrap().len()
    }

    fn node(&self) -> &Node {
        self.sandbox.anvil().node()
    }

    /// Opens an off-ramp. It is not added yet.
    fn open(&self, chance: &mut Chance) -> Outcome<OffRamp> {
        let mut book = self.book.lock().unwrap();
        let id = PaymentId::new(format!("crash-{}", book.len() + 1)).unwrap();
        let amount = Amount::from_base_units(u128::from(chance.between(1_000_000, 50_000_000)));
        let bank_account = self.habits.bank_account.clone();
        let new = NewOffRamp { id: Some(id.clone()), amount, bank_account, ..NewOffRamp::default() };
        let off_ramp = self.sandbox.fake_api().open(new)?;
        book.insert(id, off_ramp.clone());
        Ok(off_ramp)
    }

    fn add_later(&self, off_ramp: &OffRamp) {
        self.to_add.lock().unwrap().insert(0, off_ramp.id.clone());
    }

    async fn pay(&self, from: Address, to: Address, amount: Amount) -> Outcome<B256> {
        insist(|| self.node().transfer(USDC, from, to, amount)).await
    }
}

/// Sends again what the node refuses: the base fee may have jumped above what was offered.
pub(crate) async fn insist<F: Future<Output = Outcome<B256>>>(mut send: impl FnMut() -> F) -> Outcome<B256> {
    loop {
        match send().await {
            Err(SandboxError::Refused { .. }) => tokio::time::sleep(AGAIN).await,
            sent => return sent,
        }
    }
}

/// Opens payments and sends money, until it is told that there are enough.
async fn open(shared: Arc<Shared>, mut chance: Chance) -> Outcome<()> {
    let mut paying: JoinSet<Outcome<()>> = JoinSet::new();
    while !shared.no_more.load(Ordering::Relaxed) {
        let payer = DEV_ACCOUNTS[usize::try_from(chance.between(0, 10)).unwrap()];
        paying.spawn(pay_one_way(Arc::clone(&shared), payer, chance.clone()));
        let (least, end) = shared.habits.pause;
        tokio::time::sleep(chance.millis(least, end)).await;
        while let Some(paid) = paying.try_join_next() {
            paid.unwrap()?;
        }
    }
    while let Some(paid) = paying.join_next().await {
        paid.unwrap()?;
    }
    Ok(())
}

/// Opens a payment (or three), has it added, and pays it in one of the ways in which people pay.
async fn pay_one_way(shared: Arc<Shared>, payer: Address, mut chance: Chance) -> Outcome<()> {
    let pause = |chance: &mut Chance| tokio::time::sleep(chance.millis(0, 2_000));
    let way = chance.between(0, 100);
    if way < 5 {
        return pay_three_at_once(&shared, payer, &mut chance).await;
    }
    let off_ramp = shared.open(&mut chance)?;
    let (to, amount) = (off_ramp.deposit_address, off_ramp.amount);
    let half = Amount::from_base_units(amount.base_units() / 2);
    // Some are added only after the money was sent.
    let added_late = (5..15).contains(&way);
    if !added_late {
        shared.add_later(&off_ramp);
        pause(&mut chance).await;
    }
    match way {
        // Too little, and nothing more.
        15..19 => {
            shared.pay(payer, to, half).await?;
            return Ok(());
        }
        // Another token, and nothing more.
        19..22 => {
            insist(|| shared.node().transfer(USDC_E, payer, to, amount)).await?;
            return Ok(());
        }
        // Poisoned, then paid.
        22..27 => drop(shared.pay(payer, to, Amount::ZERO).await?),
        _ => {}
    }
    shared.pay(payer, to, amount).await?;
    shared.exact.fetch_add(1, Ordering::Relaxed);
    if (27..32).contains(&way) {
        // Paid twice.
        pause(&mut chance).await;
        shared.pay(payer, to, amount).await?;
    }
    if added_late {
        pause(&mut chance).await;
        shared.add_later(&off_ramp);
    }
    Ok(())
}

async fn pay_three_at_once(shared: &Shared, payer: Address, chance: &mut Chance) -> Outcome<()> {
    let mut items = Vec::new();
    for _ in 0..3 {
        let off_ramp = shared.open(chance)?;
        shared.add_later(&off_ramp);
        items.push(BatchItem { token: USDC, to: off_ramp.deposit_address, amount: off_ramp.amount });
    }
    tokio::time::sleep(chance.millis(0, 2_000)).await;
    insist(|| shared.node().batch(payer, &items)).await?;
    shared.exact.fetch_add(items.len(), Ordering::Relaxed);
    Ok(())
}
