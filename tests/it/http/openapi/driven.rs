//! schemathesis drives the operator API from its OpenAPI document: whatever is asked, the answer is one that the document
//! knows, nobody gets anything without a token, and no role does more than it may.
//!
//! `.ci/bring-schemathesis` brings it. The API runs over a store with a record of every shape; `hooks.py` says what is
//! checked besides schemathesis' own checks, `schemathesis.toml` how it is driven. The same requests come every time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::domain::actor::Role;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::{ApprovalReason, Order, OrderState, Spend};
use rampwatch::domain::record::RecordKind;
use rampwatch::engine::EngineSettings;
use rampwatch::policy::approval::Approvers;
use rampwatch::ports::store::{Commit, Store as _};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::http::orders::fundable;
use crate::store::{desk, funding, specimens};
use crate::support::desk::{Desk, handle_with, wallet_settings};
use crate::support::memory_store::MemoryStore;
use crate::support::records::{order, wallet};
use crate::support::{of_its_own, temp_dir};

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(420);

const PEOPLE: &[(&str, &[Role])] =
    &[("all", Role::ALL), ("reader", &[Role::Read]), ("operator", &[Role::Operate]), ("approver", &[Role::Approve])];

/// The endpoints, each run by an operator of its name.
const ENDPOINTS: [&str; 3] = ["a", "b", "c"];

/// What needs nodes, the payment API or a file to be answered well: other tests see to these.
const ELSEWHERE: &[&str] = &[
    "adoptWallet",
    "askRate",
    "askRepeat",
    "books",
    "placePayout",
    "putAttachment",
    "registerWebhook",
    "retryPayout",
    "takeQuote",
    "updateWebhook",
];

/// The payments with money to be sent for them, beyond the specimens.
const FUNDABLE: std::ops::RangeInclusive<u64> = 101..=110;

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/http/openapi"))
}

fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/schemathesis/bin/st");
    assert!(program.is_file(), "schemathesis is needed for this test: run .ci/bring-schemathesis (`make test` does)");
    program
}

/// Orders of every shape, and some that wait for an approval. None counts as spent, so that there is room for more.
fn orders() -> Vec<Order> {
    let waiting = |n| Order { state: OrderState::AwaitingApproval { why: ApprovalReason::TypedAddress }, ..order(n) };
    let all = funding::orders().into_iter().chain((90..=99).map(waiting));
    all.map(|order| Order { spend: Spend::GivenBack, ..order }).collect()
}

/// The API over a store with everything, and the dictionaries of what is there.
struct Stage {
    desk: Desk,
    folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let store = MemoryStore::new();
        let payments = specimens::payments().into_iter().chain(FUNDABLE.map(fundable)).collect();
        let (deposits, coverage, events) = (specimens::deposits(), specimens::coverage(), specimens::events());
        let wallet = Some(wallet(7));
        let all = Commit {
            payments,
            deposits,
            coverage,
            events,
            orders: orders(),
            wallet,
            records: desk::records(),
            ..Commit::default()
        };
        store.commit(all).await.unwrap();
        let endpoints = ENDPOINTS.iter().map(|name| of_its_own(name)).collect();
        let settings = Arc::new(EngineSettings { endpoints, ..EngineSettings::clone(&wallet_settings()) });
        let handle = handle_with(Arc::new(store.clone()), settings).with_approvers(Approvers::Named);
        let desk = Desk::serve_to(store, handle, PEOPLE).await;
        let folder = temp_dir();
        for file in ["hooks.py", "schemathesis.toml"] {
            std::fs::copy(here().join(file), folder.path().join(file)).unwrap();
        }
        let stage = Self { desk, folder };
        let known = specimens::payments().into_iter().map(|payment| payment.id.to_string());
        stage.dictionary("payments", known.chain(FUNDABLE.map(|n| fundable(n).id.to_string())));
        stage.dictionary("orders", orders().iter().map(|order| order.id.to_string()));
        let base_units = |amount: Amount| amount.base_units().to_string();
        let waits = orders().pop().filter(|order| matches!(order.state, OrderState::AwaitingApproval { .. }));
        let Order { id, to, amount, .. } = waits.expect("the last one waits");
        let shown = [id.to_string(), id.payment.to_string(), to.to_string(), base_units(amount)];
        for (name, value) in ["waiting", "waiting_payment", "waiting_to", "waiting_amount"].into_iter().zip(shown) {
            stage.dictionary(name, [value]);
        }
        for (name, kind) in [("payouts", RecordKind::Payout), ("disputes", RecordKind::Dispute)] {
            let records = desk::records().into_iter().map(|record| record.body.key());
            stage.dictionary(name, records.filter(|key| key.kind == kind).map(|key| key.id));
        }
        stage.dictionary("endpoints", ENDPOINTS.map(str::to_owned));
        stage.dictionary("deposits", specimens::deposits().iter().map(|deposit| deposit.key.to_string()));
        stage.dictionary("fundable", FUNDABLE.map(|n| fundable(n).id.to_string()));
        stage.dictionary("addresses", FUNDABLE.map(|n| fundable(n).terms.deposit_address.to_string()));
        let first = fundable(*FUNDABLE.start());
        stage.dictionary("amounts", [base_units(first.terms.amount)]);
        stage
    }

    fn dictionary(&self, name: &str, values: impl IntoIterator<Item = String>) {
        let lines: String = values.into_iter().map(|value| format!("\"{value}\"\n")).collect();
        std::fs::write(self.folder.path().join(format!("{name}.txt")), lines).unwrap();
    }

    /// What was answered: operations by name, each with the statuses that it gave and how often.
    fn seen(&self) -> BTreeMap<String, BTreeMap<u16, usize>> {
        let mut seen: BTreeMap<String, BTreeMap<u16, usize>> = BTreeMap::new();
        let file = self.folder.path().join("seen.txt");
        for line in std::fs::read_to_string(&file).expect("the check notes what it saw").lines() {
            let (name, status) = line.split_once(' ').unwrap();
            *seen.entry(name.to_owned()).or_default().entry(status.parse().unwrap()).or_default() += 1;
        }
        std::fs::remove_file(file).unwrap();
        seen
    }

    /// Drives it with this token (none: without), whose roles are these, and nothing is found.
    async fn drive(&self, token: Option<&str>, roles: &str, more: &[&str]) {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let (good, said) = self.drive_by(&document, token, roles, more).await;
        assert!(good, "as {roles}:\n{said}");
    }

    /// Drives it from this document; whether nothing was found, and everything that was said.
    async fn drive_by(&self, document: &Path, token: Option<&str>, roles: &str, more: &[&str]) -> (bool, String) {
        let mut command = Command::new(program());
        command.current_dir(self.folder.path()).env_clear().kill_on_drop(true).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.folder.path());
        command.env("RAMPWATCH_ROLES", roles).env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", self.folder.path());
        command.args(["--config-file", "schemathesis.toml", "--no-color", "run"]).args(more);
        if let Some(token) = token {
            command.arg("--header").arg(format!("Authorization: Bearer {token}"));
        }
        command.arg("--url").arg(self.desk.url("")).arg(document);
        let output = timeout(LIMIT, command.output()).await.expect("it ends in time").unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }
}

/// All operations of the document that need a token, by name; which ones a token with these roles may do.
fn allowed(roles: &[Role]) -> BTreeMap<String, bool> {
    let document = rampwatch::http::openapi();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let guarded = operations.filter_map(|operation| {
        let needed: Vec<Role> = serde_json::from_value(operation.get("x-roles")?.clone()).unwrap();
        let name = operation["operationId"].as_str().unwrap().to_owned();
        Some((name, needed.iter().any(|role| roles.contains(role))))
    });
    guarded.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_in_the_document() {
    let stage = Stage::set().await;
    let token = stage.desk.token_of("all");
    stage.drive(Some(&token), "read,operate,approve", &["--checks", "all"]).await;
    let seen = stage.seen();
    // What was only ever refused would prove little.
    let served: BTreeSet<&str> =
        seen.iter().filter(|(_, all)| all.contains_key(&200)).map(|(name, _)| &**name).collect();
    let expected = allowed(Role::ALL).into_keys().filter(|name| !ELSEWHERE.contains(&&**name));
    for name in expected.chain(["healthz", "readyz", "metrics"].map(str::to_owned)) {
        assert!(served.contains(&*name), "{name} was never answered well: {:?}", seen.get(&name));
    }
}

/// Drives it with somebody's token, and looks that everything was tried and only what is allowed was not forbidden.
async fn drive_as(name: &str) {
    let stage = Stage::set().await;
    let (_, roles) = PEOPLE.iter().find(|(known, _)| *known == name).unwrap();
    let words: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    stage.drive(Some(&stage.desk.token_of(name)), &words.join(","), BRIEF).await;
    let seen = stage.seen();
    for (operation, may) in allowed(roles) {
        let statuses: Vec<u16> = seen[&operation].keys().copied().filter(|status| *status != 401).collect();
        assert_eq!(statuses == [403], !may, "{operation} as {name}: {statuses:?}");
    }
}

/// Fewer requests, and every check.
const BRIEF: &[&str] = &["--checks", "all", "--phases", "coverage,fuzzing", "--max-examples", "5"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_only_reads() {
    drive_as("reader").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_only_operates() {
    drive_as("operator").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_only_approves() {
    drive_as("approver").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_nothing_without_a_token() {
    let stage = Stage::set().await;
    let before = stage.desk.store.contents();
    let right = stage.desk.token_of("all");
    let wrong: String = right.chars().rev().collect();
    for token in [None, Some(wrong.as_str())] {
        stage.drive(token, "-", BRIEF).await;
        let seen = stage.seen();
        for operation in allowed(&[]).keys() {
            assert_eq!(seen[operation].keys().collect::<Vec<_>>(), [&401], "{operation}");
        }
    }
    assert_eq!(stage.desk.store.contents(), before, "and nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_found() {
    let stage = Stage::set().await;
    let mut document = rampwatch::http::openapi();
    let file = stage.folder.path().join("openapi.json");
    let all = stage.desk.token_of("all");
    let brief = |path| vec!["--checks", "all", "--phases", "fuzzing", "--include-path", path];
    // A role that the document does not say.
    document["paths"]["/v1/wallet"]["get"]["x-roles"] = serde_json::json!(["approve"]);
    // An answer that it does not say, and one that looks otherwise.
    document["paths"]["/v1/orders"]["get"]["responses"].as_object_mut().unwrap().remove("400");
    document["components"]["schemas"]["StateView"]["properties"]["text"] = serde_json::json!({ "type": "integer" });
    std::fs::write(&file, document.to_string()).unwrap();
    let cases = [
        ("/v1/wallet", "read", "needs ['approve']"),
        ("/v1/orders", "read,operate,approve", "Undocumented status code"),
        ("/v1/payments", "read,operate,approve", "Response violates schema"),
    ];
    for (path, roles, words) in cases {
        let (good, said) = stage.drive_by(&file, Some(&all), roles, &brief(path)).await;
        assert!(!good && said.contains(words), "{path}: no {words:?} in\n{said}");
    }
}
