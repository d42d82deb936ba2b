//! What has to happen at least once over many seeds: a fault that never comes proves nothing.

use super::fuse::{POINTS, Side, WALLET_POINTS, crash_point};
use super::plan::STORIES;
use super::{lies, wallet};

/// Everything that has to happen, beside a death before and after each kind of call and each way of paying.
const HITS: [&str; 104] = [
    "api: GET, KeyRefused",
    "api: one payment refused",
    "api: GET, NotFound",
    "api: GET, NotNow",
    "api: GET, UnclearBefore",
    "api: POST, Late",
    "api: POST, NotFound",
    "api: POST, NotNow",
    "api: POST, Refused",
    "api: POST, UnclearAfter",
    "api: POST, UnclearBefore",
    "api: completed by hand",
    "api: completion accepted",
    "chain: behind",
    "chain: finality stalls",
    "chain: lagging endpoint asked",
    "chain: logs empty",
    "chain: logs of another head",
    "chain: logs withheld",
    "chain: no finalized tag",
    "chain: read up to the finalized block",
    "chain: reorg beyond finality",
    "chain: reorg undone",
    "chain: reorg, Drop",
    "chain: reorg, Keep",
    "chain: reorg, Move",
    "chain: tag above the head",
    "chain: too many blocks",
    "chain: unavailable",
    "counted: Closing, there",
    "counted: First, there",
    "counted: First, withheld",
    "counted: Second, there",
    "coverage: closed",
    "deposit: final",
    "deposit: final as read",
    "deposit: seen by Second",
    "deposit: seen by Sweep",
    "died: anywhere",
    "died: stopped politely",
    "end: a reason is named",
    "end: ended",
    "end: lead",
    "end: plainly paid in a calm world",
    "end: review",
    "end: waiting",
    "events: told again",
    "hints: down",
    "hints: gap",
    "hints: one late",
    "hints: one lost",
    "hints: one twice",
    "hints: silent",
    "hints: taken back",
    "list: Bare",
    "list: Empty",
    "list: Forbidden",
    "list: Half",
    "list: KeyRefused",
    "list: Lies",
    "list: None",
    "list: NotNow",
    "list: Unclear",
    "list: Unreadable",
    "list: a payment is taken up",
    "odd answer: BareDates",
    "odd answer: Hash",
    "odd answer: Id",
    "odd answer: OtherDates",
    "odd answer: Shown",
    "odd answer: Status",
    "odd answer: Term",
    "odd node: it cannot read a block",
    "odd node: it has lost a header",
    "odd node: it has no past",
    "odd node: its chain stands still",
    "odd node: its logs contradict each other",
    "odd node: its logs tell a wrong time",
    "odd node: its time is kept for now",
    "odd node: one whose logs are sound is seen",
    "operator: add asks for what cannot be read",
    "operator: add tried again",
    "operator: assign, done",
    "operator: cancel, done",
    "operator: ignore, done",
    "operator: lead added",
    "operator: lead dismissed",
    "operator: retry, done",
    "payment: calling",
    "payment: due",
    "payment: ended",
    "payment: following",
    "payment: review",
    "payment: review, unreadable",
    "payment: seen",
    "payment: unclear",
    "payment: waiting",
    "squatter: it listens again",
    "squatter: the place is taken",
    "store: conflict",
    "watchman: something is said",
    "webhook: Asked",
    "webhook: NotNow",
    "webhook: Unknown",
];

/// Everything that has to happen at least once.
pub(super) fn all() -> impl Iterator<Item = String> {
    let stories = STORIES.iter().map(|story| format!("story: {story:?}"));
    let both = [Side::Before, Side::After];
    let deaths = POINTS.iter().chain(&WALLET_POINTS).flat_map(move |point| both.map(|side| crash_point(*point, side)));
    HITS.iter()
        .chain(&wallet::hits::HITS)
        .chain(&lies::hits::HITS)
        .map(|hit| (*hit).to_owned())
        .chain(deaths)
        .chain(stories)
}

/// A hit as the last line spells it: `api: POST, UnclearAfter` is `api.post.unclearafter`.
pub(super) fn compact(hit: &str) -> String {
    hit.to_lowercase().replace(": ", ".").replace(", ", ".").replace(' ', "-")
}
