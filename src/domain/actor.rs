//! Who asks, and what they may: the names of operators, and the roles that their tokens bear.
//!
//! Deliberately absent: tokens. A name says who decided, in what is kept; it proves nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};
use thiserror::Error;

use super::odd::explained;

/// The most bytes of a name.
pub const MAX_ACTOR_BYTES: usize = 64;

/// The name of the token that the machine's own commands use.
const LOCAL: &str = "local";

/// The name of somebody who may ask, as the configuration calls the token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Actor(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{}",
    explained(
        format_args!(
            "{:?} is no name: a name has 1 to 64 letters, digits, '-', '_', '.' or '@', and begins with a letter",
            .0
        ),
        .0
    )
)]
pub struct ActorError(String);

impl Actor {
    /// Takes a name.
    ///
    /// # Errors
    /// Empty, longer than [`MAX_ACTOR_BYTES`], with anything but letters, digits, `-`, `_`, `.` and `@` in it, or not
    /// beginning with a letter.
    pub fn new(text: impl Into<String>) -> Result<Self, ActorError> {
        let text = text.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
        let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
        if !begins || text.len() > MAX_ACTOR_BYTES || !text.bytes().all(plain) {
            return Err(ActorError(text.chars().take(MAX_ACTOR_BYTES).collect()));
        }
        Ok(Self(text))
    }

    /// Whoever has the machine: the bearer of the token that is made at the first start, and commands that open the
    /// store themselves.
    #[must_use]
    pub fn local() -> Self {
        Self(LOCAL.to_owned())
    }

    /// Whether it is [`Actor::local`].
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0 == LOCAL
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Actor {
    type Err = ActorError;
    fn from_str(text: &str) -> Result<Self, ActorError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Actor {
    type Error = ActorError;
    fn try_from(text: String) -> Result<Self, ActorError> {
        Self::new(text)
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.0
    }
}

/// What a token may be used for. None of them implies another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To look: lists, single records, events.
    Read,
    /// To change: add, resolve, place and cancel orders and payouts, take quotes, register webhooks.
    Operate,
    /// To approve and to reject orders, and to let the wallet go on. To stop it, every role will do.
    Approve,
}

impl Role {
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The word for it, as the configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    /// The role with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "alice", "Bob-2", "carol@treasury.example", "d_e.f", &"x".repeat(MAX_ACTOR_BYTES)] {
            assert_eq!(Actor::new(good).expect("it is one").as_str(), good);
        }
        for bad in ["", "2bob", "-", "a b", "a\n", "é", "a/b", "a:b", &"x".repeat(MAX_ACTOR_BYTES + 1)] {
            assert!(Actor::new(bad).is_err(), "{bad:?}");
        }
        assert!(Actor::local().is_local() && Actor::new("local").expect("a name").is_local());
        assert!(!Actor::new("Local").expect("another name").is_local());
    }

    #[test]
    fn roles_are_named() {
        for role in Role::ALL.iter().copied() {
            assert_eq!(Role::named(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).expect("a role serialises"), role.name());
        }
        assert_eq!(Role::named("admin"), None);
    }
}
