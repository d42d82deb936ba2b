//! Texts that somebody else wrote, such as a node's answer: kept short and on one line.

/// The most bytes that such a text may take in a record's JSON, without the quotation marks around it.
pub const MAX_TEXT_BYTES: usize = 300;

/// The text with control characters as spaces, cut to [`MAX_TEXT_BYTES`] with an ellipsis where it is longer.
#[must_use]
pub fn short(text: &str) -> String {
    let plain = || text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    if plain().fold(0, |bytes: usize, letter| bytes.saturating_add(stored_bytes(letter))) <= MAX_TEXT_BYTES {
        return plain().collect();
    }
    let mut left = MAX_TEXT_BYTES.saturating_sub(stored_bytes('…'));
    let fits = |letter: &char| left.checked_sub(stored_bytes(*letter)).map(|rest| left = rest).is_some();
    let mut cut: String = plain().take_while(fits).collect();
    cut.push('…');
    cut
}

/// How many bytes a letter takes in JSON, where quotation marks and backslashes have a backslash before them.
const fn stored_bytes(letter: char) -> usize {
    match letter {
        '"' | '\\' => 2,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_as_they_are() {
        for text in ["", "execution reverted", "süß …", &"x".repeat(MAX_TEXT_BYTES), &"é".repeat(MAX_TEXT_BYTES / 2)]
        {
            assert_eq!(short(text), text);
        }
    }

    #[test]
    fn long_texts_are_cut_to_what_they_take_in_a_record() {
        for text in ["x", "é", "\"", "\\", "\n\0", "€", "𝄞", "a\"\u{7f}é"] {
            let cut = short(&text.repeat(5_000));
            let stored = serde_json::to_string(&cut).expect("a text serialises").len() - 2;
            assert!(stored <= MAX_TEXT_BYTES && stored > MAX_TEXT_BYTES - 5, "{text:?}: {stored}");
            assert!(cut.ends_with('…') && !cut.contains(char::is_control), "{cut:?}");
            assert_eq!(short(&cut), cut, "cutting again changes nothing");
        }
    }

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(short("a\nb\u{1b}[31m\u{85}c"), "a b [31m c");
    }
}
