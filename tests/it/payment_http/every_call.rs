//! Each call against each documented and undocumented answer.

use rampwatch::adapters::payment_http::{MAX_BODY_BYTES, MAX_LIST_BYTES, MAX_PAYMENT_BYTES, MAX_REQUEST_BYTES};
use rampwatch::domain::time::Span;
use rampwatch::ports::off_ramp_api::{AttachedFile, NewOffRamp, OffRampApi as _};
use rampwatch::ports::payment_api::ApiError;

use super::calls::{Call, Gave, off_ramp, recipient};
use super::server::{Act, Server, answer};
use super::{KEY, SECRET, client, client_at};

/// The class of an error.
fn class(error: &ApiError) -> &'static str {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(KEY) && !shown.contains(SECRET), "{shown}");
    assert!(!shown.contains("/payments/") && !shown.contains("/webhooks/"), "a URL is in {shown}");
    match error {
        ApiError::NotNow { .. } => "not now",
        ApiError::Unclear { .. } => "unclear",
        ApiError::KeyRefused { .. } => "key refused",
        ApiError::NotFound { .. } => "not found",
        ApiError::Refused { .. } => "refused",
    }
}

/// What each call says to one answer.
async fn each(act: Act) -> Vec<(Call, ApiError)> {
    let server = Server::start(Call::ALL.map(|_| act.clone())).await;
    let client = client(&server.url);
    let mut errors = Vec::new();
    for call in Call::ALL {
        match call.make(&client).await {
            Err(error) => errors.push((call, error)),
            Ok(gave) => panic!("{call:?} to {act:?}: {gave:?}"),
        }
    }
    assert_eq!(server.requests().len(), Call::ALL.len(), "one request for each call, whatever is answered");
    errors
}

#[tokio::test]
async fn each_is_one_request_with_the_key_and_reads_its_answer() {
    let server = Server::start(Call::ALL.map(|call| Act::Send(answer("200 OK", "", &call.good())))).await;
    let client = client(&server.url);
    for call in Call::ALL {
        call.make(&client).await.unwrap_or_else(|error| panic!("{call:?}: {error}"));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), Call::ALL.len());
    for (call, request) in Call::ALL.iter().zip(&requests) {
        assert!(request.starts_with(call.line()), "{call:?}: {request}");
        assert!(request.contains(KEY), "{call:?}: {request}");
        let has_secret = request.contains(SECRET);
        assert_eq!(has_secret, matches!(call, Call::CreateWebhook | Call::UpdateWebhook), "{call:?}: {request}");
        let head = request.to_lowercase();
        let json = head.contains("content-type: application/json\r\n");
        assert_eq!(json, !call.line().starts_with("GET"), "{call:?}: {request}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let api = |status: u16, message: &str| format!(r#"{{"message":"{message}","statusCode":{status}}}"#);
    let details = r#"{"message":"Validation failed","statusCode":400,
        "details":{"field":"source.amount","message":"must not be less than 1"}}"#;
    let cases = [
        ("400 Bad Request", "", details.to_owned(), "refused", "Validation failed (source.amount: must not be less"),
        ("401 Unauthorized", "", api(401, "Invalid API key"), "key refused", "Invalid API key"),
        ("403 Forbidden", "", api(403, "No"), "key refused", "403"),
        ("404 Not Found", "", api(404, "Quote not found"), "not found", "Quote not found"),
        ("404 Not Found", "", "<html>".to_owned(), "unclear", "api.base_url"),
        ("409 Conflict", "", api(409, "Quote was used"), "refused", "HTTP 409: Quote was used"),
        ("422 Unprocessable Entity", "", api(422, "Bad bank"), "refused", "HTTP 422: Bad bank"),
        ("422 Unprocessable Entity", "", String::new(), "refused", "it gives no reason"),
        ("429 Too Many Requests", "Retry-After: 17\r\n", api(429, "Slow"), "not now", "HTTP 429: Slow"),
        ("500 Internal Server Error", "", api(500, "Oh"), "unclear", "HTTP 500: Oh"),
        ("502 Bad Gateway", "", "<html>bad</html>".to_owned(), "unclear", "HTTP 502 Bad Gateway"),
        ("503 Service Unavailable", "Retry-After: 3\r\n", "<html>".to_owned(), "unclear", "HTTP 503"),
        ("504 Gateway Timeout", "", "<html>".to_owned(), "unclear", "HTTP 504"),
        ("302 Found", "Location: https://evil.example/x\r\n", String::new(), "refused", "https://evil.example,"),
    ];
    for (status, headers, body, expected, part) in cases {
        for (call, error) in each(Act::SendAndCut(answer(status, headers, &body))).await {
            assert_eq!(class(&error), expected, "{call:?} to {status}: {error:?}");
            assert!(error.to_string().contains(part), "{call:?} to {status}: {error}");
            let after = match &error {
                ApiError::NotNow { retry_after, .. } | ApiError::Unclear { retry_after, .. } => *retry_after,
                _ => None,
            };
            let given = headers.strip_prefix("Retry-After: ").map(|rest| rest.trim().parse().unwrap());
            assert_eq!(after, given.map(Span::from_secs), "{call:?} to {status}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_or_torn_is_unclear() {
    let torn = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"id\":\"pay-1\",\"sta".to_vec();
    let not_json = |body: &str| Act::SendAndCut(answer("200 OK", "", body));
    let acts = [
        (Act::CutAfter, "the connection was lost"),
        (Act::SendAndCut(torn), "the connection was lost"),
        (Act::SendAndCut(b"nonsense\r\n\r\n".to_vec()), "the connection was lost"),
        (not_json("{\"id\":\"pay-1\",\"sta"), "no JSON"),
        (not_json(""), "no JSON"),
        (not_json("<html>welcome to the hotel</html>"), "no JSON"),
        (not_json("\"pay-1\""), "no JSON"),
        (not_json("7"), "no JSON"),
    ];
    for (act, part) in acts {
        for (call, error) in each(act.clone()).await {
            assert_eq!(class(&error), "unclear", "{call:?} to {act:?}: {error:?}");
            assert!(error.to_string().contains(part), "{call:?} to {act:?}: {error}");
        }
    }
}

#[tokio::test]
async fn no_answer_in_time_is_unclear_and_no_connection_is_not_now() {
    let calls = Call::ALL.map(|call| async move {
        let server = Server::start([Act::Hang]).await;
        let error = call.make(&client_at(&server.url, 2_000)).await.unwrap_err();
        assert_eq!(class(&error), "unclear", "{call:?}: {error:?}");
        assert!(error.to_string().contains("no full answer within 2000 ms"), "{call:?}: {error}");
    });
    futures_util::future::join_all(calls).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let client = client(&format!("http://{free}"));
    for call in Call::ALL {
        let error = call.make(&client).await.unwrap_err();
        assert_eq!(class(&error), "not now", "{call:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    for call in [Call::Rate, Call::Create, Call::ListUser, Call::GetWebhook] {
        let most = match call {
            Call::ListUser => MAX_LIST_BYTES,
            Call::Create => MAX_PAYMENT_BYTES,
            _ => MAX_BODY_BYTES,
        };
        let body = " ".repeat(most + 1);
        let server = Server::start([Act::SendAndCut(answer("200 OK", "", &body))]).await;
        let error = call.make(&client(&server.url)).await.unwrap_err();
        assert_eq!(class(&error), "unclear", "{call:?}: {error:?}");
        assert!(error.to_string().contains(&format!("larger than {most} bytes")), "{call:?}: {error}");
    }
}

#[tokio::test]
async fn what_changes_something_has_a_connection_of_its_own() {
    for call in Call::ALL {
        let good = || Act::Send(answer("200 OK", "", &call.good()));
        let server = Server::start([good(), good(), Act::CutAfter]).await;
        let client = client(&server.url);
        call.make(&client).await.unwrap();
        call.make(&client).await.unwrap();
        assert_eq!(server.connections(), if call.acts() { 2 } else { 1 }, "{call:?}");
        let error = call.make(&client).await.unwrap_err();
        assert_eq!((class(&error), server.requests().len()), ("unclear", 3), "{call:?}: never asked a second time");
    }
}

#[tokio::test]
async fn each_is_counted_by_how_it_ends() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let acts = Call::ALL.into_iter().flat_map(|call| {
        [Act::Send(answer("200 OK", "", &call.good())), Act::SendAndCut(answer("409 Conflict", "", "{}"))]
    });
    let server = Server::start(acts.collect::<Vec<_>>()).await;
    let client = client(&server.url);
    for call in Call::ALL {
        call.make(&client).await.unwrap();
        call.make(&client).await.unwrap_err();
    }
    let text = handle.render();
    for (call, result) in Call::ALL.into_iter().flat_map(|call| [(call, "ok"), (call, "refused")]) {
        let line = format!("rampwatch_api_requests_total{{call=\"{}\",result=\"{result}\"}} 1", call.name());
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn one_payment_that_cannot_be_read_hides_no_other() {
    let list = r#"[
        {"id":"pay-1","status":"AWAITING_FUNDS","recipientId":"rec-1"},
        {"id":"pay-2","status":"AWAITING_FUNDS","depositAmount":"many","recipientId":"rec-1"},
        {"status":"AWAITING_FUNDS"}, 7, null, [], {"id":"a b","status":"SENT"},
        {"id":"pay-3","status":"NEVER_HEARD_OF"}, {"id":"pay-4","status":"SENT","recipientId":"rec-2"}
    ]"#;
    let server = Server::start([0, 1].map(|_| Act::Send(answer("200 OK", "", list)))).await;
    let client = client(&server.url);
    for (call, read, unread) in [
        (
            Call::ListUser,
            vec!["pay-1", "pay-2", "pay-3", "pay-4"],
            vec!["place 3", "place 4", "place 5", "place 6", "\"a b\""],
        ),
        (
            Call::ListRecipient,
            vec!["pay-1", "pay-2", "pay-3"],
            vec!["place 3", "place 4", "place 5", "place 6", "\"a b\"", "\"pay-4\""],
        ),
    ] {
        let Gave::Listing(listing) = call.make(&client).await.unwrap() else { panic!("{call:?}") };
        let ids: Vec<&str> = listing.payments.iter().map(|payment| payment.id.as_str()).collect();
        assert_eq!(ids, read, "{call:?}");
        assert_eq!(listing.unreadable.len(), unread.len(), "{:?}", listing.unreadable);
        for (why, part) in listing.unreadable.iter().zip(unread) {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert_eq!(
            listing.payments[1].unread[0].to_string(),
            "depositAmount \"many\", which is not an amount of the token"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let server = Server::start([]).await;
    let client = client(&server.url);
    let with = |media_type: &str, bytes: usize| NewOffRamp {
        files: vec![AttachedFile { media_type: media_type.to_owned(), bytes: vec![7; bytes] }],
        ..off_ramp()
    };
    let cases = [
        (with("application/pdf", MAX_REQUEST_BYTES), "at most"),
        (with("pdf", 1), "media type"),
        (with("application/pdf;base64,AAAA", 1), "media type"),
        (with("application/pdf\r\n", 1), "media type"),
    ];
    for (new, part) in cases {
        let error = client.create(&recipient(), &new).await.unwrap_err();
        assert!(
            class(&error) == "refused" && error.to_string().contains("not sent") && error.to_string().contains(part),
            "{error}"
        );
    }
    assert_eq!(server.connections(), 0);
}
