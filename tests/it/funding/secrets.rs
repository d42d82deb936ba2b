//! Nothing of a key, password, API key or token shows up anywhere: the real binary logs at trace level, funds a payment,
//! meets wrong passwords, refused keys, dead endpoints and refused transactions, and all that it has said and stored is
//! searched.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::fake_api::{Call, FakeApi, FakeApiOptions, Fault, OffRamp};
use rampwatch::sandbox::{Anvil, AnvilOptions, Daemon, DaemonOptions, Sandbox, WALLET, WalletConfig, wallet_key};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::anvil::world::usdc;
use crate::support::rpc_proxy::{Deed, RpcProxy};
use crate::support::temp_dir;

const LIMIT: Duration = Duration::from_secs(90);

const API_KEY: &str = "sk_dev_9fQ2xLw7TzR4";
const RPC_KEY: &str = "rpcKeyInThePath_b81d";
const WS_KEY: &str = "wsKeyInThePath_77aa";
const OTHER_RPC_KEY: &str = "keyInTheQuery_c02e";
const USER_INFO: &str = "userInfoPassword_5512";
const PASSWORD: &str = "correct horse battery 7";
const WRONG_PASSWORD: &str = "wrong donkey charger 8";
const WRONG_TOKEN: &str = "aTokenThatIsNotOurs_43";

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The characters of base64 that stand for these bytes alone, when so many bytes are before them.
fn base64(bytes: &[u8], before: usize) -> String {
    let mut bits: Vec<bool> = vec![false; before * 8];
    bits.extend(bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)));
    let first = (before * 8).div_ceil(6);
    let symbol = |six: &[bool]| BASE64[six.iter().fold(0, |sum, bit| sum * 2 + usize::from(*bit))] as char;
    bits.chunks_exact(6).skip(first).map(symbol).collect()
}

/// Something that must not show, in every form in which it could.
struct Secret {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    fn text(name: &'static str, text: &str) -> Self {
        Self::bytes(name, text.as_bytes())
    }

    /// Case is not looked at: hexadecimal digits come in both.
    fn bytes(name: &'static str, bytes: &[u8]) -> Self {
        let mut forms = vec![bytes.to_ascii_lowercase(), hex(bytes).into_bytes()];
        forms.extend((0..3).map(|before| base64(bytes, before).to_ascii_lowercase().into_bytes()));
        let listed = bytes.iter().map(u8::to_string).collect::<Vec<_>>();
        forms.push(listed.join(", ").into_bytes());
        forms.push(listed.join(",").into_bytes());
        Self { name, forms }
    }

    /// A key: its digits as text, and what they stand for.
    fn key(name: &'static str, digits: &str) -> Vec<Self> {
        let digits = digits.trim_start_matches("0x");
        let bytes: Vec<u8> =
            (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
        vec![Self::text(name, digits), Self::bytes(name, &bytes)]
    }

    fn is_in(&self, heap: &[u8]) -> bool {
        let heap = heap.to_ascii_lowercase();
        self.forms.iter().any(|form| heap.windows(form.len()).any(|window| window == form))
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let mut all = vec![Secret::text("password", PASSWORD)];
    all.extend(Secret::key("key", &wallet_key()));
    for secret in &all {
        assert!(!secret.is_in(b"nothing of it, \x00\xff and no more"));
        for form in &secret.forms {
            for case in [form.clone(), form.to_ascii_uppercase()] {
                assert!(secret.is_in(&[b"before ".to_vec(), case, b" after".to_vec()].concat()), "{}", secret.name);
            }
        }
    }
    // As others encode it: RFC 4648's own examples, and a password in the middle of a line.
    assert_eq!((base64(b"foobar", 0), base64(b"foo", 0)), ("Zm9vYmFy".to_owned(), "Zm9v".to_owned()));
    let basic = "Basic dXNlcjpjb3JyZWN0IGhvcnNlIGJhdHRlcnkgNw==";
    assert!(all[0].is_in(basic.as_bytes()), "user:{PASSWORD}");
    assert!(all[1].is_in(format!("{{\"key\":\"{}\"}}", wallet_key()).as_bytes()));
}

/// Everything that was said, by where.
#[derive(Default)]
struct Heap(Vec<(String, Vec<u8>)>);

impl Heap {
    fn add(&mut self, from: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((from.to_owned(), bytes.into()));
    }

    fn output(&mut self, from: &str, output: std::process::Output) -> bool {
        self.add(&format!("stdout of {from}"), output.stdout);
        self.add(&format!("stderr of {from}"), output.stderr);
        output.status.success()
    }

    /// Every file in a folder, but the one that holds the token.
    fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else if path.file_name().is_some_and(|name| name != "operator-token") {
                self.add(&path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }

    fn holds(&self, words: &str) -> bool {
        self.0.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(words))
    }

    fn search(&self, secrets: &[Secret]) {
        let mut found = Vec::new();
        for (from, bytes) in &self.0 {
            for secret in secrets.iter().filter(|secret| secret.is_in(bytes)) {
                let text = String::from_utf8_lossy(bytes);
                let form = |line: &&str| secret.is_in(line.as_bytes());
                let line = text.lines().find(form).unwrap_or_default();
                found.push(format!("{} in {from}: {}", secret.name, line.chars().take(400).collect::<String>()));
            }
        }
        assert!(found.is_empty(), "secrets show:\n{}", found.join("\n"));
    }
}

/// A sandbox that rampwatch reaches by URLs with keys in them.
struct Scene {
    folder: TempDir,
    sandbox: Sandbox,
    first: RpcProxy,
    second: RpcProxy,
    heap: Heap,
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Scene {
    async fn set(format: &str) -> Self {
        let folder = temp_dir();
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        anvil.node().furnish().await.unwrap();
        let options = FakeApiOptions { api_key: API_KEY.to_owned(), ..FakeApiOptions::default() };
        let api = FakeApi::start(options).await.unwrap();
        let node = anvil.node().http_url().to_string();
        let (first, second) = (RpcProxy::open(&node), RpcProxy::open(&node));
        let sandbox = Sandbox::of_parts(anvil, api, folder.path()).unwrap();
        let scene = Self { folder, sandbox, first, second, heap: Heap::default() };
        private(&scene.path("password"), PASSWORD);
        private(&scene.path("wrong-password"), WRONG_PASSWORD);
        private(&scene.path("key"), &wallet_key());
        scene.configure(format);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, format: &str) {
        let first = format!("{}/v1/{RPC_KEY}", self.first.url());
        let second = self.second.url().replace("http://", &format!("http://user:{USER_INFO}@"));
        let second = format!("{second}/?apikey={OTHER_RPC_KEY}");
        let text = std::fs::read_to_string(self.sandbox.config_path()).unwrap();
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            match line.split(" = ").next().unwrap_or_default() {
                "http" => lines.push(format!("http = \"{first}\"")),
                "ws" => {
                    lines.push(format!("ws = \"ws://127.0.0.1:9/{WS_KEY}\""));
                    lines.push(format!("[[rpc.endpoints]]\nname = \"second\"\nhttp = \"{second}\""));
                }
                "filter" => lines.push("filter = \"trace\"".to_owned()),
                "format" => lines.push(format!("format = \"{format}\"")),
                "poll_interval" => lines.push("poll_interval = \"300ms\"".to_owned()),
                _ => lines.push(line.to_owned()),
            }
        }
        let wallet = WalletConfig::default().to_toml();
        let keystore = "keystore = \"wallet.json\"\npassword_file = \"password\"";
        let wallet: Vec<&str> =
            wallet.lines().map(|line| if line.starts_with("key_env") { keystore } else { line }).collect();
        let text = format!("{}\n{}\n", lines.join("\n"), wallet.join("\n"));
        std::fs::write(self.sandbox.config_path(), text).unwrap();
    }

    fn daemon(&self, more: &[(&str, &str)]) -> Daemon {
        let token_file = self.path("operator-token").display().to_string();
        let pairs = [
            ("RAMPWATCH__FUNDING__HOLD_CHECK", "200ms"),
            ("RAMPWATCH__FUNDING__POLL_INTERVAL", "100ms"),
            ("RAMPWATCH__HTTP__TOKEN_FILE", &token_file),
        ];
        let all = pairs.iter().chain(more);
        Daemon::new(DaemonOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_rampwatch")),
            config: self.sandbox.config_path(),
            log: self.path("daemon.log"),
            overrides: all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        })
        .unwrap()
    }

    /// Runs a command, keeps what it says, and tells whether it worked.
    async fn run(&mut self, daemon: &Daemon, arguments: &[&str]) -> bool {
        let output = daemon.run_command(arguments).await.unwrap();
        self.heap.output(&arguments.join(" "), output)
    }

    async fn get(&mut self, daemon: &Daemon, path: &str, token: Option<&str>) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("http://{}{path}", daemon.settings().http.listen));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        self.heap.add(path, answer.bytes().await.unwrap());
        status
    }

    /// Mines until the payment is completed at the API.
    async fn until_completed(&self, id: &PaymentId) {
        let end = Instant::now() + LIMIT;
        while self.sandbox.fake_api().off_ramp(id).unwrap().status != "COMPLETED" {
            assert!(Instant::now() < end, "{id} is completed; the log ends: {}", self.last_words());
            self.sandbox.anvil().node().mine(1).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.path("daemon.log")).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

async fn nothing_shows(format: &str) {
    let mut scene = Scene::set(format).await;
    let off_ramp: OffRamp = scene
        .sandbox
        .fake_api()
        .open(rampwatch::sandbox::fake_api::NewOffRamp { amount: usdc(40), ..Default::default() })
        .unwrap();
    let id = off_ramp.id.to_string();

    let mut daemon = scene.lock_up().await;

    // A payment is funded, while the nodes refuse the transaction once, naming a key.
    daemon.start().unwrap();
    daemon.ready(LIMIT).await.unwrap();
    let opened = Instant::now() + LIMIT;
    assert!(scene.run(&daemon, &["add", &id, off_ramp.recipient_id.as_str(), "--json"]).await, "{}", scene.said());
    while !scene.run(&daemon, &["fund", &id, "--yes", "--json"]).await {
        assert!(Instant::now() < opened, "{}", scene.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    scene.first.next("eth_sendRawTransaction", Deed::refuse(-32_000, &format!("project {RPC_KEY} has a bad day")));
    scene.second.next("eth_sendRawTransaction", Deed::status(401));
    scene.first.next("eth_feeHistory", Deed::status(500));
    scene.until_completed(&off_ramp.id).await;

    // The API refuses the key; an endpoint dies; somebody asks with a wrong token; every command and route says what it has to say.
    scene.sandbox.fake_api().fail_next(Call::Get, 2, Fault::status(401)).unwrap();
    let other = rampwatch::sandbox::fake_api::NewOffRamp { amount: usdc(41), ..Default::default() };
    let other = scene.sandbox.fake_api().open(other).unwrap().id.to_string();
    assert!(!scene.run(&daemon, &["add", &other, "recipient-1", "--json"]).await, "{}", scene.said());
    scene.second.set_deaf(true);
    scene.second.cut();
    for path in ["/healthz", "/readyz", "/metrics", "/v1/payments", "/v1/orders"] {
        scene.get(&daemon, path, None).await;
        scene.get(&daemon, path, Some(WRONG_TOKEN)).await;
    }
    let token = std::fs::read_to_string(scene.path("operator-token")).unwrap().trim().to_owned();
    for path in ["/v1/payments", "/v1/orders", "/v1/wallet", "/v1/deposits", "/v1/reviews", "/metrics"] {
        assert_eq!(scene.get(&daemon, path, Some(&token)).await, 200, "{path}");
    }
    let commands: [&[&str]; 9] = [
        &["list", "--json"],
        &["show", &id, "--json"],
        &["why", &id, "--json"],
        &["deposits", "--json"],
        &["reviews", "--json"],
        &["orders", "--json"],
        &["wallet", "status", "--json"],
        &["wallet", "balance", "--json"],
        &["fund", &id, "--yes", "--json"],
    ];
    for command in commands {
        scene.run(&daemon, command).await;
    }
    scene.sandbox.anvil().node().mine(2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    daemon.stop(Duration::from_secs(20)).await.unwrap();
    for command in commands {
        scene.run(&daemon, command).await;
    }
    scene.judge(&daemon, &token);
}

impl Scene {
    /// The key goes into a keystore; wrong passwords are refused by commands and by the daemon.
    async fn lock_up(&mut self) -> Daemon {
        let daemon = self.daemon(&[]);
        let import = ["wallet", "import", "--key-file", "key", "--password-file", "password"];
        let (key, password) = (self.path("key").display().to_string(), self.path("password").display().to_string());
        let import: Vec<&str> = import
            .iter()
            .map(|word| {
                if *word == "key" {
                    &key
                } else if *word == "password" {
                    &password
                } else {
                    *word
                }
            })
            .collect();
        let keystore = self.path("wallet.json").display().to_string();
        assert!(self.run(&daemon, &[&import[..], &["--keystore", &keystore]].concat()).await, "{}", self.said());
        let wrong = self.path("wrong-password").display().to_string();
        let locked_out = self.daemon(&[("RAMPWATCH__WALLET__PASSWORD_FILE", &wrong)]);
        for command in [&["wallet", "address", "--json"][..], &["run"], &["config", "check"]] {
            assert!(!self.run(&locked_out, command).await, "{command:?} worked with a wrong password");
        }
        std::fs::remove_file(self.path("key")).unwrap();
        assert!(self.run(&daemon, &["config", "check"]).await, "{}", self.said());
        daemon
    }

    /// What the commands have said so far.
    fn said(&self) -> String {
        self.heap.0.iter().map(|(from, bytes)| format!("{from}: {}\n", String::from_utf8_lossy(bytes))).collect()
    }

    fn judge(mut self, daemon: &Daemon, token: &str) {
        self.heap.add("the daemon's log", std::fs::read(self.path("daemon.log")).unwrap());
        self.heap.files(&daemon.settings().store.path);
        self.heap.add("the keystore", std::fs::read(self.path("wallet.json")).unwrap());
        // What was to go wrong did, and was told of; and this is the log that was meant.
        for words in ["password is wrong", "has a bad day", "401", "DEBUG", "order placed", "rampwatch_orders_open"] {
            assert!(self.heap.holds(words), "nothing tells of {words:?}:\n{}", self.last_words());
        }
        assert!(self.heap.holds(&WALLET.to_string()));
        let mut secrets = vec![
            Secret::text("the API key", API_KEY),
            Secret::text("the key in the RPC URL's path", RPC_KEY),
            Secret::text("the key in the websocket URL's path", WS_KEY),
            Secret::text("the key in the RPC URL's query", OTHER_RPC_KEY),
            Secret::text("the password in the RPC URL", USER_INFO),
            Secret::text("the keystore's password", PASSWORD),
            Secret::text("a wrong password", WRONG_PASSWORD),
            Secret::text("the operator's token", token),
            Secret::text("a wrong token", WRONG_TOKEN),
        ];
        secrets.extend(Secret::key("the wallet's key", &wallet_key()));
        self.heap.search(&secrets);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_shows_in_text_logs() {
    nothing_shows("text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_shows_in_json_logs() {
    nothing_shows("json").await;
}
