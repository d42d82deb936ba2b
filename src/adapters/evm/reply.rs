//! Reads JSON-RPC answers, as far as they come from a node that means well: what it says of a question is never lost, however its
//! ids look, and an answer that can't be told apart from another's is none.
//!
//! Deliberately absent: what an answer means. That a batch can't be used is [`Class::Batch`]: the questions are then put in
//! smaller parts.

use std::time::Duration;

use alloy::primitives::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::classify::{Class, classify};
use super::failure::{Failure, Reach};
use super::named_limits::suggested_wait;
use super::redact::Redactor;

/// Longer data with an error, in hexadecimal digits, are no revert's reason that a person could read.
const MAX_RETURNED: usize = 2_048;

/// What became of each question, in the order of asking.
pub(super) type Answers = Vec<Result<Box<RawValue>, Failure>>;

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: Value,
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Value>,
}

/// Keeps `null` apart from a missing field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Reply {
    /// Which question it answers: by a number, also one that is written as text.
    fn place(&self) -> Option<usize> {
        let number = match &self.id {
            Value::Number(id) => id.as_u64().or_else(|| id.to_string().strip_suffix(".0")?.parse().ok()),
            Value::String(id) => id.trim().parse().ok(),
            _ => None,
        };
        number.and_then(|number| usize::try_from(number).ok())
    }

    fn result(self, redactor: &Redactor) -> Result<Box<RawValue>, Failure> {
        if let Some(error) = self.error.filter(|error| !error.is_null()) {
            return Err(of_error(&error, redactor));
        }
        self.result.ok_or_else(|| Failure::unreadable("an answer with neither result nor error"))
    }
}

/// The answer to one question. Some servers put it into a list.
pub(super) fn one(body: &[u8], redactor: &Redactor) -> Result<Box<RawValue>, Failure> {
    if is_list(body)
        && let Ok([reply]) = serde_json::from_slice::<[Reply; 1]>(body)
    {
        return reply.result(redactor);
    }
    serde_json::from_slice::<Reply>(body).map_err(|_| no_json(body, redactor))?.result(redactor)
}

/// The error in an answer that came with an HTTP status that is no success, if there is one.
pub(super) fn error_in(body: &[u8], redactor: &Redactor) -> Option<Failure> {
    let error = |reply: Reply| reply.error.filter(|error| !error.is_null());
    let found = if is_list(body) {
        serde_json::from_slice::<Vec<Reply>>(body).ok()?.into_iter().find_map(error)
    } else {
        serde_json::from_slice::<Reply>(body).ok().and_then(error)
    };
    found.map(|error| of_error(&error, redactor))
}

/// The answers to a batch of questions, in the order of asking.
///
/// Errors that name no question belong to those that have no answer: one to each if there are as many, else the first to all.
/// A result that names none belongs to nobody.
///
/// # Errors
/// The batch was answered as a whole, or so that nobody can tell what answers what.
pub(super) fn batch(body: &[u8], methods: &[&'static str], redactor: &Redactor) -> Result<Answers, Failure> {
    if !is_list(body) {
        let reply: Reply = serde_json::from_slice(body).map_err(|_| no_json(body, redactor))?;
        let failure = reply.result(redactor).err();
        return Err(failure.map_or_else(|| Failure::new(Class::Batch, "a batch got one answer"), for_all));
    }
    let mut slots: Vec<Option<Result<Box<RawValue>, Failure>>> = methods.iter().map(|_| None).collect();
    let (mut strays, mut muddle): (Vec<Failure>, Vec<String>) = (Vec::new(), Vec::new());
    let replies = replies(body, redactor)?;
    let count = replies.len();
    for reply in replies {
        let place = reply.place();
        let result = reply.result(redactor);
        match place.and_then(|place| slots.get_mut(place)) {
            Some(slot @ None) => *slot = Some(result),
            Some(Some(known)) if is_same(known, &result) => {}
            Some(Some(known)) => {
                let words = [known.as_ref().err(), result.as_ref().err()];
                let words: Vec<&str> = words.into_iter().flatten().map(|failure| failure.text.as_str()).collect();
                muddle.push(format!("it answers one question twice, and not the same {}", words.join("; ")));
            }
            None => match result {
                Ok(_) => muddle.push("an answer in its batch names no question".to_owned()),
                Err(failure) => strays.push(failure),
            },
        }
    }
    let missing = slots.iter().filter(|slot| slot.is_none()).count();
    let is_usable = muddle.is_empty() && (strays.is_empty() || missing > 0);
    if !is_usable || (missing == methods.len() && strays.len() == 1) {
        return Err(as_one(muddle, slots.into_iter().flatten().filter_map(Result::err), strays));
    }
    let mut each = (strays.len() == missing && count == methods.len()).then(|| strays.clone().into_iter());
    let all = together(strays);
    let answers = slots.into_iter().zip(methods).map(|(slot, method)| {
        let none = || Failure::new(Class::Batch, format!("the batch's answer has none to {method}"));
        slot.unwrap_or_else(|| {
            let stray = each.as_mut().and_then(Iterator::next);
            Err(stray.or_else(|| all.clone()).unwrap_or_else(none))
        })
    });
    Ok(answers.collect())
}

/// The items of a list. One that is no answer at all is an answer to nobody, without a word.
fn replies(body: &[u8], redactor: &Redactor) -> Result<Vec<Reply>, Failure> {
    if let Ok(replies) = serde_json::from_slice(body) {
        return Ok(replies);
    }
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| no_json(body, redactor))?;
    let read = |item: &&RawValue| {
        serde_json::from_str(item.get()).unwrap_or_else(|_| {
            let error = Value::String(format!("an item in its batch is no answer: {}", start_of(item.get())));
            Reply { id: Value::Null, result: None, error: Some(error) }
        })
    };
    Ok(items.iter().map(read).collect())
}

/// What a batch that can't be used says, in all words that came with it.
fn as_one(muddle: Vec<String>, answers: impl Iterator<Item = Failure>, strays: Vec<Failure>) -> Failure {
    let all = together(answers.chain(strays).collect());
    match all {
        Some(failure) if muddle.is_empty() => for_all(failure),
        all => {
            let said = muddle.into_iter().chain(all.map(|failure| failure.text));
            Failure::new(Class::Batch, said.collect::<Vec<_>>().join(": "))
        }
    }
}

/// An error for a whole batch. If it says nothing else, it is the batch that is refused.
fn for_all(failure: Failure) -> Failure {
    let is_plain = matches!(failure.class, Class::Refused | Class::Garbage);
    if is_plain { Failure { class: Class::Batch, ..failure } } else { failure }
}

/// Several errors as one: of the first's kind, in the words of all.
fn together(failures: Vec<Failure>) -> Option<Failure> {
    let mut failures = failures.into_iter();
    let mut first = failures.next()?;
    for other in failures.filter(|other| !other.text.is_empty()) {
        if !first.text.contains(&other.text) {
            first.text = format!("{}; {}", first.text, other.text);
        }
    }
    Some(first)
}

fn is_same(one: &Result<Box<RawValue>, Failure>, other: &Result<Box<RawValue>, Failure>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.get() == other.get(),
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

/// A JSON-RPC error, which some servers write with the code as text, or as text altogether.
fn of_error(error: &Value, redactor: &Redactor) -> Failure {
    let code = error.get("code").and_then(|code| code.as_i64().or_else(|| code.as_str()?.parse().ok()));
    let message = error.get("message").or(Some(error)).and_then(Value::as_str);
    let unworded = || format!("an error without a message: {}", start_of(&error.to_string()));
    let message = message.map_or_else(unworded, str::to_owned);
    let data = match error.get("data") {
        None | Some(Value::Null) => None,
        Some(Value::String(data)) => Some(data.clone()),
        Some(data) => Some(start_of(&data.to_string())),
    };
    rpc_failure(code, &message, data.as_deref(), redactor)
}

/// A JSON-RPC error as a failure. Its data are words, or what a contract returned.
pub(super) fn rpc_failure(code: Option<i64>, message: &str, data: Option<&str>, redactor: &Redactor) -> Failure {
    let detail = data.filter(|data| !data.starts_with("0x") && *data != message);
    let returned = data.filter(|data| data.starts_with("0x") && data.len() <= MAX_RETURNED);
    let returned = returned.and_then(|data| data.parse::<Bytes>().ok());
    let words = detail.map_or_else(|| message.to_owned(), |detail| format!("{message}: {detail}"));
    let class = classify(code, &words);
    let retry_after = if class == Class::RateLimit { suggested_wait(&words) } else { None };
    let retry_after = retry_after.map(|wait: Duration| wait.min(super::http::MAX_RETRY_AFTER));
    let words = redactor.clean(&words);
    let text = code.map_or_else(|| words.clone(), |code| format!("{words} (code {code})"));
    Failure { words, reach: Reach::Answered, returned, retry_after, ..Failure::new(class, text) }
}

fn is_list(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

fn start_of(text: &str) -> String {
    text.chars().take(80).collect()
}

fn no_json(body: &[u8], redactor: &Redactor) -> Failure {
    let start = String::from_utf8_lossy(body.get(..body.len().min(80)).unwrap_or_default());
    Failure::garbage(format!("the answer is no JSON-RPC: {:?}", redactor.clean(&start)))
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
