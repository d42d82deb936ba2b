//! What happens in the demo, act by act, and what must come of it.

use super::funding;
use super::report::{Case, Expect};
use super::stage::{LIMIT, PAST, Stage, now, usdc};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::time::Span;
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::fake_api::{Call, Fault, FaultRule, NewOffRamp, OffRamp, When};
use crate::sandbox::token::{Authorization, BatchItem, TokenSpec};
use crate::sandbox::{DEV_ACCOUNTS, FAKE_USDC, PAYER, RELAYER, USDC, USDC_E};

/// Plays all acts. Returns what must have come of each piece of money.
pub(super) async fn all(stage: &mut Stage<'_>) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    curtain_up(stage, &mut cases).await?;
    right_money(stage, &mut cases).await?;
    lost_answer(stage, &mut cases).await?;
    wrong_money(stage, &mut cases).await?;
    wrong_amounts(stage, &mut cases).await?;
    reorg(stage, &mut cases).await?;
    killed(stage, &mut cases).await?;
    funding::all(stage, &mut cases).await?;
    Ok(cases)
}

/// An address that nobody has the key of.
fn address_of(name: &str) -> Address {
    Address::from_word(alloy::primitives::keccak256(format!("rampwatch demo: {name}")))
}

/// The chain begins some minutes ago, and money is there before rampwatch is.
async fn curtain_up(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("A chain, a payment API, and a watcher")?;
    stage.tell(
        "Here run a real chain node (anvil, with a test USDC at the real token's address) and a fake API for the payment \
         API. Nothing in it is real money. An off-ramp names an amount and a deposit address; once the money is there and \
         final, somebody has to tell the API the transaction's hash (/complete). rampwatch is that somebody.",
    )?;
    stage.tell("Money can be there before rampwatch is. Two transfers are made some minutes in the past:")?;
    stage.tell("- one to an off-ramp that is open already, which rampwatch is told of only later;")?;
    stage.tell("- one to an address whose off-ramp is opened only minutes after the money came.")?;
    let node = stage.node().clone();
    let (told_late, early) = (address_of("told-late"), address_of("early"));
    let told_late_tx = stage.send(told_late, usdc(80)).await?;
    let early_tx = stage.send(early, usdc(90)).await?;
    stage.mine_with(told_late_tx).await?;
    // The chain's clock catches up with the world's.
    node.set_clock(now()).await?;
    node.mine(3).await?;
    let before_the_money = now().minus(PAST).minus(Span::from_secs(60));
    let opened_before = NewOffRamp {
        deposit_address: Some(told_late),
        created_at: Some(before_the_money),
        expires_at: Some(now().plus(Span::from_secs(3_600))),
        ..NewOffRamp::default()
    };
    let told_late = stage.open("told-late", usdc(80), opened_before)?;
    let early = stage.open("early", usdc(90), NewOffRamp { deposit_address: Some(early), ..NewOffRamp::default() })?;
    stage.tell("Now the watcher is started, and told of both off-ramps; the first time with a command:")?;
    stage.watcher.start()?;
    stage.watcher.ready(LIMIT).await?;
    stage.add_by_command(&told_late).await?;
    stage.add(&early).await?;
    stage.completed(&["told-late"]).await?;
    stage.tell(
        "It read the chain back to the off-ramps' creation, found both, and completed the one that is in order.",
    )?;
    cases.push(Case::new("80 USDC, sent before rampwatch was told", "told-late", Expect::Completed(told_late_tx)));
    cases.push(Case::new("90 USDC, sent before its off-ramp was opened", "early", Expect::Review(early_tx, "early")));
    Ok(())
}

/// Money as it should be, in every way in which it may come.
async fn right_money(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("The right money, three ways")?;
    stage.tell("A plain transfer of exactly the amount.")?;
    let exact = stage.opened("exact", usdc(25)).await?;
    let exact_tx = stage.send(exact.deposit_address, exact.amount).await?;
    stage.mine_final().await?;
    cases.push(Case::new("25 USDC, exactly", "exact", Expect::Completed(exact_tx)));

    stage.tell(
        "Five off-ramps paid in one single transaction, as a treasury does it: one hash completes five payments.",
    )?;
    let mut batch: Vec<OffRamp> = Vec::new();
    for (name, units) in BATCH.into_iter().zip(101..) {
        batch.push(stage.opened(name, usdc(units)).await?);
    }
    let item = |off_ramp: &OffRamp| BatchItem { token: USDC, to: off_ramp.deposit_address, amount: off_ramp.amount };
    let items: Vec<BatchItem> = batch.iter().map(item).collect();
    let batch_tx = stage.node().batch(PAYER, &items).await?;
    stage.mine_final().await?;
    for name in BATCH {
        cases.push(Case::new("a fifth of one transaction", name, Expect::Completed(batch_tx)));
    }

    stage.tell(
        "A signed authorisation (EIP-3009) that somebody else sends: the transaction's sender is not whose money it is.",
    )?;
    let relayed = stage.opened("relayed", usdc(40)).await?;
    let nonce = B256::with_last_byte(1);
    let allowed = Authorization::any_time(USDC, PAYER, relayed.deposit_address, relayed.amount, nonce);
    let signed = stage.node().authorize(&TokenSpec::usdc(), allowed).await?;
    let relayed_tx = stage.node().transfer_with_authorization(RELAYER, &signed).await?;
    stage.mine_final().await?;
    cases.push(Case::new("40 USDC, sent by a relayer", "relayed", Expect::Completed(relayed_tx)));
    stage.completed(&["exact", "relayed"]).await?;
    stage.completed(&BATCH).await?;
    stage.tell("All seven are completed, each once.")
}

/// The payments of the batch.
const BATCH: [&str; 5] = ["batch-1", "batch-2", "batch-3", "batch-4", "batch-5"];

/// The answer to `/complete` never comes, although the payment was completed.
async fn lost_answer(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("An answer that is lost")?;
    stage.tell(
        "The API completes the payment, and the connection breaks before its answer arrives. Was it completed or not? A \
         second call could pay twice. So rampwatch waits until the first call can have no more effect, and then asks.",
    )?;
    let off_ramp = stage.opened("answer-lost", usdc(60)).await?;
    stage.fake_api().add_fault(FaultRule {
        call: Call::Complete,
        payment: Some(off_ramp.id.clone()),
        when: When::Next(1),
        fault: Fault::answer_lost(),
    })?;
    let tx_hash = stage.send(off_ramp.deposit_address, off_ramp.amount).await?;
    stage.mine_final().await?;
    stage.completed(&["answer-lost"]).await?;
    let unclear = stage.payment_until("answer-lost", "unclear", |row| row.state.name == "unclear").await?;
    stage.tell(&format!("rampwatch says: \"{}\"", unclear.state.text))?;
    cases.push(Case::new("60 USDC, the API's answer lost", "answer-lost", Expect::Completed(tx_hash)));
    Ok(())
}

/// Money that is not what it looks like.
async fn wrong_money(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("Money that is not what it looks like")?;
    stage.tell("A transfer of zero, which anybody can make in anybody's name (address poisoning).")?;
    let node = stage.node().clone();
    let poisoned = stage.opened("poisoned", usdc(30)).await?;
    let poison_tx = node.transfer_from(USDC, DEV_ACCOUNTS[5], PAYER, poisoned.deposit_address, Amount::ZERO).await?;
    stage.tell(
        "The right amount of a token that calls itself USDC and is not, and of USDC.e, the older bridged token.",
    )?;
    let fake = stage.opened("fake-token", usdc(31)).await?;
    let fake_tx = node.transfer(FAKE_USDC, PAYER, fake.deposit_address, fake.amount).await?;
    let bridged = stage.opened("usdc-e", usdc(32)).await?;
    let bridged_tx = node.transfer(USDC_E, PAYER, bridged.deposit_address, bridged.amount).await?;
    stage.mine_final().await?;
    stage.deposit_seen(poison_tx).await?;
    stage.deposit_seen(bridged_tx).await?;
    cases.push(Case::new("0 USDC (poisoning)", "poisoned", Expect::Nothing(poison_tx, "zero_value")));
    cases.push(Case::new("31 of a fake USDC", "fake-token", Expect::NotSeen(fake_tx)));
    cases.push(Case::new("32 USDC.e", "usdc-e", Expect::Review(bridged_tx, "wrong_token")));
    stage.tell("None of them completes anything.")
}

/// Too little, too much, twice, for either of two, and too late.
async fn wrong_amounts(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("Money that does not fit")?;
    stage.tell("Too little; too much; and the right amount twice, of which only the first can be meant.")?;
    let under = stage.opened("too-little", usdc(50)).await?;
    let over = stage.opened("too-much", usdc(51)).await?;
    let twice = stage.opened("twice", usdc(52)).await?;
    let under_tx = stage.send(under.deposit_address, usdc(49)).await?;
    let over_tx = stage.send(over.deposit_address, usdc(510)).await?;
    let first_tx = stage.send(twice.deposit_address, twice.amount).await?;
    let second_tx = stage.send(twice.deposit_address, twice.amount).await?;

    stage.tell("The right amount for two off-ramps that share an address: which of the two is paid?")?;
    let either = stage.opened("either", usdc(70)).await?;
    let shared = NewOffRamp { deposit_address: Some(either.deposit_address), ..NewOffRamp::default() };
    let other = stage.open("or-the-other", usdc(70), shared)?;
    stage.add(&other).await?;
    let either_tx = stage.send(either.deposit_address, either.amount).await?;

    stage.tell("And money for an off-ramp that ran out five minutes ago.")?;
    let minutes_ago = |minutes: u64| Some(now().minus(Span::from_secs(minutes.saturating_mul(60))));
    let ran_out = NewOffRamp { created_at: minutes_ago(30), expires_at: minutes_ago(5), ..NewOffRamp::default() };
    let late = stage.open("too-late", usdc(55), ran_out)?;
    stage.add(&late).await?;
    stage.payment_until("too-late", "ended", |row| row.state.name == "ended").await?;
    let late_tx = stage.send(late.deposit_address, late.amount).await?;
    stage.mine_final().await?;
    for tx_hash in [under_tx, over_tx, second_tx, either_tx, late_tx] {
        stage.deposit_seen(tx_hash).await?;
    }
    stage.completed(&["twice"]).await?;
    cases.push(Case::new("49 USDC instead of 50", "too-little", Expect::Review(under_tx, "under")));
    cases.push(Case::new("510 USDC instead of 51", "too-much", Expect::Review(over_tx, "over")));
    cases.push(Case::new("52 USDC", "twice", Expect::Completed(first_tx)));
    cases.push(Case::new("the same 52 USDC again", "twice", Expect::AlsoReview(second_tx, "second_deposit")));
    cases.push(Case::new("70 USDC for one of two", "either", Expect::Review(either_tx, "ambiguous")));
    cases.push(Case::new("(the other of the two)", "or-the-other", Expect::Review(either_tx, "ambiguous")));
    cases.push(Case::new("55 USDC, after it ran out", "too-late", Expect::AfterTheEnd(late_tx, "late")));
    stage.tell("rampwatch guesses nothing: each of these is kept, with the reason and with what would settle it.")
}

/// A block that holds a deposit goes away, and the transaction comes back elsewhere.
async fn reorg(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("A block goes away")?;
    let off_ramp = stage.opened("reorged", usdc(65)).await?;
    let tx_hash = stage.send(off_ramp.deposit_address, off_ramp.amount).await?;
    let first = stage.mine_with(tx_hash).await?;
    stage.payment_until("reorged", "seen", |row| row.state.name == "seen").await?;
    stage.tell(&format!(
        "65 USDC are in block {}, which is not final: rampwatch has seen them, and waits. Then the chain drops that \
         block, and the money with it.",
        first.block.number
    ))?;
    let reorg = stage.node().reorg_dropping_all(1).await?;
    stage.node().mine(2).await?;
    stage.payment_until("reorged", "waiting again", |row| row.state.name == "waiting").await?;
    stage.tell(
        "rampwatch takes the deposit back: no money, no completion. Some blocks later the transaction is mined again.",
    )?;
    let missing = || SandboxError::Transaction { tx_hash, why: "the reorg did not drop it".to_owned() };
    let raw = reorg.dropped.get(&tx_hash).ok_or_else(missing)?;
    stage.node().send_raw(raw).await?;
    let again = stage.mine_with(tx_hash).await?;
    stage.node().mine(2).await?;
    stage.completed(&["reorged"]).await?;
    stage.tell(&format!("It is in block {} now, final, and completed.", again.block.number))?;
    cases.push(Case::new("65 USDC, in a block that went away", "reorged", Expect::Gone(first.block.hash, tx_hash)));
    cases.push(Case::new("the same 65 USDC, mined again", "reorged", Expect::Completed(tx_hash)));
    Ok(())
}

/// The watcher is killed, and money comes while it is down.
async fn killed(stage: &mut Stage<'_>, cases: &mut Vec<Case>) -> Result<()> {
    stage.act("The watcher is killed")?;
    let seen = stage.opened("killed-after-seen", usdc(75)).await?;
    let down = stage.opened("came-while-down", usdc(76)).await?;
    let seen_tx = stage.send(seen.deposit_address, seen.amount).await?;
    stage.mine_with(seen_tx).await?;
    stage.payment_until("killed-after-seen", "seen", |row| row.state.name == "seen").await?;
    stage.tell("One deposit has been seen and is not final. Now kill -9: no goodbye, nothing is tidied up.")?;
    stage.watcher.kill().await?;
    let down_tx = stage.send(down.deposit_address, down.amount).await?;
    stage.mine_final().await?;
    stage.node().mine(3).await?;
    stage.tell(
        "While it is down, the first deposit becomes final and a second one arrives. Then it is started again.",
    )?;
    stage.watcher.start()?;
    stage.watcher.ready(LIMIT).await?;
    stage.completed(&["killed-after-seen", "came-while-down"]).await?;
    stage.tell("It went on where it had stopped, and found what it had missed.")?;
    cases.push(Case::new("75 USDC, watcher killed before final", "killed-after-seen", Expect::Completed(seen_tx)));
    cases.push(Case::new("76 USDC, sent while it was down", "came-while-down", Expect::Completed(down_tx)));
    Ok(())
}

/// Waits until every payment that is to be completed is, at the API and in the watcher's books.
pub(super) async fn settle(stage: &mut Stage<'_>, cases: &[Case]) -> Result<()> {
    stage.act("The end")?;
    stage.tell("rampwatch asks after every completed payment until the API says COMPLETED.")?;
    for case in cases.iter().filter(|case| matches!(case.expect, Expect::Completed(_))) {
        stage.payment_until(case.payment, "ended", |row| row.state.name == "ended").await?;
    }
    Ok(())
}
