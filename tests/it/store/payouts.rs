//! Payouts of every shape, and how large one can get.

use rampwatch::domain::actor::{Actor, MAX_ACTOR_BYTES};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::B256;
use rampwatch::domain::decimal::{Decimal, MAX_DIGITS};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{
    BankAccountId, MAX_ID_BYTES, PaymentId, PayoutReference, QuoteId, RecipientId, Refusal, UserId,
};
use rampwatch::domain::payout::{Attachment, FundBy, Funding, Payout, PayoutReview, PayoutState, PayoutWish};
use rampwatch::domain::quote::{Fee, Quote, Rate};
use rampwatch::domain::record::{Record, RecordBody};
use rampwatch::domain::text::short;
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::MAX_RECORD_BYTES;

use crate::support::payouts::{payout, payout_wish, taken_quote};
use crate::support::records::{at, hash, order_id, payment_id};

/// Every review.
pub(super) fn reviews() -> Vec<PayoutReview> {
    let refusal = Refusal { status: 422, message: "no such bank account".to_owned() };
    let least = Decimal::from_person("17500").unwrap();
    vec![
        PayoutReview::QuoteRefused { refusal: refusal.clone() },
        PayoutReview::PaysTooLittle { pays: Decimal::from_person("17000.5").ok(), least: least.clone() },
        PayoutReview::PaysTooLittle { pays: None, least },
        PayoutReview::QuoteDiffers { what: "it is for another amount".to_owned() },
        PayoutReview::NoUsableQuote { last: "it had run out".to_owned() },
        PayoutReview::Refused { refusal },
        PayoutReview::FileLost { detail: "no file".to_owned() },
        PayoutReview::TermsDiffer {
            field: "depositAmount".to_owned(),
            ours: Amount::from_base_units(1_000_000_000).to_string(),
            theirs: Amount::from_base_units(999_000_000).to_string(),
        },
        PayoutReview::NoDepositAddress { missing: "depositAddress, depositAmount".to_owned() },
        PayoutReview::Several { payments: vec![payment_id(1), payment_id(2)] },
    ]
}

/// Every state.
pub(super) fn states() -> Vec<PayoutState> {
    let refusal = Some(Refusal { status: 409, message: "key in use".to_owned() });
    let fundings = [
        Funding::Hand,
        Funding::Due,
        Funding::Order { order: order_id(1, 1) },
        Funding::Nobody { why: "the payment is seen".to_owned() },
    ];
    let mut states = vec![
        PayoutState::Placed,
        PayoutState::Quoted,
        PayoutState::Creating { started_at: at(3) },
        PayoutState::Unclear { refusal: None },
        PayoutState::Unclear { refusal },
        PayoutState::Cancelled { reason: "not needed any more".to_owned() },
    ];
    states.extend(fundings.map(|funding| PayoutState::Created { funding }));
    states.extend(reviews().into_iter().map(|why| PayoutState::Review { why }));
    states
}

/// A record for every state, one of them with all that can be left out.
pub(super) fn records() -> Vec<Record> {
    let record = |(n, state): (usize, PayoutState)| {
        let payout = Payout { state, ..payout(&format!("ref-{n:02}")) };
        Record::new(RecordBody::Payout(Box::new(payout)), None)
    };
    let mut records: Vec<Record> = states().into_iter().enumerate().map(record).collect();
    let full = Payout {
        wish: full_wish(),
        state: PayoutState::Created { funding: Funding::Order { order: order_id(7, 1) } },
        quote: Some(taken_quote(at(1))),
        payment: Some(payment_id(7)),
        attempts: 2,
        may_be_open: true,
        spoilt_quotes: 1,
        failures: 3,
        trouble: Some("no answer in time".to_owned()),
        ..payout("ref-full")
    };
    records.push(Record::new(RecordBody::Payout(Box::new(full)), Some(at(9))));
    records
}

fn full_wish() -> PayoutWish {
    let mut wish = PayoutWish {
        document_reference: Some("Invoice 7".to_owned()),
        reference_id: Some("3f2b8c1e-5d6a-4f7b-8c9d-0e1f2a3b4c5d".to_owned()),
        files: vec![Attachment {
            digest: hash(1),
            media_type: "application/pdf".to_owned(),
            bytes: 1_234,
            name: "invoice.pdf".to_owned(),
        }],
        min_destination_amount: Decimal::from_person("16999.99").ok(),
        fund: FundBy::Wallet,
        ..payout_wish()
    };
    wish.exchange.developer_fee = Decimal::from_person("0.5").ok();
    wish
}

/// A payout in which everything is as long as it can be.
fn largest() -> Payout {
    let id = || "x".repeat(MAX_ID_BYTES);
    let number = || Decimal::from_person(&format!("{0}.{0}", "9".repeat(MAX_DIGITS))).unwrap();
    let endless = short(&"\"\\é €".repeat(4_000));
    let fee = || Some(Fee { fixed: Some(number()), variable: Some(number()) });
    let file = |n: u8| Attachment {
        digest: B256::repeat_byte(n),
        media_type: "application/pdf".to_owned(),
        bytes: u64::MAX,
        name: "𝄞".repeat(120),
    };
    let mut wish = PayoutWish {
        user: UserId::new(id()).unwrap(),
        recipient: RecipientId::new(id()).unwrap(),
        bank_account: BankAccountId::new(id()).unwrap(),
        document_reference: Some("𝄞".repeat(255)),
        files: (0..10).map(file).collect(),
        min_destination_amount: Some(number()),
        ..full_wish()
    };
    for word in
        [&mut wish.exchange.source_currency, &mut wish.exchange.source_rail, &mut wish.exchange.destination_currency]
    {
        *word = "W".repeat(32);
    }
    let mut quote = taken_quote(at(1));
    let rate = Rate {
        destination_amount: Some(number()),
        exchange_rate: Some(number()),
        total_fee: Some(number()),
        sentra_fee: fee(),
        developer_fee: fee(),
        ..quote.quote.rate
    };
    quote.quote = Quote { id: QuoteId::new(id()).unwrap(), rate, ..quote.quote };
    let payments = (0..8).map(|n| PaymentId::new(format!("{n}{}", "x".repeat(MAX_ID_BYTES - 1))).unwrap()).collect();
    Payout {
        reference: PayoutReference::new(id()).unwrap(),
        wish,
        placed_by: Actor::new("n".repeat(MAX_ACTOR_BYTES)).unwrap(),
        state: PayoutState::Review { why: PayoutReview::Several { payments } },
        quote: Some(quote),
        payment: Some(PaymentId::new(id()).unwrap()),
        attempts: u32::MAX,
        spoilt_quotes: u32::MAX,
        failures: u32::MAX,
        trouble: Some(endless),
        updated_at: Timestamp::FAR_FUTURE,
        ..payout("largest")
    }
}

#[test]
fn the_largest_payout_and_its_event_fit_into_a_record() {
    let body = RecordBody::Payout(Box::new(largest()));
    let record = serde_json::to_vec(&Record::new(body.clone(), Some(Timestamp::FAR_FUTURE))).unwrap();
    assert!(record.len() > 8_000 && record.len() < MAX_RECORD_BYTES * 9 / 10, "{}", record.len());
    let why = format!("was cancelled ({}: {})", "n".repeat(MAX_ACTOR_BYTES), "\"".repeat(500));
    let kind = EventKind::RecordChanged { body: Box::new(body), why };
    let event = Event { at: Timestamp::FAR_FUTURE, payment: PaymentId::new("p").ok(), deposit: None, kind };
    let event = serde_json::to_vec(&event).unwrap();
    assert!(event.len() < MAX_RECORD_BYTES * 95 / 100, "{}", event.len());
}
