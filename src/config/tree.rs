//! The file and the environment, laid one over the other: a tree of values that know where they came from.
//!
//! Deliberately absent: what any key means.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::domain::odd::Odd;

use super::error::{ConfigError, Origin, Problem};

/// What every variable that sets a key begins with.
pub(super) const PREFIX: &str = "RAMPWATCH__";

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// A value of the tree.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    Table(BTreeMap<String, Entry>),
    List(Vec<Entry>),
}

/// A value that holds no others.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// What was written; for a TOML string its contents.
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What kind of value a scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer(Option<i64>),
    /// Any other TOML value; its name is for the error.
    Other(&'static str),
}

/// Reads the file's text.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<BTreeMap<String, Entry>, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        ConfigError::Syntax {
            path: path.to_path_buf(),
            line: line_of(text, offset),
            column,
            why: explained_at(&plain(error.message()), text.get(offset..).unwrap_or_default()),
        }
    })?;
    let origin = |offset: usize| Origin::File { line: line_of(text, offset) };
    Ok(table_of(table.into_inner(), &origin))
}

/// The parser's reason, and the character that it stumbled over if that is not what it looks like.
fn explained_at(why: &str, rest: &str) -> String {
    // Of the place nothing is said: the error names line and column.
    let letter: String = rest.chars().take(1).collect();
    match Odd::deceiving(&letter) {
        Some(odd) if letter != "\n" && letter != "\r" && letter != "\t" => {
            format!("{why}; what stands there is {}", odd.described())
        }
        _ => why.to_owned(),
    }
}

/// The line that an offset is in, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

/// A message of the parser in one line.
fn plain(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn table_of(table: DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> BTreeMap<String, Entry> {
    let entries = table.into_iter().map(|(key, value)| {
        let entry = Entry { origin: origin(key.span().start), value: value_of(value.into_inner(), origin) };
        (key.into_inner().into_owned(), entry)
    });
    entries.collect()
}

fn value_of(value: DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Value {
    let scalar = |text: String, kind| Value::Scalar(Scalar { text, kind });
    match value {
        DeValue::String(text) => scalar(text.into_owned(), Kind::Text),
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
            scalar(number.to_string(), Kind::Integer(value))
        }
        DeValue::Float(number) => scalar(number.to_string(), Kind::Other("a number with a point")),
        DeValue::Boolean(value) => scalar(value.to_string(), Kind::Other("a boolean")),
        DeValue::Datetime(value) => scalar(value.to_string(), Kind::Other("a date or time")),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| {
                let start = item.span().start;
                Entry { origin: origin(start), value: value_of(item.into_inner(), origin) }
            });
            Value::List(items.collect())
        }
        DeValue::Table(table) => Value::Table(table_of(table, origin)),
    }
}

/// One step down the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Index(usize),
    Key(String),
}

/// Lays the variables over the tree. Those without the prefix must have been left out.
///
/// The order does not matter: a variable for a whole list is laid before those for its items, and items in
/// the order of their numbers.
pub(super) fn overlay(root: &mut BTreeMap<String, Entry>, variables: Vec<(String, String)>) -> Vec<Problem> {
    let mut steps: Vec<(Vec<Step>, String, String)> = variables
        .into_iter()
        .map(|(name, value)| {
            let path = name.strip_prefix(PREFIX).unwrap_or(&name);
            let step = |part: &str| match part.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Key(part.to_lowercase()),
            };
            (path.split("__").map(step).collect(), name, value)
        })
        .collect();
    steps.sort();
    let mut problems = Vec::new();
    for (path, name, value) in steps {
        let entry = Entry { origin: Origin::Variable(name.clone()), value: from_variable(&name, value) };
        if let Err(text) = place(root, &path, entry) {
            problems.push(Problem {
                key: shown(&path),
                value: None,
                origin: Some(Origin::Variable(name)),
                text: text.to_owned(),
            });
        }
    }
    problems
}

/// A variable's value: a TOML value where it reads as one, else text. A number keeps the way it was written, so
/// that it can still be taken as text.
fn from_variable(name: &str, raw: String) -> Value {
    let origin = |_| Origin::Variable(name.to_owned());
    let parsed = DeValue::parse(&raw).map(|value| value_of(value.into_inner(), &origin));
    match parsed {
        Ok(Value::Scalar(Scalar { text, kind: Kind::Text })) => Value::Scalar(Scalar { text, kind: Kind::Text }),
        Ok(Value::Scalar(Scalar { kind, .. })) => Value::Scalar(Scalar { text: raw, kind }),
        Ok(whole) => whole,
        Err(_) => Value::Scalar(Scalar { text: raw, kind: Kind::Text }),
    }
}

fn shown(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
        }
    }
    text
}

/// Puts the entry at the path, making tables and list items on the way.
fn place(table: &mut BTreeMap<String, Entry>, path: &[Step], entry: Entry) -> Result<(), &'static str> {
    match path {
        [Step::Key(key)] => {
            table.insert(key.clone(), entry);
            Ok(())
        }
        [Step::Key(key), rest @ ..] => {
            let origin = entry.origin.clone();
            let empty = match rest {
                [Step::Index(_), ..] => Value::List(Vec::new()),
                _ => Value::Table(BTreeMap::new()),
            };
            let child = table.entry(key.clone()).or_insert(Entry { origin, value: empty });
            place_in(child, rest, entry)
        }
        _ => Err("no such key: a list's number must follow the list's name"),
    }
}

fn place_in(parent: &mut Entry, path: &[Step], entry: Entry) -> Result<(), &'static str> {
    match (&mut parent.value, path) {
        (Value::Table(table), _) => place(table, path, entry),
        (Value::List(items), [Step::Index(index), rest @ ..]) => {
            if *index == items.len() {
                let origin = entry.origin.clone();
                items.push(Entry { origin, value: Value::Table(BTreeMap::new()) });
            }
            let item = items.get_mut(*index).ok_or("the list is shorter: number its items from 0, without gaps")?;
            match rest {
                [] => {
                    *item = entry;
                    Ok(())
                }
                rest => place_in(item, rest, entry),
            }
        }
        (Value::List(_), _) => Err("no such key: this is a list, name an item by its number, from 0"),
        (Value::Scalar(_), _) => Err("no such key: there is a single value above it"),
    }
}
