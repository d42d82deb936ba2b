//! What the worlds that lie have found and nobody has mended yet: told and counted, and no failure of the run.
//!
//! An entry goes with its mend. Each is about one danger and one law, and all other laws hold in that world. Deliberately
//! absent: money that is paid twice or over a limit, and a completion that is false. Those have no entry, ever.

use super::settings::Danger;

/// The danger, and words of the law that is broken there now and then.
const OPEN: [(Danger, &str); 13] = [
    // A head that is too far moves coverage, which is taken back again and again; some of it is not read anew in time.
    (Danger::Heads, "commits in a minute"),
    (Danger::Heads, "chain calls in a minute"),
    (Danger::Heads, "is plainly paid and was not completed"),
    (Danger::Heads, "closed before its window was read"),
    // After invented blocks.
    (Danger::Inventions, "chain calls in a minute"),
    (Danger::Inventions, "is final, and stored as"),
    (Danger::Inventions, "is called gone and is on the chain"),
    (Danger::Receipts, "is plainly paid and was not completed"),
    // More than a minute until the silent one is done without.
    (Danger::Silence, "after its deposit was final"),
    (Danger::Silence, "is final, and stored as"),
    (Danger::Days, "is called gone and is on the chain"),
    (Danger::Days, "is final, and stored as"),
    // The time that is left is counted by a clock that is behind.
    (Danger::Clocks, "s left for"),
];

/// Whether this is known to break in such a world.
pub(crate) fn is_known(danger: Option<Danger>, what: &str) -> bool {
    OPEN.iter().any(|(of, law)| Some(*of) == danger && what.contains(law))
}
