//! Stores that hold payments already: written with the library's own store, as the daemon would have left them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures_util::StreamExt as _;
use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, BlockNumber};
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{Outcome, Payment, PaymentId, PaymentState, Provenance, RecipientId, Terms};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::store::{Commit, Store as _};

/// `watch.start_margin` of the example: the sweep begins this long before a payment's creation.
const START_MARGIN: Span = Span::from_secs(600);

/// How long from now the API is asked after a payment by itself. No measurement lasts so long, and with the spread it is less than
/// the longest that rampwatch puts a payment off: what is put off for longer is taken for the work of a clock that was ahead.
const ASKED_AFTER: Span = Span::from_secs(40 * 60);

/// Over how long from then on the questions are spread, as they would be after a while.
const SPREAD_MS: usize = 30 * 60 * 1_000;

/// Payments in one commit.
const AT_ONCE: usize = 256;

/// Commits under way at once.
const COMMITS: usize = 8;

/// Commits until the store is closed and opened again.
const COMMITS_A_SESSION: usize = 200;

const USDC: Address = Address::new([
    0x3c, 0x49, 0x9c, 0x54, 0x2c, 0xef, 0x5e, 0x38, 0x11, 0xe1, 0x19, 0x2c, 0xe7, 0x0d, 0x8c, 0xc0, 0x3d, 0x5c, 0x33,
    0x59,
]);

/// Now.
pub(crate) fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Timestamp::from_millis(u64::try_from(millis).unwrap())
}

/// The id of the payment with this number, as long as the API's are.
pub(crate) fn id(number: usize) -> PaymentId {
    PaymentId::new(format!("00000000-0000-4000-8000-{number:012x}")).unwrap()
}

/// A payment that waits for this deposit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(crate) address: Address,
    pub(crate) amount: u128,
}

/// What all payments of a store have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) created_at: Timestamp,
    /// The block that every address was swept to already; `None`: where to begin is still to be found.
    pub(crate) swept_to: Option<BlockNumber>,
}

/// The payment, as it is stored when it has just been added.
pub(crate) fn payment(number: usize, awaited: &Awaited, story: &Story) -> Payment {
    let now = now();
    let spread = Span::from_millis(u64::try_from(number % SPREAD_MS).unwrap_or_default());
    Payment {
        id: id(number),
        version: 0,
        recipient_id: RecipientId::new("00000000-0000-4000-8000-00000000cafe").unwrap(),
        terms: Terms {
            chain_id: 137,
            token: USDC,
            deposit_address: awaited.address,
            address_from: Provenance::Api,
            amount: Amount::from_base_units(awaited.amount),
            amount_from: Provenance::Api,
            sender: None,
            created_at: story.created_at,
            expires_at: None,
            bank_account: None,
            recipient_from: None,
            expiry_from: None,
            sender_from: None,
            typed_by: None,
        },
        state: PaymentState::Waiting,
        api: None,
        next_at: Some(now.plus(ASKED_AFTER).plus(spread)),
        quiet_checks: 0,
        added_at: now,
        ending: None,
        vouched: Vec::new(),
        taken: None,
    }
}

fn coverage(address: Address, story: &Story) -> Coverage {
    let swept = story.swept_to.map(|to| Swept { start: to, covered_to: to, confirmed_to: to, second_reading: None });
    let since = story.created_at.minus(START_MARGIN);
    Coverage { address, version: 0, since, swept, watch_until: None, closed: false }
}

/// Opens the store, or makes it.
pub(crate) fn open(path: &Path) -> Result<Arc<SledStore>> {
    Ok(Arc::new(SledStore::open(path, &Settings::default())?))
}

/// Writes payments into a new store at `path`, numbered from 0, and closes it.
pub(crate) async fn fill(path: &Path, awaited: &[Awaited], story: &Story) -> Result<()> {
    let mut covered = BTreeSet::new();
    let mut commits = Vec::new();
    for (at, some) in awaited.chunks(AT_ONCE).enumerate() {
        let fresh: Vec<Address> =
            some.iter().map(|awaited| awaited.address).filter(|address| covered.insert(*address)).collect();
        commits.push((at * AT_ONCE, some, fresh));
    }
    // The database keeps much of what was written in memory until it is closed.
    while !commits.is_empty() {
        let rest = commits.split_off(commits.len().min(COMMITS_A_SESSION));
        write(path, std::mem::replace(&mut commits, rest), story).await?;
    }
    Ok(())
}

/// Some payments, the number of the first, and the addresses among theirs that are new.
type Part<'a> = (usize, &'a [Awaited], Vec<Address>);

/// Writes them with the store open.
async fn write(path: &Path, parts: Vec<Part<'_>>, story: &Story) -> Result<()> {
    let store = open(path)?;
    let written = parts.into_iter().map(|(first, some, fresh)| {
        let store = Arc::clone(&store);
        async move {
            let mut commit = Commit::default();
            for (at, awaited) in some.iter().enumerate() {
                let payment = payment(first + at, awaited, story);
                let kind = EventKind::PaymentAdded { payment: Box::new(payment.clone()) };
                commit.events.push(Event {
                    at: payment.added_at,
                    payment: Some(payment.id.clone()),
                    deposit: None,
                    kind,
                });
                commit.payments.push(payment);
            }
            commit.coverage = fresh.into_iter().map(|address| coverage(address, story)).collect();
            store.commit(commit).await
        }
    });
    let mut under_way = futures_util::stream::iter(written).buffer_unordered(COMMITS);
    while let Some(written) = under_way.next().await {
        written?;
    }
    Ok(())
}

/// Ends the payment with this number, as when the API says that it has run out.
pub(crate) async fn end(path: &Path, number: usize) -> Result<()> {
    let store = open(path)?;
    let Some(mut payment) = store.payment(&id(number)).await? else { anyhow::bail!("there is no payment {number}") };
    let coverage = store.coverage(payment.terms.deposit_address).await?;
    let to = PaymentState::Ended { outcome: Outcome::Expired, at: now() };
    let from = std::mem::replace(&mut payment.state, to.clone());
    payment.next_at = None;
    let kind =
        EventKind::PaymentMoved { from: Box::new(from), to: Box::new(to), why: "the API says EXPIRED".to_owned() };
    let event = Event { at: now(), payment: Some(payment.id.clone()), deposit: None, kind };
    let kept_for = Span::from_secs(7 * 86_400);
    let coverage = coverage.map(|coverage| Coverage { watch_until: Some(now().plus(kept_for)), ..coverage });
    let commit = Commit {
        payments: vec![payment],
        coverage: coverage.into_iter().collect(),
        events: vec![event],
        ..Commit::default()
    };
    store.commit(commit).await?;
    Ok(())
}
