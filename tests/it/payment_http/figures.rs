//! What is sent and read of rates, quotes, off-ramps and webhooks: both shapes, and every digit.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::QuoteId;
use rampwatch::domain::quote::{Exchange, Fee, Quote, Rate};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::webhook::Webhook;
use rampwatch::ports::off_ramp_api::{NewOffRamp, OffRampApi as _, WebhookChange};
use rampwatch::ports::payment_api::ApiError;

use super::calls::{Call, Gave, bank, decimal, exchange, hook, off_ramp, recipient, user};
use super::server::{Act, Server, answer};
use super::{client, client_without_secret};

/// The body of a request.
fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

/// What a call makes of an answer.
async fn read(call: Call, body: &str) -> Result<Gave, ApiError> {
    let server = Server::start([Act::SendAndCut(answer("200 OK", "", body))]).await;
    call.make(&client(&server.url)).await
}

/// Amounts, in every digit, as they are written in JSON.
const AMOUNTS: [(&str, &str, u128); 8] = [
    ("0.1", "0.1", 100_000),
    ("1000.000001", "1000.000001", 1_000_000_001),
    ("999999999.999999", "999999999.999999", 999_999_999_999_999),
    ("1000", "1000", 1_000_000_000),
    ("1000.10", "1000.1", 1_000_100_000),
    ("0.000001", "0.000001", 1),
    ("9007199254740993.000001", "9007199254740993.000001", 9_007_199_254_740_993_000_001),
    ("100", "100", 100_000_000),
];

#[tokio::test]
async fn amounts_are_sent_with_their_very_digits() {
    let server = Server::start(AMOUNTS.iter().map(|_| Act::Send(answer("200 OK", "", "{}")))).await;
    let client = client(&server.url);
    for (typed, written, units) in AMOUNTS {
        let asked = Exchange { developer_fee: decimal("0.10"), ..exchange(typed) };
        assert_eq!(asked.source_amount.base_units(), units);
        client.rate(&user(), &asked).await.unwrap();
        let expected = format!(
            r#"{{"source":{{"currency":"USDC","amount":{written},"rail":"POLYGON"}},"destination":{{"currency":"MXN","rail":"SPEI","countryCode":"MX"}},"developerVariableFee":0.1}}"#
        );
        assert_eq!(body(server.requests().last().unwrap()), expected);
    }
}

#[tokio::test]
async fn amounts_are_read_with_their_very_digits() {
    for (_, written, units) in AMOUNTS {
        for body in [
            format!(r#"{{"sourceAmount":{written},"destinationAmount":{written}}}"#),
            format!(r#"{{"source":{{"amount":{written}}},"destination":{{"amount":{written}}}}}"#),
            format!(r#"{{"sourceAmount":"{written}","destinationAmount":"{written}"}}"#),
        ] {
            let Gave::Rate(rate) = read(Call::Rate, &body).await.unwrap() else { panic!("a rate") };
            assert_eq!(rate.source_amount, Some(Amount::from_base_units(units)), "{body}");
            assert_eq!(rate.destination_amount, decimal(written), "{body}");
        }
        let payment = format!(r#"{{"id":"pay-1","status":"AWAITING_FUNDS","depositAmount":{written}}}"#);
        for call in [Call::Create, Call::Get] {
            let Gave::Payment(payment) = read(call, &payment).await.unwrap() else { panic!("a payment") };
            assert_eq!(payment.deposit_amount, Some(Amount::from_base_units(units)));
        }
        let Gave::Listing(listing) = read(Call::ListUser, &format!("[{payment}]")).await.unwrap() else {
            panic!("a list")
        };
        assert_eq!(listing.payments[0].deposit_amount, Some(Amount::from_base_units(units)));
    }
}

fn rate() -> Rate {
    Rate {
        source_amount: Some(Amount::from_base_units(1_000_100_000)),
        source_currency: Some("USDC".to_owned()),
        destination_amount: decimal("17153.93"),
        destination_currency: Some("MXN".to_owned()),
        exchange_rate: decimal("17.2041"),
        total_fee: decimal("3.00025"),
        sentra_fee: None,
        developer_fee: None,
    }
}

const FLAT: &str = r#""sourceCurrency":"USDC","sourceAmount":1000.1,"sourceRail":"POLYGON","destinationCurrency":"MXN",
    "destinationAmount":17153.93,"destinationRail":"SPEI","destinationCountryCode":"MX","exchangeRate":17.2041"#;
const TIMES: &str = r#""expiresAt":"2026-11-22T10:15:00Z","createdAt":"2026-11-22T10:00:00Z""#;
const NESTED: &str = r#""source":{"currency":"USDC","amount":1000.1,"rail":"POLYGON"},
    "destination":{"currency":"MXN","amount":17153.93,"rail":"SPEI","countryCode":"MX"},"exchangeRate":17.2041,
    "sentraFee":{"fixed":0.5,"variable":2.50025},"developerFee":{"fixed":0,"variable":null},"totalFee":3.00025"#;

#[tokio::test]
async fn both_shapes_of_rates_and_quotes_are_read() {
    let nested = || Rate {
        sentra_fee: Some(Fee { fixed: decimal("0.5"), variable: decimal("2.50025") }),
        developer_fee: Some(Fee { fixed: decimal("0"), variable: None }),
        ..rate()
    };
    let quote = |rate: Rate| Quote {
        id: QuoteId::new("q-1").unwrap(),
        rate,
        expires_at: Some(Timestamp::from_secs(1_795_342_500)),
        created_at: Some(Timestamp::from_secs(1_795_341_600)),
    };
    let guide = format!(r#"{{{FLAT},"fee":3.00025}}"#);
    assert_eq!(read(Call::Rate, &guide).await, Ok(Gave::Rate(rate())));
    assert_eq!(read(Call::Rate, &format!("{{{NESTED}}}")).await, Ok(Gave::Rate(nested())));
    let guide = format!(r#"{{"id":"q-1",{FLAT},"totalFee":3.00025,{TIMES}}}"#);
    assert_eq!(read(Call::Quote, &guide).await, Ok(Gave::Quote(quote(rate()))));
    let reference = format!(r#"{{"id":"q-1","userId":"user-1",{NESTED},{TIMES}}}"#);
    assert_eq!(read(Call::Quote, &reference).await, Ok(Gave::Quote(quote(nested()))));
    let both = format!(r#"{{"id":"q-1",{FLAT},{NESTED},{TIMES}}}"#)
        .replace(r#""exchangeRate":17.2041,"source""#, r#""source""#);
    assert_eq!(read(Call::Quote, &both).await, Ok(Gave::Quote(quote(nested()))), "two shapes that agree");
}

#[tokio::test]
async fn what_cannot_be_right_is_unclear_and_names_the_field() {
    let quotes = [
        (r#"{"destinationAmount":1}"#, "no id"),
        (r#"{"id":"a/b"}"#, "its id \"a/b\""),
        (r#"{"id":"q","sourceAmount":-1}"#, "sourceAmount"),
        (r#"{"id":"q","sourceAmount":0.0000001}"#, "sourceAmount"),
        (r#"{"id":"q","sourceAmount":"1,000"}"#, "sourceAmount"),
        (r#"{"id":"q","sourceAmount":true}"#, "sourceAmount"),
        (r#"{"id":"q","destinationAmount":"1e3"}"#, "destinationAmount"),
        (r#"{"id":"q","destinationAmount":-17}"#, "destinationAmount"),
        (r#"{"id":"q","destination":{"amount":[]}}"#, "destination.amount"),
        (r#"{"id":"q","source":"USDC"}"#, "its source is no JSON object"),
        (r#"{"id":"q","source":["USDC",1]}"#, "its source is no JSON object"),
        (r#"{"id":"q","sourceAmount":1,"source":{"amount":2}}"#, "sourceAmount is there twice"),
        (r#"{"id":"q","destinationCurrency":"MXN","destination":{"currency":"EUR"}}"#, "destinationCurrency is there"),
        (r#"{"id":"q","userId":"user-2"}"#, "another user"),
        (r#"{"id":"q","expiresAt":"soon"}"#, "expiresAt"),
        (r#"{"id":"q","expiresAt":"2026-11-22T10:15:00"}"#, "expiresAt"),
        (r#"{"id":"q","id":"r"}"#, "its id is there twice"),
    ];
    let hooks = [
        (r#"{"url":"https://a"}"#, "no id"),
        (r#"{"id":"wh-2","url":"https://a"}"#, "another webhook"),
        (r#"{"id":"wh-1"}"#, "no url"),
        (r#"{"id":"wh-1","url":7}"#, "url is no text"),
    ];
    let created = [
        (r#"{"id":"p","status":"AWAITING_FUNDS","idempotencyKey":"key-2"}"#, "another payment"),
        (r#"{"id":"p","status":"AWAITING_FUNDS","recipientId":"rec-2"}"#, "another recipient"),
        (r#"{"id":"p"}"#, "no status"),
        (r#"[]"#, "no JSON object"),
    ];
    let lists = [(r#"{"data":7}"#, "an envelope without one list"), ("null", "no JSON list"), ("[{},", "no JSON list")];
    let all = quotes.iter().map(|case| (Call::Quote, case));
    let all = all.chain(hooks.iter().map(|case| (Call::UpdateWebhook, case)));
    let all = all.chain(created.iter().map(|case| (Call::Create, case)));
    for (call, (body, part)) in all.chain(lists.iter().map(|case| (Call::ListRecipient, case))) {
        match read(call, body).await {
            Err(ApiError::Unclear { detail, .. }) => {
                assert!(detail.starts_with("HTTP 200: ") && detail.contains(part), "{body}: {detail}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_off_ramp_is_opened_with_everything_that_goes_with_it() {
    let good = || Act::Send(answer("201 Created", "", &Call::Create.good()));
    let server = Server::start([good(), good()]).await;
    let client = client(&server.url);
    client.create(&recipient(), &off_ramp()).await.unwrap();
    let bare = NewOffRamp {
        document_reference: None,
        files: Vec::new(),
        reference_id: Some("123e4567-e89b-12d3-a456-426614174000".to_owned()),
        ..off_ramp()
    };
    client.create(&recipient(), &bare).await.unwrap();
    let begin = concat!(
        r#"{"idempotencyKey":"key-1","quoteId":"q-1","bankAccountId":"bank-1","#,
        r#""fromAddress":"0xabababababababababababababababababababab","paymentReason":"RENT","#
    );
    let requests = server.requests();
    let whole = r#""documentReference":"INV \"7\"","files":["data:application/pdf;base64,aGVsbG8="]}"#;
    assert_eq!(body(&requests[0]), format!("{begin}{whole}"));
    assert_eq!(body(&requests[1]), format!(r#"{begin}"referenceId":"123e4567-e89b-12d3-a456-426614174000"}}"#));
}

#[tokio::test]
async fn a_quote_names_the_bank_account() {
    let server = Server::start([Act::Send(answer("201 Created", "", &Call::Quote.good()))]).await;
    client(&server.url).quote(&user(), &exchange("12.5"), &bank()).await.unwrap();
    let requests = server.requests();
    assert!(body(&requests[0]).contains(r#""countryCode":"MX","paymentAccountId":"bank-1"}"#), "{requests:?}");
    assert!(!body(&requests[0]).contains("developerVariableFee"), "{requests:?}");
}

#[tokio::test]
async fn a_webhook_s_secret_goes_to_the_api_and_nowhere_else() {
    let server = Server::start([0; 3].map(|_| Act::Send(answer("200 OK", "", &Call::GetWebhook.good())))).await;
    let client = client(&server.url);
    let given = client.update_webhook(&hook(), &WebhookChange { is_active: Some(false), ..Default::default() }).await;
    let expected = Webhook {
        id: hook(),
        url: "https://desk.example/hook".to_owned(),
        events: vec!["payment.updated".to_owned()],
        is_active: Some(true),
        created_at: Some(Timestamp::from_secs(1_795_341_600)),
        updated_at: None,
    };
    assert_eq!(given, Ok(expected));
    client.update_webhook(&hook(), &WebhookChange { with_secret: true, ..Default::default() }).await.unwrap();
    let requests = server.requests();
    assert_eq!(body(&requests[0]), r#"{"isActive":false}"#);
    assert_eq!(body(&requests[1]), format!(r#"{{"secret":"{}"}}"#, super::SECRET));
    assert!(!format!("{client:?}").contains(super::SECRET));

    let bare = client_without_secret(&server.url);
    let error = bare.update_webhook(&hook(), &WebhookChange { with_secret: true, ..Default::default() }).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("webhook.secret_file"), "{error}");
    let error = bare.create_webhook(&WebhookChange::default()).await.unwrap_err().to_string();
    assert!(error.contains("needs a URL"), "{error}");
    assert_eq!(server.requests().len(), 2, "nothing was sent");
}

#[tokio::test]
async fn an_error_that_repeats_the_secret_does_not_show_it() {
    let echo = format!(r#"{{"message":"secret {} is too weak","statusCode":400}}"#, super::SECRET);
    let server = Server::start([Act::SendAndCut(answer("400 Bad Request", "", &echo))]).await;
    let error = Call::CreateWebhook.make(&client(&server.url)).await.unwrap_err();
    assert_eq!(error, ApiError::Refused { status: 400, detail: "secret [key] is too weak".to_owned() });
}
