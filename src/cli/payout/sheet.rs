//! What a spreadsheet makes of a value, recognised by how it looks, with the remedy.

use super::draft::Field;

const FORMAT: &str = "a spreadsheet's number format: make the column text and type it again";
const APOSTROPHE: &str = "it begins with an apostrophe, a spreadsheet's mark for text: make the column text and type it again \
                          without the apostrophe";
const FORMULA: &str = "a spreadsheet's formula: save the values, not the formulas";
const ERROR: &str = "a spreadsheet's error: mend the formula that gives it";
const NARROW: &str = "a spreadsheet's column that was too narrow to show the value: make it wider and save again";
const QUOTED: &str = "it is in quotation marks of its own: save the file so that cells are quoted once";

/// The trace of a spreadsheet in a value; none in a text of people, which may look like anything.
pub(super) fn trace(field: Field, text: &str) -> Option<&'static str> {
    if field == Field::DocumentReference {
        return (is_error(text)).then_some(ERROR);
    }
    if text.starts_with('\'') {
        return Some(APOSTROPHE);
    }
    if text.starts_with('=') {
        return Some(FORMULA);
    }
    if is_error(text) {
        return Some(ERROR);
    }
    if text.len() > 1 && text.bytes().all(|byte| byte == b'#') {
        return Some(NARROW);
    }
    if text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return Some(QUOTED);
    }
    // A payer's own reference may look like a number as long as it is a reference: repeats are found otherwise.
    let is_taken = field == Field::Reference && !text.contains(['+', ',']);
    (!is_taken && is_scientific(text)).then_some(FORMAT)
}

fn is_error(text: &str) -> bool {
    const ERRORS: [&str; 9] =
        ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#GETTING_DATA"];
    ERRORS.iter().any(|error| text.eq_ignore_ascii_case(error))
}

/// Whether a text is a number as `8.96529E+19`: digits, perhaps a point (or a comma, in half of the world) and more of them, and
/// a power of ten with its sign. Without a sign it must have a point, as ids may be digits with an E among them.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let (power, is_signed) = match exponent.strip_prefix(['+', '-']) {
        Some(power) => (power, true),
        None => (exponent, false),
    };
    digits(whole)
        && whole.len() == 1
        && fraction.is_none_or(digits)
        && digits(power)
        && (is_signed || fraction.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_leave_in_a_cell_is_recognised() {
        for (text, expected) in [
            ("8.96529E+19", Some(FORMAT)),
            ("8,96529E+19", Some(FORMAT)),
            ("1E+05", Some(FORMAT)),
            ("1.05514380400001E+016", Some(FORMAT)),
            ("1.2E-05", Some(FORMAT)),
            ("8.96529E19", Some(FORMAT)),
            ("'0012", Some(APOSTROPHE)),
            ("=\"0012\"", Some(FORMULA)),
            ("#N/A", Some(ERROR)),
            ("#ref!", Some(ERROR)),
            ("########", Some(NARROW)),
            ("\"user-1\"", Some(QUOTED)),
            ("1E5", None),
            ("12.5", None),
            ("3f2b8c1e-5d6a-4f7b-8c9d-0e1f2a3b4c5d", None),
            ("user-1E", None),
            ("E+19", None),
        ] {
            assert_eq!(trace(Field::User, text), expected, "{text}");
        }
        assert_eq!(trace(Field::Reference, "1.2E1"), None, "a payer may call it so");
        assert_eq!(trace(Field::Reference, "8.96529E+19"), Some(FORMAT));
        assert_eq!(trace(Field::DocumentReference, "'t is a text = \"one\""), None);
        assert_eq!(trace(Field::DocumentReference, "#N/A"), Some(ERROR));
    }
}
