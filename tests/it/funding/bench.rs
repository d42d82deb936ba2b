//! A world with a wallet, and the laws that hold for every story about it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use rampwatch::adapters::evm::EvmChain;
use rampwatch::adapters::signer::{KeyOrigin, LocalSigner, SignerSettings};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::B256;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::order::{ApprovalReason, Order, OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::Span;
use rampwatch::domain::wei::Wei;
use rampwatch::engine::{EngineSettings, FundingPorts, FundingRules};
use rampwatch::policy::fees::FeeParams;
use rampwatch::policy::order_machine::FundingPace;
use rampwatch::policy::preflight::PreflightParams;
use rampwatch::policy::rules::SpendLimits;
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};
use rampwatch::sandbox::{Node, Sent, WALLET, WALLET_KEY_ENV, wallet_key};
use rampwatch::service::orders::FundRequest;
use secrecy::SecretString;

use crate::anvil::world::{LIMIT, Setup, World, quick_settings, usdc};
use crate::support::approving::approve;

/// Gives the sandbox's wallet its money, where the engine is to fund.
pub(crate) async fn furnish_wallet(engine: &EngineSettings, node: &Node) {
    if engine.funding.is_some() {
        node.mint_for_wallet().await.unwrap();
        node.mine(1).await.unwrap();
    }
}

/// The ways out of funding, where the engine is to fund.
pub(crate) async fn funding_ports(engine: &EngineSettings, chain: &Arc<EvmChain>) -> Option<FundingPorts> {
    engine.funding.as_ref()?;
    Some(FundingPorts { sender: chain.clone(), signer: Arc::new(sandbox_signer().await) })
}

/// The sandbox's own wallet.
async fn sandbox_signer() -> LocalSigner {
    let origin = KeyOrigin::Raw { variable: WALLET_KEY_ENV.to_owned(), key: SecretString::from(wallet_key()) };
    LocalSigner::open(SignerSettings { origin, address: Some(WALLET) }).await.unwrap()
}

/// Generous limits, and everything quick.
pub(crate) fn rules() -> FundingRules {
    FundingRules {
        limits: SpendLimits {
            enabled: true,
            auto: false,
            auto_max_per_day: None,
            max_per_payment: usdc(100_000),
            max_per_day: usdc(1_000_000),
            max_per_recipient: usdc(1_000_000),
            approval_above: usdc(50_000),
            approval_above_per_day: usdc(10_000_000),
            allowed_recipients: [].into(),
            allowed_bank_accounts: [].into(),
            allowed_addresses: [].into(),
            min_time_left: Span::from_secs(60),
        },
        preflight: PreflightParams {
            chain_name: "polygon".to_owned(),
            currency: "USDC".to_owned(),
            under: Amount::ZERO,
            min_time_left: Span::from_secs(60),
            reserve_token: Amount::ZERO,
            reserve_native: Wei::ZERO,
            fees: FeeParams { tip_floor: Wei::from_gwei(30), ceiling: Wei::from_gwei(500), gas_limit_max: 150_000 },
        },
        pace: FundingPace {
            hold_check: Span::from_millis(200),
            bump_after: Span::from_millis(1_000),
            rebroadcast_after: Span::from_millis(1_500),
            poll_interval: Span::from_millis(60),
            max_in_flight: 16,
            approval_valid_for: Span::from_secs(86_400),
        },
    }
}

/// A world with a wallet and these rules.
pub(crate) fn setup(rules: FundingRules) -> Setup {
    let mut engine = quick_settings();
    engine.funding = Some(rules);
    Setup { engine, ..Setup::default() }
}

/// Opens an off-ramp that has long to live, though the chain's clock may be hours ahead.
pub(crate) async fn open(world: &World, amount: Amount) -> OffRamp {
    let expires_at = Some(rampwatch::domain::time::Timestamp::from_secs(4_000_000_000));
    world.open_as(NewOffRamp { amount, expires_at, ..NewOffRamp::default() }).await
}

/// Asks for an off-ramp to be funded, as a person who was shown what it means.
pub(crate) async fn fund(world: &World, off_ramp: &OffRamp) -> Result<(), String> {
    let request = FundRequest {
        payment: off_ramp.id.to_string(),
        to: off_ramp.deposit_address.to_checksum(None),
        base_units: off_ramp.amount,
    };
    world.handle().fund(&request).await.map(|_| ()).map_err(|error| error.to_string())
}

/// The last order of an off-ramp's payment.
pub(crate) async fn order(world: &World, off_ramp: &OffRamp) -> Order {
    let orders = world.store().orders_of(&off_ramp.id).await.unwrap();
    orders.into_iter().max_by_key(|order| order.id.turn).unwrap_or_else(|| panic!("{} has an order", off_ramp.id))
}

/// Whether a person is asked because what was sent failed.
pub(crate) fn is_reverted(state: &OrderState) -> bool {
    matches!(state, OrderState::AwaitingApproval { why: ApprovalReason::Reverted { .. } })
}

/// Waits until a person is asked because what was sent failed, and approves.
pub(crate) async fn approve_reverted(world: &World, off_ramp: &OffRamp) {
    let asked = wait_order(world, off_ramp, "waiting for a person", is_reverted).await;
    approve(world.handle(), &asked.id.to_string(), "the cause is gone").await.unwrap();
}

/// Waits, without mining, until the last order of an off-ramp is as wished.
pub(crate) async fn wait_order(
    world: &World,
    off_ramp: &OffRamp,
    what: &str,
    wished: impl Fn(&OrderState) -> bool,
) -> Order {
    let end = Instant::now() + LIMIT;
    loop {
        let order = order(world, off_ramp).await;
        if wished(&order.state) {
            return order;
        }
        assert!(Instant::now() < end, "waited in vain until {} is {what}; it is {:?}", order.id, order.state);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the wallet's record is there: the funder has looked at it.
pub(crate) async fn wallet_opened(world: &World) {
    let opened = || async { world.store().wallet().await.unwrap().is_some() };
    crate::support::eventually(LIMIT, "the wallet's record", opened).await;
}

/// Mines block after block until no order is open.
pub(crate) async fn until_all_ended(world: &World) {
    let end = Instant::now() + LIMIT * 2;
    loop {
        let open = world.store().open_orders().await.unwrap();
        if open.is_empty() {
            return;
        }
        let states: Vec<_> = open.iter().map(|order| (&order.id, &order.state)).collect();
        assert!(Instant::now() < end, "orders do not end: {states:#?}");
        world.mine(1).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// The laws: at most one mined transfer a payment, and exactly one where an order says paid; nonces without a gap; what
/// counts as spent is right to the unit.
pub(crate) async fn assert_laws(world: &World, off_ramps: &[&OffRamp]) {
    let sent: Vec<Sent> = world.node().sent_by(WALLET, 0).await.unwrap();
    for (place, sent) in sent.iter().enumerate() {
        assert_eq!(usize::try_from(sent.nonce).unwrap(), place, "nonces have no gap: {sent:?}");
    }
    let mut paid: BTreeMap<_, u32> = BTreeMap::new();
    for order in world.store().orders(None, 10_000).await.unwrap() {
        let mined = sent.iter().filter(|sent| {
            let arrived =
                sent.transfers.iter().any(|transfer| (transfer.token, transfer.to) == (order.token, order.to));
            sent.succeeded
                && arrived
                && order
                    .attempt(sent.tx_hash)
                    .is_some_and(|attempt| attempt.kind == rampwatch::domain::order::AttemptKind::Transfer)
        });
        let transfers = u32::try_from(mined.count()).unwrap();
        *paid.entry(order.id.payment.clone()).or_default() += transfers;
        if let OrderState::Ended { outcome, .. } = &order.state {
            let is_paid = matches!(outcome, OrderOutcome::Paid { .. });
            assert_eq!(transfers, u32::from(is_paid), "{} says what the chain says: {:?}", order.id, order.state);
            let counts = matches!(
                outcome,
                OrderOutcome::Paid { .. } | OrderOutcome::Displaced { .. } | OrderOutcome::MovedNothing { .. }
            );
            assert_eq!(order.spend == Spend::Counted, counts, "{}: {:?}", order.id, order.state);
        }
    }
    for off_ramp in off_ramps {
        assert!(paid.get(&off_ramp.id).copied().unwrap_or(0) <= 1, "{} was paid twice", off_ramp.id);
    }
}

/// Waits until something about the world holds, without mining.
pub(crate) async fn until<F, Fut>(what: &str, condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    crate::support::eventually(LIMIT, what, condition).await;
}

/// Opens an off-ramp, has it funded, and waits until its transfer waits in the pool.
pub(crate) async fn send(world: &World, amount: Amount) -> (OffRamp, Order) {
    let off_ramp = open(world, amount).await;
    fund(world, &off_ramp).await.unwrap();
    let sent = |state: &OrderState| matches!(state, OrderState::Sending { .. });
    wait_order(world, &off_ramp, "sending", sent).await;
    until("the transfer waits in the pool", || async {
        let hash = order(world, &off_ramp).await.attempts[0].tx_hash;
        let pool = world.node().pool().await.unwrap();
        order(world, &off_ramp).await.attempts[0].sends > 0 && pool.iter().any(|waiting| waiting.tx_hash == hash)
    })
    .await;
    let order = order(world, &off_ramp).await;
    (off_ramp, order)
}

/// What the wallet has waiting in the pool, by nonce: nonce, hash, and whether the next block can hold it.
pub(crate) async fn pooled(world: &World) -> Vec<(u64, B256, bool)> {
    let pool = world.node().pool().await.unwrap();
    let ours = pool.into_iter().filter(|waiting| waiting.from == WALLET);
    ours.map(|waiting| (waiting.nonce, waiting.tx_hash, waiting.is_ready)).collect()
}

/// Every event of the ledger, in order.
pub(crate) async fn events(world: &World) -> Vec<EventKind> {
    let mut all: Vec<EventKind> = Vec::new();
    let mut after = 0;
    loop {
        let page = world.store().events(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.seq;
        all.extend(page.into_iter().map(|recorded| recorded.event.kind));
    }
}

/// Every alarm that was raised.
pub(crate) async fn alarms(world: &World) -> Vec<Alarm> {
    let alarm = |kind| match kind {
        EventKind::Alarm { alarm } => Some(alarm),
        _ => None,
    };
    events(world).await.into_iter().filter_map(alarm).collect()
}

/// The transaction that paid an off-ramp, by its last order.
pub(crate) async fn paid_by(world: &World, off_ramp: &OffRamp) -> B256 {
    match order(world, off_ramp).await.state {
        OrderState::Ended { outcome: OrderOutcome::Paid { tx_hash, .. }, .. } => tx_hash,
        other => panic!("{} is paid, not {other:?}", off_ramp.id),
    }
}

/// The nonces of the wallet's transactions in blocks, in the order of the chain.
pub(crate) async fn mined_nonces(world: &World) -> Vec<u64> {
    world.node().sent_by(WALLET, 0).await.unwrap().iter().map(|sent| sent.nonce).collect()
}

/// What counts as spent, in base units, as operators are told.
pub(crate) async fn spent(world: &World) -> Amount {
    world.handle().wallet().await.unwrap().spent.base_units
}

/// Ends the story: the off-ramps are completed, each with the transaction of its last order, and the laws hold.
pub(crate) async fn end(mut world: World, paid: &[&OffRamp]) {
    world.until_completed(paid).await;
    let mut completed = Vec::new();
    for off_ramp in paid {
        completed.push((*off_ramp, paid_by(&world, off_ramp).await));
    }
    assert_laws(&world, paid).await;
    world.assert_completions(&completed);
    world.end_whatever_was_completed().await;
}
