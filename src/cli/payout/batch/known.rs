//! Whether the rows' references are known already, and with the same content: asked before anything is placed, so that a
//! file with one wrong row starts nothing. Placing compares again, and that is what counts.

use futures_util::StreamExt as _;

use super::super::super::exit::{Exit, Failure};
use super::super::draft::{Draft, Field};
use super::Item;
use crate::client::Client;
use crate::domain::amount::Amount;
use crate::domain::decimal::Decimal;
use crate::view::payout::PayoutRequest;

/// How many references are asked for at once.
const AT_ONCE: usize = 8;

/// What is known of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    No,
    /// It was placed, with this content.
    Yes,
    /// It was placed, with other content.
    Otherwise,
}

/// Looks every good row's reference up. One that is known with other content becomes a bad row.
pub(super) async fn look_up(operator: &Client, items: &mut [Item], decimals: u8) -> Result<(), Failure> {
    let wanted: Vec<(usize, String)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.is_good())
        .map(|(at, item)| (at, item.reference().to_owned()))
        .collect();
    let mut asked = futures_util::stream::iter(wanted)
        .map(|(at, reference)| async move { (at, operator.payout(&reference).await.map_err(Failure::from)) })
        .buffer_unordered(AT_ONCE);
    while let Some((at, answer)) = asked.next().await {
        let Some(item) = items.get_mut(at) else { continue };
        match answer {
            Ok(view) => match difference(&item.draft, &view.request, decimals) {
                None => item.known = Known::Yes,
                Some((field, known)) => {
                    item.known = Known::Otherwise;
                    let (name, given) = (field.name(), item.draft.get(field).unwrap_or("nothing"));
                    item.faults.push(format!(
                        "column reference: {:?} is known already, with {known} as its {name}; the row has {given}. Give \
                         the row another reference, or the content that was placed",
                        item.reference()
                    ));
                }
            },
            Err(failure) if failure.exit() == Exit::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// How a row's text and what was placed are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Letter by letter.
    Text,
    /// Hexadecimal digits, in whichever case.
    Hex,
    /// As amounts of the token.
    Amount,
    Decimal,
    /// As text; what the row leaves out was taken from the configuration.
    Configured,
}

const RULES: [(Field, Rule); 16] = [
    (Field::User, Rule::Text),
    (Field::Recipient, Rule::Text),
    (Field::BankAccount, Rule::Text),
    (Field::Amount, Rule::Amount),
    (Field::SourceCurrency, Rule::Configured),
    (Field::SourceRail, Rule::Configured),
    (Field::DestinationCurrency, Rule::Text),
    (Field::DestinationRail, Rule::Text),
    (Field::DestinationCountry, Rule::Text),
    (Field::DeveloperFee, Rule::Decimal),
    (Field::FromAddress, Rule::Configured),
    (Field::Reason, Rule::Text),
    (Field::DocumentReference, Rule::Text),
    (Field::ReferenceId, Rule::Hex),
    (Field::MinDestinationAmount, Rule::Decimal),
    (Field::Fund, Rule::Text),
];

impl Rule {
    fn is_same(self, ours: &str, theirs: &str, decimals: u8) -> bool {
        match self {
            Self::Text => ours == theirs,
            Self::Hex | Self::Configured => ours.eq_ignore_ascii_case(theirs),
            Self::Amount => Amount::from_person(ours, decimals).ok() == Amount::from_person(theirs, decimals).ok(),
            Self::Decimal => Decimal::from_person(ours).ok() == Decimal::from_person(theirs).ok(),
        }
    }
}

/// The first field in which a row is not what was placed, and what was placed.
fn difference(row: &Draft, known: &PayoutRequest, decimals: u8) -> Option<(Field, String)> {
    let known_draft = Draft::of(known);
    for (field, rule) in RULES {
        let by_hand = (field == Field::Fund).then_some("by_hand");
        let (ours, theirs) = (row.get(field).or(by_hand), known_draft.get(field).or(by_hand));
        let is_same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => rule.is_same(ours, theirs, decimals),
            (None, _) if rule == Rule::Configured => true,
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        if !is_same {
            return Some((field, theirs.unwrap_or("nothing").to_owned()));
        }
    }
    let names: Vec<&str> = known.files.iter().map(|file| file.name.as_str()).collect();
    let ours = row.files.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy());
    let is_same = ours.eq(names.iter().copied());
    (!is_same).then(|| (Field::Files, if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }))
}

#[cfg(test)]
mod tests {
    use super::super::super::draft::REQUIRED;
    use super::*;
    use crate::view::payout::FileRef;

    fn row() -> Draft {
        let mut draft = Draft::default();
        REQUIRED.into_iter().for_each(|field| draft.set(field, "x"));
        draft.set(Field::Reference, "INV-7");
        draft.set(Field::Amount, "5.50");
        draft
    }

    fn placed() -> PayoutRequest {
        let mut placed = row().request(Vec::new());
        placed.amount = "5.5".to_owned();
        placed.source_currency = Some("USDC".to_owned());
        placed.source_rail = Some("POLYGON".to_owned());
        placed.from_address = Some("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359".to_owned());
        placed
    }

    #[test]
    fn the_same_content_is_the_same_however_it_is_written() {
        assert_eq!(difference(&row(), &placed(), 6), None);
        let mut draft = row();
        draft.set(Field::FromAddress, "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359");
        draft.set(Field::SourceRail, "polygon");
        draft.set(Field::Fund, "by_hand");
        assert_eq!(difference(&draft, &placed(), 6), None);
    }

    #[test]
    fn any_other_content_is_named_by_its_field() {
        for (field, _) in RULES {
            let mut draft = row();
            draft.set(field, if field == Field::Fund { "wallet" } else { "7" });
            let found = difference(&draft, &placed(), 6).map(|(field, _)| field);
            assert_eq!(found, Some(field), "{field:?}");
        }
        let mut more = placed();
        more.document_reference = Some("Rent".to_owned());
        assert_eq!(difference(&row(), &more, 6), Some((Field::DocumentReference, "Rent".to_owned())));
        let mut files = placed();
        let (digest, media_type, name) = ("0".repeat(64), "application/pdf".to_owned(), "a.pdf".to_owned());
        files.files.push(FileRef { digest, media_type, bytes: 1, name });
        assert_eq!(difference(&row(), &files, 6), Some((Field::Files, "a.pdf".to_owned())));
        let with = Draft { files: vec!["folder/a.pdf".into()], ..row() };
        assert_eq!(difference(&with, &files, 6), None);
    }
}
