//! Takes Rust source apart as far as the layer rules need it: words and signs with their lines, without comments,
//! texts and character literals.
//!
//! Deliberately absent: grammar. It need only be right about where code is, and it errs on no valid program.

use std::iter::Peekable;
use std::str::CharIndices;

/// A word (identifier, keyword, number) or a sign (`::`, or one character).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// Source, taken apart.
#[derive(Debug, Default)]
pub(super) struct Lexed<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// Comments with the lines they begin in.
    pub(super) comments: Vec<(&'a str, usize)>,
}

struct Lexer<'a> {
    source: &'a str,
    rest: Peekable<CharIndices<'a>>,
    line: usize,
}

/// Takes source apart.
pub(super) fn lex(source: &str) -> Lexed<'_> {
    let mut lexer = Lexer { source, rest: source.char_indices().peekable(), line: 1 };
    let mut lexed = Lexed::default();
    while let Some(&(at, char)) = lexer.rest.peek() {
        let line = lexer.line;
        let ahead = &source[at..];
        if ahead.starts_with("//") {
            let text = ahead.lines().next().unwrap_or("");
            lexer.skip_to(at + text.len());
            lexed.comments.push((text, line));
        } else if ahead.starts_with("/*") {
            lexer.skip_block_comment();
            lexed.comments.push((&source[at..lexer.position()], line));
        } else if let Some(hashes) = raw_text(ahead) {
            lexer.skip_raw_text(at, hashes);
        } else if char == '"' {
            lexer.skip_text();
        } else if char == '\'' {
            lexer.skip_quote(ahead);
        } else if is_word(char) {
            let word = lexer.word(at);
            let literal_prefix = matches!(word, "b" | "c") && matches!(lexer.rest.peek(), Some((_, '"' | '\'')));
            if !literal_prefix {
                lexed.tokens.push(Token { text: word, line });
            }
        } else if ahead.starts_with("::") {
            lexer.skip_to(at + 2);
            lexed.tokens.push(Token { text: "::", line });
        } else {
            lexer.next();
            if !char.is_whitespace() {
                lexed.tokens.push(Token { text: &source[at..at + char.len_utf8()], line });
            }
        }
    }
    lexed
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// How many `#` a raw text has that begins here.
fn raw_text(ahead: &str) -> Option<usize> {
    let rest = ["br", "cr", "r"].iter().find_map(|prefix| ahead.strip_prefix(prefix))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<char> {
        let (_, char) = self.rest.next()?;
        if char == '\n' {
            self.line += 1;
        }
        Some(char)
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.source.len(), |(at, _)| *at)
    }

    fn skip_to(&mut self, end: usize) {
        while self.position() < end {
            self.next();
        }
    }

    fn word(&mut self, start: usize) -> &'a str {
        while self.rest.peek().is_some_and(|(_, char)| is_word(*char)) {
            self.next();
        }
        // `1.5` is one word, `1..5` and `x.5` are not.
        let digits = self.source[start..].starts_with(|char: char| char.is_ascii_digit());
        let end = self.position();
        let fraction = self.source[end..].strip_prefix('.');
        if digits && fraction.is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_digit())) {
            self.next();
            while self.rest.peek().is_some_and(|(_, char)| is_word(*char)) {
                self.next();
            }
        }
        let end = self.position();
        &self.source[start..end]
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            let at = self.position();
            let ahead = &self.source[at..];
            if ahead.starts_with("/*") {
                depth += 1;
                self.skip_to(at + 2);
            } else if ahead.starts_with("*/") {
                depth -= 1;
                self.skip_to(at + 2);
            } else if self.next().is_none() {
                return;
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_raw_text(&mut self, at: usize, hashes: usize) {
        let open = at + self.source[at..].find('"').unwrap_or(0) + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.source[open..].find(&close).map_or(self.source.len(), |found| open + found + close.len());
        self.skip_to(end);
    }

    fn skip_text(&mut self) {
        self.next();
        while let Some(char) = self.next() {
            match char {
                '\\' => {
                    self.next();
                }
                '"' => return,
                _ => {}
            }
        }
    }

    /// A character literal, or the quote before a lifetime's name (which then counts as a word).
    fn skip_quote(&mut self, ahead: &str) {
        let mut chars = ahead.chars().skip(1);
        let (first, second) = (chars.next(), chars.next());
        self.next();
        if first != Some('\\') && second != Some('\'') {
            return;
        }
        while let Some(char) = self.next() {
            match char {
                '\\' => {
                    self.next();
                }
                '\'' => return,
                _ => {}
            }
        }
    }
}

/// Which tokens belong to something that is compiled for tests only (`#[cfg(test)]`, `#[test]`).
pub(super) fn test_only(tokens: &[Token<'_>]) -> Vec<bool> {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let mut marks = vec![false; tokens.len()];
    let mut at = 0;
    while at < texts.len() {
        let ahead = &texts[at..];
        let marked = ahead.starts_with(&["#", "[", "cfg", "(", "test", ")", "]"])
            || ahead.starts_with(&["#", "[", "test", "]"])
            || ahead.starts_with(&["#", "[", "tokio", "::", "test"]);
        if marked {
            let end = end_of_item(&texts, at);
            marks[at..end].fill(true);
            at = end;
        } else {
            at += 1;
        }
    }
    marks
}

/// Where the item that begins at `start` (with its attributes) ends.
fn end_of_item(texts: &[&str], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(text) = texts.get(at) {
        match *text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *text == "}" {
                    return at + 1;
                }
            }
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    texts.len()
}
