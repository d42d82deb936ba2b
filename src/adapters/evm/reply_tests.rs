//! Answers as servers really write them, and as chance makes them.

use super::*;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

const METHODS: [&str; 3] = ["eth_getBlockByNumber", "eth_getLogs", "eth_call"];

fn read(body: &Value) -> Result<Answers, Failure> {
    batch(body.to_string().as_bytes(), &METHODS, &Redactor::default())
}

fn values(answers: &Answers) -> Vec<Result<&str, Class>> {
    answers.iter().map(|answer| answer.as_ref().map(|value| value.get()).map_err(|failure| failure.class)).collect()
}

#[test]
fn r2_an_error_whose_id_is_null_is_read() {
    // blockscout/blockscout#7211: one item for the whole array.
    let refused = json!([{ "jsonrpc": "2.0", "id": null, "error": {
        "code": -32000, "message": "batch limit 1 exceeded. Requested batch of size: 3" } }]);
    let failure = read(&refused).unwrap_err();
    assert_eq!(failure.class, Class::Batch);
    assert!(failure.text.contains("batch limit 1 exceeded"), "the node's words are kept: {}", failure.text);
    // ethers-io/ethers.js#4679: an item for each call, all of them without an id.
    let limited = json!({ "jsonrpc": "2.0", "id": null, "error": {
        "code": 429, "message": "Too many requests, reason: call rate limit exhausted, retry in 10s" } });
    let answers = read(&json!([limited, limited, limited])).unwrap();
    for answer in &answers {
        let failure = answer.as_ref().unwrap_err();
        assert_eq!((failure.class, failure.retry_after), (Class::RateLimit, Some(Duration::from_secs(10))));
    }
}

#[test]
fn r2_ids_as_text_are_ids() {
    // AlphaWallet/alpha-wallet-ios#6803.
    let body = json!([{ "id": "2", "result": 2 }, { "id": "0", "result": 0 }, { "id": 1.0, "result": 1 }]);
    assert_eq!(values(&read(&body).unwrap()), [Ok("0"), Ok("1"), Ok("2")]);
}

#[test]
fn an_error_without_an_id_belongs_to_whoever_has_no_answer() {
    let error = |text: &str| json!({ "error": { "code": -32000, "message": text } });
    let one = json!([{ "id": 0, "result": 0 }, error("indexing"), { "id": 2, "result": 2 }]);
    assert_eq!(values(&read(&one).unwrap()), [Ok("0"), Err(Class::Refused), Ok("2")]);
    // Fewer than what is missing: it is about all of them.
    let fewer = read(&json!([{ "id": 0, "result": 0 }, error("indexing")])).unwrap();
    assert_eq!(values(&fewer), [Ok("0"), Err(Class::Refused), Err(Class::Refused)]);
    assert!(fewer[1].as_ref().unwrap_err().text.contains("indexing"));
}

#[test]
fn what_answers_nobody_knows_what_makes_the_batch_useless_and_keeps_its_words() {
    let table = [
        // Results that name no question may be anybody's: not the last of two values, nor the first.
        json!([{ "result": 0 }, { "result": 1 }, { "result": 2 }]),
        json!([{ "id": 0, "result": 0 }, { "id": 0, "result": 9 }, { "id": 1, "result": 1 }, { "id": 2, "result": 2 }]),
        json!([{ "id": 0, "result": 0 }, { "id": 1, "result": 1 }, { "id": 2, "result": 2 },
            { "error": { "code": -32000, "message": "indexing" } }]),
        json!({ "id": null, "error": { "code": -32600, "message": "Invalid Request" } }),
        json!({ "id": 1, "result": "0x1" }),
    ];
    for body in table {
        assert_eq!(read(&body).map(|answers| values(&answers).len()).unwrap_err().class, Class::Batch, "{body}");
    }
    // The same answer twice is one.
    let twice =
        json!([{ "id": 0, "result": 0 }, { "id": 0, "result": 0 }, { "id": 1, "result": 1 }, { "id": 2, "result": 2 }]);
    assert_eq!(values(&read(&twice).unwrap()), [Ok("0"), Ok("1"), Ok("2")]);
    // What is cut off silently is told as such (a server that answers only the first so many calls).
    let cut = read(&json!([{ "id": 0, "result": 0 }, { "id": 1, "result": 1 }])).unwrap();
    assert_eq!(values(&cut), [Ok("0"), Ok("1"), Err(Class::Batch)]);
}

#[test]
fn one_question_may_be_answered_in_a_list() {
    let one = |body: Value| super::one(body.to_string().as_bytes(), &Redactor::default());
    assert_eq!(one(json!([{ "id": 0, "result": 7 }])).unwrap().get(), "7");
    assert_eq!(one(json!({ "id": null, "error": "not now" })).unwrap_err().text, "not now");
    assert_eq!(one(json!([])).unwrap_err().class, Class::Garbage);
    let data = json!({ "error": { "code": -32000, "message": "failed", "data": { "reason": "pruned" } } });
    assert!(one(data).unwrap_err().text.contains("pruned"), "whatever the data are");
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..4_u64).prop_map(|id| json!(id)),
        (0..4_u64).prop_map(|id| json!(id.to_string())),
        Just(Value::Null),
        Just(json!("x")),
        Just(json!(-1)),
        Just(json!({ "id": 0 })),
    ]
}

/// An item of a batch's answer, with the node's words in it, if any.
fn item(number: usize) -> impl Strategy<Value = (Value, Option<String>)> {
    let words = format!("words number {number}.");
    let error = json!({ "code": -32000, "message": words.clone() });
    let bare = json!(words.clone());
    let with_id = |id: Option<Value>, mut item: Value| {
        if let Some(id) = id {
            item["id"] = id;
        }
        item
    };
    let kinds = prop_oneof![
        Just((json!({ "result": number }), None)),
        Just((json!({ "result": null }), None)),
        Just((json!({ "error": error }), Some(words.clone()))),
        Just((json!({ "error": bare }), Some(words.clone()))),
        Just((json!({ "result": 1, "error": { "message": words.clone() } }), Some(words.clone()))),
        Just((json!({}), None)),
    ];
    (proptest::option::of(id()), kinds).prop_map(move |(id, (item, words))| (with_id(id, item), words))
}

fn items() -> impl Strategy<Value = Vec<(Value, Option<String>)>> {
    (item(0), item(1), item(2), item(3), item(4), 0..6_usize).prop_map(|(a, b, c, d, e, count)| {
        let mut all = vec![a, b, c, d, e];
        all.truncate(count);
        all
    })
}

proptest! {
    /// Whatever comes, each question has an answer or a reason, every word that the node said is in one of them, and no result
    /// is given to a question that it does not name.
    #[test]
    fn no_answer_that_chance_makes_loses_the_nodes_words(items in items()) {
        let body = Value::Array(items.iter().map(|(item, _)| item.clone()).collect());
        let answers = read(&body);
        let said: Vec<String> = match &answers {
            Err(failure) => vec![failure.text.clone()],
            Ok(answers) => {
                prop_assert_eq!(answers.len(), METHODS.len());
                answers.iter().filter_map(|answer| answer.as_ref().err()).map(|failure| failure.text.clone()).collect()
            }
        };
        let unsaid: BTreeSet<&str> = items
            .iter()
            .filter_map(|(_, words)| words.as_deref())
            .filter(|words| !said.iter().any(|text| text.contains(words)))
            .collect();
        prop_assert!(unsaid.is_empty(), "{:?} is lost of {}: {:?}", unsaid, body, said);
        for (place, answer) in answers.iter().flatten().enumerate() {
            let Ok(value) = answer else { continue };
            let names_it = |item: &Value| {
                let id = &item["id"];
                let is_it = id.as_u64() == Some(place as u64) || id.as_str() == Some(&place.to_string());
                is_it && item.get("result").is_some_and(|result| serde_json::from_str::<Value>(value.get()).unwrap() == *result)
            };
            prop_assert!(items.iter().any(|(item, _)| names_it(item)), "{} at {} of {}", value, place, body);
        }
        // It speaks against nothing but the batch, or the question.
        for failure in answers.iter().flatten().filter_map(|answer| answer.as_ref().err()).chain(answers.as_ref().err()) {
            prop_assert!(failure.class == Class::Batch || failure.is_about_the_question(), "{:?}", failure);
        }
    }
}
