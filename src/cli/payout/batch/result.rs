//! The result file of a batch: one row for each row of the batch, and how far it is.
//!
//! It is written anew beside itself, flushed to the disk and put in place in one step, so that whatever happens a whole
//! file is there. It is for people: running a batch again goes by the store, never by this file.

use crate::domain::text::is_hidden;
use crate::private::Draft;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

const COLUMNS: [&str; 13] = [
    "line",
    "reference",
    "state",
    "what",
    "amount",
    "payment",
    "deposit_address",
    "payment_link",
    "transaction",
    "api_status",
    "destination_amount",
    "destination_currency",
    "trouble",
];

/// How far one row of a batch is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResultRow {
    /// The row's line in the batch file.
    pub(super) line: u64,
    /// Its reference; empty when it has none.
    pub(super) reference: String,
    /// How far it is, in a word; `bad` when it was left out.
    pub(super) state: String,
    /// The same in words.
    pub(super) what: String,
    /// How much, in whole units of the token.
    pub(super) amount: String,
    /// The payment at the API.
    pub(super) payment: String,
    /// Where the money goes.
    pub(super) deposit_address: String,
    /// The link to pay it by hand (EIP-681), while it waits for that.
    pub(super) payment_link: String,
    /// The transaction that pays it.
    pub(super) transaction: String,
    /// The API's last word.
    pub(super) api_status: String,
    /// What the quote pays out.
    pub(super) destination_amount: String,
    pub(super) destination_currency: String,
    /// What stands in its way, or is wrong with it.
    pub(super) trouble: String,
}

/// Why the result cannot be kept.
#[derive(Debug, Error)]
pub(super) enum ResultError {
    /// There is a file that is something else.
    #[error("{0} is there and is no result of a batch; it is not overwritten: name another with --result")]
    OtherFile(PathBuf),
    /// It cannot be read or written.
    #[error("the result file {path}: {source}")]
    System { path: PathBuf, source: std::io::Error },
}

/// Where the result goes.
#[derive(Debug)]
pub(super) struct ResultFile {
    path: PathBuf,
    /// What it says now; it is not written again without need.
    written: Option<String>,
}

impl ResultFile {
    /// Looks at the place. A result that is there already is overwritten later; any other file is not.
    ///
    /// # Errors
    /// There is another file, or it cannot be read.
    pub(super) fn at(path: PathBuf) -> Result<Self, ResultError> {
        let system = |source| ResultError::System { path: path.clone(), source };
        let header = format!("{}\n", COLUMNS.join(","));
        let mut beginning = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                let most = u64::try_from(header.len()).unwrap_or(u64::MAX);
                file.take(most).read_to_end(&mut beginning).map_err(system)?;
                if !beginning.is_empty() && beginning != header.as_bytes() {
                    return Err(ResultError::OtherFile(path));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(system(error)),
        }
        Ok(Self { path, written: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts these rows in place of what was there. It is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&mut self, rows: &[ResultRow]) -> Result<(), ResultError> {
        let text = text(rows);
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        self.replace(&text).map_err(|source| ResultError::System { path: self.path.clone(), source })?;
        self.written = Some(text);
        Ok(())
    }

    /// What is left of a run that died is taken away.
    fn replace(&self, text: &str) -> std::io::Result<()> {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut draft = Draft::named(&self.path, self.path.with_file_name(format!(".{name}.new")))?;
        draft.write_all(text.as_bytes())?;
        draft.replace().map(drop)
    }
}

fn text(rows: &[ResultRow]) -> String {
    let mut text = format!("{}\n", COLUMNS.join(","));
    for row in rows {
        let line = row.line.to_string();
        let cells = [
            &line,
            &row.reference,
            &row.state,
            &row.what,
            &row.amount,
            &row.payment,
            &row.deposit_address,
            &row.payment_link,
            &row.transaction,
            &row.api_status,
            &row.destination_amount,
            &row.destination_currency,
            &row.trouble,
        ];
        text.push_str(&cells.map(|cell| cell_of(cell)).join(","));
        text.push('\n');
    }
    text
}

/// A cell. What a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection"), and what
/// would break a line does not.
fn cell_of(value: &str) -> String {
    let clean: String = value.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    let defused =
        if clean.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
            format!("'{clean}")
        } else {
            clean
        };
    if defused.contains(['"', ',', ';', '\'']) { format!("\"{}\"", defused.replace('"', "\"\"")) } else { defused }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, reference: &str, trouble: &str) -> ResultRow {
        ResultRow {
            line,
            reference: reference.to_owned(),
            state: "completed".to_owned(),
            trouble: trouble.to_owned(),
            ..ResultRow::default()
        }
    }

    #[test]
    fn what_is_written_is_read_back_by_any_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batch.csv.result.csv");
        let mut file = ResultFile::at(path.clone()).unwrap();
        file.write(&[row(2, "a", "says \"no\", twice"), row(3, "b", "")]).unwrap();
        let mut reader = csv::Reader::from_path(&path).unwrap();
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let read: Vec<Vec<String>> =
            reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!((read.len(), read[0][0].as_str(), read[0][1].as_str()), (2, "2", "a"));
        assert_eq!(read[0].last().map(String::as_str), Some("says \"no\", twice"));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left beside it");
        // Another run takes it over, and writes it anew.
        let mut again = ResultFile::at(path.clone()).unwrap();
        again.write(&[row(2, "a", "")]).unwrap();
        assert_eq!(std::fs::read_to_string(again.path()).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.csv");
        for other in ["reference,amount\na,1\n", "line,reference"] {
            std::fs::write(&path, other).unwrap();
            let said = ResultFile::at(path.clone()).unwrap_err().to_string();
            assert!(said.contains("other.csv is there and is no result") && said.contains("--result"), "{said}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        let nowhere = ResultFile::at(folder.path().join("no/such/folder.csv")).unwrap().write(&[]).unwrap_err();
        assert!(nowhere.to_string().contains("folder.csv"), "{nowhere}");
    }

    #[test]
    fn formulas_are_defused() {
        for (value, written) in [
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"' =1\""),
            (" =1", "\"' =1\""),
            ("\r\n=1", "\"'  =1\""),
            ("＝1", "\"'＝1\""),
            ("a=1", "a=1"),
            ("1000.50", "1000.50"),
            ("a\nb", "a b"),
            ("", ""),
        ] {
            assert_eq!(cell_of(value), written, "{value:?}");
        }
    }
}
