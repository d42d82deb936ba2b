//! Accounts, the token's rules, and the taking of transactions.

use alloy::primitives::{Address, U256};
use alloy::providers::{Provider, ProviderBuilder};
use rampwatch::domain::amount::Amount;
use serde_json::json;

use super::Client;
use crate::support::node::{Account, MethodFault, Node, NodeOptions, Refusal, Rules, ScriptedChain, Token};

const TOKEN: Address = Address::repeat_byte(0x70);
const RICH: Address = Address::repeat_byte(0x01);
const POOR: Address = Address::repeat_byte(0x02);

/// Call data of a function with an address and, if not zero, an amount.
fn data(selector: &str, account: Address, amount: Amount) -> String {
    let amount = U256::from(amount.base_units());
    format!("0x{selector}{:0>64}{amount:064x}", format!("{account:x}"))
}

#[tokio::test]
async fn a_token_answers_by_its_rules_and_alloy_reads_the_account() {
    let chain = ScriptedChain::new();
    let node = Node::start(&chain, NodeOptions::default());
    let client = Client::new(node.url());
    let mut token = Token::new("USDC", 6);
    token.balances.insert(RICH, U256::from(5));
    chain.set_token(TOKEN, token.clone());
    let call = |selector, from, account, amount| {
        let data = data(selector, account, Amount::from_base_units(amount));
        json!([{ "from": from, "to": TOKEN, "data": data }, "latest"])
    };
    let (paused, blacklisted, transfer) = ("5c975abb", "fe575a87", "a9059cbb");
    for selector in [paused, blacklisted, transfer] {
        let (code, text) = client.refused("eth_call", call(selector, RICH, POOR, 5)).await;
        assert_eq!((code, text.as_str()), (3, "execution reverted"), "it has no rules");
    }
    let yes = format!("0x{:064x}", 1);
    let no = format!("0x{:064x}", 0);
    token.rules = Some(Rules { paused: false, blacklisted: vec![POOR] });
    chain.set_token(TOKEN, token.clone());
    assert_eq!(client.ask("eth_call", call(paused, RICH, POOR, 0)).await, no);
    assert_eq!(client.ask("eth_call", call(blacklisted, RICH, POOR, 0)).await, yes);
    assert_eq!(client.ask("eth_call", call(blacklisted, RICH, RICH, 0)).await, no);
    assert_eq!(client.ask("eth_call", call(transfer, RICH, RICH, 5)).await, yes);
    assert_eq!(client.ask("eth_estimateGas", call(transfer, RICH, RICH, 5)).await, "0xaff7");
    for (from, to, amount, why) in
        [(RICH, RICH, 6, "exceeds balance"), (RICH, POOR, 1, "is blacklisted"), (POOR, RICH, 0, "is blacklisted")]
    {
        let (_, text) = client.refused("eth_estimateGas", call(transfer, from, to, amount)).await;
        assert!(text.starts_with("execution reverted: ") && text.ends_with(why), "{text}");
    }
    token.rules = Some(Rules { paused: true, blacklisted: vec![] });
    chain.set_token(TOKEN, token);
    assert!(client.refused("eth_call", call(transfer, RICH, RICH, 5)).await.1.ends_with("Pausable: paused"));

    chain.set_account(RICH, Account { balance: U256::from(7), nonce: 3, waiting: 2 });
    let provider = ProviderBuilder::new().connect_http(node.url().parse().unwrap());
    assert_eq!(provider.get_balance(RICH).await.unwrap(), U256::from(7));
    assert_eq!(provider.get_transaction_count(RICH).await.unwrap(), 3);
    assert_eq!(provider.get_transaction_count(RICH).pending().await.unwrap(), 5);
    assert_eq!(provider.get_transaction_count(POOR).await.unwrap(), 0);
    assert_eq!(provider.get_max_priority_fee_per_gas().await.unwrap(), 25_000_000_000);
}

#[tokio::test]
async fn a_transaction_is_taken_once() {
    // anvil's first account sends nothing to itself, on chain 137 with nonce 7.
    let raw = "0x02f86e8189078506fc23ac008514f46b04008301388094f39fd6e51aad88f6f4ce6ab8827279cfffb922668080c080a0d8c5278e\
               496c86856a0a0929fbc115efdebcde094347d0a41a79cd99e1805420a077c76db4a67678a3c9b401429fd61666ad5e3d979c6a1f24\
               7566af59b3ba07ce";
    let hash = "0x885fd6d924579513a29b94a7e1d03cc6b0da3ca2bf3412ad70673b421ed0378e";
    let sender = rampwatch::sandbox::DEV_ACCOUNTS[0];
    let chain = ScriptedChain::new();
    let node = Node::start(&chain, NodeOptions::default());
    let client = Client::new(node.url());
    let send = "eth_sendRawTransaction";
    node.fail_method(send, MethodFault::Refuse(Refusal::rpc(-32000, "txpool is full")));
    assert_eq!(client.refused(send, json!([raw])).await.1, "txpool is full");
    assert!(chain.taken().is_empty());
    node.heal();
    assert_eq!(client.ask(send, json!([raw])).await, hash);
    assert_eq!(client.refused(send, json!([raw])).await.1, "already known");
    assert_eq!(chain.taken().len(), 1);
    assert!(client.refused(send, json!(["0x02"])).await.1.contains("cannot be read"));
    let other = ScriptedChain::new();
    other.set_account(sender, Account { nonce: 8, ..Account::default() });
    let other_node = Node::start(&other, NodeOptions::default());
    let refused = Client::new(other_node.url()).refused(send, json!([raw])).await.1;
    assert_eq!(refused, "nonce too low: next nonce 8, tx nonce 7");
    other.set_chain_id(1);
    let refused = Client::new(other_node.url()).refused(send, json!([raw])).await.1;
    assert!(refused.starts_with("invalid sender"), "{refused}");
}
