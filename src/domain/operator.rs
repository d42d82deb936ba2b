//! Operators: who runs an endpoint. Two endpoints of one operator are one source of information, however they are called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who runs an endpoint: the configured name, or what its URL's host says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Operator(String);

/// An endpoint as it is configured, without its URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownEndpoint {
    pub name: String,
    /// Who runs it.
    pub operator: Operator,
}

impl Operator {
    /// The operator with this name. Case does not tell operators apart.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.trim().to_ascii_lowercase())
    }

    /// The operator of an endpoint that does not name one. Hosts that share their last two labels belong to one operator;
    /// an IP address and this machine say nothing of who runs the node, so there each endpoint is its own.
    #[must_use]
    pub fn of_host(endpoint: &str, host: &str) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_address = host.contains(':') || host.split('.').all(|label| label.bytes().all(|it| it.is_ascii_digit()));
        let labels: Vec<&str> = host.split('.').collect();
        let is_local = host == "localhost" || host.ends_with(".localhost");
        match labels.as_slice() {
            [.., second, last] if !is_address && !is_local => Self(format!("{second}.{last}")),
            _ => Self::named(endpoint),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_share_their_last_two_labels_have_one_operator() {
        let cases = [
            ("a", "polygon-rpc.example", "polygon-rpc.example"),
            ("a", "polygon-mainnet.g.alchemy.com", "alchemy.com"),
            ("a", "Eth.Alchemy.COM.", "alchemy.com"),
            ("Primary", "localhost", "primary"),
            ("primary", "node.localhost", "primary"),
            ("primary", "127.0.0.1", "primary"),
            ("primary", "10.0.0.7", "primary"),
            ("primary", "[::1]", "primary"),
            ("primary", "::1", "primary"),
            ("primary", "bor", "primary"),
            ("primary", "", "primary"),
        ];
        for (endpoint, host, expected) in cases {
            assert_eq!(Operator::of_host(endpoint, host).as_str(), expected, "{endpoint} {host}");
        }
        assert_eq!(Operator::named(" Alchemy "), Operator::named("alchemy"));
    }
}
