//! A question on the terminal whose answer is not shown.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::super::exit::{Exit, Failure};
use crate::config::secret_line;

/// The most bytes of an answer; a terminal gives no longer line.
const MAX_LINE: usize = 4_096;

/// The terminal, with its echo off until this is dropped.
pub(super) struct Prompt {
    terminal: File,
    before: Termios,
}

impl Drop for Prompt {
    fn drop(&mut self) {
        // With the terminal gone there is nothing to give back.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

impl Prompt {
    /// Takes the terminal. What was typed before is thrown away: it was seen. `what` is to be asked for; without a
    /// terminal `remedy` gives it.
    pub(super) fn open(what: &str, remedy: &str) -> Result<Self, Failure> {
        let none = || {
            let said = format!("there is no terminal to ask for the {what} on: give it by {remedy}");
            Failure::new(Exit::Usage, said)
        };
        // A program that runs this one without a terminal must not hang on its own.
        if !io::stdin().is_terminal() {
            return Err(none());
        }
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| none())?;
        let before = tcgetattr(&terminal).map_err(|_| none())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of a line is shown, and only that.
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
        tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|_| none())?;
        Ok(Self { terminal, before })
    }

    /// Asks, and waits for a line. Ctrl-C ends it.
    pub(super) async fn ask(&self, question: &str) -> Result<SecretString, Failure> {
        let failed = |error: io::Error| Failure::new(Exit::Failed, format!("the terminal cannot be used: {error}"));
        // Heard here, so that the echo comes back before the process ends.
        let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminal = self.terminal.try_clone().map_err(failed)?;
        terminal.write_all(question.as_bytes()).map_err(failed)?;
        let typed = tokio::task::spawn_blocking(move || line(&mut terminal));
        let typed = tokio::select! {
            typed = typed => typed.map_err(|_| Failure::new(Exit::Failed, "the terminal could not be read"))?,
            _ = interrupted.recv() => return Err(Failure::new(Exit::Failed, "broken off: nothing was written")),
        };
        let typed = typed.map_err(failed)?;
        let text = std::str::from_utf8(&typed)
            .map_err(|_| Failure::new(Exit::Usage, "what was typed is no text in UTF-8: nothing was written"))?;
        secret_line(&SecretString::from(text), "what was typed")
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    }
}

/// The next line, or what there is of it at the end.
fn line(terminal: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut typed = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut bytes = Zeroizing::new([0_u8; MAX_LINE]);
    while typed.len() < MAX_LINE && !typed.ends_with(b"\n") {
        let room = bytes.get_mut(..MAX_LINE.saturating_sub(typed.len())).unwrap_or_default();
        match terminal.read(room) {
            Ok(0) => break,
            Ok(count) => typed.extend_from_slice(room.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(typed)
}
