//! The acts in which the hot wallet pays off-ramps itself: with the sandbox's own key, asked by a person and by itself.

use super::report::{Case, Expect};
use super::stage::{LIMIT, LOOK_AGAIN, Stage, id, usdc};
use crate::domain::amount::Amount;
use crate::domain::chain::B256;
use crate::domain::order::{AttemptKind, OrderOutcome};
use crate::domain::payment::BankAccountId;
use crate::domain::wei::Wei;
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::fake_api::{NewOffRamp, OffRamp};
use crate::sandbox::{BlockTag, USDC, WALLET};
use crate::view::order::OrderView;

/// The payment whose receipts are shown at the end: the one that took two transactions to be mined.
pub(super) const SHOWN: &str = "fund-raised";

/// All payments that the wallet must have paid at the end, and no other.
pub(super) const PAID: &[&str] = &["fund-raised", "fund-approved", "fund-held", "fund-killed", "auto-1", "auto-2"];

/// The base fee that the chain's blocks suddenly have, in gwei: far above the first offer, far below the ceiling.
const DEAR_GWEI: u64 = 200;

/// Plays the acts.
pub(super) async fn all(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    asked(stage, cases).await?;
    stopped(stage, cases).await?;
    by_itself(stage, cases).await
}

/// Asks for a payment to be funded, exactly as it is shown to whoever asks.
async fn fund(stage: &mut Stage<'_>, off_ramp: &OffRamp) -> Result<()> {
    let operator = stage.watcher.operator().clone();
    let shown = operator.preview_fund(&off_ramp.id).await?;
    let (to, amount) = (shown.to, shown.amount.base_units);
    if (to, amount) != (off_ramp.deposit_address, off_ramp.amount) {
        let said = format!("{} asks for {} to {}", off_ramp.id, off_ramp.amount, off_ramp.deposit_address);
        return Err(SandboxError::Outcome(format!("{said}, and rampwatch would send {amount} to {to}")));
    }
    operator.fund(&off_ramp.id, to, amount).await.map(drop)
}

/// Opens an off-ramp, tells the watcher, and asks for it to be funded.
async fn funded(stage: &mut Stage<'_>, name: &str, amount: Amount) -> Result<OffRamp> {
    let off_ramp = stage.opened(name, amount).await?;
    fund(stage, &off_ramp).await?;
    Ok(off_ramp)
}

/// Waits until the transfer of a payment's order was given to the nodes.
async fn on_its_way(stage: &mut Stage<'_>, name: &str) -> Result<OrderView> {
    let sent = |order: &OrderView| order.state == "sending" && order.has_sent(AttemptKind::Transfer);
    stage.order_until(name, "sending", sent).await
}

/// Mines until final, and waits until the orders of these payments are paid and the payments completed. Gives the
/// transactions.
async fn paid(stage: &mut Stage<'_>, names: &[&str]) -> Result<Vec<B256>> {
    stage.mine_final().await?;
    let mut hashes = Vec::new();
    for name in names {
        let order = stage.order_until(name, "ended", |order| order.ending().is_some()).await?;
        let Some(OrderOutcome::Paid { tx_hash, .. }) = order.ending() else {
            return Err(SandboxError::Outcome(format!("order {} is not paid: {}", order.id, order.text)));
        };
        hashes.push(*tx_hash);
    }
    stage.completed(names).await?;
    Ok(hashes)
}

/// The first of some hashes; the callers ask for one.
fn only(hashes: &[B256]) -> B256 {
    hashes.first().copied().unwrap_or_default()
}

/// Asked by a person: paid, raised, held, approved.
async fn asked(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("The hot wallet pays")?;
    let used = stage.node().transaction_count(WALLET, BlockTag::Pending).await?;
    if used != 0 {
        return Err(SandboxError::Outcome(format!("nobody has asked the wallet, and it has sent {used} transactions")));
    }
    stage.tell(&format!(
        "rampwatch can send the money itself. All the while it had a wallet, {WALLET}, which is the sandbox's own; nobody \
         has asked, and it has sent nothing. Now a person asks for 120 USDC. Then the blocks become dear: a base fee of \
         {DEAR_GWEI} gwei, far more than was offered. The node forgets the transaction; rampwatch offers more, with the \
         same nonce.",
    ))?;
    funded(stage, SHOWN, usdc(120)).await?;
    on_its_way(stage, SHOWN).await?;
    let dear = Wei::from_gwei(DEAR_GWEI);
    stage.node().mine_at(dear, 1).await?;
    let raised =
        |order: &OrderView| order.has_sent(AttemptKind::Transfer) && order.offers().is_some_and(|cap| cap > dear);
    let order = stage.order_until(SHOWN, "raised", raised).await?;
    for attempt in &order.attempts {
        let (nonce, cap) = (attempt.nonce, &attempt.cap_gwei);
        stage.print(&format!("       nonce {nonce}, at most {cap} gwei: {}\n", attempt.tx_hash))?;
    }
    let tx_hash = only(&paid(stage, &[SHOWN]).await?);
    cases.push(Case::new("120 USDC by the wallet, fees raised", SHOWN, Expect::Completed(tx_hash)));

    stage.tell(
        "A deposit address that the token has blacklisted: a transfer to it would fail, so none is signed. The order is \
         held, and holds up no other: 60 000 USDC, more than may go without a second look, are approved and paid.",
    )?;
    let off_ramp = stage.opened("fund-held", usdc(130)).await?;
    stage.node().set_blacklisted(USDC, off_ramp.deposit_address, true).await?;
    stage.node().mine(1).await?;
    fund(stage, &off_ramp).await?;
    let held = |order: &OrderView| order.hold.as_deref() == Some("recipient-blacklisted");
    stage.order_until("fund-held", "held", held).await?;
    funded(stage, "fund-approved", usdc(60_000)).await?;
    let waits = |order: &OrderView| order.state == "awaiting-approval";
    let order = stage.order_until("fund-approved", "waiting for approval", waits).await?;
    stage.watcher.operator().approve(&order.id, "looked at the invoice").await?;
    on_its_way(stage, "fund-approved").await?;
    let tx_hash = only(&paid(stage, &["fund-approved"]).await?);
    cases.push(Case::new("60 000 USDC by the wallet, approved", "fund-approved", Expect::Completed(tx_hash)));

    stage.tell("The token takes the address off its blacklist; the order goes on by itself.")?;
    stage.order_until("fund-held", "still held", held).await?;
    stage.node().set_blacklisted(USDC, off_ramp.deposit_address, false).await?;
    stage.node().mine(1).await?;
    on_its_way(stage, "fund-held").await?;
    let tx_hash = only(&paid(stage, &["fund-held"]).await?);
    cases.push(Case::new("130 USDC by the wallet, held at first", "fund-held", Expect::Completed(tx_hash)));
    Ok(())
}

/// A transfer that is on its way is cancelled by a person; another is overtaken by kill -9.
async fn stopped(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("The hot wallet is stopped")?;
    stage.tell(
        "A person cancels a transfer that was sent and is not mined. Signed bytes never expire, so its nonce is used up by \
         a transaction that sends nothing from the wallet to itself; which of the two was mined, the chain says.",
    )?;
    funded(stage, "fund-cancelled", usdc(140)).await?;
    let order = on_its_way(stage, "fund-cancelled").await?;
    stage.watcher.operator().cancel(&order.id, "ordered twice by mistake").await?;
    let cancelling = |order: &OrderView| order.state == "cancelling" && order.has_sent(AttemptKind::SelfSend);
    stage.order_until("fund-cancelled", "cancelling", cancelling).await?;
    stage.mine_final().await?;
    let order = stage.order_until("fund-cancelled", "ended", |order| order.ending().is_some()).await?;
    let Some(OrderOutcome::SelfSent { tx_hash, .. }) = order.ending() else {
        return Err(SandboxError::Outcome(format!("order {} is not cancelled: {}", order.id, order.text)));
    };
    cases.push(Case::new("nothing: the order was cancelled", "fund-cancelled", Expect::NotSeen(*tx_hash)));

    stage.tell(
        "Another transfer is sent, and then rampwatch is killed (-9), and the node forgets everything that waits to be \
         mined. The signed bytes are in the store: the next start sends the same transaction again, and no other.",
    )?;
    funded(stage, "fund-killed", usdc(150)).await?;
    let before = on_its_way(stage, "fund-killed").await?;
    stage.watcher.kill().await?;
    stage.node().drop_all_transactions().await?;
    // However long the start takes: what was signed is to be seen again, and nothing raised.
    stage.watcher.set("RAMPWATCH__FUNDING__BUMP_AFTER", "60s")?;
    stage.watcher.start()?;
    stage.watcher.ready(LIMIT).await?;
    in_the_pool(stage).await?;
    let tx_hash = only(&paid(stage, &["fund-killed"]).await?);
    if before.attempts.iter().all(|attempt| attempt.tx_hash != tx_hash) {
        return Err(SandboxError::Outcome(format!("{tx_hash} is not what was signed before the kill")));
    }
    cases.push(Case::new("150 USDC by the wallet, killed meanwhile", "fund-killed", Expect::Completed(tx_hash)));
    Ok(())
}

/// Waits until something of the wallet waits to be mined.
async fn in_the_pool(stage: &Stage<'_>) -> Result<()> {
    let node = stage.node();
    let look = async {
        while !node.pool().await?.iter().any(|waiting| waiting.from == WALLET) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    let late = |_| SandboxError::TooLate { what: "the transfer sent again".to_owned(), seconds: LIMIT.as_secs() };
    tokio::time::timeout(LIMIT, look).await.map_err(late)?
}

/// The bank account whose payments are funded without being asked.
const PAYROLL: &str = "bank-payroll";

/// Without being asked: payments to an allowed bank account, and no others.
async fn by_itself(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("The hot wallet pays by itself")?;
    stage.tell(&format!(
        "rampwatch is started anew with the automatic mode, for one bank account: {PAYROLL}. Three off-ramps are opened; two \
         go to it, and are paid without being asked. The third goes elsewhere: whoever can open off-ramps must not be able \
         to drain the wallet.",
    ))?;
    stage.watcher.stop(LIMIT).await?;
    stage.watcher.set("RAMPWATCH__FUNDING__AUTO", "true")?;
    stage.watcher.set("RAMPWATCH__FUNDING__ALLOWED_BANK_ACCOUNTS__0", PAYROLL)?;
    stage.watcher.start()?;
    stage.watcher.ready(LIMIT).await?;
    let unusable = |error: crate::domain::payment::IdError| SandboxError::Invalid(error.to_string());
    let payroll = BankAccountId::new(PAYROLL).map_err(unusable)?;
    let elsewhere = BankAccountId::new("bank-elsewhere").map_err(unusable)?;
    for (name, amount, account) in
        [("not-for-auto", 160, &elsewhere), ("auto-1", 161, &payroll), ("auto-2", 162, &payroll)]
    {
        let more = NewOffRamp { bank_account: Some(account.clone()), ..NewOffRamp::default() };
        let off_ramp = stage.open(name, usdc(amount), more)?;
        stage.add(&off_ramp).await?;
    }
    on_its_way(stage, "auto-1").await?;
    on_its_way(stage, "auto-2").await?;
    let hashes = paid(stage, &["auto-1", "auto-2"]).await?;
    let left = id("not-for-auto")?;
    if let Some(order) = stage.watcher.operator().orders_of(&left).await?.first() {
        return Err(SandboxError::Outcome(format!("order {} must not be: {}", order.id, order.text)));
    }
    let sent = ["161 USDC by the wallet, by itself", "162 USDC by the wallet, by itself"];
    for ((name, sent), tx_hash) in ["auto-1", "auto-2"].into_iter().zip(sent).zip(hashes) {
        cases.push(Case::new(sent, name, Expect::Completed(tx_hash)));
    }
    cases.push(Case::new("nothing: the bank account is not listed", "not-for-auto", Expect::NotSeen(B256::ZERO)));
    Ok(())
}
