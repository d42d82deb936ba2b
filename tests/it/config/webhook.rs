//! `[webhook]`: where the API tells of changes, and the secret.

use std::os::unix::fs::PermissionsExt as _;

use rampwatch::config::{EXAMPLE, KeySource};
use secrecy::ExposeSecret as _;

use super::read;

fn with(webhook: &str) -> String {
    format!("{EXAMPLE}\n[webhook]\n{webhook}\n")
}

#[test]
fn it_may_be_left_out() {
    let settings = read(EXAMPLE, &[]).unwrap().webhook;
    assert!(settings.public_url.is_none() && settings.secret_source.is_none());
    assert!(settings.secret().unwrap().is_none());
}

#[test]
fn the_secret_comes_from_a_variable_or_a_private_file() {
    let text = with("public_url = \"https://desk.example/hook\"\nsecret_env = \"HOOK\"");
    let settings = read(&text, &[("HOOK", "a-secret\n")]).unwrap().webhook;
    assert_eq!(settings.public_url.as_deref(), Some("https://desk.example/hook"));
    assert_eq!(settings.secret().unwrap().unwrap().expose_secret(), "a-secret");
    assert!(!format!("{settings:?}").contains("a-secret"));
    for (value, why) in
        [(None, "is not set"), (Some(""), "is empty"), (Some("a b"), "holds blanks"), (Some("a\nb"), "one line")]
    {
        let env: Vec<(&str, &str)> = value.map(|value| ("HOOK", value)).into_iter().collect();
        let error = read(&text, &env).unwrap().webhook.secret().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("HOOK (webhook.secret_env)"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "another\n").unwrap();
    let settings = read(&with(&format!("secret_file = {:?}", file.display().to_string())), &[]).unwrap().webhook;
    assert!(matches!(&settings.secret_source, Some(KeySource::File(path)) if *path == file));
    for (mode, private) in [(0o600, true), (0o640, false), (0o604, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        match settings.secret() {
            Ok(secret) => assert!(private && secret.unwrap().expose_secret() == "another"),
            Err(error) => assert!(!private && error.to_string().contains("chmod 600"), "{error}"),
        }
    }
}

#[test]
fn what_is_wrong_is_named_and_not_shown() {
    for (text, key, part) in [
        ("public_url = \"http://desk.example/RECOGNISABLE\"", "webhook.public_url", "https://"),
        ("public_url = \"https://desk.example/?key=RECOGNISABLE\"", "webhook.public_url", "query"),
        ("secret_env = \"whsec_RECOGNISABLE\"", "webhook.secret_env", "the secret itself"),
        ("secret_env = \"HOOK\"\nsecret_file = \"x\"", "webhook.secret_file", "one of the two"),
        ("secret = \"RECOGNISABLE\"", "webhook.secret", "no such key"),
    ] {
        let error = read(&with(text), &[]).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(part), "{error}");
        assert!(!error.contains("RECOGNISABLE"), "{error}");
    }
}
