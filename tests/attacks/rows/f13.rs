//! F13: whoever is first at the port gets the token, and keeps the program from starting.

use crate::kit::Kit;
use crate::row::{Played, Row, Stop, Told, broken};
use crate::world::config::Setup;
use crate::world::stranger::Stranger;
use crate::world::within::within;
use crate::world::{SOON, World};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F13 token",
        what: "somebody listens at the port while the program is down, and a person lists the payments",
        play: |kit, told| Box::pin(token(kit, told)),
    },
    Row {
        name: "F13 port",
        what: "somebody else has the port when the program starts; then a deposit",
        play: |kit, told| Box::pin(port(kit, told)),
    },
];

async fn token(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    let off_ramp = world.opened("f13-token", 10).await?;
    let mut heard = String::new();
    if told == Told::Lie {
        world.program.stop().await?;
        let squatter = Stranger::listen(world.program.address()).await?;
        world.program.run(&["list"]).await?;
        heard = squatter.heard();
        squatter.go().await;
        world.program.start().await?;
    } else {
        let (listed, said) = world.program.run(&["list"]).await?;
        if !listed || !said.contains(off_ramp.id.as_str()) {
            return broken(format!("a person cannot list the payments: {said}"));
        }
    }
    // What he was given opens nothing, now that the program is back.
    let given: Vec<&str> = heard.lines().filter_map(bearer).collect();
    for token in &given {
        let client = reqwest::Client::builder().no_proxy().build().map_err(|error| Stop::Fault(error.to_string()))?;
        let url = format!("http://{}/v1/payments", world.program.address());
        let answer = client.get(url).bearer_auth(token).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return broken("a squatter was given a token, and it opens the operator API");
        }
    }
    world.pay(&off_ramp);
    world.completes(&off_ramp, "after a squatter").await?;
    Ok(format!("the squatter was given {} tokens, and none opens anything", given.len()))
}

/// The token in a line of a request.
fn bearer(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    name.eq_ignore_ascii_case("authorization").then(|| value.trim().trim_start_matches("Bearer ").trim())
}

async fn port(kit: Kit, told: Told) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    let off_ramp = world.opened("f13-port", 10).await?;
    world.program.stop().await?;
    let squatter = match told {
        Told::Lie => Some(Stranger::listen(world.program.address()).await?),
        Told::Truth => None,
    };
    world.program.spawn()?;
    world.watch(3).await?;
    world.pay(&off_ramp);
    world.completes(&off_ramp, "with its port taken").await?;
    if let Some(squatter) = squatter {
        squatter.go().await;
    }
    // The port is free: what listens there next is the program.
    let back = within(SOON, async || world.program.show(&format!("/v1/payments/{}", off_ramp.id)).await.is_ok());
    if !back.await {
        return broken("it does not listen, though its port is free again");
    }
    Ok("the payment was completed, and it listens again".to_owned())
}
