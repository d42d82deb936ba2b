//! Keys and passwords from a person: a prompt without echo, a private file, or an environment variable.
//!
//! Deliberately absent: stdin. A pipe's other end shows the secret in a process list or a shell's history.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::super::exit::{Exit, Failure};
use super::prompt::Prompt;
use crate::config::{ConfigError, secret_file, secret_line};

// Where the password comes from. No doc comment: clap would show it as the help of the command that flattens this.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PasswordFrom {
    /// A file with the password, which only you can reach (mode 0600)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The environment variable with the password
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
}

impl PasswordFrom {
    /// The password. From a terminal it is asked for twice, and both must be the same.
    pub(super) async fn get(self) -> Result<SecretString, Failure> {
        let remedy = "--password-file or --password-env";
        match (self.password_file, self.password_env) {
            (Some(file), _) => from_file("--password-file", &file),
            (None, Some(name)) => from_variable("--password-env", &name),
            (None, None) => {
                let prompt = Prompt::open("password", remedy)?;
                let password = prompt.ask("Password of the new keystore: ").await?;
                let again = prompt.ask("The same again: ").await?;
                if password.expose_secret() == again.expose_secret() {
                    return Ok(password);
                }
                Err(Failure::new(Exit::Usage, "the two passwords differ: nothing was written"))
            }
        }
    }
}

// Where the key to import comes from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct KeyFrom {
    /// A file with the key, which only you can reach (mode 0600)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The environment variable with the key
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
}

impl KeyFrom {
    /// The key's text, and where it came from.
    pub(super) async fn get(self) -> Result<(SecretString, String), Failure> {
        match (self.key_file, self.key_env) {
            (Some(file), _) => {
                Ok((from_file("--key-file", &file)?, format!("the file {:?} (--key-file)", file.display().to_string())))
            }
            (None, Some(name)) => {
                Ok((from_variable("--key-env", &name)?, "the environment variable (--key-env)".to_owned()))
            }
            (None, None) => {
                let prompt = Prompt::open("key", "--key-file or --key-env")?;
                let key = prompt.ask("Private key (64 hexadecimal digits): ").await?;
                Ok((key, "what was typed".to_owned()))
            }
        }
    }
}

fn unusable(error: &ConfigError) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

fn from_file(option: &str, file: &Path) -> Result<SecretString, Failure> {
    let whence = format!("the file {:?} ({option})", file.display().to_string());
    secret_file(file, &whence).map_err(|error| unusable(&error))
}

/// The variable's name is not repeated: somebody may have given the secret itself.
fn from_variable(option: &str, name: &str) -> Result<SecretString, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let value = if name.bytes().all(plain) { std::env::var_os(name) } else { None };
    let value = value.ok_or_else(|| {
        let said = format!("{option} names no environment variable that is set: give the name of one that holds it");
        Failure::new(Exit::Usage, said)
    })?;
    let text = value.into_string().map(Zeroizing::new).map_err(|_| {
        Failure::new(Exit::Usage, format!("the environment variable ({option}) holds no text in UTF-8"))
    })?;
    let whence = format!("the environment variable ({option})");
    secret_line(&SecretString::from(text.as_str()), &whence).map_err(|error| unusable(&error))
}
