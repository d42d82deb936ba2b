//! The bodies of deliveries.

use serde::Serialize;

use crate::domain::notice::Message;
use crate::domain::time::Timestamp;

/// The body that Standard Webhooks recommends.
#[derive(Serialize)]
struct Standard<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    text: String,
    remedies: &'a [String],
    payment: Option<&'a str>,
    order: Option<String>,
}

/// Slack's.
#[derive(Serialize)]
struct Slack {
    text: String,
}

/// The message as Standard Webhooks recommends it: `type` is `rampwatch.` and the kind.
pub(super) fn standard(message: &Message) -> Vec<u8> {
    let data = Data {
        title: &message.title,
        text: message.text.join("\n"),
        remedies: &message.remedies,
        payment: message.payment.as_ref().map(|id| id.as_str()),
        order: message.order.as_ref().map(ToString::to_string),
    };
    let kind = format!("rampwatch.{}", message.kind);
    bytes(&Standard { kind, timestamp: moment(message.at), data })
}

/// The message as Slack takes it: the title in bold, the ways out as a list. What Slack would take for markup (`&`, `<`, `>`)
/// is escaped, as its documentation asks for.
pub(super) fn slack(message: &Message) -> Vec<u8> {
    let mut text = format!("*{}*", escaped(&message.title));
    for line in &message.text {
        text.push('\n');
        text.push_str(&escaped(line));
    }
    for remedy in &message.remedies {
        text.push_str("\n• ");
        text.push_str(&escaped(remedy));
    }
    bytes(&Slack { text })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Texts and lists of texts always have a JSON.
fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// As RFC 3339 writes it.
fn moment(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).ok();
    millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::NoticeKind;

    fn message() -> Message {
        Message {
            kind: NoticeKind::Review,
            at: Timestamp::from_millis(1_790_000_000_123),
            title: "A <payment> needs a decision".to_owned(),
            text: vec!["The API said \"a & b\" & <!channel>".to_owned(), "second".to_owned()],
            remedies: vec!["rampwatch resolve retry --reason '…' p-1".to_owned()],
            payment: Some("p-1".parse().unwrap()),
            order: Some("p-1:2".parse().unwrap()),
        }
    }

    #[test]
    fn slack_is_given_no_markup_but_ours() {
        let body: serde_json::Value = serde_json::from_slice(&slack(&message())).unwrap();
        let expected = "*A &lt;payment&gt; needs a decision*\nThe API said \"a &amp; b\" &amp; &lt;!channel&gt;\nsecond\n\
                        • rampwatch resolve retry --reason '…' p-1";
        assert_eq!(body, serde_json::json!({ "text": expected }));
        assert_eq!(escaped("&lt;"), "&amp;lt;", "what is escaped already is escaped again: it was meant so");
    }

    #[test]
    fn the_standard_body_has_a_type_a_moment_and_data() {
        let body: serde_json::Value = serde_json::from_slice(&standard(&message())).unwrap();
        let expected = serde_json::json!({
            "type": "rampwatch.review",
            "timestamp": "2026-09-21T14:13:20.123Z",
            "data": {
                "title": "A <payment> needs a decision",
                "text": "The API said \"a & b\" & <!channel>\nsecond",
                "remedies": ["rampwatch resolve retry --reason '…' p-1"],
                "payment": "p-1",
                "order": "p-1:2",
            },
        });
        assert_eq!(body, expected);
    }
}
