//! One bad log takes nothing away from its neighbours.

use super::*;

use serde_json::json;

use crate::adapters::evm::decode::TRANSFER;

const TOKEN: Address = Address::repeat_byte(0xaa);
const ANCHOR: BlockRef = BlockRef { number: 110, hash: B256::repeat_byte(0x10) };

fn who(nth: u8) -> Address {
    Address::repeat_byte(nth)
}

/// A transfer of so much to the nth account, in a transaction of its own.
fn log(nth: u8, index: u64, amount: u8) -> Value {
    json!({
        "address": TOKEN, "blockNumber": "0x64", "blockHash": B256::repeat_byte(9), "logIndex": format!("{index:#x}"),
        "transactionHash": B256::repeat_byte(nth), "transactionIndex": "0x1", "removed": false,
        "topics": [TRANSFER, who(0x51).into_word(), who(nth).into_word()],
        "data": B256::with_last_byte(amount), "blockTimestamp": "0x65",
    })
}

fn with(mut log: Value, field: &str, value: Value) -> Value {
    log[field] = value;
    log
}

fn logs(answer: &[Value]) -> Logs {
    let accounts: Vec<Address> = (1..10).map(who).collect();
    let wanted = Wanted { from: 90, to: 110, tokens: &[TOKEN], accounts: &accounts, side: Side::To };
    let answer = serde_json::value::to_raw_value(answer).unwrap();
    read(&answer, &wanted, ANCHOR).unwrap()
}

fn found(logs: &Logs) -> Vec<(u64, u128)> {
    logs.transfers.iter().map(|it| (it.log_index, it.amount.base_units())).collect()
}

/// erigontech/erigon#17249, #14551: logs that are numbered by transaction.
#[test]
fn r1_two_transactions_may_share_an_index() {
    let read = logs(&[log(1, 0, 5), log(2, 0, 6), log(3, 0, 7)]);
    assert_eq!(found(&read), [(0, 5), (0, 6), (0, 7)]);
    assert!(read.flaws.is_empty() && read.torn.is_empty());
}

#[test]
fn r1_a_transaction_that_contradicts_itself_concerns_its_own_accounts_only() {
    let twice = with(log(1, 3, 9), "transactionHash", json!(B256::repeat_byte(1)));
    let other = with(log(2, 3, 6), "transactionHash", json!(B256::repeat_byte(1)));
    for answer in [[log(1, 3, 5), twice, log(4, 8, 1)], [log(1, 3, 5), other, log(4, 8, 1)]] {
        let read = logs(&answer);
        assert_eq!(found(&read), [(8, 1)], "neither of the two is taken, least of all the last one");
        let accounts: BTreeSet<Address> = read.flaws.of.keys().copied().collect();
        assert!(accounts.contains(&who(1)) && !accounts.contains(&who(4)), "{accounts:?}");
        assert!(read.flaws.about(&who(1)).unwrap().contains("two different logs with the index 3"));
        assert!(read.flaws.of_all.is_none());
    }
    assert_eq!(found(&logs(&[log(1, 3, 5), log(1, 3, 5)])), [(3, 5)], "the same one twice is one");
}

/// A log that lacks its place, as for a pending block (ethereum/go-ethereum#26891 and others).
#[test]
fn a_log_without_a_place_concerns_its_account_only() {
    for field in ["blockNumber", "blockHash", "transactionHash", "logIndex"] {
        let read = logs(&[with(log(1, 3, 5), field, Value::Null), log(2, 4, 6)]);
        assert_eq!(found(&read), [(4, 6)], "{field}");
        assert!(read.flaws.about(&who(1)).is_some() && read.flaws.about(&who(2)).is_none(), "{field}");
    }
}

/// Numbers and topics in forms that no library reads (NethermindEth/nethermind#5570 and others).
#[test]
fn a_log_that_cannot_be_read_concerns_whom_it_names() {
    for (field, value) in [("logIndex", json!("three")), ("blockNumber", json!({})), ("data", json!("0xz"))] {
        let read = logs(&[log(2, 4, 6), with(log(1, 3, 5), field, value)]);
        assert_eq!(found(&read), [(4, 6)], "{field}");
        let why = read.flaws.about(&who(1)).unwrap();
        assert!(why.contains("can't be read") && read.flaws.about(&who(2)).is_none(), "{why}");
    }
    // Nobody knows whose it is: nobody's range counts, and what is sound is found all the same.
    let read = logs(&[log(2, 4, 6), with(log(1, 3, 5), "topics", json!("none"))]);
    assert_eq!((found(&read), read.flaws.of_all.is_some()), (vec![(4, 6)], true));
    // What was certainly not asked for is passed over.
    let foreign = with(with(log(1, 3, 5), "data", json!("0xz")), "address", json!(who(0xcc)));
    let read = logs(&[log(2, 4, 6), foreign, json!(null)]);
    assert_eq!(found(&read), [(4, 6)]);
}

#[test]
fn a_block_with_two_hashes_concerns_those_with_money_in_it() {
    let other = with(log(1, 3, 5), "blockHash", json!(B256::repeat_byte(8)));
    let elsewhere = with(log(3, 1, 7), "blockNumber", json!("0x60"));
    let read = logs(&[other, log(2, 4, 6), elsewhere]);
    assert_eq!(found(&read), [(1, 7)]);
    assert!(read.flaws.is_empty(), "two moments are no lie");
    assert!(read.torn.about(&who(1)).is_some() && read.torn.about(&who(2)).is_some());
    // The block that the anchor stands for is the anchor's.
    let at_anchor = with(log(1, 3, 5), "blockNumber", json!("0x6e"));
    assert!(logs(&[at_anchor]).torn.about(&who(1)).is_some());
}

/// Recorded answers (see `tests/data`): look-alike tokens, logs of other shapes and bridge transactions beside the real thing.
#[test]
fn of_what_was_recorded_only_the_tokens_own_transfers_are_found() {
    let usdc = |text: &str| text.parse::<Address>().unwrap();
    let on_ethereum = usdc("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48");
    let polygon =
        [usdc("0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"), usdc("0x2791bca1f2de4661ed88a30c99a7a9449aa84174")];
    let poisoned = "ethereum-poisoning/erigon_getBlockReceiptsByBlockHash_test_";
    for (file, tokens, expected) in [
        (
            format!("{poisoned}05.json"),
            &[on_ethereum][..],
            vec![294_467_467, 4_500_000_000, 99_925_104, 69_947, 742_444, 99_182_660, 4_130_800_000],
        ),
        (format!("{poisoned}10.json"), &[on_ethereum], vec![1_046_405_269]),
        ("polygon-state-sync/eth_getLogs_test_01.json".to_owned(), &polygon, vec![]),
        ("polygon-state-sync/eth_getTransactionReceipt_test_01.json".to_owned(), &polygon, vec![]),
        ("modern_2026_logs.json".to_owned(), &polygon, vec![111_153, 5_050_504]),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(&file);
        let logs = logs_in(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
        let account = |log: &Value| {
            log["topics"].get(2).map(|topic| Address::from_word(serde_json::from_value(topic.clone()).unwrap()))
        };
        let mut accounts: Vec<Address> = logs.iter().filter_map(account).collect();
        accounts.sort();
        let wanted = Wanted { from: 0, to: u64::MAX, tokens, accounts: &accounts, side: Side::To };
        let read = read(&serde_json::value::to_raw_value(&logs).unwrap(), &wanted, ANCHOR).unwrap();
        let amounts: Vec<u128> = read.transfers.iter().map(|it| it.amount.base_units()).collect();
        assert_eq!(amounts, expected, "{file}");
        assert!(read.flaws.is_empty() && read.torn.is_empty() && read.malformed.is_empty(), "{file}: {read:?}");
        assert_eq!(read.transfers.len() + read.foreign, logs.len(), "{file}");
    }
}

/// All logs somewhere in a recorded answer.
fn logs_in(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(fields) if fields.contains_key("topics") && fields.contains_key("data") => vec![value.clone()],
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "request").flat_map(|(_, it)| logs_in(it)).collect()
        }
        Value::Array(items) => items.iter().flat_map(logs_in).collect(),
        _ => Vec::new(),
    }
}
