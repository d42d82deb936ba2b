//! Notices when a deposit address breaks the pattern of its recipient's payments so far: a provider gives a fresh address to
//! each payment, or the same ones again, and does not change that without a reason. It only ever gives a notice: nothing is held
//! for it.

use crate::domain::address_pattern::{AddressTally, PatternBreak};

/// So many payments in a row make a pattern.
pub const PATTERN: u32 = 5;

/// What is known of the address that a new payment came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No payment had it before.
    Never,
    /// A payment of the same recipient had it before.
    Own,
    /// Only payments of other recipients had it before.
    OfOthers,
}

/// The tally with the new payment in it, and the break to tell of. After a break the count begins anew, so that a
/// provider that changes its ways is told of once.
#[must_use]
pub fn note(tally: &AddressTally, seen: Seen) -> (AddressTally, Option<PatternBreak>) {
    let broken = match seen {
        Seen::Never if tally.repeated >= PATTERN => Some(PatternBreak::NewAmongFixed),
        Seen::OfOthers if tally.repeated >= PATTERN => Some(PatternBreak::NewAmongFixed),
        Seen::Own | Seen::OfOthers if tally.fresh >= PATTERN => Some(PatternBreak::RepeatedAmongFresh),
        Seen::Never | Seen::Own | Seen::OfOthers => None,
    };
    let (fresh, repeated) = match seen {
        Seen::Never => (tally.fresh.saturating_add(1), 0),
        Seen::Own => (0, tally.repeated.saturating_add(1)),
        Seen::OfOthers => (0, 0),
    };
    (AddressTally { fresh, repeated, ..tally.clone() }, broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::RecipientId;

    /// What a run of payments is told of: `n` never seen, `o` the recipient's own again, `x` another recipient's; a capital
    /// letter is one that breaks the pattern.
    #[test]
    fn f5_a_break_of_the_pattern_is_told_of_once() {
        for run in [
            // Too few for a pattern, and patterns that hold.
            "n",
            "o",
            "x",
            "nnnn",
            "nnnno",
            "noooo",
            "nooonn",
            "nnnnnnnnnnnn",
            "nooooooooooo",
            "nononononono",
            "xxxxxxxx",
            // One repeats among fresh ones, and then no more, again and again, or only after a while.
            "nnnnnOnnnn",
            "nnnnnOoooooo",
            "nnnnnXx",
            "nnnnnOnnnnnO",
            "nnnnnOnnnno",
            // A new one among fixed ones: once, for good, or anew each time.
            "noooooNooo",
            "noooooNnnnnn",
            "noooooXnnn",
            "noooooNoooooN",
            "noooooNnnnnO",
        ] {
            let recipient: RecipientId = "rec-1".parse().unwrap();
            let mut tally = AddressTally { recipient, fresh: 0, repeated: 0 };
            let mut told = String::new();
            for letter in run.chars() {
                let seen = match letter.to_ascii_lowercase() {
                    'n' => Seen::Never,
                    'o' => Seen::Own,
                    _ => Seen::OfOthers,
                };
                let (next, broken) = note(&tally, seen);
                let expected = match seen {
                    Seen::Never => PatternBreak::NewAmongFixed,
                    _ if tally.fresh > 0 => PatternBreak::RepeatedAmongFresh,
                    _ => PatternBreak::NewAmongFixed,
                };
                assert!(broken.is_none_or(|broken| broken == expected), "{run}: {broken:?}");
                told.push(if broken.is_some() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() });
                tally = next;
            }
            assert_eq!(told, run);
        }
    }
}
