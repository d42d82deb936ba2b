//! The texts that the sandbox writes: a configuration for rampwatch, and what to try.

use std::fmt::Write;
use std::path::Path;

use super::error::{Result, SandboxError};
use super::fake_api::OffRamp;
use super::run::Sandbox;
use super::wallet::{WALLET, WALLET_KEY_ENV, WalletConfig, wallet_variable};
use super::{CHAIN_ID, USDC, USDC_E};
use crate::config::MAX_SOCKET_PATH;

/// What goes into the configuration.
pub(super) struct Parts<'a> {
    pub(super) chain_http: &'a str,
    pub(super) chain_ws: &'a str,
    pub(super) api_base: &'a str,
    pub(super) key_path: &'a Path,
    pub(super) store_path: &'a Path,
    pub(super) listen_port: u16,
    pub(super) forked: bool,
    pub(super) wallet: Option<&'a WalletConfig>,
}

/// A text as TOML writes it, quotes included.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A complete configuration for the sandbox's chain and fake API, with spans as short as a rehearsal wants them.
pub(super) fn config_text(parts: &Parts<'_>) -> String {
    let kind = if parts.forked { "a fork" } else { "fresh" };
    let key_path = quoted(&parts.key_path.display().to_string());
    let store_path = quoted(&parts.store_path.display().to_string());
    let (http, ws, api) = (quoted(parts.chain_http), quoted(parts.chain_ws), quoted(parts.api_base));
    let port = parts.listen_port;
    // Too deep a folder has no room for a socket: commands then go over TCP, with a token.
    let socket = parts.store_path.join("operator.sock").as_os_str().len();
    let token_file = parts.store_path.join("operator-token");
    let token = format!("\ntoken_file = {}", quoted(&token_file.display().to_string()));
    let token = if socket > MAX_SOCKET_PATH { token } else { String::new() };
    let wallet = parts.wallet.map(WalletConfig::to_toml).unwrap_or_default();
    format!(
        r#"# Written by `rampwatch sandbox`, for the sandbox that runs now ({kind} chain). Nothing in it is real.

[chain]
id = {CHAIN_ID}
name = "polygon"

[chain.token]
address = "{USDC}"
symbol = "USDC"
decimals = 6

[[chain.other_tokens]]
address = "{USDC_E}"
symbol = "USDC.e"
decimals = 6

[chain.finality]
rule = "finalized"
depth = 1
stall_after = "1m"

[rpc]
connect_timeout = "5s"
request_timeout = "10s"
silence_timeout = "30s"
max_block_range = 2000
max_addresses = 1000
max_in_flight = 8

[[rpc.endpoints]]
name = "sandbox"
http = {http}
ws = {ws}

[api]
base_url = {api}
key_file = {key_path}
timeout = "6s"
max_concurrent = 8
end_confirm_after = "5s"

[store]
path = {store_path}

[watch]
sweep_interval = "10s"
poll_interval = "2s"
ended_interval = "15s"
overlap_blocks = 32
start_margin = "10m"
second_reading_after = "10s"
keep_watching = "1h"

[matching]
tolerance_under = "0"
tolerance_over = "0"
skew = "2m"

[http]
listen = "127.0.0.1:{port}"{token}

[log]
filter = "info"
format = "text"
{wallet}"#
    )
}

/// What there is, and what to try.
pub(super) fn welcome(sandbox: &Sandbox, off_ramps: &[OffRamp]) -> Result<String> {
    let config_path = sandbox.config_path();
    let config = config_path.display();
    let unreadable = |source| SandboxError::File { path: config_path.clone(), source };
    let config_text = std::fs::read_to_string(&config_path).map_err(unreadable)?;
    let chain = sandbox.anvil().node().http_url();
    let api = sandbox.fake_api().base_url();
    let control = sandbox.fake_api().control_url();
    let directory = sandbox.directory().display();
    let mut text = format!(
        "The sandbox is up. Ctrl-C ends it.\n\n  chain     {chain} (chain id {CHAIN_ID}, test money only)\n  \
         API       {api} (fake)\n  config    {config}\n\nOff-ramps that wait for money:\n"
    );
    for off_ramp in off_ramps {
        let amount = off_ramp.amount.to_decimal(6);
        // A String takes whatever is written.
        let _ = writeln!(text, "  {}  {amount:>10} USDC to {}", off_ramp.id, off_ramp.deposit_address);
    }
    let first = off_ramps.first().map_or("sandbox-1", |off_ramp| off_ramp.id.as_str());
    let recipient = off_ramps.first().map_or("recipient-1", |off_ramp| off_ramp.recipient_id.as_str());
    let wallet = sandbox.wallet().map(wallet_words);
    let (about, export) = wallet.clone().unwrap_or_default();
    text.push_str(&about);
    let fund = match (off_ramps.get(1), wallet) {
        (Some(second), Some(_)) => fund_words(&config.to_string(), second),
        _ => String::new(),
    };
    let _ = write!(
        text,
        r#"
Try, in other terminals:
  {export}rampwatch --config {config} run
  rampwatch --config {config} add {first} {recipient}
  rampwatch sandbox pay {first} --directory {directory}
  rampwatch --config {config} show {first}
{fund}
Let the fake API fail: the next answer to /complete is lost after it acted.
  curl -X POST {control}/faults -H 'content-type: application/json' \
    -d '{{"call":"complete","when":{{"next":1}},"fault":{{"kind":"cut","acts":true}}}}'
What it received:  curl {control}/journal

The configuration, as written to {config}:

{config_text}"#
    );
    Ok(text)
}

/// What is said of the wallet, and what has to stand before the command that needs its key.
fn wallet_words(wallet: &WalletConfig) -> (String, String) {
    let (variable, key) = wallet_variable();
    let by_itself = if wallet.auto { "It pays what rampwatch is told of without being asked.\n" } else { "" };
    let about = format!(
        "\nThe sandbox's own wallet is {WALLET}, with test USDC and gas money. Everybody knows its key:\n\
         send nothing to it on a real chain. `rampwatch run` reads the key from {WALLET_KEY_ENV}.\n{by_itself}"
    );
    (about, format!("{variable}={key} \\\n    "))
}

/// How an off-ramp is funded by the wallet.
fn fund_words(config: &str, off_ramp: &OffRamp) -> String {
    let OffRamp { id, recipient_id, .. } = off_ramp;
    format!(
        "Or let the wallet pay one:\n  rampwatch --config {config} add {id} {recipient_id}\n  \
         rampwatch --config {config} fund {id}\n  rampwatch --config {config} orders\n"
    )
}
