//! Batch files from anywhere, for fuzzing (`make fuzz`).

use std::path::Path;

use super::parse::{MAX_ROWS, parse};
use crate::cli::payout::draft::Draft;

/// Reads the bytes as a batch. Returns the words that people would be shown.
pub(crate) fn batch(data: &[u8]) -> Vec<String> {
    match parse(data, &Draft::default(), Path::new("."), 6) {
        Ok(rows) => {
            assert!(rows.len() <= MAX_ROWS, "{} rows were taken", rows.len());
            let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            let last = u64::try_from(lines).unwrap_or(u64::MAX).saturating_add(1);
            assert!(rows.iter().all(|row| row.line >= 1 && row.line <= last), "a row is said to be on no line");
            rows.iter().flat_map(|row| &row.faults).map(ToString::to_string).collect()
        }
        Err(error) => vec![error.to_string()],
    }
}
