//! Whom and what an event is about.

use crate::domain::actor::Actor;
use crate::domain::event::{Alarm, EventKind, WalletChange};
use crate::domain::order::OrderId;

impl EventKind {
    /// The person whose word it is.
    #[must_use]
    pub fn said_by(&self) -> Option<&Actor> {
        match self {
            Self::PersonDecided { by, .. } | Self::OrderMoved { by, .. } => by.as_ref(),
            Self::OrderPlaced { order } => order.placed_by_name.as_ref(),
            Self::WalletChanged { change, .. } => match change {
                WalletChange::Paused { by, .. }
                | WalletChange::Resumed { by, .. }
                | WalletChange::Adopted { by, .. } => by.as_ref(),
                WalletChange::Opened { .. } | WalletChange::Halted { .. } => None,
            },
            Self::PaymentAdded { .. }
            | Self::PaymentMoved { .. }
            | Self::ApiReported { .. }
            | Self::DepositSeen { .. }
            | Self::DepositJudged { .. }
            | Self::DepositStands { .. }
            | Self::DepositsCounted { .. }
            | Self::FinalityMoved { .. }
            | Self::Alarm { .. }
            | Self::AddressPlaced { .. }
            | Self::AddressClosed { .. }
            | Self::EndpointBack { .. }
            | Self::ListenerBack { .. }
            | Self::StallOver { .. }
            | Self::AttemptSigned { .. }
            | Self::AttemptSent { .. }
            | Self::AttemptMined { .. }
            | Self::RecordChanged { .. } => None,
        }
    }

    /// The order that it is about.
    #[must_use]
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::OrderPlaced { order } => Some(&order.id),
            Self::OrderMoved { order, .. }
            | Self::AttemptSigned { order, .. }
            | Self::AttemptSent { order, .. }
            | Self::AttemptMined { order, .. }
            | Self::Alarm { alarm: Alarm::FundingStuck { order, .. } | Alarm::MovedNothing { order } } => Some(order),
            Self::PaymentAdded { .. }
            | Self::PaymentMoved { .. }
            | Self::ApiReported { .. }
            | Self::DepositSeen { .. }
            | Self::DepositJudged { .. }
            | Self::DepositStands { .. }
            | Self::DepositsCounted { .. }
            | Self::PersonDecided { .. }
            | Self::FinalityMoved { .. }
            | Self::Alarm { .. }
            | Self::AddressPlaced { .. }
            | Self::AddressClosed { .. }
            | Self::EndpointBack { .. }
            | Self::ListenerBack { .. }
            | Self::StallOver { .. }
            | Self::WalletChanged { .. }
            | Self::RecordChanged { .. } => None,
        }
    }
}
