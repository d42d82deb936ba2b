//! A batch file: comma-separated values in UTF-8, with a header that names the fields (docs/batch-csv.md).
//!
//! Nothing is guessed: another separator, another encoding, a column that nobody knows and a row with too many cells are
//! named with line, column and remedy. Deliberately absent: the store. Whether a reference is known is asked elsewhere.

use crate::domain::odd::Odd;
use crate::domain::text::is_hidden;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use thiserror::Error;

use super::super::draft::{Draft, FIELDS, Fault, Field, REQUIRED};

/// The most bytes that a batch file may have.
pub(super) const MAX_BYTES: u64 = 8 << 20;

/// The most rows that a batch file may have.
pub(super) const MAX_ROWS: usize = 5_000;

/// What separates the names of several files in one cell.
const FILES_APART: char = '|';

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line that it begins on, from 1; the header is on line 1.
    pub(super) line: u64,
    pub(super) draft: Draft,
    pub(super) faults: Vec<RowFault>,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum RowFault {
    #[error("column {}: {}{}", .0.field.name(), quoted(.0), .0.problem)]
    Cell(Fault),
    /// With the row as a whole.
    #[error("{0}")]
    Row(String),
}

/// Why a file is no batch at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ParseError {
    /// It has no header.
    #[error("it is empty; the first line must name the columns ({})", names(&REQUIRED))]
    Empty,
    /// It is not in UTF-8.
    #[error("line {line} is not in UTF-8; save the file as \"CSV UTF-8\"")]
    NotUtf8 {
        /// Where it was noticed.
        line: u64,
    },
    /// It has zero bytes.
    #[error("line {line} has a zero byte: it is no text, or in UTF-16; save the file as \"CSV UTF-8\"")]
    Zero {
        /// Where the first is.
        line: u64,
    },
    /// Lines end in a way of old.
    #[error("its lines end in carriage returns alone; save it with line feeds")]
    CarriageReturns,
    /// Something else than commas separates the columns.
    #[error("its columns are separated by {0}, not by commas; save it as comma-separated values")]
    Separator(&'static str),
    /// The note of a spreadsheet to itself.
    #[error(
        "line 1 ({0:?}) is a spreadsheet's note to itself and names no columns: remove the first line, and see that commas \
         separate the columns"
    )]
    SeparatorNote(String),
    /// A column that is not known.
    #[error("column {:?} is not known{}", .name, meant(.name))]
    UnknownColumn { name: String },
    #[error("column {0} is there twice")]
    TwiceColumn(&'static str),
    /// A column that must be there.
    #[error("column {0} is missing: each row needs one of its own, and it makes running the file again safe")]
    NoReference(&'static str),
    /// Another column that must be there, or be given by a flag for all rows.
    #[error("column {name} is missing; add it, or give {flag} for all rows")]
    NoColumn {
        name: &'static str,
        /// The flag that gives it for all rows.
        flag: String,
    },
    #[error("it has a header and no rows")]
    NoRows,
    /// There are more than [`MAX_ROWS`].
    #[error("it has more than {MAX_ROWS} rows; split it")]
    TooManyRows,
    /// The file cannot be taken apart.
    #[error("line {line} cannot be read as comma-separated values: {problem}")]
    Csv { line: u64, problem: String },
}

/// What is odd about a column's name, and which is meant; else all that there are.
fn meant(name: &str) -> String {
    let odd = Odd::in_plain(name).map(|odd| format!("; {odd}")).unwrap_or_default();
    match Field::meant(name) {
        Some(field) => format!("{odd}; did you mean {}?", field.name()),
        None => format!("{odd}; the columns are {}", names(&FIELDS)),
    }
}

/// The value, to be put before what is wrong with it; nothing where that tells it already.
fn quoted(fault: &Fault) -> String {
    let value = &fault.value;
    if value.is_empty() || fault.problem.contains(&format!("{:?}", value.chars().take(80).collect::<String>())) {
        return String::new();
    }
    let shown: String =
        value.chars().take(60).map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
    let more = if value.chars().count() > 60 { "…" } else { "" };
    format!("\"{shown}{more}\": ")
}

fn names(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
}

/// Reads a batch. What a row leaves out is taken from `defaults`. `folder` is what relative names of files start from;
/// the token has so many `decimals`.
///
/// # Errors
/// What is wrong with the file as a whole. What is wrong with a row is in its faults.
pub(super) fn parse(bytes: &[u8], defaults: &Draft, folder: &Path, decimals: u8) -> Result<Vec<Row>, ParseError> {
    let text = text(bytes)?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut lines = Lines { text, seen: 0, line: 1 };
    let mut record = ByteRecord::new();
    let mut columns: Option<Vec<Field>> = None;
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let read = reader.read_byte_record(&mut record);
        let start = record.position().map_or(0, csv::Position::byte);
        let line = lines.at(start);
        match read {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(ParseError::Csv { line, problem: error.to_string() }),
        }
        // The whole text is known to be UTF-8, and a cell is a part of it between ASCII characters.
        let cells: Vec<String> = record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        let Some(columns) = &columns else {
            columns = Some(header(&cells, defaults)?);
            continue;
        };
        // Spreadsheets leave rows of nothing but commas behind.
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if rows.len() >= MAX_ROWS {
            return Err(ParseError::TooManyRows);
        }
        let is_broken = record.iter().any(|cell| cell.contains(&b'\n'));
        let mut row = Row { line, draft: Draft::default(), faults: Vec::new() };
        match fits(columns, &cells, is_broken) {
            Ok(()) => fill(&mut row, columns, &cells, (defaults, folder, decimals)),
            Err(fault) => {
                row.faults.push(fault);
                // Which cell belongs to which column is not known. The reference comes first in most files.
                if columns.first() == Some(&Field::Reference) {
                    row.draft.set(Field::Reference, cells.first().map_or("", String::as_str));
                }
            }
        }
        rows.push(row);
    }
    if columns.is_none() {
        return Err(ParseError::Empty);
    }
    if rows.is_empty() {
        return Err(ParseError::NoRows);
    }
    refuse_twice(&mut rows);
    Ok(rows)
}

/// The file's text, without a byte order mark.
fn text(bytes: &[u8]) -> Result<&str, ParseError> {
    let line_at = |end: usize| {
        let breaks = bytes.iter().take(end).filter(|byte| **byte == b'\n').count();
        u64::try_from(breaks).unwrap_or(u64::MAX).saturating_add(1)
    };
    if let Some(zero) = bytes.iter().position(|byte| *byte == 0) {
        return Err(ParseError::Zero { line: line_at(zero) });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| ParseError::NotUtf8 { line: line_at(error.valid_up_to()) })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') && !text.contains('\n') {
        return Err(ParseError::CarriageReturns);
    }
    Ok(text)
}

/// Which line a byte is on. The CSV reader's own count is off after blank lines.
struct Lines<'a> {
    text: &'a str,
    seen: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first byte from `at` on that is no line's end. Asked in rising order.
    fn at(&mut self, at: u64) -> u64 {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        for byte in self.text.as_bytes().iter().skip(self.seen) {
            let is_break = matches!(byte, b'\n' | b'\r');
            if self.seen >= at && !is_break {
                break;
            }
            self.seen = self.seen.saturating_add(1);
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
            }
        }
        self.line
    }
}

fn header(cells: &[String], defaults: &Draft) -> Result<Vec<Field>, ParseError> {
    // Told to itself by a spreadsheet, and by people to a spreadsheet: which character separates the columns.
    if let Some(first) = cells.first().filter(|first| first.to_ascii_lowercase().starts_with("sep=")) {
        return Err(ParseError::SeparatorNote(if cells.len() > 1 { format!("{first},") } else { first.clone() }));
    }
    if let [only] = cells {
        let apart = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];
        if let Some((_, name)) = apart.into_iter().find(|(apart, _)| only.contains(*apart)) {
            return Err(ParseError::Separator(name));
        }
    }
    // A spreadsheet writes the columns beside the table too, where something was there once.
    let named = cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last.saturating_add(1));
    let mut columns = Vec::new();
    for cell in cells.iter().take(named) {
        let shown: String = cell.chars().take(60).collect();
        let field = Field::of(cell).ok_or(ParseError::UnknownColumn { name: shown })?;
        if columns.contains(&field) {
            return Err(ParseError::TwiceColumn(field.name()));
        }
        columns.push(field);
    }
    if !columns.contains(&Field::Reference) {
        return Err(ParseError::NoReference(Field::Reference.name()));
    }
    // A column that must be there and is not would be told for each row; once is enough.
    let absent = REQUIRED.into_iter().find(|field| !columns.contains(field) && defaults.get(*field).is_none());
    match absent {
        None => Ok(columns),
        Some(field) => Err(ParseError::NoColumn { name: field.name(), flag: field.flag() }),
    }
}

/// Whether a row has as many cells as there are columns.
fn fits(columns: &[Field], cells: &[String], is_broken: bool) -> Result<(), RowFault> {
    let (has, wants) = (cells.len(), columns.len());
    if has >= wants && cells.iter().skip(wants).all(|cell| cell.trim().is_empty()) {
        return Ok(());
    }
    let hint = if is_broken {
        "a cell has a line break in it: is a quote not closed?"
    } else {
        "a cell with a comma in it needs double quotes around it"
    };
    Err(RowFault::Row(format!("it has {has} cells, and the header has {wants}: {hint}")))
}

/// Fills a row from its cells, and says what is wrong with them.
fn fill(row: &mut Row, columns: &[Field], cells: &[String], (defaults, folder, decimals): (&Draft, &Path, u8)) {
    let draft = &mut row.draft;
    for (field, cell) in columns.iter().zip(cells) {
        match field {
            Field::Files => {
                draft.files = files(cell, folder);
                draft.files_below = (!draft.files.is_empty()).then(|| folder.to_owned());
            }
            _ => draft.set(*field, cell),
        }
    }
    draft.fill_from(defaults);
    let no_reference = draft.get(Field::Reference).is_none().then(|| Fault {
        field: Field::Reference,
        value: String::new(),
        problem: "it is empty; each row needs a reference of its own".to_owned(),
    });
    let empty = |field| Fault { field, value: String::new(), problem: "it is empty".to_owned() };
    let missing = draft.missing().into_iter().map(empty);
    let faults = no_reference.into_iter().chain(missing).chain(draft.faults(decimals));
    row.faults.extend(faults.map(RowFault::Cell));
}

fn files(cell: &str, folder: &Path) -> Vec<PathBuf> {
    cell.split(FILES_APART).map(str::trim).filter(|name| !name.is_empty()).map(|name| folder.join(name)).collect()
}

/// A reference that is there twice is refused wherever it is: which of the rows is meant is not guessed.
fn refuse_twice(rows: &mut [Row]) {
    let mut lines: HashMap<String, Vec<u64>> = HashMap::new();
    for row in rows.iter() {
        if let Some(reference) = row.draft.get(Field::Reference) {
            lines.entry(reference.to_owned()).or_default().push(row.line);
        }
    }
    for row in rows {
        let Some(reference) = row.draft.own(Field::Reference) else { continue };
        let others = lines.get(&reference).into_iter().flatten().filter(|line| **line != row.line);
        let others: Vec<String> = others.take(5).map(|line| format!("line {line}")).collect();
        if !others.is_empty() {
            let problem = format!("it is on {} too; each row needs a reference of its own", others.join(", "));
            row.faults.push(RowFault::Cell(Fault { field: Field::Reference, value: reference, problem }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "reference,user,recipient,bank_account,amount,destination_currency,destination_rail,\
                          destination_country,reason";

    fn line(reference: &str, amount: &str) -> String {
        format!("{reference},user-1,rec-1,bank-1,{amount},MXN,SPEI,MX,RENT")
    }

    fn read(text: &str) -> Result<Vec<Row>, ParseError> {
        parse(text.as_bytes(), &Draft::default(), Path::new("/batch"), 6)
    }

    /// The one fault of the one row that has any.
    #[track_caller]
    fn fault(text: &str) -> (u64, String) {
        let rows = read(text).unwrap();
        let mut all = rows.iter().flat_map(|row| row.faults.iter().map(|fault| (row.line, fault.to_string())));
        let fault = all.next().unwrap();
        assert_eq!(all.next(), None);
        fault
    }

    #[test]
    fn rows_are_read_whatever_program_wrote_them() {
        let plain = format!("{HEADER}\n{}\n{}\n", line("a", "1.5"), line("b", "2"));
        let rows = read(&plain).unwrap();
        assert!(rows.iter().all(|row| row.faults.is_empty()), "{rows:?}");
        let seen: Vec<_> = rows.iter().map(|row| (row.line, row.draft.get(Field::Reference).unwrap())).collect();
        assert_eq!(seen, [(2, "a"), (3, "b")]);
        assert_eq!(rows[0].draft.get(Field::Amount), Some("1.5"));
        let same = |text: &str| assert_eq!(read(text).unwrap(), rows, "{text:?}");
        same(&plain.replace('\n', "\r\n"));
        same(&format!("\u{feff}{plain}"));
        same(plain.trim_end());
        same(&plain.replace("user-1", "\"user-1\"").replace("MXN", " MXN "));
        same(&format!("{plain},,,,,,,,\r\n\n"));
        // Columns beside the table, which held something once.
        same(&plain.replace('\n', ",,\n"));
        same(&plain.replacen('\n', ",\n", 1));
        same(&plain.replacen(&line("a", "1.5"), &format!("{}, ,", line("a", "1.5")), 1));
        let (_, fault) = fault(&plain.replacen(&line("a", "1.5"), &format!("{},,x", line("a", "1.5")), 1));
        assert!(fault.contains("cells, and the header has"), "{fault}");
        assert!(read(&plain.replacen("amount", "", 1)).is_err(), "a column without a name among others");
    }

    #[test]
    fn lines_are_counted_as_editors_do() {
        let breaks = ["\n", "\r\n"];
        for end in breaks {
            let quoted = "\"q\",user-1,rec-1,bank-1,1,MXN,SPEI,MX,RENT";
            let text = [HEADER, "", &line("a", "x"), "", "", quoted, ",,,,,,,,", &line("b", "1")].join(end);
            let lines: Vec<u64> = read(&text).unwrap().iter().map(|row| row.line).collect();
            assert_eq!(lines, [3, 6, 8], "{end:?}");
        }
        let header = HEADER.replace("reason", "reason,document_reference");
        let text = format!("{header}\n{},\"two\nlines\"\n{},one\n", line("a", "1"), line("b", "1"));
        assert_eq!(read(&text).unwrap().iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(fault(&text).0, 2);
    }

    #[test]
    fn quoted_cells_and_files_are_taken_apart() {
        let header = HEADER.replace("reason", "reason,files,document_reference");
        let text = format!("{header}\n{},a.pdf | sub/b.png,\"Rent, \"\"May\"\"\"\n", line("a", "1"));
        let rows = read(&text).unwrap();
        assert_eq!(rows[0].draft.files, [PathBuf::from("/batch/a.pdf"), PathBuf::from("/batch/sub/b.png")]);
        assert_eq!(rows[0].draft.get(Field::DocumentReference), Some("Rent, \"May\""));
        assert_eq!(rows[0].faults, []);
    }

    #[test]
    fn bad_rows_are_named_by_line_column_value_and_remedy() {
        let good = line("good", "1");
        let cases = [
            (
                line("a", "1,000"),
                "it has 10 cells, and the header has 9: a cell with a comma in it needs double quotes",
            ),
            (line("a", "\"1,000\""), "column amount: the amount \"1,000\" is not a plain decimal"),
            (line("a", ""), "column amount: it is empty"),
            (line("", "1"), "column reference: it is empty; each row needs"),
            (line("a b", "1"), "column reference: \"a b\": it is no reference"),
            (line("a", "1").replace("MX,", "Mexico,"), "column destination_country: \"Mexico\": it is no country"),
            (line("a", "1").replace("RENT", "rent"), "column reason: \"rent\": write RENT"),
            (line("a", "=1+1"), "column amount: the amount \"=1+1\" is not"),
            (format!("a,\"{}", line("b", "1")), "is a quote not closed?"),
        ];
        for (bad, words) in cases {
            let (line, said) = fault(&format!("{HEADER}\n{good}\n{bad}\n"));
            assert_eq!(line, 3, "{bad}");
            assert!(said.contains(words), "{bad}: {said}");
        }
        let many = "x".repeat(200);
        let (_, said) = fault(&format!("{HEADER}\n{}\n", line("a", &many)));
        assert!(said.len() < 250, "{said}");
        let (_, said) = fault(&format!("{HEADER}\n{}\n", line(&many, "1")));
        assert!(said.len() < 250 && said.contains('…'), "{said}");
    }

    #[test]
    fn a_reference_twice_is_refused_on_both_lines() {
        let text = format!("{HEADER}\n{}\n{}\n{}\n", line("a", "1"), line("b", "1"), line("a", "1"));
        let rows = read(&text).unwrap();
        let said: Vec<String> = rows.iter().flat_map(|row| &row.faults).map(ToString::to_string).collect();
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("\"a\": it is on line 4 too") && said[1].contains("it is on line 2 too"), "{said:?}");
    }

    #[test]
    fn flags_fill_what_the_rows_leave_out() {
        let mut defaults = Draft::default();
        defaults.set(Field::Reason, "RENT");
        defaults.set(Field::Fund, "wallet");
        let text = format!("{HEADER},fund\n{},by_hand\n{},\n", line("a", "1"), line("b", "1").replace("RENT", ""));
        let rows = parse(text.as_bytes(), &defaults, Path::new("."), 6).unwrap();
        let seen: Vec<_> = rows.iter().map(|row| (row.draft.get(Field::Reason), row.draft.get(Field::Fund))).collect();
        assert_eq!(seen, [(Some("RENT"), Some("by_hand")), (Some("RENT"), Some("wallet"))]);
        let short = text.replace(",reason", "").replace(",RENT", "").replace("MX,,", "MX,");
        assert_eq!(parse(short.as_bytes(), &defaults, Path::new("."), 6).unwrap(), rows);
    }

    #[test]
    fn files_that_are_no_batch_are_refused_with_the_remedy() {
        let rows = format!("{}\n", line("a", "1"));
        let refused = [
            (String::new(), "it is empty"),
            ("\n\n".to_owned(), "it is empty"),
            (format!("{HEADER}\n"), "no rows"),
            (format!("{HEADER}\n{rows}").replace(',', ";"), "separated by semicolons, not by commas"),
            (format!("{HEADER}\n{rows}").replace(',', "\t"), "separated by tabs"),
            (format!("{HEADER}\n{rows}").replace('\n', "\r"), "carriage returns alone"),
            (format!("{HEADER},iban\n{rows}"), "column \"iban\" is not known; the columns are reference, user"),
            (format!("{HEADER},user\n{rows}"), "column user is there twice"),
            (format!("{HEADER}\n{rows}").replace("reference,", "").replace("a,", ""), "column reference is missing"),
            (HEADER.replace(",reason", "\n"), "column reason is missing; add it, or give --reason for all rows"),
            (format!("sep=,\n{HEADER}\n{rows}"), "line 1 (\"sep=,\") is a spreadsheet's note"),
            (format!("{HEADER}\n{rows}a\0b"), "line 3 has a zero byte"),
            (format!("{HEADER}\n{}", rows.repeat(MAX_ROWS + 1)), "more than 5000 rows"),
        ];
        for (text, words) in refused {
            let said = read(&text).unwrap_err().to_string();
            assert!(said.contains(words), "{words}: {said}");
        }
        let latin: Vec<u8> = format!("{HEADER}\n{rows}").bytes().chain([b'\n', 0xe9]).collect();
        let said = parse(&latin, &Draft::default(), Path::new("."), 6).unwrap_err().to_string();
        assert!(said.contains("line 4 is not in UTF-8"), "{said}");
    }
}
