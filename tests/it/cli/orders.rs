//! Funding from the command line: shown, asked, ordered, decided; with a daemon and without one.

use std::process::Stdio;
use std::sync::Arc;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::deposit::{BlockStatus, Deposit, NothingReason, Verdict};
use rampwatch::domain::order::{ApprovalReason, Order, OrderOutcome, OrderState};
use rampwatch::domain::payment::{Outcome, Payment, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Wallet;
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::Page;
use rampwatch::view::order::{OrderView, WalletView};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::running::LIMIT;
use super::terminal::has_script;
use super::{Place, Ran};
use crate::signer::{FOUNDRY, FOUNDRY_PASSWORD};
use crate::support::desk::Desk;
use crate::support::node::{Account, Finalized, Node, NodeOptions, ScriptedChain, Token};
use crate::support::records::{
    address, at, attempt, deposit, hash, order, payment, payment_id, wallet, wallet_address,
};

/// Puts records into the store, as the daemon would have.
async fn keep(place: &Place, commit: Commit) {
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    store.commit(commit).await.unwrap();
}

/// A moment, so many hours from now.
fn hours_from_now(hours: u64) -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Timestamp::from_secs(now).plus(Span::from_secs(hours * 3_600))
}

/// The `n`th payment, as the API tells it: so many base units, with time left by the real clock.
fn fundable(n: u64, base_units: u128) -> Payment {
    let mut payment = payment(n);
    payment.terms.amount = Amount::from_base_units(base_units);
    payment.terms.expires_at = Some(hours_from_now(24));
    payment
}

/// The wallet's record, by the real clock.
fn open_wallet() -> Wallet {
    Wallet { clock: hours_from_now(0), ..wallet(7) }
}

/// Without a daemon: a wallet, and payments of 5 and of 60 USDC; more than 50 has to be approved.
async fn offline() -> Place {
    let place = Place::offline().with_wallet();
    let payments = vec![fundable(1, 5_000_000), fundable(2, 60_000_000), fundable(3, 150_000_000)];
    keep(&place, Commit { payments, wallet: Some(open_wallet()), ..Commit::default() }).await;
    place
}

/// It worked. Returns the data and the remarks.
#[track_caller]
fn worked(ran: Ran) -> (String, String) {
    assert_eq!(ran.code, 0, "{}", ran.err);
    (ran.out, ran.err)
}

#[tokio::test]
async fn without_a_terminal_a_yes_is_needed() {
    let place = offline().await;
    let ran = place.run(&["fund", "pay-000001"]).await;
    ran.fails(2, &["there is no terminal", "--yes"]);
    assert_eq!(place.run(&["orders", "--json"]).await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_payment_is_funded_as_shown_and_once() {
    let place = offline().await;
    let (out, shown) = worked(place.run(&["fund", "pay-000001", "--yes"]).await);
    for word in [
        "pay-000001 of recipient rec-1",
        "5.00 USDC",
        &address(1).to_string(),
        &wallet_address().to_string(),
        "at most 0.075 POL (at most 500.00 gwei",
        "100.00 USDC for one payment",
        "500.00 USDC left of the limit for 24 hours",
        "200.00 USDC left of the limit for this recipient",
        "not needed",
        "no daemon runs",
    ] {
        assert!(shown.contains(word), "no {word:?} in {shown}");
    }
    assert!(!shown.contains("waits"), "nothing keeps it: {shown}");
    assert!(out.contains("pay-000001:1") && out.contains("ready"), "{out}");
    place.run(&["fund", "pay-000001", "--yes"]).await.fails(5, &["order pay-000001:1", "open already (ready)"]);
    let table = place.run(&["orders"]).await.data();
    let row = table.lines().nth(1).unwrap();
    for word in ["pay-000001:1", "5.00 USDC", &address(1).to_string(), "ready"] {
        assert!(row.contains(word), "no {word:?} in {row}");
    }
    assert_eq!(table.lines().count(), 2, "{table}");
    // The next one counts on what was ordered before.
    let (json, shown) = worked(place.run(&["fund", "pay-000002", "--yes"]).await);
    assert!(json.contains("awaiting approval (it is more than 50.00 USDC"), "{json}");
    assert!(shown.contains("495.00 USDC left of the limit for 24 hours"), "{shown}");
    assert!(shown.contains("needed before anything is sent, because it is more than 50.00 USDC"), "{shown}");
    assert!(shown.contains("next: rampwatch approve pay-000002:1 --reason"), "{shown}");
}

#[tokio::test]
async fn refusals_name_the_limit_and_the_figures() {
    let place = offline().await;
    let words = &["150.00 USDC is more than the limit for one payment, 100.00 USDC (funding.max_per_payment)"];
    place.run(&["fund", "pay-000003", "--yes"]).await.fails(5, words);
    place.run(&["fund", "pay-404", "--yes"]).await.fails(4, &["pay-404"]);
    place.run(&["fund", "a/b", "--yes"]).await.fails(2, &["payment: "]);
    place.edit("enabled = true ", "enabled = false ");
    place.run(&["fund", "pay-000001", "--yes"]).await.fails(5, &["funding.enabled"]);
    assert_eq!(place.run(&["orders", "--json"]).await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn without_a_wallet_it_is_said_what_is_missing() {
    let place = Place::offline();
    keep(&place, Commit { payments: vec![fundable(1, 5_000_000)], ..Commit::default() }).await;
    place.run(&["fund", "pay-000001", "--yes"]).await.fails(5, &["there is no wallet", "[wallet]"]);
    let place = place.with_wallet();
    place.run(&["fund", "pay-000001", "--yes"]).await.fails(5, &["no wallet has been opened here yet"]);
    place.run(&["wallet", "status"]).await.fails(5, &["no wallet has been opened here yet"]);
    let empty = Place::offline().with_wallet();
    empty.run(&["fund", "pay-000001", "--yes"]).await.fails(6, &["there is no store at"]);
    assert!(!empty.path("rampwatch-data").exists(), "nothing was made");
}

#[tokio::test]
async fn json_is_all_that_is_printed() {
    let place = offline().await;
    let placed = place.run(&["fund", "pay-000001", "--yes", "--json"]).await.json();
    let view: OrderView = serde_json::from_value(placed).unwrap();
    let page = place.run(&["orders", "--json", "--state", "ready", "--payment", "pay-000001"]).await.json();
    let page: Page<OrderView> = serde_json::from_value(page).unwrap();
    assert_eq!((page.items.as_slice(), page.next), (std::slice::from_ref(&view), None));
    let ended = place.run(&["cancel", "pay-000001:1", "--reason", "not now", "--json"]).await.json();
    assert_eq!((ended["state"].as_str(), ended["outcome"].as_str()), (Some("ended"), Some("unsent")));
    let status: WalletView = serde_json::from_value(place.run(&["wallet", "status", "--json"]).await.json()).unwrap();
    assert_eq!((status.spent.to_string().as_str(), status.open_orders), ("0.00 USDC", 0), "it is given back");
}

fn in_state(n: u64, state: OrderState) -> Order {
    let attempts = if state.nonce().is_some() { vec![attempt(7, n)] } else { vec![] };
    Order { state, attempts, placed_at: hours_from_now(0), ..order(n) }
}

fn waiting(n: u64) -> Order {
    in_state(n, OrderState::AwaitingApproval { why: ApprovalReason::TypedAddress })
}

fn sending(n: u64) -> Order {
    in_state(n, OrderState::Sending { nonce: 7, trouble: None })
}

#[tokio::test]
async fn orders_are_approved_rejected_and_cancelled() {
    let place = offline().await;
    let orders = vec![waiting(1), waiting(2), waiting(3), sending(4)];
    keep(&place, Commit { orders, payments: vec![fundable(4, 1)], ..Commit::default() }).await;
    let (out, said) = worked(place.run(&["approve", "pay-000001:1", "--reason", "called them"]).await);
    assert!(out.contains("ready") && said.contains("no daemon runs"), "{out}{said}");
    let out = place.run(&["reject", "pay-000002:1", "--reason", "wrong account"]).await.data();
    assert!(out.contains("nothing was sent: a person rejected it: \"wrong account\""), "{out}");
    let (out, said) = worked(place.run(&["cancel", "pay-000003:1", "--reason", "later"]).await);
    assert!(out.contains("ended") && said.contains("nothing of it was on its way"), "{out}{said}");
    let (out, said) = worked(place.run(&["cancel", "pay-000004:1", "--reason", "a mistake"]).await);
    assert!(out.contains("outcome unknown: a self-send is to consume nonce 7"), "{out}");
    for word in [
        "the transfer is signed already and may still be mined",
        "a self-send with nonce 7 was ordered",
        "not known before one of the two is final",
        "rampwatch orders --payment pay-000004",
        "no daemon runs",
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert!(!said.contains("paused"), "{said}");
    place.run(&["cancel", "pay-000004:1", "--reason", "again"]).await.fails(5, &["cancelling"]);
    place.run(&["approve", "pay-000001:1", "--reason", "again"]).await.fails(5, &["ready"]);
    place.run(&["reject", "pay-000009:1", "--reason", "r"]).await.fails(4, &["order pay-000009:1"]);
    place.run(&["approve", "pay-000001:1", "--reason", " "]).await.fails(2, &["reason: "]);
    // A payment's id is not an order's.
    place.run(&["cancel", "pay-000001", "--reason", "r"]).await.fails(2, &["no order id", "`rampwatch orders`"]);
    let why = place.run(&["why", "pay-000004"]).await.data();
    for word in ["pay-000004:1", "cancel order pay-000004:1, because \"a mistake\"", &hash(4).to_string(), "cancelling"]
    {
        assert!(why.contains(word), "no {word:?} in {why}");
    }
    let show = place.run(&["show", "pay-000004"]).await.data();
    assert!(
        show.contains(&format!("transfer {}", hash(4))) && show.contains("at most 90.00 gwei (tip 30.00)"),
        "{show}"
    );
}

#[tokio::test]
async fn the_wallet_is_paused_and_goes_on() {
    let place = offline().await;
    let small = Order { amount: Amount::from_base_units(1), ..sending(4) };
    keep(&place, Commit { orders: vec![small], payments: vec![fundable(4, 1)], ..Commit::default() }).await;
    let (paused, _) = worked(place.run(&["wallet", "pause", "--reason", "an audit"]).await);
    assert!(paused.contains("paused: nothing is sent") && paused.contains("an audit"), "{paused}");
    assert_eq!(place.run(&["wallet", "status"]).await.data(), paused, "it is kept");
    let (_, shown) = worked(place.run(&["fund", "pay-000001", "--yes"]).await);
    assert!(shown.contains("nothing is sent for now: the wallet is paused: an audit"), "{shown}");
    let (_, said) = worked(place.run(&["cancel", "pay-000004:1", "--reason", "r"]).await);
    assert!(said.contains("paused or halted, so the self-send waits too"), "{said}");
    place.run(&["wallet", "resume", "--reason", ""]).await.fails(2, &["reason: "]);
    let (resumed, _) = worked(place.run(&["wallet", "resume", "--reason", "done"]).await);
    assert!(resumed.contains("open") && !resumed.contains("audit"), "{resumed}");
    place.run(&["wallet", "adopt", "--reason", "r"]).await.fails(6, &["none runs", "`rampwatch run`"]);
}

/// A payment that was funded and refunded, and what came to the wallet since.
fn came_back() -> Commit {
    let refunded = |n: u64, base_units| {
        let state = PaymentState::Ended { outcome: Outcome::Refunded, at: at(9) };
        Payment { state, ..fundable(n, base_units) }
    };
    let paid = |n: u64, base_units| {
        let block = BlockRef { number: 10, hash: hash(10) };
        let outcome = OrderOutcome::Paid { tx_hash: hash(n), block, log_index: 4 };
        let amount = Amount::from_base_units(base_units);
        Order { amount, next_at: None, ..in_state(n, OrderState::Ended { outcome, at: at(9) }) }
    };
    let credit = |n: u64, base_units| Deposit {
        to: wallet_address(),
        amount: Amount::from_base_units(base_units),
        standing: BlockStatus::Final { at: at(n) },
        verdict: Verdict::Nothing { why: NothingReason::WalletCredit },
        ..deposit(n)
    };
    Commit {
        payments: vec![refunded(11, 5_000_000), refunded(12, 6_000_000)],
        orders: vec![paid(11, 5_000_000), paid(12, 6_000_000)],
        deposits: vec![credit(21, 5_000_000), credit(22, 99)],
        ..Commit::default()
    }
}

fn returns_are_told(table: &str) {
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[1].contains(&format!("{}:21", hash(21))) && rows[1].ends_with("pay-000011"), "{table}");
    assert!(rows[2].contains("0.000099 USDC") && rows[2].ends_with('-'), "{table}");
    let open =
        rows.iter().position(|row| row.starts_with("Refunded, and not known to be back")).expect("some are open");
    assert!(rows[open + 2].contains("pay-000012") && rows[open + 2].contains("6.00 USDC"), "{table}");
    assert_eq!(rows.len(), open + 3, "{table}");
}

#[tokio::test]
async fn money_that_came_back_is_listed_and_tied() {
    let place = offline().await;
    keep(&place, came_back()).await;
    returns_are_told(&place.run(&["wallet", "returns"]).await.data());
    let first = place.run(&["wallet", "returns", "--limit", "1"]).await;
    assert!(first.err.contains("there may be more: --after 137:"), "{}", first.err);
    let deposits = place.run(&["deposits"]).await.data();
    assert!(deposits.contains("nothing, back from pay-000011"), "{deposits}");
    let show = place.run(&["show", "pay-000011"]).await.data();
    assert!(show.contains(&format!("Its money came back to the wallet by transaction {}", hash(21))), "{show}");
    assert!(show.contains("pay-000011:1") && show.contains("paid by"), "{show}");
    let why = place.run(&["why", &hash(21).to_string()]).await.data();
    assert!(why.contains("It comes back from payment pay-000011"), "{why}");
}

#[tokio::test]
async fn commands_about_orders_go_through_the_daemon() {
    let desk = Desk::with_wallet().await;
    let mut fundable = fundable(1, 5_000_000);
    fundable.terms.expires_at = Some(at(90_000_000));
    let mut large = Payment { id: payment_id(2), ..fundable.clone() };
    large.terms.amount = Amount::from_base_units(1_500_000_000);
    desk.keep_payments(vec![fundable, large]).await;
    desk.keep_orders(vec![sending(4)]).await;
    desk.store.commit(came_back()).await.unwrap();
    let place = Place::for_daemon(desk.listen, &desk.token_file());
    let (out, shown) = worked(place.run(&["fund", "pay-000001", "--yes"]).await);
    assert!(out.contains("pay-000001:1") && shown.contains("2000.00 USDC for one payment"), "{out}{shown}");
    assert!(!shown.contains("no daemon"), "{shown}");
    assert!(!place.path("rampwatch-data").exists(), "no other store was opened");
    place.run(&["fund", "pay-000001", "--yes"]).await.fails(5, &["open already"]);
    assert_eq!(place.run(&["fund", "pay-000002", "--yes", "--json"]).await.json()["state"], "awaiting-approval");
    let listed = place.run(&["orders", "--payment", "pay-000002", "--json"]).await.json();
    assert_eq!(listed["items"][0]["id"], "pay-000002:1");
    let out = place.run(&["approve", "pay-000002:1", "--reason", "called them"]).await.data();
    assert!(out.contains("ready"), "{out}");
    place.run(&["reject", "pay-000002:1", "--reason", "late"]).await.fails(5, &["ready"]);
    let (_, said) = worked(place.run(&["cancel", "pay-000004:1", "--reason", "a mistake"]).await);
    assert!(said.contains("not known before one of the two is final") && !said.contains("no daemon"), "{said}");
    place.run(&["cancel", "pay-000404:1", "--reason", "r"]).await.fails(4, &["pay-000404:1"]);
    place.run(&["cancel", "a/../b:1", "--reason", "r"]).await.fails(2, &["order: "]);
    assert!(place.run(&["wallet", "pause", "--reason", "an audit"]).await.data().contains("an audit"));
    assert!(desk.store.contents().wallet.unwrap().paused.is_some(), "in the daemon's store");
    assert!(place.run(&["wallet", "resume", "--reason", "done"]).await.data().contains("open"));
    assert!(place.run(&["wallet", "status"]).await.data().contains("of 5000.00 USDC in 24 hours"));
    place.run(&["wallet", "adopt", "--reason", "r"]).await.fails(5, &["asks the nodes"]);
    returns_are_told(&place.run(&["wallet", "returns"]).await.data());
    assert!(place.run(&["show", "pay-000011"]).await.data().contains("Its money came back"));
}

/// Answers the question of a command on a terminal of its own. Returns whether it worked, and everything that was shown.
async fn on_a_terminal(place: &Place, words: &str, answer: &str) -> Option<(bool, String)> {
    if !has_script().await {
        eprintln!("not shown here: there is no `script` of util-linux to make a terminal");
        return None;
    }
    let mut command = Command::new("script");
    let words = format!("\"$RAMPWATCH\" {words}");
    command.args(["-qec", &words, "/dev/null"]).current_dir(place.path("")).env_clear();
    command.envs([("RAMPWATCH", env!("CARGO_BIN_EXE_rampwatch")), ("TERM", "xterm"), ("SHELL", "/bin/sh")]);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(answer.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    drop(keyboard);
    Some((output.status.success(), String::from_utf8(output.stdout).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_only_a_clear_yes_orders() {
    let place = offline().await;
    for no in ["\n", "n\n", "maybe\n", "yess\n"] {
        let Some((worked, screen)) = on_a_terminal(&place, "fund pay-000001", no).await else { return };
        assert!(!worked && screen.contains("5.00 USDC") && screen.contains("Send 5.00 USDC to 0x"), "{no:?}: {screen}");
        assert!(screen.contains("Nothing was ordered.") && !screen.contains("error:"), "{no:?}: {screen}");
        assert_eq!(place.run(&["orders", "--json"]).await.json()["items"], serde_json::json!([]));
    }
    let (worked, screen) = on_a_terminal(&place, "fund pay-000001", "Y\n").await.unwrap();
    assert!(worked && screen.contains("pay-000001:1"), "{screen}");
    assert_eq!(place.run(&["orders", "--json"]).await.json()["items"][0]["id"], "pay-000001:1");
}

/// S6: amount, address and payment are shown before somebody agrees, and are said again afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_on_a_terminal_an_approval_shows_what_is_approved() {
    let place = offline().await;
    let order = waiting(1);
    let (to, amount) = (order.to.to_string(), "1000.00 USDC".to_owned());
    keep(&place, Commit { orders: vec![order], ..Commit::default() }).await;
    let approve = "approve pay-000001:1 --reason agreed";
    for (answer, state) in [("n\n", "awaiting-approval"), ("y\n", "ready")] {
        let Some((worked, screen)) = on_a_terminal(&place, approve, answer).await else { return };
        assert_eq!(worked, state == "ready", "{screen}");
        let (shown, after) = screen.split_once("Approve this? [y/N]").expect("it asks");
        for text in ["pay-000001 of recipient", to.as_str(), amount.as_str()] {
            assert!(shown.contains(text), "no {text:?} in {shown}");
        }
        assert_eq!(after.contains(&to) && after.contains(&amount), state == "ready", "{after}");
        assert_eq!(place.run(&["orders", "--json"]).await.json()["items"][0]["state"], state);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fund_commands_at_once_place_one_order() {
    let desk = Desk::with_wallet().await;
    let mut fundable = fundable(1, 5_000_000);
    fundable.terms.expires_at = Some(at(90_000_000));
    desk.keep_payments(vec![fundable]).await;
    let place = Arc::new(Place::for_daemon(desk.listen, &desk.token_file()));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let place = Arc::clone(&place);
        asked.spawn(async move { place.run(&["fund", "pay-000001", "--yes", "--json"]).await });
    }
    let ran = asked.join_all().await;
    assert_eq!(ran.iter().filter(|ran| ran.code == 0).count(), 1);
    for told in ran.into_iter().filter(|ran| ran.code != 0) {
        told.fails(5, &["order pay-000001:1 for this payment is open already"]);
    }
    assert_eq!(desk.store.contents().orders.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_balance_is_asked_of_the_nodes() {
    let place = Place::offline();
    place.run(&["wallet", "balance"]).await.fails(3, &["no wallet is configured", "`rampwatch wallet new`"]);
    let place = place.with_wallet();
    place.edit("# password_file = \"wallet-password\"", "password_file = \"password\"");
    for (name, text) in [("wallet.json", FOUNDRY), ("password", FOUNDRY_PASSWORD)] {
        place.write(name, text);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(place.path(name), private).unwrap();
    }
    let wallet = place.run(&["wallet", "address"]).await.data().trim().to_owned();
    place.run(&["wallet", "balance"]).await.fails(6, &["no RPC endpoint can be reached"]);
    let chain = ScriptedChain::starting_at(1_000_000, 1_790_000_000);
    let mut usdc = Token::new("USDC", 6);
    usdc.balances.insert(wallet.parse().unwrap(), "1234560000".parse().unwrap());
    chain.set_token(rampwatch::sandbox::USDC, usdc);
    chain.set_token(rampwatch::sandbox::USDC_E, Token::new("USDC.e", 6));
    let coins = Account { balance: "1500000000000000000".parse().unwrap(), ..Account::default() };
    chain.set_account(wallet.parse().unwrap(), coins);
    chain.append_empty(20);
    chain.set_finalized(Finalized::Below(2));
    let node = Node::start(&chain, NodeOptions::default());
    place.edit("http = \"http://127.0.0.1:9/", &format!("http = \"{}/", node.url()));
    place.edit("ws = \"ws://127.0.0.1:9/", &format!("ws = \"{}/", node.ws_url()));
    let balance = place.run(&["wallet", "balance"]).await.data();
    for word in [wallet.as_str(), "1234.56 USDC", "1.50 POL"] {
        assert!(balance.contains(word), "no {word:?} in {balance}");
    }
    let json = place.run(&["wallet", "balance", "--json"]).await.json();
    assert_eq!((json["address"].as_str(), json["token"]["decimal"].as_str()), (Some(&*wallet), Some("1234.56")));
    assert_eq!(
        (json["native"]["wei"].as_str(), json["native"]["decimal"].as_str()),
        (Some("1500000000000000000"), Some("1.50"))
    );
}
