//! Which key rampwatch takes on which chain (decision 13): the program itself, started with the wrong one.

use std::path::PathBuf;

use rampwatch::sandbox::{
    Daemon, DaemonOptions, PAYER, RunOptions, Sandbox, SandboxError, USDC, USDC_E, WALLET, WALLET_KEY_ENV,
    WalletConfig, wallet_key,
};

use super::LIMIT;
use crate::support::node::{Node, NodeOptions, ScriptedChain, Token};

/// anvil's second key, which everyone knows: that of [`PAYER`].
const FOREIGN_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// A sandbox with its wallet, in a folder of its own.
async fn sandbox(folder: &tempfile::TempDir) -> Sandbox {
    let wallet = Some(WalletConfig::default());
    let directory = folder.path().join("sandbox");
    Sandbox::start(&RunOptions { directory, block_millis: 250, wallet, ..RunOptions::default() }).await.unwrap()
}

/// rampwatch over the sandbox with this key, and with these settings instead of the sandbox's.
fn daemon(sandbox: &Sandbox, key: &str, settings: &[(&str, &str)]) -> Result<Daemon, SandboxError> {
    let overrides = settings.iter().map(|(name, value)| (format!("RAMPWATCH__{name}"), (*value).to_owned()));
    Daemon::new(DaemonOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_rampwatch")),
        config: sandbox.config_path(),
        log: sandbox.directory().join("log"),
        overrides: overrides.chain(std::iter::once((WALLET_KEY_ENV.to_owned(), key.to_owned()))).collect(),
    })
}

/// The command ends with 3, these words, and nothing of the key.
async fn is_refused(daemon: &Daemon, command: &[&str], key: &str, words: &[&str]) {
    let ran = tokio::time::timeout(LIMIT, daemon.run_command(command)).await.expect("it is refused, and ends").unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(3), "{command:?}: {said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert!(!said.contains(key.trim_start_matches("0x")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_sandbox_s_chain_no_key_but_its_own_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&folder).await;
    let payer = PAYER.to_string();
    let words = [payer.as_str(), "is not the sandbox's", WALLET_KEY_ENV];
    let named = daemon(&sandbox, FOREIGN_KEY, &[("WALLET__ADDRESS", &payer)]).unwrap();
    is_refused(&named, &["run"], FOREIGN_KEY, &words).await;
    assert!(!sandbox.directory().join("data").exists(), "nothing was opened");
    let unnamed = daemon(&sandbox, FOREIGN_KEY, &[("WALLET__ADDRESS", "")]).unwrap();
    is_refused(&unnamed, &["run"], FOREIGN_KEY, &words).await;
    is_refused(&unnamed, &["config", "check"], FOREIGN_KEY, &words).await;
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_another_chain_the_sandbox_s_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&folder).await;
    let chain = ScriptedChain::new();
    chain.set_chain_id(80_002);
    chain.set_token(USDC, Token::new("USDC", 6));
    chain.set_token(USDC_E, Token::new("USDC.e", 6));
    chain.append_empty(10);
    let node = Node::start(&chain, NodeOptions::default());
    let (http, ws) = (node.url(), node.ws_url());
    let there = [
        ("CHAIN__ID", "80002"),
        ("CHAIN__LIVE", "false"),
        ("RPC__ENDPOINTS__0__HTTP", http.as_str()),
        ("RPC__ENDPOINTS__0__WS", ws.as_str()),
    ];
    let key = wallet_key();
    let wallet = WALLET.to_string();
    let words = [wallet.as_str(), "everybody knows", "chain 80002"];
    let named = daemon(&sandbox, &key, &there).unwrap();
    is_refused(&named, &["run"], &key, &words).await;
    let without_address = [&there[..], &[("WALLET__ADDRESS", "")]].concat();
    let unnamed = daemon(&sandbox, &key, &without_address).unwrap();
    is_refused(&unnamed, &["run"], &key, &words).await;
    is_refused(&unnamed, &["config", "check"], &key, &words).await;
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sandbox_says_to_try_funds_an_off_ramp() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&folder).await;
    let off_ramps = sandbox.open_examples().unwrap();
    let (first, recipient) = (off_ramps[0].id.as_str(), off_ramps[0].recipient_id.as_str());
    let mut daemon = daemon(&sandbox, &wallet_key(), &[]).unwrap();
    daemon.start().unwrap();
    daemon.ready(LIMIT).await.unwrap();
    for command in [&["add", first, recipient][..], &["fund", first, "--yes"]] {
        let ran = daemon.run_command(command).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{command:?}: {said}");
    }
    let accepted = |fake_api: &rampwatch::sandbox::fake_api::FakeApi| {
        fake_api.off_ramp(&off_ramps[0].id).is_some_and(|off_ramp| off_ramp.tally.accepted == 1)
    };
    sandbox.fake_api().wait_until(LIMIT, "/complete", accepted).await.unwrap();
    let sent = sandbox.anvil().node().sent_by(WALLET, 0).await.unwrap();
    let hashes: Vec<String> = sent.iter().map(|sent| sent.tx_hash.to_string()).collect();
    let completed = sandbox.fake_api().off_ramp(&off_ramps[0].id).unwrap().transaction_hash;
    assert_eq!(hashes, completed.into_iter().collect::<Vec<_>>(), "one transaction, and it completes the payment");
    daemon.stop(LIMIT).await.unwrap();
    sandbox.stop().await.unwrap();
}
