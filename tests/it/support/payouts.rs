//! What payouts go by in tests, and a payout to begin with.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::payment::{BankAccountId, PayoutReference, QuoteId, RecipientId, UserId};
use rampwatch::domain::payout::{FundBy, IdempotencyKey, PaymentReason, Payout, PayoutState, PayoutWish, TakenQuote};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::PayoutRules;
use rampwatch::policy::payout_machine::{FileLimits, PayoutParams};

use super::records::{at, wallet_address};

/// The rules of the example, for this token. Nobody is asked about repeats: many tests place the same payout several times.
pub(crate) fn payout_rules(token: Address) -> PayoutRules {
    PayoutRules {
        params: PayoutParams {
            quote_margin: Span::from_secs(60),
            currency: "USDC".to_owned(),
            chain_name: "polygon".to_owned(),
            token,
        },
        files: FileLimits {
            types: ["application/pdf", "image/png", "image/jpeg"].map(str::to_owned).to_vec(),
            max_bytes: 2_000_000,
            max_files: 5,
        },
        max_concurrent: 8,
        repeat_window: Span::ZERO,
    }
}

/// 1000 USDC to a bank account in Mexico, sent by hand from the wallet's address.
pub(crate) fn payout_wish() -> PayoutWish {
    PayoutWish {
        user: UserId::new("user-1").unwrap(),
        recipient: RecipientId::new("rec-1").unwrap(),
        bank_account: BankAccountId::new("bank-1").unwrap(),
        exchange: Exchange {
            source_currency: "USDC".to_owned(),
            source_amount: Amount::from_base_units(1_000_000_000),
            source_rail: "POLYGON".to_owned(),
            destination_currency: "MXN".to_owned(),
            destination_rail: "SPEI".to_owned(),
            destination_country: "MX".to_owned(),
            developer_fee: None,
        },
        from_address: wallet_address(),
        reason: PaymentReason::new("RENT").unwrap(),
        document_reference: None,
        reference_id: None,
        files: vec![],
        min_destination_amount: None,
        fund: FundBy::ByHand,
    }
}

/// A payout that was just placed.
pub(crate) fn payout(reference: &str) -> Payout {
    Payout {
        reference: PayoutReference::new(reference).unwrap(),
        key: IdempotencyKey::from_random([7; 16]),
        wish: payout_wish(),
        placed_by: Actor::local(),
        state: PayoutState::Placed,
        quote: None,
        payment: None,
        attempts: 0,
        may_be_open: false,
        spoilt_quotes: 0,
        failures: 0,
        trouble: None,
        placed_at: at(0),
        updated_at: at(0),
    }
}

/// A quote that was asked for and given at a moment, for ten minutes: 17 MXN for each of the 1000 USDC.
pub(crate) fn taken_quote(asked_at: Timestamp) -> TakenQuote {
    let quote = Quote {
        id: QuoteId::new("quote-1").unwrap(),
        rate: Rate {
            source_amount: Some(Amount::from_base_units(1_000_000_000)),
            source_currency: Some("USDC".to_owned()),
            destination_amount: Some(Decimal::from_person("17000").unwrap()),
            destination_currency: Some("MXN".to_owned()),
            exchange_rate: Some(Decimal::from_person("17").unwrap()),
            total_fee: None,
            sentra_fee: None,
            developer_fee: None,
        },
        expires_at: Some(asked_at.plus(Span::from_secs(600))),
        created_at: Some(asked_at),
    };
    TakenQuote { quote, asked_at }
}
