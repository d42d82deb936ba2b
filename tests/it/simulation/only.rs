//! What of a drawn world is left in: all of it, or these parts only. So a world that fails is made smaller (`shrink`), and
//! the small one is replayed by its seed and the list of what is in it.
//!
//! The parts are what people do, each fault of the weather, each death, and for what goes wrong by chance the time in
//! which it may.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rampwatch::domain::time::Span;

use super::plan::Plan;
use super::settings::Settings;
use super::weather::Weather;

/// Into how many parts the time of the faults is cut.
pub(super) const SLICES: u64 = 16;

/// What goes wrong by chance, at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chaos {
    /// Calls of the payment API.
    Api,
    /// Calls of the chain.
    Chain,
    /// What the subscription brings.
    Hints,
    /// Reorgs, and what undoes them.
    Reorgs,
    /// The finalized tag.
    Tag,
    /// Deliveries of webhooks.
    Webhooks,
}

const ALL: [(Chaos, &str); 6] = [
    (Chaos::Api, "api"),
    (Chaos::Chain, "chain"),
    (Chaos::Hints, "hints"),
    (Chaos::Reorgs, "reorgs"),
    (Chaos::Tag, "tag"),
    (Chaos::Webhooks, "webhooks"),
];

/// One part of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What somebody does: the so-manieth of the plan.
    Act(u64),
    /// A fault of the weather.
    Fault(u64),
    /// The death of this life.
    Death(u64),
    /// What goes wrong by chance in this slice of the time of the faults.
    Chance(Chaos, u64),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(number) => write!(f, "a{number}"),
            Self::Fault(number) => write!(f, "w{number}"),
            Self::Death(number) => write!(f, "d{number}"),
            Self::Chance(kind, slice) => {
                let name = ALL.iter().find(|(known, _)| known == kind).map_or("", |(_, name)| *name);
                write!(f, "{name}.{slice}")
            }
        }
    }
}

impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| ());
        if let Some((name, slice)) = text.split_once('.') {
            let (kind, _) = ALL.iter().find(|(_, known)| *known == name).ok_or(())?;
            return Ok(Self::Chance(*kind, number(slice)?));
        }
        match text.split_at_checked(1).ok_or(())? {
            ("a", rest) => number(rest).map(Self::Act),
            ("w", rest) => number(rest).map(Self::Fault),
            ("d", rest) => number(rest).map(Self::Death),
            _ => Err(()),
        }
    }
}

/// Which parts of a world are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Only(Option<BTreeSet<Part>>);

impl Only {
    /// These parts.
    pub(crate) fn these(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(Some(parts.into_iter().collect()))
    }

    /// Whether this part is in it.
    pub(super) fn has(&self, part: Part) -> bool {
        self.0.as_ref().is_none_or(|parts| parts.contains(&part))
    }

    /// Leaves out what people do not do.
    pub(super) fn trim(&self, plan: Plan) -> Plan {
        let acts = plan.acts.into_iter().filter(|((_, number), _)| self.has(Part::Act(*number))).collect();
        Plan { acts, ..plan }
    }
}

/// As `--only` takes it: `a3,a9,d2,api.4`, or `nothing`.
impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("everything"),
            Some(parts) if parts.is_empty() => f.write_str("nothing"),
            Some(parts) => {
                let names: Vec<String> = parts.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl FromStr for Only {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "everything" => Ok(Self(None)),
            "nothing" => Ok(Self::these([])),
            list => list.split(',').map(str::parse).collect::<Result<Vec<Part>, ()>>().map(Self::these),
        }
    }
}

/// The slice of the time of the faults that this moment is in.
pub(super) fn slice_at(elapsed: Span, chaos: Span) -> u64 {
    (elapsed.as_millis() * SLICES / chaos.as_millis().max(1)).min(SLICES - 1)
}

/// Everything that a world drawn from this seed has, in groups that hang together; with when each begins.
pub(super) fn parts_of(seed: u64, settings: &Settings) -> Vec<Vec<(Part, Span)>> {
    let plan = Plan::draw(seed, settings);
    let acts = plan.acts.keys().map(|(at, number)| (Part::Act(*number), *at)).collect();
    let weather = Weather::draw(seed, settings);
    let faults = (0..).zip(weather.all()).map(|(number, (from, _, _))| (Part::Fault(number), *from)).collect();
    let deaths = (1..=settings.deaths).map(|life| (Part::Death(life), Span::ZERO)).collect();
    let begins = |slice: u64| Span::from_millis(settings.chaos.as_millis() * slice / SLICES);
    let chance = |kind: Chaos| (0..SLICES).map(|slice| (Part::Chance(kind, slice), begins(slice))).collect();
    let mut groups: Vec<Vec<(Part, Span)>> = ALL.iter().map(|(kind, _)| chance(*kind)).collect();
    groups.extend([deaths, faults, acts]);
    groups
}
