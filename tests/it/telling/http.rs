//! Deliveries over real HTTP: signed so that a receiver can tell, and never telling the URL or the secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rampwatch::adapters::notify_http::{Form, NotifyHttp, NotifyHttpSettings, SigningKey};
use rampwatch::domain::notice::{Message, NoticeKind};
use rampwatch::domain::time::Span;
use rampwatch::outbound::Outbound;
use rampwatch::ports::notifier::{Notifier as _, NotifyError};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::support::records::at;

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(super) const URL_KEY: &str = "keyInThePathOfTheHook_4711";

type Headers = Vec<(&'static str, String)>;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An endpoint that answers as it is told.
#[derive(Clone)]
pub(super) struct Hook {
    came: Arc<Mutex<Vec<Came>>>,
    answer: Arc<Mutex<(u16, Headers)>>,
    pub(super) base: String,
}

impl Hook {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let hook = Self { came: Arc::default(), answer: Arc::new(Mutex::new((204, vec![]))), base };
        let router = Router::new().fallback(take).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hook
    }

    pub(super) fn answers(&self, status: u16, headers: Headers) {
        *self.answer.lock().unwrap() = (status, headers);
    }

    pub(super) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    pub(super) fn url(&self) -> String {
        format!("{}/hooks/{URL_KEY}?token={URL_KEY}", self.base)
    }
}

async fn take(State(hook): State<Hook>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    hook.came.lock().unwrap().push(Came { uri: uri.to_string(), headers, body });
    let (status, headers) = hook.answer.lock().unwrap().clone();
    let mut response = (StatusCode::from_u16(status).unwrap(), uri.to_string()).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn notifier(url: &str, form: Form) -> NotifyHttp {
    NotifyHttp::new(NotifyHttpSettings {
        name: "treasury".to_owned(),
        url: SecretString::from(url),
        form,
        kinds: vec![NoticeKind::Review],
        connect_timeout: Span::from_secs(2),
        timeout: Span::from_millis(800),
        outbound: Outbound::local(),
    })
    .unwrap()
}

fn signed() -> Form {
    Form::Standard { secret: SecretString::from(SECRET) }
}

fn message() -> Message {
    Message {
        kind: NoticeKind::Review,
        at: at(0),
        title: "A payment needs a decision".to_owned(),
        text: vec!["It is <here> & now.".to_owned()],
        remedies: vec![],
        payment: None,
        order: None,
    }
}

/// Nothing that is told of an endpoint shows its URL's key or its secret.
fn clean(text: &str) {
    for secret in [URL_KEY, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_delivery_is_signed_as_standard_webhooks_says() {
    let hook = Hook::open().await;
    let notifier = notifier(&hook.url(), signed());
    assert!(notifier.takes(NoticeKind::Review) && !notifier.takes(NoticeKind::Completed));
    for later in [0, 60_000] {
        notifier.deliver("rw-1-2-treasury", &message(), at(later)).await.unwrap();
    }
    let came = hook.came();
    assert_eq!(came.len(), 2);
    assert_eq!(came[0].uri, format!("/hooks/{URL_KEY}?token={URL_KEY}"));
    let key = SigningKey::read(&SecretString::from(SECRET)).unwrap();
    for (one, later) in came.iter().zip([0, 60_000]) {
        let header = |name: &str| one.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("webhook-id"), "rw-1-2-treasury");
        assert_eq!(header("webhook-timestamp"), at(later).as_secs().to_string());
        assert_eq!(header("webhook-signature"), key.sign("rw-1-2-treasury", at(later).as_secs(), &one.body));
        assert_eq!(header("content-type"), "application/json");
    }
    assert_eq!(came[0].body, came[1].body, "the event's moment stays, the delivery's is in the header");
    let body: serde_json::Value = serde_json::from_slice(&came[0].body).unwrap();
    assert_eq!(body["type"], "rampwatch.review");
}

#[tokio::test]
async fn slack_gets_a_text_and_no_signature() {
    let hook = Hook::open().await;
    notifier(&hook.url(), Form::Slack).deliver("rw-1", &message(), at(0)).await.unwrap();
    let came = hook.came();
    let body: serde_json::Value = serde_json::from_slice(&came[0].body).unwrap();
    let text = "*A payment needs a decision*\nIt is &lt;here&gt; &amp; now.";
    assert_eq!(body, serde_json::json!({ "text": text }));
    assert!(!came[0].headers.keys().any(|name| name.as_str().starts_with("webhook-")));
}

#[tokio::test]
async fn answers_mean_what_standard_webhooks_says() {
    let hook = Hook::open().await;
    let other = Hook::open().await;
    let notifier = notifier(&hook.url(), signed());
    let after = |seconds| Some(Span::from_secs(seconds));
    let cases = [
        (200, vec![], None),
        (299, vec![], None),
        (410, vec![], Some(None)),
        (301, vec![("location", other.base.clone())], Some(Some(None))),
        (308, vec![("location", other.base.clone())], Some(Some(None))),
        (400, vec![], Some(Some(None))),
        (404, vec![], Some(Some(None))),
        (429, vec![("retry-after", "90".to_owned())], Some(Some(after(90)))),
        (503, vec![("retry-after", "soon".to_owned())], Some(Some(None))),
        (
            502,
            vec![
                ("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT".to_owned()),
                ("date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            ],
            Some(Some(after(120))),
        ),
    ];
    for (status, headers, expected) in cases {
        hook.answers(status, headers);
        let said = notifier.deliver("rw-1", &message(), at(0)).await;
        let told = match &said {
            Ok(()) => None,
            Err(NotifyError::Gone) => Some(None),
            Err(NotifyError::Later { retry_after, detail }) => {
                assert!(detail.contains(&status.to_string()), "{detail}");
                Some(Some(*retry_after))
            }
        };
        assert_eq!(told, expected, "HTTP {status}");
        clean(&format!("{said:?} {}", said.clone().map_or_else(|error| error.to_string(), |()| String::new())));
    }
    assert!(other.came().is_empty(), "redirects are not followed");
}

#[tokio::test]
async fn failures_without_an_answer_are_told_without_the_url() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let cut = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cut_at = cut.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = cut.accept().await {
            drop(stream);
        }
    });
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for (place, words) in [
        (address.to_string(), "no answer within"),
        (closed.to_string(), "no connection"),
        (cut_at.to_string(), "the connection was lost"),
        (format!("{URL_KEY}.invalid"), "no connection"),
    ] {
        let url = format!("http://user-{URL_KEY}:pw-{URL_KEY}@{place}/{URL_KEY}?token={URL_KEY}");
        let notifier = notifier(&url, signed());
        let said = tokio::time::timeout(Duration::from_secs(20), notifier.deliver("rw-1", &message(), at(0))).await;
        let error = said.unwrap().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        if !place.contains(URL_KEY) {
            clean(&format!("{error:?} {error}"));
        }
        clean(&format!("{notifier:?}"));
    }
    drop(silent);
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_them() {
    let make = |url: &str, secret: &str| {
        let settings = NotifyHttpSettings {
            name: "treasury".to_owned(),
            url: SecretString::from(url),
            form: Form::Standard { secret: SecretString::from(secret) },
            kinds: vec![],
            connect_timeout: Span::from_secs(1),
            timeout: Span::from_secs(1),
            outbound: Outbound::local(),
        };
        clean(&format!("{settings:?}"));
        NotifyHttp::new(settings).unwrap_err()
    };
    for (url, secret) in [
        (format!("ftp://host.example/{URL_KEY}"), SECRET),
        (URL_KEY.to_owned(), SECRET),
        ("https://host.example/x".to_owned(), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ] {
        let error = make(&url, secret);
        clean(&format!("{error:?} {error}"));
        assert!(error.to_string().contains("treasury"), "{error}");
    }
}
