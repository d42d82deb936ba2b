//! With a daemon: commands go through its operator API, found by the configuration.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::{BlockStatus, Deposit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::Place;
use crate::support::desk::Desk;
use crate::support::records::{address, at, deposit};

#[tokio::test]
async fn commands_go_through_the_daemon() {
    let desk = Desk::open().await;
    let place = Place::for_daemon(desk.listen, &desk.token_file());
    let paid = Deposit {
        to: address(1),
        amount: Amount::from_base_units(4_000_000),
        standing: BlockStatus::Final { at: at(1) },
        ..deposit(1)
    };
    desk.keep(vec![paid]).await;
    desk.add("pay-1", 1, "5").await;
    place.add("pay-2", 2, "7.25").await.data();
    assert_eq!(desk.store.contents().payments.len(), 2, "the daemon's store has it");
    assert!(!place.path("rampwatch-data").exists(), "no other store was opened");
    let list = place.run(&["list"]).await.data();
    assert!(list.contains("pay-1") && list.contains("pay-2") && list.contains("7.25 USDC"), "{list}");
    assert_eq!(place.run(&["list", "--json", "--state", "waiting"]).await.json()["items"][1]["id"], "pay-2");
    assert!(place.run(&["show", "pay-2"]).await.data().contains("7.25 USDC"));
    let key = deposit(1).key.to_string();
    assert_eq!(place.run(&["deposits", "--review", "--json"]).await.json()["items"][0]["key"], key.as_str());
    assert!(place.run(&["reviews"]).await.data().contains(&key));
    for subject in ["pay-1", &key, &format!("{}:1", deposit(1).key.tx_hash)] {
        assert!(place.run(&["why", subject]).await.data().contains("less than"), "{subject}");
    }
    place.run(&["resolve", "assign", &key, "pay-1", "--reason", "fine"]).await.data();
    place.run(&["resolve", "assign", &key, "pay-1", "--reason", "fine"]).await.fails(5, &["already pays"]);
    place.run(&["resolve", "cancel", "pay-2", "--reason", ""]).await.fails(2, &["reason: "]);
    place.run(&["show", "pay-404"]).await.fails(4, &["pay-404"]);
    place.run(&["show", "a/../b"]).await.fails(2, &["PaymentId"]);
}

#[tokio::test]
async fn a_daemon_that_does_not_know_us_is_not_gone_around() {
    let desk = Desk::open().await;
    let place = Place::for_daemon(desk.listen, &desk.token_file());
    place.edit("token_file = ", "token_file = \"operator-token\" # ");
    let here = desk.listen.to_string();
    place.run(&["list"]).await.fails(6, &["something answers at", &here, "there is no token file"]);
    rampwatch::http::Token::load_or_create(&place.path("operator-token")).unwrap();
    place.run(&["list"]).await.fails(6, &[&here, "does not take the token", "operator-token"]);
    let loose = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(place.path("operator-token"), loose).unwrap();
    place.run(&["list"]).await.fails(6, &["mode 0644"]);
    assert!(!place.path("rampwatch-data").exists(), "the store was left alone");
}

/// Something that listens, answers everything with these bytes, and closes.
async fn stranger(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2_048];
            // The probing connection says nothing and is closed.
            if tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn something_else_that_listens_is_told_apart() {
    let answers: [&[u8]; 5] = [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ];
    for answer in answers {
        let address = stranger(answer).await;
        let place = Place::offline();
        let token_file = place.path("token");
        rampwatch::http::Token::load_or_create(&token_file).unwrap();
        place.configure(address, Some(&token_file));
        place.run(&["list"]).await.fails(6, &["the daemon at", &address.to_string()]);
    }
}
