//! Asks everything around rampwatch how it is, all at once and each within a time, and has the answers judged.
//!
//! Deliberately absent: what is good and what is not (`policy::doctor`), and secrets: no answer holds one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, future};

use super::memory::memory_is_open;
use super::{chain, funding_rules, known_endpoints, payment_api_http, signer};
use crate::adapters::evm::EvmChain;
use crate::adapters::sled;
use crate::adapters::system::SystemClock;
use crate::config::{self, KeySource, Settings, WalletKey};
use crate::domain::chain::Address;
use crate::domain::checkup::{DaemonCheckup, EndpointCheckup, Told, WalletCheckup};
use crate::engine::health::Readiness;
use crate::http::socket;
use crate::outbound::{AUTHORITY_VARIABLES, Outbound, PROXY_VARIABLES, Patience};
use crate::policy::balances::Needs;
use crate::policy::doctor::{self, EndpointRules, WalletRules};
use crate::ports::clock::Clock as _;
use crate::ports::sender::Sender as _;
use crate::private;

pub use crate::policy::doctor::{Finding, Grade, webhook as judge_webhook};

/// How long each check may take. The slowest waits for a new head over every websocket, after asking for logs.
const EACH_WITHIN: Duration = Duration::from_secs(60);

/// How long the daemon on this machine may take to answer.
const DAEMON_WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of the daemon's answers that are read.
const MAX_ANSWER: usize = 4 << 20;

/// What was found everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// In the order of the checks.
    pub findings: Vec<Finding>,
    /// The address of the hot wallet, from its key, if it opens.
    pub wallet: Option<Address>,
}

/// What one check came to.
#[derive(Default)]
struct Part {
    findings: Vec<Finding>,
    wallet: Option<Address>,
}

/// In a line: who has to agree.
pub(super) fn operators(settings: &Settings) -> String {
    doctor::operators(settings.rpc.agreement, &known_endpoints(settings)).found
}

/// Asks everything, and never fails: what cannot be asked is a finding. Changes nothing.
pub async fn examine(settings: &Settings) -> Examined {
    let checks: [(&'static str, BoxFuture<'_, Part>); 6] = [
        ("chain", around_chain(settings).boxed()),
        ("api", around_api(settings).boxed()),
        ("store", store(settings).boxed()),
        ("wallet", wallet(settings).boxed()),
        ("network", async { Part { findings: around_us(settings), wallet: None } }.boxed()),
        ("files", files(settings).boxed()),
    ];
    let parts = future::join_all(checks.map(|(name, check)| bounded(name, check))).await;
    let mut examined = Examined { findings: Vec::new(), wallet: None };
    for part in parts {
        examined.findings.extend(part.findings);
        examined.wallet = examined.wallet.or(part.wallet);
    }
    examined
}

async fn bounded(name: &'static str, check: BoxFuture<'_, Part>) -> Part {
    tokio::time::timeout(EACH_WITHIN, check).await.unwrap_or_else(|_| {
        let why = format!("it took longer than {} s", EACH_WITHIN.as_secs());
        Part { findings: vec![doctor::not_looked_at(name, &why)], wallet: None }
    })
}

/// The endpoints, whether they agree, the clock, the tokens, and the daemon, which is compared with the endpoints' heads.
async fn around_chain(settings: &Settings) -> Part {
    let evm = match chain(settings) {
        Ok(evm) => evm,
        Err(error) => {
            return Part { findings: vec![doctor::contradiction("chain", &format!("{error:#}"))], wallet: None };
        }
    };
    let (endpoints, tokens, found) =
        tokio::join!(evm.checkup(settings.chain.token.address), tokens(settings, &evm), daemon(settings));
    let now = SystemClock.now();
    let needs_tag = settings.chain.finality.rule == config::FinalityRule::Finalized;
    let stall_after = settings.chain.finality.stall_after;
    let rules = EndpointRules { now, chain_id: settings.chain.id, needs_tag, stall_after };
    let mut findings = doctor::endpoints(&endpoints, &rules);
    if settings.chain.id != config::SANDBOX_CHAIN_ID {
        findings.push(doctor::operators(settings.rpc.agreement, &known_endpoints(settings)));
    }
    if endpoints.len() > 1
        && let Some((number, is_final)) = common_height(&endpoints, settings)
    {
        findings.push(doctor::agreement(&evm.hashes_at(number).await, is_final));
    }
    let newest = endpoints.iter().filter_map(|endpoint| endpoint.head.as_ref().ok()).max_by_key(|head| head.time);
    findings.extend(newest.map(|head| doctor::clock_of_chain(head, now, settings.matching.skew)));
    findings.extend(tokens);
    findings.push(doctor::daemon(&found, newest.map(|head| head.block.number)));
    Part { findings, wallet: None }
}

/// The highest block that every endpoint that answers should have, and call final; without the tag, one as deep as the
/// configured depth.
fn common_height(endpoints: &[EndpointCheckup], settings: &Settings) -> Option<(u64, bool)> {
    let finals = endpoints.iter().filter_map(|endpoint| endpoint.finalized.as_ref().ok()?.as_ref());
    if let Some(lowest) = finals.map(|header| header.block.number).min() {
        return Some((lowest, true));
    }
    let heads = endpoints.iter().filter_map(|endpoint| Some(endpoint.head.as_ref().ok()?.block.number));
    Some((heads.min()?.saturating_sub(settings.chain.finality.depth), false))
}

async fn tokens(settings: &Settings, evm: &EvmChain) -> Vec<Finding> {
    let pays = settings.chain.token.address;
    let asked = settings.chain.tokens().map(|token| async move {
        let told = evm.token_checkup(token.address).await;
        doctor::token(&token.symbol, token.address, token.decimals, token.address == pays, &told)
    });
    future::join_all(asked).await.concat()
}

async fn around_api(settings: &Settings) -> Part {
    let told = match payment_api_http(settings, Arc::new(SystemClock)) {
        Ok(api) => Ok(api.checkup(&SystemClock).await),
        Err(error) => Err(format!("{error:#}")),
    };
    let mut findings = vec![doctor::api(&told)];
    findings.extend(told.ok().and_then(|checkup| doctor::clock_of_api(&checkup, settings.matching.skew)));
    findings
        .extend(settings.refuse_mixed_rehearsal().err().map(|error| doctor::contradiction("api", &error.to_string())));
    Part { findings, wallet: None }
}

/// A line on the automatic mode, where it is on and sends nothing.
pub(super) fn auto_unlimited(settings: &Settings) -> Option<String> {
    settings.funding.limits.is_auto_unlimited().then(|| {
        let Finding { found, remedy, .. } = doctor::auto_unlimited();
        format!("{found}: {}", remedy)
    })
}

async fn store(settings: &Settings) -> Part {
    let path = settings.store.path.clone();
    let findings = match tokio::task::spawn_blocking(move || sled::checkup(&path)).await {
        Ok(found) => doctor::store(&found, sled::SCHEMA_VERSION),
        Err(error) => vec![doctor::not_looked_at("store", &error.to_string())],
    };
    Part { findings, wallet: None }
}

async fn wallet(settings: &Settings) -> Part {
    let funding = &settings.funding;
    let rules = WalletRules {
        enabled: funding.limits.enabled,
        auto_unlimited: funding.limits.is_auto_unlimited(),
        symbol: settings.chain.token.symbol.clone(),
        decimals: settings.chain.token.decimals,
        max_per_day: funding.limits.max_per_day,
        needs: Needs::from(&funding_rules(settings)),
    };
    let found = match signer(settings).await {
        Ok(None) => None,
        Ok(Some(signer)) => Some(Ok(wallet_checkup(settings, signer.address()).await)),
        Err(error) => Some(Err(format!("{error:#}"))),
    };
    let address = found.as_ref().and_then(|found| Some(found.as_ref().ok()?.address));
    Part { findings: doctor::wallet(found.as_ref(), &rules), wallet: address }
}

async fn wallet_checkup(settings: &Settings, address: Address) -> WalletCheckup {
    let evm = match chain(settings) {
        Ok(evm) => evm,
        Err(error) => return WalletCheckup { address, balances: Err(format!("{error:#}")), nonces: Vec::new() },
    };
    let (balances, nonces) =
        tokio::join!(evm.balances(address, settings.chain.token.address), evm.nonces(address, None));
    let nonces = nonces.into_iter().map(|said| (said.name, said.answer.map_err(|error| error.to_string())));
    WalletCheckup { address, balances: balances.map_err(|error| error.to_string()), nonces: nonces.collect() }
}

/// What of the process's surroundings could lead it astray, or look into it.
fn around_us(settings: &Settings) -> Vec<Finding> {
    let set = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())).collect()
    };
    let network = &settings.network;
    let proxies = doctor::unused_proxies(&set(&PROXY_VARIABLES), network.proxy.is_some());
    let authorities = doctor::unused_authorities(&set(&AUTHORITY_VARIABLES), network.ca_file.is_some());
    proxies.into_iter().chain(authorities).chain([doctor::memory(memory_is_open())]).collect()
}

/// Every file that holds a secret, and the socket of the commands.
async fn files(settings: &Settings) -> Part {
    let mut findings = private_files(settings);
    let path = &settings.http.socket;
    let answers = match socket::check_place(path, &settings.store.path) {
        Ok(()) => socket::answers(path).await,
        Err(error) => Err(error),
    };
    findings.push(doctor::socket(&path.display().to_string(), &answers.map_err(|error| error.to_string())));
    Part { findings, wallet: None }
}

/// Every file that holds a secret, by the key that names it.
fn private_files(settings: &Settings) -> Vec<Finding> {
    let mut files: Vec<(&str, &Path, bool)> = Vec::new();
    if let Some(path) = &settings.http.token_file {
        files.push(("http.token_file", path, true));
    }
    if let KeySource::File(path) = &settings.api.key_source {
        files.push(("api.key_file", path, false));
    }
    if let Some(WalletKey::Keystore { file, password }) = settings.wallet.as_ref().map(|wallet| &wallet.key) {
        files.push(("wallet.keystore", file, false));
        if let KeySource::File(path) = password {
            files.push(("wallet.password_file", path, false));
        }
    }
    let look = |(key, path, made): (&str, &Path, bool)| {
        doctor::private_file(key, &path.display().to_string(), &mode_of(path), made)
    };
    if let Some(KeySource::File(path)) = &settings.webhook.secret_source {
        files.push(("webhook.secret_file", path, false));
    }
    let tokens = settings.http.tokens.iter().map(|token| ("http.tokens", token.file.as_path(), true));
    files.into_iter().chain(tokens).map(look).collect()
}

fn mode_of(path: &Path) -> Told<Option<u32>> {
    match path.metadata() {
        Ok(found) => {
            let mode = found.permissions().mode() & 0o777;
            // What was mounted for this process is private, whatever the group's part of the mode says.
            Ok(Some(if private::is_private(path, &found) { mode & 0o700 } else { mode }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks the daemon for its state: at its socket, or whatever listens at `http.listen`. Needs no token.
async fn daemon(settings: &Settings) -> DaemonCheckup {
    let listen = settings.http.listen;
    // What is wrong with the socket is a finding of its own.
    let is_local = socket::answers(&settings.http.socket).await.unwrap_or(false);
    // With port 0 the daemon takes any free port, and nobody can know which.
    if !is_local && listen.port() == 0 {
        return DaemonCheckup::Down;
    }
    let strange = |detail: String| DaemonCheckup::Strange { detail };
    let client = Outbound::local().client(DAEMON_WITHIN, Patience::Whole(DAEMON_WITHIN));
    let (client, base) = if is_local {
        (client.unix_socket(settings.http.socket.as_path()), "http://localhost".to_owned())
    } else {
        (client, format!("http://{listen}"))
    };
    let client = match client.build() {
        Ok(client) => client,
        Err(error) => return strange(error.without_url().to_string()),
    };
    let answer = match client.get(format!("{base}/readyz")).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return DaemonCheckup::Down,
        Err(error) => return strange(error.without_url().to_string()),
    };
    let status = answer.status();
    let Some(readiness) = body(answer).await.and_then(|body| serde_json::from_slice::<Readiness>(&body).ok()) else {
        return strange(format!("HTTP {} without what /readyz says", status.as_u16()));
    };
    let metrics = client.get(format!("{base}/metrics")).send().await.ok();
    let metrics = match metrics {
        Some(answer) => body(answer).await.and_then(|body| String::from_utf8(body).ok()).unwrap_or_default(),
        None => String::new(),
    };
    let head = metrics.lines().find_map(|line| line.strip_prefix("rampwatch_head_block ")?.trim().parse().ok());
    let Readiness { ready, chain, api, unanswered, store, wallet, workers, troubles, shadow: _, agreement: _ } =
        readiness;
    let parts = [
        ("chain", chain),
        ("api", api),
        ("unanswered", unanswered),
        ("store", store),
        ("wallet", wallet),
        ("workers", workers),
    ];
    // What an older one says nothing of, and what there is nothing of.
    let parts = parts.into_iter().filter(|(_, word)| !word.is_empty());
    let troubles = troubles.into_iter().map(|trouble| ("some payments".to_owned(), trouble));
    let parts = parts.map(|(part, word)| (part.to_owned(), word)).chain(troubles).collect();
    if ready { DaemonCheckup::Ready { parts, head } } else { DaemonCheckup::NotReady { parts, head } }
}

async fn body(mut answer: reqwest::Response) -> Option<Vec<u8>> {
    let mut body: Vec<u8> = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
