//! F11: an end that the API names is believed twice, and a payment that it opens again is open again.

use std::time::Duration;

use rampwatch::domain::chain::Address;
use rampwatch::domain::coverage::Coverage;
use rampwatch::domain::deposit::{MatchRule, Verdict};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentId, PaymentReview, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::EngineSettings;
use rampwatch::policy::resolve::Decision;
use rampwatch::ports::store::{Commit, Store};

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, USDC, now, pay, place, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, LogSpec, Node, NodeOptions, ScriptedChain, tx_hash};

/// A wait that does not end while a test runs.
const NEVER: Span = Span::from_secs(3_600);
/// One that is over soon.
const SOON: Span = Span::from_millis(200);

struct World {
    chain: ScriptedChain,
    node: Node,
    created: Timestamp,
    _ticker: Ticker,
}

impl World {
    fn start() -> Self {
        let chain = ScriptedChain::new();
        chain.append_empty(50);
        chain.set_finalized(Finalized::Below(3));
        let node = Node::start(&chain, NodeOptions::default());
        let _ticker = Ticker::start(&chain, Duration::from_millis(20));
        Self { created: now(&chain), chain, node, _ticker }
    }

    fn rig(&self, confirm_after: Span, store: MemoryStore, api: PlainApi) -> Rig {
        Rig::start(&[urls(&self.node)], settings(confirm_after), store, api)
    }

    fn fresh(&self, confirm_after: Span) -> Rig {
        self.rig(confirm_after, MemoryStore::new(), PlainApi::default())
    }
}

fn settings(confirm_after: Span) -> EngineSettings {
    let settings = quick_settings();
    EngineSettings { pace: settings.pace.confirming_ends_after(confirm_after), ..settings }
}

impl Rig {
    /// Has the API asked, and waits until its answer is kept.
    async fn hears(&self, id: &PaymentId, status: ApiStatus) -> Payment {
        self.api.set_status(id, status.clone());
        let before = self.api.asked();
        self.retry(id).await;
        eventually(LIMIT, "the answer", || async {
            let said = self.payment(id).await.api.is_some_and(|view| view.status == status);
            said && self.api.asked() > before
        })
        .await;
        self.payment(id).await
    }

    async fn retry(&self, id: &PaymentId) {
        let retry = Decision::Retry { payment: id.clone() };
        self.handle.resolve(&retry, "the provider was asked").await.unwrap();
    }

    async fn ends(&self, id: &PaymentId, status: ApiStatus, outcome: Outcome) {
        self.api.set_status(id, status);
        self.desk().look_now(id).await;
        let what = format!("{id} ends");
        eventually(LIMIT, &what, || async {
            matches!(self.payment(id).await.state, PaymentState::Ended { outcome: is, .. } if is == outcome)
        })
        .await;
    }

    async fn coverage(&self, n: u64) -> Coverage {
        self.store.coverage(place(n)).await.unwrap().unwrap()
    }

    /// Waits until the payment is completed: it may have ended before in another way.
    async fn completes(&self, n: u64) {
        eventually(LIMIT, "the completion", || async { !self.api.completions().is_empty() }).await;
        self.all_completed([n]).await;
    }

    /// Whether a person was ever asked about a payment or a deposit.
    fn asked_a_person(&self) -> bool {
        let contents = self.store.contents();
        contents.payments.values().any(|payment| matches!(payment.state, PaymentState::Review { .. }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_an_expired_in_one_answer_strands_no_deposit() {
    let world = World::start();
    let rig = world.fresh(NEVER);
    let id = rig.expect(1, world.created).await;
    let first = rig.hears(&id, ApiStatus::Expired).await.ending;
    for _ in 0..3 {
        // However often it says so in a short time: it is one look.
        let payment = rig.hears(&id, ApiStatus::Expired).await;
        assert_eq!(payment.ending, first);
        assert_eq!(payment.state, PaymentState::Waiting);
        assert_eq!(payment.ending.map(|ending| ending.outcome), Some(Outcome::Expired));
        assert_eq!(rig.coverage(1).await.watch_until, None, "its address is not let go");
    }
    let shown = rig.handle.show(id.as_str()).await.unwrap();
    assert!(shown.payment.state.text.contains("EXPIRED"), "it is shown at once: {}", shown.payment.state.text);
    let payment = rig.hears(&id, ApiStatus::AwaitingFunds).await;
    assert_eq!((payment.state, payment.ending), (PaymentState::Waiting, None));
    world.chain.append(pay(1));
    rig.all_completed([1]).await;
    rig.stop().await;
}

/// The deposit is there, and the flap comes just before the completion.
#[tokio::test(flavor = "multi_thread")]
async fn f11_an_end_in_one_answer_before_the_completion_only_puts_it_off() {
    for status in [ApiStatus::Expired, ApiStatus::Failed, ApiStatus::Refunded, ApiStatus::Completed] {
        let world = World::start();
        let rig = world.fresh(NEVER);
        let id = rig.expect(1, world.created).await;
        rig.api.set_status(&id, status);
        world.chain.append(pay(1));
        eventually(LIMIT, "the end is named", || async {
            let payment = rig.payment(&id).await;
            payment.ending.is_some() && payment.state.name() == "due"
        })
        .await;
        assert_eq!(rig.api.completions(), []);
        rig.api.set_status(&id, ApiStatus::AwaitingFunds);
        rig.completes(1).await;
        assert!(!rig.asked_a_person());
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_confirmed_end_lets_go_and_an_exact_deposit_after_the_opening_is_completed() {
    for (status, outcome) in [
        (ApiStatus::Expired, Outcome::Expired),
        (ApiStatus::Failed, Outcome::Failed),
        (ApiStatus::Refunded, Outcome::Refunded),
    ] {
        let world = World::start();
        let rig = world.fresh(SOON);
        let id = rig.expect(1, world.created).await;
        rig.ends(&id, status, outcome).await;
        let payment = rig.payment(&id).await;
        assert_eq!((payment.next_at, payment.ending), (None, None));
        assert!(rig.coverage(1).await.watch_until.is_some(), "its address is let go some day");
        // The API opens it again and tells nobody; the money is what makes rampwatch ask.
        rig.api.set_status(&id, ApiStatus::AwaitingFunds);
        world.chain.append(pay(1));
        rig.completes(1).await;
        assert!(!rig.asked_a_person());
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_retry_asks_after_an_ended_payment_and_opens_it_where_the_api_has() {
    for (status, outcome) in [(ApiStatus::Expired, Outcome::Expired), (ApiStatus::Failed, Outcome::Failed)] {
        let world = World::start();
        let rig = world.fresh(SOON);
        let id = rig.expect(2, world.created).await;
        rig.ends(&id, status.clone(), outcome).await;
        let before = rig.api.asked();
        rig.retry(&id).await;
        eventually(LIMIT, "the question", || async {
            rig.api.asked() > before && rig.payment(&id).await.next_at.is_none()
        })
        .await;
        assert!(rig.payment(&id).await.state.is_ended(), "the API's answer decides");
        // While it has ended no deposit can be assigned; what comes in is with a person.
        let small = LogSpec::transfer(USDC, Address::repeat_byte(0x11), place(2), 1).in_tx(tx_hash(2));
        world.chain.append(small);
        eventually(LIMIT, "the deposit", || async { !rig.verdicts(place(2)).await.is_empty() }).await;
        let key = rig.store.deposits_at(place(2)).await.unwrap()[0].key;
        let assign = Decision::Assign { deposit: key, payment: id.clone() };
        assert!(rig.handle.resolve(&assign, "it is theirs").await.is_err());
        rig.api.set_status(&id, ApiStatus::AwaitingFunds);
        rig.retry(&id).await;
        rig.wait_for(&id, "waiting").await;
        assert_eq!(rig.coverage(2).await.watch_until, None, "its address is watched again without an end");
        rig.handle.resolve(&assign, "the provider takes less").await.unwrap();
        rig.wait_for(&id, "ended").await;
        assert_eq!(rig.api.completions(), [(id.clone(), tx_hash(2))]);
        let paid = rig.verdicts(place(2)).await;
        assert!(matches!(&paid[..], [Verdict::Pays { rule: MatchRule::Assigned { .. }, .. }]), "{paid:?}");
        for refused in [Decision::Retry { payment: id.clone() }, Decision::Cancel { payment: id.clone() }] {
            assert!(rig.handle.resolve(&refused, "once more").await.is_err(), "completed stays completed");
        }
        // The laws that are checked when it stops know exact deposits only.
        drop(rig.crash().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_cancelled_payment_stays_ended() {
    let world = World::start();
    let rig = world.fresh(SOON);
    let id = rig.expect(1, world.created).await;
    let cancel = Decision::Cancel { payment: id.clone() };
    rig.handle.resolve(&cancel, "not wanted").await.unwrap();
    let retry = Decision::Retry { payment: id.clone() };
    assert!(rig.handle.resolve(&retry, "wanted after all").await.is_err());
    world.chain.append(pay(1));
    eventually(LIMIT, "the deposit", || async { !rig.verdicts(place(1)).await.is_empty() }).await;
    rig.next_sweep().await;
    assert!(rig.payment(&id).await.state.is_ended());
    assert_eq!(rig.api.completions(), []);
    rig.stop().await;
}

/// The API took the completion, says once that the money went back, and then means it. Open again, it is not called twice.
#[tokio::test(flavor = "multi_thread")]
async fn f11_refunded_after_the_deposit_is_believed_twice_and_never_completed_twice() {
    let world = World::start();
    let rig = world.fresh(Span::from_secs(2));
    let id = rig.expect(1, world.created).await;
    world.chain.append(pay(1));
    // Somebody names our transaction; the API follows it.
    rig.wait_for(&id, "seen").await;
    rig.api.completed_by_hand(&id, Some(tx_hash(1)), ApiStatus::Processing);
    rig.wait_for(&id, "following").await;
    let once = rig.hears(&id, ApiStatus::Refunded).await;
    assert_eq!((once.state.name(), once.ending.map(|it| it.outcome)), ("following", Some(Outcome::Refunded)));
    let back = rig.hears(&id, ApiStatus::Processing).await;
    assert_eq!((back.state.name(), back.ending), ("following", None));
    rig.ends(&id, ApiStatus::Refunded, Outcome::Refunded).await;
    rig.api.completed_by_hand(&id, None, ApiStatus::AwaitingFunds);
    rig.retry(&id).await;
    rig.wait_for(&id, "review").await;
    let state = rig.payment(&id).await.state;
    assert_eq!(state, PaymentState::Review { why: PaymentReview::StillAwaiting, deposit: None });
    rig.next_sweep().await;
    assert_eq!(rig.api.completions(), [], "what was refunded pays nothing by itself");
    rig.stop().await;
}

/// The first look is on the disk: the second one is the next start's business.
#[tokio::test(flavor = "multi_thread")]
async fn f11_a_death_between_the_two_looks_forgets_neither() {
    for opens_again in [true, false] {
        let world = World::start();
        let rig = world.fresh(NEVER);
        let id = rig.expect(1, world.created).await;
        let named = rig.hears(&id, ApiStatus::Expired).await.ending.unwrap();
        let api = rig.api.clone();
        let store = rig.crash().await;
        let kept = store.payment(&id).await.unwrap().unwrap();
        assert_eq!(kept.ending, Some(named));
        assert!(kept.next_at.is_some(), "the second look is due work");
        if opens_again {
            api.set_status(&id, ApiStatus::AwaitingFunds);
        }
        let rig = world.rig(SOON, store, api);
        rig.retry(&id).await;
        if opens_again {
            eventually(LIMIT, "the end is taken back", || async { rig.payment(&id).await.ending.is_none() }).await;
            world.chain.append(pay(1));
            rig.all_completed([1]).await;
        } else {
            rig.wait_for(&id, "ended").await;
        }
        rig.stop().await;
    }
}

/// A store of an earlier version: the payment expired long ago, and its address was let go.
#[tokio::test(flavor = "multi_thread")]
async fn f11_an_address_that_was_let_go_is_watched_again_when_its_payment_is_open_again() {
    let world = World::start();
    let before = world.fresh(SOON);
    let id = before.expect(1, world.created).await;
    before.next_sweep().await;
    let api = before.api.clone();
    let store = before.crash().await;
    let payment = store.payment(&id).await.unwrap().unwrap();
    let coverage = store.coverage(place(1)).await.unwrap().unwrap();
    let view =
        ApiView { status: ApiStatus::Expired, tx_hash: None, as_of: payment.added_at, fee: None, unread: Vec::new() };
    let state = PaymentState::Ended { outcome: Outcome::Expired, at: payment.added_at };
    let ended = Payment { state: state.clone(), api: Some(view), next_at: None, taken: None, ..payment.clone() };
    let moved = EventKind::PaymentMoved {
        from: Box::new(payment.state.clone()),
        to: Box::new(state),
        why: "the API says EXPIRED".to_owned(),
    };
    let event = Event { at: payment.added_at, payment: Some(id.clone()), deposit: None, kind: moved };
    let commit = Commit {
        payments: vec![ended],
        coverage: vec![Coverage { closed: true, ..coverage }],
        events: vec![event],
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    // It comes while nobody looks.
    world.chain.append(pay(1));
    let rig = world.rig(SOON, store, api);
    rig.retry(&id).await;
    rig.completes(1).await;
    assert!(!rig.coverage(1).await.closed);
    rig.stop().await;
}
