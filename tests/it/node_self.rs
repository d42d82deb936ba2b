//! The scripted node itself is tested: a fault that does not happen would make other tests pass for nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{eventually, temp_dir};

mod accounts;
mod chain;
mod faults;
mod push;

/// How long a test waits for something that should happen at once.
const SOON: Duration = Duration::from_secs(10);
/// How long a test looks at something that should not happen.
const A_WHILE: Duration = Duration::from_millis(200);

/// A plain HTTP client, which knows nothing of the node's insides.
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    fn new(url: String) -> Self {
        Self { http: reqwest::Client::new(), url }
    }

    /// Sends a body, and returns the status and the text of the answer.
    async fn post(&self, body: &Value) -> Result<(u16, String), reqwest::Error> {
        let answer = self.http.post(&self.url).json(body).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// The whole JSON-RPC answer to one call.
    async fn answer(&self, method: &str, params: Value) -> Value {
        let (_, text) = self.post(&call(1, method, params)).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The result of one call.
    async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The code and the text of the error of one call.
    async fn refused(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.answer(method, params).await;
        let error = &answer["error"];
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }

    /// Whether a call gets no answer for a while.
    async fn hangs(&self) -> bool {
        tokio::time::timeout(A_WHILE, self.post(&call(1, "eth_chainId", json!([])))).await.is_err()
    }
}

fn call(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

#[tokio::test]
async fn eventually_waits_for_what_comes() {
    let mut looks = 0;
    eventually(SOON, "three looks", || {
        looks += 1;
        std::future::ready(looks == 3)
    })
    .await;
    assert_eq!(looks, 3);
}

#[tokio::test]
#[should_panic(expected = "the moon is full")]
async fn eventually_names_what_did_not_come() {
    eventually(Duration::from_millis(20), "the moon is full", || std::future::ready(false)).await;
}

#[tokio::test]
#[should_panic(expected = "an answer")]
async fn eventually_does_not_wait_for_a_condition_that_hangs() {
    eventually(Duration::from_millis(20), "an answer", std::future::pending).await;
}

#[test]
fn a_temporary_folder_goes_away() {
    let folder = temp_dir();
    let path = folder.path().to_owned();
    std::fs::write(path.join("file"), "x").unwrap();
    drop(folder);
    assert!(!path.exists());
}
