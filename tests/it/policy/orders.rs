//! Builders for orders, attempts and the hot wallet, on top of the samples of payments and deposits.

use alloy::primitives::Bytes;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef, Header};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{
    ApprovalReason, Attempt, AttemptKind, CancelReason, Effect, Fees, Order, OrderId, OrderOutcome, OrderState, Placer,
    RawTransaction, Spend, UnsentReason,
};
use rampwatch::domain::payment::ApiStatus;
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::{HaltReason, Market, Wallet};
use rampwatch::domain::wei::Wei;
use rampwatch::policy::fees::FeeParams;
use rampwatch::policy::order_machine::FundingPace;

use super::samples::*;

/// The hot wallet.
pub(super) const WALLET: Address = Address::repeat_byte(0xee);

/// 30 gwei of tip at least, 450 gwei at the most (400 for a transfer).
pub(super) const FEES: FeeParams =
    FeeParams { tip_floor: Wei::from_gwei(30), ceiling: Wei::from_gwei(450), gas_limit_max: 150_000 };

/// The funder's rates in the tests.
pub(super) const FUNDING: FundingPace = FundingPace {
    hold_check: Span::from_secs(30),
    bump_after: Span::from_secs(20),
    rebroadcast_after: Span::from_secs(45),
    poll_interval: Span::from_secs(4),
    max_in_flight: 16,
    approval_valid_for: Span::from_secs(300),
};

/// The nonce of the samples.
pub(super) const NONCE: u64 = 7;

pub(super) fn wallet() -> Wallet {
    Wallet {
        address: WALLET,
        chain_id: CHAIN,
        version: 1,
        next_nonce: NONCE,
        paused: None,
        halted: None,
        clock: at(NOW - 100),
        booked: Vec::new(),
    }
}

/// An order for the payment of this name, with nothing signed.
pub(super) fn order(name: &str) -> Order {
    order_in(name, OrderState::Ready)
}

/// The same in another state.
pub(super) fn order_in(name: &str, state: OrderState) -> Order {
    let payment = payment(name);
    Order {
        id: OrderId { payment: payment.id, turn: 1 },
        version: 1,
        recipient_id: payment.recipient_id,
        recipient_from: None,
        bank_account: None,
        wallet: WALLET,
        chain_id: CHAIN,
        token: USDC,
        to: HOME,
        amount: Amount::from_base_units(ASKED),
        placed_by: Placer::Person,
        placed_by_name: None,
        approved_by: None,
        placed_at: at(NOW - 50),
        spent_at: None,
        state,
        spend: Spend::Counted,
        attempts: Vec::new(),
        reverts: 0,
        next_at: Some(at(NOW)),
    }
}

pub(super) const fn gwei(cap: u64, tip: u64) -> Fees {
    Fees { cap: Wei::from_gwei(cap), tip: Wei::from_gwei(tip) }
}

/// A signed transaction at [`NONCE`] that nobody was given yet; `number` makes its hash.
pub(super) fn attempt(number: u8, kind: AttemptKind, fees: Fees) -> Attempt {
    Attempt {
        kind,
        nonce: NONCE,
        tx_hash: tx(number),
        raw: RawTransaction(Bytes::from(vec![2, number])),
        fees,
        gas_limit: 80_000,
        signed_at: at(NOW - 10),
        sent_at: None,
        sends: 0,
    }
}

/// The same, given to the nodes right after its signature.
pub(super) fn given(attempt: Attempt) -> Attempt {
    Attempt { sent_at: Some(attempt.signed_at), sends: 1, ..attempt }
}

pub(super) fn transfer(number: u8) -> Attempt {
    attempt(number, AttemptKind::Transfer, gwei(130, 30))
}

pub(super) fn self_send(number: u8) -> Attempt {
    attempt(number, AttemptKind::SelfSend, gwei(200, 60))
}

pub(super) fn block(number: u64) -> BlockRef {
    BlockRef { number, hash: B256::from(alloy::primitives::U256::from(number)) }
}

pub(super) fn market(base_gwei: u64, tip_gwei: u64) -> Market {
    let head = Header { block: block(2_000), parent: block(1_999).hash, time: at(NOW) };
    Market { head, base_fee: Wei::from_gwei(base_gwei), tip: Wei::from_gwei(tip_gwei) }
}

pub(super) const fn sending() -> OrderState {
    OrderState::Sending { nonce: NONCE, trouble: None }
}

pub(super) fn troubled(hold: Hold) -> OrderState {
    OrderState::Sending { nonce: NONCE, trouble: Some(hold) }
}

pub(super) fn person() -> CancelReason {
    CancelReason::Person { reason: "wrong month".to_owned() }
}

pub(super) fn cancelling() -> OrderState {
    OrderState::Cancelling { nonce: NONCE, why: person(), trouble: None }
}

pub(super) fn mined(number: u8, effect: Effect, cancelling: Option<CancelReason>) -> OrderState {
    OrderState::Mined { nonce: NONCE, tx_hash: tx(number), block: block(1_500), effect, cancelling }
}

pub(super) const fn awaiting() -> OrderState {
    OrderState::AwaitingApproval { why: ApprovalReason::TypedAddress }
}

pub(super) fn ended(outcome: OrderOutcome) -> OrderState {
    OrderState::Ended { outcome, at: at(NOW - 1) }
}

/// One of every outcome.
pub(super) fn outcomes() -> Vec<OrderOutcome> {
    vec![
        OrderOutcome::Paid { tx_hash: tx(1), block: block(1_500), log_index: 3 },
        OrderOutcome::SelfSent { tx_hash: tx(2), why: person() },
        OrderOutcome::Reverted { tx_hash: tx(1) },
        OrderOutcome::MovedNothing { tx_hash: tx(1) },
        OrderOutcome::Displaced { nonce: NONCE },
        unsent(UnsentReason::Rejected { reason: "no".to_owned() }),
        unsent(UnsentReason::Cancelled { reason: "no".to_owned() }),
        unsent(UnsentReason::NotPayable { hold: Hold::TimeShort { expires_at: at(EXPIRY), least_s: 600 } }),
        unsent(UnsentReason::ApprovalExpired { valid_for_s: 300 }),
    ]
}

pub(super) const fn unsent(why: UnsentReason) -> OrderOutcome {
    OrderOutcome::Unsent { why }
}

/// One of every reason to halt.
pub(super) fn halts() -> Vec<HaltReason> {
    vec![
        HaltReason::UsedBefore { transactions: 4 },
        HaltReason::UsedElsewhere { ours: NONCE, theirs: 9 },
        HaltReason::NonceTaken { nonce: NONCE },
        HaltReason::OtherWallet { stored: ALICE },
        HaltReason::StoreIncomplete { held: 8, acknowledged: Some(9) },
    ]
}

/// One of every hold.
pub(super) fn all_holds() -> Vec<Hold> {
    let text = || "said so".to_owned();
    let (have, need) = (Amount::from_base_units(1), Amount::from_base_units(2));
    vec![
        Hold::ApiUnavailable { detail: text() },
        Hold::ApiStatus { status: ApiStatus::Expired },
        Hold::EndUnconfirmed { status: ApiStatus::Expired },
        Hold::ApiHasHash { tx_hash: text() },
        Hold::TermsDiffer { field: text(), ours: text(), theirs: text() },
        Hold::PaymentState { state: text() },
        Hold::PaymentEnded,
        Hold::TimeShort { expires_at: at(EXPIRY), least_s: 600 },
        Hold::OtherSender { named: ALICE },
        Hold::MoneyThere { tx_hash: tx(1), amount: have },
        Hold::OwnTransferSeen { tx_hash: tx(1) },
        Hold::NotReadYet,
        Hold::ClockBehind { by_s: 300 },
        Hold::TokenPaused,
        Hold::WalletBlacklisted,
        Hold::RecipientBlacklisted,
        Hold::RecipientForbidden { what: text() },
        Hold::TokenShort { have, need },
        Hold::NativeShort { have: Wei::new(1), need: Wei::new(2) },
        Hold::CallFails { reason: text() },
        Hold::GasTooHigh { estimate: 2, most: 1 },
        Hold::FeeCeiling { needed: Wei::new(2), ceiling: Wei::new(1) },
        Hold::TooManyAttempts,
        Hold::ChainUnavailable { detail: text() },
        Hold::NodeRefuses { detail: text() },
        Hold::WalletPaused,
        Hold::WalletHalted,
        Hold::Signer { detail: text() },
        Hold::Policy { rule: "funding.allowed_recipients".to_owned(), over: None },
        Hold::ApprovalMissing { why: ApprovalReason::TypedAddress },
    ]
}
