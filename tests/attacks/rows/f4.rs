//! F4: whoever types where the money goes approves that it goes there.

use alloy::primitives::Address;
use rampwatch::sandbox::fake_api::Shape;
use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::config::{Setup, soon_ended};
use crate::world::program::Reply;
use crate::world::within::within;
use crate::world::{SOON, World};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "F4",
    what: "alice types an address of her own for a true payment, the automatic mode places, and alice approves",
    play: |kit, told| Box::pin(play(kit, told)),
}];

/// An address of alice's.
const HERS: Address = Address::repeat_byte(0x66);

async fn play(kit: Kit, told: Told) -> Played {
    let setup = Setup {
        wallet: true,
        tokens: vec![("alice", r#""read", "operate", "approve""#), ("bob", r#""read", "approve""#)],
        keys: vec![
            soon_ended(),
            ("funding", "auto", "true".to_owned()),
            ("funding", "auto_max_per_day", "\"100\"".to_owned()),
            ("funding", "allowed_bank_accounts", "[\"bank-f4\"]".to_owned()),
        ],
        ..Setup::default()
    };
    let mut world = World::started(&kit, setup).await?;
    // The API tells nothing of where the money goes, nor how much.
    world.api.behave(|behaviour| behaviour.shape = Shape::Reference);
    let off_ramp = world.open_at("f4", 90, "bank-f4", None)?;
    let to = if told == Told::Lie { HERS } else { off_ramp.deposit_address };
    let body = json!({
        "id": off_ramp.id, "recipient_id": off_ramp.recipient_id, "amount": "90",
        "deposit_address": to.to_checksum(None),
    });
    world.program.request_as("alice", "/v1/payments", body).await?.done("adding a payment")?;
    let mut order = None;
    within(SOON, async || {
        let orders = world.orders(&off_ramp).await.unwrap_or_default();
        order = orders.first().cloned();
        order.is_some()
    })
    .await;
    let Some(order) = order else { return broken("the automatic mode has not placed an order") };
    let by = if told == Told::Lie { "alice" } else { "bob" };
    let reply = world.program.approve_as(by, &order).await?;
    if told == Told::Truth {
        reply.done("bob's approval of what alice has typed")?;
        world.completes(&off_ramp, "after bob's approval").await?;
        return Ok("bob approved, and it was paid and completed".to_owned());
    }
    world.watch(15).await?;
    let (times, units) = world.left_the_wallet();
    match reply {
        Reply::Done(_) => broken(format!("alice approved what she has typed: {units} left in {times} transfers")),
        Reply::Refused(_) if times > 0 => broken(format!("alice's approval was refused, and yet {units} left")),
        Reply::Refused(why) => Ok(format!("alice's approval was refused: {why}")),
    }
}
