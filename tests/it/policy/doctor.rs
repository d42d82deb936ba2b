//! What the doctor makes of what it is told: each threshold from both sides, and each remedy there.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{B256, BlockRef, Header};
use rampwatch::domain::checkup::{
    AbilityCheckup, ApiCheckup, DaemonCheckup, EndpointCheckup, HashesAt, InletCheckup, KeyWord, LogRange, LogRefusal,
    RegisteredWebhook, SideTrouble, StoreCheckup, TokenCheckup, WalletCheckup, WebhookCheckup,
};
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::NonceCount;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::doctor::{self, EndpointRules, Finding, Grade, WalletRules};

use rampwatch::policy::balances::{Low, Marks, Needs};

use super::samples::{NOW, USDC, at};

use Grade::{Failure, Ok as Fine, Warning};

fn rules() -> EndpointRules {
    EndpointRules { now: at(NOW), chain_id: 137, needs_tag: true, stall_after: Span::from_secs(120) }
}

fn header(number: u64, secs_ago: u64) -> Header {
    let block = BlockRef { number, hash: B256::with_last_byte(1) };
    Header { block, parent: B256::ZERO, time: at(NOW - secs_ago) }
}

/// One with which everything is well.
fn well(name: &str) -> EndpointCheckup {
    EndpointCheckup {
        name: name.to_owned(),
        sides: vec![("http", Ok(())), ("ws", Ok(()))],
        wrong_chain: None,
        head: Ok(header(1_000, 2)),
        finalized: Ok(Some(header(990, 22))),
        logs: Ok(LogRange { asked: 2_000, taken: 2_000, said: None }),
        abilities: AbilityCheckup {
            batch: Ok(20),
            filters: Ok(Some(true)),
            receipts: Ok(Some(true)),
            history: Ok(None),
        },
        push: Some(Ok(())),
    }
}

fn no<T>() -> Result<T, String> {
    Err("it hangs".to_owned())
}

fn shut(is_reached: bool) -> Result<(), SideTrouble> {
    Err(SideTrouble { why: "it hangs".to_owned(), is_reached })
}

/// The worst that is said, with the words of all that are as bad.
#[track_caller]
fn worst(findings: &[Finding]) -> (Grade, String) {
    for finding in findings {
        let settled = finding.grade == Fine || !finding.remedy.is_empty();
        assert!(settled && !finding.found.is_empty(), "a remedy is missing: {finding:?}");
    }
    let grade = findings.iter().map(|finding| finding.grade).max().unwrap();
    let said = findings.iter().filter(|finding| finding.grade == grade).map(|finding| finding.found.clone());
    (grade, said.collect::<Vec<_>>().join("; "))
}

#[track_caller]
fn expect(findings: &[Finding], grade: Grade, words: &str) {
    let (found, said) = worst(findings);
    assert!(found == grade && said.contains(words), "{grade:?} {words:?}, but: {found:?} {said}");
}

#[test]
fn a_fault_is_a_warning_beside_another_endpoint_and_a_failure_alone() {
    type Case = (fn(&mut EndpointCheckup), Grade, &'static str);
    let cases: &[Case] = &[
        (
            |one| one.sides = vec![("http", shut(false)), ("ws", shut(false))],
            Failure,
            "cannot be used over http: it hangs",
        ),
        (|one| one.head = no(), Failure, "does not tell its newest block"),
        (|one| one.head = Ok(header(1_000, 121)), Failure, "made 121 s ago"),
        (|one| one.head = Ok(header(1_000, 120)), Warning, "made 120 s ago"),
        (|one| one.head = Ok(header(1_000, 31)), Warning, "made 31 s ago"),
        (|one| one.head = Ok(header(1_000, 30)), Fine, "made 30 s ago"),
        (|one| one.finalized = Ok(None), Failure, "no block under the tag"),
        (|one| one.finalized = no(), Failure, "does not tell its finalized block"),
        (|one| one.finalized = Ok(Some(header(900, 123))), Failure, "121 s older"),
        (|one| one.finalized = Ok(Some(header(900, 122))), Fine, "120 s older"),
        (|one| one.logs = no(), Failure, "does not give logs"),
        (|one| one.logs = Ok(LogRange { asked: 2_000, taken: 0, said: None }), Failure, "not even of few blocks"),
        (|one| one.logs = Ok(LogRange { asked: 2_000, taken: 100, said: None }), Warning, "logs of 100 blocks"),
        (|one| one.abilities.batch = Ok(1), Warning, "takes no batches"),
        (|one| one.abilities.filters = Ok(Some(false)), Failure, "lack a transfer"),
        (|one| one.abilities.filters = Err("odd".to_owned()), Warning, "could not be tried: odd"),
        (|one| one.abilities.receipts = Err("indexing".to_owned()), Failure, "no receipts for now: indexing"),
        (|one| one.abilities.history = Ok(Some("pruned".to_owned())), Warning, "the logs of a day ago (pruned)"),
        (|one| one.push = Some(no()), Warning, "brought no head: it hangs"),
        (|one| one.sides = vec![("http", Ok(())), ("ws", shut(false))], Warning, "cannot be used over ws"),
    ];
    for (spoil, alone, words) in cases {
        let mut one = well("one");
        spoil(&mut one);
        if one.sides.iter().all(|(_, answer)| answer.is_err()) {
            one.head = no();
        }
        let single = doctor::endpoints(std::slice::from_ref(&one), &rules());
        let single: Vec<_> = single.into_iter().filter(|finding| finding.check == "endpoint").collect();
        expect(&single, *alone, words);
        let beside = doctor::endpoints(&[one.clone(), well("two")], &rules());
        expect(&beside, (*alone).min(Warning), words);
        // Two that fail alike are no help to each other.
        let both = doctor::endpoints(&[one.clone(), EndpointCheckup { name: "two".to_owned(), ..one }], &rules());
        expect(&both, *alone, words);
    }
}

/// Nobody is sent to look for a wrong key where the key was taken.
#[test]
fn the_url_and_the_key_are_to_be_checked_where_nothing_was_reached() {
    for (is_reached, remedy) in [(false, "check the ws URL and its key"), (true, "ask the provider what that means")] {
        let one = EndpointCheckup { sides: vec![("http", Ok(())), ("ws", shut(is_reached))], ..well("one") };
        let findings = doctor::endpoints(&[one, well("two")], &rules());
        let found = findings.iter().find(|finding| finding.found.contains("cannot be used over ws")).unwrap();
        assert!(found.remedy.contains(remedy), "{found:?}");
    }
}

#[test]
fn the_wrong_chain_is_a_failure_whoever_else_is_there() {
    let wrong = EndpointCheckup { wrong_chain: Some(80_002), head: no(), ..well("wrong") };
    expect(&doctor::endpoints(&[wrong, well("two")], &rules()), Failure, "on chain 80002, and chain.id is 137");
}

#[test]
fn one_endpoint_alone_and_none_with_a_websocket_are_warned_of() {
    expect(&doctor::endpoints(&[well("one")], &rules()), Warning, "there is only one");
    let quiet = |name: &str| EndpointCheckup { push: None, ..well(name) };
    expect(&doctor::endpoints(&[quiet("one"), quiet("two")], &rules()), Warning, "none has a websocket");
    expect(&doctor::endpoints(&[quiet("one"), well("two")], &rules()), Fine, "answers over http");
    let untagged = EndpointRules { needs_tag: false, ..rules() };
    let all = [EndpointCheckup { finalized: Ok(None), ..well("one") }, well("two")];
    expect(&doctor::endpoints(&all, &untagged), Fine, "answers");
}

#[test]
fn endpoints_that_disagree_are_named() {
    let at = |hashes: &[Option<u8>]| HashesAt {
        number: 990,
        hashes: (0..)
            .zip(hashes)
            .map(|(n, hash): (u8, _)| (format!("e{n}"), Ok(hash.map(B256::with_last_byte))))
            .collect(),
    };
    let cases: [(&[Option<u8>], bool, Grade, &str); 5] = [
        (&[Some(1), Some(1)], true, Fine, "2 endpoints have the same final block 990"),
        (&[Some(1), Some(2)], true, Failure, "disagree on the final block 990: e0 has"),
        (&[Some(1), Some(2)], false, Warning, "disagree on the block 990"),
        (&[Some(1), None], true, Fine, "1 of 2 endpoints tell"),
        (&[None, None], true, Warning, "0 of 2"),
    ];
    for (hashes, is_final, grade, words) in cases {
        expect(&[doctor::agreement(&at(hashes), is_final)], grade, words);
    }
}

#[test]
fn a_token_is_held_against_its_contract() {
    let told =
        TokenCheckup { has_code: true, decimals: Some("6".to_owned()), symbol: Some("USDC".to_owned()), paused: false };
    let check = |symbol: &str, told: Result<TokenCheckup, String>| doctor::token(symbol, USDC, 6, true, &told);
    expect(&check("USDC", Ok(told.clone())), Fine, "has 6 decimals");
    expect(&check("USDC.e", Ok(told.clone())), Fine, "has 6 decimals");
    expect(&check("DAI", Ok(told.clone())), Warning, "calls itself \"USDC\"");
    expect(&check("USDC", Ok(TokenCheckup { symbol: None, ..told.clone() })), Fine, "has 6 decimals");
    expect(&check("USDC", Ok(TokenCheckup { paused: true, ..told.clone() })), Warning, "is paused");
    let eighteen = Some("18".to_owned());
    expect(&check("USDC", Ok(TokenCheckup { decimals: eighteen, ..told.clone() })), Failure, "has 18 decimals, and 6");
    expect(&check("USDC", Ok(TokenCheckup { decimals: None, ..told.clone() })), Failure, "has none decimals");
    expect(&check("USDC", Ok(TokenCheckup { has_code: false, ..told })), Failure, "no contract");
    expect(&check("USDC", no()), Failure, "cannot be asked: it hangs");
}

fn api(key: KeyWord, date: Option<u64>) -> ApiCheckup {
    ApiCheckup { key, date: date.map(at), asked_at: at(NOW), took: Span::from_secs(2) }
}

#[test]
fn the_api_key_is_taken_refused_or_unknown() {
    expect(&[doctor::api(&Ok(api(KeyWord::Taken, None)))], Fine, "takes the key");
    expect(&[doctor::api(&Ok(api(KeyWord::Refused { status: 401 }, None)))], Failure, "with HTTP 401");
    let unclear = KeyWord::Unclear { detail: "HTTP 502".to_owned() };
    expect(&[doctor::api(&Ok(api(unclear, None)))], Failure, "no clear answer: HTTP 502");
    expect(&[doctor::api(&no())], Failure, "it hangs");
}

#[test]
fn clocks_may_differ_a_little() {
    let skew = Span::from_secs(120);
    // Asked at NOW, answered two seconds later; the date is cut to the second.
    let cases = [(0, Fine), (7, Fine), (8, Warning), (122, Warning), (123, Failure)];
    for (ahead, grade) in cases {
        let told = doctor::clock_of_api(&api(KeyWord::Taken, Some(NOW + ahead)), skew).unwrap();
        assert_eq!(told.grade, grade, "the API is {ahead} s ahead: {}", told.found);
        assert!(grade == Fine || told.found.contains("behind the payment API's"), "{}", told.found);
    }
    for (behind, grade) in [(6, Fine), (7, Warning), (121, Warning), (122, Failure)] {
        let told = doctor::clock_of_api(&api(KeyWord::Taken, Some(NOW - behind)), skew).unwrap();
        assert_eq!(told.grade, grade, "the API is {behind} s behind: {}", told.found);
        assert!(grade == Fine || told.found.contains("ahead of the payment API's"), "{}", told.found);
    }
    assert_eq!(doctor::clock_of_api(&api(KeyWord::Taken, None), skew), None);
    for (ahead, grade) in [(0, Fine), (5, Fine), (6, Warning), (121, Failure)] {
        let head = Header { time: at(NOW + ahead), ..header(1, 0) };
        assert_eq!(doctor::clock_of_chain(&head, at(NOW), skew).grade, grade, "{ahead}");
    }
    assert_eq!(doctor::clock_of_chain(&header(1, 9_000), at(NOW), skew).grade, Fine, "an old block says nothing");
}

#[test]
fn the_store_needs_its_place_its_schema_and_room() {
    let fine = StoreCheckup {
        place: Ok(()),
        exists: true,
        in_use: false,
        schema: Some(Ok(4)),
        mode: Some(0o700),
        free_bytes: Ok(10 << 30),
    };
    let cases: Vec<(StoreCheckup, Grade, &str)> = vec![
        (fine.clone(), Fine, "nobody has it open"),
        (StoreCheckup { in_use: true, schema: None, ..fine.clone() }, Fine, "in use by a process"),
        (StoreCheckup { exists: false, schema: None, mode: None, ..fine.clone() }, Fine, "one can be made"),
        (StoreCheckup { place: no(), schema: None, ..fine.clone() }, Failure, "it hangs"),
        (StoreCheckup { schema: Some(Ok(3)), ..fine.clone() }, Warning, "takes to 4"),
        (StoreCheckup { schema: Some(no()), ..fine.clone() }, Failure, "it hangs"),
        (StoreCheckup { mode: Some(0o750), ..fine.clone() }, Warning, "mode 0750"),
        (StoreCheckup { free_bytes: Ok(1 << 30), ..fine.clone() }, Fine, "1024 MiB are free"),
        (StoreCheckup { free_bytes: Ok((1 << 30) - 1), ..fine.clone() }, Warning, "1023 MiB are free"),
        (StoreCheckup { free_bytes: Ok((100 << 20) - 1), ..fine.clone() }, Failure, "99 MiB are free"),
        (StoreCheckup { free_bytes: no(), ..fine }, Warning, "not known"),
    ];
    for (found, grade, words) in cases {
        expect(&doctor::store(&found, 4), grade, words);
    }
}

#[test]
fn f20_variables_that_are_set_and_not_used_are_told() {
    let proxies = |set: &[&str], configured| doctor::unused_proxies(set, configured);
    assert_eq!((proxies(&[], false), proxies(&[], true)), (None, None));
    let found = proxies(&["HTTP_PROXY", "no_proxy"], false).unwrap();
    assert_eq!(found.grade, Warning);
    assert!(found.found.contains("HTTP_PROXY, no_proxy") && found.remedy.contains("network.proxy"), "{found:?}");
    let found = proxies(&["HTTP_PROXY"], true).unwrap();
    assert_eq!((found.grade, found.found.contains("network.proxy counts")), (Fine, true), "{found:?}");
    assert_eq!(doctor::unused_authorities(&[], false), None);
    let found = doctor::unused_authorities(&["SSL_CERT_FILE"], false).unwrap();
    assert!(found.grade == Warning && found.remedy.contains("network.ca_file"), "{found:?}");
    assert_eq!(doctor::unused_authorities(&["SSL_CERT_FILE"], true).unwrap().grade, Fine);
    assert_eq!((doctor::memory(None).grade, doctor::memory(Some("core dumps are on")).grade), (Fine, Warning));
}

#[test]
fn private_files_are_private() {
    let file = |mode, made| [doctor::private_file("api.key_file", "/k", &mode, made)];
    expect(&file(Ok(Some(0o600)), false), Fine, "/k is private");
    expect(&file(Ok(Some(0o400)), false), Fine, "/k is private");
    expect(&file(Ok(Some(0o640)), false), Failure, "mode 0640");
    expect(&file(Ok(None), true), Fine, "the first start makes it");
    expect(&file(Ok(None), false), Failure, "is not there");
    expect(&file(no(), true), Failure, "it hangs");
}

fn funding() -> WalletRules {
    WalletRules {
        enabled: true,
        auto_unlimited: false,
        symbol: "USDC".to_owned(),
        decimals: 6,
        max_per_day: Amount::from_base_units(500_000_000),
        needs: Needs {
            max_per_payment: Amount::from_base_units(100_000_000),
            reserve_token: Amount::from_base_units(10_000_000),
            reserve_native: Wei::new(500),
            gas_of_one: Wei::new(75),
        },
    }
}

#[test]
fn the_wallet_can_pay_what_it_may_be_asked_to() {
    let count = |latest, pending| Ok(NonceCount { latest, pending, at_block: None });
    let nonces = |one, two| vec![("one".to_owned(), one), ("two".to_owned(), two)];
    let fine = WalletCheckup {
        address: USDC,
        balances: Ok((Amount::from_base_units(110_000_000), Wei::new(1_250))),
        nonces: nonces(count(4, 4), count(4, 4)),
    };
    let has = |token, native| WalletCheckup {
        balances: Ok((Amount::from_base_units(token), Wei::new(native))),
        ..fine.clone()
    };
    let cases: Vec<(WalletCheckup, Grade, &str)> = vec![
        (fine.clone(), Fine, "next nonce is 4"),
        (has(109_999_999, 1_250), Warning, "it has 109.999999 USDC, and keeps 10.00 USDC of it in reserve"),
        (has(10_000_000, 1_250), Failure, "it has 10.00 USDC"),
        (has(0, 1_250), Failure, "it has 0.00 USDC"),
        (has(110_000_000, 1_249), Warning, "fewer than ten transfers"),
        (has(110_000_000, 574), Failure, "POL for gas"),
        (WalletCheckup { balances: no(), ..fine.clone() }, Failure, "balances are not known"),
        (
            WalletCheckup { nonces: nonces(count(4, 6), count(4, 4)), ..fine.clone() },
            Warning,
            "2 of its transactions wait in the pool of one",
        ),
        (WalletCheckup { nonces: nonces(count(4, 4), count(5, 5)), ..fine.clone() }, Warning, "one says 4, two says 5"),
        (WalletCheckup { nonces: nonces(count(4, 4), no()), ..fine.clone() }, Fine, "next nonce is 4"),
    ];
    for (found, grade, words) in cases {
        expect(&doctor::wallet(Some(&Ok(found)), &funding()), grade, words);
    }
    let off = WalletRules { enabled: false, ..funding() };
    expect(&doctor::wallet(Some(&Ok(has(0, 0))), &off), Fine, "sends nothing");
    expect(&doctor::wallet(Some(&no()), &funding()), Failure, "does not open: it hangs");
    expect(&doctor::wallet(None, &funding()), Fine, "nothing is ever sent");
}

#[test]
fn the_daemon_is_held_against_the_nodes() {
    let parts = |chain: &str, wallet: &str| {
        vec![("chain".to_owned(), chain.to_owned()), ("wallet".to_owned(), wallet.to_owned())]
    };
    let ready = |chain, wallet, head| DaemonCheckup::Ready { parts: parts(chain, wallet), head };
    let cases = [
        (DaemonCheckup::Down, Warning, "none answers"),
        (ready("ok", "ok", Some(850)), Fine, "it is ready (chain: ok, wallet: ok)"),
        (ready("ok", "ok", Some(849)), Warning, "151 blocks behind"),
        (ready("idle", "ok", Some(1)), Fine, "chain: idle"),
        (ready("ok", "paused: lunch", Some(1_000)), Warning, "does not send: paused: lunch"),
        (DaemonCheckup::NotReady { parts: parts("not read", "ok"), head: None }, Failure, "not ready (chain: not read"),
        (
            DaemonCheckup::Strange { detail: "HTTP 404".to_owned() },
            Failure,
            "does not answer as rampwatch does: HTTP 404",
        ),
    ];
    for (found, grade, words) in cases {
        expect(&[doctor::daemon(&found, Some(1_000))], grade, words);
    }
}

#[test]
fn what_takes_too_long_is_a_failure() {
    expect(&[doctor::not_looked_at("chain", "it took longer than 60 s")], Failure, "longer than 60 s");
    expect(&[doctor::contradiction("api", "a development key")], Failure, "a development key");
}

#[test]
fn the_wallet_is_low_below_what_it_may_be_asked_for() {
    let marks = funding().needs.marks();
    let low = |token, native| marks.low(Amount::from_base_units(token), Wei::new(native));
    assert_eq!(low(110_000_000, 1_250), Low { token: false, native: false });
    assert_eq!(low(109_999_999, 1_250), Low { token: true, native: false });
    assert_eq!(low(110_000_000, 1_249), Low { token: false, native: true });
    assert_eq!(low(9, 0), Low { token: true, native: true });
}

#[test]
fn what_the_configuration_calls_low_is_low() {
    let told = Marks { token: Some(Amount::from_base_units(5)), native: None };
    let marks = told.or(funding().needs.marks());
    let low = |token, native| marks.low(Amount::from_base_units(token), Wei::new(native));
    assert_eq!(low(5, 1_250), Low { token: false, native: false }, "not by what it may be asked for");
    assert_eq!(low(4, 1_249), Low { token: true, native: true }, "nothing was said of the native coin");
    assert_eq!(told.low(Amount::ZERO, Wei::ZERO), Low { token: true, native: false });
}

#[test]
fn the_webhook_is_looked_at_only_where_one_is_configured() {
    let url = "https://treasury.example/hook".to_owned();
    let webhook = |active, stale: Option<&str>| RegisteredWebhook {
        id: "wh-1".to_owned(),
        url: url.clone(),
        active,
        stale: stale.map(str::to_owned),
    };
    let well = WebhookCheckup {
        public_url: Some(url.clone()),
        secret: Ok(true),
        inlet: InletCheckup::Asked(Ok(())),
        registered: Ok(vec![webhook(Some(true), None)]),
    };
    let none = WebhookCheckup {
        public_url: None,
        inlet: InletCheckup::NotConfigured,
        secret: Ok(false),
        registered: Ok(vec![]),
    };
    let other = RegisteredWebhook { url: "https://elsewhere.example".to_owned(), ..webhook(Some(true), None) };
    let down = InletCheckup::Asked(Err("refused".to_owned()));
    let registered = |registered| WebhookCheckup { registered, ..well.clone() };
    for (checkup, grade, words) in [
        (none, Fine, "none is configured"),
        (well.clone(), Fine, "registered and active"),
        (registered(Ok(vec![webhook(None, None)])), Fine, "registered and active"),
        (WebhookCheckup { inlet: InletCheckup::NotRunning, ..well.clone() }, Fine, "registered and active"),
        (WebhookCheckup { public_url: None, ..well.clone() }, Fine, "the inlet is configured"),
        (WebhookCheckup { inlet: InletCheckup::NotConfigured, ..well.clone() }, Warning, "nothing here hears them"),
        (WebhookCheckup { inlet: down, ..well.clone() }, Failure, "does not listen: refused"),
        (WebhookCheckup { secret: Ok(false), ..well.clone() }, Failure, "has no secret"),
        (WebhookCheckup { secret: Err("mode 0644".to_owned()), ..well.clone() }, Failure, "mode 0644"),
        (registered(Ok(vec![])), Warning, "no webhook was registered"),
        (registered(Ok(vec![other])), Warning, "no webhook was registered"),
        (
            registered(Ok(vec![webhook(Some(false), None)])),
            Warning,
            "wh-1 to https://treasury.example/hook is switched off",
        ),
        (
            registered(Ok(vec![webhook(Some(true), Some("HTTP 404"))])),
            Warning,
            "does not say how webhook wh-1 is: HTTP 404",
        ),
        (registered(Err("no daemon".to_owned())), Warning, "cannot be looked up: no daemon"),
    ] {
        let findings = doctor::webhook(&checkup);
        let [Finding { check: "webhook", grade: found, found: text, remedy, .. }] = &findings[..] else {
            panic!("{findings:?}");
        };
        assert!(*found == grade && text.contains(words), "{checkup:?}: {findings:?}");
        assert_eq!(remedy.is_empty(), grade == Fine, "{findings:?}");
    }
}

#[test]
fn r7_what_is_not_about_the_number_of_blocks_gets_no_advice_on_it() {
    for (about, expected, advice) in [
        (LogRefusal::Size, "rpc.max_block_range = 100", true),
        (LogRefusal::History, "add an endpoint that keeps more", false),
        (LogRefusal::Unknown, "what it says is not understood", false),
    ] {
        let said = Some((about, "no".to_owned()));
        let one = EndpointCheckup { logs: Ok(LogRange { asked: 2_000, taken: 100, said }), ..well("one") };
        let findings = format!("{:?}", doctor::endpoints(&[one], &rules()));
        assert!(findings.contains(expected), "{findings}");
        assert_eq!(findings.contains("max_block_range"), advice, "{findings}");
    }
}
