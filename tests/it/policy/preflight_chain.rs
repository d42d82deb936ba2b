//! What the chain says before a transfer, and what is done about each hold.

use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{CancelReason, Order};
use rampwatch::domain::wallet::{CallResult, TransferView};
use rampwatch::domain::wei::Wei;
use rampwatch::policy::preflight::{Answer, Committed, answer_to, check_chain, check_native, withdrawn};

use super::orders::*;
use super::preflight::{RESERVE, params, units};
use super::samples::*;

/// What a node says when all is well.
fn fine() -> TransferView {
    let market = market(50, 30);
    TransferView {
        head: market.head,
        base_fee: market.base_fee,
        market_tip: market.tip,
        paused: false,
        wallet_blacklisted: false,
        recipient_blacklisted: false,
        token_balance: units(ASKED + RESERVE),
        native_balance: Wei::from_gwei(130 * 80_000 + 1_000),
        call: CallResult::True,
        gas_estimate: Some(62_147),
    }
}

fn chain(view: &TransferView, committed: &Committed) -> Result<(), Hold> {
    check_chain(&order("p"), view, committed, &gwei(130, 30), 80_000, &params())
}

/// Something that goes wrong on the chain.
type Change = Box<dyn Fn(&mut TransferView)>;

#[test]
fn what_the_chain_says_in_the_order_in_which_it_is_told() {
    let none = Committed::default();
    assert_eq!(chain(&fine(), &none), Ok(()));
    let need = Wei::from_gwei(130 * 80_000 + 1_000);
    let calls = |reason: &str| Hold::CallFails { reason: reason.to_owned() };
    let hurdles: Vec<(Change, Hold)> = vec![
        (Box::new(|it| it.paused = true), Hold::TokenPaused),
        (Box::new(|it| it.wallet_blacklisted = true), Hold::WalletBlacklisted),
        (Box::new(|it| it.recipient_blacklisted = true), Hold::RecipientBlacklisted),
        (
            Box::new(|it| it.token_balance = units(ASKED + RESERVE - 1)),
            Hold::TokenShort { have: units(ASKED + RESERVE - 1), need: units(ASKED + RESERVE) },
        ),
        (
            Box::new(move |it| it.native_balance = need.minus(Wei::new(1))),
            Hold::NativeShort { have: need.minus(Wei::new(1)), need },
        ),
        (Box::new(|it| it.call = CallResult::Reverted("out of luck".to_owned())), calls("out of luck")),
    ];
    for (first, (change, hold)) in hurdles.iter().enumerate() {
        let mut view = fine();
        change(&mut view);
        assert_eq!(chain(&view, &none), Err(hold.clone()));
        for (later, _) in hurdles.iter().skip(first + 1) {
            later(&mut view);
        }
        assert_eq!(chain(&view, &none), Err(hold.clone()), "it is told first");
    }
    let odd = TransferView { call: CallResult::Other("false".to_owned()), ..fine() };
    assert_eq!(chain(&odd, &none), Err(calls("false")));
}

#[test]
fn what_other_orders_will_take_is_not_there() {
    let of = |token, native| chain(&fine(), &Committed { token: units(token), native: Wei::new(native) });
    assert!(matches!(of(1, 0), Err(Hold::TokenShort { have, .. }) if have == units(ASKED + RESERVE - 1)));
    assert!(matches!(of(u128::MAX, 0), Err(Hold::TokenShort { have, .. }) if have.is_zero()));
    assert!(matches!(of(0, 1), Err(Hold::NativeShort { .. })));
    assert!(matches!(of(0, u128::MAX), Err(Hold::NativeShort { have, .. }) if have == Wei::ZERO));
    let huge = Order { amount: units(u128::MAX), ..order("p") };
    let rich = TransferView { token_balance: units(u128::MAX - 1), ..fine() };
    let got = check_chain(&huge, &rich, &Committed::default(), &gwei(130, 30), 80_000, &params());
    assert!(matches!(got, Err(Hold::TokenShort { .. })), "the reserve does not fit: {got:?}");
    let dear = check_native(Wei::new(u128::MAX - 1), Wei::ZERO, &gwei(u64::MAX, 1), u64::MAX, params().reserve_native);
    assert!(matches!(dear, Err(Hold::NativeShort { .. })), "nothing wraps: {dear:?}");
}

/// What is to be done about a hold: unsigned, signed. Exhaustive, so that a new hold must find its place here.
const fn expected(hold: &Hold) -> (Answer, Answer) {
    match hold {
        Hold::PaymentEnded | Hold::TimeShort { .. } | Hold::OtherSender { .. } | Hold::RecipientForbidden { .. } => {
            (Answer::End, Answer::SelfSend)
        }
        Hold::ApiStatus { .. }
        | Hold::ApiHasHash { .. }
        | Hold::TermsDiffer { .. }
        | Hold::PaymentState { .. }
        | Hold::MoneyThere { .. }
        | Hold::RecipientBlacklisted
        | Hold::Policy { .. }
        | Hold::ApprovalMissing { .. }
        | Hold::CallFails { .. } => (Answer::Wait, Answer::SelfSend),
        Hold::ApiUnavailable { .. }
        | Hold::EndUnconfirmed { .. }
        | Hold::OwnTransferSeen { .. }
        | Hold::NotReadYet
        | Hold::ClockBehind { .. }
        | Hold::TokenPaused
        | Hold::WalletBlacklisted
        | Hold::TokenShort { .. }
        | Hold::NativeShort { .. }
        | Hold::GasTooHigh { .. }
        | Hold::FeeCeiling { .. }
        | Hold::TooManyAttempts
        | Hold::ChainUnavailable { .. }
        | Hold::NodeRefuses { .. }
        | Hold::WalletPaused
        | Hold::WalletHalted
        | Hold::Signer { .. } => (Answer::Wait, Answer::Wait),
    }
}

#[test]
fn every_hold_has_its_answer_and_its_words() {
    let holds = all_holds();
    let mut names = std::collections::BTreeSet::new();
    for hold in &holds {
        assert_eq!((answer_to(hold, false), answer_to(hold, true)), expected(hold), "{}", hold.name());
        assert_ne!(answer_to(hold, false), Answer::SelfSend, "there is nothing to withdraw");
        assert_ne!(answer_to(hold, true), Answer::End, "what is signed never just ends");
        assert!(!hold.to_string().is_empty());
        assert!(names.insert(hold.name()), "{} is used twice", hold.name());
        assert_eq!(withdrawn(hold.clone()), CancelReason::Hold { hold: hold.clone() });
    }
    assert_eq!(names.len(), 30, "every hold is in the list");
}
