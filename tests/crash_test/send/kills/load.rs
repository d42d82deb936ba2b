//! The load: off-ramps are opened and added without a pause, whatever becomes of rampwatch, and the chain has its moods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};
use rampwatch::sandbox::{DEV_ACCOUNTS, Operator, Sandbox, SandboxError, USDC, WALLET};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::run::chance::Chance;
use crate::run::load::insist;

/// How long a refused or unanswered addition waits before it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// With so many off-ramps that wait for their money no more are opened for now: rampwatch is down most of the time.
const MOST_UNPAID: usize = 64;

/// How long somebody who is to approve an order waits for it.
const APPROVED_WITHIN: Duration = Duration::from_secs(120);

/// Every payment by its id.
pub(crate) type Book = BTreeMap<PaymentId, OffRamp>;

/// How the load goes.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// How many off-ramps are opened and added at once.
    pub(crate) openers: u32,
    /// People meddle: they place orders that the automatic mode would place too, and pay by hand what the wallet is about
    /// to pay. They also approve orders of more than this.
    pub(crate) approve_above: Option<Amount>,
}

impl Default for Habits {
    fn default() -> Self {
        Self { openers: 4, approve_above: None }
    }
}

/// What the parts of the load share.
struct Shared {
    sandbox: Arc<Sandbox>,
    operator: Operator,
    habits: Habits,
    book: Mutex<Book>,
    by_hand: Mutex<BTreeSet<PaymentId>>,
    no_more: AtomicBool,
}

/// The load. It ends with [`Load::finish`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    opening: JoinSet<Result<(), SandboxError>>,
    weather: JoinHandle<Result<(), SandboxError>>,
}

impl Load {
    /// Begins.
    pub(crate) fn start(sandbox: Arc<Sandbox>, operator: Operator, seed: u64, habits: Habits) -> Self {
        let shared = Arc::new(Shared {
            sandbox,
            operator,
            habits,
            book: Mutex::default(),
            by_hand: Mutex::default(),
            no_more: AtomicBool::new(false),
        });
        let mut opening = JoinSet::new();
        for opener in 1..=shared.habits.openers {
            let chance = Chance::new(seed, &format!("load {opener}"));
            opening.spawn(open(Arc::clone(&shared), opener, chance));
        }
        let weather = tokio::spawn(weather(Arc::clone(&shared), Chance::new(seed, "weather")));
        Self { shared, opening, weather }
    }

    /// How many payments were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.shared.book.lock().expect("nobody panics with it").len()
    }

    /// Opens no more, and waits until all that were opened are added. Gives all of them, and the ids of those that somebody
    /// has also paid by hand.
    pub(crate) async fn finish(mut self, limit: Duration) -> Result<(Book, BTreeSet<PaymentId>), SandboxError> {
        self.shared.no_more.store(true, Ordering::Relaxed);
        let ended = async {
            self.weather.await.expect("the weather does not panic")?;
            while let Some(opened) = self.opening.join_next().await {
                opened.expect("the opening does not panic")?;
            }
            Ok(())
        };
        let late = |_| SandboxError::TooLate { what: "all payments added".to_owned(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, ended).await.map_err(late)??;
        let book = std::mem::take(&mut *self.shared.book.lock().expect("nobody panics with it"));
        let by_hand = std::mem::take(&mut *self.shared.by_hand.lock().expect("nobody panics with it"));
        Ok((book, by_hand))
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.no_more.load(Ordering::Relaxed)
    }

    /// How many of the load's payments wait for their money.
    fn unpaid(&self) -> usize {
        let book = self.book.lock().expect("nobody panics with it");
        let off_ramps = self.sandbox.fake_api().off_ramps();
        off_ramps
            .iter()
            .filter(|off_ramp| off_ramp.status == "AWAITING_FUNDS" && book.contains_key(&off_ramp.id))
            .count()
    }
}

async fn open(shared: Arc<Shared>, opener: u32, mut chance: Chance) -> Result<(), SandboxError> {
    for number in 1_u32.. {
        if shared.is_over() && number > 1 {
            return Ok(());
        }
        while !shared.is_over() && shared.unpaid() >= MOST_UNPAID {
            tokio::time::sleep(AGAIN).await;
        }
        let id = PaymentId::new(format!("send-{opener}-{number}")).expect("it is an id");
        let amount = Amount::from_base_units(u128::from(chance.between(1_000_000, 50_000_000)));
        let new = NewOffRamp { id: Some(id.clone()), amount, ..NewOffRamp::default() };
        let off_ramp = shared.sandbox.fake_api().open(new)?;
        shared.book.lock().expect("nobody panics with it").insert(id.clone(), off_ramp.clone());
        // It is down, or the answer was lost: the same is asked again, which must change nothing if it was done.
        while shared.operator.add(&id, &off_ramp.recipient_id).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
        if let Some(limit) = shared.habits.approve_above {
            meddle(&shared, &off_ramp, limit, &mut chance).await?;
        }
        tokio::time::sleep(chance.millis(20, 250)).await;
    }
    Ok(())
}

/// What people do while the automatic mode is about to pay.
async fn meddle(shared: &Shared, off_ramp: &OffRamp, limit: Amount, chance: &mut Chance) -> Result<(), SandboxError> {
    let OffRamp { id, deposit_address: to, amount, .. } = off_ramp;
    if chance.one_in(3) {
        // It is down, or the automatic mode came first, and then it must refuse.
        let _ = shared.operator.fund(id, *to, *amount).await;
    }
    if *amount > limit {
        approve(shared, id).await;
    }
    if chance.one_in(12) {
        shared.by_hand.lock().expect("nobody panics with it").insert(id.clone());
        tokio::time::sleep(chance.millis(0, 800)).await;
        let payer = DEV_ACCOUNTS[usize::try_from(chance.between(0, 10)).expect("it is small")];
        insist(|| shared.sandbox.anvil().node().transfer(USDC, payer, *to, *amount)).await?;
    }
    Ok(())
}

/// Approves the payment's order as soon as there is one; whoever finds none goes away in the end.
async fn approve(shared: &Shared, payment: &PaymentId) {
    let end = Instant::now() + APPROVED_WITHIN;
    while Instant::now() < end {
        let orders = shared.operator.orders_of(payment).await.unwrap_or_default();
        let waiting = orders.iter().find(|order| order.state == "awaiting-approval");
        let approved = match waiting {
            Some(order) => shared.operator.approve(&order.id, "it is as it should be").await.is_ok(),
            None => !orders.is_empty(),
        };
        if approved {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The base fee jumps, and the node forgets what waits.
async fn weather(shared: Arc<Shared>, mut chance: Chance) -> Result<(), SandboxError> {
    let node = shared.sandbox.anvil().node();
    while !shared.is_over() {
        tokio::time::sleep(chance.millis(1_000, 4_000)).await;
        if chance.one_in(2) {
            node.set_next_base_fee(Wei::from_gwei(chance.between(35, 120))).await?;
        } else {
            node.drop_transactions_of(WALLET).await?;
        }
    }
    Ok(())
}
