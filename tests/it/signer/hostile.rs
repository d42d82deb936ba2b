//! Keystores that somebody put together: refused before they cost anything, and quoted nowhere.

use std::time::{Duration, Instant};

use rampwatch::adapters::signer::Fault;

use super::{FOUNDRY, FOUNDRY_ADDRESS, FOUNDRY_KEY, FOUNDRY_PASSWORD, fault, kept, open, open_text};

/// The keystore with something else in place of a part of it.
fn changed(from: &str, to: &str) -> String {
    assert!(FOUNDRY.contains(from), "the keystore has no {from}");
    FOUNDRY.replace(from, to)
}

#[tokio::test]
async fn more_work_than_sound_keystores_ask_for_is_refused_at_once() {
    let pbkdf2 = |rounds: &str| {
        changed("\"scrypt\"", "\"pbkdf2\"")
            .replace("\"n\":8192", &format!("\"c\":{rounds},\"prf\":\"hmac-sha256\",\"n\":8192"))
    };
    let scrypt = |n: u64, r: u64, p: u64| {
        changed("\"n\":8192", &format!("\"n\":{n}"))
            .replace("\"r\":8", &format!("\"r\":{r}"))
            .replace("\"p\":1", &format!("\"p\":{p}"))
    };
    let start = Instant::now();
    for text in [
        scrypt(1 << 20, 8, 1),
        scrypt(1 << 40, 8, 1),
        scrypt(1 << 63, 8, 1),
        scrypt(8_192, 1 << 20, 1),
        scrypt(8_192, 8, 1 << 20),
        scrypt(2, 1 << 31, 1 << 31),
        scrypt(2, u64::MAX, u64::MAX),
        scrypt(262_144, 8, 5),
        scrypt(2, 1, 1 << 23),
        pbkdf2("4000001"),
        pbkdf2("4294967296"),
        pbkdf2("18446744073709551615"),
        changed("ec2dd5ae", &"ec2dd5ae".repeat(300)),
    ] {
        let fault = fault(&text, FOUNDRY_PASSWORD).await;
        assert!(matches!(fault, Fault::TooCostly(_)), "{fault}: {text}");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "nothing of it was worked on: {:?}", start.elapsed());
}

#[tokio::test]
async fn what_is_no_keystore_is_refused() {
    for (from, to, expected) in [
        ("\"n\":8192", "\"n\":0", "n = 0"),
        ("\"n\":8192", "\"n\":1", "n = 1"),
        ("\"n\":8192", "\"n\":8191", "n = 8191"),
        ("\"n\":8192", "\"n\":-8192", "wrong kind"),
        ("\"n\":8192", "\"n\":8192.5", "wrong kind"),
        ("\"n\":8192,", "", "no crypto.kdfparams.n"),
        ("\"r\":8", "\"r\":0", "r = 0"),
        ("\"p\":1", "\"p\":0", "p = 0"),
        ("\"dklen\":32", "\"dklen\":16", "dklen"),
        ("\"dklen\":32", "\"dklen\":4294967296", "dklen"),
        ("\"kdf\":\"scrypt\"", "\"kdf\":\"argon2id\"", "neither scrypt nor pbkdf2"),
        ("\"kdf\":\"scrypt\"", "\"kdf\":\"pbkdf2\"", "prf"),
        ("\"n\":8192", "\"c\":0,\"prf\":\"hmac-sha256\"", "no crypto.kdfparams.n"),
        ("aes-128-ctr", "aes-128-cbc", "cipher is not"),
        ("\"version\":3", "\"version\":1", "version is 1"),
        ("\"version\":3", "\"version\":\"3\"", "wrong kind"),
        ("5ce43961ab3fd9e255bb972289af89d9", "5ce43961", "iv has not"),
        ("5ce43961ab3fd9e255bb972289af89d9", "zz", "iv is not hexadecimal"),
        ("46ada3a47164b4beb7cd7dcf1ad0765b8b7bec9d09480beccee800c1ad1a8cf8", "", "ciphertext has not"),
        ("46ada3a4", "46ada3a400", "ciphertext has not"),
        ("ec2dd5ae", "ec2dd5a", "salt is not hexadecimal"),
        ("\"version\":3", "\"address\":\"12\",\"version\":3", "address has not"),
        ("\"mac\":\"c2", "\"mac\":\"zz", "mac is not hexadecimal"),
    ] {
        let fault = fault(&changed(from, to), FOUNDRY_PASSWORD).await;
        assert!(matches!(&fault, Fault::Malformed(what) if what.contains(expected)), "{fault}: {from} {to}");
    }
    assert!(fault("", "x").await.to_string().contains("no JSON"));
    assert!(fault(&"[".repeat(10_000), "x").await.to_string().contains("is no keystore"));
}

/// status-im/nimbus-eth2#3884 (another version, a validator's), MyEtherWallet/MyEtherWallet#1000 and emeraldpay/emerald-wallet#207
/// (`Crypto`), beside the version as text: the field is named.
#[tokio::test]
async fn r11_the_field_of_a_keystore_that_does_not_fit_is_named() {
    let twice = format!("{}, \"Crypto\": {{}}}}", FOUNDRY.trim_end().strip_suffix('}').unwrap());
    for (text, expected) in [
        (changed("\"version\":3", "\"version\":\"3\""), "its version is of the wrong kind: it is a text; write 3"),
        (twice, "it has crypto twice"),
        (changed("\"crypto\":", "\"kryptos\":"), "it has no crypto"),
        (changed("\"mac\":", "\"Mac\":"), "it has no crypto.mac"),
        (changed("\"n\":8192", "\"n\":\"8192\""), "its crypto.kdfparams.n is of the wrong kind: it is a text"),
        (
            changed("\"ciphertext\":", "\"ciphertext\":null,\"other\":"),
            "its crypto.ciphertext is of the wrong kind: it is null",
        ),
        ("{\"crypto\":{\"kdf\":{},\"cipher\":{}},\"version\":4}".to_owned(), "its version is 4"),
        (format!("\u{feff}{FOUNDRY}"), "byte order mark"),
    ] {
        let fault = fault(&text, FOUNDRY_PASSWORD).await;
        assert!(matches!(&fault, Fault::Malformed(what) if what.contains(expected)), "{fault}: no {expected:?}");
    }
    let utf16: Vec<u8> = FOUNDRY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_folder, file) = kept(&utf16, 0o600);
    let said = open(&file, FOUNDRY_PASSWORD).await.unwrap_err().to_string();
    assert!(said.contains("UTF-16"), "{said}");
}

/// A password with something around it fails as any wrong one does, and the message says what to look at.
#[tokio::test]
async fn r11_a_wrong_password_with_something_around_it_is_doubted() {
    for (password, words) in [
        (format!("\"{FOUNDRY_PASSWORD}\""), "quotation marks"),
        (format!("{FOUNDRY_PASSWORD} "), "a blank"),
        (format!("WALLET_PASSWORD={FOUNDRY_PASSWORD}"), "an equals sign"),
    ] {
        let said = open_text(FOUNDRY, &password).await.unwrap_err().to_string();
        assert!(said.contains("the password is wrong") && said.contains(words), "{said}");
        assert!(!said.contains(FOUNDRY_PASSWORD), "{said}");
    }
}

#[tokio::test]
async fn what_was_changed_does_not_open() {
    for (from, to) in [
        ("46ada3a4", "46ada3a5"),
        ("\"mac\":\"c2", "\"mac\":\"c3"),
        ("ec2dd5ae", "ec2dd5af"),
        ("\"n\":8192", "\"n\":4096"),
        ("\"mac\":\"c222cf6c", "\"mac\":\""),
        ("8cf8\"", "8c\""),
    ] {
        assert_eq!(fault(&changed(from, to), FOUNDRY_PASSWORD).await, Fault::WrongPassword, "{from} {to}");
    }
    for password in ["", "test", "test test ", "test test\n", "TEST TEST"] {
        assert_eq!(fault(FOUNDRY, password).await, Fault::WrongPassword, "{password:?}");
    }
    let address = |address: &str| changed("\"version\":3", &format!("\"address\":\"{address}\",\"version\":3"));
    let right = FOUNDRY_ADDRESS.to_lowercase();
    assert!(open_text(&address(&right), FOUNDRY_PASSWORD).await.is_ok());
    let other = fault(&address(&right.replace("0xf39f", "0xf39e")), FOUNDRY_PASSWORD).await;
    assert!(matches!(other, Fault::OtherAddress { .. }), "{other}");
}

#[tokio::test]
async fn a_raw_key_in_place_of_a_keystore_is_not_quoted() {
    let quoted = format!("\"{FOUNDRY_KEY}\"");
    let somewhere = changed("\"kdf\":\"scrypt\"", &format!("\"kdf\":\"{FOUNDRY_KEY}\""));
    let as_number = changed("\"n\":8192", &format!("\"n\":\"{FOUNDRY_KEY}\""));
    for text in [FOUNDRY_KEY, &quoted, &format!("0x{FOUNDRY_KEY}"), &somewhere, &as_number] {
        let error = open_text(text, FOUNDRY_PASSWORD).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(&FOUNDRY_KEY[..8]) && !said.contains(FOUNDRY_PASSWORD), "{said}");
    }
}
