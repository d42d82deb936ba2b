//! Receipts, as nodes write them and as none should.

use super::*;

use alloy::primitives::Address;
use serde_json::Value;

use crate::domain::amount::Amount;

const TX: B256 = B256::repeat_byte(8);
const BLOCK: B256 = B256::repeat_byte(9);

fn log(index: u64) -> Value {
    json!({
        "address": Address::repeat_byte(0xaa), "blockNumber": "0x64", "blockHash": BLOCK,
        "logIndex": format!("{index:#x}"), "transactionHash": TX, "transactionIndex": "0x1", "removed": false,
        "topics": [TRANSFER, Address::repeat_byte(1).into_word(), Address::repeat_byte(2).into_word()],
        "data": B256::with_last_byte(5), "blockTimestamp": "0x65",
    })
}

fn receipt(logs: &[Value]) -> Value {
    json!({
        "transactionHash": TX, "transactionIndex": "0x1", "blockHash": BLOCK, "blockNumber": "0x64",
        "from": Address::ZERO, "to": Address::ZERO, "contractAddress": null, "cumulativeGasUsed": "0xfde8",
        "gasUsed": "0xb0f7", "effectiveGasPrice": "0x6fc23ac00", "logsBloom": "0x00", "status": "0x1",
        "type": "0x2", "logs": logs,
    })
}

fn parse(json: &Value) -> Result<Option<Receipt>, Failure> {
    read(&RawValue::from_string(json.to_string()).unwrap(), TX)
}

fn with(mut json: Value, field: &str, value: Value) -> Value {
    json[field] = value;
    json
}

#[test]
fn a_receipt() {
    let found = parse(&receipt(&[log(7)])).unwrap().unwrap();
    let block = BlockRef { number: 100, hash: BLOCK };
    let transfer = Transfer {
        block,
        block_time: Some(Timestamp::from_secs(101)),
        tx_hash: TX,
        log_index: 7,
        token: Address::repeat_byte(0xaa),
        from: Address::repeat_byte(1),
        to: Address::repeat_byte(2),
        amount: Amount::from_base_units(5),
    };
    let expected = Receipt {
        tx_hash: TX,
        block,
        succeeded: true,
        transfers: vec![transfer],
        gas_used: Some(45_303),
        gas_price: Some(Wei::from_gwei(30)),
    };
    assert_eq!(found, expected);
    let failed = parse(&with(receipt(&[]), "status", json!("0x0"))).unwrap().unwrap();
    assert!(!failed.succeeded && failed.transfers.is_empty());
}

/// Receipts without a price (besu's and older nodes'), in decimal, with a log of another contract that does not read, and logs with a
/// moment of their own: none of it is part of what happened.
#[test]
fn what_is_needless_is_left_out_where_it_does_not_read() {
    let mut bare = receipt(&[log(7)]);
    bare.as_object_mut().unwrap().retain(|name, _| name != "effectiveGasPrice" && name != "gasUsed");
    let of_another = with(with(log(3), "topics", json!([B256::ZERO])), "data", json!(null));
    let odd_moment = with(with(log(7), "blockTimestamp", json!("2026-01-01T00:00:00Z")), "transactionIndex", json!(-1));
    for (odd, gas, block_time) in [
        (bare, None, Some(Timestamp::from_secs(101))),
        (with(receipt(&[log(7)]), "effectiveGasPrice", json!(null)), Some(45_303), Some(Timestamp::from_secs(101))),
        (receipt(&[of_another, log(7)]), Some(45_303), Some(Timestamp::from_secs(101))),
        (receipt(&[odd_moment]), Some(45_303), None),
    ] {
        let found = parse(&odd).unwrap().unwrap();
        assert_eq!((found.gas_used, found.transfers.len()), (gas, 1), "{odd}");
        assert_eq!((found.transfers[0].log_index, found.transfers[0].block_time), (7, block_time), "{odd}");
    }
    // What may be a transfer and does not read makes the receipt worth nothing.
    for (field, value) in [("data", json!(null)), ("topics", json!(["0x1"])), ("logIndex", json!("seven"))] {
        assert!(parse(&receipt(&[with(log(7), field, value.clone())])).is_err(), "{field} {value}");
    }
}

#[test]
fn only_transfers_are_taken_from_the_logs() {
    let mut dirty = Address::repeat_byte(2).into_word();
    dirty.0[0] = 1;
    let one = Address::repeat_byte(1).into_word();
    let others = [
        with(log(0), "topics", json!([])),
        with(log(1), "topics", json!([B256::ZERO, one, one])),
        with(log(2), "topics", json!([TRANSFER, one])),
        with(log(3), "topics", json!([TRANSFER, one, one, one])),
        with(log(4), "topics", json!([TRANSFER, one, dirty])),
        with(log(5), "data", json!("0x")),
        with(log(6), "data", json!(B256::repeat_byte(0xff))),
    ];
    let foreign = with(log(8), "address", json!(Address::repeat_byte(0xbb)));
    let logs: Vec<Value> = others.into_iter().chain([log(7), foreign]).collect();
    let found = parse(&receipt(&logs)).unwrap().unwrap();
    let told: Vec<_> = found.transfers.iter().map(|transfer| (transfer.log_index, transfer.token)).collect();
    assert_eq!(told, [(7, Address::repeat_byte(0xaa)), (8, Address::repeat_byte(0xbb))]);
}

#[test]
fn no_receipt_and_what_is_none() {
    assert_eq!(parse(&Value::Null), Ok(None));
    for field in ["blockHash", "blockNumber"] {
        assert_eq!(parse(&with(receipt(&[]), field, Value::Null)), Ok(None), "not in a block: {field}");
    }
    let senseless = [
        ("transactionHash", json!(B256::ZERO)),
        ("status", json!("0x2")),
        ("status", Value::Null),
        ("logs", Value::Null),
        ("logs", json!([with(log(1), "transactionHash", json!(B256::ZERO))])),
        ("logs", json!([with(log(1), "blockHash", json!(B256::ZERO))])),
        ("logs", json!([with(log(1), "blockNumber", json!("0x63"))])),
        ("logs", json!([with(log(1), "logIndex", Value::Null)])),
        ("logs", json!([with(log(1), "removed", json!(true))])),
    ];
    for (field, value) in senseless {
        assert!(parse(&with(receipt(&[]), field, value.clone())).is_err(), "{field}: {value}");
    }
}
