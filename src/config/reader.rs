//! Takes typed values out of the tree, key by key, and notes everything that is wrong on the way.
//!
//! Hand-written instead of derived: a derived reader stops at the first error, cannot say which variable a value
//! came from, and prints the values of secrets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::domain::odd::{Odd, explained};
use crate::domain::time::Span;

use super::error::{Origin, Problem};
use super::span::{parse_span, write_span};
use super::tree::{Entry, Kind, Scalar, Value};

/// The most characters of a value that an error shows.
const SHOWN: usize = 80;

/// Whether an error may show a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Value,
    Nothing,
}

/// What was read and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Notes {
    problems: RefCell<Vec<Problem>>,
    seen: RefCell<BTreeMap<String, (Origin, Option<String>)>>,
}

impl Notes {
    /// Notes that something is wrong with a key, with its value and origin if it was read before.
    pub(super) fn complain(&self, key: &str, text: impl Into<String>) {
        let (origin, value) = match self.seen.borrow().get(key) {
            Some((origin, value)) => (Some(origin.clone()), value.clone()),
            None => (None, None),
        };
        self.problems.borrow_mut().push(Problem { key: key.to_owned(), value, origin, text: text.into() });
    }

    fn saw(&self, key: &str, entry: &Entry, show: Show) {
        let value = match (&entry.value, show) {
            (Value::Scalar(scalar), Show::Value) => Some(shown(scalar)),
            _ => None,
        };
        self.seen.borrow_mut().insert(key.to_owned(), (entry.origin.clone(), value));
    }

    /// Everything that was wrong.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

fn shown(scalar: &Scalar) -> String {
    let mut text: String = scalar.text.chars().take(SHOWN).collect();
    if text.len() < scalar.text.len() {
        text.push('…');
    }
    match scalar.kind {
        Kind::Text => format!("{text:?}"),
        Kind::Integer(_) | Kind::Other(_) => text.escape_debug().to_string(),
    }
}

/// Reads a text that holds nothing that cannot be seen. What is wrong with one that does is that first of all: whatever reads
/// it may read over it. The error never holds more of the text than one character beyond ASCII.
fn plain<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    // A variable that was made out of a file may end as the file does.
    let text = text.trim_end_matches(['\r', '\n']);
    match Odd::in_words(text) {
        Some(odd) => Err(odd.to_string()),
        None => parse(text).map_err(|why| explained(why, text)),
    }
}

/// A table whose keys are taken one by one. What is left at the end is unknown.
pub(super) struct Section<'n> {
    path: String,
    entries: BTreeMap<String, Entry>,
    notes: &'n Notes,
}

impl<'n> Section<'n> {
    /// The whole tree.
    pub(super) const fn root(entries: BTreeMap<String, Entry>, notes: &'n Notes) -> Self {
        Self { path: String::new(), entries, notes }
    }

    /// The full key of one of its keys.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes that something is wrong with one of its keys.
    pub(super) fn complain(&self, key: &str, text: impl Into<String>) {
        self.notes.complain(&self.key(key), text);
    }

    /// Whether the key is there and not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether something wrong was noted of the key.
    pub(super) fn wrong(&self, key: &str) -> bool {
        self.notes.problems.borrow().iter().any(|problem| problem.key == self.key(key))
    }

    /// Whether a variable gives the key.
    pub(super) fn is_from_variable(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|entry| matches!(entry.origin, Origin::Variable(_)))
    }

    fn take(&mut self, key: &str, show: Show) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.notes.saw(&self.key(key), &entry, show);
        Some(entry)
    }

    /// The table under a key; an empty one when it is missing, so that each missing key of it is named.
    pub(super) fn section(&mut self, key: &str) -> Self {
        let path = self.key(key);
        let entries = match self.take(key, Show::Nothing).map(|entry| entry.value) {
            None => BTreeMap::new(),
            Some(Value::Table(entries)) => entries,
            Some(Value::Scalar(_) | Value::List(_)) => {
                self.complain(key, format!("it must be a table: [{path}]"));
                BTreeMap::new()
            }
        };
        Section { path, entries, notes: self.notes }
    }

    /// The table under a key, if it is there.
    pub(super) fn optional_section(&mut self, key: &str) -> Option<Self> {
        self.has(key).then(|| self.section(key))
    }

    /// The tables of the list under a key; none when it is missing.
    pub(super) fn list(&mut self, key: &str) -> Vec<Self> {
        let path = self.key(key);
        let items = match self.take(key, Show::Nothing).map(|entry| entry.value) {
            None => Vec::new(),
            Some(Value::List(items)) => items,
            Some(Value::Scalar(_) | Value::Table(_)) => {
                self.complain(key, format!("it must be a list of tables: [[{path}]]"));
                Vec::new()
            }
        };
        let mut sections = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.notes.saw(&path, &item, Show::Nothing);
            match item.value {
                Value::Table(entries) => sections.push(Section { path, entries, notes: self.notes }),
                Value::Scalar(_) | Value::List(_) => self.notes.complain(&path, "it must be a table"),
            }
        }
        sections
    }

    /// A text, read by `parse`, whose error is the rest of a sentence that starts with the key. `None` when it is
    /// missing, or wrong and noted.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        show: Show,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.take(key, show)?;
        let from_file = matches!(entry.origin, Origin::File { .. });
        let text = match entry.value {
            Value::Scalar(Scalar { text, kind: Kind::Text }) => text,
            Value::Scalar(Scalar { text, .. }) if !from_file => text,
            Value::Scalar(_) => {
                self.complain(key, "it must be a text: put it in quotes");
                return None;
            }
            Value::Table(_) | Value::List(_) => {
                self.complain(key, "it must be a single text");
                return None;
            }
        };
        plain(&text, parse).map_err(|why| self.complain(key, why)).ok()
    }

    /// As [`Self::optional`], and an empty variable is as good as none, so that it can take a file's value away.
    pub(super) fn removable<T>(
        &mut self,
        key: &str,
        show: Show,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let removed = self.entries.get(key).is_some_and(|entry| {
            let empty = matches!(&entry.value, Value::Scalar(scalar) if scalar.text.is_empty());
            empty && matches!(entry.origin, Origin::Variable(_))
        });
        if removed {
            self.entries.remove(key);
            return None;
        }
        self.optional(key, show, parse)
    }

    /// As [`Self::optional`], and it must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        show: Show,
        remedy: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.complain(key, format!("it is missing: {remedy}"));
            return None;
        }
        self.optional(key, show, parse)
    }

    /// As [`Self::optional`], with a default.
    pub(super) fn or<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.has(key) { self.optional(key, Show::Value, parse) } else { Some(default) }
    }

    /// A span of time within bounds, with a default.
    pub(super) fn span(&mut self, key: &str, default: Span, bounds: RangeInclusive<Span>) -> Option<Span> {
        self.or(key, default, |text| {
            let span = parse_span(text).map_err(|error| error.to_string())?;
            if bounds.contains(&span) {
                return Ok(span);
            }
            Err(format!("it must be between {} and {}", write_span(*bounds.start()), write_span(*bounds.end())))
        })
    }

    /// A whole number within bounds; without a default it must be there.
    pub(super) fn number(&mut self, key: &str, default: Option<u64>, bounds: RangeInclusive<u64>) -> Option<u64> {
        let Some(entry) = self.take(key, Show::Value) else {
            if default.is_none() {
                self.complain(key, "it is missing: give a whole number");
            }
            return default;
        };
        let number = match entry.value {
            Value::Scalar(Scalar { kind: Kind::Integer(number), .. }) => {
                Some(number.and_then(|number| u64::try_from(number).ok()).filter(|number| bounds.contains(number)))
            }
            Value::Scalar(_) | Value::Table(_) | Value::List(_) => None,
        };
        match number {
            Some(Some(number)) => return Some(number),
            Some(None) => {
                let range = format!("it must be between {} and {}", bounds.start(), bounds.end());
                self.complain(key, range);
            }
            None => self.complain(key, "it must be a whole number, without quotes"),
        }
        None
    }

    /// Yes or no, with a default.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> Option<bool> {
        let Some(entry) = self.take(key, Show::Value) else { return Some(default) };
        let flag = match &entry.value {
            Value::Scalar(Scalar { text, kind: Kind::Other(_) }) => text.parse().ok(),
            Value::Scalar(_) | Value::Table(_) | Value::List(_) => None,
        };
        if flag.is_none() {
            self.complain(key, "it must be true or false, without quotes");
        }
        flag
    }

    /// A list of texts, each read by `parse` as in [`Self::optional`]; empty when it is missing. None twice.
    pub(super) fn texts<T: PartialEq>(
        &mut self,
        key: &str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let path = self.key(key);
        let items = match self.take(key, Show::Nothing).map(|entry| entry.value) {
            None => Vec::new(),
            Some(Value::List(items)) if items.len() <= most => items,
            Some(Value::List(_)) => {
                self.complain(key, format!("it may have at most {most} items"));
                return None;
            }
            Some(Value::Scalar(_) | Value::Table(_)) => {
                self.complain(key, "it must be a list of texts, such as [\"a\", \"b\"]");
                return None;
            }
        };
        let expected = items.len();
        let mut found: Vec<T> = Vec::with_capacity(expected);
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.notes.saw(&path, &item, Show::Value);
            let read = match item.value {
                Value::Scalar(Scalar { text, kind: Kind::Text }) => plain(&text, &parse),
                Value::Scalar(_) | Value::Table(_) | Value::List(_) => {
                    Err("it must be a text: put it in quotes".to_owned())
                }
            };
            match read {
                Ok(value) if found.contains(&value) => self.notes.complain(&path, "it is there twice: remove one"),
                Ok(value) => found.push(value),
                Err(why) => self.notes.complain(&path, why),
            }
        }
        (found.len() == expected).then_some(found)
    }

    /// Notes every key that nobody took.
    pub(super) fn finish(self, known: &str) {
        for (key, entry) in &self.entries {
            let path = self.key(&key.escape_debug().to_string());
            // An unknown key's value is not shown: it may be a secret in the wrong place.
            self.notes.saw(&path, entry, Show::Nothing);
            self.notes.complain(&path, explained(format_args!("no such key; known here: {known}"), key));
        }
    }
}
