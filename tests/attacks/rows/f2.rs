//! F2: the window of 24 hours lets go of orders that are still open.

use rampwatch::sandbox::fake_api::{Change, NewOffRamp, OffRamp, Told as SaidOfIt};
use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::{LOCAL, Setup};
use crate::world::program::Reply;
use crate::world::{SOON, World, amount, moment, payment_id, recipient_id};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F2",
        what: "an order of the whole daily limit on each of five days, all approved on the last",
        play: |kit, told| Box::pin(play(kit, told, Waits::ForApproval)),
    },
    Row {
        name: "F2 pause",
        what: "the same with a wallet that is paused until the last day",
        play: |kit, told| Box::pin(play(kit, told, Waits::ForTheWallet)),
    },
];

/// What keeps the orders open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    ForApproval,
    ForTheWallet,
}

/// A day, and a minute.
const DAY: u64 = 86_460;

/// How many days.
const DAYS: u64 = 5;

async fn play(kit: Kit, told: Told, waits: Waits) -> Played {
    let mut world = World::started(&kit, Setup { wallet: true, clock: true, ..Setup::default() }).await?;
    if waits == Waits::ForTheWallet {
        let pause = json!({ "reason": "for some days" });
        world.program.insist("/v1/wallet/pause", pause, SOON).await?.done("pausing the wallet")?;
    }
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
        let off_ramp = long_lived(&world, day, waits)?;
        world.add(&off_ramp).await?;
        if matches!(world.try_fund(&off_ramp).await?, Reply::Refused(_)) {
            refused += 1;
        }
        off_ramps.push(off_ramp);
        world.watch(2).await?;
    }
    let mut approved = 0;
    match waits {
        Waits::ForTheWallet => drop(world.program.decide("/v1/wallet/resume").await?.done("resuming the wallet")?),
        Waits::ForApproval => {
            for off_ramp in &off_ramps {
                approved += approve(&world, off_ramp).await?;
            }
        }
    }
    if told == Told::Truth {
        world.completes(&off_ramps[0], "after what it waited for").await?;
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
    Ok(format!("{refused} of {DAYS} orders were refused, {approved} approved; at most {most} of 100 left within a day"))
}

/// Approves the orders of an off-ramp, as far as they can be. Gives how many were.
async fn approve(world: &World, off_ramp: &OffRamp) -> Result<u32, Stop> {
    let mut approved = 0;
    for order in world.orders(off_ramp).await? {
        let reply = world.program.approve_as(LOCAL, &order).await?;
        approved += u32::from(matches!(reply, Reply::Done(_)));
    }
    Ok(approved)
}

/// An off-ramp of 100 that lives for a month. Where its order is to wait for an approval, the API does not tell when it runs
/// out.
fn long_lived(world: &World, day: u64, waits: Waits) -> Result<OffRamp, Stop> {
    let now = world.chain.clock();
    let off_ramp = world.open_as(NewOffRamp {
        id: Some(payment_id(&format!("f2-day-{day}"))?),
        recipient_id: Some(recipient_id(&format!("recipient-{day}"))?),
        amount: amount(100),
        created_at: Some(moment(now)),
        expires_at: Some(moment(now + 30 * DAY)),
        ..NewOffRamp::default()
    })?;
    let told = SaidOfIt { no_expiry: waits == Waits::ForApproval, ..SaidOfIt::default() };
    Ok(world.api.change(&off_ramp.id, Change { told: Some(told), ..Change::default() })?)
}
