//! The token file: private, made once, refused when others could have read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rampwatch::http::{Token, TokenError};

use crate::support::temp_dir;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn it_is_made_private_and_only_once() {
    let folder = temp_dir();
    let path = folder.path().join("new").join("token");
    let token = Token::load_or_create(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700, "a folder that had to be made is private too");
    let text = std::fs::read_to_string(&path).unwrap();
    let hex = text.trim_end();
    assert!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{} characters", hex.len());
    assert!(token.is(hex));
    assert!(Token::load_or_create(&path).unwrap().is(hex), "the second start reads what the first made");
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no draft is left: {left:?}");
    let other = folder.path().join("other");
    Token::load_or_create(&other).unwrap();
    assert_ne!(std::fs::read_to_string(&other).unwrap(), text, "two tokens differ");
}

#[test]
fn many_that_make_it_at_once_agree() {
    let folder = temp_dir();
    let path = folder.path().join("token");
    let made: Vec<Token> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Token::load_or_create(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(made.iter().all(|token| token.is(text.trim_end())));
}

#[test]
fn a_file_that_others_can_reach_is_refused() {
    let folder = temp_dir();
    let path = folder.path().join("token");
    for bits in [0o644, 0o640, 0o604, 0o660, 0o606] {
        write(&path, &"a".repeat(64), bits);
        let error = Token::load_or_create(&path).unwrap_err();
        assert!(matches!(&error, TokenError::Open { mode, .. } if *mode == bits), "{error}");
        let text = error.to_string();
        assert!(text.contains("chmod 600") && text.contains(&format!("{bits:04o}")), "{text}");
        assert!(!text.contains("aaaa"), "the token is not shown: {text}");
    }
    write(&path, &"a".repeat(64), 0o400);
    assert!(Token::load(&path).unwrap().is(&"a".repeat(64)));
}

#[test]
fn what_is_no_token_is_refused() {
    let folder = temp_dir();
    let path = folder.path().join("token");
    assert!(matches!(Token::load(&path), Err(TokenError::Missing(_))));
    for text in ["", "\n", "short", &"ä".repeat(40), &format!("{} {}", "a".repeat(40), "b")] {
        write(&path, text, 0o600);
        assert!(matches!(Token::load_or_create(&path), Err(TokenError::Unusable { .. })), "{text:?}");
    }
    assert!(matches!(Token::load(folder.path()), Err(TokenError::Unusable { .. })), "a folder is no file");
}

#[test]
fn it_is_the_token_or_it_is_not() {
    let folder = temp_dir();
    let path = folder.path().join("token");
    let right = "0123456789abcdef".repeat(4);
    write(&path, &format!("{right}\n"), 0o600);
    let token = Token::load(&path).unwrap();
    assert!(token.is(&right));
    for wrong in ["", "0", &right[1..], &format!("{right}0"), &right.to_uppercase(), &right.replace('f', "e")] {
        assert!(!token.is(wrong), "{wrong:?}");
    }
    assert!(!format!("{token:?}").contains("0123"), "Debug shows nothing");
}
