//! Secrets and values as they really arrive (R10, R11): what is around them is named before anything is tried, and guards see
//! through it.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;

use super::{Place, Ran};

/// A configuration whose key is in a file.
fn with_key_file(place: &Place, content: &[u8]) {
    let text = std::fs::read_to_string(place.path("config.toml")).unwrap();
    if !text.contains("key_file = \"api-key\"") {
        place.edit("key_env = \"RAMPWATCH_API_KEY\"", "key_file = \"api-key\"");
    }
    let file = place.path("api-key");
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// TBI-SCC-ICT-Diensten/acc-mcp-server#86 and martabal/qbittorrent-exporter#259 (quotes from env files), 1Password/connect#62
/// (what is around a secret), each named before anything is tried.
#[tokio::test]
async fn r11_what_is_around_the_key_is_named_before_anything_is_tried() {
    let place = Place::offline();
    for (value, words) in [
        ("\"sk_live_x\"", "quotation marks"),
        ("'sk_dev_x'", "quotation marks"),
        ("sk_live_x\u{200b}", "the 10th character is U+200B"),
        ("RAMPWATCH_API_KEY=sk_live_x", "a name and an equals sign"),
        ("Bearer sk_live_x", "the word Bearer"),
        ("${API_KEY}", "a placeholder"),
        ("sk_live_x ", "a blank"),
    ] {
        let mut command = place.command(&["config", "check"]);
        let ran = Ran::of(command.env("RAMPWATCH_API_KEY", value).output().await.unwrap());
        assert!(!ran.err.contains("live_x") && !ran.err.contains("dev_x"), "{}", ran.err);
        ran.fails(3, &["RAMPWATCH_API_KEY (api.key_env)", words]);
    }
    let utf16: Vec<u8> = "sk_live_x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files: [(&[u8], &str); 5] = [
        (b"\xef\xbb\xbfsk_live_x", "a byte order mark"),
        (&utf16, "UTF-16"),
        (b"\xff\xfes\0k\0", "UTF-16"),
        (b"{\"api_key\": \"sk_live_x\"}", "is JSON"),
        (b"sk_live_x\\n", "a backslash"),
    ];
    for (content, words) in files {
        with_key_file(&place, content);
        for command in [&["config", "check"][..], &["run"]] {
            let ran = place.run(command).await;
            assert_eq!(ran.code, 3, "{}", ran.err);
            assert!(ran.err.contains("api-key") && ran.err.contains(words), "{}", ran.err);
            assert!(!ran.err.contains("live_x"), "{}", ran.err);
        }
    }
    // kubernetes/kubernetes#23404: a line end after it is nothing.
    with_key_file(&place, b"sk_live_x\r\n");
    place.run(&["config", "check"]).await.fails(6, &["no RPC endpoint can be reached"]);
}

/// A wallet on a live chain, and a development key that something hides from who looks at how it begins.
#[tokio::test]
async fn r11_no_quotes_hide_a_development_key_from_the_guard() {
    let place = Place::offline().with_wallet();
    for value in ["sk_dev_x", "\"sk_dev_x\"", "'sk_dev_x'", "SK_DEV_x", "-sk_dev_x", " sk_dev_x", "(sk_dev_x)"] {
        let mut command = place.command(&["config", "check"]);
        let ran = Ran::of(command.env("RAMPWATCH_API_KEY", value).output().await.unwrap());
        assert_eq!(ran.code, 3, "{value}: {}", ran.err);
        let is_told = ran.err.contains("development") || ran.err.contains("quotation") || ran.err.contains("blank");
        assert!(is_told, "{value}: {}", ran.err);
    }
}

/// The webhook's secret, a token and a notice's secret are looked at in the same way.
#[tokio::test]
async fn r11_every_other_secret_is_looked_at_too() {
    let place = Place::offline();
    place.edit("# [webhook]", "[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_env = \"RAMPWATCH_HOOK\"\n# [webhook]");
    for (value, words) in [("\"whsec_x\"", "quotation marks"), ("RAMPWATCH_HOOK=whsec_x", "an equals sign")] {
        let mut command = place.command(&["config", "check"]);
        let ran = Ran::of(command.env("RAMPWATCH_HOOK", value).output().await.unwrap());
        ran.fails(3, &["webhook.secret_env", words]);
        let mut command = place.command(&["doctor", "--json"]);
        let doctor = Ran::of(command.env("RAMPWATCH_HOOK", value).output().await.unwrap());
        assert!(doctor.out.contains(words) && doctor.out.contains("correct it where it says"), "{}", doctor.out);
    }
}

/// Values of the configuration, wherever they stand: MyEtherWallet's users and whatwg/url#151 met them in addresses and URLs.
#[tokio::test]
async fn r12_odd_characters_in_the_configuration_are_named() {
    for (from, to, words) in [
        ("127.0.0.1:9/api", "127.0.0.1:9/\u{200b}api", ["api.base_url", "U+200B"]),
        ("name = \"primary\"", "name = \"prim\u{430}ry\"", ["rpc.endpoints[0].name", "the 5th character is U+0430"]),
        ("0x3c499c542cEF5E", "\u{200b}0x3c499c542cEF5E", ["chain.token.address", "the 1st character is U+200B"]),
        ("skew = \"", "skew = \"\u{2212}", ["matching.skew", "U+2212"]),
        ("decimals = 6\n", "decimals = \u{201c}6\u{201d}\n", ["config.toml", "U+201C"]),
        ("decimals = 6\n", "decimal\u{455} = 6\n", ["U+0455", "config.toml"]),
    ] {
        let place = Place::offline();
        place.edit(from, to);
        place.run(&["list"]).await.fails(3, &words);
    }
    let place = Place::offline();
    let text = std::fs::read_to_string(place.path("config.toml")).unwrap();
    std::fs::write(place.path("config.toml"), text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
        .unwrap();
    place.run(&["list"]).await.fails(3, &["config.toml", "UTF-16"]);
    place.write("config.toml", &format!("\u{feff}{text}"));
    place.run(&["list"]).await.fails(6, &["there is no store"]);
}

/// kubernetes/kubernetes#57923 and kubernetes/website#37388: root's own, mode 0440, of the pod's group, behind symbolic links.
#[tokio::test]
async fn r10_a_secret_as_kubernetes_mounts_it_is_private() {
    let (user, group) = (10_001, 10_001);
    if !rustix::process::geteuid().is_root() {
        // Only root can make such files; who may reach them is a table in domain::private.
        return;
    }
    let place = Place::offline();
    place.edit("key_env = \"RAMPWATCH_API_KEY\"", "key_file = \"secrets/api-key\"");
    let data = place.path("secrets/..2026_11_30");
    std::fs::create_dir_all(&data).unwrap();
    symlink("..2026_11_30", place.path("secrets/..data")).unwrap();
    symlink("..data/api-key", place.path("secrets/api-key")).unwrap();
    let key = data.join("api-key");
    std::fs::write(&key, "sk_live_x").unwrap();
    for folder in [place.path(""), place.path("secrets"), data] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(place.path("config.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = async |mode: u32, owner: u32, of: u32| {
        std::os::unix::fs::chown(&key, Some(owner), Some(of)).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        // The program is in a folder of root's; the process starts as root and becomes the other user.
        let mut command = std::process::Command::new("setpriv");
        let ids = [format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()];
        command.args(ids).arg(env!("CARGO_BIN_EXE_rampwatch")).args(["config", "check"]).env_clear();
        command.env("PATH", "/usr/bin:/bin").current_dir(place.path("")).stdin(Stdio::null());
        Ran::of(tokio::process::Command::from(command).output().await.unwrap())
    };
    let mounted = check(0o440, 0, group).await;
    assert!(!mounted.err.contains("reached by others"), "{}", mounted.err);
    assert!(mounted.code != 3 || mounted.err.contains("store.path"), "the key was taken: {}", mounted.err);
    for (mode, owner, of) in [(0o444, 0, group), (0o460, 0, group), (0o440, user, group)] {
        let refused = check(mode, owner, of).await;
        refused.fails(3, &["can be reached by others", "fsGroup", "defaultMode 0400"]);
    }
}
