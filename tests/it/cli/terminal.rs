//! The daemon on a terminal: the progress bar.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::running::{LIMIT, World};
use super::{KEY, RPC_KEY};
use crate::support::records::address;

/// What runs the daemon on a terminal of its own, and says which process it is.
const SHELL: &str = "stty cols 100 rows 30; echo $$ > pid; exec \"$RAMPWATCH\" run";

/// Whether the `script` of util-linux is here, whose flags are meant.
pub(crate) async fn has_script() -> bool {
    let output = Command::new("script").arg("--version").stdin(Stdio::null()).output().await;
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_is_shown_while_the_sweep_catches_up() {
    if !has_script().await {
        eprintln!("not shown here: there is no `script` of util-linux to make a terminal");
        return;
    }
    let world = World::new().await;
    let created_at = jiff::Timestamp::from_second(i64::try_from(world.chain.head().time).unwrap() - 120).unwrap();
    // No block is dated in the future, which nobody would believe.
    world.chain.set_block_time(0);
    world.chain.append_empty(2_000);
    world.chain.set_block_time(2);
    // Eighty blocks at a time, and none of them at once.
    world.place.edit("max_block_range = 2000", "max_block_range = 10");
    world.node.behave(|it| it.latency = Duration::from_millis(150));
    let (to, created_at) = (address(1).to_string(), created_at.to_string());
    let add = ["add", "pay-1", "rec-1", "--deposit-address", &to, "--amount", "5", "--created-at", &created_at];
    world.place.run_without_key(&add).await.data();
    let mut command = Command::new("script");
    command.args(["-qec", SHELL, "/dev/null"]).current_dir(world.place.path("")).env_clear();
    command.envs([("RAMPWATCH", env!("CARGO_BIN_EXE_rampwatch")), ("RAMPWATCH_API_KEY", KEY), ("TERM", "xterm")]);
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("SHELL", "/bin/sh");
    // What `script` reads stays open: it would take its end for the terminal's.
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (_stdin, mut screen) = (child.stdin.take(), child.stdout.take().unwrap());
    let mut shown = String::new();
    let mut bytes = [0; 4_096];
    let read = async {
        let mut healed = false;
        loop {
            let count = screen.read(&mut bytes).await.unwrap();
            if count == 0 {
                break;
            }
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
            if !healed && shown.contains("catching up [=") {
                // It has moved; now the rest may go quickly, and the daemon is told to stop.
                healed = true;
                world.node.heal();
                let pid = std::fs::read_to_string(world.place.path("pid")).unwrap();
                let sent = Command::new("kill").args(["-s", "TERM", pid.trim()]).status().await.unwrap();
                assert!(sent.success());
            }
        }
        healed
    };
    let healed = tokio::time::timeout(LIMIT, read).await.expect("the daemon ends");
    assert!(healed, "no bar in {shown}");
    assert!(shown.contains(" blocks, ") && shown.contains("rampwatch is down"), "{shown}");
    assert!(!shown.contains(KEY) && !shown.contains(RPC_KEY), "{shown}");
    assert!(child.wait().await.unwrap().success(), "{shown}");
}
