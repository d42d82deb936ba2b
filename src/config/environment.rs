//! The environment, as far as a configuration may use it: variables that set a key (`RAMPWATCH__…`), and those that the
//! configuration names because they hold a secret.
//!
//! A configuration that nobody named, the `config.toml` of whatever folder one stands in, may only name variables that begin
//! with `RAMPWATCH_`: it says where secrets are sent, and must not reach for those of other programs.

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::reader::{Section, Show};
use super::tree::PREFIX;

/// What our own variables begin with.
const OURS: &str = "RAMPWATCH_";

/// Where variables are.
#[derive(Debug)]
pub struct Environment {
    /// Those that set a key.
    pub(super) overrides: Vec<(String, String)>,
    others: Others,
}

#[derive(Debug)]
enum Others {
    /// In the process; each is read when it is named.
    Process,
    Given(Vec<(String, SecretString)>),
}

impl Environment {
    /// The process's own. Of variables that set no key, nothing is kept. Bytes that are no UTF-8 are replaced, and so
    /// refused where they matter.
    #[must_use]
    pub fn of_process() -> Self {
        let mut overrides = Vec::new();
        for (name, value) in std::env::vars_os() {
            // Going through the variables copies all their values: each copy is wiped.
            let value = Zeroizing::new(value.into_encoded_bytes());
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) {
                overrides.push((name.into_owned(), String::from_utf8_lossy(&value).into_owned()));
            }
        }
        Self { overrides, others: Others::Process }
    }

    fn held(&self, name: &str) -> Option<SecretString> {
        match &self.others {
            Others::Process => {
                let value = Zeroizing::new(std::env::var_os(name)?.into_encoded_bytes());
                let text = Zeroizing::new(String::from_utf8_lossy(&value).into_owned());
                Some(SecretString::from(text.as_str()))
            }
            Others::Given(given) => given.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()),
        }
    }
}

impl<I: IntoIterator<Item = (String, String)>> From<I> for Environment {
    fn from(variables: I) -> Self {
        let (overrides, others): (Vec<_>, Vec<_>) =
            variables.into_iter().partition(|(name, _)| name.starts_with(PREFIX));
        let others = others.into_iter().map(|(name, value)| (name, SecretString::from(value)));
        Self { overrides, others: Others::Given(others.collect()) }
    }
}

/// The variables that a configuration names.
pub(super) struct Variables<'e> {
    environment: &'e Environment,
    /// Whether somebody named the configuration's file: then it may name any variable.
    named: bool,
}

impl<'e> Variables<'e> {
    pub(super) const fn new(environment: &'e Environment, named: bool) -> Self {
        Self { environment, named }
    }

    /// The name of a variable under a key, read by `parse`. A variable that names it is as good as the command line.
    pub(super) fn name(
        &self,
        section: &mut Section<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<String, String>,
    ) -> Option<String> {
        let trusted = self.named || section.is_from_variable(key);
        section.removable(key, Show::Nothing, |text| {
            let name = parse(text)?;
            if trusted || name.starts_with(OURS) {
                return Ok(name);
            }
            Err(format!(
                "the config.toml of the folder that a command is run in may only name variables that begin with {OURS}: \
                 rename the variable, or name the file with --config or RAMPWATCH_CONFIG (or keep it in {})",
                super::file::SYSTEM_FOLDER
            ))
        })
    }

    /// What the variable of this name holds.
    pub(super) fn held(&self, name: &str) -> Option<SecretString> {
        self.environment.held(name)
    }
}
