//! Characters that are not what they look like: they cannot be seen, or they look like others. They come with what is copied
//! from a page, a chat or a spreadsheet, and whoever looks for the mistake sees none. So they are named by number and place.

use std::fmt;

use super::text::is_hidden;

/// A character of a text that is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd {
    letter: char,
    /// Which character of the text it is, from 1.
    place: usize,
}

impl Odd {
    /// The first in a text that should be letters, digits and signs of ASCII: whatever is not, and line breaks and the like.
    #[must_use]
    pub fn in_plain(text: &str) -> Option<Self> {
        Self::find(text, |letter| !letter.is_ascii() || letter.is_ascii_control())
    }

    /// The first in a text of people, which may be in any language: what cannot be seen.
    #[must_use]
    pub fn in_words(text: &str) -> Option<Self> {
        Self::find(text, is_hidden)
    }

    /// The first that deceives in any text: it cannot be seen, is a blank and no space, or looks like a character of ASCII.
    #[must_use]
    pub fn deceiving(text: &str) -> Option<Self> {
        let is_blank = |letter: char| letter.is_whitespace() && letter != ' ';
        Self::find(text, |letter| is_hidden(letter) || is_blank(letter) || looks_like(letter).is_some())
    }

    /// The character itself: its number, what it is, and what to do about it.
    #[must_use]
    pub fn described(self) -> String {
        let letter = self.letter;
        let what = match letter {
            '\n' | '\r' => "a line break: remove it",
            '\t' => "a tab: remove it",
            '\u{feff}' => "a byte order mark, which cannot be seen: remove it",
            letter if is_hidden(letter) => "which cannot be seen: remove it",
            letter if letter.is_whitespace() => "a blank that is no plain space: type it anew",
            letter => &match looks_like(letter) {
                Some(plain) => format!("which looks like {plain} and is not: type it anew"),
                None => format!("{letter}: only letters of ASCII are taken here"),
            },
        };
        format!("U+{:04X}, {what}", u32::from(letter))
    }

    fn find(text: &str, is_odd: impl Fn(char) -> bool) -> Option<Self> {
        let (before, letter) = text.chars().enumerate().find(|(_, letter)| is_odd(*letter))?;
        Some(Self { letter, place: before.saturating_add(1) })
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}{} character is {}", self.place, ending(self.place), self.described())
    }
}

/// A problem with a text that should be plain, and the odd character in the text that explains it, if there is one.
#[must_use]
pub fn explained(problem: impl fmt::Display, text: &str) -> String {
    match Odd::in_plain(text) {
        Some(odd) => format!("{problem}; {odd}"),
        None => problem.to_string(),
    }
}

/// The text as a person means it: what cannot be seen left out, and look-alikes as what they look like. Only ever to guess what
/// was meant, and never to take it.
#[must_use]
pub fn folded(text: &str) -> String {
    let seen = text.chars().filter(|letter| !is_hidden(*letter));
    seen.map(|letter| looks_like(letter).unwrap_or(if letter.is_whitespace() { ' ' } else { letter })).collect()
}

/// `st`, `nd`, `rd` or `th`.
const fn ending(number: usize) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// What a character beyond ASCII looks like, where that is a character of ASCII.
fn looks_like(letter: char) -> Option<char> {
    // The wide forms of all of ASCII stand in its order.
    if let '\u{ff01}'..='\u{ff5e}' = letter {
        return u32::from(letter).checked_sub(0xfee0).and_then(char::from_u32);
    }
    ALIKE.iter().find(|(alike, _)| alike.contains(letter)).map(|(_, plain)| *plain)
}

/// Characters that are taken for one of ASCII: punctuation that programs put in by themselves, and the letters of Cyrillic,
/// Greek and Armenian that are drawn alike.
const ALIKE: [(&str, char); 46] = [
    ("\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2043}\u{2212}\u{fe58}\u{fe63}", '-'),
    ("\u{2018}\u{2019}\u{201a}\u{201b}\u{2032}\u{2b9}\u{2bb}\u{2bc}\u{b4}", '\''),
    ("\u{201c}\u{201d}\u{201e}\u{201f}\u{2033}\u{ab}\u{bb}", '"'),
    ("\u{2024}\u{fe52}\u{b7}\u{2027}\u{66b}", '.'),
    ("\u{60c}\u{3001}\u{66c}\u{fe50}", ','),
    ("\u{2044}\u{2215}\u{29f8}", '/'),
    ("\u{2236}\u{fe55}\u{a789}", ':'),
    ("\u{37e}\u{fe54}", ';'),
    ("\u{2217}\u{204e}\u{fe61}", '*'),
    ("\u{fe5f}", '#'),
    ("\u{fe62}", '+'),
    ("\u{a78a}\u{fe66}", '='),
    ("\u{fe4d}\u{fe4e}\u{fe4f}", '_'),
    ("\u{410}\u{391}", 'A'),
    ("\u{412}\u{392}", 'B'),
    ("\u{421}\u{3f9}\u{216d}", 'C'),
    ("\u{415}\u{395}", 'E'),
    ("\u{41d}\u{397}", 'H'),
    ("\u{406}\u{399}\u{4c0}\u{2160}", 'I'),
    ("\u{408}\u{37f}", 'J'),
    ("\u{41a}\u{39a}\u{212a}", 'K'),
    ("\u{41c}\u{39c}\u{216f}", 'M'),
    ("\u{39d}", 'N'),
    ("\u{41e}\u{39f}\u{555}", 'O'),
    ("\u{420}\u{3a1}", 'P'),
    ("\u{405}\u{54f}", 'S'),
    ("\u{422}\u{3a4}", 'T'),
    ("\u{54d}", 'U'),
    ("\u{51c}", 'W'),
    ("\u{425}\u{3a7}\u{2169}", 'X'),
    ("\u{4ae}\u{3a5}", 'Y'),
    ("\u{396}", 'Z'),
    ("\u{430}\u{3b1}", 'a'),
    ("\u{441}\u{3f2}\u{217d}", 'c'),
    ("\u{501}\u{217e}", 'd'),
    ("\u{435}", 'e'),
    ("\u{4bb}\u{570}", 'h'),
    ("\u{456}\u{131}\u{2170}", 'i'),
    ("\u{458}\u{3f3}", 'j'),
    ("\u{217c}\u{4cf}", 'l'),
    ("\u{43e}\u{3bf}\u{585}", 'o'),
    ("\u{440}\u{3c1}", 'p'),
    ("\u{455}", 's'),
    ("\u{445}\u{3c7}\u{2179}", 'x'),
    ("\u{443}\u{3b3}", 'y'),
    ("\u{3bd}\u{2174}", 'v'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_character_is_named_with_its_number_and_place() {
        for (text, said) in [
            ("recipient-1\u{200b}", "the 12th character is U+200B, which cannot be seen: remove it"),
            ("INV\u{2011}1", "the 4th character is U+2011, which looks like - and is not: type it anew"),
            ("M\u{425}", "the 2nd character is U+0425, which looks like X and is not: type it anew"),
            ("\u{feff}a", "the 1st character is U+FEFF, a byte order mark, which cannot be seen: remove it"),
            ("ab\u{a0}", "the 3rd character is U+00A0, a blank that is no plain space: type it anew"),
            ("\u{ff11}", "the 1st character is U+FF11, which looks like 1 and is not: type it anew"),
            ("caf\u{e9}", "the 4th character is U+00E9, é: only letters of ASCII are taken here"),
            ("key\r", "the 4th character is U+000D, a line break: remove it"),
            ("\u{1d400}", "the 1st character is U+1D400, 𝐀: only letters of ASCII are taken here"),
        ] {
            assert_eq!(Odd::in_plain(text).map(|odd| odd.to_string()).as_deref(), Some(said), "{text:?}");
        }
        assert_eq!(Odd::in_plain("plain -'\"_. text"), None);
        assert_eq!(Odd::in_words("Zoë zahlt “heute”"), None);
        assert!(Odd::in_words("a\u{ad}b").is_some());
        let far = format!("{}\u{200b}", "x".repeat(110));
        assert!(Odd::in_plain(&far).expect("it is there").to_string().starts_with("the 111th "));
        assert_eq!(folded("B\u{430}nk\u{a0}Acc\u{200b}ount\u{2011}\u{ff11}"), "Bank Account-1");
    }
}
