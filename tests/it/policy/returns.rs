//! Money that came to the wallet, and the refunded payments that it may come back from.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::deposit::{BlockStatus, Deposit, NothingReason, ReviewReason, Verdict};
use rampwatch::domain::order::{CancelReason, Effect, Order, OrderOutcome, OrderState};
use rampwatch::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentState};
use rampwatch::policy::returns::{Back, Refunded, Whence, is_credit, refunded, tie};
use rampwatch::sandbox::USDC_E;

use crate::support::records::{USDC, at, deposit, hash, order, payment, payment_id, wallet_address};

/// Money that came to the wallet: in block `n`, so many base units.
fn credit(n: u64, base_units: u128) -> Deposit {
    Deposit {
        to: wallet_address(),
        amount: Amount::from_base_units(base_units),
        standing: BlockStatus::Final { at: at(n) },
        verdict: Verdict::Nothing { why: NothingReason::WalletCredit },
        ..deposit(n)
    }
}

/// The `n`th payment, refunded, which the wallet paid so much in that block.
fn gone(n: u64, base_units: u128, paid_in: u64) -> Refunded {
    Refunded { payment: payment_id(n), token: USDC, amount: Amount::from_base_units(base_units), paid_in }
}

/// What a case comes to: for each deposit the payments, for each payment the blocks of the deposits; one in brackets is
/// certain.
fn told(deposits: &[Deposit], payments: &[Refunded]) -> (Vec<String>, Vec<String>) {
    let returns = tie(deposits, payments);
    let whence = returns.deposits.iter().map(|(key, whence)| {
        assert_eq!(returns.whence(key), whence);
        match whence {
            Whence::From(id) => format!("[{id}]"),
            Whence::MayBe(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Whence::Nowhere => "-".to_owned(),
        }
    });
    let back = returns.payments.iter().map(|(id, back)| {
        assert_eq!(returns.back(id), Some(back));
        match back {
            Back::By(key) => format!("[{}]", key.log_index),
            Back::MayBe(keys) => keys.iter().map(|key| key.log_index.to_string()).collect::<Vec<_>>().join(" "),
            Back::NotYet => "-".to_owned(),
        }
    });
    (whence.collect(), back.collect())
}

/// What it is about, the deposits, the refunded payments, and what is expected of each.
type Case<'a> = (&'a str, Vec<Deposit>, Vec<Refunded>, &'a [&'a str], &'a [&'a str]);

#[test]
fn a_deposit_is_tied_where_nothing_else_fits() {
    let (a, b) = ("pay-000001", "pay-000002");
    let (just_a, a_or_b) = (format!("[{a}]"), format!("{a} {b}"));
    let mut foreign = credit(20, 5);
    foreign.token = USDC_E;
    let cases: &[Case<'_>] = &[
        ("nothing came", vec![], vec![gone(1, 5, 10)], &[], &["-"]),
        ("nothing was refunded", vec![credit(20, 5)], vec![], &["-"], &[]),
        ("they fit each other", vec![credit(20, 5)], vec![gone(1, 5, 10)], &[&just_a], &["[20]"]),
        ("another amount", vec![credit(20, 6)], vec![gone(1, 5, 10)], &["-"], &["-"]),
        ("another token", vec![foreign], vec![gone(1, 5, 10)], &["-"], &["-"]),
        ("in the transfer's own block", vec![credit(10, 5)], vec![gone(1, 5, 10)], &["-"], &["-"]),
        ("one block later", vec![credit(11, 5)], vec![gone(1, 5, 10)], &[&just_a], &["[11]"]),
        ("before the transfer", vec![credit(9, 5)], vec![gone(1, 5, 10)], &["-"], &["-"]),
        ("two payments fit", vec![credit(20, 5)], vec![gone(2, 5, 10), gone(1, 5, 10)], &[&a_or_b], &["20", "20"]),
        ("two deposits fit", vec![credit(21, 5), credit(20, 5)], vec![gone(1, 5, 10)], &[a, a], &["20 21"]),
        (
            "one of two came too late for the other",
            vec![credit(20, 5), credit(40, 5)],
            vec![gone(1, 5, 10), gone(2, 5, 30)],
            &[a, &a_or_b],
            &["20 40", "40"],
        ),
        (
            "a stray deposit of the same amount, before",
            vec![credit(9, 5), credit(20, 5)],
            vec![gone(1, 5, 10)],
            &["-", &just_a],
            &["[20]"],
        ),
        (
            "pairs of different amounts do not disturb each other",
            vec![credit(20, 5), credit(21, 6)],
            vec![gone(2, 6, 10), gone(1, 5, 10)],
            &[&just_a, &format!("[{b}]")],
            &["[21]", "[20]"],
        ),
        (
            "a pair beside a payment whose money is not back",
            vec![credit(20, 5)],
            vec![gone(1, 5, 10), gone(2, 5, 25)],
            &[&just_a],
            &["[20]", "-"],
        ),
    ];
    for (name, deposits, payments, whence, back) in cases {
        let (got_whence, got_back) = told(deposits, payments);
        assert_eq!(got_whence, *whence, "{name}: the deposits");
        assert_eq!(got_back, *back, "{name}: the payments");
    }
}

#[test]
fn only_money_that_came_to_the_wallet_and_is_there_counts() {
    let whole = credit(20, 5);
    assert!(is_credit(&whole));
    assert!(is_credit(&Deposit { standing: BlockStatus::Provisional, ..whole.clone() }));
    let others = [
        Deposit { standing: BlockStatus::Gone { after_final: false }, ..whole.clone() },
        Deposit { standing: BlockStatus::Gone { after_final: true }, ..whole.clone() },
        Deposit { verdict: Verdict::Unjudged, ..whole.clone() },
        Deposit { verdict: Verdict::Nothing { why: NothingReason::ZeroValue }, ..whole.clone() },
        Deposit { verdict: Verdict::Nothing { why: NothingReason::SelfTransfer }, ..whole.clone() },
        Deposit { verdict: Verdict::Review { why: ReviewReason::NoPayment }, ..whole.clone() },
        Deposit { verdict: Verdict::Ignored { reason: "ours".to_owned() }, ..whole.clone() },
    ];
    for other in others {
        assert!(!is_credit(&other), "{other:?}");
        assert_eq!(told(std::slice::from_ref(&other), &[gone(1, 5, 10)]), (vec![], vec!["-".to_owned()]), "{other:?}");
        assert_eq!(tie(std::slice::from_ref(&other), &[]).whence(&other.key), &Whence::Nowhere);
    }
    // One that does not count does not make another doubtful.
    let zero = Deposit { verdict: Verdict::Unjudged, ..credit(21, 5) };
    assert_eq!(told(&[whole, zero], &[gone(1, 5, 10)]).1, ["[20]"]);
}

fn with_status(status: ApiStatus, state: PaymentState) -> Payment {
    Payment {
        api: Some(ApiView { status, tx_hash: None, as_of: at(9), fee: None, unread: Vec::new() }),
        state,
        ..payment(1)
    }
}

#[test]
fn a_payment_counts_when_the_wallet_paid_it_and_the_api_refunded_it() {
    let block = BlockRef { number: 10, hash: hash(10) };
    let ended = |outcome| OrderState::Ended { outcome, at: at(9) };
    let mined = |effect| OrderState::Mined { nonce: 3, tx_hash: hash(1), block, effect, cancelling: None };
    let paid = || ended(OrderOutcome::Paid { tx_hash: hash(1), block, log_index: 4 });
    let orders = [
        (paid(), true),
        (mined(Effect::Paid { log_index: 4 }), true),
        (mined(Effect::Reverted), false),
        (mined(Effect::MovedNothing), false),
        (mined(Effect::SelfSent), false),
        (OrderState::Ready, false),
        (OrderState::Sending { nonce: 3, trouble: None }, false),
        (ended(OrderOutcome::Reverted { tx_hash: hash(1) }), false),
        (ended(OrderOutcome::MovedNothing { tx_hash: hash(1) }), false),
        (ended(OrderOutcome::Displaced { nonce: 3 }), false),
        (
            ended(OrderOutcome::SelfSent {
                tx_hash: hash(1),
                why: CancelReason::Person { reason: "a test".to_owned() },
            }),
            false,
        ),
    ];
    let over = |outcome| PaymentState::Ended { outcome, at: at(9) };
    let payments = [
        (with_status(ApiStatus::Refunded, over(Outcome::Refunded)), true),
        (with_status(ApiStatus::Refunded, over(Outcome::Cancelled)), true),
        (Payment { state: over(Outcome::Refunded), ..payment(1) }, true),
        (with_status(ApiStatus::Failed, over(Outcome::Failed)), false),
        (with_status(ApiStatus::Completed, over(Outcome::Completed)), false),
        (with_status(ApiStatus::Pending, PaymentState::Following { deposit: None }), false),
        (payment(1), false),
    ];
    for (state, paid) in &orders {
        for (payment, back) in &payments {
            let order = Order { state: state.clone(), ..order(1) };
            let expected = (*paid && *back).then(|| gone(1, 1_000_000_000, 10));
            assert_eq!(refunded(&order, payment), expected, "{state:?} {:?}", payment.state);
        }
    }
    let other = Order { state: paid(), ..order(2) };
    assert_eq!(refunded(&other, &payments[0].0), None, "an order of another payment says nothing");
}
