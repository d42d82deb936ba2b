//! What is sent, and how both shapes of answers are read.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::api_field::ApiField;
use rampwatch::domain::chain::Address;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::payment::{ApiStatus, RecipientId};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::payment_api::{ApiError, ApiPayment};

use super::server::{Act, Server, answer};
use super::{KEY, REFERENCE, client, complete, get, hash, id};

const ADDRESS: &str = "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359";

async fn read(body: &str) -> Result<ApiPayment, ApiError> {
    let server = Server::start([Act::Send(answer("200 OK", "", body))]).await;
    get(&client(&server.url)).await
}

/// A payment with these fields besides the id and the status.
async fn with(fields: &str) -> Result<ApiPayment, ApiError> {
    read(&format!(r#"{{"id":"pay-1","status":"PENDING",{fields}}}"#)).await
}

#[tokio::test]
async fn a_question_is_one_get_with_the_key() {
    let server = Server::start([Act::Send(answer("200 OK", "", REFERENCE))]).await;
    let client = client(&server.url);
    get(&client).await.unwrap();
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert!(request.starts_with("GET /api/v1/payments/pay-1 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains(&format!("x-api-key: {}\r\n", KEY.to_lowercase())), "{request}");
    assert!(request.contains(KEY) && request.contains("rampwatch/"), "{request}");
    let shown = format!("{client:?}");
    assert!(!shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn a_completion_is_one_post_with_the_hash() {
    let body = format!(r#"{{"id":"pay-1","status":"PROCESSING","transactionHash":"{}","sentAt":null}}"#, hash());
    let server = Server::start([Act::Send(answer("201 Created", "", &body))]).await;
    let done = complete(&client(&format!("{}/", server.url))).await.unwrap();
    assert_eq!(done.status, ApiStatus::Processing);
    assert_eq!(done.tx_hash.as_deref(), Some(format!("0x{}", "ab".repeat(32)).as_str()));
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert!(
        request.starts_with("POST /api/v1/payments/recipient/rec-1/off-ramp/pay-1/complete HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.to_lowercase().contains("content-type: application/json\r\n"), "{request}");
    assert!(request.ends_with(&format!("\r\n\r\n{{\"transactionHash\":\"0x{}\"}}", "ab".repeat(32))), "{request}");
}

#[tokio::test]
async fn the_references_shape_is_read() {
    let payment = read(REFERENCE).await.unwrap();
    let expected = ApiPayment {
        bank_account: Some(rampwatch::domain::payment::BankAccountId::new("b").unwrap()),
        created_at: Some(Timestamp::from_millis(1_795_341_600_123)),
        kind: Some("OFF_RAMP".to_owned()),
        idempotency_key: Some("k".to_owned()),
        fee: Some(Decimal::from_person("1.5").unwrap()),
        ..ApiPayment::new(id(), ApiStatus::AwaitingFunds)
    };
    assert_eq!(payment, expected);
}

#[tokio::test]
async fn the_guides_shape_is_read() {
    let fields = format!(
        r#""transactionHash":"0xAbC","recipientId":"rec-1","depositAddress":"{ADDRESS}","depositAmount":1000.1,
        "depositChain":"polygon","fromAddress":"{}","createdAt":"2026-11-22T12:00:00+02:00",
        "expiresAt":"2026-11-22T11:00:00Z","somethingNew":{{"a":[1e400]}}"#,
        ADDRESS.to_lowercase()
    );
    let payment = with(&fields).await.unwrap();
    let address: Address = ADDRESS.parse().unwrap();
    let expected = ApiPayment {
        tx_hash: Some("0xAbC".to_owned()),
        recipient_id: Some(RecipientId::new("rec-1").unwrap()),
        deposit_address: Some(address),
        deposit_amount: Some(Amount::from_base_units(1_000_100_000)),
        deposit_chain: Some("polygon".to_owned()),
        sender: Some(address),
        created_at: Some(Timestamp::from_secs(1_795_341_600)),
        expires_at: Some(Timestamp::from_secs(1_795_345_200)),
        ..ApiPayment::new(id(), ApiStatus::Pending)
    };
    assert_eq!(payment, expected);
}

#[tokio::test]
async fn amounts_are_read_digit_by_digit() {
    let cases = [
        ("1000", Some(1_000_000_000)),
        ("1000.1", Some(1_000_100_000)),
        ("9007199254740993.000001", Some(9_007_199_254_740_993_000_001)),
        ("0.1", Some(100_000)),
        ("1e3", Some(1_000_000_000)),
        ("\"1000.1\"", Some(1_000_100_000)),
        ("0.0000001", None),
        ("-1", None),
        ("1e400", None),
        ("\"1e3\"", None),
        ("\"1,000\"", None),
        ("\"\"", None),
        ("true", None),
        ("[1]", None),
        ("{}", None),
    ];
    for (written, expected) in cases {
        match with(&format!(r#""depositAmount":{written}"#)).await {
            Ok(payment) => {
                assert_eq!(payment.deposit_amount.map(Amount::base_units), expected, "{written}");
                let said = payment.unread(ApiField::DepositAmount).map(|unread| unread.said.as_str());
                assert_eq!(said, Some(written).filter(|_| expected.is_none()));
            }
            Err(other) => panic!("{written}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn null_missing_and_empty_are_the_same() {
    let nothing = with(r#""a":1"#).await.unwrap();
    let nulls = r#""transactionHash":null,"recipientId":null,"depositAddress":null,"depositAmount":null,
        "depositChain":null,"fromAddress":null,"sourceAccount":null,"createdAt":null,"expiresAt":null"#;
    assert_eq!(with(nulls).await.unwrap(), nothing);
    let empty = r#""transactionHash":"","recipientId":"","depositAddress":"","depositChain":"","expiresAt":"""#;
    assert_eq!(with(empty).await.unwrap(), nothing);
    assert_eq!(nothing.tx_hash, None);
}

#[tokio::test]
async fn calls_are_counted_by_how_they_end() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let script = ["200 OK", "200 OK", "401 Unauthorized", "404 Not Found", "409 Conflict", "429 Slow", "500 Oh"];
    let server = Server::start(script.map(|status| Act::SendAndCut(answer(status, "", REFERENCE)))).await;
    let client = client(&server.url);
    for call in 0..script.len() {
        // What each call says is another test's matter.
        let _said = if call == 0 { get(&client).await } else { complete(&client).await };
    }
    let text = handle.render();
    for (call, result) in [
        ("payment", "ok"),
        ("complete", "ok"),
        ("complete", "key_refused"),
        ("complete", "not_found"),
        ("complete", "refused"),
        ("complete", "not_now"),
        ("complete", "unclear"),
    ] {
        let line = format!("rampwatch_api_requests_total{{call=\"{call}\",result=\"{result}\"}} 1");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn every_status_is_kept() {
    for word in
        ["AWAITING_FUNDS", "PENDING", "PROCESSING", "SENT", "COMPLETED", "FAILED", "EXPIRED", "REFUNDED", "ON_HOLD"]
    {
        let payment = read(&format!(r#"{{"id":"pay-1","status":"{word}"}}"#)).await.unwrap();
        assert_eq!(payment.status.as_str(), word);
        assert_eq!(matches!(payment.status, ApiStatus::Other(_)), word == "ON_HOLD");
    }
}

#[tokio::test]
async fn the_sender_counts_only_when_it_is_plain() {
    let other = "0x2791bca1f2de4661ed88a30c99a7a9449aa84174";
    let known = ADDRESS.parse::<Address>().ok();
    let cases = [
        (format!(r#""fromAddress":"{ADDRESS}""#), known),
        (format!(r#""sourceAccount":"{ADDRESS}""#), known),
        (format!(r#""sourceAccount":{{"type":"wallet","address":"{ADDRESS}"}}"#), known),
        (format!(r#""fromAddress":"{ADDRESS}","sourceAccount":"{ADDRESS}""#), known),
        (format!(r#""fromAddress":"{ADDRESS}","sourceAccount":"{other}""#), None),
        (r#""sourceAccount":"acc-17""#.to_owned(), None),
        (r#""sourceAccount":{"iban":"DE00"}"#.to_owned(), None),
        (r#""fromAddress":7"#.to_owned(), None),
        (format!(r#""fromAddress":"{}""#, ADDRESS.replace("cEF", "CEF")), None),
    ];
    for (fields, expected) in cases {
        assert_eq!(with(&fields).await.unwrap().sender, expected, "{fields}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_right_is_unclear_and_names_the_field() {
    let cases = [
        ("", "no JSON object"),
        ("null", "no JSON object"),
        ("[]", "no JSON object"),
        (r#"["pay-1","PENDING",null,null,null,null,null,null,null,null,null]"#, "no JSON object"),
        ("\"pay-1\"", "no JSON object"),
        ("{", "no JSON object"),
        ("{}", "no id"),
        (r#"{"id":"pay-1","status":"PENDING"} trailing"#, "no JSON object"),
        (r#"{"id":"pay-1","id":"pay-2","status":"PENDING"}"#, "its id is there twice, and differs"),
        (r#"{"id":"pay-1","status":"PENDING","status":"SENT"}"#, "its status is there twice"),
        (r#"{"data":{"id":"pay-1","status":"PENDING"}}"#, "it is an envelope with \"data\""),
        (r#"{"status":"PENDING"}"#, "no id"),
        (r#"{"id":"pay-2","status":"PENDING"}"#, "another payment, \"pay-2\""),
        (r#"{"id":"PAY-1","status":"PENDING"}"#, "another payment"),
        (r#"{"id":1,"status":"PENDING"}"#, "another payment, \"1\""),
        (r#"{"id":"pay-1"}"#, "no status"),
        (r#"{"id":"pay-1","status":null}"#, "no status"),
    ];
    for (body, expected) in cases {
        match read(body).await {
            Err(ApiError::Unclear { detail, retry_after: None }) => {
                assert!(detail.contains(expected) && detail.starts_with("HTTP 200: "), "{body}: {detail}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}
