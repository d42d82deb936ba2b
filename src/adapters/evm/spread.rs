//! A question that several endpoints can answer: one after the other until one does, or all at once.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};

use crate::ports::chain::ChainError;
use crate::ports::sender::EndpointAnswer;

use super::abilities::Ability;
use super::classify::Class;
use super::conduct::MAX_LAG;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::pool::Pool;

/// How one endpoint is asked.
pub(super) type Asking<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// The answer of the first endpoint that gives one; the head in it was believed where it was asked for. With `head_of`, one
/// whose head hangs far behind the highest that was
/// seen is taken only when no other answers.
pub(super) async fn first<'a, T>(
    pool: &'a Pool,
    at: Ability,
    ask: impl Fn(Arc<Endpoint>) -> Asking<'a, T>,
    head_of: impl Fn(&T) -> Option<u64>,
) -> Result<T, ChainError> {
    let mut attempt = pool.attempt(at, None);
    let alone = pool.endpoints.len() == 1;
    let mut hanging: Option<T> = None;
    while let Some(endpoint) = attempt.next().await {
        match ask(Arc::clone(&endpoint)).await {
            Ok(answer) => {
                endpoint.worked(at);
                let (head, highest) = (head_of(&answer), pool.highest());
                let Some(head) = head.filter(|head| !alone && head.saturating_add(MAX_LAG) < highest) else {
                    return Ok(answer);
                };
                let text = format!("its head is {head}, but {highest} was seen");
                attempt.failed(&endpoint, &Failure::new(Class::Behind, text));
                hanging = hanging.filter(|before| head_of(before) >= Some(head)).or(Some(answer));
            }
            Err(failure) => attempt.failed(&endpoint, &failure),
        }
        if hanging.is_some() && attempt.all_tried() {
            break;
        }
    }
    hanging.ok_or_else(|| attempt.into_error())
}

/// What every endpoint answers, in the configured order. They are asked at the same time, also those that rest: the
/// caller wants to hear of all.
pub(super) async fn everywhere<'a, T>(
    pool: &'a Pool,
    at: Ability,
    ask: impl Fn(Arc<Endpoint>) -> Asking<'a, T>,
) -> Vec<EndpointAnswer<Result<T, ChainError>>> {
    let asked = pool.included().into_iter().map(|endpoint| {
        let asking = ask(Arc::clone(&endpoint));
        async move {
            let result = asking.await;
            endpoint.note(at, &result);
            let answer = result.map_err(|failure| of_one(&endpoint, &failure));
            EndpointAnswer { endpoint: endpoint.id, name: endpoint.name.clone(), answer }
        }
    });
    join_all(asked).await
}

/// What to say when only this endpoint could have answered.
fn of_one(endpoint: &Endpoint, failure: &Failure) -> ChainError {
    let text = format!("{:?}: {}", endpoint.name, failure.text);
    if failure.class == Class::Contradiction {
        return ChainError::Contradiction(format!("endpoint {text}"));
    }
    match failure {
        _ if failure.class.is_behind() => ChainError::Behind(text),
        _ if failure.is_about_the_question() => ChainError::Refused(text),
        _ => ChainError::Unavailable(text),
    }
}
