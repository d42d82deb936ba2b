//! The tutorials, run: every command of the pages, in order, against a sandbox, with what they are said to print.
//!
//! A block is marked `console`: lines that begin with `$ ` are commands, the others what comes of them. `…` in a line stands
//! for anything within it, and alone for any lines. `background` leaves a command running; `repeat` runs it until it says so.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::temp_dir;

/// The longest that anything may take: the machine may be slow, and the sandbox makes a block a second.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a block's commands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Once,
    Repeat,
    Background,
}

/// A command with the lines that it must print.
#[derive(Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
    mode: Mode,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut mode = None;
    for line in page.lines() {
        match (mode, line) {
            (None, "```console") => mode = Some(Mode::Once),
            (None, "```console repeat") => mode = Some(Mode::Repeat),
            (None, "```console background") => mode = Some(Mode::Background),
            (Some(_), "```") => mode = None,
            (Some(mode), line) => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), expected: Vec::new(), mode }),
                None => steps.last_mut().expect("a command comes first").expected.push(line.to_owned()),
            },
            (None, _) => {}
        }
    }
    steps
}

/// Whether a line is as the page has it.
fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether the output is as the page has it.
fn fits(expected: &[String], output: &[&str]) -> bool {
    match expected.split_first() {
        None => output.is_empty(),
        Some((any, rest)) if any == "…" => (0..=output.len()).any(|skipped| fits(rest, &output[skipped..])),
        Some((pattern, rest)) => {
            output.first().is_some_and(|line| line_fits(pattern, line)) && fits(rest, &output[1..])
        }
    }
}

/// What runs in the background; it ends when the test does.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.0.wait();
    }
}

/// Runs a page in a folder of its own.
struct Terminal<'a> {
    folder: &'a Path,
    /// The lines that set variables, which every later command needs.
    settings: String,
    background: Vec<Background>,
}

impl Terminal<'_> {
    fn shell(&self, command: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_rampwatch")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash");
        // A terminal shows both streams.
        shell
            .arg("-c")
            .arg(format!("exec 2>&1\n{}{command}", self.settings))
            .current_dir(self.folder)
            .stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", program.display()));
        shell.env("RAMPWATCH_ANVIL", rampwatch::sandbox::find_anvil().expect("anvil is there: make tools"));
        shell
    }

    fn once(&self, step: &Step) -> Result<(), String> {
        let output = self.shell(&step.command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<&str> = said.lines().collect();
        let wrong = || format!("`{}` said\n{said}\nand the page has\n{}", step.command, step.expected.join("\n"));
        if !output.status.success() {
            return Err(wrong());
        }
        // A page leaves blank lines at the end out.
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        if step.expected.is_empty() || fits(&step.expected, &lines) { Ok(()) } else { Err(wrong()) }
    }

    fn within_patience(step: &Step, mut attempt: impl FnMut() -> Result<(), String>) {
        let start = Instant::now();
        while let Err(wrong) = attempt() {
            assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?}, {step:?}: {wrong}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn run(&mut self, step: &Step) {
        match step.mode {
            Mode::Once if step.command.starts_with("export ") || step.command.starts_with("deposit=") => {
                self.settings.push_str(&format!("{}\n", step.command));
            }
            Mode::Once => self.once(step).unwrap_or_else(|wrong| panic!("{wrong}")),
            Mode::Repeat => Self::within_patience(step, || self.once(step)),
            Mode::Background => {
                let log = self.folder.join(format!("background-{}", self.background.len()));
                let file = std::fs::File::create(&log).unwrap();
                let mut shell = self.shell(&format!("exec {}", step.command));
                let child = shell.stdout(file).spawn().unwrap();
                self.background.push(Background(child));
                Self::within_patience(step, || {
                    let said = std::fs::read_to_string(&log).unwrap();
                    let expected: Vec<String> =
                        ["…".to_owned()].into_iter().chain(step.expected.clone()).chain(["…".to_owned()]).collect();
                    if fits(&expected, &said.lines().collect::<Vec<_>>()) { Ok(()) } else { Err(said) }
                });
            }
        }
    }
}

fn play(page: &str) {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial").join(page)).unwrap();
    let steps = steps(&text);
    assert!(steps.len() > 8, "{page}: {steps:?}");
    let folder = temp_dir();
    let mut terminal = Terminal { folder: folder.path(), settings: String::new(), background: Vec::new() };
    for step in &steps {
        terminal.run(step);
    }
    // The daemon before the sandbox that it needs.
    while let Some(last) = terminal.background.pop() {
        drop(last);
    }
}

#[test]
fn the_first_completion() {
    play("first-completion.md");
}

#[test]
fn the_first_payout() {
    play("first-payout.md");
}

#[test]
fn a_page_that_is_wrong_is_found_out() {
    let expected: Vec<String> = ["a …c", "…", "end"].map(str::to_owned).to_vec();
    assert!(fits(&expected, &["a bc", "x", "y", "end"]));
    assert!(fits(&expected, &["a c", "end"]));
    for wrong in [&["a b", "end"][..], &["a bc", "x"], &["b a bc", "end"], &["a bc", "end", "more"]] {
        assert!(!fits(&expected, wrong), "{wrong:?}");
    }
    let found = steps("```sh\n$ no\n```\n```console repeat\n$ one\nsaid\n```\n");
    assert_eq!((found.len(), found[0].mode, found[0].expected.as_slice()), (1, Mode::Repeat, &["said".to_owned()][..]));
}
