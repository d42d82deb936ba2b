//! F5: an API that lies to the automatic mode.

use alloy::primitives::Address;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::World;
use crate::world::config::{Setup, soon_ended};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F5",
        what: "the API lists 14 payments to one address of its own, with the bank account and recipient that are allowed",
        play: |kit, told| Box::pin(play(kit, told, Guard::Limit)),
    },
    Row {
        name: "F5 addresses",
        what: "the same where the configuration names the addresses that money may go to",
        play: |kit, told| Box::pin(play(kit, told, Guard::Addresses)),
    },
    Row {
        name: "F5 no limit",
        what: "the automatic mode without a limit of its own",
        play: |kit, told| Box::pin(play(kit, told, Guard::Nothing)),
    },
];

/// What stands between the API and the wallet, besides its limits of 500.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// 100 a day for the automatic mode.
    Limit,
    /// The same, and a list of addresses.
    Addresses,
    /// Not even that; in the control there is.
    Nothing,
}

/// Where true money goes.
const RIGHT: Address = Address::repeat_byte(0x11);

/// An address of the liar's.
const WRONG: Address = Address::repeat_byte(0x66);

async fn play(kit: Kit, told: Told, guard: Guard) -> Played {
    let mut keys = vec![
        soon_ended(),
        ("intake", "recipients", "[\"recipient-f5\"]".to_owned()),
        ("intake", "interval", "\"1s\"".to_owned()),
        ("funding", "auto", "true".to_owned()),
        ("funding", "allowed_recipients", "[\"recipient-f5\"]".to_owned()),
        ("funding", "allowed_bank_accounts", "[\"bank-f5\"]".to_owned()),
    ];
    if guard != Guard::Nothing || told == Told::Truth {
        keys.push(("funding", "auto_max_per_day", "\"100\"".to_owned()));
    }
    if guard == Guard::Addresses {
        keys.push(("funding", "allowed_addresses", format!("[\"{RIGHT}\"]")));
    }
    let mut world = World::started(&kit, Setup { wallet: true, limit: 500, keys, ..Setup::default() }).await?;
    if told == Told::Truth {
        let off_ramp = world.open_at("f5-true", 50, "bank-f5", Some(("recipient-f5", RIGHT)))?;
        world.completes(&off_ramp, "by the automatic mode").await?;
        return Ok("a true payment was paid and completed by the automatic mode".to_owned());
    }
    for nth in 0..14 {
        world.open_at(&format!("f5-{nth}"), 50, "bank-f5", Some(("recipient-f5", WRONG)))?;
    }
    world.watch(40).await?;
    let (times, units) = world.left_the_wallet();
    let most = if guard == Guard::Limit { 100 } else { 0 };
    if units > most {
        return broken(format!("{units} left to the liar's address in {times} transfers, where at most {most} may"));
    }
    Ok(format!("{units} of at most {most} left in {times} transfers"))
}
