//! What is wrong with the rows of a batch, in lines for people: each fault once, however many rows have it.

use super::super::super::output;
use super::Item;

/// How many lines of the file are named with a fault that several have.
const NAMED: usize = 5;

/// What is wrong with rows and was not told yet, in at most so many lines and one that counts the rest.
pub(super) fn lines(items: &mut [Item], most: usize) -> Vec<String> {
    let mut faults: Vec<(String, Vec<u64>)> = Vec::new();
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for item in items {
        for fault in item.faults.iter().skip(item.told) {
            let place = *places.entry(fault.clone()).or_insert_with(|| {
                faults.push((fault.clone(), Vec::new()));
                faults.len().saturating_sub(1)
            });
            if let Some((_, lines)) = faults.get_mut(place) {
                lines.push(item.line);
            }
        }
        item.told = item.faults.len();
    }
    let more: usize = faults.iter().skip(most).map(|(_, lines)| lines.len()).sum();
    let told = faults.iter().take(most);
    let mut told: Vec<String> =
        told.map(|(fault, lines)| format!("{}: {}", named(lines), output::plain(fault))).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

/// Lines by their numbers: the first of them, and how many there are besides.
fn named(lines: &[u64]) -> String {
    let first: Vec<String> = lines.iter().take(NAMED).map(ToString::to_string).collect();
    match lines.len().saturating_sub(NAMED) {
        0 if lines.len() == 1 => format!("line {}", first.join(", ")),
        0 => format!("lines {}", first.join(", ")),
        more => format!("lines {} and {more} more", first.join(", ")),
    }
}
