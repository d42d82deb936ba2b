//! Leaves no process behind, whatever becomes of this one: a stopped child does not end by itself when its parent is
//! gone.
//!
//! The guard is a process of its own, in a process group of its own, so that Ctrl-C does not reach it. It is told which
//! processes there are, and when nobody can tell it anything any more, because this process ended in whatever way, it kills
//! those that are left (`SIGKILL`, which stopped ones obey too).

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Mutex;

use rampwatch::sandbox::{Pid, SandboxError};
use rustix::process::{Pid as RawPid, Signal, kill_process};

/// The first argument of the process that guards.
pub(crate) const CHILD_FLAG: &str = "guard";

/// A running guard. With this value it does its work and ends.
pub(crate) struct Guard {
    child: Child,
    words: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Starts it. It guards nobody yet.
    pub(crate) fn start() -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Process { what: "start the guard".to_owned(), source };
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg(CHILD_FLAG).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let words = Mutex::new(child.stdin.take());
        Ok(Self { child, words })
    }

    /// This process must not outlive us.
    pub(crate) fn watch(&self, pid: Pid) {
        self.say(format!("+{}\n", pid.0));
    }

    /// This process has ended, and its number may soon be another's.
    pub(crate) fn forget(&self, pid: Pid) {
        self.say(format!("-{}\n", pid.0));
    }

    fn say(&self, words: String) {
        let mut pipe = self.words.lock().unwrap();
        pipe.as_mut().expect("it is closed at the end").write_all(words.as_bytes()).expect("the guard is there");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.words.lock().unwrap().take());
        if let Err(error) = self.child.wait() {
            eprintln!("the guard's end: {error}");
        }
    }
}

/// The guard itself: reads until nobody can write any more.
pub(crate) fn child() -> ExitCode {
    let mut guarded = BTreeSet::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let number = |text: &str| text.parse::<i32>().ok().and_then(RawPid::from_raw);
        match (line.strip_prefix('+').and_then(number), line.strip_prefix('-').and_then(number)) {
            (Some(pid), _) => drop(guarded.insert(pid.as_raw_nonzero())),
            (_, Some(pid)) => drop(guarded.remove(&pid.as_raw_nonzero())),
            (None, None) => eprintln!("the guard does not understand {line:?}"),
        }
    }
    for pid in guarded.into_iter().filter_map(|pid| RawPid::from_raw(pid.get())) {
        // One that is gone already is what is wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
    ExitCode::SUCCESS
}
