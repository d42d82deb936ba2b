//! Answers of tokens and nodes, one by one.

use super::*;

use alloy::sol_types::SolValue as _;

use crate::adapters::evm::redact::Redactor;
use crate::adapters::evm::reply::rpc_failure;

fn raw(value: serde_json::Value) -> Answer {
    Ok(RawValue::from_string(value.to_string()).unwrap())
}

fn word_of(value: u64) -> Answer {
    raw(json!(Bytes::from(U256::from(value).abi_encode())))
}

fn error(code: i64, message: &str, data: Option<&str>) -> Answer {
    Err(rpc_failure(Some(code), message, data, &Redactor::default()))
}

fn reverted(data: &[u8]) -> Answer {
    error(3, "execution reverted", Some(&Bytes::copy_from_slice(data).to_string()))
}

/// Errors that are the node's, not the token's.
fn node_errors() -> Vec<Answer> {
    let said = [
        (-32_000, "missing trie node 1b3d (path ) <nil>"),
        (-32_000, "header not found"),
        (-32_000, "execution aborted (timeout = 5s)"),
        (-32_601, "the method eth_call does not exist/is not available"),
        (-32_603, "Internal error"),
        (-32_005, "rate limited"),
        (-32_000, "no backend is currently healthy to serve traffic"),
    ];
    let mut errors: Vec<Answer> = said.iter().map(|(code, message)| error(*code, message, None)).collect();
    errors.push(Err(Failure::new(Class::Timeout, "no answer in time")));
    errors.push(Err(Failure::new(Class::Connection, "refused").unsent()));
    errors.push(Err(Failure::garbage("an answer is missing")));
    errors
}

#[test]
fn flags() {
    assert_eq!(read_flag(word_of(1), "it"), Ok(true));
    assert_eq!(read_flag(word_of(0), "it"), Ok(false));
    assert_eq!(read_flag(raw(json!("0x")), "it"), Ok(false), "no code, or no such function");
    assert_eq!(read_flag(reverted(&[]), "it"), Ok(false), "no such function");
    for senseless in [word_of(2), raw(json!("0x01")), raw(json!("0x00")), raw(json!(null)), raw(json!(false))] {
        assert!(read_flag(senseless, "it").is_err());
    }
    for error in node_errors() {
        let text = format!("{error:?}");
        assert!(read_flag(error, "it").is_err(), "a node's error is never a no: {text}");
    }
}

#[test]
fn calls() {
    assert_eq!(read_call(word_of(1)), Ok(CallResult::True));
    let other = |text: &str| Ok(CallResult::Other(text.to_owned()));
    assert_eq!(read_call(raw(json!("0x"))), other("it returned nothing"));
    assert_eq!(read_call(raw(json!("0x01"))), other("it returned 0x01"));
    let zero = format!("it returned 0x{}", "00".repeat(32));
    assert_eq!(read_call(word_of(0)), other(&zero));
    let many = format!("it returned 64 bytes that begin with 0x{}", "00".repeat(32));
    assert_eq!(read_call(raw(json!(Bytes::from(vec![0; 64])))), other(&many));
    assert_eq!(read_call(error(-32_000, "out of gas", None)), other("out of gas"));
    assert_eq!(read_call(error(-32_000, "invalid opcode: INVALID", None)), other("invalid opcode: INVALID"));
    for error in node_errors() {
        assert!(read_call(error).is_err());
    }
}

#[test]
fn reasons() {
    let reason = |answer: Answer| match read_call(answer) {
        Ok(CallResult::Reverted(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let revert = |text: &str| reverted(&Revert { reason: text.to_owned() }.abi_encode());
    assert_eq!(reason(revert("Pausable: paused")), "Pausable: paused");
    assert_eq!(reason(revert("a\nb\u{1b}[2J")), "a b [2J");
    assert_eq!(reason(revert(&"x".repeat(201))), format!("{}…", "x".repeat(200)));
    assert_eq!(reason(reverted(&[])), "without a reason");
    assert_eq!(reason(error(3, "execution reverted", None)), "without a reason");
    assert_eq!(reason(error(-32_000, "execution reverted: its words", None)), "its words");
    let besu = error(-32_000, "Execution reverted: rate limit exceeded", None);
    assert_eq!(reason(besu), "rate limit exceeded", "a contract may say anything");
    let data = Revert { reason: "from the data".to_owned() }.abi_encode();
    let both = error(3, "execution reverted: from the words", Some(&Bytes::from(data).to_string()));
    assert_eq!(reason(both), "from the data");
    let panic = Panic { code: U256::from(0x11) }.abi_encode();
    assert!(reason(reverted(&panic)).contains("overflow"), "{}", reason(reverted(&panic)));
    assert_eq!(reason(reverted(&[0xde, 0xad, 0xbe, 0xef])), "it returned 0xdeadbeef");
    // An offset that points outside of the data, and data too long to be a reason.
    assert_eq!(reason(reverted(&[0x08, 0xc3, 0x79, 0xa0, 0xff])), "it returned 0x08c379a0ff");
    let long = Revert { reason: "x".repeat(5_000) }.abi_encode();
    assert_eq!(reason(reverted(&long)), "without a reason");
}

#[test]
fn estimates_and_tips() {
    assert_eq!(read_estimate(raw(json!("0xf2c3"))), Ok(Some(62_147)));
    let fails = [
        reverted(&[]),
        error(-32_000, "gas required exceeds allowance (50000000)", None),
        error(-32_000, "insufficient funds for gas * price + value", None),
        error(-32_000, "out of gas", None),
    ];
    for fails in fails {
        assert_eq!(read_estimate(fails), Ok(None));
    }
    for error in node_errors() {
        assert!(read_estimate(error).is_err());
    }
    assert!(read_estimate(raw(json!("0x1ffffffffffffffff"))).is_err());
    assert_eq!(read_tip(raw(json!("0x5d21dba00"))), Ok(Wei::from_gwei(25)));
    let unsupported = "the method eth_maxPriorityFeePerGas does not exist/is not available";
    assert_eq!(read_tip(error(-32_601, unsupported, None)), Ok(Wei::ZERO));
    assert_eq!(read_tip(error(-32_603, "Internal error", None)), Ok(Wei::ZERO));
    assert!(read_tip(error(-32_005, "rate limited", None)).is_err());
    assert!(read_tip(Err(Failure::new(Class::Timeout, "no answer in time"))).is_err());
}

#[test]
fn token_balances() {
    let balance = |value: Answer| read_token_balance(&value.unwrap());
    assert_eq!(balance(word_of(7)), Ok(Amount::from_base_units(7)));
    let most = raw(json!(Bytes::from(U256::MAX.abi_encode())));
    assert_eq!(balance(most), Ok(Amount::from_base_units(u128::MAX)));
    assert!(balance(raw(json!("0x"))).is_err(), "no token there");
}
