//! The composition root: the one room that names ports and adapters together, and starts and stops them.
//!
//! Deliberately absent: decisions. It translates settings into each part's own, and hands the parts to each other.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::adapters::attachments::{AttachmentFiles, AttachmentSettings};
use crate::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmError, EvmSettings, KnownToken, SideReport};
use crate::adapters::notify_http::NotifyHttpError;
use crate::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use crate::adapters::shadow::{ShadowApi, ShadowSender, ShadowSigner};
use crate::adapters::signer::{self, KeyOrigin, LocalSigner, SignerSettings};
use crate::adapters::sled::{self, SledStore, StoreOpenError};
use crate::adapters::system::{SystemChance, SystemClock, SystemEntropy};
use crate::config::{self, ConfigError, Settings, WalletKey};
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::operator::KnownEndpoint;
use crate::domain::wei::Wei;
use crate::engine::health::Health;
use crate::engine::notifier::{self, NotifierSetup};
use crate::engine::{EngineSettings, FundingPorts, PayoutPorts, Ports};
use crate::http::socket::{self, SocketError};
use crate::outbound::{Outbound, OutboundError};
use crate::policy::approval::Approvers;
use crate::ports::clock::Clock;
use crate::ports::off_ramp_api::OffRampApi;
use crate::ports::payment_api::PaymentApi;
use crate::ports::sender::Sender as _;
use crate::ports::signer::Signer;
use crate::service::operator_service::OperatorService;
use crate::view::TokenName;

mod audit;
mod doctor;
mod doors;
mod memory;
mod notify;
mod plausibility;
mod rules;
mod serve;
mod store;

pub use self::audit::auditor;
pub use self::doctor::{Examined, Finding, Grade, examine, judge_webhook};
pub use self::doors::BEYOND_API;
pub use self::memory::close_memory;
pub use self::notify::notify_test;
pub use self::rules::engine_settings;
pub use self::serve::{DaemonError, check_wallet, serve, until};
pub use self::store::{
    BackupError, BackupHeader, StoreCheck, StoreFinding, back_up_store, check_store, restore_store, verify_backup,
};
pub use crate::adapters::signer::KeystoreError;

use self::rules::funding_rules;

/// A program that is put together and not started.
pub struct App {
    pub handle: OperatorService,
    /// The address of the hot wallet, from its key; `None` when there is no wallet.
    pub wallet: Option<Address>,
    ports: Ports,
    settings: Arc<EngineSettings>,
    health: Arc<Health>,
    telling: Option<NotifierSetup>,
}

impl App {
    /// Runs the engine until `stop` is cancelled.
    ///
    /// # Errors
    /// When the store fails, or the chain is not the configured one.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        Ok(notifier::run_beside(self.ports, self.settings, self.health, self.telling, stop).await?)
    }
}

/// What the configuration calls the tokens.
#[must_use]
pub fn token_names(settings: &Settings) -> Vec<TokenName> {
    let name = |token: &config::Token| TokenName {
        address: token.address,
        symbol: token.symbol.clone(),
        decimals: token.decimals,
    };
    settings.chain.tokens().map(name).collect()
}

/// Puts everything together: checks the nodes, reads the API key, opens the store.
///
/// # Errors
/// When one of these fails; the message says which setting to look at.
pub async fn build(settings: &Settings) -> anyhow::Result<App> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let api = payment_api(settings, clock.clone())?;
    settings.refuse_mixed_rehearsal()?;
    // Who is told is read before anything is opened, so that a mistake there ends it at once.
    let notifiers = notify::notifiers(settings)?;
    let chain = chain(settings)?;
    // The store is opened before the nodes are asked, so that a second process ends at once and quietly.
    let store = Arc::new(open_store(settings)?);
    let signer = signer(settings).await?;
    let wallet = signer.as_ref().map(|signer| signer.address());
    chain.check().await?;
    let chain = Arc::new(chain);
    let funding = signer.map(|signer| funding_ports(settings, chain.clone(), signer));
    let payouts = Some(payout_ports(settings));
    let (chance, off_ramp_api) = (Arc::new(SystemChance), Some(api.off_ramps));
    let ports = Ports { store, chain, api: api.payments, off_ramp_api, clock, chance, funding, payouts };
    let engine_settings = Arc::new(engine_settings(settings));
    let telling = notify::telling(settings, notifiers, &ports.store, &engine_settings);
    let health = Arc::new(Health::default());
    if settings.chain.id != config::SANDBOX_CHAIN_ID {
        health.update(|health| health.agreement = doctor::operators(settings));
    }
    let handle =
        OperatorService::new(&ports, engine_settings.clone(), health.clone()).with_approvers(approvers(settings));
    let handle = handle.with_public_url(settings.webhook.public_url.clone());
    Ok(App { handle, wallet, ports, settings: engine_settings, health, telling })
}

/// What [`check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What is right, in words.
    pub found: Vec<String>,
    /// The address of the hot wallet, from its key; `None` when there is no wallet.
    pub wallet: Option<Address>,
    /// How each URL of each endpoint did.
    pub sides: Vec<SideReport>,
}

/// What to do about a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    Make,
    /// Say so: whoever only reads, or decides about what is there, must not leave an empty store behind.
    Refuse,
}

/// Checks what the settings say against the nodes, whether the API key can be read and the wallet opened, and whether
/// the store can be kept where it should be. Starts nothing, writes nothing. An endpoint that cannot be reached is no
/// error while another can.
///
/// # Errors
/// The first thing that is wrong.
pub async fn check(settings: &Settings) -> anyhow::Result<Checked> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    payment_api(settings, clock)?;
    let mut found = vec![format!("the API key is there; it goes to {}", settings.api.base_url)];
    settings.refuse_mixed_rehearsal()?;
    for endpoint in notify::notifiers(settings)? {
        found.push(format!(
            "people are told at {:?}; `rampwatch notify test` shows whether that works",
            endpoint.name()
        ));
    }
    let wallet = signer(settings).await?.map(|signer| signer.address());
    if let Some(wallet) = wallet {
        found.push(format!("the wallet's key is that of {wallet}"));
    }
    SledStore::check_place(&settings.store.path)?;
    found.push(format!("the store can be kept at {}", settings.store.path.display()));
    let socket = &settings.http.socket;
    socket::check_place(socket, &settings.store.path)?;
    found.push(format!("commands find the daemon at {}", socket.display()));
    let evm = chain(settings)?;
    let sides = evm.check().await?;
    // `run` goes on without an endpoint of another chain; whoever checks the configuration is to correct it.
    evm.other_chain(&sides).map_or(Ok(()), Err)?;
    found.push(format!("the nodes say chain {}", settings.chain.id));
    if settings.chain.id != config::SANDBOX_CHAIN_ID {
        found.push(doctor::operators(settings));
        found.extend(doctor::auto_unlimited(settings));
    }
    for token in settings.chain.tokens() {
        found.push(format!("{} at {} has {} decimals", token.symbol, token.address, token.decimals));
    }
    Ok(Checked { found, wallet, sides })
}

/// A handle on the store alone, for when no daemon runs. With an API key at hand, the API can be asked too.
///
/// # Errors
/// When the store cannot be opened: another process has it, it cannot be read, or it is missing and not to be made.
pub fn offline(settings: &Settings, if_missing: IfMissing) -> anyhow::Result<OperatorService> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(match if_missing {
        IfMissing::Make => open_store(settings)?,
        IfMissing::Refuse => SledStore::open_existing(&settings.store.path, &sled::Settings::default())?,
    });
    // No key is no failure here: only adding a payment from what the API says needs it, and says so then.
    let api = payment_api(settings, clock.clone()).ok();
    let (api, off_ramp_api) = api.map(|api| (api.payments, api.off_ramps)).unzip();
    let engine_settings = Arc::new(engine_settings(settings));
    let handle = OperatorService::offline(
        store,
        api,
        clock,
        Arc::new(SystemChance),
        engine_settings,
        Arc::new(Health::default()),
    );
    let handle = handle.with_approvers(approvers(settings)).with_off_ramp_api(off_ramp_api);
    let handle = handle.with_public_url(settings.webhook.public_url.clone());
    Ok(handle.with_payouts(payout_ports(settings)))
}

fn approvers(settings: &Settings) -> Approvers {
    if settings.http.has_named_approver() { Approvers::Named } else { Approvers::LocalOnly }
}

/// Whether what went wrong is the configuration's fault: a setting is wrong, or a node contradicts it. Otherwise
/// something could not be used, and may be usable later.
#[must_use]
pub fn is_configuration(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let chain = cause.downcast_ref::<EvmError>();
        let store = cause.downcast_ref::<StoreOpenError>();
        let key = cause.downcast_ref::<KeystoreError>();
        cause.is::<ConfigError>()
            || cause.is::<NotifyHttpError>()
            || cause.is::<OutboundError>()
            || cause.downcast_ref().is_some_and(|error: &SocketError| !matches!(error, SocketError::Refused { .. }))
            || key.is_some_and(|error| !matches!(error, KeystoreError::Refused { .. } | KeystoreError::System(_)))
            || chain.is_some_and(|error| !matches!(error, EvmError::Unreachable(_)))
            || store.is_some_and(|error| {
                matches!(error, StoreOpenError::NotAFolder { .. } | StoreOpenError::Unusable { .. })
            })
    })
}

/// The hot wallet's signer; `None` when no wallet is configured. Opening a keystore takes about a second.
///
/// # Errors
/// The password or the raw key cannot be had, the keystore does not open, or the key is not that of the configured
/// address. Messages hold no secrets.
pub async fn signer(settings: &Settings) -> anyhow::Result<Option<Arc<dyn Signer>>> {
    let Some(wallet) = &settings.wallet else { return Ok(None) };
    let secret = wallet.secret()?;
    let origin = match &wallet.key {
        WalletKey::Keystore { file, .. } => KeyOrigin::Keystore { file: file.clone(), password: secret },
        WalletKey::Raw { variable, .. } => KeyOrigin::Raw { variable: variable.clone(), key: secret },
    };
    Ok(Some(Arc::new(LocalSigner::open(SignerSettings { origin, address: wallet.address }).await?)))
}

/// The configured wallet's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletAddress {
    pub address: Address,
    /// Whether it is the key's own. If not, it was only said so: the password was not at hand.
    pub proven: bool,
}

/// The configured wallet's address, from its key; without a password at hand, as the keystore or else `wallet.address`
/// says. `None` when there is no wallet, or when none of these tells.
///
/// # Errors
/// As [`signer()`]; only a password variable that is not set is none.
pub async fn wallet_address(settings: &Settings) -> anyhow::Result<Option<WalletAddress>> {
    let Some(wallet) = &settings.wallet else { return Ok(None) };
    if let (WalletKey::Keystore { file, .. }, Err(ConfigError::NoPassword(_))) = (&wallet.key, wallet.secret()) {
        let stated = signer::stated_address(file)?;
        if let (Some(actual), Some(expected)) = (stated, wallet.address)
            && actual != expected
        {
            return Err(KeystoreError::OtherWallet { expected, actual }.into());
        }
        return Ok(stated.or(wallet.address).map(|address| WalletAddress { address, proven: false }));
    }
    let signer = signer(settings).await?;
    Ok(signer.map(|signer| WalletAddress { address: signer.address(), proven: true }))
}

/// What a wallet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// Of the token that pays, in base units.
    pub token: Amount,
    /// Of the chain's own coin.
    pub native: Wei,
}

/// Asks the nodes what a wallet has.
///
/// # Errors
/// No node can be reached, or one contradicts the configuration.
pub async fn balances(settings: &Settings, wallet: Address) -> anyhow::Result<Balances> {
    let chain = chain(settings)?;
    chain.check().await?;
    let (token, native) = chain.balances(wallet, settings.chain.token.address).await?;
    Ok(Balances { token, native })
}

/// Makes a keystore with a new key, and returns its address. Takes some seconds.
///
/// # Errors
/// As [`signer::create`].
pub async fn create_keystore(file: PathBuf, password: SecretString) -> Result<Address, KeystoreError> {
    signer::create(file, password).await
}

/// Makes a keystore of a key in hexadecimal, which came from `whence`, and returns its address. Takes some seconds.
///
/// # Errors
/// As [`signer::import`].
pub async fn import_keystore(
    file: PathBuf,
    key: SecretString,
    whence: String,
    password: SecretString,
) -> Result<Address, KeystoreError> {
    signer::import(file, key, whence, password).await
}

fn open_store(settings: &Settings) -> anyhow::Result<SledStore> {
    let path = &settings.store.path;
    SledStore::open(path, &sled::Settings::default()).map_err(anyhow::Error::from)
}

/// The two sides of the payment API.
struct Apis {
    payments: Arc<dyn PaymentApi>,
    off_ramps: Arc<dyn OffRampApi>,
}

/// The payment API; in shadow mode behind the wall.
fn payment_api(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Apis> {
    let http = Arc::new(payment_api_http(settings, clock)?);
    if !settings.shadow {
        return Ok(Apis { payments: http.clone(), off_ramps: http });
    }
    let walled = Arc::new(ShadowApi::new(http.clone(), http));
    Ok(Apis { payments: walled.clone(), off_ramps: walled })
}

/// The ways out of funding; in shadow mode behind the wall.
fn funding_ports(settings: &Settings, chain: Arc<EvmChain>, signer: Arc<dyn Signer>) -> FundingPorts {
    if settings.shadow {
        FundingPorts { sender: Arc::new(ShadowSender::new(chain)), signer: Arc::new(ShadowSigner::new(signer)) }
    } else {
        FundingPorts { sender: chain, signer }
    }
}

/// How everything leaves this machine.
fn outbound(settings: &Settings) -> Result<Outbound, OutboundError> {
    let network = &settings.network;
    Outbound::new(network.proxy.clone(), network.ca_file.as_deref())
}

fn payment_api_http(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<PaymentHttp> {
    let api = &settings.api;
    let adapter = PaymentHttp::new(
        PaymentHttpSettings {
            base_url: api.base_url.clone(),
            key: api.key()?,
            connect_timeout: api.connect_timeout,
            timeout: api.timeout,
            decimals: settings.chain.token.decimals,
            webhook_secret: settings.webhook.secret()?,
            outbound: outbound(settings)?,
        },
        clock,
    );
    adapter.context("api: the client could not be made")
}

fn chain(settings: &Settings) -> anyhow::Result<EvmChain> {
    let rpc = &settings.rpc;
    let endpoints = rpc.endpoints.iter().map(|endpoint| EndpointSettings {
        name: endpoint.name.clone(),
        operator: endpoint.operator.clone(),
        http: endpoint.http.clone(),
        ws: endpoint.ws.clone(),
    });
    let evm = EvmSettings {
        chain_id: settings.chain.id,
        tokens: known_tokens(settings),
        endpoints: endpoints.collect(),
        connect_timeout: rpc.connect_timeout.as_duration(),
        request_timeout: rpc.request_timeout.as_duration(),
        silence_timeout: rpc.silence_timeout.as_duration(),
        max_block_range: rpc.max_block_range,
        max_addresses: rpc.max_addresses,
        max_in_flight: rpc.max_in_flight,
        cool_down: CoolDown::default(),
        outbound: outbound(settings)?,
    };
    Ok(EvmChain::with_rules(evm, plausibility::rules(settings))?)
}

fn known_endpoints(settings: &Settings) -> Vec<KnownEndpoint> {
    let known = |endpoint: &config::EndpointSettings| KnownEndpoint {
        name: endpoint.name.clone(),
        operator: endpoint.operator.clone(),
    };
    settings.rpc.endpoints.iter().map(known).collect()
}

/// The tokens, each with the section that it comes from, so that an error can name the key.
fn known_tokens(settings: &Settings) -> Vec<KnownToken> {
    let known = |setting: String, token: &config::Token| KnownToken {
        setting,
        address: token.address,
        decimals: token.decimals,
    };
    let others = settings.chain.other_tokens.iter().enumerate();
    let others = others.map(|(at, token)| known(format!("chain.other_tokens[{at}]"), token));
    std::iter::once(known("chain.token".to_owned(), &settings.chain.token)).chain(others).collect()
}

/// The folder beside the store's own files that attachments are kept in.
const ATTACHMENTS: &str = "attachments";

fn payout_ports(settings: &Settings) -> PayoutPorts {
    let folder = settings.store.path.join(ATTACHMENTS);
    let files = AttachmentFiles::new(AttachmentSettings { folder });
    PayoutPorts { attachments: Arc::new(files), entropy: Arc::new(SystemEntropy) }
}
