//! `[wallet]` and `[funding]`: whose key sends, and how much it may. Both may be left out; nothing is sent then.
//!
//! Deliberately absent: the key and whether the keystore can be opened, which is the signer's business, and the rules
//! that the limits belong to (`policy`).

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::payment::{BankAccountId, RecipientId};
use crate::domain::time::Span;
use crate::domain::wei::Wei;
use crate::policy::rules::SpendLimits;

use super::environment::Variables;
use super::key::KeySource;
use super::parse::{address, path, variable_name};
use super::reader::{Section, Show};

/// Where the keystore's password is looked for, unless configured.
pub const PASSWORD_VARIABLE: &str = "RAMPWATCH_WALLET_PASSWORD";

/// The most ids that an allow-list may have.
const MAX_ALLOWED: usize = 1_000;
/// How many payments just below `approval_above` a person may place in a day before somebody must approve, by default.
const APPROVAL_TIMES_PER_DAY: u128 = 4;
/// The highest gas price that can be configured: a thousand times what Polygon has ever asked is a slip of the pen.
const MAX_GWEI: u64 = 1_000_000;
/// The least gas that a transfer of USDC to a fresh address needs, measured on the real contract, rounded up.
const MIN_GAS_LIMIT: u64 = 65_000;

const fn ms(count: u64) -> Span {
    Span::from_millis(count)
}
const fn secs(count: u64) -> Span {
    Span::from_secs(count)
}
const HOUR: Span = secs(3_600);
const DAY: Span = secs(86_400);
const MONTH: Span = secs(30 * 86_400);

/// `[wallet]`.
#[derive(Clone, Debug)]
pub struct WalletSettings {
    pub key: WalletKey,
    /// The address that the key must have, if it is given.
    pub address: Option<Address>,
    /// Whether a development key of the payment API may be used together with this wallet on the live chain (design
    /// decision 13).
    pub allow_development_api_key_on_live_chain: bool,
}

/// Where the wallet's key is.
#[derive(Clone, Debug)]
pub enum WalletKey {
    Keystore {
        file: PathBuf,
        /// Where its password comes from. [`WalletSettings::secret`] reads it.
        password: KeySource,
    },
    /// In an environment variable, in hexadecimal: for rehearsal, and refused on the live chain.
    /// [`WalletSettings::secret`] reads it.
    Raw {
        variable: String,
        /// What it held when the settings were loaded.
        key: Option<SecretString>,
    },
}

/// `[funding]`. Limits of tokens are in base units of the token that pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundingSettings {
    pub limits: SpendLimits,
    /// How much of the token stays in the wallet.
    pub reserve_token: Amount,
    /// How much of the native coin stays in the wallet.
    pub reserve_native: Wei,
    /// The least tip, for a unit of gas.
    pub tip_floor: Wei,
    /// The most that is offered for a unit of gas, tip included; not below `tip_floor`.
    pub max_fee: Wei,
    /// The most gas that a transaction may use.
    pub gas_limit_max: u64,
    /// The most transactions that wait to be mined at once: 1 to 64.
    pub max_in_flight: usize,
    /// How often an order on hold is looked at again.
    pub hold_check: Span,
    /// How long a transaction may wait before it offers more.
    pub bump_after: Span,
    /// How long a transaction may wait before it is given to the nodes again.
    pub rebroadcast_after: Span,
    /// How often the nodes are asked what became of a transaction.
    pub poll_interval: Span,
    /// How long an order may wait for its approval.
    pub approval_valid_for: Span,
}

/// Reads `[wallet]`, which is there or not. `live_chain`: the chain's id, where its money is real.
pub(super) fn wallet(
    section: Option<Section<'_>>,
    base: &Path,
    variables: &Variables<'_>,
    live_chain: Option<u64>,
) -> Option<WalletSettings> {
    let mut section = section?;
    let keystore = section.removable("keystore", Show::Value, |text| path(base, text));
    let key_env = variables.name(&mut section, "key_env", raw_key_variable);
    let password = password(&mut section, base, variables, key_env.is_some());
    let address = section.removable("address", Show::Value, address);
    let allow = section.flag("allow_development_api_key_on_live_chain", false);
    let key = match (keystore, key_env) {
        (Some(_), Some(_)) => {
            section.complain("key_env", "wallet.keystore is given too: give exactly one of the two");
            None
        }
        (Some(file), None) => password.map(|password| WalletKey::Keystore { file, password }),
        (None, Some(_)) if live_chain.is_some() => {
            let id = live_chain.unwrap_or_default();
            let text = format!(
                "a raw key is for rehearsals, and chain {id} (chain.id) is live: make a keystore with `rampwatch wallet \
                 import`, and name it with wallet.keystore; where the chain's money is play money, set chain.live = false"
            );
            section.complain("key_env", text);
            None
        }
        (None, Some(variable)) => Some(WalletKey::Raw { key: variables.held(&variable), variable }),
        (None, None) => {
            if !section.wrong("keystore") && !section.wrong("key_env") {
                let text = "it is missing: name the keystore (`rampwatch wallet new` makes one), or leave [wallet] out";
                section.complain("keystore", text);
            }
            None
        }
    };
    let address_wrong = section.wrong("address");
    section.finish("keystore, password_file, password_env, key_env, address, allow_development_api_key_on_live_chain");
    if address_wrong {
        return None;
    }
    Some(WalletSettings { key: key?, address, allow_development_api_key_on_live_chain: allow? })
}

/// The name of the variable that holds a raw key. The key in its place is recognised, and not shown.
fn raw_key_variable(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("this looks like the key itself: give the name of the variable that holds it, and take the key \
                    for known to others"
            .to_owned());
    }
    variable_name(text)
}

fn password(section: &mut Section<'_>, base: &Path, variables: &Variables<'_>, raw_key: bool) -> Option<KeySource> {
    let file = section.removable("password_file", Show::Value, |text| path(base, text));
    let env = variables.name(section, "password_env", variable_name);
    if raw_key {
        for (key, given) in [("password_file", file.is_some()), ("password_env", env.is_some())] {
            if given {
                section.complain(key, "it belongs to wallet.keystore; a raw key (wallet.key_env) has no password");
            }
        }
    }
    if section.wrong("password_file") || section.wrong("password_env") {
        return None;
    }
    match (file, env) {
        (Some(_), Some(_)) => {
            section.complain("password_file", "wallet.password_env is given too: give one of the two at most");
            None
        }
        (Some(file), None) => Some(KeySource::File(file)),
        (None, name) => {
            let name = name.unwrap_or_else(|| PASSWORD_VARIABLE.to_owned());
            Some(KeySource::Variable { value: variables.held(&name), name })
        }
    }
}

/// Reads `[funding]`. Without known decimals the most that can be are assumed: the token's own problem is told already.
pub(super) fn funding(mut section: Section<'_>, decimals: Option<u8>, has_wallet: bool) -> Option<FundingSettings> {
    let enabled = section.flag("enabled", false);
    if enabled == Some(true) && !has_wallet {
        let text = "funding needs a wallet: give [wallet] with wallet.keystore, or set funding.enabled = false";
        section.complain("enabled", text);
    }
    let auto = section.flag("auto", false);
    let limits = limits(&mut section, decimals.unwrap_or(30));
    let fees = fees(&mut section);
    let max_in_flight = section.number("max_in_flight", Some(16), 1..=64);
    let hold_check = section.span("hold_check", secs(15), ms(50)..=HOUR);
    let bump_after = section.span("bump_after", secs(20), ms(100)..=HOUR);
    let rebroadcast_after = section.span("rebroadcast_after", secs(30), ms(100)..=HOUR);
    let poll_interval = section.span("poll_interval", secs(2), ms(50)..=secs(300));
    let approval_valid_for = section.span("approval_valid_for", DAY, secs(60)..=MONTH);
    section.finish(
        "enabled, auto, auto_max_per_day, max_per_payment, max_per_day, max_per_recipient, approval_above, \
         approval_above_per_day, allowed_recipients, allowed_bank_accounts, allowed_addresses, min_time_left, reserve_token, reserve_native, tip_floor_gwei, max_fee_gwei, \
         gas_limit_max, max_in_flight, hold_check, bump_after, rebroadcast_after, poll_interval, approval_valid_for",
    );
    let ((limits, reserve_token), fees) = (limits?, fees?);
    Some(FundingSettings {
        limits: SpendLimits { enabled: enabled?, auto: auto?, ..limits },
        reserve_token,
        reserve_native: fees.reserve,
        tip_floor: fees.tip_floor,
        max_fee: fees.max_fee,
        gas_limit_max: fees.gas_limit_max,
        max_in_flight: usize::try_from(max_in_flight?).ok()?,
        hold_check: hold_check?,
        bump_after: bump_after?,
        rebroadcast_after: rebroadcast_after?,
        poll_interval: poll_interval?,
        approval_valid_for: approval_valid_for?,
    })
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// The rules, and how much of the token stays in the wallet. Whether anything is sent, and by itself, the caller knows.
fn limits(section: &mut Section<'_>, decimals: u8) -> Option<(SpendLimits, Amount)> {
    let amount = |text: &str| Amount::from_person(text, decimals).map_err(|error| error.to_string());
    let whole = |units: u128| 10_u128.checked_pow(u32::from(decimals)).and_then(|unit| unit.checked_mul(units));
    let mut limit = |key: &str, default: u128| {
        let default = whole(default).map(Amount::from_base_units).unwrap_or_default();
        section.or(key, default, amount)
    };
    let per_payment = limit("max_per_payment", 100);
    let per_day = limit("max_per_day", 500);
    let per_recipient = limit("max_per_recipient", 200);
    let approval_above = limit("approval_above", 50);
    let reserve = limit("reserve_token", 0);
    let times = |amount: Amount| amount.base_units().saturating_mul(APPROVAL_TIMES_PER_DAY);
    let by_default = approval_above.map(times).map(Amount::from_base_units).unwrap_or_default();
    let approval_above_per_day = section.or("approval_above_per_day", by_default, amount);
    let auto_max_per_day = section.removable("auto_max_per_day", Show::Value, amount);
    let allowed_recipients = section.texts("allowed_recipients", MAX_ALLOWED, id::<RecipientId>);
    let allowed_bank_accounts = section.texts("allowed_bank_accounts", MAX_ALLOWED, id::<BankAccountId>);
    let allowed_addresses = section.texts("allowed_addresses", MAX_ALLOWED, address);
    let min_time_left = section.span("min_time_left", secs(900), Span::ZERO..=DAY);
    if per_payment == Some(Amount::ZERO) {
        section.complain("max_per_payment", "it must be more than 0: to send nothing, set funding.enabled = false");
    }
    for (key, larger) in [("max_per_day", per_day), ("max_per_recipient", per_recipient)] {
        if let (Some(one), Some(many)) = (per_payment, larger)
            && many < one
        {
            let one = one.to_decimal(decimals);
            let text = format!("it must not be less than max_per_payment ({one}): that much could never be sent");
            section.complain(key, text);
        }
    }
    if section.wrong("auto_max_per_day") {
        return None;
    }
    let limits = SpendLimits {
        enabled: false,
        auto: false,
        auto_max_per_day,
        max_per_payment: per_payment?,
        max_per_day: per_day?,
        max_per_recipient: per_recipient?,
        approval_above: approval_above?,
        approval_above_per_day: approval_above_per_day?,
        allowed_recipients: allowed_recipients?.into_iter().collect(),
        allowed_bank_accounts: allowed_bank_accounts?.into_iter().collect(),
        allowed_addresses: allowed_addresses?.into_iter().collect(),
        min_time_left: min_time_left?,
    };
    Some((limits, reserve?))
}

struct Fees {
    reserve: Wei,
    tip_floor: Wei,
    max_fee: Wei,
    gas_limit_max: u64,
}

fn fees(section: &mut Section<'_>) -> Option<Fees> {
    let gwei = |text: &str| {
        let price = Wei::from_person_gwei(text).map_err(|error| error.to_string())?;
        if price <= Wei::from_gwei(MAX_GWEI) {
            return Ok(price);
        }
        Err(format!("it must be at most {MAX_GWEI} gwei"))
    };
    // Half a coin is 500 million gwei.
    let reserve = section.or("reserve_native", Wei::from_gwei(500_000_000), |text| {
        Wei::from_person_native(text).map_err(|error| error.to_string())
    });
    let tip_floor = section.or("tip_floor_gwei", Wei::from_gwei(30), gwei);
    let max_fee = section.or("max_fee_gwei", Wei::from_gwei(500), gwei);
    if max_fee == Some(Wei::ZERO) {
        section.complain("max_fee_gwei", "it must be more than 0: no node takes a transaction for nothing");
    }
    if let (Some(tip), Some(most)) = (tip_floor, max_fee)
        && most < tip
    {
        let text = format!("it must not be less than tip_floor_gwei ({}), which is a part of it", tip.to_gwei());
        section.complain("max_fee_gwei", text);
    }
    let gas_limit_max = section.number("gas_limit_max", Some(150_000), MIN_GAS_LIMIT..=5_000_000);
    Some(Fees { reserve: reserve?, tip_floor: tip_floor?, max_fee: max_fee?, gas_limit_max: gas_limit_max? })
}
