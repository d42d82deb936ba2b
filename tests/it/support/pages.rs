//! Pages of the documentation that are made by tests.

use std::path::Path;

/// Holds a page against what it must be; `make docs` (the variable `UPDATE_DOCS`) writes it instead.
pub(crate) fn hold(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let line = text.lines().zip(there.lines().chain(std::iter::repeat(""))).find(|(must, is)| must != is);
    assert!(there == text, "{name} is stale: run `make docs`. The first line that differs (must be, is): {line:?}");
}

/// The variants of an enum in a source text, each with its comment as one line; under the name that serde gives it, if it gives one.
pub(crate) fn docs_of_variants(source: &str, name: &str) -> Vec<(String, String)> {
    let start = format!("pub enum {name} {{\n");
    let (_, body) = source.split_once(&start).unwrap_or_else(|| panic!("there is no enum {name}"));
    let (body, _) = body.split_once("\n}\n").unwrap();
    let (mut found, mut docs, mut renamed) = (Vec::new(), String::new(), None);
    for line in body.lines() {
        let Some(rest) = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' ')) else { continue };
        if let Some(text) = rest.strip_prefix("///") {
            docs.push_str(text);
        } else if let Some(name) = rest.strip_prefix("#[serde(rename = \"") {
            renamed = name.strip_suffix("\")]").map(str::to_owned);
        } else if rest.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            let variant = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            let variant: String = renamed.take().unwrap_or(variant);
            assert!(!docs.is_empty(), "{name}::{variant} has no comment");
            found.push((variant, docs.trim().to_owned()));
            docs.clear();
        }
    }
    assert!(found.len() > 2, "{name}: {found:?}");
    found
}
