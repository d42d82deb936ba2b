//! Likely repeats: a payout that is another one over again, under a name of its own.
//!
//! A reference makes one payout safe to place twice; it says nothing about the same debt under two references, which is how
//! a file is paid twice: it is exported anew with new numbers, or a spreadsheet has written the numbers otherwise.
//! Deliberately absent: a judgement. Two equal debts are no rarity, so a repeat is asked about, and never refused for good.

use alloy::primitives::keccak256;

use crate::domain::chain::B256;
use crate::domain::payment::PayoutReference;
use crate::domain::payout::{Payout, PayoutState, PayoutWish};
use crate::domain::time::{Span, Timestamp};

/// What a payout is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// A digest of who gets what for what: user, recipient, bank account, amounts, currencies, rails, country, fee, reason,
    /// document reference, and files by what is in them. What the payer calls it and how it is paid are not in it.
    pub content: B256,
    /// The reference as it is after a spreadsheet has had it in its hands.
    pub name: String,
}

/// A payout that was placed earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub reference: PayoutReference,
    /// What it is compared by.
    pub likeness: Likeness,
    pub placed_at: Timestamp,
}

/// In what a payout is another one over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alike {
    /// In its reference, but for what spreadsheets rewrite.
    Name,
    /// In everything but its reference.
    Content,
}

impl Likeness {
    /// That of a payout with this reference and wish.
    #[must_use]
    pub fn of(reference: &PayoutReference, wish: &PayoutWish) -> Self {
        Self { content: content(wish), name: rewritten(reference.as_str()) }
    }
}

impl Earlier {
    /// The payout as later ones are compared with it; `None` for one that was cancelled before anything can have been opened
    /// for it: that pays nobody.
    #[must_use]
    pub fn of(payout: &Payout) -> Option<Self> {
        let is_void = matches!(payout.state, PayoutState::Cancelled { .. });
        if is_void && payout.payment.is_none() && !payout.may_be_open {
            return None;
        }
        let likeness = Likeness::of(&payout.reference, &payout.wish);
        Some(Self { reference: payout.reference.clone(), likeness, placed_at: payout.placed_at })
    }
}

/// The earlier payout that one with this reference and likeness repeats, and in what. Of several the one that is alike in
/// content, and of those the latest. What was placed longer ago than `window` is no repeat; a window of zero asks about
/// nothing. The same reference is the same payout, and no repeat of itself.
#[must_use]
pub fn repeated<'a>(
    reference: &PayoutReference,
    likeness: &Likeness,
    earlier: impl IntoIterator<Item = &'a Earlier>,
    window: Span,
    now: Timestamp,
) -> Option<(&'a Earlier, Alike)> {
    let in_time = |other: &Earlier| window > Span::ZERO && now.since(other.placed_at) <= window;
    let others = earlier.into_iter().filter(|other| other.reference != *reference && in_time(other));
    let alike = others.filter_map(|other| Some((other, alike(likeness, &other.likeness)?)));
    alike.max_by_key(|(other, alike)| (*alike, other.placed_at))
}

/// In what two payouts are alike, if in anything.
fn alike(one: &Likeness, other: &Likeness) -> Option<Alike> {
    if one.content == other.content {
        return Some(Alike::Content);
    }
    (one.name == other.name).then_some(Alike::Name)
}

fn content(wish: &PayoutWish) -> B256 {
    // Taken apart in full, so that a new field must be decided about. Nothing of it holds a zero byte.
    let PayoutWish {
        user,
        recipient,
        bank_account,
        exchange,
        from_address: _,
        reason,
        document_reference,
        reference_id: _,
        files,
        min_destination_amount: _,
        fund: _,
    } = wish;
    let mut text = String::new();
    let mut part = |part: &str| {
        text.push_str(part);
        text.push('\0');
    };
    [user.as_str(), recipient.as_str(), bank_account.as_str(), reason.as_str()].into_iter().for_each(&mut part);
    part(&exchange.source_amount.base_units().to_string());
    let words = [
        &exchange.source_currency,
        &exchange.source_rail,
        &exchange.destination_currency,
        &exchange.destination_rail,
        &exchange.destination_country,
    ];
    words.into_iter().for_each(|word| part(&word.to_ascii_uppercase()));
    // No fee and a fee of nothing are the same to whoever is paid.
    part(&exchange.developer_fee.as_ref().filter(|fee| !fee.is_zero()).map(ToString::to_string).unwrap_or_default());
    part(document_reference.as_deref().map(str::trim).unwrap_or_default());
    files.iter().for_each(|file| part(&file.digest.to_string()));
    keccak256(text)
}

/// A reference as it is after a spreadsheet has had it in its hands: in lower case; a number as a number (`0012`, `12.0`
/// and `1.2E1` are 12); elsewhere without the zeros that numbers begin with (`INV-007` is `inv-7`, `2026-01-09` is `2026-1-9`).
fn rewritten(reference: &str) -> String {
    let lower = reference.to_ascii_lowercase();
    number(&lower).unwrap_or_else(|| without_leading_zeros(&lower))
}

/// The number that a text is, as its digits and the power of ten that they stand for; `None` when it is none.
fn number(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (sign, digits) = exponent.strip_prefix('-').map_or((1_i64, exponent), |digits| (-1, digits));
    if digits.is_empty() || digits.len() > 9 || !all_digits(digits) {
        return None;
    }
    let exponent = digits.parse::<i64>().ok()?.checked_mul(sign)?;
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() {
        return Some("#0".to_owned());
    }
    let zeros = all.len().checked_sub(all.trim_end_matches('0').len())?;
    let places = i64::try_from(fraction.len()).ok()?;
    let power = exponent.checked_sub(places)?.checked_add(i64::try_from(zeros).ok()?)?;
    // No reference has the sign in it: a number is alike to numbers only.
    Some(format!("#{digits}e{power}"))
}

/// Without the zeros that the whole numbers in a text begin with. Those after a number's point count.
fn without_leading_zeros(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut after_point = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = kept.chars().next_back();
        let begins = !last.is_some_and(|last| last.is_ascii_digit());
        let is_followed = letters.peek().is_some_and(char::is_ascii_digit);
        if letter == '0' && begins && is_followed && !after_point {
            continue;
        }
        after_point = (letter == '.' && !begins) || (after_point && letter.is_ascii_digit());
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_rewrite_is_the_same() {
        let same: [&[&str]; 7] = [
            &["12", "0012", "12.0", "12.", "1.2E1", "1.2e1", "120e-1", "000000000000000000000012"],
            &["INV-7", "inv-7", "INV-07", "Inv-007"],
            &["2026-01-09", "2026-1-9", "2026-01-9"],
            &["1E3", "1000", "1e03", "10E2"],
            &["8.96529E19", "89652900000000000000"],
            &["0", "000", "0.0", "0e5"],
            &["A.007", "a.7"],
        ];
        for names in same {
            let first = rewritten(names[0]);
            assert!(names.iter().all(|name| rewritten(name) == first), "{names:?}");
        }
        let mut all: Vec<String> = same.iter().map(|names| rewritten(names[0])).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), same.len(), "and nothing else is");
        let different = [
            ("1.05", "1.5"),
            ("A-1.05", "A-1.5"),
            ("INV-10", "INV-1"),
            ("A-0", "A-"),
            ("2026113000000001", "2026113000000002"),
            ("1E3", "1E4"),
            ("1E9999999999", "1E9999999998"),
            ("a", "b"),
            ("INV-7", "INV_7"),
            ("1-2", "12"),
        ];
        for (one, other) in different {
            assert_ne!(rewritten(one), rewritten(other), "{one} {other}");
        }
    }
}
