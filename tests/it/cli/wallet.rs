//! `rampwatch wallet`: keystores are made and looked at; keys and passwords show up nowhere.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::running::LIMIT;
use super::terminal::has_script;
use super::{Place, Ran};
use crate::signer::{FOUNDRY, FOUNDRY_PASSWORD};

/// A password with blanks, which count.
const PASSWORD: &str = "a pass word for tests";
/// anvil's first key, which everyone knows.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Its address.
const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// A configuration with a wallet whose keystore is `wallet.json` and whose password is in `password`.
fn place() -> Place {
    let place = Place::offline();
    configure(&place, "keystore = \"wallet.json\"\npassword_file = \"password\"");
    private(&place, "password", &format!("{PASSWORD}\n"));
    place
}

fn configure(place: &Place, wallet: &str) {
    place.edit("[funding]\n", &format!("[wallet]\n{wallet}\n[funding]\n"));
}

fn private(place: &Place, name: &str, text: &str) {
    place.write(name, text);
    mode(place, name, 0o600);
}

fn mode(place: &Place, name: &str, mode: u32) {
    std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What came out, with no secret in it.
fn checked(ran: Ran) -> Ran {
    for text in [&ran.out, &ran.err] {
        let text = text.to_lowercase();
        assert!(!text.contains(PASSWORD) && !text.contains(&KEY[..12]) && !text.contains(&KEY[52..]), "{text}");
    }
    ran
}

async fn run(place: &Place, arguments: &[&str]) -> Ran {
    checked(place.run_without_key(arguments).await)
}

/// Runs it with one more variable, and with everything logged that can be.
async fn run_with(place: &Place, arguments: &[&str], name: &str, value: &str) -> Ran {
    let mut command = place.command(arguments);
    command.env_remove("RAMPWATCH_API_KEY").env("RUST_LOG", "trace").env(name, value);
    checked(Ran::of(command.output().await.unwrap()))
}

/// The address that a command printed, and nothing else.
#[track_caller]
fn address_of(ran: &Ran) -> String {
    assert_eq!(ran.code, 0, "{}", ran.err);
    let address = ran.out.strip_suffix('\n').unwrap();
    assert!(address.len() == 42 && address.starts_with("0x") && !address.contains('\n'), "{address}");
    address.to_owned()
}

#[tokio::test]
async fn a_new_wallet_is_made_once_and_its_address_told() {
    let place = place();
    let made = run(&place, &["wallet", "new", "--password-file", "password"]).await;
    let address = address_of(&made);
    for word in ["wallet.json", "mode 0600", "keep a copy", "wallet.password_file", "USDC and POL"] {
        assert!(made.err.contains(word), "no {word:?} in {}", made.err);
    }
    let file = place.path("wallet.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(PASSWORD));

    assert_eq!(run(&place, &["wallet", "address"]).await.data(), format!("{address}\n"));
    let json = run(&place, &["wallet", "address", "--json"]).await.json();
    assert_eq!(json, serde_json::json!({ "address": address, "proven": true }));

    for again in [&["wallet", "new", "--password-file", "password"][..], &["wallet", "import"]] {
        run(&place, again).await.fails(5, &["wallet.json", "never overwritten"]);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert!(!place.path("rampwatch-data").exists(), "no store is opened for it");

    mode(&place, "password", 0o604);
    run(&place, &["wallet", "address"]).await.fails(3, &["wallet.password_file", "mode 0604", "chmod 600"]);
    std::fs::remove_file(place.path("password")).unwrap();
    run(&place, &["wallet", "address"]).await.fails(3, &["wallet.password_file", "cannot be read"]);
}

#[tokio::test]
async fn a_key_is_imported_from_a_file_or_a_variable() {
    let place = place();
    private(&place, "key", &format!("0x{KEY}\n"));
    let from_file = ["wallet", "import", "--key-file", "key", "--password-file", "password"];
    assert_eq!(address_of(&run(&place, &from_file).await), ADDRESS);
    assert!(!std::fs::read_to_string(place.path("wallet.json")).unwrap().contains(&KEY[..12]));
    assert_eq!(run(&place, &["wallet", "address"]).await.data(), format!("{ADDRESS}\n"));

    // With the file named there is no need for a configuration.
    std::fs::remove_file(place.path("config.toml")).unwrap();
    let arguments =
        ["wallet", "import", "--keystore", "other.json", "--key-env", "THE_KEY", "--password-file", "password"];
    let imported = run_with(&place, &arguments, "THE_KEY", KEY).await;
    assert_eq!(address_of(&imported), ADDRESS);
    assert!(imported.err.contains("[wallet] keystore = \"other.json\""), "{}", imported.err);
    mode(&place, "key", 0o644);
    let arguments = ["wallet", "import", "--keystore", "third.json", "--key-file", "key"];
    run(&place, &arguments).await.fails(2, &["key", "mode 0644", "chmod 600"]);
    let none = ["wallet", "new", "--password-file", "password"];
    run(&place, &none).await.fails(3, &["no configuration file"]);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_anything_is_written() {
    let place = place();
    private(&place, "empty", "\n");
    private(&place, "lines", "one\ntwo\n");
    mode(&place, "password", 0o640);
    for (arguments, words) in [
        (&["--password-file", "password"][..], &["password", "mode 0640", "chmod 600"][..]),
        (&["--password-file", "none"], &["\"none\"", "cannot be read"]),
        (&["--password-file", "empty"], &["\"empty\"", "is empty"]),
        (&["--password-file", "lines"], &["\"lines\"", "more than one line"]),
        (&["--password-env", "NOT_SET"], &["--password-env", "is set"]),
        (&["--password-env", PASSWORD], &["--password-env"]),
        (&[], &["no terminal", "--password-file or --password-env"]),
    ] {
        let arguments: Vec<&str> = ["wallet", "new"].iter().chain(arguments).copied().collect();
        run(&place, &arguments).await.fails(2, words);
    }
    mode(&place, "password", 0o600);
    private(&place, "key", &KEY[..60]);
    let with = |more: [&'static str; 2]| [&["wallet", "import", "--password-file", "password"][..], &more].concat();
    run(&place, &with(["--key-file", "key"])).await.fails(2, &["\"key\"", "64 hexadecimal digits"]);
    run(&place, &with(["--key-env", KEY])).await.fails(2, &["--key-env"]);
    run(&place, &["wallet", "import", "--password-file", "password"]).await.fails(2, &["no terminal", "--key-file"]);
    let both = ["wallet", "new", "--password-file", "password", "--password-env", "X"];
    assert_eq!(run(&place, &both).await.code, 2);
    assert!(!place.path("wallet.json").exists());

    let without = Place::offline();
    run(&without, &["wallet", "new", "--password-env", "X"]).await.fails(2, &["--keystore", "wallet.keystore"]);
    run(&without, &["wallet", "address"]).await.fails(3, &["no wallet is configured", "wallet new"]);
}

#[tokio::test]
async fn an_address_is_proven_or_said_not_to_be() {
    let place = Place::offline();
    configure(&place, "keystore = \"wallet.json\"");
    run(&place, &["wallet", "address"]).await.fails(3, &["there is no keystore", "wallet.json"]);
    let arguments = ["wallet", "new", "--password-env", "RAMPWATCH_WALLET_PASSWORD"];
    let address = address_of(&run_with(&place, &arguments, "RAMPWATCH_WALLET_PASSWORD", PASSWORD).await);

    let said = run(&place, &["wallet", "address"]).await;
    assert_eq!(address_of(&said), address);
    assert!(said.err.contains("nothing proves it"), "{}", said.err);
    let json = run(&place, &["wallet", "address", "--json"]).await.json();
    assert_eq!(json, serde_json::json!({ "address": address, "proven": false }));
    let opened = run_with(&place, &["wallet", "address"], "RAMPWATCH_WALLET_PASSWORD", PASSWORD).await;
    assert_eq!(opened.data(), format!("{address}\n"));

    let wrong = run_with(&place, &["wallet", "address"], "RAMPWATCH_WALLET_PASSWORD", "hunter22").await;
    assert!(!wrong.err.contains("hunter22"));
    wrong.fails(3, &["wallet.json", "password is wrong"]);
    mode(&place, "wallet.json", 0o644);
    run(&place, &["wallet", "address"]).await.fails(3, &["mode 0644", "chmod 600"]);
    mode(&place, "wallet.json", 0o600);
    place.edit("keystore = \"wallet.json\"\n", &format!("keystore = \"wallet.json\"\naddress = \"{ADDRESS}\"\n"));
    run(&place, &["wallet", "address"]).await.fails(3, &["wallet.address", ADDRESS, &address]);
    let opened = run_with(&place, &["wallet", "address"], "RAMPWATCH_WALLET_PASSWORD", PASSWORD).await;
    opened.fails(3, &["wallet.address", ADDRESS, &address]);
}

#[tokio::test]
async fn without_an_address_in_the_keystore_the_configured_one_is_told() {
    let place = Place::offline();
    configure(&place, "keystore = \"wallet.json\"");
    private(&place, "wallet.json", FOUNDRY);
    run(&place, &["wallet", "address"]).await.fails(3, &["does not say its address", "wallet.password_file"]);
    place.edit("keystore = \"wallet.json\"\n", &format!("keystore = \"wallet.json\"\naddress = \"{ADDRESS}\"\n"));
    let said = run(&place, &["wallet", "address"]).await;
    assert_eq!(address_of(&said), ADDRESS);
    assert!(said.err.contains("nothing proves it"), "{}", said.err);
    let opened = run_with(&place, &["wallet", "address"], "RAMPWATCH_WALLET_PASSWORD", FOUNDRY_PASSWORD).await;
    assert_eq!(opened.data(), format!("{ADDRESS}\n"));
}

#[tokio::test]
async fn a_raw_key_is_for_rehearsals_and_warned_of() {
    let place = Place::offline();
    configure(&place, "key_env = \"RAMPWATCH_REHEARSAL_KEY\"");
    run_with(&place, &["wallet", "address"], "RAMPWATCH_REHEARSAL_KEY", KEY)
        .await
        .fails(3, &["wallet.key_env", "live"]);
    place.edit("id = 137 ", "id = 80002 ");
    run_with(&place, &["wallet", "address"], "RAMPWATCH_REHEARSAL_KEY", KEY).await.fails(3, &["chain.live = false"]);
    place.edit("# live = false", "live = false");
    let ran = run_with(&place, &["wallet", "address"], "RAMPWATCH_REHEARSAL_KEY", KEY).await;
    assert_eq!(address_of(&ran), ADDRESS);
    assert!(ran.err.contains("WARN") && ran.err.contains("rehearsal") && ran.err.contains(ADDRESS), "{}", ran.err);
    let ran = run(&place, &["wallet", "address"]).await;
    ran.fails(3, &["RAMPWATCH_REHEARSAL_KEY", "wallet.key_env", "not set"]);
    let ran = run_with(&place, &["wallet", "address"], "RAMPWATCH_REHEARSAL_KEY", &KEY[1..]).await;
    ran.fails(3, &["RAMPWATCH_REHEARSAL_KEY", "no private key"]);
}

#[tokio::test]
async fn a_rehearsal_key_of_the_api_does_not_go_with_real_money() {
    let place = Place::offline();
    configure(&place, "keystore = \"wallet.json\"\naddress = \"0x00000000000000000000000000000000000000a1\"");
    let words = ["wallet.allow_development_api_key_on_live_chain", "api.key_env", "chain.id = 137"];
    place.run(&["config", "check"]).await.fails(3, &words);
    place.run(&["run"]).await.fails_among_logs(3, "wallet.allow_development_api_key_on_live_chain");
    assert!(!place.path("rampwatch-data").exists());
    // Allowed by name, with a live key, and on a test chain it goes on to the next question: there is no password.
    let next = ["RAMPWATCH_WALLET_PASSWORD", "not set"];
    let with = async |name: &str, value: &str| {
        let output = place.command(&["config", "check"]).env(name, value).output().await.unwrap();
        Ran::of(output)
    };
    with("RAMPWATCH__WALLET__ALLOW_DEVELOPMENT_API_KEY_ON_LIVE_CHAIN", "true").await.fails(3, &next);
    with("RAMPWATCH_API_KEY", "sk_live_0123456789").await.fails(3, &next);
    with("RAMPWATCH__CHAIN__ID", "31337").await.fails(3, &next);
}

/// Types these lines, each when its prompt is there, and returns what was shown.
async fn typed(place: &Place, arguments: &str, lines: &[(&str, &str)]) -> (String, bool) {
    let mut command = Command::new("script");
    // Afterwards the terminal must echo again, however the command ended. Ctrl-C is for the command, not for the shell.
    let shell = format!(
        "trap : INT; \"$RAMPWATCH\" {arguments}; code=$?; stty -a | tr ' ;' '\\n\\n' | grep -x echo; exit $code"
    );
    command.args(["-qec", &shell, "/dev/null"]);
    command.current_dir(place.path("")).env_clear().envs([("RAMPWATCH", env!("CARGO_BIN_EXE_rampwatch"))]);
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("SHELL", "/bin/sh").env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    let read = async {
        let mut bytes = [0; 4_096];
        let mut lines = lines.iter();
        let mut next = lines.next();
        let mut seen = 0;
        loop {
            let count = screen.read(&mut bytes).await.unwrap();
            if count == 0 {
                break;
            }
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
            if let Some((prompt, line)) = next
                && let Some(at) = shown[seen..].find(prompt)
            {
                seen += at + prompt.len();
                // The prompt is shown after the echo is off, so nothing that is typed now can be seen.
                keyboard.write_all(line.as_bytes()).await.unwrap();
                keyboard.flush().await.unwrap();
                next = lines.next();
            }
        }
        assert!(next.is_none(), "no {next:?} in {shown}");
    };
    tokio::time::timeout(LIMIT + Duration::from_secs(10), read).await.expect("the command ends");
    let good = child.wait().await.unwrap().success();
    assert!(shown.lines().any(|line| line.trim() == "echo"), "the terminal is left without echo: {shown}");
    (shown, good)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_is_asked_without_echo() {
    if !has_script().await {
        eprintln!("not shown here: there is no `script` of util-linux to make a terminal");
        return;
    }
    let place = place();
    let password = format!("{PASSWORD}\n");
    let (shown, good) = typed(&place, "wallet new", &[("new keystore: ", &password), ("again: ", "another\n")]).await;
    assert!(!good && shown.contains("differ") && !shown.contains("another"), "{shown}");
    let (shown, good) = typed(&place, "wallet new", &[("new keystore: ", "\u{3}")]).await;
    assert!(!good && shown.contains("nothing was written"), "{shown}");
    assert!(!place.path("wallet.json").exists());

    let key = format!("{KEY}\n");
    let lines = [("digits): ", &*key), ("new keystore: ", &password), ("again: ", &password)];
    let (shown, good) = typed(&place, "wallet import", &lines).await;
    assert!(good && shown.contains(ADDRESS), "{shown}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(&KEY[..12]), "{shown}");
    assert_eq!(run(&place, &["wallet", "address"]).await.data(), format!("{ADDRESS}\n"));
}
