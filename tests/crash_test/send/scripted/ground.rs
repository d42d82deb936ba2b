//! Where cases happen: a chain, a fake API API and a store's folder of one worker's own, used for one case after the
//! other, so that nonces and what is spent add up over many deaths.

use std::path::PathBuf;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::fake_api::{FakeApi, FakeApiOptions, NewOffRamp, OffRamp};
use rampwatch::sandbox::{Anvil, AnvilOptions, Node, SandboxError, USDC, WALLET};
use tempfile::TempDir;

use super::child::Orders;
use super::points::Death;

/// The base fee that a case begins with.
const QUIET_GWEI: u64 = 1;

/// See the module.
pub(crate) struct Ground {
    anvil: Anvil,
    pub(crate) api: FakeApi,
    folder: TempDir,
    /// How many cases were begun here.
    pub(crate) cases: u32,
    /// What the wallet had at first.
    pub(crate) had: Amount,
    /// Traces so far.
    traces: u32,
}

impl Ground {
    /// A fresh one.
    pub(crate) async fn new() -> Result<Self, SandboxError> {
        let anvil = Anvil::start(&AnvilOptions::default()).await?;
        anvil.node().furnish().await?;
        let api = FakeApi::start(FakeApiOptions::default()).await?;
        let folder = tempfile::Builder::new().prefix("rampwatch-send-crash-").tempdir().unwrap();
        let had = anvil.node().balance(USDC, WALLET).await?;
        Ok(Self { anvil, api, folder, cases: 0, had, traces: 0 })
    }

    /// The chain.
    pub(crate) fn node(&self) -> &Node {
        self.anvil.node()
    }

    /// The store's folder.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the children said.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("children.log")
    }

    /// Opens the off-ramp of the next case. It lives long, though the chain's clock may be hours ahead.
    pub(crate) async fn next_case(&mut self) -> Result<OffRamp, SandboxError> {
        self.cases += 1;
        self.node().set_next_base_fee(Wei::from_gwei(QUIET_GWEI)).await?;
        self.node().mine(1).await?;
        self.node().set_next_base_fee(Wei::from_gwei(QUIET_GWEI)).await?;
        self.api.open(NewOffRamp {
            id: Some(PaymentId::new(format!("case-{}", self.cases)).unwrap()),
            amount: Amount::from_base_units(10_000_000 + u128::from(self.cases)),
            expires_at: Some(Timestamp::from_secs(4_000_000_000)),
            ..NewOffRamp::default()
        })
    }

    /// What a child here is to know.
    pub(crate) fn orders(&mut self, death: Option<Death>) -> Orders {
        self.traces += 1;
        Orders {
            node: self.node().http_url().to_string(),
            api: self.api.base_url(),
            api_key: self.api.api_key().to_owned(),
            store: self.store(),
            trace: self.folder.path().join(format!("trace-{}", self.traces)),
            death,
        }
    }

    /// Keeps the folder, for somebody to look at.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}
