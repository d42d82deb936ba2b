//! One world: the true chain, endpoints that may lie about it, a payment API, and the attacked program.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::{BankAccountId, PaymentId, RecipientId};
use rampwatch::domain::time::Timestamp;
use rampwatch::sandbox::fake_api::{FakeApi, FakeApiOptions, NewOffRamp, OffRamp};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) mod chain;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod endpoint;
pub(crate) mod lies;
pub(crate) mod node;
pub(crate) mod program;
pub(crate) mod stranger;
pub(crate) mod within;

use chain::Chain;
use clock::Clock;
use config::{Setup, WALLET_KEY_ENV};
use endpoint::Endpoint;
use program::{Program, Reply};
use within::within;

use crate::kit::Kit;
use crate::row::{Stop, broken};

/// Within this, what has to happen happens: the deposit of a final block is completed, an order is paid.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// One whole unit of the token.
pub(crate) const UNIT: u128 = 1_000_000;

/// What the wallet has at first, in whole units.
const FUNDS: u128 = 5_000;

/// The key of the wallet, which everybody knows and nobody uses.
pub(crate) fn wallet_key() -> String {
    keccak256("the wallet of the attacks: play money on a scripted chain").to_string()
}

/// See the module. Dropping it ends everything in it.
pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) api: FakeApi,
    pub(crate) program: Program,
    pub(crate) wallet: Address,
    clock: Option<Clock>,
    known: Arc<BTreeSet<String>>,
    folder: TempDir,
}

impl World {
    /// Builds one; the program does not run yet.
    pub(crate) async fn new(kit: &Kit, setup: Setup) -> Result<Self, Stop> {
        let folder = kit.world_folder()?;
        let chain = Chain::start();
        let mut endpoints = Vec::new();
        for name in &setup.endpoints {
            endpoints.push(Endpoint::open(name, &chain).await?);
        }
        let api = FakeApi::start(FakeApiOptions::default()).await?;
        let key: PrivateKeySigner = wallet_key().parse().map_err(|error| Stop::Fault(format!("{error}")))?;
        let wallet = key.address();
        chain.endow(wallet, FUNDS * UNIT);
        let port = free_port()?;
        let mut environment = vec![
            ("RAMPWATCH_API_KEY".to_owned(), api.api_key().into()),
            (WALLET_KEY_ENV.to_owned(), wallet_key().into()),
        ];
        let clock = match setup.clock {
            true => Some(Clock::new(kit.clock_library().await?, folder.path())?),
            false => None,
        };
        let of_clock = clock.iter().flat_map(Clock::environment);
        environment.extend(of_clock.map(|(name, value)| (name.to_owned(), value)));
        environment.extend(setup.environment.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
        let program = Program::new(&kit.program, folder.path(), environment, port)?;
        let known = Arc::clone(&kit.known);
        let world = Self { chain, endpoints, api, program, wallet, clock, known, folder };
        world.configure(&setup)?;
        Ok(world)
    }

    /// Writes the configuration that the next start will find.
    pub(crate) fn configure(&self, setup: &Setup) -> Result<(), Stop> {
        let urls: Vec<(String, String)> =
            self.endpoints.iter().map(|one| (one.name.clone(), one.url.clone())).collect();
        let port = self.program.address().port();
        let text = config::text(setup, &self.known, &urls, &self.api.base_url(), self.folder(), port);
        Ok(std::fs::write(self.folder().join("config.toml"), text)?)
    }

    /// Ends the program, and starts it with another configuration.
    pub(crate) async fn restart(&mut self, setup: &Setup) -> Result<(), Stop> {
        self.program.stop().await?;
        self.configure(setup)?;
        self.program.start().await
    }

    /// The same, and the program runs.
    pub(crate) async fn started(kit: &Kit, setup: Setup) -> Result<Self, Stop> {
        let mut world = Self::new(kit, setup).await?;
        world.program.start().await?;
        Ok(world)
    }

    /// The endpoint that is configured first.
    pub(crate) fn first(&self) -> &Endpoint {
        &self.endpoints[0]
    }

    /// Every endpoint says the truth from now on.
    pub(crate) fn be_honest(&self) {
        self.endpoints.iter().for_each(Endpoint::be_honest);
    }

    /// Sets the program's clock, and nothing else, ahead.
    pub(crate) fn set_clock_ahead(&self, seconds: u64) -> Result<(), Stop> {
        let clock = self.clock.as_ref().ok_or_else(|| Stop::Fault("this world has no clock to set".to_owned()))?;
        clock.set_ahead(seconds)
    }

    /// The program's files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens an off-ramp of so many whole units at the API, an hour long.
    pub(crate) fn open(&self, id: &str, units: u128) -> Result<OffRamp, Stop> {
        self.open_as(NewOffRamp { id: Some(payment_id(id)?), amount: amount(units), ..NewOffRamp::default() })
    }

    /// The same for one recipient.
    pub(crate) fn open_of(&self, id: &str, units: u128, recipient: &str) -> Result<OffRamp, Stop> {
        let recipient_id = Some(recipient_id(recipient)?);
        self.open_as(NewOffRamp {
            id: Some(payment_id(id)?),
            amount: amount(units),
            recipient_id,
            ..NewOffRamp::default()
        })
    }

    /// The same for one bank account, and if it matters, with this recipient and deposit address.
    pub(crate) fn open_at(
        &self,
        id: &str,
        units: u128,
        bank_account: &str,
        whose: Option<(&str, Address)>,
    ) -> Result<OffRamp, Stop> {
        let bank_account = BankAccountId::new(bank_account).map_err(|error| Stop::Fault(error.to_string()))?;
        let recipient_id = whose.map(|(recipient, _)| recipient_id(recipient)).transpose()?;
        self.open_as(NewOffRamp {
            id: Some(payment_id(id)?),
            amount: amount(units),
            bank_account: Some(bank_account),
            recipient_id,
            deposit_address: whose.map(|(_, address)| address),
            ..NewOffRamp::default()
        })
    }

    /// Opens an off-ramp as described.
    pub(crate) fn open_as(&self, new: NewOffRamp) -> Result<OffRamp, Stop> {
        Ok(self.api.open(new)?)
    }

    /// Tells the program of an off-ramp.
    pub(crate) async fn add(&self, off_ramp: &OffRamp) -> Result<(), Stop> {
        let body = json!({ "id": off_ramp.id, "recipient_id": off_ramp.recipient_id });
        self.program.insist("/v1/payments", body, Duration::from_secs(10)).await?.done("adding a payment").map(|_| ())
    }

    /// Opens an off-ramp, and tells the program of it.
    pub(crate) async fn opened(&self, id: &str, units: u128) -> Result<OffRamp, Stop> {
        let off_ramp = self.open(id, units)?;
        self.add(&off_ramp).await?;
        Ok(off_ramp)
    }

    /// Asks for an off-ramp to be funded by the wallet, once.
    pub(crate) async fn try_fund(&self, off_ramp: &OffRamp) -> Result<Reply, Stop> {
        self.program.request("/v1/orders", order_for(off_ramp)).await
    }

    /// The same, where it must not be refused, but for a moment after a start. Gives the order.
    pub(crate) async fn fund(&self, off_ramp: &OffRamp) -> Result<Value, Stop> {
        let order = self.program.insist("/v1/orders", order_for(off_ramp), Duration::from_secs(20)).await?;
        order.done("funding a payment")
    }

    /// A stranger pays an off-ramp exactly.
    pub(crate) fn pay(&self, off_ramp: &OffRamp) -> B256 {
        self.chain.pay(off_ramp.deposit_address, off_ramp.amount.base_units())
    }

    /// The off-ramp as the API has it now.
    pub(crate) fn at_api(&self, off_ramp: &OffRamp) -> Result<OffRamp, Stop> {
        let found = self.api.off_ramp(&off_ramp.id);
        found.ok_or_else(|| Stop::Fault(format!("the API has no payment {}", off_ramp.id)))
    }

    /// Whether the program has completed the off-ramp. With another transaction than the last that has really paid it, the
    /// row is broken.
    pub(crate) fn is_completed(&self, off_ramp: &OffRamp) -> Result<bool, Stop> {
        let now = self.at_api(off_ramp)?;
        if now.tally.accepted == 0 {
            return Ok(false);
        }
        let paid = self.chain.paid_to(off_ramp.deposit_address).map(|hash| hash.to_string());
        let named = now.transaction_hash.unwrap_or_default();
        if paid.as_ref().is_none_or(|paid| !paid.eq_ignore_ascii_case(&named)) {
            return broken(format!("{} was completed with {named}, which has paid nothing", off_ramp.id));
        }
        Ok(true)
    }

    /// Waits until the program has completed the off-ramp; after `when`, for the words. What it says in vain is in the words.
    pub(crate) async fn completes(&mut self, off_ramp: &OffRamp, when: &str) -> Result<(), Stop> {
        let mut said = Ok(false);
        let limit = SOON;
        let mut ready = 0_u32;
        let mut looks = 0_u32;
        let done = within(limit, async || {
            said = self.program.still_runs().and_then(|()| self.is_completed(off_ramp));
            looks += 1;
            ready += u32::from(self.program.readiness().await.0);
            !matches!(said, Ok(false))
        });
        let done = done.await;
        said?;
        self.no_fault()?;
        if done {
            return Ok(());
        }
        let (_, body) = self.program.readiness().await;
        let state = self.program.show(&format!("/v1/payments/{}", off_ramp.id)).await?;
        let state = state["state"]["text"].as_str().unwrap_or_default().to_owned();
        broken(format!(
            "{} was paid and not completed within {} s {when} (\"{state}\"); /readyz said ready {ready} times of {looks}, last {body}",
            off_ramp.id,
            limit.as_secs()
        ))
    }

    /// How many whole units have left the wallet, and in how many transfers.
    pub(crate) fn left_the_wallet(&self) -> (usize, u128) {
        let sent = self.chain.sent_by(self.wallet);
        (sent.len(), sent.iter().map(|(_, moved)| moved.amount).sum::<u128>() / UNIT)
    }

    /// The most whole units that have left the wallet within any 24 hours of block time.
    pub(crate) fn most_in_a_day(&self) -> u128 {
        let sent = self.chain.sent_by(self.wallet);
        let from = |since: u64| {
            let day = sent.iter().filter(|(time, _)| (since..since + 86_400).contains(time));
            day.map(|(_, moved)| moved.amount).sum::<u128>() / UNIT
        };
        sent.iter().map(|(time, _)| from(*time)).max().unwrap_or_default()
    }

    /// The orders of an off-ramp.
    pub(crate) async fn orders(&self, off_ramp: &OffRamp) -> Result<Vec<Value>, Stop> {
        let page = self.program.show(&format!("/v1/orders?limit=100&payment={}", off_ramp.id)).await?;
        let items = page["items"].as_array().cloned();
        items.ok_or_else(|| Stop::Fault(format!("a page of orders has no items: {page}")))
    }

    /// What counts as spent, in whole units.
    pub(crate) async fn spent(&self) -> Result<String, Stop> {
        let wallet = self.program.show("/v1/wallet").await?;
        let spent = wallet["spent"]["decimal"].as_str().map(str::to_owned);
        spent.ok_or_else(|| Stop::Fault(format!("the wallet does not tell what is spent: {wallet}")))
    }

    /// That the suite was up to it: no method was asked for that its nodes do not have.
    pub(crate) fn no_fault(&self) -> Result<(), Stop> {
        let lacking: Vec<String> = self.endpoints.iter().flat_map(Endpoint::lacking).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(Stop::Fault(format!("the suite's nodes do not have {}", lacking.join(", "))))
    }

    /// Lets some time go by. The program must be running all along.
    pub(crate) async fn watch(&mut self, seconds: u64) -> Result<(), Stop> {
        let mut said = Ok(());
        within(Duration::from_secs(seconds), async || {
            said = self.program.still_runs();
            said.is_err()
        })
        .await;
        self.no_fault()?;
        said
    }
}

/// The wish to fund an off-ramp.
fn order_for(off_ramp: &OffRamp) -> Value {
    let to = off_ramp.deposit_address.to_checksum(None);
    json!({ "payment": off_ramp.id, "to": to, "base_units": off_ramp.amount })
}

/// A payment's id.
pub(crate) fn payment_id(id: &str) -> Result<PaymentId, Stop> {
    PaymentId::new(id).map_err(|error| Stop::Fault(error.to_string()))
}

/// A recipient's id.
pub(crate) fn recipient_id(id: &str) -> Result<RecipientId, Stop> {
    RecipientId::new(id).map_err(|error| Stop::Fault(error.to_string()))
}

/// So many whole units.
pub(crate) const fn amount(units: u128) -> Amount {
    Amount::from_base_units(units * UNIT)
}

/// A moment, in seconds since 1970.
pub(crate) const fn moment(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// A port that nobody listens at, below those that systems give to connections: what is free there stays free, since no two
/// worlds are given the same one.
fn free_port() -> Result<u16, Stop> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    for _ in 0..COUNT {
        let nth = TAKEN.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(97));
        let port = u16::try_from(FIRST + nth % COUNT).unwrap_or(u16::MAX);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Stop::Fault("no port is free".to_owned()))
}
