//! What a payout is to be, as text: from flags, or from a row of a batch file. Checked here before anything is asked of
//! anybody, so that all that is wrong is told at once, by field.
//!
//! Deliberately absent: rules. What this lets through, the engine checks again and may refuse.

use std::collections::BTreeMap;
use std::path::PathBuf;
use strum::IntoStaticStr;

use crate::domain::amount::Amount;
use crate::domain::decimal::Decimal;
use crate::domain::odd::{Odd, folded};
use crate::domain::payment::{BankAccountId, PayoutReference, RecipientId, UserId};
use crate::domain::payout::PAYMENT_REASONS;
use crate::service::requests::parse_address;
use crate::view::payout::{FileRef, Fund, PayoutRequest};

use super::sheet;

/// A field of a payout: a column of a batch file, and with hyphens the name of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub(super) enum Field {
    Reference,
    User,
    Recipient,
    BankAccount,
    Amount,
    SourceCurrency,
    SourceRail,
    DestinationCurrency,
    DestinationRail,
    DestinationCountry,
    DeveloperFee,
    FromAddress,
    Reason,
    DocumentReference,
    ReferenceId,
    Files,
    MinDestinationAmount,
    Fund,
}

/// Every field, in the order of the documentation.
pub(super) const FIELDS: [Field; 18] = [
    Field::Reference,
    Field::User,
    Field::Recipient,
    Field::BankAccount,
    Field::Amount,
    Field::SourceCurrency,
    Field::SourceRail,
    Field::DestinationCurrency,
    Field::DestinationRail,
    Field::DestinationCountry,
    Field::DeveloperFee,
    Field::FromAddress,
    Field::Reason,
    Field::DocumentReference,
    Field::ReferenceId,
    Field::Files,
    Field::MinDestinationAmount,
    Field::Fund,
];

/// Those that a payout cannot do without. A batch needs the reference too.
pub(super) const REQUIRED: [Field; 8] = [
    Field::User,
    Field::Recipient,
    Field::BankAccount,
    Field::Amount,
    Field::DestinationCurrency,
    Field::DestinationRail,
    Field::DestinationCountry,
    Field::Reason,
];

impl Field {
    /// Its name, as a column and in the operator API.
    pub(super) const fn name(self) -> &'static str {
        self.into_str()
    }

    /// The field of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        FIELDS.into_iter().find(|field| field.name() == name)
    }

    /// The field that somebody means who writes its name in another way: in upper case, with blanks, with characters that only
    /// look like those of the name.
    pub(super) fn meant(name: &str) -> Option<Self> {
        let bare = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
        };
        let name = bare(&folded(name));
        FIELDS.into_iter().find(|field| bare(field.name()) == name)
    }

    pub(super) fn flag(self) -> String {
        match self {
            Self::Files => "--attach".to_owned(),
            _ => format!("--{}", self.name().replace('_', "-")),
        }
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: Field,
    /// What was given; empty when nothing was.
    pub(super) value: String,
    /// What is wrong with it, and what would be right.
    pub(super) problem: String,
}

/// A payout as text. A field that is left out or empty is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) texts: BTreeMap<Field, String>,
    /// The files that go along.
    pub(super) files: Vec<PathBuf>,
    /// The folder that they must be in, where a batch names them.
    pub(super) files_below: Option<PathBuf>,
    /// Whether it is meant although it repeats another payout.
    pub(super) allow_repeat: bool,
}

impl Draft {
    /// Sets a field; what is empty is not there.
    pub(super) fn set(&mut self, field: Field, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            self.texts.remove(&field);
        } else {
            self.texts.insert(field, text.to_owned());
        }
    }

    /// The text of a field.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        self.texts.get(&field).map(String::as_str)
    }

    /// The text of a field, of its own.
    pub(super) fn own(&self, field: Field) -> Option<String> {
        self.texts.get(&field).cloned()
    }

    /// Whether it says anything but a reference.
    pub(super) fn has_content(&self) -> bool {
        !self.files.is_empty() || self.texts.keys().any(|field| *field != Field::Reference)
    }

    /// Takes what is missing from another one. Files are all from one or all from the other.
    pub(super) fn fill_from(&mut self, other: &Self) {
        for (field, text) in &other.texts {
            self.texts.entry(*field).or_insert_with(|| text.clone());
        }
        if self.files.is_empty() {
            (self.files, self.files_below) = (other.files.clone(), other.files_below.clone());
        }
    }

    /// The required fields that are missing.
    pub(super) fn missing(&self) -> Vec<Field> {
        REQUIRED.into_iter().filter(|field| !self.texts.contains_key(field)).collect()
    }

    /// The same as a request, with files that were put already. What is missing is empty; the engine refuses that.
    pub(super) fn request(&self, files: Vec<FileRef>) -> PayoutRequest {
        let text = |field| self.own(field).unwrap_or_default();
        PayoutRequest {
            reference: self.own(Field::Reference),
            user: text(Field::User),
            recipient: text(Field::Recipient),
            bank_account: text(Field::BankAccount),
            amount: text(Field::Amount),
            source_currency: self.own(Field::SourceCurrency),
            source_rail: self.own(Field::SourceRail),
            destination_currency: text(Field::DestinationCurrency),
            destination_rail: text(Field::DestinationRail),
            destination_country: text(Field::DestinationCountry),
            developer_fee: self.own(Field::DeveloperFee),
            from_address: self.own(Field::FromAddress),
            reason: text(Field::Reason),
            document_reference: self.own(Field::DocumentReference),
            reference_id: self.own(Field::ReferenceId),
            files,
            min_destination_amount: self.own(Field::MinDestinationAmount),
            fund: if self.is_by_wallet() { Fund::Wallet } else { Fund::ByHand },
            allow_repeat: self.allow_repeat,
        }
    }

    /// What a request says, but for its files.
    pub(super) fn of(request: &PayoutRequest) -> Self {
        let mut draft = Self::default();
        let own = |text: &String| Some(text.clone());
        let texts = [
            (Field::Reference, request.reference.clone()),
            (Field::User, own(&request.user)),
            (Field::Recipient, own(&request.recipient)),
            (Field::BankAccount, own(&request.bank_account)),
            (Field::Amount, own(&request.amount)),
            (Field::SourceCurrency, request.source_currency.clone()),
            (Field::SourceRail, request.source_rail.clone()),
            (Field::DestinationCurrency, own(&request.destination_currency)),
            (Field::DestinationRail, own(&request.destination_rail)),
            (Field::DestinationCountry, own(&request.destination_country)),
            (Field::DeveloperFee, request.developer_fee.clone()),
            (Field::FromAddress, request.from_address.clone()),
            (Field::Reason, own(&request.reason)),
            (Field::DocumentReference, request.document_reference.clone()),
            (Field::ReferenceId, request.reference_id.clone()),
            (Field::MinDestinationAmount, request.min_destination_amount.clone()),
            (Field::Fund, (request.fund == Fund::Wallet).then(|| "wallet".to_owned())),
        ];
        for (field, text) in texts {
            draft.set(field, text.as_deref().unwrap_or_default());
        }
        draft
    }

    /// Whether the hot wallet is to pay.
    pub(super) fn is_by_wallet(&self) -> bool {
        self.get(Field::Fund) == Some("wallet")
    }

    /// The amount, when there is one that can be read.
    pub(super) fn amount(&self, decimals: u8) -> Option<Amount> {
        self.get(Field::Amount).and_then(|text| Amount::from_person(text, decimals).ok())
    }

    /// Everything that is wrong with it, but for missing fields and files. The token has so many decimals.
    pub(super) fn faults(&self, decimals: u8) -> Vec<Fault> {
        let wrong = |(field, text): (&Field, &String)| {
            let problem = problem(*field, text, decimals)?;
            Some(Fault { field: *field, value: text.clone(), problem })
        };
        self.texts.iter().filter_map(wrong).collect()
    }
}

/// The most bytes of any field but the document's reference.
const MAX_BYTES: usize = 128;

/// What is wrong with the text of a field, if anything is, and what explains it: an odd character, or what a spreadsheet has
/// made of it.
fn problem(field: Field, text: &str, decimals: u8) -> Option<String> {
    if text.contains(['\n', '\r']) {
        return Some("there is a line break in it (is a quote not closed?)".to_owned());
    }
    let is_words = field == Field::DocumentReference;
    let odd = if is_words { Odd::in_words(text) } else { Odd::in_plain(text) };
    if let Some(odd) = odd {
        return Some(odd.to_string());
    }
    match (rule_problem(field, text, decimals), sheet::trace(field, text)) {
        (Some(problem), Some(trace)) => Some(format!("{problem}; {trace}")),
        (problem, trace) => problem.or_else(|| trace.map(str::to_owned)),
    }
}

/// What is wrong with the text of a field by the field's own rule.
fn rule_problem(field: Field, text: &str, decimals: u8) -> Option<String> {
    if field != Field::DocumentReference && text.len() > MAX_BYTES {
        return Some(format!("it has more than {MAX_BYTES} characters"));
    }
    match field {
        Field::Reference => reference_problem(text),
        Field::User => UserId::new(text).err().map(|_| ID.to_owned()),
        Field::Recipient => RecipientId::new(text).err().map(|_| ID.to_owned()),
        Field::BankAccount => BankAccountId::new(text).err().map(|_| ID.to_owned()),
        Field::Amount => amount_problem(text, decimals),
        Field::SourceCurrency | Field::SourceRail | Field::DestinationCurrency | Field::DestinationRail => {
            let is_code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            let fits = text.len() <= 32 && text.bytes().all(is_code);
            (!fits).then(|| "it is no code: write it as the payment API does, such as MXN or SPEI".to_owned())
        }
        Field::DestinationCountry => {
            let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
            (!fits).then(|| "it is no country: write its two capital letters (ISO 3166-1), such as MX".to_owned())
        }
        Field::DeveloperFee => Decimal::from_person(text).err().map(|error| error.to_string()),
        Field::MinDestinationAmount => match Decimal::from_person(text) {
            Ok(least) if least.is_zero() => Some("it is zero; leave it out to take any quote".to_owned()),
            read => read.err().map(|error| error.to_string()),
        },
        Field::FromAddress => parse_address("from_address", text).err().map(|error| error.to_string()),
        Field::Reason => reason_problem(text),
        Field::DocumentReference => (text.chars().count() > 255)
            .then(|| "it has more than 255 characters, which is the most that the payment API takes".to_owned()),
        Field::ReferenceId => {
            (!is_uuid(text)).then(|| "it is no UUID: write it like 123e4567-e89b-42d3-a456-426614174000".to_owned())
        }
        Field::Files => None,
        Field::Fund => (!matches!(text, "by_hand" | "wallet"))
            .then(|| "write `wallet` to pay from the hot wallet, or `by_hand`".to_owned()),
    }
}

const ID: &str = "it is no id: an id has 1 to 128 letters, digits, '-', '_' or '.'";

fn reference_problem(text: &str) -> Option<String> {
    PayoutReference::new(text)
        .err()
        .map(|_| "it is no reference: a reference has 1 to 128 letters, digits, '-', '_' or '.'".to_owned())
}

fn amount_problem(text: &str, decimals: u8) -> Option<String> {
    match Amount::from_person(text, decimals) {
        Ok(amount) if amount.is_zero() => Some("it is zero".to_owned()),
        read => read.err().map(|error| error.to_string()),
    }
}

fn reason_problem(text: &str) -> Option<String> {
    if PAYMENT_REASONS.contains(&text) {
        return None;
    }
    // What differs only by case or by spaces is named; it is not taken, because nothing here is guessed.
    let meant = text.to_ascii_uppercase().replace([' ', '-'], "_");
    Some(match PAYMENT_REASONS.iter().find(|reason| **reason == meant) {
        Some(meant) => format!("write {meant}"),
        None => "it is none of the payment API's words; `rampwatch payout --help` lists them".to_owned(),
    })
}

/// Whether this is a UUID as text, of whatever version.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(field: Field, text: &str) -> Option<String> {
        let mut draft = Draft::default();
        draft.set(field, text);
        draft.faults(6).pop().map(|fault| {
            assert_eq!((fault.field, fault.value.as_str()), (field, text.trim()));
            fault.problem
        })
    }

    #[test]
    fn what_fits_is_taken() {
        let long = "é".repeat(255);
        for (field, text) in [
            (Field::Reference, "INV-2026.7_a"),
            (Field::User, "123e4567-e89b-42d3-a456-426614174000"),
            (Field::Recipient, " r "),
            (Field::Amount, "1000.000001"),
            (Field::Amount, "999999999.999999"),
            (Field::Amount, "0.1"),
            (Field::DestinationCurrency, "MXN"),
            (Field::DestinationRail, "FASTER_PAYMENTS"),
            (Field::DestinationCountry, "MX"),
            (Field::DeveloperFee, "0"),
            (Field::DeveloperFee, "0.25"),
            (Field::MinDestinationAmount, "17250.5"),
            (Field::FromAddress, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
            (Field::Reason, "PAYMENT_FOR_GOODS_AND_SERVICES"),
            (Field::DocumentReference, long.as_str()),
            (Field::ReferenceId, "123E4567-e89b-42d3-a456-426614174000"),
            (Field::Fund, "wallet"),
            (Field::Fund, "by_hand"),
        ] {
            assert_eq!(told(field, text), None, "{field:?} {text}");
        }
    }

    #[test]
    fn what_does_not_is_told_with_the_remedy() {
        let long = "é".repeat(256);
        for (field, text, words) in [
            (Field::Reference, "INV 7", "'-', '_' or '.'"),
            (Field::Reference, "..", "it is no reference"),
            (Field::User, "a/b", "it is no id"),
            (Field::Amount, "1000.0000001", "6"),
            (Field::Amount, "-1", "sign"),
            (Field::Amount, "1e3", "1000.50"),
            (Field::Amount, "1,000", "1000.50"),
            (Field::Amount, "0.00", "zero"),
            (Field::DestinationCurrency, "M$", "MXN"),
            (Field::DestinationCountry, "Mexico", "two capital letters"),
            (Field::DestinationCountry, "mx", "two capital letters"),
            (Field::DeveloperFee, "1%", "17.25"),
            (Field::MinDestinationAmount, "0", "leave it out"),
            (Field::FromAddress, "0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359", "checksum"),
            (Field::Reason, "Rent", "write RENT"),
            (Field::Reason, "payment for goods and services", "write PAYMENT_FOR_GOODS_AND_SERVICES"),
            (Field::Reason, "because", "--help"),
            (Field::DocumentReference, long.as_str(), "255"),
            (Field::DocumentReference, "a\nb", "is a quote not closed"),
            (Field::DocumentReference, "a\u{1b}[2J", "the 2nd character is U+001B"),
            (Field::ReferenceId, "7", "no UUID"),
            (Field::Fund, "yes", "`wallet`"),
        ] {
            let said = told(field, text).unwrap_or_default();
            assert!(said.contains(words), "{field:?} {text}: {said:?}");
        }
    }

    #[test]
    fn a_draft_is_filled_from_another_and_says_what_is_missing() {
        let mut draft = Draft::default();
        assert!(!draft.has_content());
        draft.set(Field::Reference, "INV-7");
        assert!(!draft.has_content(), "a reference alone follows what is known");
        draft.set(Field::Amount, "5");
        draft.set(Field::Amount, " ");
        assert!(!draft.has_content(), "what is empty is not there");
        draft.set(Field::Amount, "5");
        let mut others = Draft { files: vec![PathBuf::from("a.pdf")], ..Draft::default() };
        REQUIRED.into_iter().for_each(|field| others.set(field, "x"));
        assert_eq!(draft.missing().len(), REQUIRED.len() - 1);
        draft.fill_from(&others);
        assert_eq!((draft.get(Field::Amount), draft.get(Field::User)), (Some("5"), Some("x")));
        assert_eq!((draft.files.len(), draft.missing()), (1, vec![]));
        assert_eq!(Field::DestinationCountry.flag(), "--destination-country");
        assert!(FIELDS.into_iter().all(|field| Field::of(field.name()) == Some(field)));
    }
}
