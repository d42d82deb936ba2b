//! Finds the paths in a file: what it imports or names in passing, from the crate's root or of another crate.

use super::lex::Token;

/// A path that a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its parts. Of a path into this crate the first is `crate`, and `super` has been resolved.
    pub(super) parts: Vec<String>,
    /// Where.
    pub(super) line: usize,
    /// Which token it begins with.
    pub(super) token: usize,
}

impl Named {
    /// Whether the path is, or leads into, `prefix` (as in `tokio::sync`).
    pub(super) fn is_in(&self, prefix: &str) -> bool {
        let wanted: Vec<&str> = prefix.split("::").collect();
        self.parts.len() >= wanted.len() && self.parts.iter().zip(wanted).all(|(part, wanted)| part == wanted)
    }
}

/// All paths of a file that begin with `crate`, `super`, `self` or one of `crates`. `module` is the file's own module
/// path without `crate`.
pub(super) fn paths(tokens: &[Token<'_>], module: &[String], crates: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut inline = InlineModules::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        inline.pass(tokens, at);
        if !begins_path(tokens, at) {
            at += 1;
            continue;
        }
        // Any path is read to its end, so that its later parts are not taken for crates.
        let (trees, end) = expand(tokens, at);
        if ["crate", "super", "self"].contains(&token.text) || crates.iter().any(|name| name == token.text) {
            let here: Vec<String> = module.iter().chain(&inline.names).cloned().collect();
            let named = |parts: Vec<&str>| Named { parts: resolve(&parts, &here), line: token.line, token: at };
            found.extend(trees.into_iter().map(named));
        }
        at = end.max(at + 1);
    }
    found
}

/// Whether a path (of two parts at least, or what a `use` names) begins at this token.
fn begins_path(tokens: &[Token<'_>], at: usize) -> bool {
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |token| token.text);
    let (before, long_before) = (text(at.checked_sub(1)), text(at.checked_sub(2)));
    let continued = before == "." || (before == "::" && (long_before == ">" || is_name(long_before)));
    let used = before == "use" || (before == "::" && long_before == "use");
    is_name(text(Some(at))) && (used || (!continued && text(Some(at + 1)) == "::"))
}

/// Whether this can be a part of a path: a word that is none of those after which a `::path` may come.
fn is_name(text: &str) -> bool {
    const NONE: &[&str] = &["as", "break", "dyn", "else", "for", "if", "impl", "in", "match", "move", "mut", "return"];
    let word = text.starts_with(|char: char| char.is_alphanumeric() || char == '_');
    word && !NONE.contains(&text) && !["unsafe", "use", "where", "while"].contains(&text)
}

/// The paths of the tree that begins at `at`, and the token after it.
fn expand<'a>(tokens: &[Token<'a>], mut at: usize) -> (Vec<Vec<&'a str>>, usize) {
    let mut parts: Vec<&str> = Vec::new();
    if tokens.get(at).is_some_and(|token| token.text == "::") {
        at += 1;
    }
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => return group(tokens, at, &parts),
            "<" => break,
            word => parts.push(word),
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.text != "::") {
            break;
        }
        at += 1;
    }
    (vec![parts], at)
}

/// The paths of `{a, b::c}` after `prefix`.
fn group<'a>(tokens: &[Token<'a>], open: usize, prefix: &[&'a str]) -> (Vec<Vec<&'a str>>, usize) {
    let mut all = Vec::new();
    let mut at = open + 1;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "}" => return (all, at + 1),
            "," => at += 1,
            "as" => at += 2,
            _ => {
                let (trees, end) = expand(tokens, at);
                all.extend(trees.into_iter().map(|tree| prefix.iter().copied().chain(tree).collect()));
                at = end.max(at + 1);
            }
        }
    }
    (all, at)
}

/// Turns `super` and `self` at the beginning into a path from the root.
fn resolve(parts: &[&str], here: &[String]) -> Vec<String> {
    let mut base: Vec<String> = match parts.first() {
        Some(&("super" | "self")) => here.to_vec(),
        _ => return parts.iter().map(|part| (*part).to_owned()).collect(),
    };
    let mut rest = parts;
    while let Some((first, after)) = rest.split_first() {
        match *first {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = after;
    }
    let mut resolved = vec!["crate".to_owned()];
    resolved.append(&mut base);
    resolved.extend(rest.iter().map(|part| (*part).to_owned()));
    resolved
}

/// The `mod name { … }` that a token stands in.
#[derive(Default)]
struct InlineModules {
    names: Vec<String>,
    depths: Vec<usize>,
    depth: usize,
}

impl InlineModules {
    fn pass(&mut self, tokens: &[Token<'_>], at: usize) {
        match tokens[at].text {
            "{" => {
                self.depth += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    self.names.push(tokens[at - 1].text.to_owned());
                    self.depths.push(self.depth);
                }
            }
            "}" => {
                if self.depths.last() == Some(&self.depth) {
                    self.depths.pop();
                    self.names.pop();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
    }
}
