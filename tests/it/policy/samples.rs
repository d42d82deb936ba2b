//! Builders for the records that the policy decides over. Amounts are base units of a token with 6 decimals.

use std::sync::LazyLock;

use rampwatch::domain::actor::Actor;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, Transfer};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, MatchRule, Verdict};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::order::OrderState;
use rampwatch::domain::payment::{
    ApiStatus, ApiView, Payment, PaymentId, PaymentState, Provenance, RecipientId, Refusal, Terms,
};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::evidence::{
    Agreement, Claim, Did, Freeing, Movement, Proof, WalletRecords, judge, nothing_left, prove,
};
use rampwatch::policy::finality::FinalityRule;
use rampwatch::policy::matching::MatchParams;
use rampwatch::policy::payment_machine::Context;
use rampwatch::policy::resolve::Said;
use rampwatch::policy::retry::{Jitter, RetryPolicy};

/// The chain of all samples.
pub(super) const CHAIN: u64 = 137;
/// The token that pays.
pub(super) const USDC: Address = Address::repeat_byte(0x3c);
/// A known token that never pays.
pub(super) const BRIDGED: Address = Address::repeat_byte(0x27);
/// The watched address.
pub(super) const HOME: Address = Address::repeat_byte(0xd0);
/// Who usually sends.
pub(super) const ALICE: Address = Address::repeat_byte(0xa1);
/// Who sends too.
pub(super) const BOB: Address = Address::repeat_byte(0xb0);
/// What a sample payment asks for.
pub(super) const ASKED: u128 = 100_000_000;
/// When sample payments are created, in seconds.
pub(super) const CREATED: u64 = 10_000;
/// When sample payments run out, in seconds.
pub(super) const EXPIRY: u64 = 13_600;
/// The moment of the samples, in seconds.
pub(super) const NOW: u64 = 12_000;

/// The moment `secs`.
pub(super) const fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

/// Who decides in samples.
pub(super) fn alice() -> Actor {
    Actor::new("alice").unwrap()
}

pub(super) fn bob() -> Actor {
    Actor::new("bob").expect("a name")
}

/// A proof of the fact: of one operator where one is enough, and with the wallet's records where those are needed.
pub(super) fn proof(fact: Freeing) -> Proof {
    let transfer = Movement { token: USDC, from: ALICE, to: HOME, amount: Amount::from_base_units(ASKED) };
    let claim = Claim {
        tx_hash: B256::repeat_byte(1),
        block: super::orders::block(1_500),
        transfer,
        did: Did::Transfer,
        made_at: None,
    };
    let operator = Operator::named("one");
    let rule = FinalityRule::Depth { depth: 1 };
    let Agreement::Reached(agreed) = judge(&claim, Some(&operator), &[], rule, 1) else { panic!("one is enough") };
    let order = super::orders::order_in("p", OrderState::Ready);
    let fit = nothing_left(&order, super::orders::block(1_500), &WalletRecords::default()).expect("nothing has left");
    prove(fact, &agreed, Some(&fit)).expect("it is proven")
}

/// What she says.
pub(super) fn said(reason: &str) -> Said<'_> {
    static ALICE: LazyLock<Actor> = LazyLock::new(alice);
    Said { by: &ALICE, reason }
}

/// No tolerance, two minutes of skew.
pub(super) const STRICT: MatchParams =
    MatchParams { under: Amount::ZERO, over: Amount::ZERO, skew: Span::from_secs(120) };

/// 500 under, 200 over.
pub(super) const TOLERANT: MatchParams =
    MatchParams { under: Amount::from_base_units(500), over: Amount::from_base_units(200), skew: Span::from_secs(120) };

/// The usual rates: a time-out of 30 s, so an unclear call is asked after 61 s later.
pub(super) const PACE: RetryPolicy = RetryPolicy::for_timeout(Span::from_secs(30));

/// The moment [`NOW`], without jitter.
pub(super) const fn context() -> Context<'static> {
    context_at(NOW)
}

/// The moment `secs`, without jitter.
pub(super) const fn context_at(secs: u64) -> Context<'static> {
    Context { now: at(secs), pace: &PACE, jitter: Jitter(0) }
}

pub(super) fn id(name: &str) -> PaymentId {
    PaymentId::new(name).expect("a sample id is plain")
}

/// A payment of [`ASKED`] that waits.
pub(super) fn payment(name: &str) -> Payment {
    Payment {
        id: id(name),
        version: 1,
        recipient_id: RecipientId::new("recipient").expect("plain"),
        terms: Terms {
            chain_id: CHAIN,
            token: USDC,
            deposit_address: HOME,
            address_from: Provenance::Api,
            amount: Amount::from_base_units(ASKED),
            amount_from: Provenance::Api,
            sender: None,
            created_at: at(CREATED),
            expires_at: Some(at(EXPIRY)),
            bank_account: None,
            recipient_from: None,
            expiry_from: None,
            sender_from: None,
            typed_by: None,
        },
        state: PaymentState::Waiting,
        api: None,
        next_at: None,
        quiet_checks: 0,
        added_at: at(CREATED),
        ending: None,
        taken: None,
        vouched: Vec::new(),
    }
}

/// The same in another state.
pub(super) fn in_state(name: &str, state: PaymentState) -> Payment {
    Payment { state, ..payment(name) }
}

/// The same asking for another amount.
pub(super) fn asking(name: &str, amount: u128) -> Payment {
    let mut payment = payment(name);
    payment.terms.amount = Amount::from_base_units(amount);
    payment
}

/// The same naming its sender.
pub(super) fn naming(name: &str, sender: Address) -> Payment {
    let mut payment = payment(name);
    payment.terms.sender = Some(sender);
    payment
}

pub(super) const fn tx(number: u8) -> B256 {
    B256::repeat_byte(number)
}

/// A deposit of `amount` from [`ALICE`], the `number`th of the chain: its transaction, its block.
pub(super) fn deposit(number: u8, amount: u128) -> Deposit {
    Deposit {
        key: DepositKey {
            chain_id: CHAIN,
            block_hash: B256::repeat_byte(number.wrapping_add(100)),
            tx_hash: tx(number),
            log_index: 0,
        },
        version: 1,
        block_number: 1_000 + u64::from(number),
        block_time: at(11_000 + u64::from(number)),
        token: USDC,
        from: ALICE,
        to: HOME,
        amount: Amount::from_base_units(amount),
        standing: BlockStatus::Provisional,
        verdict: Verdict::Unjudged,
        first_seen_at: at(11_500),
        seen_by: None,
        final_by: None,
        tally: None,
    }
}

/// The same, final.
pub(super) fn final_deposit(number: u8, amount: u128) -> Deposit {
    Deposit { standing: FINAL, ..deposit(number, amount) }
}

/// Final, established at 11 900.
pub(super) const FINAL: BlockStatus = BlockStatus::Final { at: at(11_900) };

pub(super) fn pays(name: &str) -> Verdict {
    Verdict::Pays { payment: id(name), rule: MatchRule::Exact }
}

pub(super) fn assigned(name: &str) -> Verdict {
    Verdict::Pays { payment: id(name), rule: MatchRule::Assigned { reason: "it is theirs".to_owned() } }
}

/// What the API said, at [`NOW`].
pub(super) fn view(status: ApiStatus, tx_hash: Option<&str>) -> ApiView {
    ApiView { status, tx_hash: tx_hash.map(str::to_owned), as_of: at(NOW), fee: None, unread: Vec::new() }
}

pub(super) fn refusal() -> Refusal {
    Refusal { status: 409, message: "already completed".to_owned() }
}

pub(super) fn fresh(number: u8) -> Transfer {
    let deposit = deposit(number, ASKED);
    Transfer {
        block: deposit.block(),
        block_time: Some(deposit.block_time),
        tx_hash: deposit.key.tx_hash,
        log_index: deposit.key.log_index,
        token: USDC,
        from: ALICE,
        to: HOME,
        amount: deposit.amount,
    }
}
