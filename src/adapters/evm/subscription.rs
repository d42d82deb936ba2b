//! The subscriptions on one connection: new heads, and the transfers to the watched recipients in as many filters as
//! it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Address, B256, U64};
use alloy::pubsub::RawSubscription;
use futures_util::future::join_all;
use futures_util::stream::{BoxStream, SelectAll, StreamExt, unfold};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::domain::chain::{BlockNumber, Header};
use crate::ports::chain::WatchSet;

use super::classify::Class;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::named_limits::suggested_recipients;
use super::rpc::{self, Ask};
use super::split::shards;
use super::ws::WsLink;

/// Filters that are asked for at once.
const AT_ONCE: usize = 8;
/// The stream of new heads; the filters' numbers follow.
const HEADS: u64 = 0;

/// What came over the connection.
#[derive(Debug)]
pub(super) enum Push {
    Head(Header),
    /// A transfer, or one taken back, in this block.
    Transfer(BlockNumber),
    /// So many messages came faster than they were read, and are lost.
    Lost(u64),
    /// A message that can't be read.
    Unreadable(String),
    /// The connection is gone; [`Subscription::why_closed`] says why.
    Closed,
}

type Pushed = (u64, Result<Box<RawValue>, RecvError>);

/// What one filter is about.
type Shard = (Arc<Vec<Address>>, Vec<Address>);

struct Filter {
    stream: u64,
    id: B256,
}

/// Live subscriptions. Dropping it closes the connection.
pub(super) struct Subscription {
    link: WsLink,
    endpoint: Arc<Endpoint>,
    filters: BTreeMap<Shard, Filter>,
    next_stream: u64,
    heads: BoxStream<'static, Pushed>,
    pushes: SelectAll<BoxStream<'static, Pushed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PushedLog {
    block_number: U64,
}

impl Subscription {
    /// Connects, checks the chain, and subscribes to new heads and the set's transfers.
    pub(super) async fn open(endpoint: Arc<Endpoint>, set: &WatchSet) -> Result<Self, Failure> {
        let link = endpoint.connect_ws().await?;
        let ask = Ask::new("eth_subscribe", json!(["newHeads"]));
        endpoint.count(std::slice::from_ref(&ask));
        let heads = pushed(HEADS, link.subscribe(&ask).await?.rx);
        let (filters, pushes) = (BTreeMap::new(), SelectAll::new());
        let mut this = Self { link, endpoint, filters, next_stream: HEADS.saturating_add(1), heads, pushes };
        this.apply(set).await?;
        Ok(this)
    }

    /// Makes the filters tell of this set. The new ones work before the old ones end, so that at no moment nobody
    /// looks; what the old ones have brought is still read.
    pub(super) async fn apply(&mut self, set: &WatchSet) -> Result<(), Failure> {
        let wanted = loop {
            let limit = self.endpoint.limits().recipients();
            let recipients: &[Address] = if set.heads_only { &[] } else { &set.recipients };
            let wanted: Vec<Shard> =
                shards(recipients, limit).into_iter().map(|shard| (Arc::clone(&set.tokens), shard)).collect();
            let missing: Vec<Shard> =
                wanted.iter().filter(|shard| !self.filters.contains_key(*shard)).cloned().collect();
            match self.add_filters(missing).await {
                Ok(()) => break wanted,
                Err((failure, count)) => {
                    let about_size = matches!(failure.class, Class::Addresses | Class::Topics);
                    let asked = u64::try_from(count).unwrap_or(u64::MAX);
                    let suggested = suggested_recipients(&failure.words, asked);
                    if !about_size || !self.endpoint.learn(|limits| limits.too_many_recipients(count, suggested)) {
                        return Err(failure);
                    }
                }
            }
        };
        let link = &self.link;
        self.filters.retain(|shard, filter| {
            let keep = wanted.contains(shard);
            if !keep {
                link.unsubscribe(filter.id);
            }
            keep
        });
        Ok(())
    }

    /// Subscribes to these; at an error, says how many recipients the refused filter had.
    async fn add_filters(&mut self, missing: Vec<Shard>) -> Result<(), (Failure, usize)> {
        for some in missing.chunks(AT_ONCE) {
            let logs = |(tokens, recipients): &Shard| json!(["logs", rpc::filter(tokens, recipients)]);
            let asks: Vec<Ask> = some.iter().map(|shard| Ask::new("eth_subscribe", logs(shard))).collect();
            self.endpoint.count(&asks);
            let answers = join_all(asks.iter().map(|ask| self.link.subscribe(ask))).await;
            let mut refused = None;
            for (shard, answer) in some.iter().zip(answers) {
                match answer {
                    Ok(subscription) => {
                        let id = *subscription.local_id();
                        let stream = self.add_stream(subscription);
                        self.filters.insert(shard.clone(), Filter { stream, id });
                    }
                    Err(failure) => refused = Some((failure, shard.1.len())),
                }
            }
            if let Some(refused) = refused {
                return Err(refused);
            }
        }
        Ok(())
    }

    fn add_stream(&mut self, subscription: RawSubscription) -> u64 {
        let stream = self.next_stream;
        self.next_stream = stream.saturating_add(1);
        self.pushes.push(pushed(stream, subscription.rx));
        stream
    }

    /// The next thing that comes.
    pub(super) async fn next(&mut self) -> Push {
        loop {
            // A head that is there goes before its block's logs: who hears of a log first has to ask for the head.
            let next = tokio::select! {
                biased;
                head = self.heads.next() => head,
                log = self.pushes.next(), if !self.pushes.is_empty() => log,
            };
            let Some((stream, pushed)) = next else { return Push::Closed };
            let kind = if stream == HEADS { "head" } else { "log" };
            if pushed.is_ok() {
                metrics::counter!("rampwatch_rpc_pushes_total", "endpoint" => self.endpoint.name.clone(), "kind" => kind)
                    .increment(1);
            }
            match told(stream, pushed) {
                // A filter that was ended on purpose ends its stream too.
                Push::Closed if !self.is_live(stream) => {}
                push => return push,
            }
        }
    }

    /// Why the connection is gone, in words.
    pub(super) fn why_closed(&self) -> String {
        let ended = "the websocket connection ended";
        self.link.why_ended().map_or_else(|| ended.to_owned(), |why| format!("{ended}: {why}"))
    }

    fn is_live(&self, stream: u64) -> bool {
        stream == HEADS || self.filters.values().any(|filter| filter.stream == stream)
    }
}

/// All that a channel brings, its losses and its end included.
fn pushed(stream: u64, channel: Receiver<Box<RawValue>>) -> BoxStream<'static, Pushed> {
    let pushes = unfold(Some(channel), move |channel| async move {
        let mut channel = channel?;
        let pushed = channel.recv().await;
        let open = !matches!(pushed, Err(RecvError::Closed));
        Some(((stream, pushed), open.then_some(channel)))
    });
    pushes.boxed()
}

fn told(stream: u64, pushed: Result<Box<RawValue>, RecvError>) -> Push {
    match pushed {
        Ok(message) => read(stream, &message),
        Err(RecvError::Lagged(count)) => Push::Lost(count),
        Err(RecvError::Closed) => Push::Closed,
    }
}

fn read(stream: u64, message: &RawValue) -> Push {
    let unreadable = |failure: Failure| Push::Unreadable(failure.text);
    if stream == HEADS {
        return match rpc::read_header(message) {
            Ok(Some(head)) => Push::Head(head),
            Ok(None) => Push::Unreadable("a head without a block was pushed".to_owned()),
            Err(failure) => unreadable(failure),
        };
    }
    rpc::read::<PushedLog>(message, "a log").map_or_else(unreadable, |log| Push::Transfer(log.block_number.to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_too_fast_is_told_as_lost() {
        let (sender, receiver) = tokio::sync::broadcast::channel(2);
        for block in 0..5 {
            let log = format!("{{\"blockNumber\":\"{block:#x}\"}}");
            sender.send(RawValue::from_string(log).unwrap()).unwrap();
        }
        drop(sender);
        let pushes: Vec<Push> = pushed(1, receiver).map(|(stream, pushed)| told(stream, pushed)).collect().await;
        assert!(
            matches!(pushes[..], [Push::Lost(3), Push::Transfer(3), Push::Transfer(4), Push::Closed]),
            "{pushes:?}"
        );
    }
}
