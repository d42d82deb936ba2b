//! Who may ask what over TCP: the machine's own token, where there is one, and those of people and programs, each with a
//! name and roles.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

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
#[derive(Debug, Default)]
pub struct Tokens {
    /// The machine's own, which bears every role. It changes while others are compared with it.
    local: RwLock<Option<Token>>,
    named: Vec<(Arc<Bearer>, Token)>,
}

impl Bearer {
    /// The machine's own user, who may do everything.
    #[must_use]
    pub fn local() -> Self {
        Self { name: Actor::local(), roles: Role::ALL.to_vec() }
    }
}

impl Tokens {
    /// The machine's own token.
    #[must_use]
    pub fn new(local: Token) -> Self {
        Self { local: RwLock::new(Some(local)), named: Vec::new() }
    }

    /// The same, and one more. `file` is where it came from.
    ///
    /// # Errors
    /// When another bears the same name or is the same token: then nobody could tell who asks.
    pub fn with(mut self, name: Actor, roles: Vec<Role>, token: Token, file: &Path) -> Result<Self, TokenError> {
        let twin = self.named.iter().find(|(bearer, known)| bearer.name == name || known.is_same(&token));
        if let Some((bearer, _)) = twin {
            return Err(TokenError::Twice { path: file.to_owned(), other: bearer.name.clone() });
        }
        self.named.push((Arc::new(Bearer { name, roles }), token));
        Ok(self)
    }

    /// Makes the machine's own token anew, where a file is named for it, and reads those of people and programs. Files of
    /// theirs that are missing are made, with mode 0600.
    ///
    /// # Errors
    /// As [`Token::renew`] and [`Token::load_or_create`], for any of them; when a named token's file belongs to somebody
    /// else; or when a token is there twice.
    pub fn load(settings: &HttpSettings) -> Result<Self, TokenError> {
        let mut all = Self::default();
        for given in &settings.tokens {
            let token = Token::load_or_create_own(&given.file)?;
            all = all.with(given.name.clone(), given.roles.clone(), token, &given.file)?;
        }
        all.renew(settings)?;
        Ok(all)
    }

    /// Makes the machine's own token anew, where a file is named for it: the one before counts for nothing any more, whoever
    /// was given it meanwhile.
    ///
    /// # Errors
    /// As [`Token::renew`]; then there is none.
    pub fn renew(&self, settings: &HttpSettings) -> Result<(), TokenError> {
        let Some(file) = &settings.token_file else { return Ok(()) };
        // Who has read the new one already waits here until it counts.
        let mut local = self.local.write().unwrap_or_else(PoisonError::into_inner);
        *local = None;
        *local = Some(Token::renew(file)?);
        Ok(())
    }

    /// Who shows this token. Compares with every one, whichever it is: how long that takes tells nothing of them but how
    /// many there are and how long.
    #[must_use]
    pub fn bearer(&self, given: &str) -> Option<Arc<Bearer>> {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = local.as_ref().is_some_and(|local| local.is(given)).then(|| Arc::new(Bearer::local()));
        for (bearer, token) in &self.named {
            if token.is(given) {
                found = Some(Arc::clone(bearer));
            }
        }
        found
    }
}
