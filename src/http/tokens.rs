//! Who may ask what: the machine's own token, and those of people and programs, each with a name and roles.

use std::path::Path;
use std::sync::Arc;

use super::token::{Token, TokenError};
use crate::config::HttpSettings;
use crate::domain::actor::{Actor, Role};

/// Somebody who has shown a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// Whose token it is.
    pub name: Actor,
    /// What it may be used for.
    pub roles: Vec<Role>,
}

/// All tokens that are taken.
#[derive(Clone, Debug)]
pub struct Tokens(Vec<(Arc<Bearer>, Token)>);

impl Tokens {
    /// The machine's own token, which bears every role.
    #[must_use]
    pub fn new(local: Token) -> Self {
        Self(vec![(Arc::new(Bearer { name: Actor::local(), roles: Role::ALL.to_vec() }), local)])
    }

    /// The same, and one more. `file` is where it came from.
    ///
    /// # Errors
    /// When another bears the same name or is the same token: then nobody could tell who asks.
    pub fn with(mut self, name: Actor, roles: Vec<Role>, token: Token, file: &Path) -> Result<Self, TokenError> {
        let twin = self.0.iter().find(|(bearer, known)| bearer.name == name || known.is_same(&token));
        if let Some((bearer, _)) = twin {
            return Err(TokenError::Twice { path: file.to_owned(), other: bearer.name.clone() });
        }
        self.0.push((Arc::new(Bearer { name, roles }), token));
        Ok(self)
    }

    /// Reads all configured tokens. Files that are missing are made, with mode 0600.
    ///
    /// # Errors
    /// As [`Token::load_or_create`], for any of them; when a named token's file belongs to somebody else; or when a
    /// token is there twice.
    pub fn load(settings: &HttpSettings) -> Result<Self, TokenError> {
        let mut all = Self::new(Token::load_or_create(&settings.token_file)?);
        for given in &settings.tokens {
            let token = Token::load_or_create_own(&given.file)?;
            all = all.with(given.name.clone(), given.roles.clone(), token, &given.file)?;
        }
        Ok(all)
    }

    /// Who shows this token. Compares with every one, whichever it is: how long that takes tells nothing of them but how
    /// many there are and how long.
    #[must_use]
    pub fn bearer(&self, given: &str) -> Option<Arc<Bearer>> {
        let mut found = None;
        for (bearer, token) in &self.0 {
            if token.is(given) {
                found = Some(Arc::clone(bearer));
            }
        }
        found
    }
}
