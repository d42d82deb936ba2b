//! The test token on a real anvil.

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::time::Timestamp;
use rampwatch::sandbox::token::{Authorization, BatchItem, TokenSpec};
use rampwatch::sandbox::{DEV_ACCOUNTS, FAKE_USDC, MASTER, Node, PAYER, RELAYER, USDC, USDC_E};

use super::{furnished, mine_for, stranger, usdc};

alloy::sol!(Usdc, "abi/usdc.json");
alloy::sol! {
    function mint(address to, uint256 amount) returns (bool);
    function burn(uint256 amount);
    function initialize(string name, string symbol, string version, uint8 decimals, address master);
    function pause();
    function blacklist(address account);
    function receiveWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
        bytes32 nonce, uint8 v, bytes32 r, bytes32 s);
}

/// The reason with which a call reverts.
async fn reason(node: &Node, from: Address, call: impl SolCall) -> String {
    node.read(from, USDC, call.abi_encode().into()).await.expect_err("it should revert").to_string()
}

/// What a view of the token answers.
async fn view<C: SolCall>(node: &Node, call: C) -> C::Return {
    let answer = node.read(PAYER, USDC, call.abi_encode().into()).await.unwrap();
    C::abi_decode_returns(&answer).unwrap()
}

#[tokio::test]
async fn it_says_what_usdc_says_and_moves_money() {
    let anvil = furnished().await;
    let node = anvil.node();
    assert_eq!(view(node, Usdc::nameCall {}).await, "USD Coin");
    assert_eq!(view(node, Usdc::symbolCall {}).await, "USDC");
    assert_eq!(view(node, Usdc::versionCall {}).await, "2");
    assert_eq!(view(node, Usdc::decimalsCall {}).await, 6);
    assert!(view(node, Usdc::isBlacklistedCall { account: USDC }).await, "the token refuses to be its own recipient");
    let before = node.balance(USDC, PAYER).await.unwrap();
    let tx_hash = node.transfer(USDC, PAYER, stranger(1), usdc(25)).await.unwrap();
    let receipt = mine_for(node, tx_hash).await;
    assert!(receipt.succeeded);
    let [transfer] = &receipt.transfers[..] else { panic!("{receipt:?}") };
    assert_eq!((transfer.token, transfer.from, transfer.to, transfer.amount), (USDC, PAYER, stranger(1), usdc(25)));
    assert_eq!(node.balance(USDC, stranger(1)).await.unwrap(), usdc(25));
    assert_eq!(node.balance(USDC, PAYER).await.unwrap(), before.checked_sub(usdc(25)).unwrap());
    let too_much = Usdc::transferCall { to: PAYER, value: U256::from(1) };
    assert!(reason(node, stranger(2), too_much).await.contains("ERC20: transfer amount exceeds balance"));
    let to_zero = Usdc::transferCall { to: Address::ZERO, value: U256::from(1) };
    assert!(reason(node, PAYER, to_zero).await.contains("ERC20: transfer to the zero address"));
    let to_itself = Usdc::transferCall { to: USDC, value: U256::from(1) };
    assert!(reason(node, PAYER, to_itself).await.contains("Blacklistable: account is blacklisted"));
    let unallowed = Usdc::transferFromCall { from: PAYER, to: stranger(1), value: U256::from(1) };
    assert!(reason(node, stranger(2), unallowed).await.contains("ERC20: transfer amount exceeds allowance"));
}

#[tokio::test]
async fn only_the_master_mints_burns_pauses_and_blacklists_and_only_once_is_it_initialised() {
    let anvil = furnished().await;
    let node = anvil.node();
    let minted = mine_for(node, node.mint(USDC, stranger(1), usdc(3)).await.unwrap()).await;
    assert_eq!(minted.transfers[0].from, Address::ZERO);
    let burnt = mine_for(node, node.burn(USDC, usdc(1)).await.unwrap()).await;
    assert_eq!((burnt.transfers[0].from, burnt.transfers[0].to), (MASTER, Address::ZERO));
    let mint = mintCall { to: PAYER, amount: U256::from(1) };
    assert!(reason(node, PAYER, mint).await.contains("FiatToken: caller is not a minter"));
    assert!(reason(node, PAYER, burnCall { amount: U256::from(1) }).await.contains("not a minter"));
    assert!(reason(node, PAYER, pauseCall {}).await.contains("Pausable: caller is not the pauser"));
    let blacklist = blacklistCall { account: MASTER };
    assert!(reason(node, PAYER, blacklist).await.contains("Blacklistable: caller is not the blacklister"));
    let again = initializeCall {
        name: String::new(),
        symbol: String::new(),
        version: String::new(),
        decimals: 6,
        master: PAYER,
    };
    assert!(reason(node, MASTER, again).await.contains("already initialized"));
    assert!(node.deploy_token(USDC, &TokenSpec::usdc()).await.is_err(), "there is a token already");
}

#[tokio::test]
async fn paused_and_blacklisted_transfers_revert_in_a_block() {
    let anvil = furnished().await;
    let node = anvil.node();
    let transfer = Usdc::transferCall { to: stranger(1), value: U256::from(5) };
    mine_for(node, node.set_paused(USDC, true).await.unwrap()).await;
    assert!(view(node, Usdc::pausedCall {}).await);
    assert!(reason(node, PAYER, transfer.clone()).await.contains("Pausable: paused"));
    let reverted = mine_for(node, node.transfer(USDC, PAYER, stranger(1), usdc(1)).await.unwrap()).await;
    assert!(!reverted.succeeded && reverted.transfers.is_empty());
    mine_for(node, node.set_paused(USDC, false).await.unwrap()).await;
    for account in [PAYER, stranger(1)] {
        mine_for(node, node.set_blacklisted(USDC, account, true).await.unwrap()).await;
        assert!(view(node, Usdc::isBlacklistedCall { account }).await);
        assert!(reason(node, PAYER, transfer.clone()).await.contains("Blacklistable: account is blacklisted"));
        assert!(!mine_for(node, node.transfer(USDC, PAYER, stranger(1), usdc(1)).await.unwrap()).await.succeeded);
        mine_for(node, node.set_blacklisted(USDC, account, false).await.unwrap()).await;
    }
    assert!(node.balance(USDC, PAYER).await.unwrap() > usdc(1), "a blacklisted balance stays");
    assert!(mine_for(node, node.transfer(USDC, PAYER, stranger(1), usdc(1)).await.unwrap()).await.succeeded);
}

#[tokio::test]
async fn a_relayer_moves_what_the_owner_signed_once() {
    let anvil = furnished().await;
    let node = anvil.node();
    let allowed = Authorization::any_time(USDC, PAYER, stranger(1), usdc(40), B256::repeat_byte(7));
    let signed = node.authorize(&TokenSpec::usdc(), allowed).await.unwrap();
    let receipt = mine_for(node, node.transfer_with_authorization(RELAYER, &signed).await.unwrap()).await;
    assert!(receipt.succeeded);
    assert_eq!((receipt.transfers[0].from, receipt.transfers[0].amount), (PAYER, usdc(40)));
    assert!(view(node, Usdc::authorizationStateCall { _0: PAYER, _1: allowed.nonce }).await);
    let again = mine_for(node, node.transfer_with_authorization(RELAYER, &signed).await.unwrap()).await;
    assert!(!again.succeeded, "an authorisation works once");

    let mut forged = node.authorize(&TokenSpec::usdc(), Authorization { nonce: B256::ZERO, ..allowed }).await.unwrap();
    forged.authorization.amount = usdc(41);
    assert!(!mine_for(node, node.transfer_with_authorization(RELAYER, &forged).await.unwrap()).await.succeeded);
    let other_domain =
        node.authorize(&TokenSpec::usdc_e(), Authorization { nonce: B256::ZERO, ..allowed }).await.unwrap();
    assert!(!mine_for(node, node.transfer_with_authorization(RELAYER, &other_domain).await.unwrap()).await.succeeded);

    let late = Authorization { valid_before: Timestamp::from_secs(1), nonce: B256::repeat_byte(8), ..allowed };
    let late = node.authorize(&TokenSpec::usdc(), late).await.unwrap();
    assert!(!mine_for(node, node.transfer_with_authorization(RELAYER, &late).await.unwrap()).await.succeeded);

    let cancelled = Authorization { nonce: B256::repeat_byte(9), ..allowed };
    let signed = node.authorize(&TokenSpec::usdc(), cancelled).await.unwrap();
    let cancel = node.cancel_authorization(&TokenSpec::usdc(), USDC, PAYER, cancelled.nonce).await.unwrap();
    assert!(mine_for(node, cancel).await.succeeded);
    assert!(!mine_for(node, node.transfer_with_authorization(RELAYER, &signed).await.unwrap()).await.succeeded);
    assert_eq!(node.balance(USDC, stranger(1)).await.unwrap(), usdc(40));

    let for_others = receiveWithAuthorizationCall {
        from: PAYER,
        to: stranger(1),
        value: U256::ZERO,
        validAfter: U256::ZERO,
        validBefore: U256::MAX,
        nonce: B256::repeat_byte(10),
        v: 27,
        r: B256::ZERO,
        s: B256::ZERO,
    };
    assert!(reason(node, RELAYER, for_others.clone()).await.contains("FiatTokenV2: caller must be the payee"));
    assert!(reason(node, stranger(1), for_others).await.contains("FiatTokenV2: invalid signature"));
}

#[tokio::test]
async fn zero_value_transfers_of_other_peoples_money_leave_a_log() {
    let anvil = furnished().await;
    let node = anvil.node();
    let poison = node.transfer_from(USDC, RELAYER, stranger(1), stranger(2), usdc(0)).await.unwrap();
    let receipt = mine_for(node, poison).await;
    assert_eq!((receipt.transfers[0].from, receipt.transfers[0].amount), (stranger(1), usdc(0)));
}

#[tokio::test]
async fn a_batch_pays_many_in_one_transaction_in_any_mix_of_tokens() {
    let anvil = furnished().await;
    let node = anvil.node();
    let tokens = [USDC, FAKE_USDC, USDC, USDC_E, USDC];
    let items: Vec<BatchItem> = tokens
        .into_iter()
        .zip(1..)
        .map(|(token, number)| BatchItem { token, to: stranger(number), amount: usdc(number.into()) })
        .collect();
    let receipt = mine_for(node, node.batch(PAYER, &items).await.unwrap()).await;
    assert!(receipt.succeeded);
    let moved: Vec<_> = receipt.transfers.iter().map(|log| (log.token, log.to, log.amount, log.log_index)).collect();
    let asked: Vec<_> = items.iter().zip(0..).map(|(item, index)| (item.token, item.to, item.amount, index)).collect();
    // As with the real token, transferFrom writes no other log: the indexes are dense.
    assert_eq!(moved, asked);

    let impossible = [BatchItem { token: USDC, to: Address::ZERO, amount: usdc(1) }];
    assert!(!mine_for(node, node.batch(PAYER, &impossible).await.unwrap()).await.succeeded);
    let quiet = mine_for(node, node.batch_of_what_works(PAYER, &impossible).await.unwrap()).await;
    assert!(quiet.succeeded && quiet.transfers.is_empty(), "it works and moves nothing");
}

#[tokio::test]
async fn money_is_dealt_without_the_tokens_keys() {
    let anvil = furnished().await;
    anvil.node().deal(USDC, stranger(1), usdc(77)).await.unwrap();
    assert_eq!(anvil.node().balance(USDC, stranger(1)).await.unwrap(), usdc(77));
}

#[tokio::test]
async fn nobody_else_s_account_is_used() {
    let anvil = furnished().await;
    let error = anvil.node().transfer(USDC, stranger(1), PAYER, usdc(1)).await.unwrap_err();
    assert!(error.to_string().contains("not one of the sandbox's accounts"), "{error}");
    let accounts: Vec<Address> =
        serde_json::from_value(anvil.node().call("eth_accounts", serde_json::json!([])).await.unwrap()).unwrap();
    assert_eq!(accounts, DEV_ACCOUNTS, "these are the published ones");
}
