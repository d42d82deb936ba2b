//! `rampwatch store`: a backup, the way back, and a look through everything.
//!
//! The store belongs to one process, so the daemon must be stopped for all of it. Deliberately absent: a backup of a store
//! that is in use.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output;
use crate::config::Settings;
use crate::daemon::{self, BackupError, BackupHeader, StoreCheck};
use crate::view::moment;

/// How many findings are listed for a person. JSON has up to a thousand.
const SHOWN: usize = 50;

/// Look after the store: back it up, restore it, check it. The daemon must be stopped
#[derive(Debug, Args)]
pub(super) struct Store {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write everything in the store into one new file (mode 0600), with a digest; the daemon must be stopped meanwhile
    ///
    /// Stopping the daemon loses nothing: it goes on where it was, and reads the blocks that it has missed. The file holds
    /// who is paid how much, but no keys and no passwords; keep the wallet's keystore apart from it.
    Backup {
        /// The file to make; or a folder, in which the file is named by the moment
        #[arg(value_name = "FILE OR FOLDER")]
        to: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the store that a backup was made of, where no store is
    ///
    /// The backup is read to its end before anything is written, and the store appears as a whole or not at all.
    Restore {
        /// The backup
        file: PathBuf,
        /// The folder to make [default: store.path of the configuration]
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read everything in the store and name what should not be: records that do not read, indexes that candidate nowhere, gaps
    /// in the ledger, states that the ledger does not come to; change nothing
    Check {
        /// Read this backup to its end instead of the store
        #[arg(long, value_name = "FILE")]
        backup: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What `--json` prints of a backup.
#[derive(Debug, Serialize)]
struct Backup<'a> {
    file: &'a Path,
    /// The store's folder, once it is restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'a Path>,
    made_at: String,
    schema: u64,
    records: u64,
    attachments: u64,
}

/// What `store check --json` prints.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    store: &'a Path,
    schema: u64,
    payments: u64,
    deposits: u64,
    orders: u64,
    addresses: u64,
    #[serde(rename = "desk")]
    records: u64,
    events: u64,
    index_entries: u64,
    bytes: u64,
    findings: Vec<Finding<'a>>,
    /// How many findings there are beyond those listed.
    more_findings: u64,
}

#[derive(Debug, Serialize)]
struct Finding<'a> {
    key: &'a str,
    what: &'a str,
}

impl Store {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        match self.command {
            Command::Backup { to, json } => back_up(settings, to, json).await,
            Command::Restore { file, into, json } => restore(settings, file, into, json).await,
            Command::Check { backup: Some(file), json } => {
                let header = daemon::verify_backup(file.clone()).await.map_err(|error| told(&error))?;
                let said = format!("{} is whole: {}\n", file.display(), in_words(&header));
                if json { output::print_json(&in_json(&header, &file, None)) } else { output::print(&said) }
            }
            Command::Check { backup: None, json } => check(settings, json).await,
        }
    }
}

async fn back_up(settings: &Settings, to: PathBuf, json: bool) -> Result<(), Failure> {
    let file = if to.is_dir() { to.join(name_for(jiff::Timestamp::now())) } else { to };
    let header = daemon::back_up_store(settings, file.clone()).await.map_err(|error| told(&error))?;
    if json {
        return output::print_json(&in_json(&header, &file, None));
    }
    output::print(&format!("{}: {}\n", file.display(), in_words(&header)))
}

async fn restore(settings: &Settings, file: PathBuf, into: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let into = into.unwrap_or_else(|| settings.store.path.clone());
    let header = daemon::restore_store(file.clone(), into.clone()).await.map_err(|error| told(&error))?;
    output::remark(&format!(
        "This is the store as it was at {}; what came after is not in it. Use it only if the newer store is lost. With a \
         wallet, start with `rampwatch wallet pause`, compare the payments with the API, and only then let it send: the \
         wallet halts by itself when the nodes know of nonces that this store never gave out, but what every node has \
         forgotten nobody can notice.",
        moment(header.made_at)
    ));
    if json {
        return output::print_json(&in_json(&header, &file, Some(&into)));
    }
    output::print(&format!("{} is restored: {}\n", into.display(), in_words(&header)))
}

async fn check(settings: &Settings, json: bool) -> Result<(), Failure> {
    let checked = daemon::check_store(settings).await.map_err(|error| told(&error))?;
    let store = settings.store.path.as_path();
    if json {
        output::print_json(&as_json(store, &checked))?;
    } else {
        output::print(&as_text(store, &checked))?;
    }
    let listed = u64::try_from(checked.findings.len()).unwrap_or(u64::MAX);
    match listed.saturating_add(checked.more_findings) {
        0 => Ok(()),
        found => Err(Failure::new(
            Exit::Failed,
            format!(
                "{found} findings in {}: keep a copy of the folder before anything else, and do not start the daemon on it",
                store.display()
            ),
        )),
    }
}

fn as_text(store: &Path, checked: &StoreCheck) -> String {
    let StoreCheck { schema, payments, deposits, orders, addresses, records, events, index_entries, bytes, .. } =
        *checked;
    let mut text = format!(
        "{}: schema version {schema}, {payments} payments, {deposits} deposits, {orders} orders, {addresses} addresses, \
         {records} further records, {events} events, {index_entries} index entries, {bytes} bytes\n",
        store.display()
    );
    if checked.findings.is_empty() {
        text.push_str("ok: every record reads, every index leads both ways, and the ledger comes to every state\n");
    }
    for finding in checked.findings.iter().take(SHOWN) {
        text.push_str(&format!("found: {}: {}\n", output::plain(&finding.key), output::plain(&finding.what)));
    }
    let unlisted = checked.findings.len().saturating_sub(SHOWN);
    if unlisted > 0 {
        text.push_str(&format!("… and {unlisted} more; --json lists them\n"));
    }
    text
}

fn as_json<'a>(store: &'a Path, checked: &'a StoreCheck) -> Checked<'a> {
    let findings = checked.findings.iter().map(|finding| Finding { key: &finding.key, what: &finding.what });
    Checked {
        store,
        schema: checked.schema,
        payments: checked.payments,
        deposits: checked.deposits,
        orders: checked.orders,
        addresses: checked.addresses,
        records: checked.records,
        events: checked.events,
        index_entries: checked.index_entries,
        bytes: checked.bytes,
        findings: findings.collect(),
        more_findings: checked.more_findings,
    }
}

fn in_json<'a>(header: &BackupHeader, file: &'a Path, store: Option<&'a Path>) -> Backup<'a> {
    Backup {
        file,
        store,
        made_at: moment(header.made_at),
        schema: header.schema,
        records: header.records,
        attachments: header.attachments,
    }
}

fn in_words(header: &BackupHeader) -> String {
    let BackupHeader { records, attachments, schema, .. } = header;
    let made_at = moment(header.made_at);
    format!("{records} keys and {attachments} attachments, schema version {schema}, as of {made_at}")
}

/// Names sort as the moments do.
fn name_for(now: jiff::Timestamp) -> String {
    format!("rampwatch-store-{}.backup", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// What is refused leaves everything as it was; a file that is no good is the fault of what was named.
fn told(error: &anyhow::Error) -> Failure {
    match error.downcast_ref::<BackupError>() {
        Some(BackupError::Exists(_) | BackupError::Inside(_) | BackupError::Occupied(_) | BackupError::InTheWay(_)) => {
            Failure::new(Exit::Refused, format!("{error:#}"))
        }
        Some(BackupError::Unusable { .. } | BackupError::NewerSchema { .. } | BackupError::Differs { .. }) => {
            Failure::new(Exit::Failed, format!("{error:#}"))
        }
        Some(BackupError::Store(_) | BackupError::Refused { .. }) | None => Failure::of_wiring(error),
    }
}
