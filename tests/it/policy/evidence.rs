//! Which facts free something, what each takes, and what statements come to.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{B256, BlockRef, Header, Transfer};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::order::{Effect, OrderState};
use rampwatch::domain::testimony::{Statement, Testimony};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Receipt;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::evidence::{
    Agreement, Claim, Did, Freeing, Movement, Needs, WalletRecords, consumed, judge, nothing_left, prove,
};
use rampwatch::policy::finality::FinalityRule;

use super::orders::*;
use super::samples::*;

const RULE: FinalityRule = FinalityRule::Finalized { depth: 1 };

/// The table: whoever changes what a fact needs changes this one and the documentation too.
#[test]
fn what_each_freeing_fact_needs() {
    let rows = [
        (Freeing::Completion, "agreement"),
        (Freeing::Paid, "agreement"),
        (Freeing::Reverted, "agreement, the wallet's records, a person"),
        (Freeing::MovedNothing, "agreement, the wallet's records"),
        (Freeing::SelfSent, "agreement, the wallet's records"),
        (Freeing::Displaced, "agreement, the wallet's records, a person"),
    ];
    assert_eq!(rows.map(|(fact, _)| fact), *Freeing::ALL);
    for (fact, expected) in rows {
        let Needs { agreement, records, person } = fact.needs();
        let words = [(agreement, "agreement"), (records, "the wallet's records"), (person, "a person")];
        let words: Vec<&str> = words.into_iter().filter(|(needed, _)| *needed).map(|(_, word)| word).collect();
        assert_eq!(words.join(", "), expected, "{fact:?}");
    }
}

/// `docs/evidence.md` says the same.
#[test]
fn the_documented_table_is_the_one_in_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/evidence.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows =
        text.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let told: Vec<Vec<&str>> = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    let expected: Vec<Vec<&str>> = Freeing::ALL
        .iter()
        .map(|fact| {
            let Needs { agreement, records, person } = fact.needs();
            let cells = [agreement, records, person].map(|needed| if needed { "yes" } else { "" });
            std::iter::once(fact.name()).chain(cells).collect()
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn every_effect_frees_one_fact() {
    let rows = [
        (Effect::Paid { log_index: 1 }, Freeing::Paid),
        (Effect::Reverted, Freeing::Reverted),
        (Effect::MovedNothing, Freeing::MovedNothing),
        (Effect::SelfSent, Freeing::SelfSent),
    ];
    for (effect, fact) in rows {
        assert_eq!(Freeing::of_effect(effect), fact);
    }
}

/// S12: an order is not given up because one operator counts its nonce as consumed, whatever a person types.
#[test]
fn s12_a_nonce_is_consumed_when_enough_operators_count_it_in_a_final_block_and_none_does_not() {
    let says = |name: &str, count| (Operator::named(name), count);
    for (counts, needed, expected) in [
        (vec![], 1, None),
        (vec![], 0, None),
        (vec![says("a", 7)], 1, None),
        (vec![says("a", 8)], 1, Some(1)),
        (vec![says("a", 8)], 2, None),
        (vec![says("a", 8), says("a", 8)], 2, None),
        (vec![says("a", 8), says("b", 7)], 2, None),
        (vec![says("a", 8), says("b", 9)], 2, Some(2)),
        (vec![says("a", 8), says("b", 9), says("c", 7)], 2, None),
    ] {
        let proof = consumed(7, &counts, needed).map(|agreed| {
            let fit = nothing_left(&order_in("p", OrderState::Ready), block(1_500), &WalletRecords::default()).unwrap();
            prove(Freeing::Displaced, &agreed, Some(&fit)).unwrap().operators().len()
        });
        assert_eq!(proof, expected, "{counts:?} {needed}");
    }
}

fn header(number: u64) -> Header {
    Header { block: block(number), parent: B256::ZERO, time: at(number) }
}

fn movement() -> Movement {
    Movement { token: USDC, from: ALICE, to: HOME, amount: Amount::from_base_units(ASKED) }
}

fn claim(did: Did) -> Claim {
    Claim { tx_hash: tx(1), block: block(1_500), transfer: movement(), did, made_at: None }
}

fn log() -> Transfer {
    let Movement { token, from, to, amount } = movement();
    Transfer { block: block(1_500), block_time: None, tx_hash: tx(1), log_index: 3, token, from, to, amount }
}

fn receipt(at: BlockRef, succeeded: bool, transfers: Vec<Transfer>) -> Option<Receipt> {
    Some(Receipt { tx_hash: tx(1), block: at, succeeded, transfers, gas_used: Some(1), gas_price: Some(Wei::new(1)) })
}

/// What an operator says, whose head is 1,600 and whose finalized block is this one.
fn says(operator: &str, finalized: u64, receipt: Option<Receipt>) -> Testimony {
    let statement = Statement { head: header(1_600), finalized: Some(header(finalized)), receipt };
    Testimony { operator: Operator::named(operator), endpoint: operator.to_owned(), statement: Ok(statement) }
}

fn silent(operator: &str) -> Testimony {
    let statement = Err("no answer in time".to_owned());
    Testimony { operator: Operator::named(operator), endpoint: operator.to_owned(), statement }
}

fn name(agreement: &Agreement) -> String {
    match agreement {
        Agreement::Reached(_) => "reached".to_owned(),
        Agreement::Missing { more, .. } => format!("{more} more"),
        Agreement::Disputed(said) => format!("disputed by {}", said.len()),
    }
}

#[test]
fn what_statements_come_to() {
    let good = || receipt(block(1_500), true, vec![log()]);
    let elsewhere = || receipt(BlockRef { number: 1_501, hash: B256::repeat_byte(9) }, true, vec![log()]);
    let another = Transfer { amount: Amount::from_base_units(ASKED - 1), ..log() };
    let renumbered = Transfer { log_index: 9, ..log() };
    let one = Operator::named("one");
    let rows: Vec<(Option<&Operator>, Vec<Testimony>, usize, &str)> = vec![
        (Some(&one), vec![], 1, "reached"),
        (Some(&one), vec![], 0, "reached"),
        (None, vec![], 1, "1 more"),
        (Some(&one), vec![], 2, "1 more"),
        (Some(&one), vec![says("two", 1_500, good())], 2, "reached"),
        // The same operator twice is one operator.
        (Some(&one), vec![says("one", 1_500, good())], 2, "1 more"),
        (None, vec![says("two", 1_500, good()), says("two", 1_500, good())], 2, "1 more"),
        (None, vec![says("two", 1_500, good()), says("three", 1_500, good())], 2, "reached"),
        // Not final there, no receipt, no answer, not final in another block: silence.
        (Some(&one), vec![says("two", 1_499, good())], 2, "1 more"),
        (Some(&one), vec![says("two", 1_600, None)], 2, "1 more"),
        (Some(&one), vec![silent("two")], 2, "1 more"),
        (Some(&one), vec![says("two", 1_500, elsewhere())], 2, "1 more"),
        (Some(&one), vec![silent("two"), says("three", 1_500, good())], 2, "reached"),
        // A log that only stands at another place is no dispute (filecoin-project/lotus#12254).
        (Some(&one), vec![says("two", 1_500, receipt(block(1_500), true, vec![renumbered]))], 2, "reached"),
        // Other content is one, and no majority overrules it: a receipt without its logs (erigontech/erigon#19406), or with
        // another transaction's (paradigmxyz/reth#11427).
        (Some(&one), vec![says("two", 1_501, elsewhere())], 2, "disputed by 2"),
        (Some(&one), vec![says("two", 1_500, receipt(block(1_500), false, vec![]))], 2, "disputed by 2"),
        (Some(&one), vec![says("two", 1_500, receipt(block(1_500), true, vec![]))], 2, "disputed by 2"),
        (Some(&one), vec![says("two", 1_500, receipt(block(1_500), true, vec![another]))], 2, "disputed by 2"),
        (Some(&one), vec![says("two", 1_400, receipt(block(1_500), false, vec![]))], 2, "disputed by 2"),
        (
            Some(&one),
            vec![says("two", 1_500, good()), says("three", 1_500, good()), says("four", 1_501, elsewhere())],
            2,
            "disputed by 4",
        ),
        // What nobody vouches for is read again.
        (None, vec![says("two", 1_501, elsewhere())], 2, "2 more"),
        (None, vec![says("two", 1_501, elsewhere()), says("three", 1_500, good())], 2, "disputed by 3"),
    ];
    for (said_by, testimonies, needed, expected) in rows {
        let agreement = judge(&claim(Did::Transfer), said_by, &testimonies, RULE, needed);
        assert_eq!(name(&agreement), expected, "{said_by:?} {testimonies:?} {needed}");
    }
}

#[test]
fn a_failure_and_a_self_send_are_held_against_receipts_too() {
    let failed = || receipt(block(1_500), false, vec![]);
    let rows = [
        (Did::Fail, failed(), "reached"),
        (Did::Fail, receipt(block(1_500), true, vec![log()]), "disputed by 2"),
        (Did::Nothing, receipt(block(1_500), true, vec![]), "reached"),
        (Did::Nothing, receipt(block(1_500), true, vec![log()]), "disputed by 2"),
        (Did::SelfSend, receipt(block(1_500), true, vec![]), "reached"),
        (Did::SelfSend, None, "1 more"),
    ];
    let one = Operator::named("one");
    for (did, receipt, expected) in rows {
        let agreement = judge(&claim(did), Some(&one), &[says("two", 1_500, receipt)], RULE, 2);
        assert_eq!(name(&agreement), expected, "{did:?}");
    }
}

#[test]
fn another_time_of_its_block_is_a_dispute_where_a_node_tells_one() {
    let one = Operator::named("one");
    let timed = |block_time| receipt(block(1_500), true, vec![Transfer { block_time, ..log() }]);
    let claim = |made_at| Claim { made_at, ..claim(Did::Transfer) };
    for (made_at, told, expected) in [
        (None, Some(at(7)), "reached"),
        (Some(at(7)), Some(at(7)), "reached"),
        (Some(at(7)), None, "reached"),
        (Some(at(7)), Some(Timestamp::EPOCH), "reached"),
        (Some(at(7)), Some(at(8)), "disputed by 2"),
    ] {
        let agreement = judge(&claim(made_at), Some(&one), &[says("two", 1_501, timed(told))], RULE, 2);
        assert_eq!(name(&agreement), expected, "{made_at:?} {told:?}");
    }
}

#[test]
fn f1_the_wallets_own_records_contradict_what_is_said_to_have_failed() {
    let order =
        rampwatch::domain::order::Order { attempts: vec![given(transfer(1))], ..order_in("p", OrderState::Ready) };
    let units = Amount::from_base_units;
    let sent = |number: u8, height: u64, amount| Transfer {
        block: block(height),
        tx_hash: tx(number),
        from: WALLET,
        amount: units(amount),
        ..log()
    };
    let fits = |sent: Vec<Transfer>, balances: Option<(u128, u128)>| {
        let balances = balances.map(|(before, after)| (units(before), units(after)));
        nothing_left(&order, block(1_500), &WalletRecords { sent, balances }).is_ok()
    };
    assert!(fits(vec![], None), "most nodes keep the state of some hundred blocks only");
    assert!(fits(vec![], Some((500, 500))));
    assert!(fits(vec![], Some((500, 900))), "money came in");
    assert!(!fits(vec![], Some((500, 400))), "money left, and no transfer says why");
    assert!(fits(vec![sent(7, 1_500, 100)], Some((500, 400))), "another order's transfer explains it");
    assert!(!fits(vec![sent(7, 1_499, 100)], Some((500, 400))), "not in that block");
    assert!(!fits(vec![sent(7, 1_500, 99)], Some((500, 400))));
    assert!(!fits(vec![sent(1, 1_500, 100)], None), "the order's own transaction moved money");
    assert!(!fits(vec![sent(1, 1_400, 100)], Some((500, 500))), "in whatever block");
}

#[test]
fn a_proof_needs_the_records_where_the_table_says_so() {
    let one = Operator::named("one");
    let Agreement::Reached(agreed) = judge(&claim(Did::Transfer), Some(&one), &[], RULE, 1) else {
        panic!("one is enough")
    };
    for fact in Freeing::ALL.iter().copied() {
        let proven = prove(fact, &agreed, None);
        assert_eq!(proven.is_some(), !fact.needs().records, "{fact:?}");
        assert!(proven.is_none_or(|proof| proof.fact() == fact && proof.operators() == [one.clone()]));
    }
}
