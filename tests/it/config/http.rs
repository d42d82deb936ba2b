//! `[http]`: where the operator API listens, and whose tokens are taken.

use std::path::Path;

use rampwatch::config::{ConfigError, EXAMPLE};
use rampwatch::domain::actor::Role;

use super::{read, refusal};

const ALICE: &str = "[[http.tokens]]\nname = \"alice\"\nfile = \"tokens/alice\"\nroles = [\"read\", \"operate\"]\n";
const BOB: &str = "[[http.tokens]]\nname = \"bob\"\nfile = \"/tokens/bob\"\nroles = [\"approve\"]\n";

fn with(tokens: &str) -> String {
    // Tables of a list may come anywhere.
    format!("{EXAMPLE}\n{tokens}")
}

/// All problems, as they are printed.
fn problems(text: &str) -> String {
    match read(text, &[]) {
        Err(ConfigError::Invalid { problems, .. }) => problems.to_string(),
        other => panic!("it must be refused, and was not: {other:?}"),
    }
}

#[test]
fn tokens_have_names_files_and_roles() {
    let settings = read(&with(ALICE), &[]).unwrap().http;
    let [alice] = &settings.tokens[..] else { panic!("one token: {settings:?}") };
    assert_eq!(alice.name.as_str(), "alice");
    assert_eq!(alice.file, Path::new("/etc/rampwatch/tokens/alice"));
    assert_eq!(alice.roles, [Role::Read, Role::Operate]);
    assert!(!settings.has_named_approver());
    assert!(read(&with(&format!("{ALICE}{BOB}")), &[]).unwrap().http.has_named_approver());
    let none = read(EXAMPLE, &[]).unwrap().http;
    assert!(none.tokens.is_empty() && !none.has_named_approver() && !none.allow_remote && none.hosts.is_empty());
}

#[test]
fn tokens_that_are_wrong_are_refused() {
    let table = [
        (ALICE.replace("\"alice\"", "\"local\""), "http.tokens[0].name", "the machine's own token"),
        (ALICE.replace("\"alice\"", "\"a b\""), "http.tokens[0].name", "letters, digits"),
        (ALICE.replace("name = \"alice\"\n", ""), "http.tokens[0].name", "it is missing"),
        (ALICE.replace("file = \"tokens/alice\"\n", ""), "http.tokens[0].file", "it is missing"),
        (ALICE.replace("tokens/alice", "rampwatch-data/operator-token"), "http.tokens[0].file", "a file of its own"),
        (ALICE.replace("roles = [\"read\", \"operate\"]\n", ""), "http.tokens[0].roles", "it is missing"),
        (ALICE.replace("[\"read\", \"operate\"]", "[]"), "http.tokens[0].roles", "it is empty"),
        (ALICE.replace("\"operate\"", "\"admin\""), "http.tokens[0].roles[1]", "\"approve\""),
        (ALICE.replace("\"operate\"", "\"read\""), "http.tokens[0].roles[1]", "it is there twice"),
        (format!("{ALICE}colour = \"red\"\n"), "http.tokens[0].colour", "no such key"),
        (format!("{ALICE}{}", BOB.replace("bob\"\nfile", "alice\"\nfile")), "http.tokens[1].name", "has this name"),
        (format!("{ALICE}{}", BOB.replace("/tokens/bob", "tokens/alice")), "http.tokens[1].file", "a file of its own"),
    ];
    for (tokens, key, words) in table {
        let said = problems(&with(&tokens));
        assert!(said.contains(key) && said.contains(words), "{key}, {words}: {said}\n{tokens}");
    }
    let many: String = (0..33).map(|n| ALICE.replace("alice", &format!("alice{n}"))).collect();
    assert!(problems(&with(&many)).contains("at most 32"));
}

#[test]
fn only_an_explicit_flag_lets_other_machines_in() {
    let listen = ("RAMPWATCH__HTTP__LISTEN", "0.0.0.0:8787");
    let said = refusal(&[listen]);
    assert!(said.contains("http.listen") && said.contains("http.allow_remote = true"), "{said}");
    let said = refusal(&[listen, ("RAMPWATCH__HTTP__ALLOW_REMOTE", "false")]);
    assert!(said.contains("http.allow_remote = true"), "{said}");
    let settings = read(EXAMPLE, &[listen, ("RAMPWATCH__HTTP__ALLOW_REMOTE", "true")]).unwrap().http;
    assert!(settings.allow_remote && settings.listen.ip().is_unspecified());
    let said = refusal(&[("RAMPWATCH__HTTP__ALLOW_REMOTE", "yes")]);
    assert!(said.contains("http.allow_remote") && said.contains("true or false"), "{said}");
}

#[test]
fn hosts_are_names_without_ports() {
    let hosts = |text: &str| read(EXAMPLE, &[("RAMPWATCH__HTTP__HOSTS", text)]).map(|settings| settings.http.hosts);
    assert_eq!(hosts("[\"Ramp.example\", \"10.0.0.5\", \"::1\"]").unwrap(), ["ramp.example", "10.0.0.5", "::1"]);
    for bad in ["[\"ramp.example:80\"]", "[\"http://ramp.example\"]", "[\"\"]", "[\"*\"]", "[7]", "\"ramp.example\""] {
        assert!(hosts(bad).is_err(), "{bad}");
    }
}
