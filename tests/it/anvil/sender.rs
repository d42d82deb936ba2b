//! The sender on a real anvil: what it says before a transfer, what it takes, and what became of it.

use std::time::Duration;

use alloy::consensus::TxEnvelope;
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Bytes, U256};
use alloy::sol_types::SolCall;
use rampwatch::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmSettings};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::operator::Operator;
use rampwatch::domain::order::Fees;
use rampwatch::domain::wallet::{CallResult, NonceCount, TransferView};
use rampwatch::domain::wei::Wei;
use rampwatch::outbound::Outbound;
use rampwatch::ports::chain::ChainError;
use rampwatch::ports::sender::{SendAnswer, Sender, SignedTx, TransferSpec, TxAction, TxSpec};
use rampwatch::ports::signer::DigestSignature;
use rampwatch::sandbox::{Anvil, AnvilOptions, CHAIN_ID, DEV_ACCOUNTS, Node, USDC};
use serde_json::json;

use super::world::usdc;
use crate::support::key::Key;

alloy::sol! {
    function transfer(address to, uint256 value) returns (bool);
}

const RECIPIENT: Address = Address::repeat_byte(0xb0);

/// A wallet with 100 USDC and one native coin, on a chain that mines on command.
struct Scene {
    anvil: Anvil,
    evm: EvmChain,
    key: Key,
}

impl Scene {
    async fn new() -> Self {
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let node = anvil.node();
        node.furnish().await.unwrap();
        let key = Key::of(0x42);
        node.deal(USDC, key.address(), usdc(100)).await.unwrap();
        node.set_native_balance(key.address(), Wei::new(1_000_000_000_000_000_000)).await.unwrap();
        node.mine(1).await.unwrap();
        let evm = EvmChain::new(EvmSettings {
            chain_id: CHAIN_ID,
            tokens: Vec::new(),
            endpoints: vec![EndpointSettings {
                name: "anvil".to_owned(),
                operator: Operator::named("anvil"),
                http: Some(node.http_url().as_str().into()),
                ws: None,
            }],
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(60),
            max_block_range: 100,
            max_addresses: 100,
            max_in_flight: 8,
            cool_down: CoolDown { first: Duration::from_millis(50), longest: Duration::from_secs(1) },
            outbound: Outbound::local(),
        });
        Self { anvil, evm: evm.unwrap(), key }
    }

    fn node(&self) -> &Node {
        self.anvil.node()
    }

    fn transfer(&self, amount: Amount) -> TransferSpec {
        TransferSpec { wallet: self.key.address(), token: USDC, to: RECIPIENT, amount }
    }

    /// Signed, with this nonce and tip in gwei; the cap is always the tip and 30 more.
    fn signed(&self, nonce: u64, tip: u64, action: TxAction) -> SignedTx {
        let fees = Fees { cap: Wei::from_gwei(tip + 30), tip: Wei::from_gwei(tip) };
        self.key.signed(&self.evm, &TxSpec { chain_id: CHAIN_ID, nonce, fees, gas_limit: 90_000, action })
    }

    fn signed_transfer(&self, nonce: u64, tip: u64) -> SignedTx {
        self.signed(nonce, tip, TxAction::Transfer(self.transfer(usdc(25))))
    }

    async fn send(&self, tx: &SignedTx) -> SendAnswer {
        let [answer] = &self.evm.send(tx).await[..] else { panic!("there is one endpoint") };
        answer.answer.clone()
    }

    async fn view(&self, amount: Amount) -> TransferView {
        self.evm.view(&self.transfer(amount)).await.unwrap()
    }

    async fn nonces(&self) -> NonceCount {
        let [answer] = &self.evm.nonces(self.key.address(), None).await[..] else { panic!("there is one endpoint") };
        *answer.answer.as_ref().unwrap()
    }

    async fn mine(&self) {
        self.node().mine(1).await.unwrap();
    }
}

#[tokio::test]
async fn a_view_tells_what_stands_in_the_way() {
    let scene = Scene::new().await;
    let node = scene.node();
    let free = scene.view(usdc(100)).await;
    assert_eq!(free.head.block.number, node.head().await.unwrap());
    assert!(free.base_fee > Wei::ZERO);
    assert!(!(free.paused || free.wallet_blacklisted || free.recipient_blacklisted));
    assert_eq!((free.token_balance, free.native_balance), (usdc(100), Wei::new(10_u128.pow(18))));
    assert_eq!(free.call, CallResult::True);
    assert!((40_000..90_000).contains(&free.gas_estimate.unwrap()), "{free:?}");

    let reverted = |why: &str| (CallResult::Reverted(why.to_owned()), None);
    let told = |view: TransferView| (view.call, view.gas_estimate);
    let too_much = scene.view(usdc(101)).await;
    assert_eq!(told(too_much), reverted("ERC20: transfer amount exceeds balance"));
    for (paused, expected) in [(true, reverted("Pausable: paused")), (false, told(free.clone()))] {
        node.set_paused(USDC, paused).await.unwrap();
        scene.mine().await;
        let view = scene.view(usdc(100)).await;
        assert_eq!(view.paused, paused);
        assert_eq!(told(view), expected);
    }
    for account in [scene.key.address(), RECIPIENT] {
        node.set_blacklisted(USDC, account, true).await.unwrap();
        scene.mine().await;
        let view = scene.view(usdc(1)).await;
        let flags = (view.wallet_blacklisted, view.recipient_blacklisted);
        assert_eq!(flags, (account == scene.key.address(), account == RECIPIENT));
        assert_eq!(told(view), reverted("Blacklistable: account is blacklisted"));
        node.set_blacklisted(USDC, account, false).await.unwrap();
    }
    // A wallet without gas money looks like nothing else than that.
    node.set_native_balance(scene.key.address(), Wei::ZERO).await.unwrap();
    scene.mine().await;
    let poor = scene.view(usdc(100)).await;
    assert_eq!(poor.native_balance, Wei::ZERO);
    assert_eq!(told(poor), told(free));
}

#[tokio::test]
async fn what_is_no_token_has_no_view() {
    let scene = Scene::new().await;
    // Code that reverts every call, and no code at all.
    let stubborn = Address::repeat_byte(0xc0);
    scene.node().set_code(stubborn, &Bytes::from_static(&[0x5f, 0x5f, 0xfd])).await.unwrap();
    for token in [stubborn, Address::repeat_byte(0xc1)] {
        let answer = scene.evm.view(&TransferSpec { token, ..scene.transfer(usdc(1)) }).await;
        assert!(matches!(answer, Err(ChainError::Refused(_))), "{answer:?}");
    }
    // Code that says 1 to everything: who would send money through that is told so.
    let yes = Address::repeat_byte(0xc2);
    let code = [0x60, 0x01, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
    scene.node().set_code(yes, &Bytes::copy_from_slice(&code)).await.unwrap();
    let view = scene.evm.view(&TransferSpec { token: yes, ..scene.transfer(usdc(1)) }).await.unwrap();
    assert!(view.paused && view.wallet_blacklisted && view.recipient_blacklisted);
    assert_eq!((view.token_balance, view.call), (Amount::from_base_units(1), CallResult::True));
    // Code that runs out of gas.
    let endless = Address::repeat_byte(0xc3);
    scene.node().set_code(endless, &Bytes::from_static(&[0x5b, 0x5f, 0x56])).await.unwrap();
    let answer = scene.evm.view(&TransferSpec { token: endless, ..scene.transfer(usdc(1)) }).await;
    assert!(answer.is_err(), "that is no answer to whether it is paused: {answer:?}");
}

#[tokio::test]
async fn a_transfer_goes_its_way() {
    let scene = Scene::new().await;
    let tx = scene.signed_transfer(0, 2);
    assert_eq!(scene.nonces().await, NonceCount { latest: 0, pending: 0, at_block: None });
    assert_eq!(scene.send(&tx).await, SendAnswer::Accepted);
    assert_eq!(scene.send(&tx).await, SendAnswer::AlreadyKnown);
    assert_eq!(scene.nonces().await, NonceCount { latest: 0, pending: 1, at_block: None });
    assert_eq!(scene.evm.receipts(&[tx.hash]).await.unwrap().receipts, [Ok(None)]);
    scene.mine().await;
    assert_eq!(scene.send(&tx).await, SendAnswer::NonceTooLow);
    assert_eq!(scene.nonces().await, NonceCount { latest: 1, pending: 1, at_block: None });
    let answer = scene.evm.receipts(&[tx.hash]).await.unwrap();
    let Ok(Some(receipt)) = answer.receipts[0].clone() else { panic!("{answer:?}") };
    assert_eq!((answer.head, receipt.block.number), (receipt.block.number, scene.node().head().await.unwrap()));
    assert!(receipt.succeeded && receipt.gas_used > Some(40_000) && receipt.gas_price > Some(Wei::from_gwei(2)));
    let [transfer] = &receipt.transfers[..] else { panic!("{receipt:?}") };
    let told = (transfer.token, transfer.from, transfer.to, transfer.amount, transfer.tx_hash, transfer.block);
    assert_eq!(told, (USDC, scene.key.address(), RECIPIENT, usdc(25), tx.hash, receipt.block));
    let (token, native) = scene.evm.balances(scene.key.address(), USDC).await.unwrap();
    assert_eq!(token, usdc(75));
    let cost = receipt.gas_price.unwrap().get() * u128::from(receipt.gas_used.unwrap());
    assert_eq!(native, Wei::new(10_u128.pow(18) - cost));
    let everywhere = scene.evm.receipts_everywhere(&[tx.hash]).await;
    assert_eq!(everywhere[0].answer.as_ref().unwrap().receipts, [Ok(Some(receipt))]);
}

#[tokio::test]
async fn a_self_send_takes_the_nonce_and_the_replaced_one_is_told() {
    let scene = Scene::new().await;
    let transfer = scene.signed_transfer(0, 2);
    let wallet = scene.key.address();
    let cancel = scene.signed(0, 3, TxAction::SelfSend { wallet });
    let cheaper = scene.signed(0, 1, TxAction::SelfSend { wallet });
    assert_eq!(scene.send(&transfer).await, SendAnswer::Accepted);
    assert_eq!(scene.send(&cheaper).await, SendAnswer::Underpriced);
    assert_eq!(scene.send(&cancel).await, SendAnswer::Accepted);
    assert_eq!(scene.send(&transfer).await, SendAnswer::Underpriced);
    scene.mine().await;
    for tx in [&transfer, &cancel, &cheaper] {
        assert_eq!(scene.send(tx).await, SendAnswer::NonceTooLow);
    }
    let found = scene.evm.receipts(&[transfer.hash, cancel.hash]).await.unwrap().receipts;
    let [Ok(None), Ok(Some(receipt))] = &found[..] else { panic!("{found:?}") };
    assert!(receipt.succeeded && receipt.transfers.is_empty() && receipt.gas_used == Some(21_000));
    assert_eq!(scene.node().balance(USDC, wallet).await.unwrap(), usdc(100));
}

#[tokio::test]
async fn refusals_are_named() {
    let scene = Scene::new().await;
    let node = scene.node();
    let wallet = scene.key.address();
    let spec = |chain_id, cap, gas_limit| TxSpec {
        chain_id,
        nonce: 0,
        fees: Fees { cap, tip: Wei::new(1) },
        gas_limit,
        action: TxAction::SelfSend { wallet },
    };
    let send = async |spec: TxSpec| scene.send(&scene.key.signed(&scene.evm, &spec)).await;
    let fair = Wei::from_gwei(10);
    let too_low = send(spec(CHAIN_ID, Wei::new(1), 90_000)).await;
    assert!(matches!(too_low, SendAnswer::FeeTooLow(_)), "{too_low:?}");
    let too_little_gas = send(spec(CHAIN_ID, fair, 20_000)).await;
    assert!(matches!(too_little_gas, SendAnswer::Refused(_)), "{too_little_gas:?}");
    let other_chain = send(spec(1, fair, 90_000)).await;
    assert!(matches!(other_chain, SendAnswer::Refused(_)), "{other_chain:?}");
    node.set_native_balance(wallet, Wei::new(1_000)).await.unwrap();
    assert_eq!(send(spec(CHAIN_ID, fair, 90_000)).await, SendAnswer::InsufficientFunds);
}

#[tokio::test]
async fn a_mined_revert_moves_nothing_and_says_so() {
    let scene = Scene::new().await;
    let node = scene.node();
    node.set_paused(USDC, true).await.unwrap();
    scene.mine().await;
    let tx = scene.signed_transfer(0, 2);
    assert_eq!(scene.send(&tx).await, SendAnswer::Accepted);
    scene.mine().await;
    let receipt = scene.evm.receipts(&[tx.hash]).await.unwrap().receipts.remove(0).unwrap().unwrap();
    assert!(!receipt.succeeded && receipt.transfers.is_empty());
}

#[tokio::test]
async fn nonces_as_of_a_block() {
    let scene = Scene::new().await;
    let before = scene.node().head().await.unwrap();
    assert_eq!(scene.send(&scene.signed_transfer(0, 2)).await, SendAnswer::Accepted);
    scene.mine().await;
    assert_eq!(scene.send(&scene.signed_transfer(1, 2)).await, SendAnswer::Accepted);
    let at = async |block| scene.evm.nonces(scene.key.address(), Some(block)).await.remove(0).answer;
    assert_eq!(at(before).await, Ok(NonceCount { latest: 1, pending: 2, at_block: Some(0) }));
    assert_eq!(at(before + 1).await, Ok(NonceCount { latest: 1, pending: 2, at_block: Some(1) }));
    let unborn = at(before + 100).await;
    assert!(matches!(unborn, Err(ChainError::Behind(_))), "{unborn:?}");
}

/// anvil builds and signs the same transaction by itself, with an account of its own.
#[tokio::test]
async fn the_bytes_are_those_that_anvil_would_sign() {
    let scene = Scene::new().await;
    let wallet = DEV_ACCOUNTS[3];
    let transfer = TransferSpec { wallet, ..scene.transfer(usdc(3)) };
    let data = transferCall { to: RECIPIENT, value: U256::from(3_000_000) }.abi_encode();
    for (action, to, data) in
        [(TxAction::Transfer(transfer), USDC, Bytes::from(data)), (TxAction::SelfSend { wallet }, wallet, Bytes::new())]
    {
        let request = json!([{
            "type": "0x2", "from": wallet, "to": to, "data": data, "nonce": "0x9", "gas": "0x13880", "value": "0x0",
            "maxFeePerGas": "0x9502f9000", "maxPriorityFeePerGas": "0x77359400", "accessList": [],
        }]);
        let theirs: Bytes =
            serde_json::from_value(scene.node().call("eth_signTransaction", request).await.unwrap()).unwrap();
        let envelope = TxEnvelope::decode_2718(&mut theirs.as_ref()).unwrap();
        let signature = envelope.signature();
        let signature = DigestSignature { r: signature.r().into(), s: signature.s().into(), y_is_odd: signature.v() };
        let fees = Fees { cap: Wei::from_gwei(40), tip: Wei::from_gwei(2) };
        let spec = TxSpec { chain_id: CHAIN_ID, nonce: 9, fees, gas_limit: 80_000, action };
        let ours = scene.evm.assemble(&spec, &signature).unwrap();
        assert_eq!((ours.raw.0, ours.hash), (theirs, *envelope.tx_hash()));
    }
}
