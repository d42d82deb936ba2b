//! The faults of a run: a deck with a fixed share of each kind, shuffled by the seed, so that none is ever left out.

use crate::run::chance::Chance;

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9` of rampwatch.
    Kill,
    /// rampwatch stands still.
    FreezeDaemon,
    /// The chain's node stands still, and with it every endpoint.
    FreezeNode,
    /// The way to the API stands still.
    FreezeApi,
    /// The way of the websocket stands still.
    FreezeSocket,
    /// The HTTP connections of the first endpoint are cut, or of all but the one that lies.
    CutNode,
    /// The websocket is cut.
    CutSocket,
    /// The connections to the API are cut.
    CutApi,
}

/// What a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Daemon,
    Node,
    NodeLine,
    SocketLine,
    ApiLine,
}

impl Fault {
    /// Each kind, the word for it, and how many of a hundred faults are of it.
    pub(crate) const ALL: [(Self, &'static str, u32); 8] = [
        (Self::Kill, "kill", 36),
        (Self::FreezeDaemon, "freeze_daemon", 14),
        (Self::FreezeNode, "freeze_node", 10),
        (Self::FreezeApi, "freeze_api", 10),
        (Self::FreezeSocket, "freeze_socket", 4),
        (Self::CutNode, "cut_node", 9),
        (Self::CutSocket, "cut_socket", 8),
        (Self::CutApi, "cut_api", 9),
    ];

    /// What it is done to.
    pub(crate) const fn target(self) -> Target {
        match self {
            Self::Kill | Self::FreezeDaemon => Target::Daemon,
            Self::FreezeNode => Target::Node,
            Self::CutNode => Target::NodeLine,
            Self::FreezeSocket | Self::CutSocket => Target::SocketLine,
            Self::FreezeApi | Self::CutApi => Target::ApiLine,
        }
    }

    /// Whether the chain may be out of reach while it lasts, for there may be nobody who tells the truth.
    pub(crate) const fn is_of_the_chain(self) -> bool {
        matches!(self.target(), Target::Node | Target::NodeLine)
    }

    /// Whether another fault can strike while this one lasts: not one at the same place, but a stopped process can be
    /// killed.
    pub(crate) fn can_hold(self, other: Self) -> bool {
        self != Self::Kill && (self.target() != other.target() || other == Self::Kill)
    }
}

/// How many faults of a kind a deck of so many has.
fn share(per_hundred: u32, faults: u32) -> u32 {
    (per_hundred * faults / 100).max(1)
}

/// The faults of a run in their order; the last is drawn first. What rounding leaves over are kills.
pub(crate) fn shuffled(faults: u32, chance: &mut Chance) -> Vec<Fault> {
    let mut deck = Vec::new();
    for (fault, _, per_hundred) in Fault::ALL.into_iter().skip(1) {
        deck.extend((0..share(per_hundred, faults)).map(|_| fault));
    }
    while deck.len() < faults as usize {
        deck.push(Fault::Kill);
    }
    for end in (1..deck.len()).rev() {
        let other = chance.between(0, end as u64 + 1);
        deck.swap(end, usize::try_from(other).unwrap());
    }
    deck
}
