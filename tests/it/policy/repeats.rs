//! Likely repeats: what is alike, for how long, and which of several is named.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::payment::{BankAccountId, PaymentId, PayoutReference, RecipientId, UserId};
use rampwatch::domain::payout::{Attachment, FundBy, PaymentReason, Payout, PayoutState, PayoutWish};
use rampwatch::domain::time::Span;
use rampwatch::policy::repeats::{Alike, Earlier, Likeness, repeated};

use crate::support::payouts::{payout, payout_wish};
use crate::support::records::{address, at, hash};

const DAY: Span = Span::from_secs(86_400);

fn named(reference: &str) -> PayoutReference {
    PayoutReference::new(reference).unwrap()
}

/// In what a payout with this reference and wish repeats `INV-7`, placed at 1000 s, two days later.
fn repeats(reference: &str, wish: &PayoutWish) -> Option<Alike> {
    let earlier = Earlier::of(&Payout { placed_at: at(1_000), ..payout("INV-7") }).unwrap();
    let (reference, now) = (named(reference), at(1_000).plus(DAY.times(2)));
    repeated(&reference, &Likeness::of(&reference, wish), [&earlier], DAY.times(10), now).map(|(_, alike)| alike)
}

#[test]
fn one_that_equals_another_in_all_that_is_paid_is_a_repeat() {
    let change = |change: &dyn Fn(&mut PayoutWish)| {
        let mut wish = payout_wish();
        change(&mut wish);
        repeats("B-1", &wish)
    };
    assert_eq!(change(&|_| {}), Some(Alike::Content));
    // What the payer calls it, and how it is paid, makes no other debt of it.
    assert_eq!(
        change(&|wish| wish.reference_id = Some("3f2b8c1e-5d6a-4f7b-8c9d-0e1f2a3b4c5d".into())),
        Some(Alike::Content)
    );
    assert_eq!(change(&|wish| wish.fund = FundBy::Wallet), Some(Alike::Content));
    assert_eq!(change(&|wish| wish.from_address = address(9)), Some(Alike::Content));
    assert_eq!(
        change(&|wish| wish.min_destination_amount = Some(Decimal::from_person("1").unwrap())),
        Some(Alike::Content)
    );
    assert_eq!(change(&|wish| wish.exchange.source_currency = "usdc".into()), Some(Alike::Content));
    assert_eq!(change(&|wish| wish.exchange.developer_fee = Some(Decimal::ZERO)), Some(Alike::Content));
    let others: [&dyn Fn(&mut PayoutWish); 11] = [
        &|wish| wish.user = UserId::new("user-2").unwrap(),
        &|wish| wish.recipient = RecipientId::new("rec-2").unwrap(),
        &|wish| wish.bank_account = BankAccountId::new("bank-2").unwrap(),
        &|wish| wish.exchange.source_amount = Amount::from_base_units(1_000_000_001),
        &|wish| wish.exchange.destination_currency = "BRL".into(),
        &|wish| wish.exchange.destination_rail = "PIX".into(),
        &|wish| wish.exchange.destination_country = "BR".into(),
        &|wish| wish.exchange.developer_fee = Some(Decimal::from_person("1").unwrap()),
        &|wish| wish.reason = PaymentReason::new("GIFTS").unwrap(),
        &|wish| wish.document_reference = Some("Rent of May".into()),
        &|wish| {
            let (media_type, name) = ("application/pdf".to_owned(), "a.pdf".to_owned());
            wish.files.push(Attachment { digest: hash(1), media_type, bytes: 1, name });
        },
    ];
    for (n, other) in others.iter().enumerate() {
        assert_eq!(change(other), None, "{n}");
    }
}

#[test]
fn a_reference_that_a_spreadsheet_rewrites_is_a_repeat_whatever_it_pays() {
    let other = PayoutWish { recipient: RecipientId::new("rec-2").unwrap(), ..payout_wish() };
    for (reference, expected) in
        [("inv-7", Some(Alike::Name)), ("INV-007", Some(Alike::Name)), ("INV-70", None), ("INV-8", None)]
    {
        assert_eq!(repeats(reference, &other), expected, "{reference}");
    }
    assert_eq!(repeats("inv-7", &payout_wish()), Some(Alike::Content), "the content says more");
    assert_eq!(repeats("INV-7", &payout_wish()), None, "the same payout is no repeat of itself");
}

#[test]
fn only_what_is_in_the_window_and_may_pay_somebody_is_repeated() {
    let earlier =
        |reference: &str, secs: u64| Earlier::of(&Payout { placed_at: at(secs), ..payout(reference) }).unwrap();
    let all = [earlier("A-1", 1_000), earlier("A-3", 3_000), earlier("A-2", 2_000)];
    let reference = named("B-1");
    let likeness = Likeness::of(&reference, &payout_wish());
    let found = |window: u64, now: u64| {
        let found = repeated(&reference, &likeness, &all, Span::from_millis(window), at(now));
        found.map(|(earlier, _)| earlier.reference.to_string())
    };
    assert_eq!(found(10_000, 4_000).as_deref(), Some("A-3"), "the latest is named");
    assert_eq!(found(1_000, 4_000).as_deref(), Some("A-3"), "just within");
    assert_eq!(found(999, 4_000), None);
    assert_eq!(found(0, 3_000), None, "nobody wants to be asked");
    assert_eq!(found(10_000, 500).as_deref(), Some("A-3"), "a clock that was set back forgets nothing");

    let cancelled =
        |payout: Payout| Payout { state: PayoutState::Cancelled { reason: "typed twice".into() }, ..payout };
    assert_eq!(Earlier::of(&cancelled(payout("A-1"))), None, "nothing was opened for it");
    let opened = Payout { payment: Some(PaymentId::new("pay-1").unwrap()), ..payout("A-1") };
    assert!(Earlier::of(&cancelled(opened)).is_some(), "its payment may be paid yet");
    assert!(Earlier::of(&cancelled(Payout { may_be_open: true, ..payout("A-1") })).is_some());
}
