//! `[intake]`: whose off-ramps are taken up by themselves. It may be left out; then only what is added is watched.

use crate::domain::payment::{RecipientId, UserId};
use crate::domain::time::Span;

use super::reader::Section;

/// The most users, and the most recipients, that may be followed: each is one request in every interval.
const MAX_FOLLOWED: usize = 100;

/// `[intake]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeSettings {
    /// The users at the API whose off-ramps are taken up.
    pub users: Vec<UserId>,
    /// The recipients at the API whose off-ramps are taken up.
    pub recipients: Vec<RecipientId>,
    /// From one look at the lists to the next.
    pub interval: Span,
}

/// Reads `[intake]`.
pub(super) fn intake(mut section: Section<'_>) -> Option<IntakeSettings> {
    let users = section.texts("users", MAX_FOLLOWED, |text| UserId::new(text).map_err(|error| error.to_string()));
    let recipient = |text: &str| RecipientId::new(text).map_err(|error| error.to_string());
    let recipients = section.texts("recipients", MAX_FOLLOWED, recipient);
    let least = Span::from_millis(100);
    let interval = section.span("interval", Span::from_secs(30), least..=Span::from_secs(3_600));
    section.finish("users, recipients, interval");
    Some(IntakeSettings { users: users?, recipients: recipients?, interval: interval? })
}
