//! How many operators must agree, and how many there are.

use std::collections::BTreeMap;

use super::{Finding, Says};
use crate::domain::operator::KnownEndpoint;

/// In a line: how many operators must say the same before a payment is completed or an order ends.
fn agreement_line(agreement: usize, endpoints: &[KnownEndpoint]) -> String {
    let mut operators: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for endpoint in endpoints {
        operators.entry(endpoint.operator.as_str()).or_default().push(&endpoint.name);
    }
    let each: Vec<String> = operators.iter().map(|(name, its)| format!("{name} ({})", its.join(", "))).collect();
    let each = each.join(", ");
    match (agreement, operators.len()) {
        (0 | 1, 1) => format!("one operator, {each}: its word is enough, so a false answer of it is acted upon"),
        (0 | 1, count) => format!("{count} operators, {each}; rpc.agreement = 1: the word of one is enough"),
        (needed, count) if needed == count => {
            format!(
                "{needed} operators must agree, and there are no more: {each}; while one is silent, completions wait"
            )
        }
        (needed, count) => format!("{needed} of {count} operators must agree: {each}"),
    }
}

/// The same as a finding.
#[must_use]
pub fn operators(agreement: usize, endpoints: &[KnownEndpoint]) -> Finding {
    let says = Says::of("operators", "");
    let found = agreement_line(agreement, endpoints);
    let count = endpoints.iter().map(|endpoint| &endpoint.operator).collect::<std::collections::BTreeSet<_>>().len();
    match (agreement, count) {
        (0 | 1, 1) => {
            says.warn(found, "add an endpoint of another operator: then two must agree before money moves on")
        }
        (0 | 1, _) => {
            says.warn(found, "leave out rpc.agreement, or set it to 2: then two must agree before money moves on")
        }
        (needed, count) if needed == count => {
            says.ok(format!("{found}. With one operator more, one of them may be silent"))
        }
        _ => says.ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::domain::operator::Operator;

    #[test]
    fn it_says_who_must_agree() {
        let endpoint = |(name, operator): &(&str, &str)| KnownEndpoint {
            name: (*name).to_owned(),
            operator: Operator::named(operator),
        };
        type Case = (usize, &'static [(&'static str, &'static str)], Grade, &'static str);
        let cases: [Case; 5] = [
            (1, &[("a", "x")], Grade::Warning, "one operator, x (a): its word is enough"),
            (1, &[("a", "x"), ("b", "y")], Grade::Warning, "2 operators, x (a), y (b); rpc.agreement = 1"),
            (2, &[("a", "x"), ("b", "y")], Grade::Ok, "while one is silent, completions wait"),
            (2, &[("a", "x"), ("b", "y"), ("c", "z")], Grade::Ok, "2 of 3 operators must agree"),
            (2, &[("a", "x"), ("b", "x"), ("c", "z")], Grade::Ok, "x (a, b), z (c)"),
        ];
        for (agreement, endpoints, grade, words) in cases {
            let endpoints: Vec<KnownEndpoint> = endpoints.iter().map(endpoint).collect();
            let finding = operators(agreement, &endpoints);
            assert!(finding.grade == grade && finding.found.contains(words), "{finding:?}");
        }
    }
}
