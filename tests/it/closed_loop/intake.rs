//! Intake in the closed loop: what somebody else opens is completed, and nobody has added it.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::{ApiStatus, PaymentId, RecipientId, UserId};
use rampwatch::domain::time::Span;
use rampwatch::engine::{EngineSettings, IntakeRules};
use rampwatch::ports::payment_api::ApiPayment;
use rampwatch::ports::store::Store;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, now, pay, place, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, Node, NodeOptions, ScriptedChain};

/// An off-ramp of `n` base units to the `n`th place, opened by somebody else.
fn foreign(n: u64, chain: &ScriptedChain) -> ApiPayment {
    ApiPayment {
        recipient_id: Some(RecipientId::new("recipient").unwrap()),
        deposit_address: Some(place(n)),
        deposit_amount: Some(Amount::from_base_units(u128::from(n))),
        deposit_chain: Some("POLYGON".to_owned()),
        created_at: Some(now(chain)),
        ..ApiPayment::new(PaymentId::new(format!("p-{n}")).unwrap(), ApiStatus::AwaitingFunds)
    }
}

fn following(users: &[&str], recipients: &[&str]) -> EngineSettings {
    let intake = IntakeRules {
        users: users.iter().map(|id| UserId::new(*id).unwrap()).collect(),
        recipients: recipients.iter().map(|id| RecipientId::new(*id).unwrap()).collect(),
        interval: Span::from_millis(100),
        currency: "USDC".to_owned(),
    };
    EngineSettings { intake, ..quick_settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_opens_is_completed_though_nobody_has_added_it() {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    let api = PlainApi::default();
    // The first was opened, and paid, before anybody looked.
    api.open(foreign(1, &chain));
    chain.append(pay(1));
    chain.append_empty(4_000);
    let rig = Rig::start(&[urls(&node)], following(&["user"], &["recipient"]), MemoryStore::new(), api.clone());
    for n in 2..=5 {
        api.open(foreign(n, &chain));
        chain.append(pay(n));
    }
    chain.append_empty(5);
    for n in 1..=5 {
        let id = PaymentId::new(format!("p-{n}")).unwrap();
        eventually(LIMIT, "it is taken up", || async { rig.store.payment(&id).await.unwrap().is_some() }).await;
    }
    for n in 1..=5 {
        rig.wait_for(&PaymentId::new(format!("p-{n}")).unwrap(), "ended").await;
    }
    assert_eq!(api.completions().len(), 5, "each once");
    rig.stop().await;
}
