//! Whose recipients are whose: users have recipients, and are asked for by them.

use std::collections::BTreeMap;

use crate::domain::payment::{RecipientId, UserId};

/// The user that there is from the start. Recipients that nobody was named for are this user's.
pub(super) const FIRST_USER: &str = "user-1";

/// The most recipients that are told apart.
const MAX_RECIPIENTS: usize = 100_000;

/// The users, by their recipients.
#[derive(Debug, Default)]
pub(super) struct People {
    owners: BTreeMap<RecipientId, UserId>,
}

impl People {
    /// Gives a recipient to a user, who is known from then on. False when there is no room.
    pub(super) fn give(&mut self, recipient: RecipientId, user: UserId) -> bool {
        if self.owners.len() >= MAX_RECIPIENTS {
            return false;
        }
        self.owners.insert(recipient, user);
        true
    }

    /// Whose recipient it is.
    pub(super) fn owner(&self, recipient: &RecipientId) -> &str {
        self.owners.get(recipient).map_or(FIRST_USER, UserId::as_str)
    }

    /// Whether there is such a user.
    pub(super) fn knows(&self, user: &str) -> bool {
        user == FIRST_USER || self.owners.values().any(|owner| owner.as_str() == user)
    }
}
