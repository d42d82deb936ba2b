//! How everything leaves this machine: no variable names a proxy or an authority, and what the configuration names counts for
//! all of it, loopback excepted.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::Address;
use rampwatch::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmSettings};
use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::system::SystemClock;
use rampwatch::config::EXAMPLE;
use rampwatch::domain::operator::Operator;
use rampwatch::domain::time::Span;
use rampwatch::outbound::{Outbound, Proxy};
use rampwatch::ports::payment_api::PaymentApi as _;
use rampwatch::sandbox::USDC;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::support::node::{Node, NodeOptions, ScriptedChain};
use crate::support::temp_dir;

/// What a client with the proxy's user and password says: user, p@ss.
const CREDENTIALS: &str = "proxy-authorization: basic dxnlcjpwqhnz";
/// Everything that names a proxy to other programs.
const PROXY_VARIABLES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// An authority of the tests' own, for `localhost` until 2126.
const AUTHORITY: &str = include_str!("outbound/authority.pem");

/// What came to a listener: the head of each request, in lower case.
type Heads = Arc<Mutex<Vec<String>>>;

fn heads(seen: &Heads) -> Vec<String> {
    seen.lock().unwrap().clone()
}

/// A proxy that takes down what it is asked for. It connects everything to one address, or refuses.
async fn proxy(onward: Option<SocketAddr>) -> (SocketAddr, Heads) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Heads::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let seen = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = client.read_u8().await else { break };
                    head.push(byte);
                }
                seen.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
                let Some(onward) = onward else {
                    let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    client.write_all(refusal).await.ok();
                    return;
                };
                let mut host = tokio::net::TcpStream::connect(onward).await.unwrap();
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut host).await.ok();
            });
        }
    });
    (address, seen)
}

/// A server with TLS for `localhost` that takes down whatever a client who trusts it asks.
fn tls_server() -> (SocketAddr, Heads) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/outbound");
    let certificate = CertificateDer::from_pem_file(folder.join("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Heads::default();
    let kept = Arc::clone(&seen);
    // It ends with the process: nobody can tell it that the last client has gone.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), client);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            if !head.is_empty() {
                kept.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
                stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
            }
        }
    });
    (address, seen)
}

/// A node that fits the example.
fn node() -> Node {
    Node::start(&ScriptedChain::of_the_example(), NodeOptions::default())
}

/// A folder with the example, these endpoints, and these further sections.
fn place(endpoints: &[(&str, &str, &str)], sections: &str) -> TempDir {
    let folder = temp_dir();
    let (before, rest) = EXAMPLE.split_once("[[rpc.endpoints]]").unwrap();
    let (_, after) = rest.split_once("\n[api]\n").unwrap();
    let mut text = before.to_owned();
    for (name, http, ws) in endpoints {
        text.push_str(&format!("[[rpc.endpoints]]\nname = \"{name}\"\nhttp = \"{http}\"\nws = \"{ws}\"\n"));
    }
    let after = after.replace("https://api.sentra.xyz/api/v1", "https://api.invalid");
    std::fs::write(folder.path().join("config.toml"), format!("{text}[api]\n{after}\n{sections}")).unwrap();
    std::fs::write(folder.path().join("authority.pem"), AUTHORITY).unwrap();
    folder
}

async fn run(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rampwatch"));
    command.args(arguments).current_dir(folder.path()).env_clear().env("RAMPWATCH_API_KEY", "sk_live_1");
    command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await.unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{text}");
    (status.code().unwrap(), text)
}

#[tokio::test]
async fn f20_r9_no_variable_names_a_proxy() {
    let (address, seen) = proxy(None).await;
    let node = node();
    let endpoints = [
        ("near", node.url().as_str().to_owned(), node.ws_url()),
        ("far", "https://rpc.invalid/key".to_owned(), "wss://rpc.invalid/key".to_owned()),
    ];
    let endpoints: Vec<(&str, &str, &str)> =
        endpoints.iter().map(|(name, http, ws)| (*name, http.as_str(), ws.as_str())).collect();
    let folder = place(&endpoints, "[network]\nca_file = \"authority.pem\"\n");
    let url = format!("http://{address}");
    let variables = PROXY_VARIABLES.map(|name| (name, url.as_str()));

    let (code, said) = run(&folder, &["config", "check"], &variables).await;
    assert_eq!(code, 0, "one endpoint is enough: {said}");
    assert!(said.contains("ok: endpoint near answers over http"), "{said}");
    assert!(said.contains("ok: endpoint near answers over ws"), "{said}");
    assert!(said.contains("cannot be reached: endpoint far over http"), "{said}");
    assert!(said.contains("cannot be reached: endpoint far over ws"), "{said}");

    // The payment API, and the doctor's word. No node answers, so that it is quick.
    let folder =
        place(&[("near", "http://127.0.0.1:9/", "ws://127.0.0.1:9/")], "[network]\nca_file = \"authority.pem\"\n");
    let (_, said) = run(&folder, &["doctor"], &variables).await;
    assert!(said.contains("no proxy is taken from variables") && said.contains("HTTP_PROXY, http_proxy"), "{said}");
    assert!(said.contains("network.proxy"), "the remedy: {said}");
    let (_, quiet) = run(&folder, &["doctor"], &[]).await;
    assert!(!quiet.contains("taken from variables"), "{quiet}");
    assert_eq!(heads(&seen), Vec::<String>::new(), "nothing went there");
}

#[tokio::test]
async fn f20_the_configured_proxy_takes_all_that_leaves_and_never_loopback() {
    let (address, seen) = proxy(None).await;
    let node = node();
    let (http, ws) = (node.url(), node.ws_url());
    let endpoints = [
        ("near", http.as_str(), ws.as_str()),
        ("far", "https://rpc.invalid/key", "wss://heads.invalid/key"),
        ("plain", "http://plain.invalid:8545/", "ws://plain.invalid:8546/"),
    ];
    let hook = "[notify]\n[[notify.endpoints]]\nname = \"chat\"\nform = \"slack\"\nurl = \"https://hook.invalid/x\"\n";
    let network = format!("[network]\nproxy = \"http://user:p%40ss@{address}\"\nca_file = \"authority.pem\"\n{hook}");
    let folder = place(&endpoints, &network);
    let allow = [("RAMPWATCH__RPC__ALLOW_PLAIN_HTTP", "[\"plain.invalid\"]")];

    let (code, said) = run(&folder, &["config", "check"], &allow).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("ok: endpoint near answers over http") && said.contains("near answers over ws"), "{said}");
    let (_, said) = run(&folder, &["notify", "test"], &allow).await;
    let settings = PaymentHttpSettings {
        base_url: "https://api.invalid/v1".to_owned(),
        key: "sk_live_1".into(),
        connect_timeout: Span::from_secs(20),
        timeout: Span::from_secs(30),
        decimals: 6,
        webhook_secret: None,
        outbound: Outbound::new(
            Some(Proxy::parse(&format!("http://user:p%40ss@{address}")).unwrap()),
            Some(&folder.path().join("authority.pem")),
        )
        .unwrap(),
    };
    let api = PaymentHttp::new(settings, Arc::new(SystemClock)).unwrap();
    api.payment(&"pay-1".parse().unwrap()).await.unwrap_err();

    let heads = heads(&seen);
    for asked in [
        "connect rpc.invalid:443 ",
        "connect heads.invalid:443 ",
        "post http://plain.invalid:8545/ ",
        "connect plain.invalid:8546 ",
        "connect hook.invalid:443 ",
        "connect api.invalid:443 ",
    ] {
        assert!(heads.iter().any(|head| head.starts_with(asked)), "{asked} is missing: {heads:#?} {said}");
    }
    for head in &heads {
        assert!(head.contains(CREDENTIALS), "{head}");
        assert!(head.lines().next().unwrap().contains(".invalid"), "loopback went through the proxy: {head}");
        assert!(!head.contains("sk_live_1"), "the key is for the API alone: {head}");
    }
}

/// dotnet/corefx#28024, TooTallNate/Java-WebSocket#1112: websockets, encrypted or not, take the tunnel too.
#[tokio::test]
async fn f20_a_websocket_works_through_the_proxy_and_a_refusal_is_told() {
    let node = node();
    let onward = node.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let chain = |proxy: SocketAddr| {
        EvmChain::new(EvmSettings {
            chain_id: 137,
            tokens: Vec::new(),
            endpoints: vec![EndpointSettings {
                name: "far".to_owned(),
                operator: Operator::named("far"),
                http: None,
                ws: Some("ws://node.invalid:8546/".into()),
            }],
            connect_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(20),
            silence_timeout: Duration::from_secs(60),
            max_block_range: 100,
            max_addresses: 50,
            max_in_flight: 4,
            cool_down: CoolDown::default(),
            outbound: Outbound::new(
                Some(Proxy::parse(&format!("http://{proxy}")).unwrap()),
                Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/outbound/authority.pem")),
            )
            .unwrap(),
        })
        .unwrap()
    };
    let (address, seen) = proxy(Some(onward)).await;
    let chain_through = chain(address);
    let reports = chain_through.check().await.unwrap();
    assert!(reports.iter().all(|report| report.problem.is_none()), "{reports:?}");
    assert!(chain_through.token_checkup(Address::from(USDC.into_array())).await.is_ok());
    assert!(heads(&seen).iter().all(|head| head.starts_with("connect node.invalid:8546 ")), "{:?}", heads(&seen));
    assert!(!heads(&seen).is_empty());

    let (address, _) = proxy(None).await;
    let error = chain(address).check().await.unwrap_err().to_string();
    assert!(error.contains("network.proxy") && error.contains("HTTP 502"), "{error}");
}

#[tokio::test]
async fn s14_r8_https_and_wss_trust_the_same_authorities_and_no_variable_names_them() {
    let (address, seen) = tls_server();
    let (http, ws) =
        (format!("https://localhost:{}/h", address.port()), format!("wss://localhost:{}/w", address.port()));
    let endpoints = [("far", http.as_str(), ws.as_str())];

    // The system's authorities do not know the server's, whatever a variable says.
    let folder = place(&endpoints, "");
    let file = folder.path().join("authority.pem").display().to_string();
    let variables = [("SSL_CERT_FILE", file.as_str())];
    let (code, said) = run(&folder, &["config", "check"], &variables).await;
    assert_ne!(code, 0, "{said}");
    assert_eq!(heads(&seen), Vec::<String>::new(), "somebody believed the server: {said}");

    // Named in the configuration, they count for both.
    let folder = place(&endpoints, "[network]\nca_file = \"authority.pem\"\n");
    let (_, said) = run(&folder, &["config", "check"], &[]).await;
    let heads = heads(&seen);
    assert!(heads.iter().any(|head| head.starts_with("post /h ")), "{heads:?} {said}");
    assert!(
        heads.iter().any(|head| head.starts_with("get /w ") && head.contains("upgrade: websocket")),
        "{heads:?} {said}"
    );
}

#[tokio::test]
async fn s14_authorities_that_cannot_be_read_are_told() {
    let folder = place(&[("near", "http://127.0.0.1:9/", "ws://127.0.0.1:9/")], "[network]\nca_file = \"none.pem\"\n");
    for (text, why) in [(None, "cannot be read"), (Some("nothing"), "holds no certificate")] {
        if let Some(text) = text {
            std::fs::write(folder.path().join("none.pem"), text).unwrap();
        }
        let (code, said) = run(&folder, &["config", "check"], &[]).await;
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("network.ca_file") && said.contains("none.pem") && said.contains(why), "{said}");
    }
}

#[test]
fn proxies_that_cannot_be_used_are_refused_without_showing_them() {
    for good in
        ["http://proxy.example:3128", "http://proxy.example", "http://user:secret@10.0.0.1:3128/", "http://[::1]:1"]
    {
        let proxy = Proxy::parse(good).unwrap();
        assert!(!format!("{proxy:?}").contains("secret"), "{proxy:?}");
    }
    for bad in [
        "",
        "proxy.example:3128",
        "https://secret@proxy",
        "socks5://secret@proxy:1080",
        "http://proxy/secret",
        "http://p?secret",
    ] {
        let why = Proxy::parse(bad).unwrap_err();
        assert!(why.contains("HTTP proxy") && !why.contains("secret"), "{bad}: {why}");
    }
}

/// Memory holds keys: it is neither dumped nor read by other processes of the same user.
#[tokio::test]
async fn keys_memory_is_closed_to_others() {
    let folder =
        place(&[("near", "http://127.0.0.1:9/", "ws://127.0.0.1:9/")], "[network]\nca_file = \"authority.pem\"\n");
    let mut command = Command::new("sh");
    // As many core dumps as the machine allows, for the program to take away.
    command.args(["-c", "ulimit -S -c $(ulimit -H -c); exec \"$0\" doctor"]).arg(env!("CARGO_BIN_EXE_rampwatch"));
    command.current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin").env("RAMPWATCH_API_KEY", "sk_live_1");
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ok       memory: no core dumps, and no other process of the same user reads it"), "{said}");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("memory"), "nothing to complain of");
}
