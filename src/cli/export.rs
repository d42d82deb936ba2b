//! `rampwatch export`.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::{operator, output};
use crate::client::Client;
use crate::config::Settings;
use crate::private::Draft;
use crate::service::export::{COLUMNS, ExportRow};
use crate::service::queries::MAX_PAGE;

/// Write every deposit, match, completion, order and fee of an interval, for the books
///
/// The rows are the ledger's events in their order; docs/export.md describes every column. A row's time is the moment at
/// which it was written into the ledger, so an export of a past interval is the same whenever it is made.
#[derive(Debug, Args)]
#[command(after_help = "Example: rampwatch export --from 2026-11-01 --to 2026-12-01 --out november.csv")]
pub(super) struct Export {
    /// From this day (midnight UTC) or moment (RFC 3339) on [default: the beginning]
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Up to, but not including, this day or moment [default: now]
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Write this file, mode 0600, whole or not at all; one that is there is replaced [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line for each row, below a line with the columns' names
    Csv,
    /// An array of objects
    Json,
}

impl Export {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let operator = operator::open(settings).await?;
        // Without an end the ledger could grow as fast as it is read.
        let to = self.to.clone().unwrap_or_else(|| jiff::Timestamp::now().to_string());
        match &self.out {
            Some(path) => {
                let unwritten = |error| cannot_write(Some(path), &error);
                let mut file = Draft::beside(path).map_err(unwritten)?;
                let count = self.write(&operator, &to, &mut file).await?;
                file.replace().map_err(unwritten)?;
                output::remark(&format!("{count} rows are in {}", path.display()));
                Ok(())
            }
            None => self.write(&operator, &to, &mut io::BufWriter::new(io::stdout())).await.map(drop),
        }
    }

    /// Writes page after page. Returns the number of rows.
    async fn write(&self, operator: &Client, to: &str, out: &mut (dyn Write + Send)) -> Result<usize, Failure> {
        let place = self.out.as_deref();
        let unwritten = |error| cannot_write(place, &error);
        let (mut after, mut count) = (None::<String>, 0_usize);
        if self.format == Format::Csv {
            out.write_all(&csv_line(COLUMNS.iter().copied())?).map_err(unwritten)?;
        }
        loop {
            let page = operator.export(self.from.as_deref(), Some(to), after.as_deref(), MAX_PAGE).await?;
            for row in &page.items {
                let bytes = match self.format {
                    Format::Csv => csv_line(cells(row)?)?,
                    Format::Json => json_item(row, count == 0)?,
                };
                out.write_all(&bytes).map_err(unwritten)?;
                count = count.saturating_add(1);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if self.format == Format::Json {
            out.write_all(if count == 0 { b"[]\n" } else { b"\n]\n" }).map_err(unwritten)?;
        }
        out.flush().map_err(unwritten)?;
        Ok(count)
    }
}

fn cannot_write(place: Option<&Path>, error: &io::Error) -> Failure {
    match (place, error.kind()) {
        (None, ErrorKind::BrokenPipe) => Failure::reader_gone(),
        (None, _) => Failure::new(Exit::Failed, format!("cannot write to stdout: {error}")),
        (Some(path), _) => Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display())),
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("a row cannot be written: {error}"))
}

fn json_item(row: &ExportRow, is_first: bool) -> Result<Vec<u8>, Failure> {
    let text = serde_json::to_string(row).map_err(|error| unwritable(&error))?;
    Ok(format!("{}{text}", if is_first { "[\n" } else { ",\n" }).into_bytes())
}

/// A row's cells, in the order of the columns.
fn cells(row: &ExportRow) -> Result<Vec<String>, Failure> {
    let value = serde_json::to_value(row).map_err(|error| unwritable(&error))?;
    let cell = |name: &&str| match value.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => harmless(text),
        Some(other) => other.to_string(),
    };
    Ok(COLUMNS.iter().map(cell).collect())
}

/// A text that no spreadsheet takes for a formula: one that begins like a formula gets an apostrophe before it. What could
/// end a line or steer a terminal is replaced.
fn harmless(text: &str) -> String {
    // What a spreadsheet skips before it looks for a formula is looked past too.
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(['\t', '\r', '\n']);
    format!("{}{}", if is_formula { "'" } else { "" }, output::plain(text))
}

/// One line of CSV (RFC 4180), its end included.
fn csv_line<T: AsRef<[u8]>>(cells: impl IntoIterator<Item = T>) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells).map_err(|error| unwritable(&error))?;
    writer.into_inner().map_err(|error| unwritable(error.error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let table = [
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-2", "'-2"),
            ("@sum", "'@sum"),
            (" =1", "' =1"),
            ("\t=1", "'\u{fffd}=1"),
            ("\r=1", "'\u{fffd}=1"),
            ("＝1", "'＝1"),
            ("pay-1", "pay-1"),
            ("1.50", "1.50"),
            ("", ""),
            ("two\nlines", "two\u{fffd}lines"),
        ];
        for (text, expected) in table {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_quotes_what_needs_it() {
        let line = csv_line(["a", "b,c", "d\"e", ""]).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "a,\"b,c\",\"d\"\"e\",\r\n");
    }
}
