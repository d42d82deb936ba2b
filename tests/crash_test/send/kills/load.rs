//! The load: off-ramps are opened and added without a pause, whatever becomes of rampwatch, and the chain has its moods.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::stand_in::{NewOffRamp, OffRamp};
use rampwatch::sandbox::{Operator, Sandbox, SandboxError, WALLET};
use tokio::task::{JoinHandle, JoinSet};

use crate::run::chance::Chance;

/// How long a refused or unanswered addition waits before it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// How many off-ramps are opened and added at once.
const OPENERS: u32 = 4;

/// With so many off-ramps that wait for their money no more are opened for now: rampwatch is down most of the time.
const MOST_UNPAID: usize = 64;

/// Every payment by its id.
pub(crate) type Book = BTreeMap<PaymentId, OffRamp>;

/// The load. It ends with [`Load::finish`].
pub(crate) struct Load {
    book: Arc<Mutex<Book>>,
    no_more: Arc<AtomicBool>,
    opening: JoinSet<Result<(), SandboxError>>,
    weather: JoinHandle<Result<(), SandboxError>>,
}

impl Load {
    /// Begins.
    pub(crate) fn start(sandbox: Arc<Sandbox>, operator: Operator, seed: u64) -> Self {
        let (book, no_more) = (Arc::<Mutex<Book>>::default(), Arc::<AtomicBool>::default());
        let mut opening = JoinSet::new();
        for opener in 1..=OPENERS {
            let chance = Chance::new(seed, &format!("load {opener}"));
            let (book, no_more) = (Arc::clone(&book), Arc::clone(&no_more));
            opening.spawn(open(Arc::clone(&sandbox), operator.clone(), opener, chance, book, no_more));
        }
        let weather = weather(sandbox, Chance::new(seed, "weather"), Arc::clone(&no_more));
        Self { book, no_more, opening, weather: tokio::spawn(weather) }
    }

    /// How many payments were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.book.lock().expect("nobody panics with it").len()
    }

    /// Opens no more, and waits until all that were opened are added.
    pub(crate) async fn finish(mut self, limit: Duration) -> Result<Book, SandboxError> {
        self.no_more.store(true, Ordering::Relaxed);
        let ended = async {
            self.weather.await.expect("the weather does not panic")?;
            while let Some(opened) = self.opening.join_next().await {
                opened.expect("the opening does not panic")?;
            }
            Ok(())
        };
        let late = |_| SandboxError::TooLate { what: "all payments added".to_owned(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, ended).await.map_err(late)??;
        Ok(std::mem::take(&mut *self.book.lock().expect("nobody panics with it")))
    }
}

async fn open(
    sandbox: Arc<Sandbox>,
    operator: Operator,
    opener: u32,
    mut chance: Chance,
    book: Arc<Mutex<Book>>,
    no_more: Arc<AtomicBool>,
) -> Result<(), SandboxError> {
    for number in 1_u32.. {
        if no_more.load(Ordering::Relaxed) && number > 1 {
            return Ok(());
        }
        while !no_more.load(Ordering::Relaxed) && unpaid(&sandbox) >= MOST_UNPAID {
            tokio::time::sleep(AGAIN).await;
        }
        let id = PaymentId::new(format!("send-{opener}-{number}")).expect("it is an id");
        let amount = Amount::from_base_units(u128::from(chance.between(1_000_000, 50_000_000)));
        let off_ramp = sandbox.stand_in().open(NewOffRamp { id: Some(id.clone()), amount, ..NewOffRamp::default() })?;
        book.lock().expect("nobody panics with it").insert(id.clone(), off_ramp.clone());
        // It is down, or the answer was lost: the same is asked again, which must change nothing if it was done.
        while operator.add(&id, &off_ramp.recipient_id).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
        tokio::time::sleep(chance.millis(20, 250)).await;
    }
    Ok(())
}

fn unpaid(sandbox: &Sandbox) -> usize {
    sandbox.stand_in().off_ramps().iter().filter(|off_ramp| off_ramp.status == "AWAITING_FUNDS").count()
}

/// The base fee jumps, and the node forgets what waits.
async fn weather(sandbox: Arc<Sandbox>, mut chance: Chance, no_more: Arc<AtomicBool>) -> Result<(), SandboxError> {
    let node = sandbox.anvil().node();
    while !no_more.load(Ordering::Relaxed) {
        tokio::time::sleep(chance.millis(1_000, 4_000)).await;
        if chance.one_in(2) {
            node.set_next_base_fee(Wei::from_gwei(chance.between(35, 120))).await?;
        } else {
            node.drop_transactions_of(WALLET).await?;
        }
    }
    Ok(())
}
