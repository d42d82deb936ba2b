//! The limits that providers name in their errors: how many blocks, recipients or calls they would take, and when to come back.

use std::time::Duration;

use super::classify::Class;

/// How many blocks the provider says it would take, if it names a number below `asked`.
///
/// A named range (`[0xa, 0xff]`, `10-255`) goes before plain numbers. Plain numbers are limits only in range errors:
/// in the others they count results. `asked` itself and one less are the provider repeating the question.
pub(super) fn suggested_blocks(class: Class, text: &str, asked: u64) -> Option<u64> {
    let numbers = numbers(text);
    let named = numbers.windows(2).find_map(|pair| match pair {
        [first, last] if last.joined => last.value.checked_sub(first.value)?.checked_add(1),
        _ => None,
    });
    if let Some(blocks) = named.filter(|&blocks| blocks > 1) {
        return (blocks < asked).then_some(blocks);
    }
    if class != Class::Range {
        return None;
    }
    let below = asked.saturating_sub(1);
    numbers.iter().map(|number| number.value).filter(|&value| value > 0 && value < below).max()
}

/// How many calls the provider says it would take in one batch, if it names a number below `asked`.
pub(super) fn suggested_batch(text: &str, asked: usize) -> Option<usize> {
    let asked = u64::try_from(asked).unwrap_or(u64::MAX);
    let named = numbers(text).iter().map(|number| number.value).filter(|&value| value > 0 && value < asked).max();
    named.and_then(|named| usize::try_from(named).ok())
}

/// How long the provider says it wants to be left alone, in words: `retry in 10s`.
pub(super) fn suggested_wait(text: &str) -> Option<Duration> {
    let text = text.to_lowercase();
    let after = ["retry in", "retry after", "again in", "again after", "wait"]
        .iter()
        .filter_map(|words| text.split_once(words).map(|(_, rest)| rest.trim_start_matches([' ', ':', '~'])))
        .find(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))?;
    let (value, unit) = after.split_at(after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len()));
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let whole: u64 = whole.parse().ok()?;
    // What is begun counts as whole.
    let value = if part.contains(|digit| digit != '0') { whole.saturating_add(1) } else { whole };
    let unit = unit.trim_start();
    Some(match unit {
        _ if unit.starts_with("ms") || unit.starts_with("milli") => Duration::from_millis(value),
        _ if unit.starts_with('m') => Duration::from_secs(value.saturating_mul(60)),
        _ => Duration::from_secs(value),
    })
}

/// How many recipients the provider says it would take, if it names a number below `asked`.
pub(super) fn suggested_recipients(text: &str, asked: u64) -> Option<u64> {
    numbers(text).iter().map(|number| number.value).filter(|&value| value > 0 && value < asked).max()
}

/// A number in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    value: u64,
    /// Only `-`, `,`, `to` and blanks stand between it and the number before, as in a range. A comma with three
    /// digits after it belongs to the number.
    joined: bool,
}

/// All numbers in a text: decimal with or without thousands' commas, or hexadecimal after `0x`. Digits that are part
/// of a word or a URL's host (`1rpc`) are none.
pub(super) fn numbers(text: &str) -> Vec<Number> {
    let mut found = Vec::new();
    let mut between = String::from("?");
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() && !before.is_alphanumeric() && before != '_' {
            let (value, length) = number_at(rest);
            let (word, after) = rest.split_at(length);
            let part_of_word = after.chars().next().is_some_and(|next| next.is_alphanumeric() || next == '_');
            if let (Some(value), false) = (value, part_of_word) {
                let joiner = between.trim();
                found.push(Number { value, joined: matches!(joiner, "-" | "," | "to" | "–" | "..") });
                between.clear();
            } else {
                between.push('?');
            }
            before = word.chars().last().unwrap_or(' ');
            rest = after;
        } else {
            between.push(first);
            before = first;
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    found
}

/// Reads the number at the start of a text: its value, if it fits, and how many bytes it takes.
fn number_at(text: &str) -> (Option<u64>, usize) {
    if let Some(hex) = text.strip_prefix("0x") {
        let digits = hex.len().saturating_sub(hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len());
        let value = hex.get(..digits).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        return (value, digits.saturating_add(2));
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end: usize = 0;
    loop {
        while is_digit(end) {
            end = end.saturating_add(1);
        }
        let group = |offset: usize| is_digit(end.saturating_add(offset));
        let comma = bytes.get(end) == Some(&b',');
        if comma && end <= 15 && group(1) && group(2) && group(3) && !group(4) {
            end = end.saturating_add(4);
        } else {
            break;
        }
    }
    let digits: String = text.chars().take(end).filter(char::is_ascii_digit).collect();
    (digits.parse().ok(), end)
}

#[cfg(test)]
#[path = "named_limits_tests.rs"]
mod tests;
