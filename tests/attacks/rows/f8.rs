//! F8: a restored store, or a clock that jumps, begins a new day.

use std::path::Path;
use std::time::Duration;

use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};
use serde_json::json;

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::Setup;
use crate::world::program::Reply;
use crate::world::{World, amount, moment, payment_id};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F8 restore",
        what: "90 of 100 a day are sent, the store is restored and the wallet adopted; then another 90",
        play: |kit, told| Box::pin(restored(kit, told)),
    },
    Row {
        name: "F8 clock",
        what: "100 of 100 a day are sent, the clock jumps ahead by a day, and the chain's does not; then another 100",
        play: |kit, told| Box::pin(jumped(kit, told)),
    },
];

/// How long is watched for money that must not leave.
const WATCHED: u64 = 25;

async fn restored(kit: Kit, told: Told) -> Played {
    let setup = Setup { endpoints: vec!["first", "second"], wallet: true, ..Setup::default() };
    let mut world = World::started(&kit, setup).await?;
    let first = world.opened("f8-first", 90).await?;
    let second = world.opened("f8-second", if told == Told::Lie { 90 } else { 10 }).await?;
    world.watch(3).await?;
    let (store, copy) = (world.folder().join("store"), world.folder().join("copy"));
    world.program.stop().await?;
    copy_folder(&store, &copy)?;
    world.program.start().await?;
    world.fund(&first).await?;
    world.completes(&first, "before the store is restored").await?;
    world.program.stop().await?;
    std::fs::remove_dir_all(&store)?;
    copy_folder(&copy, &store)?;
    world.program.start().await?;
    // It halts as soon as the nodes count more transactions than the store; adopting ends that.
    let reason = json!({ "reason": "restored from a copy" });
    world.program.insist("/v1/wallet/adopt", reason, Duration::from_secs(30)).await?.done("adopting the wallet")?;
    within_limit(&mut world, &second, told).await
}

async fn jumped(kit: Kit, told: Told) -> Played {
    let setup = Setup { endpoints: vec!["first", "second"], wallet: true, clock: true, ..Setup::default() };
    let mut world = World::started(&kit, setup).await?;
    let units = if told == Told::Lie { 100 } else { 50 };
    // They run out in a week, so that the jump does not end them.
    let in_a_week = |id| -> Result<NewOffRamp, Stop> {
        let expires_at = Some(moment(world.chain.clock() + 7 * 86_400));
        Ok(NewOffRamp { id: Some(payment_id(id)?), amount: amount(units), expires_at, ..NewOffRamp::default() })
    };
    let first = world.open_as(in_a_week("f8-first")?)?;
    let second = world.open_as(in_a_week("f8-second")?)?;
    world.add(&first).await?;
    world.add(&second).await?;
    world.fund(&first).await?;
    world.completes(&first, "before the clock jumps").await?;
    if told == Told::Lie {
        world.set_clock_ahead(86_401)?;
        world.watch(2).await?;
    }
    within_limit(&mut world, &second, told).await
}

/// Asks for a second payment, which is within the limit in the control alone.
async fn within_limit(world: &mut World, second: &OffRamp, told: Told) -> Played {
    if told == Told::Truth {
        world.fund(second).await?;
        world.completes(second, "though it is within the limit").await?;
        return Ok("both payments were paid and completed".to_owned());
    }
    let reply = world.try_fund(second).await?;
    world.watch(WATCHED).await?;
    let (times, units) = world.left_the_wallet();
    let most = world.most_in_a_day();
    if most > 100 {
        return broken(format!("with 100 a day, {units} left the wallet in {times} transfers, {most} within a day"));
    }
    let how = if matches!(reply, Reply::Refused(_)) { "refused" } else { "taken and not paid" };
    Ok(format!("{most} of 100 left within a day; the second order was {how}"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Stop> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
