//! The laws, held against the chain's own blocks and pool, the fake API's tally and the store's records.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::{OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::Store;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{BlockTag, SandboxError, Sent, USDC, WALLET};

use super::ground::Ground;
use super::story::Story;
use crate::send::aftermath::{close, failed, open, unknown};

/// What is wrong.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    /// Money went twice, or the API was called twice.
    Doubled(String),
    /// It did not come to the end that it must come to.
    Stuck(String),
    /// What counts as spent is not what was sent.
    Spend(String),
    /// A nonce is missing.
    Gap(String),
    /// A node has a transaction that the store has not.
    Unknown(String),
    /// Anything else.
    Other(String),
}

/// How it stood before a case.
pub(crate) struct Before {
    block: u64,
    nonce: u64,
}

pub(crate) async fn before(ground: &Ground) -> Result<Before, SandboxError> {
    let node = ground.node();
    Ok(Before { block: node.head().await? + 1, nonce: node.transaction_count(WALLET, BlockTag::Latest).await? })
}

/// What nobody may see before it is on the disk, is on the disk.
pub(crate) async fn at_death(ground: &Ground) -> Result<Vec<Broken>, SandboxError> {
    let store = open(&ground.store()).await?;
    let unknown = unknown(ground.node(), &store).await?;
    close(store).await;
    Ok(unknown.into_iter().map(Broken::Unknown).collect())
}

/// Whether the payment has its money, and everything that is wrong at the end of a case.
pub(crate) async fn after(
    ground: &Ground,
    before: &Before,
    off_ramp: &OffRamp,
    story: Story,
) -> Result<(bool, Vec<Broken>), SandboxError> {
    let node = ground.node();
    let mut broken = Vec::new();
    let sent = node.sent_by(WALLET, before.block).await?;
    let got = node.balance(USDC, off_ramp.deposit_address).await?;
    let (transfers, others) = story.mined();
    check_nonces(before, &sent, &mut broken);
    let moved = sent.iter().filter(|sent| moves(sent, off_ramp)).count();
    let expected = Amount::from_base_units(off_ramp.amount.base_units() * transfers as u128);
    if moved > 1 || got.base_units() > off_ramp.amount.base_units() {
        broken.push(Broken::Doubled(format!("{} got {got} in {moved} transfers: {sent:#?}", off_ramp.id)));
    } else if moved != transfers || got != expected {
        broken.push(Broken::Stuck(format!("{} got {got} in {moved} transfers, not {transfers}", off_ramp.id)));
    }
    if sent.len() != transfers + others {
        broken.push(Broken::Other(format!("{} transactions were mined: {sent:#?}", sent.len())));
    }
    let tally = ground.api.off_ramp(&off_ramp.id).map(|off_ramp| off_ramp.tally).unwrap_or_default();
    if tally.accepted as usize != transfers || tally.calls_after_accepted != 0 {
        broken.push(Broken::Doubled(format!("the API was asked to complete {} like this: {tally:?}", off_ramp.id)));
    }
    let store = open(&ground.store()).await?;
    check_store(ground, &store, off_ramp, &sent, &mut broken).await?;
    close(store).await;
    Ok((moved == 1, broken))
}

fn moves(sent: &Sent, off_ramp: &OffRamp) -> bool {
    sent.succeeded && sent.transfers.iter().any(|transfer| transfer.to == off_ramp.deposit_address)
}

fn check_nonces(before: &Before, sent: &[Sent], broken: &mut Vec<Broken>) {
    let nonces: Vec<u64> = sent.iter().map(|sent| sent.nonce).collect();
    let wanted: Vec<u64> = (before.nonce..).take(sent.len()).collect();
    if nonces != wanted {
        broken.push(Broken::Gap(format!("the mined nonces are {nonces:?}, not {wanted:?}")));
    }
}

async fn check_store(
    ground: &Ground,
    store: &dyn Store,
    off_ramp: &OffRamp,
    sent: &[Sent],
    broken: &mut Vec<Broken>,
) -> Result<(), SandboxError> {
    let node = ground.node();
    let open = store.open_orders().await.map_err(failed)?;
    if !open.is_empty() {
        broken.push(Broken::Stuck(format!("open orders are left: {open:#?}")));
    }
    let orders = store.orders_of(&off_ramp.id).await.map_err(failed)?;
    if orders.len() != 1 {
        broken.push(Broken::Other(format!("{} has {} orders", off_ramp.id, orders.len())));
    }
    for order in &orders {
        if let OrderState::Ended { outcome: OrderOutcome::Paid { tx_hash, .. }, .. } = &order.state
            && !sent.iter().any(|sent| sent.tx_hash == *tx_hash && moves(sent, off_ramp))
        {
            broken.push(Broken::Stuck(format!("{} says that {tx_hash} paid it, and the chain does not", order.id)));
        }
    }
    let wallet = store.wallet().await.map_err(failed)?;
    let mined = node.transaction_count(WALLET, BlockTag::Latest).await?;
    match wallet {
        Some(wallet) if wallet.halted.is_some() => broken.push(Broken::Stuck(format!("it is halted: {wallet:?}"))),
        Some(wallet) if wallet.next_nonce == mined => {}
        other => broken.push(Broken::Gap(format!("{mined} nonces are consumed, and the store has {other:?}"))),
    }
    // All that ever was spent here, so that what one case spoils is seen in every later one.
    let counted = store.spent_since(Timestamp::EPOCH).await.map_err(failed)?;
    let counted_right = counted.iter().all(|order| order.spend == Spend::Counted);
    let counted: u128 = counted.iter().map(|order| order.amount.base_units()).sum();
    let left = node.balance(USDC, WALLET).await?;
    let gone = ground.had.base_units() - left.base_units();
    if counted != gone || !counted_right {
        broken.push(Broken::Spend(format!("{counted} base units count as spent, and {gone} have left the wallet")));
    }
    Ok(())
}
