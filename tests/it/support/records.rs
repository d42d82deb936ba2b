//! Sample records. Everything follows from a small number, so that two calls give the same record.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef};
use rampwatch::domain::coverage::{Coverage, FinalityMark};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, Verdict};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::order::{Attempt, AttemptKind, Fees, Order, OrderId, OrderState, Placer, RawTransaction, Spend};
use rampwatch::domain::payment::{Payment, PaymentId, PaymentState, Provenance, RecipientId, Terms};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Wallet;
use rampwatch::domain::wei::Wei;

/// Polygon, as in the recorded data.
pub(crate) const CHAIN_ID: u64 = 137;

/// The native USDC of Polygon.
pub(crate) const USDC: Address = Address::new([
    0x3c, 0x49, 0x9c, 0x54, 0x2c, 0xef, 0x5e, 0x38, 0x11, 0xe1, 0x19, 0x2c, 0xe7, 0x0d, 0x8c, 0xc0, 0x3d, 0x5c, 0x33,
    0x59,
]);

/// The `n`th address.
pub(crate) fn address(n: u64) -> Address {
    Address::left_padding_from(&n.to_be_bytes())
}

/// The `n`th hash.
pub(crate) fn hash(n: u64) -> B256 {
    B256::left_padding_from(&n.to_be_bytes())
}

/// A moment, `millis` after a fixed day in 2026.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000_u64.saturating_add(millis))
}

/// The id of the `n`th payment; ids sort as their numbers do.
pub(crate) fn payment_id(n: u64) -> PaymentId {
    PaymentId::new(format!("pay-{n:06}")).expect("a plain id")
}

/// The `n`th payment: 1000.00 USDC, waiting, at the `n`th address, nothing due.
pub(crate) fn payment(n: u64) -> Payment {
    Payment {
        id: payment_id(n),
        version: 0,
        recipient_id: RecipientId::new("rec-1").expect("a plain id"),
        terms: Terms {
            chain_id: CHAIN_ID,
            token: USDC,
            deposit_address: address(n),
            address_from: Provenance::Api,
            amount: Amount::from_base_units(1_000_000_000),
            amount_from: Provenance::Api,
            sender: None,
            created_at: at(0),
            expires_at: None,
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
        added_at: at(0),
        ending: None,
        taken: None,
        vouched: Vec::new(),
    }
}

/// The key of the `n`th deposit: block, transaction and log index are all told by `n`.
pub(crate) fn deposit_key(n: u64) -> DepositKey {
    DepositKey { chain_id: CHAIN_ID, block_hash: hash(n), tx_hash: hash(n), log_index: n }
}

/// The `n`th deposit: 1000.00 USDC to the `n`th address in block `n`, provisional, not judged.
pub(crate) fn deposit(n: u64) -> Deposit {
    Deposit {
        key: deposit_key(n),
        version: 0,
        block_number: n,
        block_time: at(n.saturating_mul(2_000)),
        token: USDC,
        from: address(0xf00d),
        to: address(n),
        amount: Amount::from_base_units(1_000_000_000),
        standing: BlockStatus::Provisional,
        verdict: Verdict::Unjudged,
        first_seen_at: at(n.saturating_mul(2_000)),
        seen_by: None,
        final_by: None,
        tally: None,
    }
}

/// The coverage of the `n`th address: watched, not placed on the chain yet.
pub(crate) fn coverage(n: u64) -> Coverage {
    Coverage { address: address(n), version: 0, since: at(0), swept: None, watch_until: None, closed: false }
}

/// A finality mark at block `number`.
pub(crate) fn finality(number: u64) -> FinalityMark {
    let block = BlockRef { number, hash: hash(number) };
    FinalityMark { version: 0, highest: block, current: block, at: at(number) }
}

/// The address of the hot wallet.
pub(crate) fn wallet_address() -> Address {
    address(0xca5e)
}

/// The id of an order of the `n`th payment.
pub(crate) fn order_id(n: u64, turn: u32) -> OrderId {
    OrderId { payment: payment_id(n), turn }
}

/// The first order of the `n`th payment, placed by a person at moment `n`: ready, counted, nothing signed.
pub(crate) fn order(n: u64) -> Order {
    let payment = payment(n);
    Order {
        id: order_id(n, 1),
        version: 0,
        recipient_id: payment.recipient_id,
        recipient_from: None,
        bank_account: None,
        wallet: wallet_address(),
        chain_id: payment.terms.chain_id,
        token: payment.terms.token,
        to: payment.terms.deposit_address,
        amount: payment.terms.amount,
        placed_by: Placer::Person,
        placed_by_name: None,
        approved_by: None,
        placed_at: at(n),
        spent_at: None,
        state: OrderState::Ready,
        spend: Spend::Counted,
        attempts: vec![],
        reverts: 0,
        next_at: Some(at(n)),
    }
}

/// A transfer at a nonce, with the `n`th hash: signed, not known to be sent.
pub(crate) fn attempt(nonce: u64, n: u64) -> Attempt {
    Attempt {
        kind: AttemptKind::Transfer,
        nonce,
        tx_hash: hash(n),
        raw: RawTransaction(vec![2, 0xf8, 0xb0].into()),
        fees: Fees { cap: Wei::from_gwei(90), tip: Wei::from_gwei(30) },
        gas_limit: 90_000,
        signed_at: at(n),
        sent_at: None,
        sends: 0,
    }
}

/// The wallet's record: this nonce is next, and nothing stands in the way.
pub(crate) fn wallet(next_nonce: u64) -> Wallet {
    Wallet {
        address: wallet_address(),
        chain_id: CHAIN_ID,
        version: 0,
        next_nonce,
        paused: None,
        halted: None,
        clock: at(next_nonce),
        booked: Vec::new(),
    }
}

/// An event in which a person decided `action`, about a payment, a deposit, both or neither.
pub(crate) fn event(payment: Option<PaymentId>, deposit: Option<DepositKey>, action: &str) -> Event {
    let kind = EventKind::PersonDecided { action: action.to_owned(), reason: "a test".to_owned(), by: None };
    Event { at: at(0), payment, deposit, kind }
}
