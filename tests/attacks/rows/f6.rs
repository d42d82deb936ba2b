//! F6 and F12: what is typed of a payment satisfies a rule.

use rampwatch::sandbox::fake_api::{Change, Told as SaidOfIt};
use serde_json::{Value, json};

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::{Setup, soon_ended};
use crate::world::program::Reply;
use crate::world::{World, payment_id};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F6",
        what: "a payment of a recipient who is not allowed, typed as one of somebody who is; the API does not tell whose it is",
        play: |kit, told| Box::pin(recipient(kit, told)),
    },
    Row {
        name: "F12",
        what: "the API does not tell when a payment runs out, which needs an approval; somebody types it",
        play: |kit, told| Box::pin(expiry(kit, told)),
    },
];

async fn recipient(kit: Kit, told: Told) -> Played {
    let keys = vec![soon_ended(), ("funding", "allowed_recipients", "[\"recipient-good\"]".to_owned())];
    let mut world = World::started(&kit, Setup { wallet: true, keys, ..Setup::default() }).await?;
    let whose = if told == Told::Lie { "recipient-bad" } else { "recipient-good" };
    let off_ramp = world.open_of("f6", 90, whose)?;
    say(&world, "f6", SaidOfIt { no_recipient: true, ..SaidOfIt::default() })?;
    let body = json!({ "id": off_ramp.id, "recipient_id": "recipient-good" });
    let added = world.program.request("/v1/payments", body).await?;
    if told == Told::Truth {
        added.done("adding a payment")?;
        world.fund(&off_ramp).await?;
        world.completes(&off_ramp, "that stands in its recipient's list").await?;
        return Ok("a payment that stands in the list of an allowed recipient was paid and completed".to_owned());
    }
    unpaid(&mut world, &off_ramp, "a recipient who was only typed").await
}

async fn expiry(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, ..Setup::default() }).await?;
    let off_ramp = world.open("f12", 90)?;
    let mut body = json!({ "id": off_ramp.id, "recipient_id": off_ramp.recipient_id });
    if told == Told::Lie {
        say(&world, "f12", SaidOfIt { no_expiry: true, ..SaidOfIt::default() })?;
        body["expires_at"] = Value::from("2099-01-01T00:00:00Z");
    }
    world.program.request("/v1/payments", body).await?.done("adding a payment")?;
    if told == Told::Truth {
        world.fund(&off_ramp).await?;
        world.completes(&off_ramp, "whose end the API tells").await?;
        return Ok("a payment whose end the API tells was paid and completed".to_owned());
    }
    unpaid(&mut world, &off_ramp, "an end that was only typed").await
}

fn say(world: &World, id: &str, told: SaidOfIt) -> Result<(), crate::row::Stop> {
    world.api.change(&payment_id(id)?, Change { told: Some(told), ..Change::default() })?;
    Ok(())
}

/// Asks for it to be funded: nothing may leave without an approval.
async fn unpaid(world: &mut World, off_ramp: &rampwatch::sandbox::fake_api::OffRamp, with: &str) -> Played {
    let reply = world.try_fund(off_ramp).await?;
    world.watch(15).await?;
    let (_, units) = world.left_the_wallet();
    if units > 0 {
        return broken(format!("with {with}, {units} left and nobody had approved it"));
    }
    Ok(match reply {
        Reply::Refused(why) => format!("with {with}, funding was refused: {why}"),
        Reply::Done(order) => format!("with {with}, the order waits: {}", order["state"]),
    })
}
