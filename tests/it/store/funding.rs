//! One record of every shape that the hot wallet has: orders, its own record, and their events.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::event::{Alarm, EventKind, WalletChange};
use rampwatch::domain::hold::{Hold, Over};
use rampwatch::domain::order::{
    ApprovalReason, Attempt, AttemptKind, CancelReason, Effect, Order, OrderOutcome, OrderState, Placer, Spend,
    UnsentReason,
};
use rampwatch::domain::payment::{ApiStatus, BankAccountId, Provenance};
use rampwatch::domain::wallet::{BookedSpend, Halt, HaltReason, Pause, Wallet};
use rampwatch::domain::wei::Wei;

use super::specimens::{block, numbered, text, units};
use crate::support::records::{self, address, at, hash, order_id, wallet_address};

/// Every hold.
pub(super) fn holds() -> Vec<Hold> {
    let detail = || text("no answer \"in\" 10 s");
    vec![
        Hold::ApiUnavailable { detail: detail() },
        Hold::ApiStatus { status: ApiStatus::Other(text("A_NEW_ONE")) },
        Hold::ApiHasHash { tx_hash: text("0xabc") },
        Hold::TermsDiffer { field: text("amount"), ours: text("1000.00"), theirs: text("999.00") },
        Hold::PaymentState { state: text("seen") },
        Hold::TimeShort { expires_at: at(5), least_s: 600 },
        Hold::OtherSender { named: address(5) },
        Hold::MoneyThere { tx_hash: hash(5), amount: units(u128::MAX) },
        Hold::OwnTransferSeen { tx_hash: alloy::primitives::B256::repeat_byte(0x77) },
        Hold::PaymentEnded,
        Hold::NotReadYet,
        Hold::TokenPaused,
        Hold::WalletBlacklisted,
        Hold::RecipientBlacklisted,
        Hold::RecipientForbidden { what: text("the token") },
        Hold::TokenShort { have: units(1), need: units(2) },
        Hold::NativeShort { have: Wei::new(1), need: Wei::new(u128::MAX) },
        Hold::CallFails { reason: detail() },
        Hold::GasTooHigh { estimate: 300_000, most: 200_000 },
        Hold::FeeCeiling { needed: Wei::from_gwei(600), ceiling: Wei::from_gwei(500) },
        Hold::TooManyAttempts,
        Hold::ChainUnavailable { detail: detail() },
        Hold::NodeRefuses { detail: detail() },
        Hold::WalletPaused,
        Hold::WalletHalted,
        Hold::Signer { detail: detail() },
        Hold::EndUnconfirmed { status: ApiStatus::Expired },
        Hold::ClockBehind { by_s: 300 },
        Hold::Policy { rule: text("funding.allowed_recipients"), over: None },
        Hold::Policy {
            rule: text("funding.max_per_day"),
            over: Some(Box::new(Over { sum: units(6), limit: units(5) })),
        },
        Hold::ApprovalMissing { why: ApprovalReason::TypedAddress },
    ]
}

/// Every reason to ask a person.
pub(super) fn approvals() -> Vec<ApprovalReason> {
    let limit = units(5);
    vec![
        ApprovalReason::AboveAmount { limit },
        ApprovalReason::TypedAddress,
        ApprovalReason::TypedAmount,
        ApprovalReason::ExpiryUnknown,
    ]
}

/// Every reason for a self-send.
pub(super) fn cancels() -> Vec<CancelReason> {
    vec![CancelReason::Person { reason: text("a test") }, CancelReason::Hold { hold: Hold::TokenPaused }]
}

/// A person is asked because what was sent failed.
pub(super) fn reverted() -> ApprovalReason {
    ApprovalReason::Reverted { tx_hash: hash(1), block: block(9) }
}

/// Everything that a mined attempt can have done.
pub(super) fn effects() -> Vec<Effect> {
    vec![Effect::Paid { log_index: 3 }, Effect::Reverted, Effect::MovedNothing, Effect::SelfSent]
}

/// Every reason for an end without anything signed.
pub(super) fn unsent() -> Vec<UnsentReason> {
    let reason = || text("a test");
    vec![
        UnsentReason::Rejected { reason: reason() },
        UnsentReason::Cancelled { reason: reason() },
        UnsentReason::NotPayable { hold: Hold::TokenPaused },
    ]
}

/// Every outcome, with every reason that it may have.
pub(super) fn outcomes() -> Vec<OrderOutcome> {
    let tx_hash = hash(9);
    let mut all = vec![
        OrderOutcome::Paid { tx_hash, block: block(5), log_index: 3 },
        OrderOutcome::Reverted { tx_hash },
        OrderOutcome::MovedNothing { tx_hash },
        OrderOutcome::Displaced { nonce: 7 },
    ];
    all.extend(cancels().into_iter().map(|why| OrderOutcome::SelfSent { tx_hash, why }));
    all.extend(unsent().into_iter().map(|why| OrderOutcome::Unsent { why }));
    all
}

/// Every state, with every reason that it may have.
pub(super) fn states() -> Vec<OrderState> {
    let (nonce, tx_hash) = (7, hash(9));
    let mut all = vec![
        OrderState::Ready,
        OrderState::Sending { nonce, trouble: None },
        OrderState::Sending { nonce, trouble: Some(Hold::TokenPaused) },
    ];
    all.extend(approvals().into_iter().map(|why| OrderState::AwaitingApproval { why }));
    all.extend(cancels().into_iter().map(|why| OrderState::Cancelling { nonce, why, trouble: None }));
    let why = CancelReason::Hold { hold: Hold::TokenPaused };
    all.push(OrderState::Cancelling { nonce, why: why.clone(), trouble: Some(Hold::WalletPaused) });
    let mined = |effect, cancelling| OrderState::Mined { nonce, tx_hash, block: block(5), effect, cancelling };
    all.extend(effects().into_iter().map(|effect| mined(effect, None)));
    all.push(mined(Effect::SelfSent, Some(why)));
    all.extend(outcomes().into_iter().map(|outcome| OrderState::Ended { outcome, at: at(8) }));
    // What came later is at the end of `orders`.
    let is_later = |hold: &Hold| {
        matches!(
            hold,
            Hold::EndUnconfirmed { .. } | Hold::ClockBehind { .. } | Hold::Policy { .. } | Hold::ApprovalMissing { .. }
        )
    };
    let first = holds().into_iter().filter(|hold| !is_later(hold));
    all.extend(first.map(|why| OrderState::Held { why }));
    all
}

/// What the rules ask for, or forbid, since they are applied again before money leaves.
fn ruled() -> Vec<OrderState> {
    let limit = units(5);
    let approvals =
        [ApprovalReason::TypedRecipient, ApprovalReason::TypedExpiry, ApprovalReason::AbovePerDay { limit }];
    let is_of_rules = |hold: &Hold| matches!(hold, Hold::Policy { .. } | Hold::ApprovalMissing { .. });
    let held = holds().into_iter().filter(is_of_rules).map(|why| OrderState::Held { why });
    approvals.map(|why| OrderState::AwaitingApproval { why }).into_iter().chain(held).collect()
}

fn attempts() -> Vec<Attempt> {
    let sent = Attempt { sent_at: Some(at(7)), sends: 2, ..records::attempt(7, 9) };
    vec![sent, Attempt { kind: AttemptKind::SelfSend, ..records::attempt(7, 10) }]
}

/// An order in every state, some with everything that may be absent.
pub(crate) fn orders() -> Vec<Order> {
    let mut all = numbered(states(), |number, state| Order { state, ..records::order(number) });
    for order in all.iter_mut().filter(|order| order.state.nonce().is_some()) {
        order.attempts = attempts();
    }
    all[0].next_at = None;
    all[1].bank_account = Some(BankAccountId::new("acc-1").unwrap());
    all[1].placed_by = Placer::Auto;
    all[2].amount = units(u128::MAX);
    let named = Order { state: OrderState::Ready, ..records::order(u64::try_from(all.len()).unwrap() + 1) };
    all.push(Order { placed_by_name: Some(actor("alice")), approved_by: Some(actor("bob")), ..named });
    for order in all.iter_mut().filter(|order| order.state.is_ended()) {
        (order.spend, order.reverts, order.next_at) = (Spend::GivenBack, 2, None);
    }
    let last = u64::try_from(all.len()).unwrap() + 1;
    let outcome = OrderOutcome::Paid { tx_hash: hash(1), block: block(5), log_index: 3 };
    let paid = OrderState::Ended { outcome, at: at(9) };
    all.push(Order { state: paid, spent_at: Some(at(8)), next_at: None, ..records::order(last) });
    let outcome = OrderOutcome::Unsent { why: UnsentReason::ApprovalExpired { valid_for_s: 86_400 } };
    let (state, spend) = (OrderState::Ended { outcome, at: at(10) }, Spend::GivenBack);
    all.push(Order { state, spend, next_at: None, ..records::order(last + 1) });
    let state = OrderState::AwaitingApproval { why: reverted() };
    all.push(Order { state, reverts: 1, next_at: None, ..records::order(last + 2) });
    let state = OrderState::Held { why: Hold::EndUnconfirmed { status: ApiStatus::Expired } };
    all.push(Order { state, ..records::order(last + 3) });
    all.push(Order { state: OrderState::Held { why: Hold::ClockBehind { by_s: 300 } }, ..records::order(last + 4) });
    all.extend(ruled().into_iter().zip(last + 5..).map(|(state, n)| Order {
        state,
        recipient_from: Some(Provenance::Typed),
        ..records::order(n)
    }));
    all
}

fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

/// What persons with a name do; records from before names were kept have none.
pub(super) fn named_kinds() -> Vec<EventKind> {
    let (reason, by) = (|| text("a test"), || Some(actor("alice")));
    let (from, to) = (Box::new(OrderState::Held { why: Hold::WalletPaused }), Box::new(OrderState::Ready));
    let moved = EventKind::OrderMoved {
        order: order_id(1, 2),
        from,
        to,
        spend: Spend::Counted,
        why: text("approved"),
        by: by(),
    };
    let changes = [
        WalletChange::Paused { reason: reason(), by: by() },
        WalletChange::Resumed { reason: reason(), by: by() },
        WalletChange::Adopted { reason: reason(), next_nonce: 7, by: by(), booked: None, typed: false },
    ];
    let mut all = vec![EventKind::PersonDecided { action: text("ignore"), reason: reason(), by: by() }, moved];
    let address = wallet_address();
    all.extend(changes.map(|change| EventKind::WalletChanged { address, change }));
    all
}

/// Everything that may not be understood about the wallet's nonces.
pub(super) fn halts() -> Vec<HaltReason> {
    vec![
        HaltReason::UsedBefore { transactions: 5 },
        HaltReason::UsedElsewhere { ours: 5, theirs: 6 },
        HaltReason::NonceTaken { nonce: 5 },
        HaltReason::OtherWallet { stored: address(5) },
    ]
}

/// The wallet's record, with everything that may be absent.
pub(crate) fn wallet() -> Wallet {
    let paused = Some(Pause { at: at(1), reason: text("a test") });
    let halted = Some(Halt { at: at(2), why: HaltReason::NonceTaken { nonce: 5 } });
    let recipient = Some(records::order(1).recipient_id);
    let booked = vec![BookedSpend { at: at(3), recipient, amount: units(5) }];
    Wallet { paused, halted, booked, ..records::wallet(7) }
}

/// Everything that changes about the wallet.
pub(super) fn wallet_changes() -> Vec<WalletChange> {
    let reason = || text("a test");
    let mut all = vec![
        WalletChange::Opened { next_nonce: 7 },
        WalletChange::Paused { reason: reason(), by: None },
        WalletChange::Resumed { reason: reason(), by: None },
        WalletChange::Adopted { reason: reason(), next_nonce: 7, by: None, booked: None, typed: false },
    ];
    all.extend(halts().into_iter().map(|why| WalletChange::Halted { why }));
    all
}

/// The alarms about orders and the wallet.
pub(super) fn alarms() -> Vec<Alarm> {
    let (order, why) = (order_id(1, 2), HaltReason::NonceTaken { nonce: 5 });
    vec![
        Alarm::FundingStuck { order: order.clone(), hold: Hold::TooManyAttempts },
        Alarm::MovedNothing { order },
        Alarm::WalletHalted { why },
    ]
}

/// An event of every kind about orders and the wallet.
pub(super) fn kinds() -> Vec<EventKind> {
    let order = || order_id(1, 2);
    let tx_hash = hash(9);
    let (from, to) = (Box::new(OrderState::Ready), Box::new(OrderState::Sending { nonce: 7, trouble: None }));
    let mut all = vec![
        EventKind::OrderPlaced { order: Box::new(records::order(1)) },
        EventKind::OrderMoved { order: order(), from, to, spend: Spend::Counted, why: text("signed"), by: None },
        EventKind::AttemptSigned { order: order(), attempt: Box::new(records::attempt(7, 9)) },
        EventKind::AttemptSent { order: order(), tx_hash, said: text("already known") },
        EventKind::AttemptMined {
            order: order(),
            tx_hash,
            block: block(5),
            gas_used: Some(62_147),
            gas_price: Some(Wei::from_gwei(31)),
        },
    ];
    let address = wallet_address();
    all.extend(wallet_changes().into_iter().map(|change| EventKind::WalletChanged { address, change }));
    all.extend(alarms().into_iter().map(|alarm| EventKind::Alarm { alarm }));
    all
}
