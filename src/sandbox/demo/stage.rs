//! What the demo plays on: the chain, the fake API, the watcher, and the voice that tells the story.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::report::short;
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::deposit::Verdict;
use crate::domain::payment::{PaymentId, RecipientId};
use crate::domain::time::{Span, Timestamp};
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::fake_api::{FakeApi, FakeApiOptions, NewOffRamp, OffRamp};
use crate::sandbox::{
    Anvil, AnvilOptions, Daemon, DaemonOptions, Mining, Node, PAYER, Receipt, Sandbox, USDC, WalletConfig,
    wallet_variable,
};
use crate::view::PaymentView;
use crate::view::order::OrderView;

/// How long anything in the story may take.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// How often a condition is looked at while it is waited for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How far back the chain begins, so that money can come before its off-ramp.
pub(super) const PAST: Span = Span::from_secs(480);

/// How many blocks make a block final: twice anvil's slots in an epoch, which are one here.
const FINAL_AFTER: u64 = 2;

/// What differs from the sandbox's configuration, so that the story is quick. After a lost answer the API is asked once
/// the call can no longer take effect: twice the first and a second.
const QUICK: [(&str, &str); 6] = [
    ("RAMPWATCH__API__TIMEOUT", "1s"),
    ("RAMPWATCH__API__CONNECT_TIMEOUT", "500ms"),
    ("RAMPWATCH__FUNDING__HOLD_CHECK", "500ms"),
    ("RAMPWATCH__FUNDING__BUMP_AFTER", "1500ms"),
    ("RAMPWATCH__FUNDING__REBROADCAST_AFTER", "1s"),
    ("RAMPWATCH__FUNDING__POLL_INTERVAL", "200ms"),
];

pub(super) struct Stage<'a> {
    sandbox: Sandbox,
    pub(super) watcher: Daemon,
    out: &'a mut (dyn Write + Send),
    act: u32,
}

/// Now, by the computer's clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Whole units of USDC.
pub(super) const fn usdc(units: u128) -> Amount {
    Amount::from_base_units(units.saturating_mul(1_000_000))
}

/// A payment's id. The demo's own names are all good ones.
pub(super) fn id(text: &str) -> Result<PaymentId> {
    PaymentId::new(text).map_err(|error| SandboxError::Invalid(error.to_string()))
}

impl<'a> Stage<'a> {
    /// Starts the chain and the fake API. The watcher is not started yet.
    pub(super) async fn set(program: PathBuf, folder: &Path, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        let options = AnvilOptions {
            mining: Mining::OnCommand,
            genesis_time: Some(now().minus(PAST)),
            ..AnvilOptions::default()
        };
        let anvil = Anvil::start(&options).await?;
        anvil.node().furnish().await?;
        let fake_api = FakeApi::start(FakeApiOptions::default()).await?;
        // Any bank account may be paid when a person asks, and none without being asked.
        let wallet = WalletConfig { allowed_bank_accounts: Vec::new(), ..WalletConfig::default() };
        let sandbox = Sandbox::of_parts_with(anvil, fake_api, folder, Some(wallet))?;
        let quick = QUICK.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let watcher = Daemon::new(DaemonOptions {
            program,
            config: sandbox.config_path(),
            log: folder.join("watcher.log"),
            overrides: quick.into_iter().chain(std::iter::once(wallet_variable())).collect(),
        })?;
        Ok(Self { sandbox, watcher, out, act: 0 })
    }

    pub(super) const fn node(&self) -> &Node {
        self.sandbox.anvil().node()
    }

    /// The fake payment API.
    pub(super) const fn fake_api(&self) -> &FakeApi {
        self.sandbox.fake_api()
    }

    /// Begins an act.
    pub(super) fn act(&mut self, title: &str) -> Result<()> {
        self.act = self.act.saturating_add(1);
        let title = format!("{}. {title}", self.act);
        self.print(&format!("\n{title}\n{}\n", "-".repeat(title.chars().count())))
    }

    /// Tells something, in lines that fit a terminal.
    pub(super) fn tell(&mut self, text: &str) -> Result<()> {
        let mut lines = String::new();
        let mut width = 0_usize;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && width.saturating_add(length) >= 100 {
                lines.push('\n');
                width = 0;
            }
            lines.push_str(if width == 0 { "   " } else { " " });
            lines.push_str(word);
            width = width.saturating_add(length).saturating_add(1);
        }
        lines.push('\n');
        self.print(&lines)
    }

    pub(super) fn print(&mut self, text: &str) -> Result<()> {
        let unwritable = |source| SandboxError::File { path: PathBuf::from("the output"), source };
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(unwritable)
    }

    /// Opens an off-ramp with the payment API.
    pub(super) fn open(&self, name: &str, amount: Amount, more: NewOffRamp) -> Result<OffRamp> {
        self.fake_api().open(NewOffRamp { id: Some(id(name)?), amount, ..more })
    }

    /// Tells the watcher of an off-ramp, over its operator API.
    pub(super) async fn add(&self, off_ramp: &OffRamp) -> Result<()> {
        self.watcher.operator().add(&off_ramp.id, &off_ramp.recipient_id).await.map(drop)
    }

    /// Opens an off-ramp and tells the watcher.
    pub(super) async fn opened(&self, name: &str, amount: Amount) -> Result<OffRamp> {
        let off_ramp = self.open(name, amount, NewOffRamp::default())?;
        self.add(&off_ramp).await?;
        Ok(off_ramp)
    }

    /// Tells the watcher of an off-ramp as a person would, with a command, and shows the command.
    pub(super) async fn add_by_command(&mut self, off_ramp: &OffRamp) -> Result<()> {
        let recipient: &RecipientId = &off_ramp.recipient_id;
        let arguments = ["add", off_ramp.id.as_str(), recipient.as_str()];
        self.print(&format!("     $ rampwatch {}\n", arguments.join(" ")))?;
        let output = self.watcher.run_command(&arguments).await?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(SandboxError::Daemon(format!("add ended with {}: {said}", output.status)))
    }

    /// Sends USDC from the payer. Not mined yet.
    pub(super) async fn send(&self, to: Address, amount: Amount) -> Result<B256> {
        self.node().transfer(USDC, PAYER, to, amount).await
    }

    /// Mines one block with what waits, and says where the transaction is.
    pub(super) async fn mine_with(&self, tx_hash: B256) -> Result<Receipt> {
        self.node().mine(1).await?;
        self.node().succeeded(tx_hash, LIMIT).await
    }

    /// Mines what waits, and as many blocks on top as make it final.
    pub(super) async fn mine_final(&self) -> Result<()> {
        self.node().mine(1).await?;
        self.node().mine(FINAL_AFTER).await
    }

    /// Waits until the fake API has completed these off-ramps.
    pub(super) async fn completed(&self, names: &[&str]) -> Result<()> {
        let ids = names.iter().map(|name| id(name)).collect::<Result<Vec<_>>>()?;
        let accepted = |fake_api: &FakeApi, id: &PaymentId| {
            fake_api.off_ramp(id).is_some_and(|off_ramp| off_ramp.tally.accepted > 0)
        };
        let what = format!("/complete for {}", names.join(", "));
        self.fake_api().wait_until(LIMIT, &what, |fake_api| ids.iter().all(|id| accepted(fake_api, id))).await
    }

    /// Waits until the watcher's payment fulfils a condition.
    pub(super) async fn payment_until(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&PaymentView) -> bool + Send + Sync,
    ) -> Result<PaymentView> {
        let id = id(name)?;
        let until = deadline(LIMIT);
        loop {
            let row = self.watcher.operator().payment(&id).await?;
            if condition(&row) {
                return Ok(row);
            }
            if Instant::now() >= until {
                let what = format!("payment {name} {what} (it is {})", row.state.name);
                return Err(SandboxError::TooLate { what, seconds: LIMIT.as_secs() });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until a payment's last order fulfils a condition, and says how it stands then.
    pub(super) async fn order_until(
        &mut self,
        name: &str,
        what: &str,
        condition: impl Fn(&OrderView) -> bool + Send + Sync,
    ) -> Result<OrderView> {
        let id = id(name)?;
        let until = deadline(LIMIT);
        loop {
            let last = self.watcher.operator().orders_of(&id).await?.pop();
            if let Some(order) = last.as_ref().filter(|order| condition(order)) {
                self.print(&format!("     order {}: {}\n", order.id, short(&order.text)))?;
                return Ok(order.clone());
            }
            if Instant::now() >= until {
                let is = last.map_or_else(|| "there is none".to_owned(), |order| format!("it is {}", order.text));
                let what = format!("the order of payment {name} {what} ({is})");
                return Err(SandboxError::TooLate { what, seconds: LIMIT.as_secs() });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the watcher knows a deposit of this transaction, and has judged it. It asks whether a block is
    /// final only while a payment waits for it, so other deposits are settled along with those.
    pub(super) async fn deposit_seen(&self, tx_hash: B256) -> Result<()> {
        let until = deadline(LIMIT);
        loop {
            let rows = self.watcher.operator().deposits().await?;
            if rows.iter().any(|row| row.tx_hash == tx_hash && row.verdict != Verdict::Unjudged) {
                return Ok(());
            }
            if Instant::now() >= until {
                let what = format!("a deposit of {tx_hash}");
                return Err(SandboxError::TooLate { what, seconds: LIMIT.as_secs() });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Ends everything, in order.
    pub(super) async fn clear(mut self, limit: Duration) -> Result<()> {
        let stopped = self.watcher.stop(limit).await;
        let cleared = self.sandbox.stop().await;
        stopped.and(cleared)
    }
}

/// A moment so much later.
fn deadline(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now)
}
