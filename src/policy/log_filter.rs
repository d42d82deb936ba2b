//! Whether a provider is told whose transfers are wanted, or asked for everybody's.
//!
//! A filter takes some thousand recipients (`rpc.max_addresses`). With a million watched addresses, one look at three new
//! blocks would be a thousand questions of 70 kB each; everybody's transfers of these blocks are one answer of half a
//! megabyte, and whose they are is found in memory. With few addresses it is the other way round. So the cheaper way
//! is taken, by what it costs in requests and in bytes.
//!
//! Deliberately absent: measuring. The figures are those of native USDC on Polygon; on a quieter chain everybody's
//! transfers are only cheaper than is thought here.

use crate::domain::chain::LogFilter;

/// Transfers of the token in a block: 170 a second at 1.5 s a block, measured in February 2026.
const TRANSFERS_A_BLOCK: u64 = 255;

/// The bytes of one log in an answer.
const LOG_BYTES: u64 = 630;

/// The bytes of one recipient in a question.
const RECIPIENT_BYTES: u64 = 69;

/// How many logs providers give in one answer (10,000, some 20,000).
const LOGS_AN_ANSWER: u64 = 10_000;

/// How many bytes are worth a request that is saved: what comes in the time that a request takes anyway, 50 ms on
/// a line of 40 Mbit/s.
const BYTES_A_REQUEST: u64 = 256 * 1024;

/// Above so many full filters, no subscription is made for transfers: each filter is a subscription of its own, of which
/// providers allow few on one connection, and with so many open payments nearly every block has a transfer to one of
/// them. The heads tell the same then.
const MOST_FILTERS: u64 = 50;

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn filters(recipients: usize, filter: usize) -> u64 {
    count(recipients).div_ceil(count(filter).max(1))
}

/// How transfers of so many blocks are asked for, to find those to so many recipients. `filter` is how many recipients go into one
/// filter; 0: filters are of no use.
#[must_use]
pub fn choose(recipients: usize, blocks: u64, filter: usize) -> LogFilter {
    if filter == 0 {
        return LogFilter::AnyRecipient;
    }
    let filters = filters(recipients, filter);
    if filters <= 1 {
        return LogFilter::Recipients;
    }
    let named =
        filters.saturating_mul(BYTES_A_REQUEST).saturating_add(count(recipients).saturating_mul(RECIPIENT_BYTES));
    let logs = blocks.saturating_mul(TRANSFERS_A_BLOCK);
    let answers = logs.div_ceil(LOGS_AN_ANSWER).max(1);
    let all = answers.saturating_mul(BYTES_A_REQUEST).saturating_add(logs.saturating_mul(LOG_BYTES));
    if all < named { LogFilter::AnyRecipient } else { LogFilter::Recipients }
}

/// Whether new heads are the only hints: then every head has the newest blocks read.
#[must_use]
pub fn hears_of_heads_only(recipients: usize, filter: usize) -> bool {
    filter == 0 || filters(recipients, filter) > MOST_FILTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheaper_way_is_taken() {
        use LogFilter::{AnyRecipient, Recipients};
        // Recipients, blocks, recipients in one filter; what is asked for.
        for (recipients, blocks, filter, expected) in [
            (1, 1, 1_000, Recipients),
            (1_000, 1, 1_000, Recipients),
            (1_000, 1_000_000, 1_000, Recipients),
            (3_000, 1, 1_000, AnyRecipient),
            (3_000, 40, 1_000, Recipients),
            (10_000, 2_000, 1_000, Recipients),
            (100_000, 40, 1_000, AnyRecipient),
            (1_000_000, 1, 1_000, AnyRecipient),
            (1_000_000, 400, 1_000, AnyRecipient),
            (1_000_000, 16_000, 1_000, Recipients),
            (1, 1, 0, AnyRecipient),
            (usize::MAX, u64::MAX, 1_000, Recipients),
        ] {
            let found = choose(recipients, blocks, filter);
            assert_eq!(found, expected, "{recipients} recipients, {blocks} blocks, {filter} in a filter");
        }
    }

    #[test]
    fn many_filters_are_no_subscriptions() {
        for (recipients, filter, heads_only) in
            [(0, 1_000, false), (50_000, 1_000, false), (50_001, 1_000, true), (1_000_000, 1_000, true), (1, 0, true)]
        {
            assert_eq!(hears_of_heads_only(recipients, filter), heads_only, "{recipients} recipients");
        }
    }
}
