//! The daemon's doors: places that are taken, and what lies where the socket should be. Nothing keeps the daemon from
//! watching and completing, and nobody who squats is told anything.

use std::os::unix::fs::FileTypeExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::running::{LIMIT, World, free_port, stop};
use crate::support::eventually;

/// Somebody who has the port, and keeps what he is told.
struct Squatter {
    heard: Arc<Mutex<Vec<u8>>>,
    listens: JoinHandle<()>,
}

impl Squatter {
    async fn at(place: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind(place).await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let listens = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4_096];
                while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut request)).await
                {
                    if count == 0 {
                        break;
                    }
                    kept.lock().unwrap().extend_from_slice(&request[..count]);
                }
            }
        });
        Self { heard, listens }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    async fn leave(self) {
        self.listens.abort();
        assert!(self.listens.await.unwrap_err().is_cancelled());
    }
}

/// Starts the daemon, and waits until commands reach it.
async fn started(world: &World) -> Child {
    let mut daemon = world.place.command(&["run"]).spawn().unwrap();
    reached(world).await;
    assert!(daemon.try_wait().unwrap().is_none());
    daemon
}

/// Waits until commands reach the daemon; while they do not, the store is in use or not yet there.
async fn reached(world: &World) {
    eventually(LIMIT, "commands reach the daemon", || async {
        world.place.path("rampwatch-data/operator.sock").exists() && world.place.run(&["list"]).await.code == 0
    })
    .await;
}

async fn tells(world: &World, words: &str) {
    // A command may have read the token just before it is made anew.
    let told = || async {
        let ran = world.place.run(&["events"]).await;
        ran.code == 0 && ran.out.contains(words)
    };
    eventually(LIMIT, words, told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_taken_port_stops_neither_watching_nor_completing() {
    let world = World::new().await;
    let inlet = free_port();
    let hook = format!("\n[webhook]\nsecret_env = \"RAMPWATCH_API_KEY\"\nlisten = \"{inlet}\"\n");
    let text = std::fs::read_to_string(world.place.path("config.toml")).unwrap();
    world.place.write("config.toml", &format!("{text}{hook}"));
    let (api, webhook) = (Squatter::at(world.listen).await, Squatter::at(inlet).await);
    let daemon = started(&world).await;
    tells(&world, "nothing listens at http.listen").await;
    tells(&world, "nothing listens at webhook.listen").await;

    let id = world.open(1, 25_000_000);
    world.place.run(&["add", id.as_str(), "recipient-1"]).await.data();
    world.pay_and_complete(&id, 25_000_000).await;
    assert_eq!((api.heard().as_str(), webhook.heard().as_str()), ("", ""), "nobody has asked the squatters");

    api.leave().await;
    webhook.leave().await;
    tells(&world, "rampwatch listens again at http.listen").await;
    tells(&world, "rampwatch listens again at webhook.listen").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (client, url) = (&client, &format!("http://{}/readyz", world.listen));
    eventually(LIMIT, "it answers over TCP", || async move {
        client.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    assert_eq!(stop(daemon, "TERM").await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_squatter_gets_no_token() {
    let world = World::new().await;
    world
        .place
        .edit("# token_file = \"rampwatch-data/operator-token\"", "token_file = \"rampwatch-data/operator-token\"");
    let token =
        || std::fs::read_to_string(world.place.path("rampwatch-data/operator-token")).unwrap().trim().to_owned();
    // The port is free only once the daemon is down: then he takes it, and what he is given is worth nothing.
    let daemon = world.start().await;
    let first = token();
    assert_eq!(stop(daemon, "TERM").await.code, 0);
    let squatter = Squatter::at(world.listen).await;
    world.place.run(&["list"]).await.fails(6, &["http.listen"]);
    assert!(squatter.heard().contains(&first), "over TCP whoever has the port is shown the token that has run out");
    let daemon = started(&world).await;
    let second = token();
    assert_ne!(first, second);
    world.place.run(&["list"]).await.data();
    assert!(!squatter.heard().contains(&second), "with a daemon that runs, nobody asks him");
    squatter.leave().await;
    tells(&world, "rampwatch listens again at http.listen").await;
    eventually(LIMIT, "the token is another again", || async { token() != second }).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (client, url) = (&client, &format!("http://{}/v1/payments", world.listen));
    let status =
        |given: String| async move { client.get(url).bearer_auth(given).send().await.unwrap().status().as_u16() };
    for (given, expected) in [(first, 401), (second, 401), (token(), 200)] {
        assert_eq!(status(given).await, expected);
    }
    assert_eq!(stop(daemon, "TERM").await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_killed_daemon_s_socket_is_in_nobody_s_way() {
    let world = World::new().await;
    let socket = world.place.path("rampwatch-data/operator.sock");
    let mut daemon = world.start().await;
    daemon.kill().await.unwrap();
    assert!(std::fs::symlink_metadata(&socket).unwrap().file_type().is_socket(), "it was left behind");
    world.place.run(&["list"]).await.data();
    let daemon = world.start().await;
    reached(&world).await;
    assert_eq!(stop(daemon, "TERM").await.code, 0);
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_file_in_the_socket_s_place_is_told_and_left_alone() {
    let world = World::new().await;
    let socket = world.place.path("here.sock");
    world.place.edit("[http]", "[http]\nsocket = \"here.sock\"");
    world.place.write("here.sock", "somebody's notes");
    world.place.run(&["config", "check"]).await.fails(3, &["here.sock", "is no socket", "move it away"]);
    let daemon = world.start().await;
    world.place.run(&["list"]).await.fails(6, &["here.sock", "is no socket"]);
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "somebody's notes");
    std::fs::remove_file(&socket).unwrap();
    eventually(LIMIT, "the socket is there", || async { socket.exists() }).await;
    tells(&world, "nothing listens at http.socket").await;
    tells(&world, "rampwatch listens again at http.socket").await;
    assert_eq!(stop(daemon, "TERM").await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_store_that_lies_too_deep_for_a_socket_is_watched_all_the_same() {
    let world = World::new().await;
    let deep = format!("path = \"{}/rampwatch-data\"", ["deep"; 24].join("/"));
    world.place.edit("path = \"rampwatch-data\"", &deep);
    world.place.run(&["config", "check"]).await.fails(3, &["http.socket", "107", "set http.socket to"]);
    let daemon = world.start().await;
    world.place.run(&["list"]).await.fails(6, &["http.socket", "107", "set http.socket to", "is in use"]);
    assert_eq!(stop(daemon, "TERM").await.code, 0);
    assert!(world.place.run(&["events"]).await.data().contains("nothing listens at http.socket"));
}
