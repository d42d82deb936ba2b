//! `[http]`: where the operator API listens, and whose tokens are taken.

use std::path::Path;

use rampwatch::config::{ConfigError, EXAMPLE, MAX_SOCKET_PATH};
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
        (ALICE.replace("\"alice\"", "\"local\""), "http.tokens[0].name", "the machine's own commands"),
        (ALICE.replace("\"alice\"", "\"a b\""), "http.tokens[0].name", "letters, digits"),
        (ALICE.replace("name = \"alice\"\n", ""), "http.tokens[0].name", "it is missing"),
        (ALICE.replace("file = \"tokens/alice\"\n", ""), "http.tokens[0].file", "it is missing"),
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

#[test]
fn f13_the_socket_lies_in_the_store_s_folder_unless_it_is_named() {
    let with = |pairs: &[(&str, &str)]| read(EXAMPLE, pairs).map(|settings| settings.http);
    let socket = "RAMPWATCH__HTTP__SOCKET";
    let default = Path::new("/etc/rampwatch/rampwatch-data/operator.sock");
    assert_eq!(with(&[]).unwrap().socket, default);
    assert_eq!(with(&[(socket, "")]).unwrap().socket, default, "an empty variable takes a file's value away");
    assert_eq!(with(&[(socket, "/run/rampwatch/s")]).unwrap().socket, Path::new("/run/rampwatch/s"));
    assert_eq!(with(&[(socket, "s")]).unwrap().socket, Path::new("/etc/rampwatch/s"));
    let long = format!("/run/{}", "s".repeat(MAX_SOCKET_PATH));
    let said = refusal(&[(socket, &long)]);
    let words = ["http.socket", &(MAX_SOCKET_PATH + 5).to_string(), &MAX_SOCKET_PATH.to_string(), "/run/user/1000"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    // A store that lay deep before there was a socket is no mistake; what the socket lacks is told where it is needed.
    let deep = format!("/srv/{}", "d".repeat(MAX_SOCKET_PATH));
    assert!(with(&[("RAMPWATCH__STORE__PATH", &deep)]).is_ok());
}

#[test]
fn f13_a_token_of_the_machine_is_there_only_where_a_file_is_named() {
    let file = |pairs: &[(&str, &str)]| read(EXAMPLE, pairs).unwrap().http.token_file;
    let named = ("RAMPWATCH__HTTP__TOKEN_FILE", "own-token");
    assert_eq!(file(&[]), None);
    assert_eq!(file(&[named]).as_deref(), Some(Path::new("/etc/rampwatch/own-token")));
    let alice = ALICE.replace("tokens/alice", "own-token");
    match read(&with(&alice), &[named]) {
        Err(ConfigError::Invalid { problems, .. }) => {
            let said = problems.to_string();
            assert!(said.contains("http.tokens[0].file") && said.contains("a file of its own"), "{said}");
        }
        other => panic!("two tokens in one file: {other:?}"),
    }
}
