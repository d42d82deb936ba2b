//! The configuration: the example, the environment over it, and every refusal.

#![cfg(test)]

use std::path::Path;

use rampwatch::config::{ConfigError, EXAMPLE, FinalityRule, LogFormat, Settings, parse_span, write_span};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::time::Span;
use secrecy::ExposeSecret as _;

mod funding;
mod http;
mod surroundings;
mod webhook;

/// The least that a file must have.
const LEAST: &str = r#"
[chain]
id = 137
name = "polygon"
[chain.token]
address = "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"
symbol = "USDC"
decimals = 6
[chain.finality]
rule = "finalized"
depth = 4
[rpc]
[[rpc.endpoints]]
name = "primary"
http = "https://polygon-rpc.example/v1/your-key"
ws = "wss://polygon-rpc.example/v1/your-key"
[api]
base_url = "https://api.sentra.xyz/api/v1"
key_env = "RAMPWATCH_API_KEY"
[store]
path = "rampwatch-data"
"#;

const TOKEN: &str = "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359";

fn read(text: &str, env: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(Path::new("/etc/rampwatch/config.toml"), text, env)
}

/// The one problem of the example with these variables, as it is printed.
fn refusal(env: &[(&str, &str)]) -> String {
    match read(EXAMPLE, env) {
        Err(ConfigError::Invalid { problems, .. }) => {
            assert_eq!(problems.0.len(), 1, "{problems}");
            problems.0[0].to_string()
        }
        other => panic!("{env:?} must be refused, and was not: {other:?}"),
    }
}

#[test]
fn links_lead_to_the_folder_itself_or_to_where_it_is_served() {
    assert_eq!(read(LEAST, &[]).unwrap().docs_url, "docs");
    let served = |url: &str| read(&format!("docs_url = {url:?}\n{LEAST}"), &[]);
    assert_eq!(served("https://wiki.example/docs/").unwrap().docs_url, "https://wiki.example/docs");
    for wrong in ["wiki.example/docs", "ftp://wiki.example/", "https://me:secret@wiki.example/", ""] {
        let said = served(wrong).unwrap_err().to_string();
        assert!(said.contains("docs_url") && said.contains("web address"), "{wrong}: {said}");
    }
}

#[test]
fn the_documented_example_is_valid_and_holds_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let loaded = Settings::load(Some(&path), std::iter::empty()).unwrap();
    assert_eq!(loaded.store.path, path.parent().unwrap().join("rampwatch-data"));

    let example = read(EXAMPLE, &[]).unwrap();
    assert_eq!(example.chain.id, 137);
    assert_eq!(example.chain.token.address.to_string(), TOKEN);
    assert_eq!(example.chain.tokens().count(), 2);
    assert_eq!(example.chain.finality.rule, FinalityRule::Finalized);
    assert_eq!(example.watch.keep_watching, Span::from_secs(7 * 86_400));
    assert_eq!(example.http.socket, Path::new("/etc/rampwatch/rampwatch-data/operator.sock"));
    assert_eq!(example.http.token_file, None);
    assert_eq!(example.log.format, LogFormat::Text);

    let mut least = read(LEAST, &[]).unwrap();
    least.chain.other_tokens.clone_from(&example.chain.other_tokens);
    assert_eq!(format!("{least:?}"), format!("{example:?}"), "the example shows the defaults");
}

#[test]
fn variables_override_the_file() {
    let settings = read(
        EXAMPLE,
        &[
            ("RAMPWATCH__CHAIN__ID", "80002"),
            ("RAMPWATCH__CHAIN__NAME", "137"),
            ("RAMPWATCH__CHAIN__OTHER_TOKENS", "[]"),
            ("RAMPWATCH__RPC__ENDPOINTS__0__HTTP", "https://other.example/secret"),
            ("RAMPWATCH__RPC__ENDPOINTS__1__NAME", "second"),
            ("RAMPWATCH__RPC__ENDPOINTS__1__WS", "wss://second.example"),
            ("RAMPWATCH__RPC__ENDPOINTS__0__WS", ""),
            ("RAMPWATCH__RPC__MAX_BLOCK_RANGE", "1_000"),
            ("RAMPWATCH__API__TIMEOUT", "\"20s\""),
            ("RAMPWATCH__MATCHING__TOLERANCE_OVER", "0.000001"),
            ("RAMPWATCH__MATCHING__TOLERANCE_UNDER", "1"),
            ("RAMPWATCH__STORE__PATH", "/var/lib/rampwatch"),
            ("RAMPWATCH__LOG__FORMAT", "json"),
            ("RAMPWATCH_API_KEY", "sk_dev_1"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(settings.chain.id, 80_002);
    assert_eq!(settings.chain.name, "137", "where a text is expected, a number stays a text");
    assert!(settings.chain.other_tokens.is_empty());
    let [first, second] = &settings.rpc.endpoints[..] else { panic!("two endpoints") };
    assert_eq!(first.http.as_ref().unwrap().expose_secret(), "https://other.example/secret");
    assert!(first.ws.is_none(), "an empty variable takes the URL away");
    assert_eq!(second.name, "second");
    assert!(second.http.is_none());
    assert_eq!(settings.rpc.max_block_range, 1_000);
    assert_eq!(settings.api.timeout, Span::from_secs(20));
    assert_eq!(settings.matching.tolerance_over, Amount::from_base_units(1));
    assert_eq!(settings.matching.tolerance_under, Amount::from_base_units(1_000_000));
    assert_eq!(settings.store.path, Path::new("/var/lib/rampwatch"));
    assert_eq!(settings.http.socket, Path::new("/var/lib/rampwatch/operator.sock"));
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.api.key().unwrap().expose_secret(), "sk_dev_1");
}

#[test]
fn a_whole_endpoint_can_come_from_variables() {
    let start = LEAST.find("[rpc]").unwrap();
    let end = LEAST.find("[api]").unwrap();
    let without = format!("{}{}", &LEAST[..start], &LEAST[end..]);
    assert!(read(&without, &[]).is_err());
    let name = ("RAMPWATCH__RPC__ENDPOINTS__0__NAME", "only");
    let settings = read(&without, &[("RAMPWATCH__RPC__ENDPOINTS__0__WS", "ws://127.0.0.1:8545"), name]).unwrap();
    assert_eq!(settings.rpc.endpoints[0].name, "only");
    // Twelve of them, given from the last to the first: the order of the variables does not matter.
    let many: Vec<(String, String)> = (0..12)
        .rev()
        .flat_map(|index| {
            let variable = |key: &str| format!("RAMPWATCH__RPC__ENDPOINTS__{index}__{key}");
            [(variable("NAME"), format!("e{index}")), (variable("HTTP"), format!("https://10.0.0.{index}"))]
        })
        .collect();
    let env: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let settings = read(&without, &env).unwrap();
    let names: Vec<&str> = settings.rpc.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "e10", "e11"]);
}

#[test]
fn r12_a_window_out_of_bounds_and_a_letter_that_looks_like_another_are_named() {
    for (variable, value, words) in [
        ("PAYOUTS__REPEAT_WINDOW", "367d", ["payouts.repeat_window = \"367d\"", "between 0ms and 366d"]),
        (
            "API__BASE_URL",
            "https://\u{430}pi.example",
            ["api.base_url", "the 9th character is U+0430, which looks like a"],
        ),
    ] {
        let name = format!("RAMPWATCH__{variable}");
        let said = read(EXAMPLE, &[(name.as_str(), value)]).unwrap_err().to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn each_mistake_names_key_value_origin_and_remedy() {
    let lower_mistyped = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359".to_uppercase().replace("0X", "0x");
    let cases: &[(&str, &str, &[&str])] = &[
        ("CHAIN__ID", "polygon", &["chain.id = \"polygon\"", "whole number"]),
        ("CHAIN__ID", "0", &["chain.id = 0", "between 1 and"]),
        ("CHAIN__TOKEN__ADDRESS", "0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359", &["checksum (EIP-55) is wrong"]),
        ("CHAIN__TOKEN__ADDRESS", &lower_mistyped, &["checksum"]),
        ("CHAIN__TOKEN__ADDRESS", "0x3c49", &["40 hexadecimal"]),
        ("CHAIN__TOKEN__ADDRESS", "3c499c542cEF5E3811e1192ce70d8cC03d5c3359", &["0x"]),
        ("CHAIN__TOKEN__ADDRESS", "0x0000000000000000000000000000000000000000", &["zero address"]),
        ("CHAIN__TOKEN__DECIMALS", "31", &["between 0 and 30"]),
        ("CHAIN__OTHER_TOKENS__0__ADDRESS", TOKEN, &["chain.other_tokens[0].address", "chain.token itself"]),
        ("CHAIN__OTHER_TOKENS__5__ADDRESS", TOKEN, &["chain.other_tokens[5].address", "without gaps"]),
        ("CHAIN__FINALITY__RULE", "safe", &["chain.finality.rule = \"safe\"", "\"depth\""]),
        ("CHAIN__FINALITY__DEPTH", "-1", &["between 0"]),
        ("CHAIN__FINALITY__DETPH", "1", &["chain.finality.detph (from", "no such key", "depth"]),
        ("CHAIN__FINALITY__DEPTH__X", "1", &["chain.finality.depth.x", "single value above"]),
        ("RPC__ENDPOINTS", "[]", &["rpc.endpoints", "empty"]),
        ("RPC__ENDPOINTS", "x", &["rpc.endpoints", "list of tables"]),
        ("RPC__ENDPOINTS__0__HTTP", "ftp://a.example", &["rpc.endpoints[0].http", "https://"]),
        ("RPC__ENDPOINTS__0__HTTP", "wss://a.example", &["rpc.endpoints[0].http", "https://"]),
        ("RPC__ENDPOINTS__0__WS", "https://a.example", &["rpc.endpoints[0].ws", "wss://"]),
        ("RPC__ENDPOINTS__0__NAME", "a b", &["rpc.endpoints[0].name = \"a b\""]),
        ("RPC__SILENCE_TIMEOUT", "1s", &["rpc.silence_timeout = \"1s\"", "between 2s and 1h"]),
        ("RPC__REQUEST_TIMEOUT", "0s", &["between 50ms and 5m"]),
        ("RPC__REQUEST_TIMEOUT", "2s", &["rpc.connect_timeout = \"5s\" (line", "request_timeout (2s)"]),
        ("RPC__REQUEST_TIMEOUT", "10", &["no span of time", "500ms"]),
        ("RPC__REQUEST_TIMEOUT", "1.5s", &["no span of time"]),
        ("API__BASE_URL", "http://api.example/v1", &["api.base_url (from", "https://"]),
        ("API__BASE_URL", "https://user:pw@api.example", &["no user, password"]),
        ("API__BASE_URL", "https://api.example/?key=1", &["query"]),
        ("API__BASE_URL", "api.example", &["https://"]),
        ("API__KEY_ENV", "sk_live_SECRET", &["looks like the key itself"]),
        ("API__KEY_ENV", "", &["api.key_env", "missing"]),
        ("API__KEY_FILE", "/run/key", &["api.key_file = \"/run/key\"", "exactly one"]),
        ("API__KEY", "sk_live_SECRET", &["api.key (from", "no such key", "key_env"]),
        ("API__TIMEOUT", "5s", &["api.connect_timeout = \"5s\" (line", "shorter than timeout (5s)"]),
        ("API__MAX_CONCURRENT", "0", &["between 1 and"]),
        ("STORE__PATH", "~/data", &["written in full", "store.path"]),
        ("WATCH__SWEEP_INTERVAL", "0s", &["between 100ms and 1h"]),
        ("WATCH__OVERLAP_BLOCKS", "100000", &["watch.overlap_blocks = 100000"]),
        ("WATCH__KEEP_WATCHING", "5m", &["watch.second_reading_after = \"5m\" (line", "keep_watching (5m)"]),
        ("MATCHING__TOLERANCE_UNDER", "0.0000001", &["more than 6 decimals"]),
        ("MATCHING__TOLERANCE_UNDER", "-1", &["sign"]),
        ("MATCHING__TOLERANCE_UNDER", "1e3", &["plain decimal"]),
        ("MATCHING__TOLERANCE_OVER", "1000.000001", &["at most 1000 whole units"]),
        ("MATCHING__SKEW", "2h", &["between 0ms and 1h"]),
        ("HTTP__LISTEN", "0.0.0.0:8787", &["loopback", "proxy"]),
        ("HTTP__LISTEN", "[::]:8787", &["loopback"]),
        ("HTTP__LISTEN", "127.0.0.1", &["an address and a port"]),
        ("LOG__FILTER", "rampwatch=loud", &["log.filter = \"rampwatch=loud\"", "RUST_LOG"]),
        ("LOG__FORMAT", "xml", &["\"json\""]),
        ("MACTHING__SKEW", "1m", &["macthing (from RAMPWATCH__MACTHING__SKEW)", "no such key", "matching"]),
        ("", "1", &["no such key"]),
    ];
    for (name, value, expected) in cases {
        let variable = format!("RAMPWATCH__{name}");
        let text = refusal(&[(&variable, value)]);
        for part in *expected {
            let part = part.replace("written in full", "write the path in full");
            assert!(text.contains(&part), "{name}={value}: {text:?} must contain {part:?}");
        }
        let from = text.contains(&format!("(from {variable})"));
        assert!(
            value.is_empty() || from || text.contains("(line "),
            "{name}={value}: {text:?} must say where the value came from"
        );
        assert!(!text.contains("SECRET") && !text.contains("pw@"), "{text}");
    }
}

#[test]
fn good_values_at_the_edge_are_taken() {
    for (name, value) in [
        ("CHAIN__TOKEN__ADDRESS", "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"),
        ("CHAIN__FINALITY__DEPTH", "0"),
        ("API__BASE_URL", "http://127.0.0.1:4000/api/v1/"),
        ("API__BASE_URL", "http://localhost:4000"),
        ("API__BASE_URL", "http://[::1]:4000"),
        ("HTTP__LISTEN", "[::1]:0"),
        ("MATCHING__TOLERANCE_OVER", "1000"),
        ("WATCH__START_MARGIN", "0s"),
        ("LOG__FILTER", "info,rampwatch=debug"),
    ] {
        let variable = format!("RAMPWATCH__{name}");
        let settings = read(EXAMPLE, &[(&variable, value)]).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
        assert!(!settings.api.base_url.ends_with('/'));
    }
}

#[test]
fn no_depth_is_for_the_sandbox_alone() {
    let depth_rule = ("RAMPWATCH__CHAIN__FINALITY__RULE", "depth");
    let no_depth = ("RAMPWATCH__CHAIN__FINALITY__DEPTH", "0");
    assert!(refusal(&[depth_rule, no_depth]).contains("at least 1"));
    read(EXAMPLE, &[depth_rule, no_depth, ("RAMPWATCH__CHAIN__ID", "1337137")]).unwrap();
    read(EXAMPLE, &[depth_rule]).unwrap();
}

#[test]
fn all_problems_come_at_once_and_in_full() {
    let text = LEAST
        .replace("id = 137", "id = 137\ncolour = 1")
        .replace("decimals = 6", "decimals = \"6\"")
        .replace("name = \"primary\"", "")
        .replace("depth = 4", "depth = 4\nstall_after = 120")
        .replace("path = \"rampwatch-data\"", "");
    let error = read(&text, &[("RAMPWATCH__API__TIMEOUT", "soon")]).unwrap_err().to_string();
    for part in [
        "\"/etc/rampwatch/config.toml\" has 6 problems:",
        "\n  chain.colour (line 4): no such key; known here: id, name,",
        "\n  chain.token.decimals = \"6\" (line 9): it must be a whole number, without quotes",
        "\n  chain.finality.stall_after = 120 (line 13): it must be a text: put it in quotes",
        "\n  rpc.endpoints[0].name: it is missing",
        "\n  api.timeout = \"soon\" (from RAMPWATCH__API__TIMEOUT): it is no span of time",
        "\n  store.path: it is missing: give a folder",
    ] {
        assert!(error.contains(part), "{error}\nmust contain {part:?}");
    }
    let empty = read("", &[]).unwrap_err().to_string();
    for key in
        ["chain.id", "chain.token.address", "chain.finality.rule", "rpc.endpoints", "api.base_url", "api.key_env"]
    {
        assert!(empty.contains(&format!("\n  {key}: it is missing")), "{key}: {empty}");
    }
}

#[test]
fn endpoints_must_differ_and_have_a_url() {
    let more = |body: &str| format!("{LEAST}\n[[rpc.endpoints]]\n{body}");
    let cases = [
        ("name = \"primary\"\nhttp = \"https://b.example\"", "rpc.endpoints[1].name = \"primary\" (line 24): another"),
        (
            "name = \"b\"\nhttp = \"https://polygon-rpc.example/v1/your-key\"",
            "rpc.endpoints[1].http (line 25): another",
        ),
        ("name = \"b\"", "rpc.endpoints[1].http: it is missing"),
    ];
    for (body, expected) in cases {
        let error = read(&more(body), &[]).unwrap_err().to_string();
        assert!(error.contains("has a problem:") && error.contains(expected), "{error}\nmust contain {expected:?}");
        assert!(!error.contains("your-key"), "{error}");
    }
    let twice = format!("{LEAST}\n[[chain.other_tokens]]\naddress = \"{TOKEN}\"\nsymbol = \"A\"\ndecimals = 6");
    assert!(read(&twice, &[]).is_err());
}

#[test]
fn secrets_show_up_nowhere() {
    let settings = read(
        EXAMPLE,
        &[
            ("RAMPWATCH__RPC__ENDPOINTS__0__HTTP", "https://user:SECRET1@rpc.example/SECRET2?key=SECRET3"),
            ("RAMPWATCH_API_KEY", "sk_live_SECRET4"),
        ],
    )
    .unwrap();
    let shown = format!("{settings:?} {settings:#?}");
    assert!(!shown.contains("SECRET"), "{shown}");

    let broken = EXAMPLE.replace("http = \"https://polygon-rpc.example/v1/your-key\"", "http = \"https://a/SECRET");
    let error = read(&broken, &[]).unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { .. }), "{error}");
    let line = 1 + broken.lines().position(|line| line.contains("https://a/SECRET")).unwrap();
    assert!(error.to_string().contains(&format!("at line {line},")), "{error}");
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = Settings::load(Some(&folder.path().join("none.toml")), std::iter::empty()).unwrap_err().to_string();
    assert!(
        error.contains("none.toml") && error.contains("documented example") && error.contains("--config"),
        "{error}"
    );
    let error = Settings::load(Some(folder.path()), std::iter::empty()).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
}

#[test]
fn the_key_comes_from_a_variable() {
    let key = |value: Option<&str>| {
        let env: Vec<_> = value.map(|value| ("RAMPWATCH_API_KEY", value)).into_iter().collect();
        read(EXAMPLE, &env).unwrap().api.key().map(|key| key.expose_secret().to_owned())
    };
    assert_eq!(key(Some("sk_dev_1\n")).unwrap(), "sk_dev_1");
    let unset = key(None).unwrap_err().to_string();
    assert!(unset.contains("RAMPWATCH_API_KEY") && unset.contains("not set"), "{unset}");
    for bad in ["", "\n", "sk SECRET", "sk_SECRET\u{e9}", &"SECRET".repeat(1_000)] {
        let error = key(Some(bad)).unwrap_err().to_string();
        assert!(error.contains("RAMPWATCH_API_KEY") && !error.contains("SECRET"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn the_key_comes_from_a_private_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let text = EXAMPLE.replace("key_env = \"RAMPWATCH_API_KEY\"", "key_file = \"api-key\"");
    std::fs::write(&config, text).unwrap();
    let settings = Settings::load(Some(&config), std::iter::empty()).unwrap();
    let key = || settings.api.key().map(|key| key.expose_secret().to_owned());
    assert!(key().unwrap_err().to_string().contains("cannot be read"));

    let file = folder.path().join("api-key");
    std::fs::write(&file, "sk_dev_2\n").unwrap();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o666, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        match key() {
            Ok(key) => assert!(good && key == "sk_dev_2", "{mode:o}"),
            Err(error) => assert!(!good && error.to_string().contains("chmod 600"), "{mode:o}: {error}"),
        }
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "\n").unwrap();
    assert!(key().unwrap_err().to_string().contains("is empty"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(key().unwrap_err().to_string().contains("not a file"));
}

#[test]
fn spans_are_read_and_written() {
    let cases = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000), ("0ms", 0)];
    for (text, millis) in cases {
        assert_eq!(parse_span(text), Ok(Span::from_millis(millis)), "{text}");
        assert_eq!(write_span(Span::from_millis(millis)), text);
    }
    for bad in [
        "",
        "5",
        "s",
        "-5s",
        "+5s",
        "5 s",
        "1.5h",
        "1h30m",
        "5S",
        "5w",
        "٥s",
        "18446744073709551616ms",
        "999999999999999d",
    ] {
        assert!(parse_span(bad).is_err(), "{bad}");
    }
}
