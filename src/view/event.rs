//! Events, as they are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::moment;
use super::explain::{self, Names};
use super::shapes;
use crate::domain::actor::Actor;
use crate::domain::deposit::DepositKey;
use crate::domain::event::Recorded;
use crate::domain::order::OrderId;
use crate::domain::payment::PaymentId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its number; rises.
    pub seq: u64,
    /// When.
    pub at: String,
    /// What, in one word.
    pub event: String,
    /// What and why, in words.
    pub text: String,
    /// The payment it is about, if any.
    #[schemars(with = "Option<shapes::Id>")]
    pub payment: Option<PaymentId>,
    /// The deposit it is about, if any.
    #[schemars(with = "Option<shapes::DepositKey>")]
    pub deposit: Option<DepositKey>,
    /// The order it is about, if any.
    #[serde(default)]
    #[schemars(with = "Option<shapes::OrderId>")]
    pub order: Option<OrderId>,
    /// The person whose word it is, where it is one's and names were kept by then.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Actor>")]
    pub by: Option<Actor>,
}

impl EventView {
    pub(crate) fn of(recorded: &Recorded, names: &Names<'_>) -> Self {
        let event = &recorded.event;
        let (name, text) = explain::event(&event.kind, names);
        Self {
            seq: recorded.seq,
            at: moment(event.at),
            event: name.to_owned(),
            text,
            payment: event.payment.clone(),
            deposit: event.deposit,
            order: event.kind.order().cloned(),
            by: event.kind.said_by().cloned(),
        }
    }
}
