//! The real binary: `notify test`, `notices`, and what its output holds.

use std::process::{Output, Stdio};

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::ports::store::Store as _;
use tempfile::TempDir;
use tokio::process::Command;

use super::http::{Hook, SECRET, URL_KEY};
use crate::store::specimens;
use crate::support::temp_dir;

fn place(endpoints: &str) -> TempDir {
    let folder = temp_dir();
    let text = rampwatch::config::EXAMPLE.replace("127.0.0.1:8787", "127.0.0.1:0");
    std::fs::write(folder.path().join("config.toml"), format!("{text}\n[notify]\n{endpoints}")).unwrap();
    folder
}

async fn run(folder: &TempDir, arguments: &[&str], url: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rampwatch"));
    command.args(arguments).current_dir(folder.path()).env_clear();
    command.env("RAMPWATCH_HOOK_URL", url).env("RAMPWATCH_HOOK_SECRET", SECRET).env("RAMPWATCH__LOG__FILTER", "trace");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    for secret in [URL_KEY, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert!(!out.contains(secret) && !err.contains(secret), "{out}{err}");
    }
    (status.code().unwrap(), out, err)
}

const TWO: &str = "\
[[notify.endpoints]]
name = \"treasury\"
url_env = \"RAMPWATCH_HOOK_URL\"
secret_env = \"RAMPWATCH_HOOK_SECRET\"
[[notify.endpoints]]
name = \"chat\"
form = \"slack\"
url_env = \"RAMPWATCH_HOOK_URL\"
kinds = [\"review\", \"completed\"]
";

#[tokio::test]
async fn a_test_message_says_of_each_endpoint_whether_it_works() {
    let hook = Hook::open().await;
    let folder = place(TWO);
    let (code, out, err) = run(&folder, &["notify", "test"], &hook.url()).await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "treasury: delivered\nchat: delivered\n", ""));
    let (code, out, _) = run(&folder, &["notify", "test", "--endpoint", "chat"], &hook.url()).await;
    assert_eq!((code, out.as_str()), (0, "chat: delivered\n"));
    let came = hook.came();
    assert_eq!(came.len(), 3);
    assert!(came[0].headers.contains_key("webhook-signature"));
    let body: serde_json::Value = serde_json::from_slice(&came[2].body).unwrap();
    assert!(body["text"].as_str().unwrap().starts_with("*A test: rampwatch can reach you here*\n"));

    hook.answers(404, vec![]);
    let (code, out, err) = run(&folder, &["notify", "test"], &hook.url()).await;
    let said = "not delivered: HTTP 404 Not Found\n";
    assert_eq!((code, out), (6, format!("treasury: {said}chat: {said}")));
    assert!(err.contains("error: 2 of the endpoints did not take the message"), "{err}");

    let (code, _, err) = run(&folder, &["notify", "test", "--endpoint", "nobody"], &hook.url()).await;
    assert!(code == 2 && err.contains("there are: treasury, chat"), "{code} {err}");
    let (code, _, err) = run(&folder, &["notify", "test"], &format!("http://far.example/{URL_KEY}")).await;
    assert!(code == 3 && err.contains("url_env") && err.contains("https://"), "{code} {err}");
    assert!(!folder.path().join("rampwatch-data").exists(), "a test leaves nothing behind");
}

#[tokio::test]
async fn notices_are_listed_with_how_far_they_are() {
    let folder = place(TWO);
    let store = SledStore::open(&folder.path().join("rampwatch-data"), &Settings::default()).unwrap();
    store.commit(specimens::everything()).await.unwrap();
    drop(store);
    let (code, out, err) = run(&folder, &["notices"], "").await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for words in ["withheld", "pending: HTTP 503", "delivered", "given-up: HTTP 500", "dropped"] {
        assert!(out.contains(words), "{out}");
    }
    let (_, out, _) = run(&folder, &["notices", "--pending", "--json"], "").await;
    let page: serde_json::Value = serde_json::from_str(&out).unwrap();
    let states: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["withheld", "pending", "pending"]);
    let (_, out, err) = run(&folder, &["notices", "--limit", "2"], "").await;
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(err.contains("there may be more: --after rw-"), "{err}");
}
