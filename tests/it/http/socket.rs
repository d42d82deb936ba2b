//! The Unix socket of the machine's own commands: who is let in, and where it may be.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rampwatch::config::MAX_SOCKET_PATH;
use rampwatch::domain::actor::Role;
use rampwatch::http::Socket;
use rampwatch::http::socket::{SocketError, answers, check_place};
use serde_json::json;

use crate::support::desk::{Desk, handle_with, wallet_settings};
use crate::support::memory_store::MemoryStore;
use crate::support::temp_dir;

fn mode_of(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Somebody who listens there and goes away without removing the socket, as a process that is killed.
fn leftover(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(std::fs::symlink_metadata(path).unwrap().file_type().is_socket());
}

#[tokio::test]
async fn f13_the_socket_needs_no_token_and_its_user_is_local() {
    let desk = Desk::with_wallet().await;
    let paused = desk.local.post(Desk::at_socket("/v1/wallet/pause")).json(&json!({ "reason": "a look" }));
    let (status, body) = desk.answer(paused).await;
    assert_eq!(status, 200, "{body}");
    let (_, wallet) = desk.answer(desk.local.get(Desk::at_socket("/v1/wallet"))).await;
    assert!(wallet.to_string().contains("a look"), "{wallet}");
    let over_tcp = desk.client.get(desk.url("/v1/wallet")).send().await.unwrap();
    assert_eq!(over_tcp.status(), 401, "the other door takes tokens only");
}

#[tokio::test]
async fn f13_a_token_that_is_shown_at_the_socket_counts() {
    let store = MemoryStore::new();
    let handle = handle_with(std::sync::Arc::new(store.clone()), wallet_settings());
    let desk = Desk::serve_to(store, handle, &[("alice", &[Role::Read])]).await;
    let ask = |token: String| {
        let body = json!({ "action": "retry", "payment": "pay-1", "reason": "r" });
        desk.answer(desk.local.post(Desk::at_socket("/v1/resolve")).bearer_auth(token).json(&body))
    };
    let (status, body) = ask(desk.token_of("alice")).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("missing_role")), "she is alice there too: {body}");
    let (status, body) = ask("f".repeat(64)).await;
    assert_eq!((status, body["code"].as_str()), (401, Some("unauthorized")), "{body}");
}

#[tokio::test]
async fn f13_the_socket_is_private_and_goes_with_its_daemon() {
    let folder = temp_dir();
    let path = folder.path().join("new/operator.sock");
    let socket = Socket::bind(&path).await.unwrap();
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(mode_of(path.parent().unwrap()), 0o700, "a folder that was missing is made");
    assert!(answers(&path).await.unwrap());
    drop(socket);
    assert!(!path.exists());
    assert!(!answers(&path).await.unwrap());
    // What has come in its place meanwhile is not removed.
    let socket = Socket::bind(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "a file").unwrap();
    drop(socket);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
}

#[tokio::test]
async fn f13_a_dead_process_s_socket_is_replaced_and_a_living_one_s_is_not() {
    let folder = temp_dir();
    let path = folder.path().join("operator.sock");
    leftover(&path);
    assert!(!answers(&path).await.unwrap(), "nobody listens there");
    let living = Socket::bind(&path).await.unwrap();
    let error = Socket::bind(&path).await.unwrap_err();
    assert!(matches!(error, SocketError::Taken(_)), "{error}");
    assert!(error.to_string().contains("give each rampwatch its own"), "{error}");
    assert!(answers(&path).await.unwrap(), "it was left alone");
    drop(living);
}

#[tokio::test]
async fn f13_what_is_no_socket_is_left_alone() {
    let folder = temp_dir();
    let path = folder.path().join("operator.sock");
    std::fs::write(&path, "somebody's notes").unwrap();
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let inside = folder.path().join("folder.sock");
    std::fs::create_dir(&inside).unwrap();
    for path in [&path, &link, &inside] {
        for error in [
            Socket::bind(path).await.unwrap_err(),
            answers(path).await.unwrap_err(),
            check_place(path, folder.path()).unwrap_err(),
        ] {
            assert!(matches!(error, SocketError::NotASocket(_)), "{error}");
            assert!(error.to_string().contains("move it away"), "{error}");
        }
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's notes");
    assert!(link.is_symlink() && inside.is_dir());
}

#[tokio::test]
async fn f13_a_squatter_s_socket_is_not_spoken_to() {
    let folder = temp_dir();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).unwrap();
        let path: PathBuf = open.join(format!("{mode:o}.sock"));
        let error = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(error, SocketError::OpenFolder { .. }), "{error}");
        assert!(!path.exists(), "no socket was made where others can replace it");
        // Anybody could have put this one there.
        let squatter = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = answers(&path).await.unwrap_err();
        assert!(error.to_string().contains("others can write to the folder"), "{error}");
        squatter.set_nonblocking(true).unwrap();
        assert!(squatter.accept().is_err(), "nobody has called");
        assert!(check_place(&path, folder.path()).is_err());
        assert!(check_place(&path, &open).is_ok(), "the store's own folder is closed when the store is opened");
    }
}

#[tokio::test]
async fn f13_too_long_a_path_is_named_with_its_length() {
    let folder = temp_dir();
    let base = folder.path().as_os_str().len() + 1;
    let path = |length: usize| folder.path().join("s".repeat(length - base));
    let error = Socket::bind(&path(MAX_SOCKET_PATH + 1)).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("108") && said.contains("107") && said.contains("set http.socket to"), "{said}");
    assert!(!answers(&path(MAX_SOCKET_PATH + 1)).await.unwrap(), "nobody can listen there");
    assert!(check_place(&path(MAX_SOCKET_PATH + 1), folder.path()).is_err());
    // And the longest is none too many.
    let longest = Socket::bind(&path(MAX_SOCKET_PATH)).await.unwrap();
    assert!(answers(&path(MAX_SOCKET_PATH)).await.unwrap());
    drop(longest);
}
