//! Who may have written the configuration, what it may reach for, and over which ways.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::{Output, Stdio};

use rampwatch::config::{ConfigError, EXAMPLE, Settings};
use tokio::process::Command;

use super::read;
use crate::support::temp_dir;

#[test]
fn f16_a_configuration_that_others_may_write_or_own_is_refused() {
    let folder = temp_dir();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, EXAMPLE).unwrap();
    let load = || Settings::load(Some(&file), std::iter::empty());
    for (mode, good) in [
        (0o600, true),
        (0o640, true),
        (0o644, true),
        (0o755, true),
        (0o620, false),
        (0o664, false),
        (0o646, false),
        (0o666, false),
        (0o777, false),
    ] {
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        match load() {
            Ok(_) => assert!(good, "{mode:o} is read"),
            Err(error) => {
                let said = error.to_string();
                assert!(!good && matches!(error, ConfigError::Writable { .. }), "{mode:o}: {said}");
                let named = said.contains(&format!("mode {mode:04o}")) && said.contains("chmod go-w");
                assert!(named && said.contains("config.toml"), "{said}");
            }
        }
    }
    // Only root can give a file away; whose files are believed is a table of its own beside the rule.
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    if chown(&file, Some(12_345), None).is_ok() {
        let said = load().unwrap_err().to_string();
        assert!(said.contains("belongs to user 12345") && said.contains("chown"), "{said}");
    }
}

#[test]
fn f16_a_mounted_config_map_is_right() {
    // A ConfigMap is a folder open to all, with links to a folder of its own for each version.
    let folder = temp_dir();
    std::fs::create_dir(folder.path().join("..2026_11_30")).unwrap();
    let real = folder.path().join("..2026_11_30/config.toml");
    std::fs::write(&real, EXAMPLE).unwrap();
    std::fs::set_permissions(&real, Permissions::from_mode(0o644)).unwrap();
    symlink("..2026_11_30", folder.path().join("..data")).unwrap();
    symlink("..data/config.toml", folder.path().join("config.toml")).unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let load = || Settings::load(Some(&folder.path().join("config.toml")), std::iter::empty());
    load().unwrap();
    // What counts is the file at the end of the links.
    std::fs::set_permissions(&real, Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(load(), Err(ConfigError::Writable { .. })));
}

/// The program's own words, in a folder whose `config.toml` names a variable of somebody else's.
async fn check(arguments: &[&str], changes: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    let folder = temp_dir();
    let mut text = EXAMPLE.replace("https://api.sentra.xyz/api/v1", "https://127.0.0.1:9/api");
    text = text.replace("https://polygon-rpc.example/v1/", "http://127.0.0.1:9/");
    text = text.replace("wss://polygon-rpc.example/v1/", "ws://127.0.0.1:9/");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    std::fs::write(folder.path().join("config.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rampwatch"));
    command.args(arguments).args(["config", "check"]).current_dir(folder.path()).env_clear();
    command.env("CLOUD_SECRET", "sk_live_of_another").envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let Output { stdout, stderr, .. } = command.output().await.unwrap();
    let said = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!said.contains("sk_live_of_another"), "{said}");
    said
}

#[tokio::test]
async fn f16_the_folder_one_stands_in_names_no_variables_of_others() {
    const REFUSED: &str = "may only name variables that begin with RAMPWATCH_";
    let key = [("key_env = \"RAMPWATCH_API_KEY\"", "key_env = \"CLOUD_SECRET\"")];
    let said = check(&[], &key, &[]).await;
    assert!(said.contains("api.key_env (line") && said.contains(REFUSED), "{said}");
    for remedy in ["--config", "RAMPWATCH_CONFIG", "/etc/rampwatch"] {
        assert!(said.contains(remedy), "{said}");
    }

    // Every key that names a variable.
    let all = [
        ("[funding]\n", "[wallet]\nkeystore = \"w.json\"\npassword_env = \"CLOUD_SECRET\"\n[funding]\n"),
        (
            "[http]\n",
            "[webhook]\nsecret_env = \"CLOUD_SECRET\"\n[notify]\n[[notify.endpoints]]\nname = \"a\"\nurl_env = \
             \"CLOUD_SECRET\"\nsecret_env = \"CLOUD_SECRET\"\n[http]\n",
        ),
        ("id = 137 ", "id = 31337 "),
    ];
    let said = check(&[], &all, &[]).await;
    for key in
        ["wallet.password_env", "webhook.secret_env", "notify.endpoints[0].url_env", "notify.endpoints[0].secret_env"]
    {
        assert!(said.contains(&format!("{key} (line")), "{key}: {said}");
    }
    assert_eq!(said.matches(REFUSED).count(), 4, "{said}");
    let raw = [("[funding]\n", "[wallet]\nkey_env = \"CLOUD_SECRET\"\n[funding]\n"), ("id = 137 ", "id = 31337 ")];
    let said = check(&[], &raw, &[]).await;
    assert!(said.contains("wallet.key_env (line") && said.contains(REFUSED), "{said}");

    // Somebody who names the file, or the variable, means it; ours need no word.
    for (arguments, changes, variables) in [
        (&["--config", "config.toml"][..], &key[..], &[][..]),
        (&[], &key, &[("RAMPWATCH_CONFIG", "config.toml")]),
        (&[], &[], &[("RAMPWATCH__API__KEY_ENV", "CLOUD_SECRET")]),
        (&[], &[], &[("RAMPWATCH_API_KEY", "sk_live_1")]),
    ] {
        let said = check(arguments, changes, variables).await;
        assert!(!said.contains(REFUSED) && !said.contains("api.key_env"), "{said}");
        assert!(said.contains("can be reached"), "it went on: {said}");
    }
}

#[test]
fn f20_a_node_is_asked_in_plain_on_loopback_or_where_it_is_allowed_by_name() {
    let http = "RAMPWATCH__RPC__ENDPOINTS__0__HTTP";
    let ws = "RAMPWATCH__RPC__ENDPOINTS__0__WS";
    let allow = "RAMPWATCH__RPC__ALLOW_PLAIN_HTTP";
    let cases: &[(&str, &str, &str, bool)] = &[
        (http, "https://node.example/", "[]", true),
        (http, "http://127.0.0.1:8545/", "[]", true),
        (http, "http://127.8.9.1/", "[]", true),
        (http, "http://localhost:8545/", "[]", true),
        (http, "http://[::1]:8545/", "[]", true),
        (ws, "ws://localhost:8546/", "[]", true),
        (http, "http://node.internal:8545/", "[]", false),
        (http, "http://10.0.0.5:8545/", "[]", false),
        (http, "http://localhost.evil.example/", "[]", false),
        (http, "http://127.0.0.1.evil.example/", "[]", false),
        (ws, "ws://node.internal:8546/", "[]", false),
        (http, "http://node.internal:8545/", "[\"Node.Internal\"]", true),
        (ws, "ws://node.internal:8546/", "[\"node.internal\"]", true),
        (http, "http://10.0.0.5:8545/", "[\"10.0.0.5\"]", true),
        (http, "http://[fd00::5]:8545/", "[\"fd00::5\"]", true),
        (http, "http://other.internal:8545/", "[\"node.internal\"]", false),
    ];
    for &(key, url, hosts, good) in cases {
        match read(EXAMPLE, &[(key, url), (allow, hosts)]) {
            Ok(_) => assert!(good, "{url} with {hosts}"),
            Err(error) => {
                let said = error.to_string();
                assert!(!good, "{url} with {hosts}: {said}");
                assert!(said.contains("rpc.allow_plain_http") && said.contains("rpc.endpoints[0]"), "{said}");
                assert!(!said.contains("node.internal") && !said.contains("10.0.0.5"), "URLs are secrets: {said}");
            }
        }
    }
    let said = read(EXAMPLE, &[(allow, "[\"http://node\"]")]).unwrap_err().to_string();
    assert!(said.contains("rpc.allow_plain_http[0]") && said.contains("without a port"), "{said}");
}
