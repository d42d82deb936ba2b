//! A batch: a file with many payouts, placed and followed together.
//!
//! Every row has a reference of its own, so running the file again goes on where it was: the store knows what was placed.
//! Deliberately absent: a memory of its own. The result file is for people.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};
use super::super::fund::{agreed, can_ask};
use super::super::{operator, output};
use super::draft::{Draft, Field};
use super::files::{self, LocalFile};
use super::session::Session;
use super::signals::Signals;
use crate::client::Client;
use crate::config::{PayoutSettings, Settings};
use crate::view::payout::FileRef;

mod drive;
mod faults;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod known;
mod parse;
mod repeats;
mod result;
mod totals;

use drive::Drive;
use known::Known;
use parse::{ParseError, Row};
use result::{ResultError, ResultFile};
use totals::Totals;

/// How many faults are shown. All are counted.
const SHOWN: usize = 50;

/// What is to be done with a batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) file: PathBuf,
    /// Where the files are that rows name, if not beside the batch.
    pub(super) files_from: Option<PathBuf>,
    /// What rows leave out.
    pub(super) defaults: Draft,
    /// Where the result goes, if said.
    pub(super) result: Option<PathBuf>,
    /// Whether nothing is placed.
    pub(super) check: bool,
    /// Whether bad rows are left out.
    pub(super) skip_bad: bool,
    /// The references of rows that are meant although they repeat others.
    pub(super) allow_repeat: Vec<String>,
    /// Whether nobody is to be asked.
    pub(super) yes: bool,
    /// Whether the totals are printed as JSON.
    pub(super) json: bool,
}

/// A row, and what is wrong with it.
struct Item {
    /// The row's line.
    line: u64,
    draft: Draft,
    /// What is wrong with it, in words; a row with faults is never placed.
    faults: Vec<String>,
    /// How many of these were told.
    told: usize,
    /// The files that go with it.
    attached: Vec<FileRef>,
    /// What is known of its reference.
    known: Known,
}

impl Item {
    fn of(row: Row, limits: &PayoutSettings) -> Self {
        let mut faults: Vec<String> = row.faults.iter().map(ToString::to_string).collect();
        let attached = match files::read_all(&row.draft.files, row.draft.files_below.as_deref(), limits) {
            Ok(read) => read.iter().map(LocalFile::reference).collect(),
            Err(error) => {
                faults.push(format!("column {}: {error}", Field::Files.name()));
                Vec::new()
            }
        };
        Self { line: row.line, draft: row.draft, faults, told: 0, attached, known: Known::No }
    }

    /// Its reference, if it has one.
    fn reference(&self) -> &str {
        self.draft.get(Field::Reference).unwrap_or_default()
    }

    /// Whether it may be placed.
    fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

fn usage(said: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, said)
}

impl Batch {
    /// Does it.
    ///
    /// # Errors
    /// The file or its rows are wrong, or not every row came to its end.
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let decimals = settings.chain.token.decimals;
        let (locked, bytes) = self.read()?;
        let folder = self.files_from.as_deref().or(self.file.parent()).unwrap_or(Path::new(""));
        let wrong = |error: ParseError| usage(format!("{}: {error}", self.file.display()));
        let rows = parse::parse(&bytes, &self.defaults, folder, decimals).map_err(wrong)?;
        let mut items: Vec<Item> = rows.into_iter().map(|row| Item::of(row, &settings.payouts)).collect();
        self.allow_repeats(&mut items)?;
        self.refuse_bad(&mut items)?;
        if !self.check && !self.yes && !can_ask() {
            return Err(usage(
                "there is no terminal to ask on, and nothing was placed: add --yes to place it without being asked",
            ));
        }
        let outcome =
            if self.check { self.only_check(&mut items, settings).await } else { self.place(items, settings).await };
        drop(locked);
        outcome
    }

    /// Reads the file, and keeps others of this program away from it as long as it is open.
    fn read(&self) -> Result<(File, Vec<u8>), Failure> {
        let path = self.file.display();
        let unreadable = |error: std::io::Error| usage(format!("{path} cannot be read: {error}"));
        if !std::fs::metadata(&self.file).map_err(unreadable)?.is_file() {
            return Err(usage(format!("{path} is no file")));
        }
        let file = File::open(&self.file).map_err(unreadable)?;
        match file.try_lock() {
            // Where a file system has no locks, two runs are no danger either: each payout is placed once.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                let said = format!("{path} is being worked on by another `rampwatch payout --file`");
                return Err(Failure::new(Exit::Unavailable, said));
            }
        }
        let mut bytes = Vec::new();
        (&file).take(parse::MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > parse::MAX_BYTES {
            return Err(usage(format!("{path} is larger than {} MiB; split it", parse::MAX_BYTES >> 20)));
        }
        Ok((file, bytes))
    }

    /// Notes which rows may repeat others.
    fn allow_repeats(&self, items: &mut [Item]) -> Result<(), Failure> {
        for allowed in &self.allow_repeat {
            let Some(item) = items.iter_mut().find(|item| item.reference() == allowed) else {
                return Err(usage(format!(
                    "--allow-repeat {allowed:?}: no row has this reference; nothing was placed"
                )));
            };
            item.draft.allow_repeat = true;
        }
        Ok(())
    }

    /// Names what is wrong with rows and was not named before. Unless they are to be left out, bad rows end everything.
    fn refuse_bad(&self, items: &mut [Item]) -> Result<(), Failure> {
        for line in faults::lines(items, SHOWN) {
            output::remark(&line);
        }
        let bad = items.iter().filter(|item| !item.is_good()).count();
        let all = items.len();
        if bad == all {
            return Err(usage(format!("no row is good; nothing was placed ({all} rows)")));
        }
        if bad > 0 && !self.skip_bad {
            let said = format!(
                "{bad} of {all} rows are bad, and nothing was placed; mend them, or leave them out with --skip-bad"
            );
            return Err(usage(said));
        }
        Ok(())
    }

    /// Shows what would be done.
    async fn only_check(&self, items: &mut [Item], settings: &Settings) -> Result<(), Failure> {
        let operator = match operator::daemon(settings).await? {
            Some(operator) => Some(operator),
            // Without a store nothing is known.
            None if settings.store.path.exists() => Some(operator::open(settings).await?),
            None => None,
        };
        self.look_up(operator.as_ref(), items, settings).await?;
        let totals = Totals::of(items, settings);
        if self.json {
            return output::print_json(&totals);
        }
        output::print(&totals.lines(settings))
    }

    async fn place(&self, mut items: Vec<Item>, settings: &Settings) -> Result<(), Failure> {
        let kept = |error: ResultError| Failure::new(Exit::Failed, error.to_string());
        let result = ResultFile::at(self.result_path()).map_err(kept)?;
        let mut signals = Signals::listen()?;
        let opened = tokio::select! {
            opened = Session::open(settings) => opened,
            () = signals.heard() => return Err(nothing()),
        };
        let session = opened?;
        let outcome = tokio::select! {
            agreed = self.agree(&session, &mut items, settings) => agreed,
            () = signals.heard() => Err(nothing()),
        };
        let outcome = match outcome {
            Ok(()) => {
                let mut drive = Drive::new(items, result, settings);
                let done = tokio::select! {
                    done = drive.run(&session) => Some(done),
                    () = signals.heard() => None,
                };
                self.end(drive, done, session.goes_on())
            }
            Err(failure) => Err(failure),
        };
        let closed = session.close().await;
        outcome.and(closed)
    }

    /// Shows totals and limits, and asks.
    async fn agree(&self, session: &Session, items: &mut [Item], settings: &Settings) -> Result<(), Failure> {
        self.look_up(Some(session.operator()), items, settings).await?;
        let mut totals = Totals::of(items, settings);
        if totals.pays_from_wallet() {
            totals.wallet = Some(session.operator().wallet().await?);
        }
        output::remark(totals.lines(settings).trim_end());
        if self.yes || totals.is_known() {
            return Ok(());
        }
        agreed("Place these payouts? [y/N] ".to_owned(), "Nothing was placed.").await
    }

    /// Finds out what is known of the rows, and which of them repeat others; without an operator nothing is known.
    async fn look_up(&self, operator: Option<&Client>, items: &mut [Item], settings: &Settings) -> Result<(), Failure> {
        if let Some(operator) = operator {
            known::look_up(operator, items, settings.chain.token.decimals).await?;
        }
        repeats::look_up(operator, items, settings).await?;
        let is_news = items.iter().any(|item| item.faults.len() > item.told);
        if is_news { self.refuse_bad(items) } else { Ok(()) }
    }

    fn result_path(&self) -> PathBuf {
        self.result.clone().unwrap_or_else(|| {
            let mut name = self.file.clone().into_os_string();
            name.push(".result.csv");
            PathBuf::from(name)
        })
    }

    /// Writes the result a last time, prints the totals, and says how it ended.
    fn end(&self, mut drive: Drive, done: Option<Result<(), Failure>>, goes_on: bool) -> Result<(), Failure> {
        drive.write()?;
        let tally = drive.tally();
        if self.json {
            output::print_json(&tally)?;
        } else {
            output::print(&tally.lines())?;
        }
        match done {
            Some(Ok(())) => tally.outcome(),
            Some(Err(failure)) => Err(failure),
            None => {
                let again = format!("`rampwatch payout --file {}`", self.file.display());
                output::remark(&if goes_on {
                    format!(
                        "interrupted: what was placed goes on by itself, in the daemon; {again} places the rest and follows"
                    )
                } else {
                    format!(
                        "interrupted: what was placed is kept, and stands still until {again} or `rampwatch run` takes it up"
                    )
                });
                Err(Failure::silent(Exit::Interrupted))
            }
        }
    }
}

fn nothing() -> Failure {
    output::remark("interrupted: nothing was placed");
    Failure::silent(Exit::Interrupted)
}
