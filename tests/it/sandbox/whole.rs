//! The sandbox as a whole: its files, and paying an off-ramp through them.

use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::{PAYER, PayOptions, RunOptions, Sandbox, USDC, WalletConfig, pay, run, wallet_key};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::usdc;

fn options(folder: &std::path::Path) -> RunOptions {
    RunOptions { directory: folder.join("sandbox"), block_millis: 250, ..RunOptions::default() }
}

#[tokio::test]
async fn it_writes_a_configuration_and_takes_money_for_an_off_ramp() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(&options(folder.path())).await.unwrap();
    let off_ramps = sandbox.open_examples().unwrap();
    let text = std::fs::read_to_string(sandbox.config_path()).unwrap();
    let config: toml::Table = text.parse().unwrap();
    assert_eq!(config["chain"]["id"].as_integer(), Some(1_337_137));
    assert_eq!(config["api"]["base_url"].as_str(), Some(sandbox.fake_api().base_url().as_str()));
    let documented = keys(&documented_example());
    let unknown: Vec<String> = keys(&config).into_iter().filter(|key| !documented.contains(key)).collect();
    assert!(unknown.is_empty(), "not in the documented example: {unknown:?}");
    let key_path = config["api"]["key_file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(key_path).unwrap(), sandbox.fake_api().api_key());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(key_path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let order = PayOptions {
        directory: folder.path().join("sandbox"),
        payment: off_ramps[0].id.clone(),
        amount: None,
        token: None,
        from: None,
    };
    let paid = pay(&order).await.unwrap();
    assert_eq!((paid.token, paid.from, paid.to), (USDC, PAYER, off_ramps[0].deposit_address));
    assert_eq!(sandbox.anvil().node().balance(USDC, paid.to).await.unwrap(), usdc(25));
    let unknown = PayOptions { payment: PaymentId::new("nobody").unwrap(), ..order.clone() };
    assert!(pay(&unknown).await.unwrap_err().to_string().contains("no payment nobody"));
    sandbox.stop().await.unwrap();
    assert!(pay(&order).await.is_err(), "the sandbox is gone");
}

/// Hands on what is written.
struct Teller(UnboundedSender<Vec<u8>>);

impl std::io::Write for Teller {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the sandbox tells when it is up.
async fn told(options: &RunOptions) -> String {
    let (sender, mut told) = unbounded_channel();
    let mut out = Teller(sender);
    tokio::select! {
        ended = run(options, &mut out) => panic!("it ended by itself: {ended:?}"),
        text = told.recv() => String::from_utf8(text.unwrap()).unwrap(),
    }
}

#[tokio::test]
async fn it_tells_how_to_use_its_wallet_when_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions { wallet: Some(WalletConfig::default()), ..options(folder.path()) };
    let text = told(&options).await;
    let given = format!("RAMPWATCH_SANDBOX_WALLET_KEY={} \\\n    rampwatch --config", wallet_key());
    let parts = [given.as_str(), "add sandbox-2 recipient-1", "fund sandbox-2", "Everybody knows its key", "[funding]"];
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("without being asked"), "{text}");
    println!("{text}");
}

#[tokio::test]
async fn it_tells_what_there_is_and_what_to_try() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let text = told(&options).await;
    assert!(!text.contains("WALLET_KEY") && !text.contains("[wallet]"), "{text}");
    let config = std::fs::read_to_string(options.directory.join("config.toml")).unwrap();
    assert!(text.ends_with(&config), "{text}");
    for part in ["25.00 USDC to 0x", "1000.10 USDC to 0x", "rampwatch sandbox pay sandbox-1", "/control/faults"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    println!("{text}");
}

/// The documented example, with the section `[wallet]` that is commented out in it.
fn documented_example() -> toml::Table {
    let text = include_str!("../../../config.toml");
    let (before, rest) = text.split_once("# [wallet]\n").unwrap();
    let (section, after) = rest.split_once("\n\n").unwrap();
    let section: String = section.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap())).collect();
    format!("{before}[wallet]\n{section}\n{after}").parse().unwrap()
}

/// The names of all sections and keys, but for those that come in one of two forms.
fn keys(table: &toml::Table) -> Vec<String> {
    let mut names = Vec::new();
    collect("", table, &mut names);
    names.retain(|name| !name.starts_with("/api/key_"));
    names
}

fn collect(path: &str, table: &toml::Table, names: &mut Vec<String>) {
    for (key, value) in table {
        let path = format!("{path}/{key}");
        match value {
            toml::Value::Table(inner) => collect(&path, inner, names),
            toml::Value::Array(items) => {
                items.iter().filter_map(toml::Value::as_table).for_each(|inner| collect(&path, inner, names));
            }
            _ => names.push(path),
        }
    }
}
