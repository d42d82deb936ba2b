//! The token file: private, made once, refused when others could have read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rampwatch::config::{HttpSettings, TokenSettings};
use rampwatch::domain::actor::{Actor, Role};
use rampwatch::http::{Token, TokenError, Tokens};

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

fn settings(folder: &Path, names: &[&str]) -> HttpSettings {
    let token = |name: &&str| TokenSettings {
        name: Actor::new(*name).unwrap(),
        file: folder.join(name),
        roles: vec![Role::Read],
    };
    HttpSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        socket: folder.join("operator.sock"),
        token_file: Some(folder.join("operator-token")),
        tokens: names.iter().map(token).collect(),
        allow_remote: false,
        hosts: vec![],
    }
}

fn given(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[test]
fn tokens_tell_who_asks() {
    let folder = temp_dir();
    let settings = settings(folder.path(), &["alice", "bob"]);
    let tokens = Tokens::load(&settings).unwrap();
    let mode = std::fs::metadata(folder.path().join("alice")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "files that were missing are made");
    for (name, roles) in [("alice", vec![Role::Read]), ("bob", vec![Role::Read])] {
        let bearer = tokens.bearer(&given(&folder.path().join(name))).unwrap();
        assert_eq!((bearer.name.as_str(), &bearer.roles), (name, &roles));
    }
    let own = settings.token_file.as_deref().unwrap();
    let local = tokens.bearer(&given(own)).unwrap();
    assert!(local.name.is_local() && local.roles == Role::ALL);
    assert_eq!(tokens.bearer("wrong"), None);
    assert!(!format!("{tokens:?}").contains(&given(own)), "Debug shows nothing");
}

#[test]
fn two_that_are_the_same_are_refused() {
    let folder = temp_dir();
    let settings = settings(folder.path(), &["alice", "bob"]);
    write(&settings.tokens[0].file, &"a".repeat(64), 0o600);
    write(&settings.tokens[1].file, &format!("{}\n", "a".repeat(64)), 0o600);
    let error = Tokens::load(&settings).unwrap_err();
    assert!(matches!(&error, TokenError::Twice { other, .. } if other.as_str() == "alice"), "{error}");
    assert!(!error.to_string().contains("aaaa"), "{error}");
    write(&settings.tokens[1].file, &"b".repeat(64), 0o644);
    assert!(matches!(Tokens::load(&settings), Err(TokenError::Open { .. })));
}

#[test]
fn a_file_of_another_user_is_refused() {
    let folder = temp_dir();
    let settings = settings(folder.path(), &["alice"]);
    Tokens::load(&settings).unwrap();
    // Only root can give a file away; nobody else can be tricked this way either.
    match std::os::unix::fs::chown(&settings.tokens[0].file, Some(4_711), None) {
        Ok(()) => {
            let error = Tokens::load(&settings).unwrap_err();
            assert!(matches!(error, TokenError::Foreign { owner: 4_711, .. }), "{error}");
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn f13_the_machine_s_own_token_is_new_at_each_start() {
    let folder = temp_dir();
    let settings = settings(folder.path(), &["alice"]);
    let own = settings.token_file.as_deref().unwrap();
    let first = Tokens::load(&settings).unwrap();
    let (before, alice) = (given(own), given(&settings.tokens[0].file));
    assert!(first.bearer(&before).is_some_and(|bearer| bearer.name.is_local()));
    let second = Tokens::load(&settings).unwrap();
    let after = given(own);
    assert_ne!(before, after);
    assert_eq!(mode(own), 0o600);
    assert_eq!(second.bearer(&before), None, "whoever was given the token before has nothing");
    assert!(second.bearer(&after).is_some());
    assert!(second.bearer(&alice).is_some(), "a person's own token stays");
    // Also when the port could be had only later.
    second.renew(&settings).unwrap();
    assert_eq!(second.bearer(&after), None);
    assert!(second.bearer(&given(own)).is_some());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "no draft is left: {left:?}");
}

#[test]
fn f13_where_no_token_file_is_named_there_is_no_token_of_the_machine() {
    let folder = temp_dir();
    let settings = HttpSettings { token_file: None, ..settings(folder.path(), &[]) };
    let tokens = Tokens::load(&settings).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    for given in ["", "local", &"0".repeat(64)] {
        assert_eq!(tokens.bearer(given), None);
    }
}

#[test]
fn a_file_that_holds_no_token_is_not_written_over() {
    let folder = temp_dir();
    let settings = settings(folder.path(), &[]);
    let own = settings.token_file.as_deref().unwrap();
    write(own, "my notes", 0o600);
    assert!(matches!(Tokens::load(&settings), Err(TokenError::Unusable { .. })));
    assert_eq!(given(own), "my notes");
    write(own, &"a".repeat(64), 0o644);
    assert!(matches!(Tokens::load(&settings), Err(TokenError::Open { .. })));
}
