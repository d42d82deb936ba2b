//! Random books: what holds whatever payments and deposits come together, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, ReviewReason, Verdict};
use rampwatch::domain::event::{EventKind, Reading};
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentId, PaymentReview, PaymentState};
use rampwatch::policy::address::{AddressChanges, AddressState};
use rampwatch::policy::evidence::Freeing;
use rampwatch::policy::last_look::may_call;
use rampwatch::policy::matching::{Own, judge};
use rampwatch::policy::payment_machine::{CallFailure, Fact};
use rampwatch::policy::resolve::{Decision, resolve};

use super::samples::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Amounts that fit one another often: exactly, nearly, in parts.
fn amount() -> impl Strategy<Value = u128> {
    prop::sample::select(vec![0, 50_000_000, 49_999_900, ASKED - 100, ASKED, ASKED, ASKED, ASKED + 100, ASKED + 9_000])
}

fn a_payment(name: &'static str) -> impl Strategy<Value = Payment> {
    let sender = prop::option::of(prop::sample::select(vec![ALICE, BOB]));
    let asked = prop::sample::select(vec![ASKED, ASKED, ASKED + 100, 50_000_000]);
    (asked, sender, prop::sample::select(vec![CREATED, 11_003])).prop_map(move |(asked, sender, created)| {
        let mut payment = asking(name, asked);
        payment.terms.sender = sender;
        payment.terms.created_at = at(created);
        payment
    })
}

fn a_deposit(number: u8) -> impl Strategy<Value = Deposit> {
    let token = prop::sample::select(vec![USDC, USDC, USDC, USDC, BRIDGED]);
    let times = prop::sample::select(vec![10_950_u64, 11_010, 11_020, 20_000]);
    let from = prop::sample::select(vec![ALICE, BOB, HOME]);
    // Two numbers share a transaction, so some transactions hold two transfers.
    (amount(), token, from, times).prop_map(move |(amount, token, from, block_time)| {
        let mut deposit = Deposit { token, from, block_time: at(block_time), ..deposit(number / 2 * 2, amount) };
        deposit.key.log_index = u64::from(number);
        deposit
    })
}

/// Something that is learnt about the address.
#[derive(Clone, Debug)]
enum Learnt {
    Payment(usize),
    Deposit(usize),
    Stands(usize, BlockStatus),
    Told(usize, Fact),
    Said(usize, ApiStatus, Option<u8>),
    Decided(Decision),
}

fn learnt() -> impl Strategy<Value = Learnt> {
    let standing = prop::sample::select(vec![
        BlockStatus::Provisional,
        FINAL,
        FINAL,
        BlockStatus::Gone { after_final: false },
        BlockStatus::Gone { after_final: true },
    ]);
    let fact = prop::sample::select(vec![
        Fact::CallStarted(proof(Freeing::Completion)),
        Fact::CallFailed(CallFailure::Unclear { retry_after: None }),
        Fact::CallFailed(CallFailure::NotNow { retry_after: None }),
        Fact::CallFailed(CallFailure::Refused(refusal())),
        Fact::AskFailed { retry_after: None },
        Fact::Unknown,
    ]);
    let status = prop::sample::select(vec![
        ApiStatus::AwaitingFunds,
        ApiStatus::Processing,
        ApiStatus::Completed,
        ApiStatus::Failed,
        ApiStatus::Expired,
    ]);
    let key = |number: usize| {
        let number = u8::try_from(number).expect("small");
        DepositKey { log_index: u64::from(number), ..deposit(number / 2 * 2, 1).key }
    };
    let decision = (0..4_usize, 0..6_usize, 0..4_u8).prop_map(move |(name, number, kind)| {
        let payment = id(NAMES[name]);
        match kind {
            0 => Decision::Assign { deposit: key(number), payment },
            1 => Decision::Ignore { deposit: key(number) },
            2 => Decision::Retry { payment },
            _ => Decision::Cancel { payment },
        }
    });
    prop_oneof![
        3 => (0..4_usize).prop_map(Learnt::Payment),
        5 => (0..6_usize).prop_map(Learnt::Deposit),
        5 => (0..6_usize, standing).prop_map(|(number, standing)| Learnt::Stands(number, standing)),
        4 => (0..4_usize, fact).prop_map(|(name, fact)| Learnt::Told(name, fact)),
        2 => (0..4_usize, status, prop::option::of(0..6_u8)).prop_map(|(name, status, hash)| {
            Learnt::Said(name, status, hash.map(|number| number / 2 * 2))
        }),
        2 => decision.prop_map(Learnt::Decided),
    ]
}

fn take(book: &mut AddressState, learnt: &Learnt, payments: &[Payment], deposits: &[Deposit]) {
    let context = context_at(NOW);
    match learnt {
        Learnt::Payment(number) => {
            let payment = &payments[*number];
            if !book.payments().iter().any(|known| known.id == payment.id) {
                book.add_payment(payment.clone());
            }
        }
        Learnt::Deposit(number) => {
            let deposit = &deposits[*number];
            if !book.deposits().iter().any(|known| known.key == deposit.key) {
                book.add_deposit(deposit.clone(), Reading::Sweep);
            }
        }
        Learnt::Stands(number, standing) => book.set_standing(&deposits[*number].key, *standing, None, at(NOW)),
        Learnt::Told(name, fact) => {
            // What a state does not expect is refused, and changes nothing.
            let _refused = book.tell(&id(NAMES[*name]), fact, &context);
        }
        Learnt::Said(name, status, hash) => {
            let hash = hash.map(|number| tx(number).to_string());
            let said = Fact::Reported(view(status.clone(), hash.as_deref()));
            book.tell(&id(NAMES[*name]), &said, &context).expect("a report is always taken");
        }
        Learnt::Decided(decision) => {
            let before = book.clone();
            if resolve(book, decision, said("a reason"), &context).is_err() {
                *book = before;
            }
        }
    }
}

/// The API's last word is written by the engine, beside the step.
fn with_views(changes: AddressChanges, views: &BTreeMap<PaymentId, (ApiStatus, Option<u8>)>) -> AddressChanges {
    let payments = changes.payments.into_iter().map(|payment| match views.get(&payment.id) {
        Some((status, hash)) => {
            let hash = hash.map(|number| tx(number).to_string());
            Payment { api: Some(view(status.clone(), hash.as_deref())), ..payment }
        }
        None => payment,
    });
    AddressChanges { payments: payments.collect(), ..changes }
}

fn pays_whom(deposit: &Deposit) -> Option<&PaymentId> {
    match &deposit.verdict {
        Verdict::Pays { payment, .. } => Some(payment),
        _ => None,
    }
}

/// What must hold of every book that was settled.
fn check(payments: &[Payment], deposits: &[Deposit]) {
    let mut claimed = BTreeSet::new();
    for deposit in deposits {
        let Some(payment) = pays_whom(deposit) else { continue };
        assert!(claimed.insert(payment.clone()), "{payment} is claimed by two deposits: {deposits:#?}");
        assert!(deposit.stands(), "a deposit that is gone pays nothing: {deposit:?}");
        assert_eq!(deposit.token, USDC);
        assert!(!deposit.amount.is_zero() && deposit.from != deposit.to);
    }
    let mut used: BTreeMap<DepositKey, &PaymentId> = BTreeMap::new();
    for payment in payments {
        let live = matches!(
            payment.state,
            PaymentState::Seen { .. }
                | PaymentState::Due { .. }
                | PaymentState::Calling { .. }
                | PaymentState::Unclear { .. }
        );
        if let Some(key) = payment.state.deposit().filter(|_| live) {
            assert!(used.insert(*key, &payment.id).is_none(), "{key} is used for two payments: {payments:#?}");
        }
        if let PaymentState::Seen { deposit: key } | PaymentState::Due { deposit: key, .. } = &payment.state {
            let deposit = deposits.iter().find(|deposit| deposit.key == *key).expect("its deposit is there");
            assert_eq!(pays_whom(deposit), Some(&payment.id), "{payment:?} {deposit:?}");
        }
        if let PaymentState::Due { deposit: key, .. } = &payment.state {
            let deposit = deposits.iter().find(|deposit| deposit.key == *key).expect("its deposit is there");
            // A block that was final and is merely provisional again is looked at anew before a call.
            let objection = may_call(payment, deposit).err();
            let ok = objection.is_none() || deposit.standing == BlockStatus::Provisional;
            assert!(ok, "a due payment can be called: {objection:?} {payment:?} {deposit:?}");
        }
    }
}

/// Every record that changed is explained by the last event about it.
fn explained(before: (&[Payment], &[Deposit]), changes: &AddressChanges) {
    for payment in &changes.payments {
        let old = before.0.iter().find(|old| old.id == payment.id);
        let last = changes.events.iter().rev().find_map(|event| match &event.kind {
            EventKind::PaymentMoved { to, .. } if event.payment.as_ref() == Some(&payment.id) => Some((**to).clone()),
            EventKind::PaymentAdded { payment: added } if added.id == payment.id => Some(added.state.clone()),
            _ => None,
        });
        if old.is_none_or(|old| old.state != payment.state) {
            assert_eq!(last.as_ref(), Some(&payment.state), "{} is explained", payment.id);
        }
    }
    for deposit in &changes.deposits {
        let old = before.1.iter().find(|old| old.key == deposit.key);
        let about = || changes.events.iter().rev().filter(|event| event.deposit == Some(deposit.key));
        let verdict = about().find_map(|event| match &event.kind {
            EventKind::DepositJudged { verdict } => Some(verdict.clone()),
            EventKind::DepositSeen { deposit, .. } => Some(deposit.verdict.clone()),
            _ => None,
        });
        if old.is_none_or(|old| old.verdict != deposit.verdict) {
            assert_eq!(verdict.as_ref(), Some(&deposit.verdict), "{} is explained", deposit.key);
        }
        let standing = about().find_map(|event| match &event.kind {
            EventKind::DepositStands { standing, .. } => Some(*standing),
            EventKind::DepositSeen { deposit, .. } => Some(deposit.standing),
            _ => None,
        });
        if old.is_none_or(|old| old.standing != deposit.standing) {
            assert_eq!(standing, Some(deposit.standing), "{} is explained", deposit.key);
        }
    }
}

fn all_payments() -> impl Strategy<Value = Vec<Payment>> {
    (a_payment("a"), a_payment("b"), a_payment("c"), a_payment("d")).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

fn all_deposits() -> impl Strategy<Value = Vec<Deposit>> {
    (0..6_u8).map(a_deposit).collect::<Vec<_>>()
}

/// A payment in a state that speaks of one of the deposits, if of any.
fn any_state() -> impl Strategy<Value = (u8, usize)> {
    (0..10_u8, 0..6_usize)
}

fn put(payment: &mut Payment, (kind, number): (u8, usize), deposits: &[Deposit]) {
    let deposit = deposits[number].key;
    payment.state = match kind {
        0 => PaymentState::Due { deposit, attempt: 0 },
        1 => PaymentState::Calling { deposit, attempt: 1, started_at: at(NOW) },
        2 => PaymentState::Following { deposit: Some(deposit) },
        3 => PaymentState::Following { deposit: None },
        4 => PaymentState::Ended { outcome: Outcome::Completed, at: at(NOW) },
        5 => PaymentState::Review { why: PaymentReview::StillAwaiting, deposit: Some(deposit) },
        6 => PaymentState::Ended { outcome: Outcome::Cancelled, at: at(NOW) },
        _ => PaymentState::Waiting,
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn judging_does_not_depend_on_the_order(
        payments in all_payments(),
        states in prop::collection::vec(any_state(), 4),
        deposits in all_deposits(),
        shuffled in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        reversed in any::<bool>(),
    ) {
        let mut payments = payments;
        for (payment, state) in payments.iter_mut().zip(states) {
            put(payment, state, &deposits);
        }
        let verdicts = judge(&payments, &deposits, &Own::default(), &TOLERANT);
        let again: Vec<Deposit> = shuffled.iter().map(|place| deposits[*place].clone()).collect();
        if reversed {
            payments.reverse();
        }
        for (place, verdict) in shuffled.iter().zip(judge(&payments, &again, &Own::default(), &TOLERANT)) {
            prop_assert_eq!(&verdict, &verdicts[*place]);
        }
        let mut claimed = BTreeSet::new();
        for verdict in &verdicts {
            if let Verdict::Pays { payment, .. } = verdict {
                prop_assert!(claimed.insert(payment.clone()), "{} is claimed by two deposits", payment);
            }
            prop_assert!(*verdict != Verdict::Unjudged, "every deposit gets a verdict");
            let parts = |payment: &PaymentId| verdicts.iter().filter(|verdict| matches!(
                verdict, Verdict::Review { why: ReviewReason::Split { payment: other, .. } } if other == payment
            )).count();
            if let Verdict::Review { why: ReviewReason::Split { payment, parts: told } } = verdict {
                prop_assert_eq!(usize::try_from(*told).expect("small"), parts(payment));
            }
        }
    }

    #[test]
    fn a_book_stays_right_whatever_is_learnt(
        payments in all_payments(),
        deposits in all_deposits(),
        story in prop::collection::vec(learnt(), 1..60),
    ) {
        let mut held: (Vec<Payment>, Vec<Deposit>) = (Vec::new(), Vec::new());
        let mut views = BTreeMap::new();
        for learnt in &story {
            let mut book = AddressState::open(held.0.clone(), held.1.clone());
            take(&mut book, learnt, &payments, &deposits);
            book.settle(&TOLERANT, &context()).expect("what the policy concludes, it can take");
            if let Learnt::Said(name, status, hash) = learnt {
                views.insert(id(NAMES[*name]), (status.clone(), *hash));
            }
            let now = (book.payments().to_vec(), book.deposits().to_vec());
            check(&now.0, &now.1);
            explained((&held.0, &held.1), &book.changes());

            let mut again = AddressState::open(now.0.clone(), now.1.clone());
            again.settle(&TOLERANT, &context()).expect("it settles again");
            prop_assert_eq!(again.changes(), AddressChanges::default(), "settling again changes nothing");
            let all = AddressChanges { payments: now.0, deposits: now.1, events: Vec::new() };
            let all = with_views(all, &views);
            held = (all.payments, all.deposits);
        }
    }
}

#[test]
fn ten_thousands_of_worthless_deposits_are_settled_in_no_time() {
    let worthless = |n: u64| {
        let mut deposit = deposit(1, 0);
        deposit.key.log_index = n;
        deposit
    };
    let began = std::time::Instant::now();
    let mut book = AddressState::open(vec![payment("p")], (0..40_000).map(worthless).collect());
    for n in 40_000..80_000 {
        book.add_deposit(worthless(n), Reading::Sweep);
    }
    book.settle(&STRICT, &context()).unwrap();
    assert_eq!(book.changes().deposits.len(), 80_000);
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "it took {:?}", began.elapsed());
}
