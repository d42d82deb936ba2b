//! Log filters, as `eth_getLogs` and `eth_subscribe` take them.

use alloy::primitives::{Address, B256};
use serde_json::Value;

use super::block::ChainLog;

/// Which logs are wanted. An empty list stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFilter {
    /// The contracts.
    pub(crate) addresses: Vec<Address>,
    /// The topics, by position.
    pub(crate) topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Reads `address` and `topics` of a filter object.
    pub(super) fn parse(filter: &Value) -> Result<Self, String> {
        let addresses = one_or_many(&filter["address"])?;
        let topics = match &filter["topics"] {
            Value::Null => Vec::new(),
            Value::Array(positions) => positions.iter().map(one_or_many).collect::<Result<_, _>>()?,
            other => return Err(format!("invalid argument 0: topics are no list: {other}")),
        };
        if topics.len() > 4 {
            return Err("exceed max topics".to_owned());
        }
        Ok(Self { addresses, topics })
    }

    /// Whether a log is wanted.
    pub(super) fn wants(&self, log: &ChainLog) -> bool {
        let place = |(nth, wanted): (usize, &Vec<B256>)| {
            wanted.is_empty() || log.topics.get(nth).is_some_and(|topic| wanted.contains(topic))
        };
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics.len()
            && self.topics.iter().enumerate().all(place)
    }

    /// The longest of its lists.
    pub(super) fn widest(&self) -> usize {
        self.topics.iter().map(Vec::len).chain([self.addresses.len()]).max().unwrap_or(0)
    }
}

/// One value, several, or none.
fn one_or_many<T: std::str::FromStr>(value: &Value) -> Result<Vec<T>, String> {
    let one = |value: &Value| {
        let text = value.as_str().filter(|text| text.starts_with("0x"));
        text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("invalid argument 0: cannot read {value}"))
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(many) => many.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}
