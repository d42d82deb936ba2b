//! Texts that somebody else wrote, such as a node's answer: kept short and on one line.

/// The most bytes that such a text may take in a record's JSON, without the quotation marks around it.
pub const MAX_TEXT_BYTES: usize = 300;

/// Whether a letter must not be shown as it is: a control character, or one that is not seen itself and changes how what is
/// around it is seen, such as the marks that turn the direction of writing. With those, a text that somebody else wrote could
/// show an approver another address or amount than there is. (Unicode 17: general category Cf, and what else is ignored by
/// default.)
#[must_use]
pub const fn is_hidden(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The text with hidden characters ([`is_hidden`]) as spaces, cut to [`MAX_TEXT_BYTES`] with an ellipsis where it is longer.
#[must_use]
pub fn short(text: &str) -> String {
    let plain = || text.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter });
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
    fn s9_what_turns_or_hides_letters_becomes_spaces() {
        for letter in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}', '\u{feff}', '\u{ad}', '\u{e0041}', '\u{61c}'] {
            assert_eq!(short(&format!("0xab{letter}cd")), "0xab cd", "{letter:?}");
        }
        for text in ["Zoë", "日本", "شركة", "ship ✓", "€ 5"] {
            assert_eq!(short(text), text);
        }
        assert!((0..=0x10_ffff).filter_map(char::from_u32).filter(|letter| letter.is_control()).all(is_hidden));
    }

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(short("a\nb\u{1b}[31m\u{85}c"), "a b [31m c");
    }
}
