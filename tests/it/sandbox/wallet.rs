//! The sandbox's own wallet: its key and address, its money, its configuration.

use alloy::signers::local::PrivateKeySigner;
use rampwatch::config::{Settings, WalletKey};
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::{
    Anvil, AnvilOptions, BlockTag, CHAIN_ID, DEV_ACCOUNTS, PAYER, RunOptions, Sandbox, USDC, WALLET, WALLET_FUNDS,
    WALLET_GAS_MONEY, WALLET_KEY_ENV, WalletConfig, check_key, wallet_key, wallet_variable,
};

use secrecy::ExposeSecret as _;

use super::rogue::{Deed, Rogue};
use super::{furnished, mine_for, stranger, usdc};

#[test]
fn its_address_is_the_key_s_and_no_account_of_anvil() {
    let signer: PrivateKeySigner = wallet_key().parse().unwrap();
    assert_eq!(signer.address(), WALLET);
    assert!(!DEV_ACCOUNTS.contains(&WALLET));
    assert_eq!(wallet_variable(), (WALLET_KEY_ENV.to_owned(), wallet_key()));
}

#[test]
fn the_sandbox_takes_no_key_but_its_own_and_no_other_chain_takes_that() {
    check_key(CHAIN_ID, WALLET).unwrap();
    check_key(137, PAYER).unwrap();
    let foreign = check_key(CHAIN_ID, PAYER).unwrap_err().to_string();
    assert!(foreign.contains(&PAYER.to_string()) && foreign.contains(WALLET_KEY_ENV), "{foreign}");
    for real in [1, 137, 80_002] {
        let public = check_key(real, WALLET).unwrap_err().to_string();
        assert!(public.contains(&format!("chain {real}")) && public.contains("everybody knows"), "{public}");
    }
    for text in [foreign, format!("{:?}", check_key(137, WALLET))] {
        assert!(!text.contains(wallet_key().trim_start_matches("0x")), "{text}");
    }
}

#[tokio::test]
async fn it_has_money_on_a_fresh_chain_and_can_send_it() {
    let anvil = furnished().await;
    let node = anvil.node();
    assert_eq!(node.balance(USDC, WALLET).await.unwrap(), WALLET_FUNDS);
    assert_eq!(node.native_balance(WALLET).await.unwrap(), WALLET_GAS_MONEY);
    assert_eq!(node.transaction_count(WALLET, BlockTag::Latest).await.unwrap(), 0);
    let sent = Rogue::of_wallet().send(node, &Deed::transfer(0, stranger(1), usdc(3))).await.unwrap();
    assert!(mine_for(node, sent).await.succeeded);
    assert_eq!(node.balance(USDC, stranger(1)).await.unwrap(), usdc(3));
}

#[tokio::test]
async fn it_has_money_and_a_clean_record_on_a_fork_whatever_others_did_with_its_key() {
    let source = furnished().await;
    let sent = Rogue::of_wallet().send(source.node(), &Deed::transfer(0, stranger(1), usdc(3))).await.unwrap();
    mine_for(source.node(), sent).await;
    source.node().set_native_balance(WALLET, Wei::ZERO).await.unwrap();
    source.node().mine(1).await.unwrap();
    let options = AnvilOptions { fork_url: Some(source.node().http_url().to_string()), ..AnvilOptions::default() };
    let fork = Anvil::start(&options).await.unwrap();
    assert_eq!(fork.node().transaction_count(WALLET, BlockTag::Latest).await.unwrap(), 1);
    fork.node().furnish_fork().await.unwrap();
    assert_eq!(fork.node().transaction_count(WALLET, BlockTag::Latest).await.unwrap(), 0);
    assert_eq!(fork.node().balance(USDC, WALLET).await.unwrap(), WALLET_FUNDS);
    assert_eq!(fork.node().native_balance(WALLET).await.unwrap(), WALLET_GAS_MONEY);
}

#[tokio::test]
async fn the_configuration_names_it_when_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let wallet = WalletConfig { auto: true, more: vec!["last = 1".to_owned()], ..WalletConfig::default() };
    let options = RunOptions { directory: folder.path().to_owned(), wallet: Some(wallet), ..RunOptions::default() };
    let sandbox = Sandbox::start(&options).await.unwrap();
    let text = std::fs::read_to_string(sandbox.config_path()).unwrap();
    let config: toml::Table = text.parse().unwrap();
    assert_eq!(config["wallet"]["key_env"].as_str(), Some(WALLET_KEY_ENV));
    assert_eq!(config["wallet"]["address"].as_str(), Some(WALLET.to_string().as_str()));
    let funding = &config["funding"];
    assert_eq!((funding["enabled"].as_bool(), funding["auto"].as_bool()), (Some(true), Some(true)));
    assert_eq!(funding["allowed_bank_accounts"].as_array().unwrap()[0].as_str(), Some("bank-1"));
    assert_eq!(funding["last"].as_integer(), Some(1));
    assert!(!text.contains(wallet_key().trim_start_matches("0x")), "the key is in the environment alone");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn rampwatch_takes_the_configuration_with_the_key_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let wallet = Some(WalletConfig::default());
    let options = RunOptions { directory: folder.path().to_owned(), wallet, ..RunOptions::default() };
    let sandbox = Sandbox::start(&options).await.unwrap();
    let settings = Settings::load(Some(&sandbox.config_path()), std::iter::once(wallet_variable())).unwrap();
    let wallet = settings.wallet.as_ref().unwrap();
    check_key(settings.chain.id, wallet.address.unwrap()).unwrap();
    let WalletKey::Raw { variable, key } = &wallet.key else { panic!("{wallet:?}") };
    assert_eq!((variable.as_str(), key.as_ref().unwrap().expose_secret()), (WALLET_KEY_ENV, wallet_key().as_str()));
    assert!(settings.funding.limits.enabled && settings.funding.limits.max_per_payment == usdc(100_000));
    assert_eq!((settings.funding.max_in_flight, settings.funding.max_fee), (16, Wei::from_gwei(1_000)));
    sandbox.stop().await.unwrap();
}
