//! Disputes among operators and the endpoints that are asked, as they are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::dispute::{Dispute, DisputeKind};
use crate::view::moment;

/// A dispute as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisputeView {
    /// What it is about: the payment's id, or the order's.
    pub id: String,
    /// `contradiction`: operators say different things; `silence`: too few say anything.
    pub kind: String,
    /// The transaction.
    pub tx_hash: String,
    /// The block that is said to hold it.
    pub block: u64,
    /// That block's hash.
    pub block_hash: String,
    /// Since when, in RFC 3339.
    pub since: String,
    /// When the payment expires, in RFC 3339.
    pub deadline: Option<String>,
    /// What was said, ours first.
    pub said: Vec<SaidView>,
    /// The operator that a person has decided to believe in this case.
    pub trusted: Option<String>,
    /// Who decided that.
    pub decided_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it ended, in RFC 3339; `null` while it is open.
    pub ended_at: Option<String>,
    /// How it ended.
    pub ended: Option<String>,
}

/// What one operator says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SaidView {
    /// The operator.
    pub operator: String,
    /// The endpoint that answered.
    pub endpoint: String,
    /// Its words.
    pub words: String,
}

/// An endpoint as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointView {
    /// Its configured name.
    pub name: String,
    /// Who runs it.
    pub operator: String,
    /// Whether it is excluded: not asked, and what it said does not count.
    pub excluded: bool,
    /// Who excluded it, or included it again.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When, in RFC 3339.
    pub at: Option<String>,
}

/// A decision about a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustRequest {
    /// The operator that is believed in this case, as `disputes` names it.
    #[schemars(length(min = 1, max = 100))]
    pub trust: String,
    /// Why; it is kept.
    #[schemars(length(min = 1, max = 1_000))]
    pub reason: String,
}

impl DisputeView {
    pub(crate) fn of(dispute: &Dispute) -> Self {
        let said = dispute.said.iter().map(|said| SaidView {
            operator: said.operator.to_string(),
            endpoint: said.endpoint.clone(),
            words: said.words.clone(),
        });
        let trusted = dispute.trusted.as_ref();
        Self {
            id: dispute.matter.id(),
            kind: match dispute.kind_of {
                DisputeKind::Contradiction => "contradiction".to_owned(),
                DisputeKind::Silence => "silence".to_owned(),
            },
            tx_hash: dispute.tx_hash.to_string(),
            block: dispute.block.number,
            block_hash: dispute.block.hash.to_string(),
            since: moment(dispute.since),
            deadline: dispute.deadline.map(moment),
            said: said.collect(),
            trusted: trusted.map(|trust| trust.operator.to_string()),
            decided_by: trusted.and_then(|trust| trust.by.as_ref()).map(ToString::to_string),
            reason: trusted.map(|trust| trust.reason.clone()),
            ended_at: dispute.ended.as_ref().map(|ended| moment(ended.at)),
            ended: dispute.ended.as_ref().map(|ended| ended.how.clone()),
        }
    }
}
