//! The payment API fails in every way of its reference: each payment is completed exactly once, or a person is told why
//! not.

use std::time::Duration;

use rampwatch::domain::chain::B256;
use rampwatch::domain::deposit::{ReviewReason, Verdict};
use rampwatch::domain::event::Alarm;
use rampwatch::domain::payment::{ApiStatus, Outcome, PaymentId, PaymentReview, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::policy::resolve::Decision;
use rampwatch::sandbox::fake_api::{Behaviour, Call, FakeApi, Fault, FaultRule, RetryAfter, Shape, SharedHash, When};

use super::api_rig::{ApiRig, SHAPES, TIMEOUT_MS};
use super::rig::LIMIT;
use crate::support::eventually;
use crate::support::node::tx_hash;

/// Where a payment has to come to.
#[derive(Clone, Debug)]
enum End {
    /// COMPLETED, by ours, after so many `/complete` calls.
    Ours(usize),
    /// COMPLETED by somebody else, after so many.
    Theirs(usize),
    /// Another transaction's: with a person once, after so many.
    Told(usize),
    /// In a review that this holds of, after so many.
    Review(usize, fn(&PaymentReview) -> bool),
    /// Followed, in a status that nobody knows; then COMPLETED by somebody.
    Followed,
    /// The same, still due: nothing follows from such a status.
    Kept,
}

/// A fault, where it strikes, how often, and what has to become of it.
struct Case {
    call: Call,
    times: u32,
    fault: Fault,
    end: End,
}

const fn on_complete(times: u32, fault: Fault, end: End) -> Case {
    Case { call: Call::Complete, times, fault, end }
}

const fn on_get(times: u32, fault: Fault, end: End) -> Case {
    Case { call: Call::Get, times, fault, end }
}

fn by_hand(hash: Option<String>) -> Fault {
    Fault::CompletedByHand { transaction_hash: hash }
}

fn refused_with(status: u16) -> fn(&PaymentReview) -> bool {
    match status {
        400 => |why| matches!(why, PaymentReview::Refused { refusal } if refusal.status == 400),
        404 => |why| matches!(why, PaymentReview::Refused { refusal } if refusal.status == 404),
        409 => |why| matches!(why, PaymentReview::Refused { refusal } if refusal.status == 409),
        _ => |why| matches!(why, PaymentReview::Refused { refusal } if refusal.status == 422),
    }
}

/// Faults in `/complete`. `ours` is the hash of the payment with this number.
fn complete_faults() -> Vec<Case> {
    let acts = |status| Fault::Status { status, html: false, retry_after: None, acts: true };
    let late = |millis, acts_first| Fault::Delay { millis, acts_first };
    let expired: fn(&PaymentReview) -> bool =
        |why| matches!(why, PaymentReview::EndedWithMoney { status: ApiStatus::Expired });
    let mut cases = vec![
        on_complete(0, Fault::server_error(), End::Ours(1)),
        on_complete(2, Fault::server_error(), End::Ours(3)),
        on_complete(1, acts(500), End::Ours(1)),
        on_complete(2, Fault::too_many_requests(None), End::Ours(3)),
        on_complete(1, Fault::too_many_requests(Some(RetryAfter::Seconds(1))), End::Ours(2)),
        on_complete(1, Fault::too_many_requests(Some(RetryAfter::DateInSeconds(2))), End::Ours(2)),
        on_complete(1, Fault::answer_lost(), End::Ours(1)),
        on_complete(1, Fault::cut(), End::Ours(2)),
        on_complete(1, Fault::Hang { acts: true }, End::Ours(1)),
        on_complete(1, Fault::Hang { acts: false }, End::Ours(2)),
        on_complete(1, Fault::Garbage { acts: true }, End::Ours(1)),
        on_complete(1, Fault::Garbage { acts: false }, End::Ours(2)),
        on_complete(1, Fault::Empty { acts: true }, End::Ours(1)),
        on_complete(1, Fault::Empty { acts: false }, End::Ours(2)),
        on_complete(1, late(TIMEOUT_MS / 2, false), End::Ours(1)),
        on_complete(1, late(TIMEOUT_MS + 200, true), End::Ours(1)),
        on_complete(1, late(TIMEOUT_MS + 200, false), End::Ours(1)),
        on_complete(1, late(TIMEOUT_MS * 2, false), End::Ours(1)),
        on_complete(1, Fault::OtherHash, End::Told(1)),
        on_complete(1, Fault::Expired, End::Review(1, expired)),
        on_complete(1, by_hand(None), End::Theirs(1)),
        on_complete(1, by_hand(Some(B256::repeat_byte(0xab).to_string())), End::Told(1)),
        on_complete(1, Fault::UnknownStatus { status: "ON_HOLD".to_owned() }, End::Followed),
    ];
    for status in [502, 503, 504] {
        cases.push(on_complete(1, Fault::html(status, true), End::Ours(1)));
        cases.push(on_complete(1, Fault::html(status, false), End::Ours(2)));
    }
    for status in [400, 404, 409, 422] {
        cases.push(on_complete(1, Fault::status(status), End::Review(1, refused_with(status))));
        // It says no, and has done it all the same.
        cases.push(on_complete(1, acts(status), End::Ours(1)));
    }
    cases
}

/// Faults in the GET before `/complete`.
fn get_faults() -> Vec<Case> {
    let expired: fn(&PaymentReview) -> bool =
        |why| matches!(why, PaymentReview::EndedWithMoney { status: ApiStatus::Expired });
    vec![
        on_get(3, Fault::server_error(), End::Ours(1)),
        on_get(2, Fault::html(502, false), End::Ours(1)),
        on_get(2, Fault::too_many_requests(Some(RetryAfter::Seconds(1))), End::Ours(1)),
        on_get(2, Fault::cut(), End::Ours(1)),
        on_get(2, Fault::Hang { acts: false }, End::Ours(1)),
        on_get(2, Fault::Garbage { acts: false }, End::Ours(1)),
        on_get(2, Fault::Empty { acts: false }, End::Ours(1)),
        on_get(1, Fault::Delay { millis: TIMEOUT_MS + 100, acts_first: true }, End::Ours(1)),
        on_get(2, Fault::status(422), End::Ours(1)),
        on_get(1, Fault::status(404), End::Review(0, |why| *why == PaymentReview::NotFound)),
        on_get(1, Fault::OtherHash, End::Told(0)),
        on_get(1, Fault::Expired, End::Review(0, expired)),
        on_get(1, by_hand(None), End::Theirs(0)),
        on_get(1, by_hand(Some(B256::repeat_byte(0xcd).to_string())), End::Told(0)),
        on_get(1, Fault::UnknownStatus { status: "UNDER_REVIEW".to_owned() }, End::Kept),
    ]
}

/// Arms the faults once all payments are known, and then lets the money come.
async fn play(shape: Shape, cases: Vec<Case>) {
    // Nobody asks by the way: the faults are for the completion.
    let behaviour = Behaviour { shape, ..Behaviour::default() };
    let world = ApiRig::start_with(behaviour, |pace| pace.ask_every = Span::from_secs(3_600)).await;
    let mut ids = Vec::new();
    for n in 1..=cases.len() {
        ids.push(world.expect(n as u64).await);
    }
    let asked_first = || async {
        let payments = world.rig.store.contents().payments;
        payments.values().all(|it| it.next_at.is_some_and(|at| at.since(it.added_at) > Span::from_secs(60)))
    };
    eventually(LIMIT, "the first questions", asked_first).await;
    for (id, case) in ids.iter().zip(&cases).filter(|(_, case)| case.times > 0) {
        let rule = FaultRule {
            call: case.call,
            payment: Some(id.clone()),
            when: When::Next(case.times),
            fault: case.fault.clone(),
        };
        world.fake_api.add_fault(rule).unwrap();
    }
    let logs = (1..=cases.len() as u64).map(|n| ApiRig::transfer(n).in_tx(tx_hash(n)));
    world.chain.append(logs.collect::<Vec<_>>());
    for (id, case) in ids.iter().zip(&cases) {
        arrives(&world, id, case).await;
    }
    world.stop().await;
}

async fn arrives(world: &ApiRig, id: &PaymentId, case: &Case) {
    let what = format!("{id} {:?} after {:?}", case.end, case.fault);
    let ended = |state: &PaymentState| matches!(state, PaymentState::Ended { outcome: Outcome::Completed, .. });
    let state = || async { world.payment(id).await.state };
    let posts = match &case.end {
        End::Ours(posts) | End::Theirs(posts) => {
            eventually(LIMIT, &what, || async { ended(&state().await) }).await;
            *posts
        }
        End::Told(posts) => {
            let told = |state: &PaymentState| {
                matches!(state, PaymentState::Review { why: PaymentReview::OtherHash { .. }, .. })
            };
            eventually(LIMIT, &what, || async { world.way(id).iter().any(told) }).await;
            *posts
        }
        End::Review(posts, holds) => {
            let reviewed = |state: PaymentState| matches!(&state, PaymentState::Review { why, .. } if holds(why));
            eventually(LIMIT, &what, || async { reviewed(state().await) }).await;
            *posts
        }
        End::Followed => {
            eventually(LIMIT, &what, || async { state().await.name() == "following" }).await;
            world.fake_api.set(id, "COMPLETED", None).unwrap();
            eventually(LIMIT, &what, || async { ended(&state().await) }).await;
            usize::from(case.call == Call::Complete)
        }
        End::Kept => {
            let is_kept = || async {
                let payment = world.payment(id).await;
                let says = |status: &ApiStatus| status.as_str() == "UNDER_REVIEW";
                payment.state.name() == "due" && payment.api.is_some_and(|view| says(&view.status))
            };
            eventually(LIMIT, &what, is_kept).await;
            world.fake_api.set(id, "COMPLETED", None).unwrap();
            eventually(LIMIT, &what, || async { ended(&state().await) }).await;
            0
        }
    };
    assert_eq!(world.posts(id).len(), posts, "calls: {what}");
    let acted = world.posts(id).iter().filter(|post| post.acted).count();
    assert_eq!(acted, usize::from(matches!(case.end, End::Ours(_))), "completions: {what}");
    check_wait(world, id, case);
}

/// `Retry-After` is obeyed.
fn check_wait(world: &ApiRig, id: &PaymentId, case: &Case) {
    let told = match &case.fault {
        Fault::Status { retry_after: Some(RetryAfter::Seconds(secs)), .. } => secs * 1_000,
        // The date has whole seconds only.
        Fault::Status { retry_after: Some(RetryAfter::DateInSeconds(secs)), .. } => (secs - 1) * 1_000,
        _ => return,
    };
    let journal = world.fake_api.journal();
    let calls = journal.iter().filter(|it| it.payment.as_deref() == Some(id.as_str()));
    let times: Vec<_> = calls.map(|it| (it.status == Some(429), it.received_at)).collect();
    for pair in times.windows(2).filter(|pair| pair[0].0) {
        let waited = pair[1].1.since(pair[0].1).as_millis();
        assert!(waited + 20 >= told, "{id} was tried again after {waited} ms, told {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_complete_in_the_guides_shape() {
    play(SHAPES[0], complete_faults()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_complete_in_the_references_shape() {
    play(SHAPES[1], complete_faults()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_the_question_before() {
    tokio::join!(play(SHAPES[0], get_faults()), play(SHAPES[1], get_faults()));
}

/// Somebody completes it by hand with the very transaction that pays it, just before or while we do.
#[tokio::test(flavor = "multi_thread")]
async fn completed_by_hand_with_our_transaction() {
    let world = ApiRig::start(Behaviour::default()).await;
    for (n, call) in [(1, Call::Complete), (2, Call::Get)] {
        let id = world.expect(n).await;
        let fault = by_hand(Some(tx_hash(n).to_string()));
        world.fake_api.add_fault(FaultRule { call, payment: Some(id), when: When::Next(1), fault }).unwrap();
    }
    world.chain.append(vec![ApiRig::transfer(1).in_tx(tx_hash(1)), ApiRig::transfer(2).in_tx(tx_hash(2))]);
    for n in 1..=2 {
        let id = PaymentId::new(format!("p-{n}")).unwrap();
        world.rig.wait_for(&id, "ended").await;
        assert!(!world.way(&id).iter().any(|state| state.name() == "review"), "there is nothing to decide");
    }
    world.stop().await;
}

/// The API takes each `/complete` and never answers: it is asked, not called again and again.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_never_answers() {
    let world = ApiRig::start(Behaviour::default()).await;
    let ids = [world.expect(1).await, world.expect(2).await];
    world.fake_api.fail_next(Call::Complete, 10_000, Fault::Hang { acts: false }).unwrap();
    world.chain.append(vec![ApiRig::transfer(1).in_tx(tx_hash(1)), ApiRig::transfer(2).in_tx(tx_hash(2))]);
    eventually(LIMIT, "a second call", || async { world.posts(&ids[0]).len() >= 2 }).await;
    world.fake_api.clear_faults();
    for id in &ids {
        world.rig.wait_for(id, "ended").await;
        let posts = world.posts(id);
        for pair in posts.windows(2) {
            let apart = pair[1].received_at.since(pair[0].received_at).as_millis();
            assert!(apart >= 2 * TIMEOUT_MS, "called again after {apart} ms, while the first could still land");
        }
    }
    world.stop().await;
}

/// One transaction pays five.
#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_that_pays_five() {
    for shared_hash in [SharedHash::Accepted, SharedHash::Refused] {
        let world = ApiRig::start(Behaviour { shared_hash, ..Behaviour::default() }).await;
        let mut ids = Vec::new();
        for n in 1..=5 {
            ids.push(world.expect(n).await);
        }
        world.chain.append((1..=5).map(|n| ApiRig::transfer(n).in_tx(tx_hash(9))).collect::<Vec<_>>());
        let settled = || async {
            let mut states = Vec::new();
            for id in &ids {
                states.push(world.payment(id).await.state.name());
            }
            states.iter().all(|state| ["ended", "review"].contains(state))
        };
        eventually(LIMIT, "all five settled", settled).await;
        let completed = world.fake_api.off_ramps().iter().filter(|it| it.tally.accepted == 1).count();
        let mut refused = 0;
        for id in &ids {
            assert_eq!(world.posts(id).len(), 1);
            if let PaymentState::Review { why: PaymentReview::Refused { refusal }, deposit } =
                world.payment(id).await.state
            {
                assert_eq!(refusal.status, 400);
                assert!(deposit.is_some(), "a person sees which deposit it is about");
                refused += 1;
            }
        }
        let expected = if shared_hash == SharedHash::Accepted { (5, 0) } else { (1, 4) };
        assert_eq!((completed, refused), expected);
        world.stop().await;
    }
}

fn refuse_key(fake_api: &FakeApi, call: Call, status: u16) {
    let rule = FaultRule { call, payment: None, when: When::PerMille(1_000), fault: Fault::status(status) };
    fake_api.add_fault(rule).unwrap();
}

fn key_alarms(world: &ApiRig) -> usize {
    world.rig.alarms(|alarm| matches!(alarm, Alarm::KeyRefused { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_and_then_works_again() {
    for status in [401, 403] {
        let world = ApiRig::start(Behaviour::default()).await;
        for n in 1..=20 {
            world.expect(n).await;
        }
        refuse_key(&world.fake_api, Call::Get, status);
        refuse_key(&world.fake_api, Call::Complete, status);
        eventually(LIMIT, "the refusal", || async { world.rig.health.snapshot().key_refused == Some(status) }).await;
        world.chain.append((1..=20).map(|n| ApiRig::transfer(n).in_tx(tx_hash(n))).collect::<Vec<_>>());
        // Watching goes on.
        for n in 1..=20 {
            world.rig.wait_for(&PaymentId::new(format!("p-{n}")).unwrap(), "due").await;
        }
        let before = world.fake_api.received();
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        let calls = world.fake_api.received() - before;
        // A probe each 400 ms, from the completer and the reconciler together, and beside it a question after nothing.
        assert!((1..=16).contains(&calls), "{calls} calls with a key that does not work");
        assert_eq!(key_alarms(&world), 1);
        assert!(world.fake_api.journal().iter().all(|entry| entry.call != Call::Complete));
        world.fake_api.clear_faults();
        for n in 1..=20 {
            let id = PaymentId::new(format!("p-{n}")).unwrap();
            world.rig.wait_for(&id, "ended").await;
            assert_eq!(world.posts(&id).len(), 1);
        }
        assert_eq!(world.rig.health.snapshot().key_refused, None);
        assert_eq!(key_alarms(&world), 1);
        world.stop().await;
    }
}

/// F10: two payments that the API refuses for reasons of their own are two reviews. They stop no other one for good.
#[tokio::test(flavor = "multi_thread")]
async fn f10_two_payments_that_are_refused_are_two_reviews_and_the_third_completes() {
    let world = ApiRig::start(Behaviour::default()).await;
    let ids = [world.expect(1).await, world.expect(2).await, world.expect(3).await];
    for id in &ids[..2] {
        let (payment, fault) = (Some(id.clone()), Fault::status(403));
        let rule = FaultRule { call: Call::Complete, payment, when: When::PerMille(1_000), fault };
        world.fake_api.add_fault(rule).unwrap();
    }
    world.chain.append((1..=2).map(|n| ApiRig::transfer(n).in_tx(tx_hash(n))).collect::<Vec<_>>());
    eventually(LIMIT, "both refusals", || async { ids[..2].iter().all(|id| !world.posts(id).is_empty()) }).await;
    // So far it may be the key, which is probed now and then; here something works.
    world.chain.append(ApiRig::transfer(3).in_tx(tx_hash(3)));
    world.rig.wait_for(&ids[2], "ended").await;
    for id in &ids[..2] {
        world.rig.wait_for(id, "review").await;
    }
    // Whatever comes later goes through at once.
    let later = world.expect(4).await;
    world.chain.append(ApiRig::transfer(4).in_tx(tx_hash(4)));
    world.rig.wait_for(&later, "ended").await;
    assert_eq!(world.rig.health.snapshot().key_refused, None);
    world.stop().await;
}

/// A key that may ask but not complete: each good question must not start the shouting anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_ask() {
    // A subject that is refused is tried once more after a tenth of this; the others have to be refused by then.
    let world = ApiRig::start_with(Behaviour::default(), |pace| pace.key_probe = Span::from_secs(10)).await;
    for n in 1..=4 {
        world.expect(n).await;
    }
    refuse_key(&world.fake_api, Call::Complete, 403);
    world.chain.append((1..=4).map(|n| ApiRig::transfer(n).in_tx(tx_hash(n))).collect::<Vec<_>>());
    eventually(LIMIT, "the refusal", || async { key_alarms(&world) > 0 }).await;
    let posts = || world.fake_api.journal().iter().filter(|entry| entry.call == Call::Complete).count();
    let before = posts();
    tokio::time::sleep(Duration::from_millis(2_400)).await;
    let calls = posts() - before;
    assert!(calls <= 8, "{calls} completions with a key that may not complete");
    assert_eq!(key_alarms(&world), 1, "told once");
    world.fake_api.clear_faults();
    for n in 1..=4 {
        world.rig.wait_for(&PaymentId::new(format!("p-{n}")).unwrap(), "ended").await;
    }
    world.stop().await;
}

/// A person wants the API asked while an answer, already out of date, is on its way: it is asked once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_comes_while_the_api_is_being_asked() {
    let world = ApiRig::start_with(Behaviour::default(), |pace| pace.ask_every = Span::from_secs(3_600)).await;
    let id = world.expect(1).await;
    eventually(LIMIT, "the first answer", || async { world.payment(&id).await.version >= 2 }).await;
    let gets = || world.fake_api.journal().iter().filter(|entry| entry.call == Call::Get).count();
    let slow = Fault::Delay { millis: TIMEOUT_MS / 2, acts_first: true };
    world.fake_api.fail_next(Call::Get, 1, slow).unwrap();
    let look = Decision::Retry { payment: id.clone() };
    let before = gets();
    world.rig.handle.resolve(&look, "to see").await.unwrap();
    eventually(LIMIT, "the slow question", || async { gets() > before }).await;
    world.fake_api.set(&id, "EXPIRED", None).unwrap();
    world.rig.handle.resolve(&look, "it must have run out by now").await.unwrap();
    world.rig.wait_for(&id, "ended").await;
    world.stop().await;
}

/// What the API ended or gave away is explained at the deposit too.
#[tokio::test(flavor = "multi_thread")]
async fn money_for_what_ended_otherwise_is_explained() {
    let world = ApiRig::start(Behaviour::default()).await;
    let id = world.expect(1).await;
    world.fake_api.set(&id, "COMPLETED", Some(&B256::repeat_byte(7).to_string())).unwrap();
    world.rig.wait_for(&id, "ended").await;
    world.chain.append(ApiRig::transfer(1).in_tx(tx_hash(1)));
    let to = super::rig::place(1);
    eventually(LIMIT, "the deposit", || async { !world.rig.verdicts(to).await.is_empty() }).await;
    let verdicts = world.rig.verdicts(to).await;
    let why = ReviewReason::SecondDeposit { payment: id.clone() };
    assert_eq!(verdicts, [Verdict::Review { why }]);
    assert!(world.posts(&id).is_empty());
    world.stop().await;
}
