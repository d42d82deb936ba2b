//! What people do with payouts: place them twice, cancel, and add what the API does not tell.

use std::sync::Arc;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::{ApiStatus, PaymentId, Provenance, RecipientId};
use rampwatch::engine::add::AddPayment;
use rampwatch::policy::resolve::Decision;
use rampwatch::ports::clock::Clock as _;
use rampwatch::ports::payment_api::ApiPayment;
use rampwatch::ports::store::Store as _;
use rampwatch::service::operator_service::OperatorError;
use rampwatch::view::payout::{Fund, PayoutRequest};
use rampwatch::view::webhook::UpdateRequest;
use tokio::task::JoinSet;

use super::bench::{Bench, request};
use super::shop::Told;
use crate::support::records::{address, payment_id};

#[tokio::test(start_paused = true)]
async fn the_same_reference_is_the_same_payout_or_refused() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let wish = request("rent-1", Fund::ByHand);
    let placed = life.place(&wish).await;
    let opened = life.until_state("rent-1", "created").await;
    let again = life.place(&wish).await;
    assert_eq!((again.idempotency_key, again.state), (placed.idempotency_key, opened.state));
    // What was left out is what it was then.
    assert!(life.handle.place_payout(&PayoutRequest { from_address: None, ..wish.clone() }).await.is_ok());
    assert!(life.handle.place_payout(&PayoutRequest { amount: "1000.00".to_owned(), ..wish.clone() }).await.is_ok());
    let text = |text: &str| text.to_owned();
    let others = [
        ("amount", PayoutRequest { amount: text("1000.000001"), ..wish.clone() }),
        ("bank_account", PayoutRequest { bank_account: text("bank-2"), ..wish.clone() }),
        ("recipient", PayoutRequest { recipient: text("rec-2"), ..wish.clone() }),
        ("reason", PayoutRequest { reason: text("GIFTS"), ..wish.clone() }),
        ("destination_currency", PayoutRequest { destination_currency: text("BRL"), ..wish.clone() }),
        ("from_address", PayoutRequest { from_address: Some(address(9).to_string()), ..wish.clone() }),
        ("document_reference", PayoutRequest { document_reference: Some(text("Invoice 7")), ..wish.clone() }),
        ("min_destination_amount", PayoutRequest { min_destination_amount: Some(text("1")), ..wish.clone() }),
        ("fund", PayoutRequest { fund: Fund::Wallet, ..wish.clone() }),
    ];
    for (field, other) in others {
        let refused = life.handle.place_payout(&other).await.unwrap_err();
        assert!(
            matches!(&refused, OperatorError::Exists(said) if said.contains(&format!("another {field}"))),
            "{refused}"
        );
    }
    assert_eq!(bench.shop.held().payments.len(), 1);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fifty_placings_at_once_are_one_payout() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let mut placing = JoinSet::new();
    for _ in 0..50 {
        let handle = life.handle.clone();
        placing.spawn(async move { handle.place_payout(&request("rent-1", Fund::ByHand)).await.unwrap() });
    }
    let keys: Vec<String> = placing.join_all().await.into_iter().map(|view| view.idempotency_key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    life.until_state("rent-1", "created").await;
    assert_eq!(bench.shop.held().creates, [keys[0].clone()]);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn odd_requests_are_refused_by_their_field() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let wish = || request("rent-1", Fund::ByHand);
    let text = |text: &str| text.to_owned();
    let mut cases = Vec::new();
    for amount in ["1000.0000001", "-1", "+1", "1e3", "1,000", "", "0", " 1", "0x10"] {
        cases.push(("amount", PayoutRequest { amount: text(amount), ..wish() }));
    }
    for number in ["-1", "1e3", "1,000", ""] {
        cases.push(("min_destination_amount", PayoutRequest { min_destination_amount: Some(text(number)), ..wish() }));
        cases.push(("developer_fee", PayoutRequest { developer_fee: Some(text(number)), ..wish() }));
    }
    cases.extend([
        ("reference", PayoutRequest { reference: Some(text("a b")), ..wish() }),
        ("reference", PayoutRequest { reference: Some("x".repeat(129)), ..wish() }),
        ("user", PayoutRequest { user: text(""), ..wish() }),
        ("recipient", PayoutRequest { recipient: text("a/b"), ..wish() }),
        ("bank_account", PayoutRequest { bank_account: text(".."), ..wish() }),
        ("reason", PayoutRequest { reason: text("rent"), ..wish() }),
        ("source_currency", PayoutRequest { source_currency: Some(text("USDT")), ..wish() }),
        ("source_rail", PayoutRequest { source_rail: Some(text("ETHEREUM")), ..wish() }),
        ("destination_country", PayoutRequest { destination_country: text("Mexico"), ..wish() }),
        ("from_address", PayoutRequest { from_address: Some(text("0x12")), ..wish() }),
        ("from_address", PayoutRequest { from_address: Some(address(0).to_string()), ..wish() }),
        ("from_address", PayoutRequest { fund: Fund::Wallet, from_address: Some(address(9).to_string()), ..wish() }),
        ("document_reference", PayoutRequest { document_reference: Some("x".repeat(256)), ..wish() }),
        ("document_reference", PayoutRequest { document_reference: Some(text("a\nb")), ..wish() }),
        ("reference_id", PayoutRequest { reference_id: Some(text("7")), ..wish() }),
    ]);
    let before = bench.store.contents();
    for (field, request) in cases {
        let refused = life.handle.place_payout(&request).await.unwrap_err();
        assert!(refused.to_string().starts_with(&format!("{field}: ")), "{field}: {refused}");
    }
    assert_eq!(bench.store.contents(), before, "nothing was placed");
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_was_not_opened_is_cancelled() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    bench.shop.held().pays = "1";
    let wish = PayoutRequest { min_destination_amount: Some("2".to_owned()), ..request("rent-1", Fund::ByHand) };
    life.place(&wish).await;
    life.until_state("rent-1", "review").await;
    let refused = life.handle.cancel_payout("rent-1", "  ").await.unwrap_err();
    assert!(refused.to_string().starts_with("reason: "), "{refused}");
    let view = life.handle.cancel_payout("rent-1", "the rate is too bad").await.unwrap();
    assert_eq!((view.state.as_str(), view.next.contains("the rate is too bad")), ("cancelled", true));
    assert!(life.handle.retry_payout("rent-1", "after all").await.is_err());
    life.place(&request("rent-2", Fund::ByHand)).await;
    life.until_state("rent-2", "created").await;
    let refused = life.handle.cancel_payout("rent-2", "no").await.unwrap_err();
    assert!(matches!(&refused, OperatorError::Refused(said) if said.contains("created")), "{refused}");
    let states = |state| {
        let handle = Arc::new(life.handle.clone());
        async move {
            let page = handle.list_payouts(state, None, 9).await.unwrap();
            page.items.into_iter().map(|view| view.reference.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(states(None).await, ["rent-1", "rent-2"]);
    assert_eq!(states(Some("cancelled")).await, ["rent-1"]);
    assert!(life.handle.list_payouts(Some("lost"), None, 9).await.is_err());
    assert!(matches!(life.handle.show_payout("rent-3").await, Err(OperatorError::NotFound(_))));
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_adds_the_address_that_the_api_does_not_tell() {
    let mut bench = Bench::new().await;
    bench.shop.held().told = Told::Never;
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::Wallet)).await;
    let view = life.until_state("rent-1", "review").await;
    assert_eq!(view.review.as_deref(), Some("no_deposit_address"));
    assert!(view.next.contains("rampwatch add pay-000001 rec-1 --deposit-address 0x… --amount …"), "{}", view.next);
    assert!(bench.store.contents().payments.is_empty());
    let add = AddPayment {
        id: PaymentId::new("pay-000001").unwrap(),
        recipient_id: RecipientId::new("rec-1").unwrap(),
        deposit_address: Some(address(1)),
        amount: Some("1000".to_owned()),
        sender: None,
        created_at: None,
        expires_at: None,
        deposit_chain: None,
    };
    life.handle.add(add).await.unwrap();
    let view = life.until("rent-1", "funded", |view| view.order.is_some()).await;
    // What was typed is funded only after an approval.
    assert_eq!((view.state.as_str(), view.order.unwrap().state.as_str()), ("created", "awaiting-approval"));
    let payment = bench.store.payment(&payment_id(1)).await.unwrap().unwrap();
    assert_eq!(payment.terms.address_from, Provenance::Typed);
    life.stop().await;
}

/// F4, F6: a recipient that only a person names is the API's where the payment stands in that recipient's own list.
#[tokio::test(start_paused = true)]
async fn f6_a_recipients_own_list_confirms_who_is_paid() {
    let mut bench = Bench::new().await;
    bench.shop.held().names_recipient = false;
    let opened = |n: u64| ApiPayment {
        recipient_id: RecipientId::new("rec-1").ok(),
        deposit_address: Some(address(n)),
        deposit_amount: Some(Amount::from_base_units(7_000_000)),
        created_at: Some(bench.clock.now()),
        ..ApiPayment::new(payment_id(n), ApiStatus::AwaitingFunds)
    };
    bench.shop.held().payments = vec![opened(1), opened(2), opened(3)];
    let life = bench.start(0);
    let add = |n: u64, recipient: &str| {
        let (id, recipient_id) = (payment_id(n), RecipientId::new(recipient).unwrap());
        let (deposit_address, amount, sender, created_at, expires_at, deposit_chain) = Default::default();
        life.handle.add(AddPayment {
            id,
            recipient_id,
            deposit_address,
            amount,
            sender,
            created_at,
            expires_at,
            deposit_chain,
        })
    };
    assert_eq!(add(1, "rec-1").await.unwrap().terms.recipient_from, Some(Provenance::Api));
    assert_eq!(add(2, "rec-2").await.unwrap().terms.recipient_from, Some(Provenance::Typed), "it is in nobody's list");
    bench.shop.held().list_refused = true;
    assert_eq!(add(3, "rec-1").await.unwrap().terms.recipient_from, Some(Provenance::Typed), "no list, no word");
    life.stop().await;
}

/// S7: a webhook that delivers to somebody else is not changed: neither silenced, nor given a secret of ours.
#[tokio::test(start_paused = true)]
async fn s7_a_webhook_that_delivers_elsewhere_is_not_changed() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let handle = life.handle.clone().with_public_url(Some("https://ours.example/hook".to_owned()));
    let silenced = UpdateRequest { active: Some(false), ..UpdateRequest::default() };
    for change in [UpdateRequest { rotate_secret: true, ..UpdateRequest::default() }, silenced] {
        let refused = handle.update_webhook("wh-1", &change).await.unwrap_err().to_string();
        assert!(refused.contains("ours.example only"), "{refused}");
    }
    life.stop().await;
}

/// S7: what is tried again calls the API as often as what is placed.
#[tokio::test(start_paused = true)]
async fn s7_retries_count_like_what_they_try_again() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let (look, id) = (Decision::Retry { payment: payment_id(9) }, "rent-9");
    for _ in 0..20_000 {
        assert!(matches!(life.handle.retry_payout(id, "again").await, Err(OperatorError::NotFound(_))));
        assert!(matches!(life.handle.resolve(&look, "again").await, Err(OperatorError::NotFound(_))));
    }
    assert!(matches!(life.handle.retry_payout(id, "again").await, Err(OperatorError::TooMany { .. })));
    assert!(matches!(life.handle.resolve(&look, "again").await, Err(OperatorError::TooMany { .. })));
    life.stop().await;
}
