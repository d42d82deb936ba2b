//! `[http]`: where the operator API listens, and who may ask what.
//!
//! Deliberately absent: the tokens themselves. `http` reads their files when it starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::StoreSettings;
use super::parse::{host, path};
use super::reader::{Section, Show};
use crate::domain::actor::{Actor, Role};

/// The most tokens and the most names of hosts.
const MAX_ITEMS: usize = 32;

/// The most bytes that the system takes of a socket's path.
pub const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where the operator API listens: a loopback address unless `allow_remote`. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The Unix socket of the machine's own commands; `operator.sock` in the store's folder unless configured, and then its
    /// path may be longer than [`MAX_SOCKET_PATH`].
    pub socket: PathBuf,
    /// The file with the machine's own token, which has every role and is made anew at each start; no such token unless
    /// configured.
    pub token_file: Option<PathBuf>,
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
    let socket = match section.removable("socket", Show::Value, |text| socket(base, text)) {
        None if !section.wrong("socket") => store.map(|store| store.path.join("operator.sock")),
        given => given,
    };
    let token_file = section.removable("token_file", Show::Value, |text| path(base, text));
    let token_wrong = section.wrong("token_file");
    let hosts = section.texts("hosts", MAX_ITEMS, host);
    let tokens = tokens(&mut section, base, token_file.as_deref());
    section.finish("listen, socket, token_file, tokens, allow_remote, hosts");
    if token_wrong {
        return None;
    }
    Some(HttpSettings {
        listen: listen?,
        socket: socket?,
        token_file,
        tokens: tokens?,
        allow_remote: allow_remote?,
        hosts: hosts?,
    })
}

/// Where a socket can be.
fn socket(base: &Path, text: &str) -> Result<PathBuf, String> {
    let socket = path(base, text)?;
    let length = socket.as_os_str().len();
    if length <= MAX_SOCKET_PATH {
        return Ok(socket);
    }
    Err(format!(
        "its path has {length} bytes, and the system takes {MAX_SOCKET_PATH} of a socket: give a shorter one, such as \
         /run/user/1000/rampwatch.sock"
    ))
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
            return Err("that is what the machine's own commands are called: give another".to_owned());
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
