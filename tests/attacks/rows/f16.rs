//! F16, F20 and F21: files and variables that others have a hand in.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use crate::kit::Kit;
use crate::row::{Played, Row, Told, broken};
use crate::world::World;
use crate::world::config::Setup;
use crate::world::program::Started;
use crate::world::stranger::Stranger;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "F16",
        what: "a person stands in a folder whose config.toml everybody may write, and asks for a check-up",
        play: |kit, told| Box::pin(folder(kit, told, 0o666, "RAMPWATCH_API_KEY")),
    },
    Row {
        name: "F16 variable",
        what: "the same with a file of nobody else's, which names a variable that is none of rampwatch's",
        play: |kit, told| Box::pin(folder(kit, told, 0o644, "A_SECRET_OF_MINE")),
    },
    Row { name: "F20", what: "the proxy variables name somebody", play: |kit, told| Box::pin(proxy(kit, told)) },
    Row {
        name: "F21",
        what: "the store's folder was there before, and everybody may read it",
        play: |kit, told| Box::pin(store(kit, told)),
    },
];

/// What must not leave.
const SECRET: &str = "sk_live_do_not_tell_anybody";

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn folder(kit: Kit, told: Told, mode: u32, variable: &str) -> Played {
    let mut world = World::started(&kit, Setup::default()).await?;
    if told == Told::Lie {
        let stranger = Stranger::listen(ANY_PORT).await?;
        let his = world.folder().join("his");
        std::fs::create_dir(&his)?;
        let text = std::fs::read_to_string(world.folder().join("config.toml"))?;
        let ours = format!("base_url = \"{}\"", world.api.base_url());
        let text = text.replace(&ours, &format!("base_url = \"http://{}/api/v1\"", stranger.address()));
        let text = text.replace("RAMPWATCH_API_KEY", variable).replace("/store\"", "/his/store\"");
        let file = his.join("config.toml");
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?;
        let (_, said) = world.program.run_in(&his, (variable, SECRET), &["doctor"]).await?;
        if stranger.heard().contains(SECRET) {
            return broken("a file of whatever folder one stands in had a secret sent to its own address");
        }
        if !said.contains("config.toml") {
            return broken(format!("nothing was sent, but the file is not named: {said}"));
        }
    }
    let off_ramp = world.opened("f16", 10).await?;
    world.pay(&off_ramp);
    world.completes(&off_ramp, "with its own configuration").await?;
    Ok("nothing was sent to the stranger".to_owned())
}

async fn proxy(kit: Kit, told: Told) -> Played {
    let stranger = Stranger::listen(ANY_PORT).await?;
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let variable = |name| (name, format!("http://{}", stranger.address()));
    let environment = if told == Told::Lie { names.map(variable).to_vec() } else { Vec::new() };
    let mut world = World::new(&kit, Setup { wallet: true, environment, ..Setup::default() }).await?;
    if let Started::Ended { words, .. } = world.program.try_start().await? {
        let to_proxy = stranger.heard().lines().next().unwrap_or_default().to_owned();
        return broken(format!("the proxy was sent {to_proxy}, and it did not start: {words}"));
    }
    let off_ramp = world.opened("f20", 10).await?;
    world.fund(&off_ramp).await?;
    let done = world.completes(&off_ramp, "with proxy variables").await;
    if let Some(line) = stranger.heard().lines().next() {
        return broken(format!("the proxy was sent {line}"));
    }
    done?;
    Ok("the proxy was sent nothing".to_owned())
}

async fn store(kit: Kit, told: Told) -> Played {
    let mut world = World::new(&kit, Setup::default()).await?;
    let store = world.folder().join("store");
    if told == Told::Lie {
        std::fs::create_dir(&store)?;
        std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o755))?;
    }
    world.program.start().await?;
    let off_ramp = world.opened("f21", 10).await?;
    world.pay(&off_ramp);
    world.completes(&off_ramp, "with the store's folder").await?;
    let mode = std::fs::metadata(&store)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return broken(format!("others may look into the store's folder: its mode is {mode:04o}"));
    }
    Ok(format!("the mode of the store's folder is {mode:04o}"))
}
