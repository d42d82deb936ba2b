//! Puts questions to one endpoint.
//!
//! A question that failed because a kept connection was gone is put once more, on a new one: servers give up idle connections
//! without a word. What must not be put twice ([`Endpoint::deliver`]) is not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::timeout;

use super::super::classify::Class;
use super::super::failure::{Failure, Reach};
use super::super::http::HttpLink;
use super::super::limits::Limits;
use super::super::named_limits::suggested_batch;
use super::super::reply::Answers;
use super::super::rpc::Ask;
use super::super::ws::WsLink;
use super::Endpoint;

impl Endpoint {
    /// Asks questions, on one node as far as that can be arranged, in the order given: as one HTTP batch, or in several where it
    /// takes no such batches, ending with the first in which one fails (for one that may fail: without an answer of a node).
    pub(in super::super) async fn ask(&self, asks: &[Ask]) -> Result<Answers, Failure> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(Failure::new(Class::Connection, "the endpoint is closed"));
        };
        match &self.http {
            Some(http) => self.ask_http(http, asks).await,
            None => self.ask_ws(asks).await,
        }
    }

    async fn ask_http(&self, http: &HttpLink, asks: &[Ask]) -> Result<Answers, Failure> {
        self.verify_http(http, false).await?;
        self.ask_in_parts(http, asks).await
    }

    /// Asks in as few batches as the endpoint takes. A batch that fails for no reason that would stop a single question is put
    /// again in smaller parts at once: what a server makes of batches must not stand in the way of what it knows.
    pub(super) async fn ask_in_parts(&self, http: &HttpLink, asks: &[Ask]) -> Result<Answers, Failure> {
        let mut answers = Answers::new();
        // The size of a batch that has failed, for no reason that speaks of batches.
        let mut alone: Option<usize> = None;
        let mut left = asks;
        while !left.is_empty() {
            let size = if alone.is_some() { 1 } else { self.limits().batch_of(left.len()) };
            let (now, later) = left.split_at(size.min(left.len()));
            self.count(now);
            let got = match now {
                [ask] => {
                    let got = self.in_time(http.one(ask)).await;
                    if got.as_ref().is_err_and(|why| is_silent_refusal(why) || is_unanswered(why)) {
                        self.learn(Limits::single_failed);
                    }
                    vec![got]
                }
                _ => match self.in_time(http.batch(now)).await {
                    Ok(got) => {
                        let refused = got.iter().find_map(|answer| answer.as_ref().err().filter(|it| is_of_batch(it)));
                        if let Some(why) = refused {
                            self.takes_no_batch(now.len(), why);
                            continue;
                        }
                        self.learn(Limits::batch_worked);
                        got
                    }
                    Err(why) if is_of_batch(&why) => {
                        self.takes_no_batch(now.len(), &why);
                        continue;
                    }
                    Err(why) if may_be_the_batch(&why) => {
                        tracing::debug!(endpoint = %self.name, error = %why.text, "a batch failed; its questions are put one by one");
                        alone = Some(now.len());
                        continue;
                    }
                    Err(why) => {
                        // A server that always ends so may do so because of the batch; or it may be down.
                        if is_silent_refusal(&why) {
                            self.learn(|limits: &mut Limits| limits.batch_failed(now.len()));
                        }
                        if is_unanswered(&why) || why.class == Class::RateLimit {
                            self.learn(|limits: &mut Limits| limits.batch_unanswered(now.len()));
                        }
                        return Err(why);
                    }
                },
            };
            let goes_on = now.iter().zip(&got).all(|(ask, answer)| goes_on(ask, answer));
            if let (Some(size), true) = (alone, answers.is_empty() && got.iter().all(Result::is_ok)) {
                self.learn(|limits: &mut Limits| limits.batch_failed(size));
            }
            answers.extend(got);
            if !goes_on {
                break;
            }
            left = later;
        }
        Ok(answers)
    }

    fn takes_no_batch(&self, calls: usize, why: &Failure) {
        tracing::info!(endpoint = %self.name, calls, error = %why.text, "the endpoint takes no such batches");
        let suggested = suggested_batch(&why.words, calls);
        self.learn(|limits: &mut Limits| limits.no_batch(calls, suggested));
    }

    async fn ask_ws(&self, asks: &[Ask]) -> Result<Answers, Failure> {
        let (link, kept) = self.ws_link().await?;
        let answers = self.ask_link(&link, asks).await;
        let gone = |failure: &Failure| failure.class == Class::Connection;
        if !(kept && matches!(answers.first(), Some(Err(failure)) if gone(failure))) {
            return Ok(answers);
        }
        // The connection ended while nobody asked, as providers do to idle ones: that is no failure yet.
        let (link, _) = self.ws_link().await?;
        Ok(self.ask_link(&link, asks).await)
    }

    async fn ask_link(&self, link: &Arc<WsLink>, asks: &[Ask]) -> Answers {
        let mut answers = Answers::new();
        for ask in asks {
            self.count(std::slice::from_ref(ask));
            let answer = link.one(ask).await;
            let failed = answer.as_ref().err().map(|failure| failure.class);
            let goes_on = goes_on(ask, &answer);
            answers.push(answer);
            if matches!(failed, Some(Class::Timeout | Class::Connection | Class::Garbage)) {
                let mut slot = self.ws_slot.lock().await;
                if slot.as_ref().is_some_and(|open| Arc::ptr_eq(open, link)) {
                    *slot = None;
                }
            }
            if !goes_on {
                break;
            }
        }
        answers
    }

    /// Gives it something to keep, such as a transaction. After a failure that is not [`Reach::Unsent`], it may have
    /// it. The chain is asked for first where that is due.
    pub(in super::super) async fn deliver(&self, ask: &Ask) -> Result<Box<RawValue>, Failure> {
        let limit = self.times.1.saturating_add(self.times.0);
        let late = || Failure::new(Class::Timeout, "it was not ready in time").unsent();
        let Ok(Ok(_permit)) = timeout(limit, self.permits.acquire()).await else { return Err(late()) };
        let Some(http) = &self.http else { return self.deliver_ws(ask, limit).await };
        timeout(limit, self.verify_http(http, false)).await.map_err(|_| late())?.map_err(Failure::unsent)?;
        self.count(std::slice::from_ref(ask));
        self.in_time(http.once(ask)).await
    }

    async fn deliver_ws(&self, ask: &Ask, limit: Duration) -> Result<Box<RawValue>, Failure> {
        let late = |_| Failure::new(Class::Timeout, "no websocket connection in time").unsent();
        let ask = std::slice::from_ref(ask);
        let only = |answers: Answers| answers.into_iter().next().unwrap_or_else(|| Err(Failure::garbage("no answer")));
        let (link, kept) = timeout(limit, self.ws_link()).await.map_err(late)?.map_err(Failure::unsent)?;
        let answer = only(self.ask_link(&link, ask).await);
        if !(kept && matches!(&answer, Err(failure) if failure.class == Class::Connection)) {
            return answer;
        }
        // The connection had most likely ended before. If not, the same thing is given twice, which does no harm; but
        // from here on nobody can say that it was not sent.
        let unknown = |failure| Failure { reach: Reach::Unknown, ..failure };
        let (link, _) = timeout(limit, self.ws_link()).await.map_err(late).and_then(|made| made).map_err(unknown)?;
        only(self.ask_link(&link, ask).await)
    }

    /// A second limit on time, around all that HTTP does.
    pub(super) async fn in_time<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.times.1.saturating_add(self.times.0);
        timeout(limit, asking).await.unwrap_or_else(|_| Err(Failure::new(Class::Timeout, "no answer in time")))
    }

    /// Counts requests that are sent.
    pub(in super::super) fn count(&self, asks: &[Ask]) {
        for ask in asks {
            metrics::counter!("rampwatch_rpc_requests_total", "endpoint" => self.name.clone(), "method" => ask.method)
                .increment(1);
        }
    }
}

/// Whether it is batches that are refused.
fn is_of_batch(failure: &Failure) -> bool {
    failure.class == Class::Batch
}

/// Whether single questions may be answered all the same: a node answered, and says nothing that would hold for them too.
fn may_be_the_batch(failure: &Failure) -> bool {
    match failure.class {
        Class::Refused | Class::Garbage => true,
        Class::Server => failure.reach == Reach::Answered,
        _ => false,
    }
}

/// Whether a server failed without a word of why.
fn is_silent_refusal(failure: &Failure) -> bool {
    failure.class == Class::Server && failure.reach != Reach::Answered
}

/// Whether a question was sent, and no answer came: the connection ended, or the time.
fn is_unanswered(failure: &Failure) -> bool {
    matches!(failure.class, Class::Timeout | Class::Connection) && failure.reach != Reach::Unsent
}

/// Whether the questions after this one are still worth asking.
fn goes_on(ask: &Ask, answer: &Result<Box<RawValue>, Failure>) -> bool {
    answer.as_ref().err().is_none_or(|failure| ask.may_fail && failure.was_answered())
}
