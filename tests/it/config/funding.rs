//! `[wallet]` and `[funding]`: off unless configured, and every refusal.

use std::path::Path;

use rampwatch::config::{ConfigError, EXAMPLE, FundingSettings, KeySource, PASSWORD_VARIABLE, Settings, WalletKey};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::time::Span;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::rules::SpendLimits;
use secrecy::ExposeSecret as _;

use super::{LEAST, read};

const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const RAW_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// The example with a wallet.
fn with_wallet(wallet: &str) -> String {
    format!("{EXAMPLE}\n[wallet]\n{wallet}")
}

/// The keystore of these settings, and where its password comes from.
fn keystore(settings: &Settings) -> (&Path, &KeySource) {
    match &settings.wallet.as_ref().unwrap().key {
        WalletKey::Keystore { file, password } => (file, password),
        WalletKey::Raw { .. } => panic!("it is a raw key"),
    }
}

const fn units(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

#[test]
fn without_a_wallet_nothing_is_sent() {
    let expected = FundingSettings {
        limits: SpendLimits {
            enabled: false,
            auto: false,
            auto_max_per_day: None,
            max_per_payment: units(100),
            max_per_day: units(500),
            max_per_recipient: units(200),
            approval_above: units(50),
            approval_above_per_day: units(200),
            allowed_recipients: [].into(),
            allowed_bank_accounts: [].into(),
            allowed_addresses: [].into(),
            min_time_left: Span::from_secs(900),
        },
        reserve_token: Amount::ZERO,
        reserve_native: Wei::new(500_000_000_000_000_000),
        tip_floor: Wei::from_gwei(30),
        max_fee: Wei::from_gwei(500),
        gas_limit_max: 150_000,
        max_in_flight: 16,
        approval_valid_for: Span::from_secs(86_400),
        hold_check: Span::from_secs(15),
        bump_after: Span::from_secs(20),
        rebroadcast_after: Span::from_secs(30),
        poll_interval: Span::from_secs(2),
    };
    for text in [LEAST, EXAMPLE] {
        let settings = read(text, &[]).unwrap();
        assert!(settings.wallet.is_none());
        assert_eq!(settings.funding, expected);
        settings.refuse_mixed_rehearsal().unwrap();
    }
    let error = read(EXAMPLE, &[("RAMPWATCH__FUNDING__ENABLED", "true")]).unwrap_err().to_string();
    assert!(error.contains("funding.enabled = true (from RAMPWATCH__FUNDING__ENABLED)"), "{error}");
    assert!(error.contains("wallet.keystore"), "{error}");
}

#[test]
fn the_commented_example_of_a_wallet_reads_well() {
    // What is commented out in the example, made real; of alternatives the first.
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let start = lines.iter().position(|line| *line == "# [wallet]").unwrap();
    let section: Vec<&str> = lines[start..].iter().take_while(|line| !line.is_empty()).map(|line| &line[2..]).collect();
    let known =
        ["keystore", "password_file", "password_env", "key_env", "address", "allow_development_api_key_on_live_chain"];
    for key in known {
        assert!(section.iter().any(|line| line.starts_with(&format!("{key} = "))), "{key} in {section:?}");
    }
    let alternatives = ["password_env", "key_env", "address"];
    let chosen: Vec<&str> =
        section.into_iter().filter(|line| !alternatives.iter().any(|key| line.starts_with(key))).collect();
    let settings = read(&format!("{EXAMPLE}\n{}", chosen.join("\n")), &[]).unwrap();
    let (file, password) = keystore(&settings);
    assert_eq!(file, Path::new("/etc/rampwatch/wallet.json"));
    assert!(matches!(password, KeySource::File(file) if file == Path::new("/etc/rampwatch/wallet-password")));
    assert!(!settings.wallet.unwrap().allow_development_api_key_on_live_chain);
}

#[test]
fn everything_can_be_set_by_variables() {
    let settings = read(
        LEAST,
        &[
            ("RAMPWATCH__WALLET__KEYSTORE", "/keys/wallet.json"),
            ("RAMPWATCH__WALLET__ADDRESS", ADDRESS),
            ("RAMPWATCH__WALLET__ALLOW_DEVELOPMENT_API_KEY_ON_LIVE_CHAIN", "true"),
            ("RAMPWATCH_WALLET_PASSWORD", "pass word\n"),
            ("RAMPWATCH__FUNDING__ENABLED", "true"),
            ("RAMPWATCH__FUNDING__AUTO", "true"),
            ("RAMPWATCH__FUNDING__MAX_PER_PAYMENT", "1000.5"),
            ("RAMPWATCH__FUNDING__MAX_PER_DAY", "2000"),
            ("RAMPWATCH__FUNDING__MAX_PER_RECIPIENT", "1000.5"),
            ("RAMPWATCH__FUNDING__AUTO_MAX_PER_DAY", "750"),
            ("RAMPWATCH__FUNDING__APPROVAL_ABOVE", "0"),
            ("RAMPWATCH__FUNDING__APPROVAL_ABOVE_PER_DAY", "900"),
            ("RAMPWATCH__FUNDING__ALLOWED_ADDRESSES", &format!("[\"{ADDRESS}\"]")),
            ("RAMPWATCH__FUNDING__ALLOWED_RECIPIENTS", "[\"rec-1\", \"rec-2\"]"),
            ("RAMPWATCH__FUNDING__ALLOWED_BANK_ACCOUNTS__0", "bank-1"),
            ("RAMPWATCH__FUNDING__MIN_TIME_LEFT", "0s"),
            ("RAMPWATCH__FUNDING__RESERVE_TOKEN", "25"),
            ("RAMPWATCH__FUNDING__RESERVE_NATIVE", "1.25"),
            ("RAMPWATCH__FUNDING__TIP_FLOOR_GWEI", "0.000000001"),
            ("RAMPWATCH__FUNDING__MAX_FEE_GWEI", "0.000000001"),
            ("RAMPWATCH__FUNDING__GAS_LIMIT_MAX", "65_000"),
            ("RAMPWATCH__FUNDING__MAX_IN_FLIGHT", "64"),
            ("RAMPWATCH__FUNDING__HOLD_CHECK", "1s"),
            ("RAMPWATCH__FUNDING__BUMP_AFTER", "300ms"),
            ("RAMPWATCH__FUNDING__REBROADCAST_AFTER", "5s"),
            ("RAMPWATCH__FUNDING__POLL_INTERVAL", "100ms"),
        ],
    )
    .unwrap();
    let wallet = settings.wallet.as_ref().unwrap();
    assert_eq!(wallet.address.unwrap().to_string(), ADDRESS);
    assert!(wallet.allow_development_api_key_on_live_chain);
    assert_eq!(wallet.secret().unwrap().expose_secret(), "pass word");
    let (file, password) = keystore(&settings);
    assert_eq!(file, Path::new("/keys/wallet.json"));
    assert!(matches!(password, KeySource::Variable { name, .. } if name == PASSWORD_VARIABLE));
    let expected = FundingSettings {
        limits: SpendLimits {
            enabled: true,
            auto: true,
            auto_max_per_day: Some(units(750)),
            max_per_payment: Amount::from_base_units(1_000_500_000),
            max_per_day: units(2_000),
            max_per_recipient: Amount::from_base_units(1_000_500_000),
            approval_above: Amount::ZERO,
            approval_above_per_day: units(900),
            allowed_recipients: ["rec-1".parse().unwrap(), "rec-2".parse().unwrap()].into(),
            allowed_bank_accounts: ["bank-1".parse().unwrap()].into(),
            allowed_addresses: [ADDRESS.parse().unwrap()].into(),
            min_time_left: Span::ZERO,
        },
        reserve_token: units(25),
        reserve_native: Wei::new(1_250_000_000_000_000_000),
        tip_floor: Wei::new(1),
        max_fee: Wei::new(1),
        gas_limit_max: 65_000,
        max_in_flight: 64,
        approval_valid_for: Span::from_secs(86_400),
        hold_check: Span::from_secs(1),
        bump_after: Span::from_millis(300),
        rebroadcast_after: Span::from_secs(5),
        poll_interval: Span::from_millis(100),
    };
    assert_eq!(settings.funding, expected);
}

#[test]
fn each_mistake_of_funding_names_key_value_and_remedy() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("ENABLED", "yes", &["funding.enabled = \"yes\"", "true or false"]),
        ("ENABLED", "\"true\"", &["true or false, without quotes"]),
        ("AUTO", "1", &["funding.auto = 1", "true or false"]),
        ("MAX_PER_PAYMENT", "0", &["funding.max_per_payment = 0", "more than 0", "funding.enabled"]),
        ("MAX_PER_PAYMENT", "-1", &["sign"]),
        ("MAX_PER_PAYMENT", "1e3", &["plain decimal"]),
        ("MAX_PER_PAYMENT", "0.0000001", &["more than 6 decimals"]),
        ("MAX_PER_PAYMENT", "200.000001", &["funding.max_per_recipient", "max_per_payment (200.000001)"]),
        ("MAX_PER_DAY", "99.999999", &["funding.max_per_day = 99.999999", "max_per_payment (100.00)"]),
        ("MAX_PER_RECIPIENT", "0", &["funding.max_per_recipient = 0", "max_per_payment (100.00)"]),
        ("APPROVAL_ABOVE", "all", &["funding.approval_above = \"all\""]),
        ("RESERVE_TOKEN", "", &["funding.reserve_token", "empty"]),
        ("RESERVE_NATIVE", "0.0000000000000000001", &["more than 18 decimals"]),
        ("TIP_FLOOR_GWEI", "0.0000000001", &["more than 9 decimals"]),
        ("TIP_FLOOR_GWEI", "501", &["funding.max_fee_gwei", "tip_floor_gwei (501"]),
        ("MAX_FEE_GWEI", "29.9", &["funding.max_fee_gwei = 29.9", "tip_floor_gwei (30"]),
        ("MAX_FEE_GWEI", "1000001", &["at most 1000000 gwei"]),
        ("GAS_LIMIT_MAX", "64999", &["funding.gas_limit_max = 64999", "between 65000 and"]),
        ("MAX_IN_FLIGHT", "0", &["between 1 and 64"]),
        ("MAX_IN_FLIGHT", "65", &["between 1 and 64"]),
        ("MIN_TIME_LEFT", "2d", &["between 0ms and 1d"]),
        ("HOLD_CHECK", "0s", &["between 50ms and 1h"]),
        ("BUMP_AFTER", "20", &["no span of time"]),
        ("REBROADCAST_AFTER", "1d", &["between 100ms and 1h"]),
        ("POLL_INTERVAL", "10m", &["between 50ms and 5m"]),
        ("ALLOWED_RECIPIENTS", "rec-1", &["funding.allowed_recipients", "list of texts"]),
        ("ALLOWED_RECIPIENTS", "[\"a b\"]", &["funding.allowed_recipients[0] = \"a b\"", "no recipient"]),
        ("ALLOWED_RECIPIENTS", "[\"a\", 1]", &["funding.allowed_recipients[1] = 1", "quotes"]),
        ("ALLOWED_BANK_ACCOUNTS", "[\"a\", \"a\"]", &["funding.allowed_bank_accounts[1] = \"a\"", "twice"]),
        ("ALLOWED_BANK_ACCOUNTS__1", "a", &["without gaps"]),
        ("MAX_PER_PAYMNT", "1", &["funding.max_per_paymnt", "no such key", "max_per_payment"]),
    ];
    for (name, value, expected) in cases {
        let variable = format!("RAMPWATCH__FUNDING__{name}");
        let error = read(EXAMPLE, &[(&variable, value)]).unwrap_err().to_string();
        assert!(error.contains("has a problem:"), "one problem only: {error}");
        for part in *expected {
            // The name of an id's kind is the domain's; only that it is named counts.
            let part = part.replace("no recipient", "is no ");
            assert!(error.contains(&part), "{error}\nmust contain {part:?}");
        }
    }
    let many: Vec<String> = (0..1_001).map(|at| format!("\"r{at}\"")).collect();
    let list = format!("[{}]", many.join(","));
    let error = read(EXAMPLE, &[("RAMPWATCH__FUNDING__ALLOWED_RECIPIENTS", &list)]).unwrap_err().to_string();
    assert!(error.contains("at most 1000 items"), "{error}");
}

#[test]
fn each_mistake_of_the_wallet_names_key_and_remedy() {
    let checksum = ADDRESS.replace("0xf39F", "0xf39f");
    let cases: &[(&str, &[&str])] = &[
        ("", &["wallet.keystore: it is missing", "wallet new", "leave [wallet] out"]),
        ("keystore = \"\"", &["wallet.keystore", "must be a path"]),
        ("keystore = \"~/wallet.json\"", &["wallet.keystore", "in full"]),
        ("keystore = \"w\"\nkey_env = \"K\"", &["wallet.key_env", "exactly one"]),
        ("key_env = \"K\"", &["wallet.key_env", "chain 137 (chain.id) is live", "wallet.keystore"]),
        ("keystore = \"w\"\npassword_file = \"p\"\npassword_env = \"P\"", &["wallet.password_file", "one of the two"]),
        ("keystore = \"w\"\npassword_env = \"not a name\"", &["wallet.password_env (line", "name of an environment"]),
        ("keystore = \"w\"\npassword = \"hunter22\"", &["wallet.password (line", "no such key", "password_file"]),
        ("keystore = \"w\"\naddress = \"0x12\"", &["wallet.address = \"0x12\"", "40 hexadecimal"]),
        (&format!("keystore = \"w\"\naddress = \"{checksum}\""), &["wallet.address", "checksum (EIP-55)"]),
        ("keystore = \"w\"\nallow_development_api_key_on_live_chain = \"yes\"", &["true or false"]),
    ];
    for (wallet, expected) in cases {
        let error = read(&with_wallet(wallet), &[]).unwrap_err().to_string();
        assert!(error.contains("has a problem:"), "{wallet}: {error}");
        for part in *expected {
            assert!(error.contains(part), "{error}\nmust contain {part:?}");
        }
        assert!(!error.contains("hunter22"), "{error}");
    }
    let test_chain = ("RAMPWATCH__CHAIN__ID", "80002");
    let error = read(&with_wallet("key_env = \"K\"\npassword_file = \"p\""), &[test_chain]).unwrap_err().to_string();
    assert!(error.contains("wallet.password_file") && error.contains("no password"), "{error}");
    for key in [RAW_KEY.to_owned(), format!("0x{RAW_KEY}")] {
        let error = read(&with_wallet(&format!("key_env = \"{key}\"")), &[test_chain]).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("looks like the key itself") && !said.contains(&RAW_KEY[..8]), "{said}");
    }
    let removed = ("RAMPWATCH__WALLET__PASSWORD_FILE", "");
    let settings = read(&with_wallet("keystore = \"w\"\npassword_file = \"p\""), &[removed]).unwrap();
    assert!(matches!(keystore(&settings).1, KeySource::Variable { .. }), "an empty variable takes the file away");
}

#[test]
fn a_secret_comes_from_a_variable_and_shows_up_nowhere() {
    let secret = |wallet: &str, env: &[(&str, &str)]| {
        let settings = read(&with_wallet(wallet), env).unwrap();
        let shown = format!("{settings:?} {settings:#?}");
        assert!(!shown.contains("SECRET"), "{shown}");
        settings.wallet.unwrap().secret().map(|secret| secret.expose_secret().to_owned())
    };
    let keystore = "keystore = \"w\"";
    assert_eq!(secret(keystore, &[(PASSWORD_VARIABLE, "a SECRET\r\n")]).unwrap(), "a SECRET");
    let named = "keystore = \"w\"\npassword_env = \"OTHER\"";
    assert_eq!(secret(named, &[("OTHER", "ö SECRET"), (PASSWORD_VARIABLE, "x")]).unwrap(), "ö SECRET");
    assert_eq!(secret(keystore, &[]).unwrap_err(), ConfigError::NoPassword(PASSWORD_VARIABLE.to_owned()));
    let raw = "key_env = \"REHEARSAL\"";
    let chain = ("RAMPWATCH__CHAIN__ID", "1337137");
    assert_eq!(secret(raw, &[chain, ("REHEARSAL", "SECRET\n")]).unwrap(), "SECRET");
    let unset = secret(raw, &[chain]).unwrap_err().to_string();
    assert!(unset.contains("REHEARSAL") && unset.contains("wallet.key_env"), "{unset}");
    for bad in ["", "\n", "SECRET\nSECRET", &"SECRET".repeat(1_000)] {
        let error = secret(keystore, &[(PASSWORD_VARIABLE, bad)]).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("wallet.password_env") && !said.contains("SECRET"), "{said}");
    }
}

#[test]
fn s10_a_development_api_key_with_real_money_is_refused() {
    let check = |wallet: &str, env: &[(&str, &str)]| {
        let env: Vec<_> = [("RAMPWATCH_API_KEY", "sk_dev_SECRET")].iter().chain(env).copied().collect();
        read(&with_wallet(wallet), &env).unwrap().refuse_mixed_rehearsal()
    };
    let keystore = "keystore = \"w\"";
    let error = check(keystore, &[]).unwrap_err();
    assert_eq!(error, ConfigError::MixedRehearsal { chain_id: 137 });
    let said = error.to_string();
    for part in ["wallet.allow_development_api_key_on_live_chain", "[wallet]", "chain.id = 137", "api.key_env"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("SECRET"), "{said}");
    check(&format!("{keystore}\nallow_development_api_key_on_live_chain = true"), &[]).unwrap();
    // S10: every chain is live that is not known to be play, or said to be.
    let elsewhere = check(keystore, &[("RAMPWATCH__CHAIN__ID", "80002")]).unwrap_err();
    assert!(elsewhere.to_string().contains("chain.live = false"), "{elsewhere}");
    check(keystore, &[("RAMPWATCH__CHAIN__ID", "80002"), ("RAMPWATCH__CHAIN__LIVE", "false")]).unwrap();
    check(keystore, &[("RAMPWATCH__CHAIN__ID", "31337")]).unwrap();
    check(keystore, &[("RAMPWATCH__API__KEY_ENV", "LIVE"), ("LIVE", "sk_live_1")]).unwrap();
    assert!(matches!(check(keystore, &[("RAMPWATCH__API__KEY_ENV", "NONE")]), Err(ConfigError::Key(_))));
    let without = read(EXAMPLE, &[("RAMPWATCH_API_KEY", "sk_dev_1")]).unwrap();
    without.refuse_mixed_rehearsal().unwrap();
}
