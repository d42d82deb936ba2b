//! F2: the window of 24 hours lets go of orders that are still open.

use rampwatch::sandbox::stand_in::{Change, NewOffRamp, OffRamp, Told as SaidOfIt};

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::Setup;
use crate::world::program::Reply;
use crate::world::{World, amount, moment, payment_id, recipient_id};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "F2",
    what: "an order of the whole daily limit on each of five days, all approved on the last",
    play: |kit, told| Box::pin(play(kit, told)),
}];

/// A day, and a minute.
const DAY: u64 = 86_460;

/// How many days.
const DAYS: u64 = 5;

async fn play(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, clock: true, ..Setup::default() }).await?;
    let mut off_ramps = Vec::new();
    let mut refused = 0;
    let days = if told == Told::Lie { DAYS } else { 1 };
    for day in 0..days {
        if day > 0 {
            world.program.stop().await?;
            world.chain.pass(DAY);
            world.set_clock_ahead(day * DAY)?;
            world.program.start().await?;
        }
        let off_ramp = without_expiry(&world, day)?;
        world.add(&off_ramp).await?;
        if matches!(world.try_fund(&off_ramp).await?, Reply::Refused(_)) {
            refused += 1;
        }
        off_ramps.push(off_ramp);
        world.watch(2).await?;
    }
    let mut approved = 0;
    for off_ramp in &off_ramps {
        for order in world.orders(off_ramp).await? {
            let id = order["id"].as_str().unwrap_or_default();
            let reply = world.program.decide(&format!("/v1/orders/{id}/approve")).await?;
            approved += usize::from(matches!(reply, Reply::Done(_)));
        }
    }
    if told == Told::Truth {
        world.completes(&off_ramps[0], "after its approval").await?;
        return Ok("the one order was paid and completed".to_owned());
    }
    world.watch(30).await?;
    let (times, units) = world.left_the_wallet();
    let most = world.most_in_a_day();
    let spent = world.spent().await?;
    if most > 100 {
        return broken(format!(
            "with 100 a day, {units} left the wallet in {times} transfers, {most} within a day; {spent} count as spent"
        ));
    }
    Ok(format!("{refused} of {DAYS} orders refused, {approved} approved; at most {most} of 100 left within a day"))
}

/// An off-ramp of 100 of which the API does not tell when it runs out, so that its order waits for an approval.
fn without_expiry(world: &World, day: u64) -> Result<OffRamp, Stop> {
    let now = world.chain.clock();
    let off_ramp = world.open_as(NewOffRamp {
        id: Some(payment_id(&format!("f2-day-{day}"))?),
        recipient_id: Some(recipient_id(&format!("recipient-{day}"))?),
        amount: amount(100),
        created_at: Some(moment(now)),
        expires_at: Some(moment(now + 30 * DAY)),
        ..NewOffRamp::default()
    })?;
    let told = SaidOfIt { no_expiry: true, ..SaidOfIt::default() };
    Ok(world.api.change(&off_ramp.id, Change { told: Some(told), ..Change::default() })?)
}
