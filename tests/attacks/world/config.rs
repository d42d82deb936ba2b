//! The configuration of an attacked program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use rampwatch::sandbox::USDC;

use super::chain::CHAIN_ID;
use crate::kit::{OPERATOR, is_new};

/// The variable with the throw-away key.
pub(crate) const WALLET_KEY_ENV: &str = "ATTACKS_WALLET_KEY";

/// Whose token is the machine's own.
pub(crate) const LOCAL: &str = "local";

/// The file of somebody's token, in the world's folder.
pub(crate) fn token_file(name: &str) -> String {
    format!("token-of-{name}")
}

/// How a world differs from the usual one.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The names of the endpoints, in their order.
    pub(crate) endpoints: Vec<&'static str>,
    /// Who runs each of them; nothing is said of those beyond the last.
    pub(crate) operators: Vec<&'static str>,
    /// Whether there is a wallet.
    pub(crate) wallet: bool,
    /// `max_per_payment`, `max_per_day` and `max_per_recipient`, in whole units.
    pub(crate) limit: u64,
    /// The most for a unit of gas.
    pub(crate) max_fee_gwei: u64,
    /// How soon blocks are read a second time.
    pub(crate) second_reading_after: &'static str,
    /// Whether the clock of the program can be set.
    pub(crate) clock: bool,
    /// Section, key and value: whatever else is configured. Those that older programs lack are written only where the program
    /// knows them.
    pub(crate) keys: Vec<(&'static str, &'static str, String)>,
    /// Names of tokens, with their roles as the configuration writes them.
    pub(crate) tokens: Vec<(&'static str, &'static str)>,
    /// Variables of the program.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            endpoints: vec!["first", "second", "third"],
            operators: Vec::new(),
            wallet: false,
            limit: 100,
            max_fee_gwei: 500,
            second_reading_after: "5s",
            clock: false,
            keys: vec![soon_ended()],
            tokens: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// What the API calls over is believed soon.
pub(crate) fn soon_ended() -> (&'static str, &'static str, String) {
    ("api", "end_confirm_after", "\"2s\"".to_owned())
}

/// A complete configuration. `known`: which of the new keys the program knows. `endpoints`: names and URLs.
pub(crate) fn text(
    setup: &Setup,
    known: &BTreeSet<String>,
    endpoints: &[(String, String)],
    api: &str,
    folder: &Path,
    port: u16,
) -> String {
    let keys = |wanted: &str| {
        let is_known = |section: &str, key: &str| !is_new(section, key) || known.contains(&format!("{section}.{key}"));
        let keys = setup.keys.iter();
        let keys = keys.filter(|(section, key, _)| *section == wanted && is_known(section, key));
        keys.map(|(_, key, value)| format!("{key} = {value}\n")).collect::<String>()
    };
    let (rpc_keys, api_keys) = (keys("rpc"), keys("api"));
    let second_reading_after = setup.second_reading_after;
    let store = toml::Value::String(folder.join("store").display().to_string());
    let own_token = toml::Value::String(folder.join(token_file(LOCAL)).display().to_string());
    let mut text = format!(
        r#"[chain]
id = {CHAIN_ID}
name = "polygon"
[chain.token]
address = "{USDC}"
symbol = "USDC"
decimals = 6
[chain.finality]
rule = "finalized"
depth = 1
stall_after = "20s"
[rpc]
connect_timeout = "2s"
request_timeout = "5s"
max_block_range = 2000
{rpc_keys}
[api]
base_url = "{api}"
key_env = "RAMPWATCH_API_KEY"
connect_timeout = "2s"
timeout = "5s"
{api_keys}
[store]
path = {store}
[watch]
sweep_interval = "3s"
poll_interval = "3s"
ended_interval = "2s"
start_margin = "1m"
second_reading_after = "{second_reading_after}"
keep_watching = "10m"
[http]
listen = "127.0.0.1:{port}"
token_file = {own_token}
[log]
filter = "info"
"#
    );
    if setup.wallet {
        text.push_str(&wallet(setup, &keys("funding")));
    }
    text.push_str("[intake]\n");
    text.push_str(&keys("intake"));
    for (name, roles) in &setup.tokens {
        let file = toml::Value::String(folder.join(token_file(name)).display().to_string());
        // A String takes whatever is written.
        let _ = write!(text, "[[http.tokens]]\nname = \"{name}\"\nfile = {file}\nroles = [{roles}]\n");
    }
    for (nth, (name, url)) in endpoints.iter().enumerate() {
        let _ = write!(text, "[[rpc.endpoints]]\nname = \"{name}\"\nhttp = \"{url}\"\n");
        if let Some(operator) = setup.operators.get(nth).filter(|_| known.contains(OPERATOR)) {
            let _ = writeln!(text, "operator = \"{operator}\"");
        }
    }
    text
}

/// The sections of the wallet, with spans as short as an attack wants them.
fn wallet(setup: &Setup, new_keys: &str) -> String {
    let Setup { limit, max_fee_gwei, .. } = setup;
    format!(
        r#"[wallet]
key_env = "{WALLET_KEY_ENV}"
[funding]
enabled = true
max_per_payment = "{limit}"
max_per_day = "{limit}"
max_per_recipient = "{limit}"
approval_above = "{limit}"
min_time_left = "30s"
reserve_native = "0.1"
max_fee_gwei = "{max_fee_gwei}"
hold_check = "1s"
bump_after = "5s"
rebroadcast_after = "2s"
poll_interval = "500ms"
{new_keys}
"#
    )
}
