//! Carries messages between alloy and a websocket, and says in words why that ended.
//!
//! Deliberately absent: alloy's own carrier, which tells its log what was wrong, and whoever asked only that the connection is gone.

use std::time::Duration;

use alloy::pubsub::ConnectionInterface;
use alloy::rpc::json_rpc::{Id, PubSubItem};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A connection that is silent for this long is asked whether it still stands, and has as long to answer, and to take a message.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// So much of an unreadable message is shown, in characters.
const SHOWN: usize = 120;

/// So long after a question its answer may still come.
const OPEN_FOR: Duration = Duration::from_secs(60);

/// The questions that are not answered yet. Whoever waits for an answer goes by its number; nodes write that as a text, or null where
/// they could not read the question.
#[derive(Default)]
struct Open(Vec<(u64, Instant)>);

impl Open {
    fn note(&mut self, request: &str) {
        #[derive(Deserialize)]
        struct Numbered {
            id: u64,
        }
        let now = Instant::now();
        self.0.retain(|(_, at)| now.saturating_duration_since(*at) < OPEN_FOR);
        self.0.extend(serde_json::from_str::<Numbered>(request).ok().map(|request| (request.id, now)));
    }

    /// The same with the number of the question that it answers, as far as only one can be meant.
    fn answered(&mut self, item: PubSubItem) -> PubSubItem {
        let PubSubItem::Response(mut response) = item else { return item };
        let meant = match &response.id {
            Id::Number(id) => Some(*id),
            Id::String(text) => text.parse().ok(),
            Id::None => self.0.first().filter(|_| self.0.len() == 1).map(|(id, _)| *id),
        };
        if let Some(place) = self.0.iter().position(|(id, _)| Some(*id) == meant) {
            response.id = Id::Number(self.0.swap_remove(place).0);
        }
        PubSubItem::Response(response)
    }
}

/// Carries until either side ends. Returns why, as words about the node.
pub(super) async fn carry<S>(socket: &mut WebSocketStream<S>, interface: &mut ConnectionInterface) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut heard, mut is_asked, mut open) = (Instant::now(), false, Open::default());
    loop {
        let message = tokio::select! {
            biased;
            request = interface.recv_from_frontend() => match request {
                Some(request) => {
                    open.note(request.get());
                    Message::text(request.get())
                }
                None => return "we closed the connection".to_owned(),
            },
            said = socket.next() => {
                (heard, is_asked) = (Instant::now(), false);
                match understood(said) {
                    Ok(None) => continue,
                    Ok(Some(item)) => match interface.send_to_frontend(open.answered(item)) {
                        Ok(()) => continue,
                        Err(_) => return "we closed the connection".to_owned(),
                    },
                    Err(why) => return why,
                }
            }
            () = sleep_until(heard.checked_add(KEEPALIVE).unwrap_or(heard)) => {
                if is_asked {
                    return format!("it answered no ping within {} s", KEEPALIVE.as_secs());
                }
                (heard, is_asked) = (Instant::now(), true);
                Message::Ping(Default::default())
            }
        };
        match timeout(KEEPALIVE, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return broke(&error),
            Err(_) => return format!("it took no message for {} s", KEEPALIVE.as_secs()),
        }
    }
}

/// What a message says to us, where it says anything; or why the connection cannot be used any more.
fn understood(said: Option<Result<Message, Error>>) -> Result<Option<PubSubItem>, String> {
    match said {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map(Some).map_err(|_| no_json_rpc(&text)),
        Some(Ok(Message::Binary(_))) => {
            Err("it sent binary frames, where JSON-RPC over a websocket is sent as text".to_owned())
        }
        Some(Ok(Message::Close(Some(frame)))) => {
            Err(format!("it closed the connection with code {}: {:?}", frame.code, frame.reason.as_str()))
        }
        Some(Ok(Message::Close(None))) | None => Err("it closed the connection, and did not say why".to_owned()),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
            Err("it broke the connection off".to_owned())
        }
        Some(Err(error)) => Err(broke(&error)),
    }
}

fn no_json_rpc(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("it sent something that is no JSON-RPC: {shown:?}")
}

fn broke(error: &Error) -> String {
    match error {
        Error::Capacity(error) => format!("it sent a message that is too long: {error}"),
        Error::Protocol(error) => format!("it broke the rules of websockets: {error}"),
        Error::Utf8(_) => "it sent text that is not UTF-8".to_owned(),
        other => format!("the connection broke: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    #[test]
    fn what_ends_a_connection_is_said_in_words() {
        let frame = CloseFrame { code: CloseCode::Policy, reason: "quota exceeded".into() };
        for (said, words) in [
            (Some(Ok(Message::binary(b"{}".as_slice()))), "binary frames"),
            (Some(Ok(Message::text(r#"{"status":"connected"}"#))), r#"no JSON-RPC: "{\"status\":\"connected\"}""#),
            (Some(Ok(Message::text("x".repeat(500)))), "x…\""),
            (Some(Ok(Message::Close(Some(frame)))), "code 1008: \"quota exceeded\""),
            (Some(Ok(Message::Close(None))), "did not say why"),
            (None, "did not say why"),
            (Some(Err(Error::ConnectionClosed)), "the connection broke: "),
        ] {
            let why = understood(said).unwrap_err();
            assert!(why.contains(words) && why.len() < 250, "{why}");
        }
    }

    /// A number that comes back as a text, and errors under null.
    #[test]
    fn an_answer_gets_the_number_of_the_one_question_that_it_can_be_of() {
        let answer =
            |id: &str| serde_json::from_str(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"0x1"}}"#)).unwrap();
        let asked = |ids: &[u64]| {
            let mut open = Open::default();
            ids.iter().for_each(|id| open.note(&format!(r#"{{"method":"m","params":[],"id":{id},"jsonrpc":"2.0"}}"#)));
            open
        };
        let number = |item| match item {
            PubSubItem::Response(response) => response.id,
            PubSubItem::Notification(_) => panic!("it is an answer"),
        };
        for (ids, came, told) in [
            (&[7][..], "7", Id::Number(7)),
            (&[6, 7], "\"7\"", Id::Number(7)),
            (&[7], "null", Id::Number(7)),
            (&[6, 7], "null", Id::None),
            (&[6], "\"7\"", Id::String("7".to_owned())),
            (&[], "null", Id::None),
        ] {
            assert_eq!(number(asked(ids).answered(answer(came))), told, "{came} after {ids:?}");
        }
        let mut open = asked(&[6, 7]);
        open.answered(answer("6"));
        assert_eq!(number(open.answered(answer("null"))), Id::Number(7), "only one is left");
    }

    #[test]
    fn answers_and_pushes_are_carried_on_and_pings_are_not() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}"#,
            r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{}}}"#,
        ] {
            assert!(understood(Some(Ok(Message::text(text)))).unwrap().is_some(), "{text}");
        }
        assert!(understood(Some(Ok(Message::Ping(Default::default())))).unwrap().is_none());
    }
}
