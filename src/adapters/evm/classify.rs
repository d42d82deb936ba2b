//! The one place where the words and codes of RPC errors are read. Providers agree on neither, so the words decide
//! first, then the codes. What to do about a class is decided where the question was asked. What is said to a
//! transaction matters most, and has a file of its own: [`super::send_answer`].
//!
//! The recorded errors that this must get right are in the tests' `provider-errors.json`.

use strum::{IntoStaticStr, VariantArray};

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(const_into_str, serialize_all = "kebab-case")]
pub(super) enum Class {
    /// Too many blocks for one question.
    Range,
    /// Too much to answer at once: fewer blocks would do, but it depends on what is in them.
    Results,
    /// Too many addresses in the filter.
    Addresses,
    /// Too many topics in the filter.
    Topics,
    /// No batches, or too large a batch.
    Batch,
    /// Too many requests for now.
    RateLimit,
    /// Paid-for requests are used up.
    Quota,
    /// The key is wrong or missing.
    Denied,
    /// The node has not got a block.
    Behind,
    /// The node no longer has what is so old.
    NoHistory,
    /// Bor's answer to a range that ends above its head, or begins after its end.
    BehindOrRange,
    /// The `finalized` tag has no block.
    NoFinality,
    /// The `safe` tag has no block.
    #[strum(serialize = "no-safe-tag")]
    NoSafe,
    /// No node behind the balancer would take the question; a smaller one it might.
    RetryOrSplit,
    /// The node lost receipts around Polygon's state-sync transactions.
    Receipts,
    /// A filter that another node of the balancer holds.
    Filters,
    /// The contract refused a call.
    Reverted,
    /// A transaction was not taken.
    Transaction,
    /// A transaction was already there, which is as good as taken.
    AlreadyKnown,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// The server failed.
    Server,
    /// The answer made no sense.
    Garbage,
    /// Parts of the answer contradict each other: it came from two nodes, or across a reorg.
    Inconsistent,
    /// The answer contradicts itself, and not by being of two moments.
    Impossible,
    /// The endpoint is on another chain than the configuration says.
    Contradiction,
    /// The endpoint shows a head that cannot be.
    Implausible,
    Refused,
}

impl Class {
    /// All classes, in the order of their declaration. A test keeps it whole.
    pub(super) const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The class in one word, for metrics and logs.
    pub(super) const fn name(self) -> &'static str {
        self.into_str()
    }

    /// Whether the endpoint contradicts what is known: it is left out for a while, and that is told.
    pub(super) const fn contradicts(self) -> bool {
        matches!(self, Self::Contradiction | Self::Implausible | Self::Impossible)
    }

    /// Whether the node said that it has not got the block.
    pub(super) const fn is_behind(self) -> bool {
        matches!(self, Self::Behind | Self::BehindOrRange)
    }
}

/// Classifies an error by its JSON-RPC code or HTTP status (providers mix the two) and its text.
pub(super) fn classify(code: Option<i64>, text: &str) -> Class {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // What comes after these words is the contract's, and may be anything.
    if has(&["execution reverted"]) {
        return Class::Reverted;
    }
    if code == Some(402) || has(&["payment required"]) {
        return Class::Quota;
    }
    transaction(&has)
        .or_else(|| history(code, &has))
        .or_else(|| block(&has, &text))
        .or_else(|| size(&has))
        .or_else(|| pace(&has))
        .unwrap_or_else(|| by_code(code))
}

type Has<'a> = dyn Fn(&[&str]) -> bool + 'a;

/// Errors about transactions.
fn transaction(has: &Has<'_>) -> Option<Class> {
    if has(&["already known", "already imported", "known transaction"]) {
        return Some(Class::AlreadyKnown);
    }
    let refused = has(&[
        "underpriced",
        "nonce too",
        "gas price below",
        "gas tip cap",
        "less than block base fee",
        "insufficient funds",
        "intrinsic gas",
        "exceeds block gas limit",
        "invalid sender",
    ]);
    refused.then_some(Class::Transaction)
}

/// Whether a call that was carried out came to no end of its own: it failed, but not by a contract's decision.
pub(super) fn is_halt(words: &str) -> bool {
    let words = words.to_lowercase();
    [
        "out of gas",
        "outofgas",
        "gas required exceeds",
        "always failing transaction",
        "invalid opcode",
        "invalidfeopcode",
        "opcodenotfound",
        "invalid jump",
        "invalidjump",
        "stack underflow",
        "stackunderflow",
        "stack overflow",
        "stackoverflow",
        "stack limit reached",
    ]
    .iter()
    .any(|halt| words.contains(halt))
}

/// Errors about what is too old for the node.
fn history(code: Option<i64>, has: &Has<'_>) -> Option<Class> {
    let gone = has(&[
        "pruned",
        "pruning",
        "prune mode",
        "history unavailable",
        "history is unavailable",
        "history not available",
        "history is not available",
        "historical data",
        "historical state",
        "historical logs",
        "historical block",
        "historical range",
        "no historical",
        "archive node",
        "archive data",
        "archival",
        "archive request",
        "before txnum",
        "before the earliest",
        "before earliest",
        "below the earliest",
        "below earliest",
        "earlier than the earliest",
        "older than the oldest",
        "below the oldest",
        "before the oldest",
        "oldest available",
        "earliest available",
        "earliest known block",
        "expired history",
        "history has expired",
    ]);
    (code == Some(4_444) || gone).then_some(Class::NoHistory)
}

/// Errors about single blocks, tags and what belongs to them.
fn block(has: &Has<'_>, text: &str) -> Option<Class> {
    let missing = has(&["not found", "not available", "unavailable", "unknown", "not supported", "missing"]);
    if missing && has(&["finalized", "finalised"]) {
        return Some(Class::NoFinality);
    }
    if missing && has(&["safe"]) {
        return Some(Class::NoSafe);
    }
    if has(&["receipts length", "less receipts", "receipts mismatch", "missing receipts"]) {
        return Some(Class::Receipts);
    }
    if has(&["filter not found", "filter with id"]) {
        return Some(Class::Filters);
    }
    // With numbers in it, it names a limit.
    if has(&["invalid block range"]) && super::named_limits::numbers(text).is_empty() {
        return Some(Class::BehindOrRange);
    }
    let ahead = has(&[
        "unknown block",
        "block not found",
        "block is not available",
        "header not found",
        "header for hash not found",
        "could not find block",
        "cannot be found",
        "missing block",
        "beyond current head",
        "beyond the head",
        "beyond head",
        "beyond latest",
        "beyond the latest",
        "greater than latest",
        "greater than the latest",
        "higher than the latest",
        "after last accepted block",
        "block number out of range",
        "not yet available",
        "in the future",
        "is in future",
        "hasn't been mined",
        // anvil's "block height is 3 but requested was 10".
        "but requested was",
    ]);
    ahead.then_some(Class::Behind)
}

/// Errors about the size of a question or of its answer.
fn size(has: &Has<'_>) -> Option<Class> {
    if has(&["batch"]) {
        return Some(Class::Batch);
    }
    let limit = has(&[
        "exceed",
        "limit",
        "max",
        "more than",
        "too many",
        "too large",
        "too big",
        "too wide",
        "larger than",
        "greater than",
        "less number",
        "at most",
        "up to",
        "smaller",
        "reduce",
        "narrow",
        "fewer",
        "distance",
        "only",
        "restrict",
        "over ",
    ]);
    let results = has(&["result", "response size", "logs matched", "too many logs", "many events", "logs in response"])
        || has(&["response is too", "response too", "body size", "query timeout", "query timed out"]);
    if results && (limit || has(&["timeout", "timed out", "should not"])) {
        return Some(Class::Results);
    }
    let pace = has(&["per second", "rate limit", "rate-limit", "requests per", "too many requests"]);
    if limit && !pace && has(&["range", "blocks", "block distance", "eth_getlogs is limited"]) {
        return Some(Class::Range);
    }
    if limit && !pace && has(&["addresses", "filters", "max address", "address limit", "number of address"]) {
        return Some(Class::Addresses);
    }
    (limit && !pace && has(&["topic"])).then_some(Class::Topics)
}

/// Errors about how much, how fast, and whether at all.
fn pace(has: &Has<'_>) -> Option<Class> {
    if has(&["no backend", "no healthy", "no available upstream", "no nodes available", "no upstream"]) {
        return Some(Class::RetryOrSplit);
    }
    let rate = has(&[
        "rate limit",
        "rate-limit",
        "ratelimit",
        "too many requests",
        "per second",
        "/second",
        "request rate",
        "throughput",
        "throttl",
        "slow down",
    ]);
    if rate {
        return Some(Class::RateLimit);
    }
    let quota = has(&["quota", "monthly", "daily", "out of credits", "insufficient credits", "billing", "plan limit"]);
    if quota {
        return Some(Class::Quota);
    }
    if has(&["capacity", "requests limit", "request limit", "limit exceeded"]) {
        return Some(Class::RateLimit);
    }
    if has(&["unauthorized", "forbidden", "invalid api key", "api key", "authenticate", "project id"]) {
        return Some(Class::Denied);
    }
    has(&["timeout", "timed out", "deadline exceeded"]).then_some(Class::Timeout)
}

/// What the code alone says.
fn by_code(code: Option<i64>) -> Class {
    match code {
        Some(-32005 | 429) => Class::RateLimit,
        Some(401 | 403) => Class::Denied,
        Some(408 | 504) => Class::Timeout,
        // A body limit: of the answer, since our questions are small. The reference counts it as a range error.
        Some(413) => Class::Range,
        Some(-32603 | 500..=599) => Class::Server,
        _ => Class::Refused,
    }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
