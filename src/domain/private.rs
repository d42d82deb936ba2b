//! Secrets as they arrive: who may reach a file with one, and what was put around the secret on its way.
//!
//! A secret in quotation marks, with its name before it, or in another encoding is refused by whoever it is shown to, or fails
//! as a wrong password; and what looks at how a key begins sees something else. So it is named before anything is tried. No
//! message holds anything of the secret.

use super::odd::Odd;

/// Whether a file with this mode, owner and group can be reached by its owner alone, or was mounted by root for a group of the
/// process, which runs as `user` with these `groups`. Root's own group is no such group for root: those are its own files.
#[must_use]
pub fn is_private_to(mode: u32, owner: u32, group: u32, user: u32, groups: &[u32]) -> bool {
    let is_mounted = owner == 0 && (user, group) != (0, 0) && mode & 0o037 == 0 && groups.contains(&group);
    mode & 0o077 == 0 || is_mounted
}

/// Who else than root and its reader can have written a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherWriter {
    /// Its owner, this user.
    Owner(u32),
    /// Its group or everybody, by these permission bits.
    Mode(u32),
}

/// Whether somebody else than root and its reader can have written a file with this owner and mode.
#[must_use]
pub const fn other_writer(owner: u32, mode: u32, reader: u32) -> Option<OtherWriter> {
    match (owner == 0 || owner == reader, mode & 0o022) {
        (false, _) => Some(OtherWriter::Owner(owner)),
        (true, 0) => None,
        (true, _) => Some(OtherWriter::Mode(mode & 0o7777)),
    }
}

/// What is wrong with how a text was written to a file: the rest of a sentence that starts with the file. `None` when it is
/// UTF-8 without a mark.
#[must_use]
pub fn encoding_fault(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => {
            Some("begins with a byte order mark (EF BB BF), which cannot be seen: save it as UTF-8 without one")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("is in UTF-16: save it as UTF-8 without a byte order mark"),
        // Text of ASCII in UTF-16 has a zero byte beside each letter.
        [0, _, 0, _, ..] | [_, 0, _, 0, ..] => Some("is in UTF-16: save it as UTF-8"),
        _ if bytes.contains(&0) => Some("has a zero byte, and is no text: save it as UTF-8"),
        _ if std::str::from_utf8(bytes).is_err() => Some("is not in UTF-8: save it as UTF-8 without a byte order mark"),
        _ => None,
    }
}

/// What was put around a key or token, which is letters, digits and signs of ASCII and nothing else: the rest of a sentence that
/// starts with where it came from. `None` when nothing was.
#[must_use]
pub fn wrapping_fault(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let fixed = |what: &str| Some(what.to_owned());
    if let Some(odd) = Odd::in_plain(text.trim_end_matches(['\r', '\n'])) {
        return Some(format!("holds a character that no key has: {odd}"));
    }
    if trimmed.starts_with(is_quote) || trimmed.ends_with(is_quote) {
        return fixed("is in quotation marks, which count as part of it: take them away (env files keep them)");
    }
    if trimmed.starts_with('{') {
        return fixed("is JSON: put the value there and nothing else");
    }
    if trimmed.starts_with("-----BEGIN") {
        return fixed("is a PEM block: put the key itself there");
    }
    if trimmed.starts_with("${") || trimmed.starts_with("$(") || trimmed.starts_with("{{") || is_in(trimmed, '<', '>') {
        return fixed("is a placeholder that nothing was put in for: put the value there");
    }
    if trimmed.ends_with("\\n") || trimmed.ends_with("\\r") {
        return fixed("ends in a backslash and a letter, a line break as some files write it: take both away");
    }
    if trimmed.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("bearer ")) {
        return fixed("begins with the word Bearer, which is put before it by itself: take it away");
    }
    if is_assignment(trimmed) {
        return fixed("begins with a name and an equals sign: put the value there and nothing else");
    }
    if trimmed.len() < text.trim_end_matches(['\r', '\n']).len() {
        return fixed("begins or ends with a blank: take it away");
    }
    None
}

/// What may be wrong with a password that does not open anything. A password may begin and end with anything, so these are only
/// guesses, and are made when it has failed.
#[must_use]
pub fn password_doubt(text: &str) -> Option<&'static str> {
    if text.starts_with(is_quote) && text.ends_with(is_quote) && text.len() > 1 {
        return Some("it is in quotation marks, which count as part of it");
    }
    if text.trim() != text {
        return Some("it begins or ends with a blank, which counts as part of it");
    }
    if Odd::deceiving(text).is_some() {
        return Some("it holds a character that cannot be seen, or that looks like another");
    }
    if text.ends_with("\\n") {
        return Some("it ends in a backslash and an n, which are two characters here and no line break");
    }
    is_assignment(text).then_some("it begins with a name and an equals sign, which count as part of it")
}

const fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '`')
}

fn is_in(text: &str, before: char, after: char) -> bool {
    text.starts_with(before) && text.ends_with(after)
}

/// Whether a text is `NAME=value`, as in an env file, perhaps after `export`.
fn is_assignment(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text);
    let Some((name, value)) = text.split_once('=') else { return false };
    let is_name = name.contains('_') && name.starts_with(|first: char| first.is_ascii_uppercase());
    let of_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    is_name && name.bytes().all(of_name) && !value.is_empty() && !value.starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_who_may_reach_a_file_with_a_secret() {
        let ours = [10_001, 10_002, 0];
        for (mode, owner, group, user, fits) in [
            (0o600, 10_001, 10_001, 10_001, true),
            (0o400, 0, 0, 10_001, true),
            (0o440, 0, 10_001, 10_001, true),
            (0o440, 0, 10_002, 10_001, true),
            (0o640, 0, 10_001, 10_001, true),
            // Root in a container whose group was chosen, and not its own files.
            (0o440, 0, 10_001, 0, true),
            (0o440, 0, 0, 0, false),
            // Another group, another owner, more than reading, and everybody.
            (0o440, 0, 10_003, 10_001, false),
            (0o440, 10_001, 10_001, 10_001, false),
            (0o460, 0, 10_001, 10_001, false),
            (0o450, 0, 10_001, 10_001, false),
            (0o444, 0, 10_001, 10_001, false),
            (0o644, 0, 10_001, 10_001, false),
        ] {
            assert_eq!(is_private_to(mode, owner, group, user, &ours), fits, "{mode:o} {owner}:{group} as {user}");
        }
    }

    #[test]
    fn r11_what_was_put_around_a_key_is_named() {
        for (text, words) in [
            ("\"sk_live_x\"", "quotation marks"),
            ("'sk_live_x'\n", "quotation marks"),
            ("\"sk_live_x", "quotation marks"),
            ("sk_live_x\u{200b}", "U+200B"),
            ("\u{feff}sk_live_x", "the 1st character is U+FEFF"),
            ("\u{201c}sk_live_x\u{201d}", "U+201C"),
            ("sk_live_x ", "a blank"),
            (" sk_live_x\n", "a blank"),
            ("{\"api_key\": \"sk_live_x\"}", "is JSON"),
            ("RAMPWATCH_API_KEY=sk_live_x", "an equals sign"),
            ("export API_KEY=sk_live_x", "an equals sign"),
            ("Bearer sk_live_x", "Bearer"),
            ("sk_live_x\\n", "a backslash"),
            ("${API_KEY}", "a placeholder"),
            ("<your key>", "a placeholder"),
        ] {
            let said = wrapping_fault(text).unwrap_or_default();
            assert!(said.contains(words) && !said.contains("live_x"), "{text:?}: {said:?}");
        }
        for sound in ["sk_live_x", "sk_live_x\r\n", "c2VjcmV0PT0=", "a=b", "AB=cd", "it's"] {
            assert_eq!(wrapping_fault(sound), None, "{sound:?}");
        }
    }

    #[test]
    fn r11_encodings_are_named() {
        let utf16: Vec<u8> = "password".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xff, 0xfe][..], &utf16].concat();
        for (bytes, words) in [
            (b"\xef\xbb\xbfpassword".as_slice(), "byte order mark"),
            (&utf16, "UTF-16"),
            (&marked, "UTF-16"),
            (b"\0p\0a\0s\0s", "UTF-16"),
            (b"pa\xe9", "not in UTF-8"),
            (b"pass\0word", "zero byte"),
        ] {
            assert!(encoding_fault(bytes).is_some_and(|said| said.contains(words)), "{bytes:?}");
        }
        assert_eq!(encoding_fault("pässword\n".as_bytes()), None);
        assert_eq!(encoding_fault(b""), None);
    }

    #[test]
    fn r11_a_password_that_fails_may_have_something_around_it() {
        for text in
            ["\"secret\"", "'secret'", " secret", "secret ", "sec\u{200b}ret", "secret\\n", "WALLET_PASSWORD=secret"]
        {
            assert!(password_doubt(text).is_some(), "{text:?}");
        }
        for text in ["secret", "it's", "\"", "a=b", "pässword"] {
            assert_eq!(password_doubt(text), None, "{text:?}");
        }
    }
}
