//! F10: one refusal shuts the API for all.

use rampwatch::sandbox::fake_api::{Call, Fault, FaultRule, When};
use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::Setup;
use crate::world::within::within;
use crate::world::{SOON, World};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F10",
        what: "one payment is answered 403 when it is looked at; another one is paid",
        play: |kit, told| Box::pin(play(kit, told, Call::Get)),
    },
    Row {
        name: "F10 complete",
        what: "the completion of one payment is answered 403; another one is paid",
        play: |kit, told| Box::pin(play(kit, told, Call::Complete)),
    },
];

async fn play(kit: Kit, told: Told, call: Call) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    let refused = world.opened("f10-refused", 10).await?;
    let other = world.opened("f10", 20).await?;
    world.watch(3).await?;
    if told == Told::Lie {
        world.api.add_fault(FaultRule {
            call,
            payment: Some(refused.id.clone()),
            when: When::PerMille(1_000),
            fault: Fault::status(403),
        })?;
    }
    match call {
        Call::Complete => drop(world.pay(&refused)),
        _ => {
            let retry = json!({ "action": "retry", "payment": refused.id, "reason": "look at it now" });
            drop(world.program.request("/v1/resolve", retry).await?);
        }
    }
    let asked = || {
        world
            .api
            .journal()
            .iter()
            .any(|entry| entry.call == call && entry.payment.as_deref() == Some(refused.id.as_str()))
    };
    if !within(SOON, async || asked()).await {
        return broken("the API was never asked about the payment that it refuses");
    }
    world.watch(3).await?;
    world.pay(&other);
    world.completes(&other, "beside a payment that the API refuses").await?;
    if call == Call::Complete && told == Told::Lie {
        let in_review = within(SOON, async || {
            let reviews = world.program.show("/v1/reviews?limit=100").await;
            reviews.is_ok_and(|reviews| reviews.to_string().contains(refused.id.as_str()))
        });
        if !in_review.await {
            return broken("a payment whose completion is refused is no review");
        }
    }
    Ok("the other payment was completed".to_owned())
}
