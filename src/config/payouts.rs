//! `[payouts]`: how off-ramps are opened, and which files may go with them. All of it may be left out.

use crate::domain::time::Span;

use super::reader::Section;

/// The media types that can be told apart by how they begin.
const TYPES: [&str; 3] = ["application/pdf", "image/png", "image/jpeg"];

/// The largest file that can be allowed, in bytes: files go to the API in one JSON body.
const MAX_FILE_BYTES: u64 = 20_000_000;

/// How long a payout is remembered as one that another may repeat, unless configured. A week's file, and a long weekend.
const REPEAT_WINDOW: Span = Span::from_secs(10 * 86_400);

/// The longest that can be configured: what lies within is kept in memory.
const LONGEST_REPEAT_WINDOW: Span = Span::from_secs(366 * 86_400);

/// `[payouts]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutSettings {
    /// A quote that has less time left than this is not used.
    pub quote_margin: Span,
    /// How many payouts are worked upon at once.
    pub max_concurrent: usize,
    /// The media types of files that may go with them.
    pub file_types: Vec<String>,
    /// The most bytes of one file.
    pub max_file_bytes: u64,
    /// The most files that go with one payout.
    pub max_files: usize,
    /// For how long a payout is remembered as one that another may repeat; zero: nobody is asked about repeats.
    pub repeat_window: Span,
}

/// Reads `[payouts]`.
pub(super) fn payouts(mut section: Section<'_>) -> Option<PayoutSettings> {
    let quote_margin = section.span("quote_margin", Span::from_secs(60), Span::ZERO..=Span::from_secs(540));
    let max_concurrent = section.number("max_concurrent", Some(8), 1..=64);
    let has_types = section.has("file_types");
    let file_types = section.texts("file_types", TYPES.len(), |text| match TYPES.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("it must be one of {}", TYPES.join(", "))),
    });
    let max_file_bytes = section.number("max_file_bytes", Some(2_000_000), 1..=MAX_FILE_BYTES);
    let max_files = section.number("max_files", Some(5), 0..=10);
    let repeat_window = section.span("repeat_window", REPEAT_WINDOW, Span::ZERO..=LONGEST_REPEAT_WINDOW);
    section.finish("quote_margin, max_concurrent, file_types, max_file_bytes, max_files, repeat_window");
    Some(PayoutSettings {
        quote_margin: quote_margin?,
        max_concurrent: usize::try_from(max_concurrent?).ok()?,
        file_types: if has_types { file_types? } else { TYPES.map(str::to_owned).to_vec() },
        max_file_bytes: max_file_bytes?,
        max_files: usize::try_from(max_files?).ok()?,
        repeat_window: repeat_window?,
    })
}
