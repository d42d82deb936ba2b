//! Keeps keys out of words. RPC URLs bear API keys in the path, the query or the user part, and both HTTP clients
//! and providers like to repeat them.

use crate::domain::text::is_hidden;
use std::fmt;

use url::Url;

/// The longest text of a provider that is passed on, in characters.
const MAX_TEXT: usize = 300;
/// Shorter parts of a URL (`v1`, `rpc`) are no keys, and would tear holes into plain words.
const MIN_SECRET: usize = 8;

/// Knows what of an endpoint's URLs must never be seen.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Learns the secret parts of a URL.
    pub(super) fn learn(&mut self, url: &Url) {
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut parts: Vec<String> = vec![url.username().to_owned()];
        parts.extend(url.password().map(str::to_owned));
        parts.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
        parts.extend(url.query().map(str::to_owned));
        parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        parts.extend(url.fragment().map(str::to_owned));
        // Some providers put the key into the first label of the host.
        parts.extend(host.split('.').filter(|label| label.len() >= 24).map(str::to_owned));
        self.secrets.extend(parts.into_iter().filter(|part| part.len() >= MIN_SECRET));
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
    }

    /// The text on one line, without secrets, and not too long.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "…");
        }
        let words: Vec<String> = text.split_whitespace().map(cut_url).collect();
        let mut line: String =
            words.join(" ").chars().map(|c| if is_hidden(c) { ' ' } else { c }).take(MAX_TEXT).collect();
        if text.chars().count() > MAX_TEXT {
            line.push('…');
        }
        line
    }
}

/// A word in which any URL is cut down to its scheme and host.
fn cut_url(word: &str) -> String {
    let Some(at) = word.find("://") else { return word.to_owned() };
    let (before, rest) = word.split_at(at);
    let rest = rest.trim_start_matches("://");
    let authority = rest.split(['/', '?', '#', '"', '\'', ')', ',', '>']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{before}://{host}/…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_left() {
        let mut redactor = Redactor::default();
        for url in [
            "https://user-name-1:pass-word-2@rpc.example/v2/abcdef0123456789?apikey=QWERTYUIOP&x=1",
            "wss://0123456789abcdef0123456789abcdef.rpc.example/",
        ] {
            redactor.learn(&Url::parse(url).unwrap());
        }
        let text = "error for https://user-name-1:pass-word-2@rpc.example/v2/abcdef0123456789?apikey=QWERTYUIOP \
                    (key abcdef0123456789, QWERTYUIOP)\nand (wss://0123456789abcdef0123456789abcdef.rpc.example/x) or \
                    http://other.example/their-key, rpc v2 stays";
        let clean = redactor.clean(text);
        for secret in ["user-name-1", "pass-word-2", "abcdef0123456789", "QWERTYUIOP", "their-key"] {
            assert!(!clean.contains(secret), "{secret} in {clean}");
        }
        assert!(clean.contains("rpc.example") && clean.contains("rpc v2 stays"), "{clean}");
        assert!(!clean.contains('\n'));
        assert!(redactor.clean(&"x".repeat(10_000)).chars().count() <= MAX_TEXT + 1);
        assert_eq!(format!("{redactor:?}"), "Redactor");
    }
}
