//! `[http]`: where the operator API listens, and who may ask what.
//!
//! Deliberately absent: the tokens themselves. `http` reads their files when it starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::StoreSettings;
use super::parse::path;
use super::reader::{Section, Show};
use crate::domain::actor::{Actor, Role};

/// The most tokens and the most names of hosts.
const MAX_ITEMS: usize = 32;

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where the operator API listens: a loopback address unless `allow_remote`. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The file with the machine's own token, which has every role; `operator-token` in the store's folder unless
    /// configured.
    pub token_file: PathBuf,
    /// Tokens of people and programs, with their roles.
    pub tokens: Vec<TokenSettings>,
    /// Whether `listen` may be reached from other machines.
    pub allow_remote: bool,
    /// Names by which a request may call this machine in its `Host`, besides `localhost` and addresses of its own.
    pub hosts: Vec<String>,
}

/// `[[http.tokens]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Whose it is; kept with what is decided by it.
    pub name: Actor,
    /// The file with the token: mode 0600, made at the start where it is missing.
    pub file: PathBuf,
    /// What it may be used for; at least one.
    pub roles: Vec<Role>,
}

impl HttpSettings {
    /// Whether somebody with a token of their own can approve orders.
    #[must_use]
    pub fn has_named_approver(&self) -> bool {
        self.tokens.iter().any(|token| token.roles.contains(&Role::Approve))
    }
}

pub(super) fn http(mut section: Section<'_>, base: &Path, store: Option<&StoreSettings>) -> Option<HttpSettings> {
    let allow_remote = section.flag("allow_remote", false);
    let listen = section.or("listen", SocketAddr::from(([127, 0, 0, 1], 8787)), |text| {
        let listen: SocketAddr =
            text.parse().map_err(|_| "it must be an address and a port, such as 127.0.0.1:8787".to_owned())?;
        if listen.ip().to_canonical().is_loopback() || allow_remote != Some(false) {
            return Ok(listen);
        }
        Err("it must be a loopback address (127.0.0.1 or [::1]): put a proxy in front to reach it from outside, or set \
             http.allow_remote = true"
            .to_owned())
    });
    let token_file = section.removable("token_file", Show::Value, |text| path(base, text));
    let token_wrong = section.wrong("token_file");
    let token_file = match token_file {
        Some(file) => Some(file),
        None if token_wrong => None,
        None => store.map(|store| store.path.join("operator-token")),
    };
    let hosts = section.texts("hosts", MAX_ITEMS, host);
    let tokens = tokens(&mut section, base, token_file.as_deref());
    section.finish("listen, token_file, tokens, allow_remote, hosts");
    Some(HttpSettings {
        listen: listen?,
        token_file: token_file?,
        tokens: tokens?,
        allow_remote: allow_remote?,
        hosts: hosts?,
    })
}

/// A host as a `Host` header names it, without a port.
fn host(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let named = !text.is_empty() && text.len() <= 253 && text.bytes().all(plain);
    if named || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_ascii_lowercase());
    }
    Err("it must be a host's name or address without a port, such as rampwatch.example".to_owned())
}

fn tokens(section: &mut Section<'_>, base: &Path, own: Option<&Path>) -> Option<Vec<TokenSettings>> {
    let given = section.list("tokens");
    let wrong = section.wrong("tokens");
    let expected = given.len();
    if expected > MAX_ITEMS {
        section.complain("tokens", format!("there may be at most {MAX_ITEMS}"));
        return None;
    }
    let mut tokens: Vec<TokenSettings> = Vec::new();
    let mut files: BTreeSet<PathBuf> = own.map(Path::to_path_buf).into_iter().collect();
    for token in given {
        let names: Vec<Actor> = tokens.iter().map(|token| token.name.clone()).collect();
        let Some(token) = self::token(token, base, &names, &mut files) else { continue };
        tokens.push(token);
    }
    (tokens.len() == expected && !wrong).then_some(tokens)
}

fn token(
    mut section: Section<'_>,
    base: &Path,
    names: &[Actor],
    files: &mut BTreeSet<PathBuf>,
) -> Option<TokenSettings> {
    let name = section.required("name", Show::Value, "give a name for whose it is", |text| {
        let name: Actor = text.parse().map_err(|_| "it must be letters, digits, '-', '_', '.' or '@'".to_owned())?;
        if name.is_local() {
            return Err("that is what the machine's own token (http.token_file) is called: give another".to_owned());
        }
        if names.contains(&name) {
            return Err("another token has this name: give each its own".to_owned());
        }
        Ok(name)
    });
    let file = section.required("file", Show::Value, "name the file with the token", |text| {
        let file = path(base, text)?;
        if !files.insert(file.clone()) {
            return Err("another token is in this file: each has a file of its own".to_owned());
        }
        Ok(file)
    });
    if !section.has("roles") {
        section.complain("roles", "it is missing: give some of \"read\", \"operate\", \"approve\"");
    }
    let roles = section.texts("roles", Role::ALL.len(), |text| {
        Role::named(text).ok_or_else(|| "it must be \"read\", \"operate\" or \"approve\"".to_owned())
    });
    if roles.as_ref().is_some_and(Vec::is_empty) && !section.wrong("roles") {
        section.complain("roles", "it is empty: give some of \"read\", \"operate\", \"approve\"");
    }
    section.finish("name, file, roles");
    Some(TokenSettings { name: name?, file: file?, roles: roles.filter(|roles| !roles.is_empty())? })
}
