//! One wallet, one sender: what the nodes' counts are taken for.

use rampwatch::domain::operator::{KnownEndpoint, Operator};
use rampwatch::domain::order::{Order, OrderId, OrderState};
use rampwatch::domain::wallet::{Halt, HaltReason, NonceCount, Wallet};
use rampwatch::policy::nonces::{AdoptRefusal, Adoption, Behind, Fit, adopt, begin, check, check_start, fit, is_taken};

use super::orders::*;
use super::samples::*;
use crate::support::of_its_own;

const fn count(latest: u64, pending: u64) -> NonceCount {
    NonceCount { latest, pending, at_block: None }
}

/// Open orders with these nonces.
fn open(nonces: &[u64]) -> Vec<Order> {
    let of = |nonce: &u64| {
        let order = order_in("p", OrderState::Sending { nonce: *nonce, trouble: None });
        Order { id: OrderId { payment: id(&format!("p{nonce}")), turn: 1 }, ..order }
    };
    let idle = [order_in("r", OrderState::Ready), order_in("a", awaiting())];
    nonces.iter().map(of).chain(idle).collect()
}

fn next(next_nonce: u64) -> Wallet {
    Wallet { next_nonce, ..wallet() }
}

fn halted(why: HaltReason) -> Wallet {
    Wallet { halted: Some(Halt { at: at(NOW), why }), ..wallet() }
}

#[test]
fn a_used_wallet_does_not_begin_by_itself() {
    let used = |transactions| (transactions, Some(HaltReason::UsedBefore { transactions }));
    for (counts, expected) in [
        (vec![], (0, None)),
        (vec![count(0, 0)], (0, None)),
        (vec![count(0, 0), count(0, 0)], (0, None)),
        (vec![count(4, 4)], used(4)),
        (vec![count(0, 1)], used(1)),
        (vec![count(0, 0), count(3, 5)], used(5)),
        (vec![count(6, 6), count(0, 0)], used(6)),
    ] {
        assert_eq!(begin(&counts), expected, "{counts:?}");
    }
}

/// S12: a halt needs a person to end it, so one operator's word makes none where others are to agree.
#[test]
fn s12_one_operators_count_halts_nothing_where_two_are_to_agree() {
    let said = |counts: &[(&str, u64)]| -> Vec<(Operator, NonceCount)> {
        counts.iter().map(|(name, nonce)| (Operator::named(name), count(*nonce, *nonce))).collect()
    };
    let halt = |theirs| Fit::Halt(HaltReason::UsedElsewhere { ours: 5, theirs });
    let contradicted = |name: &str, theirs| Fit::Contradicted { operators: vec![Operator::named(name)], theirs };
    let cases = [
        (said(&[("a", 5), ("b", 4)]), 2, Fit::Fits),
        (said(&[]), 2, Fit::Fits),
        (said(&[("a", 7), ("b", 5)]), 2, contradicted("a", 7)),
        (said(&[("a", 7)]), 2, contradicted("a", 7)),
        (said(&[("a", 7), ("a", 8), ("b", 5)]), 2, contradicted("a", 8)),
        (said(&[("a", 7), ("b", 6)]), 2, halt(7)),
        (said(&[("a", 7), ("b", 5)]), 1, halt(7)),
        (said(&[("a", 7)]), 0, halt(7)),
    ];
    for (counts, agreement, expected) in cases {
        assert_eq!(fit(&next(5), &counts, agreement), expected, "{counts:?} {agreement}");
    }
}

#[test]
fn what_was_never_given_out_is_somebody_elses() {
    for (counts, theirs) in [
        (vec![], None),
        (vec![count(0, 0)], None),
        (vec![count(7, 7)], None),
        (vec![count(2, 7), count(7, 7)], None),
        (vec![count(8, 8)], Some(8)),
        (vec![count(7, 8)], Some(8)),
        // One endpoint that knows more is enough.
        (vec![count(7, 7), count(2, 9), count(8, 8)], Some(9)),
    ] {
        let expected = theirs.map_or(Ok(()), |theirs| Err(HaltReason::UsedElsewhere { ours: NONCE, theirs }));
        assert_eq!(check(&wallet(), &counts), expected, "{counts:?}");
    }
}

#[test]
fn a_chain_that_knows_less_is_another_one() {
    let behind = |ours, theirs| Err(Behind { ours, theirs });
    for (what, next_nonce, nonces, counts, expected) in [
        ("a new wallet", 0, vec![], vec![count(0, 0)], Ok(())),
        ("all mined", 7, vec![], vec![count(7, 7)], Ok(())),
        ("one endpoint lags", 7, vec![], vec![count(3, 3), count(7, 7)], Ok(())),
        ("all lag", 7, vec![], vec![count(3, 3), count(6, 6)], behind(7, 6)),
        ("what is open may not be mined", 7, vec![5, 6], vec![count(5, 5)], Ok(())),
        ("in whatever order", 7, vec![6, 5], vec![count(5, 7)], Ok(())),
        ("but what lies below is", 7, vec![5, 6], vec![count(4, 4)], behind(5, 4)),
        ("nobody answers", 7, vec![], vec![], Ok(())),
    ] {
        assert_eq!(check_start(&next(next_nonce), &counts, &open(&nonces)), expected, "{what}");
    }
}

#[test]
fn only_a_halted_wallet_is_adopted() {
    let counts = ["one", "two"].map(|name| (of_its_own(name), Ok(count(9, 9))));
    assert_eq!(adopt(&wallet(), &counts, &open(&[]), None), Err(AdoptRefusal::NotHalted));
    for why in halts() {
        let expected = match &why {
            HaltReason::OtherWallet { .. } => Err(AdoptRefusal::OtherWallet),
            HaltReason::UsedBefore { .. }
            | HaltReason::UsedElsewhere { .. }
            | HaltReason::NonceTaken { .. }
            | HaltReason::StoreIncomplete { .. } => Ok(Adoption { next_nonce: 9, latest: 9 }),
        };
        assert_eq!(adopt(&halted(why), &counts, &open(&[]), None), expected);
    }
}

/// What adopting comes to, in short.
fn adopted(counts: &[Result<NonceCount, &str>], nonces: &[u64]) -> Result<(u64, u64), String> {
    adopted_at(counts, nonces, None)
}

/// The same with the nonce that a person gives.
fn adopted_at(counts: &[Result<NonceCount, &str>], nonces: &[u64], given: Option<u64>) -> Result<(u64, u64), String> {
    let named: Vec<(KnownEndpoint, Result<NonceCount, String>)> = (1..)
        .zip(counts)
        .map(|(number, count)| (of_its_own(&format!("e{number}")), count.map_err(str::to_owned)))
        .collect();
    let wallet = halted(HaltReason::UsedElsewhere { ours: NONCE, theirs: 9 });
    let got = adopt(&wallet, &named, &open(nonces), given);
    got.map(|adoption| (adoption.next_nonce, adoption.latest)).map_err(|refusal| refusal.to_string())
}

#[test]
fn adoption_wants_every_endpoint_to_agree() {
    let refused = |counts: &[Result<NonceCount, &str>], words: &[&str]| {
        let text = adopted(counts, &[]).unwrap_err();
        for word in words {
            assert!(text.contains(word), "{word:?} in {text:?}");
        }
    };
    assert_eq!(adopted(&[Ok(count(9, 9)), Ok(count(9, 9))], &[]), Ok((9, 9)));
    let at_block = NonceCount { at_block: Some(3), ..count(9, 9) };
    assert_eq!(adopted(&[Ok(count(9, 9)), Ok(at_block)], &[]), Ok((9, 9)), "only the counts must agree");
    refused(&[Ok(count(9, 9)), Err("timed out")], &["\"e2\"", "timed out"]);
    refused(&[Err("refused"), Ok(count(9, 9))], &["\"e1\"", "refused"]);
    refused(&[Ok(count(9, 9)), Ok(count(8, 9))], &["\"e2\"", "counts 8 mined and 9", "another 9 and 9"]);
    refused(&[Ok(count(9, 9)), Ok(count(9, 10))], &["\"e2\"", "counts 9 mined and 10"]);
    refused(&[], &["there is none"]);
}

#[test]
fn adoption_takes_the_next_nonce_that_nobody_holds() {
    let one = |latest, pending, nonces: &[u64]| adopted(&[Ok(count(latest, pending)); 2], nonces);
    let behind = one(0, 0, &[]).unwrap_err();
    assert!(behind.contains("they are behind"), "what was given out is not given out again: {behind}");
    let gone = ["e1", "e2"].map(|name| (of_its_own(name), Ok(count(0, 0))));
    let begun = adopt(&halted(HaltReason::UsedBefore { transactions: 1 }), &gone, &open(&[]), None);
    assert_eq!(begun, Ok(Adoption { next_nonce: 0, latest: 0 }), "a stranger's that waited and is gone");
    assert_eq!(one(9, 9, &[]), Ok((9, 9)));
    assert_eq!(one(7, 9, &[7, 8]), Ok((9, 7)), "ours wait in the pools");
    assert_eq!(one(7, 7, &[7, 8]), Ok((9, 7)), "ours wait, and the pools have forgotten them");
    assert_eq!(one(7, 8, &[8, 7]), Ok((9, 7)), "or one of them");
    assert_eq!(one(9, 9, &[7, 8]), Ok((9, 9)), "ours are mined already");
    assert_eq!(one(8, 8, &[7, 8]), Ok((9, 8)));
}

#[test]
fn adoption_waits_for_strangers_in_the_pools() {
    let one = |latest, pending, nonces: &[u64]| adopted(&[Ok(count(latest, pending)); 2], nonces).unwrap_err();
    assert!(one(7, 8, &[]).starts_with("nonce 7 waits"));
    assert!(one(7, 9, &[7]).starts_with("nonce 8 waits"));
    assert!(one(7, 9, &[8]).starts_with("nonce 7 waits"));
    assert!(one(0, u64::MAX, &[]).starts_with("nonce 0 waits"), "it does not count them all");
}

#[test]
fn adoption_leaves_no_gap() {
    let one = |latest, pending, nonces: &[u64]| adopted(&[Ok(count(latest, pending)); 2], nonces).unwrap_err();
    let text = one(5, 5, &[7]);
    assert!(text.starts_with("nonce 5 is no order's") && text.contains("p7:1"), "{text}");
    let text = one(5, 5, &[5, 7]);
    assert!(text.starts_with("nonce 6 is no order's") && text.contains("p7:1"), "{text}");
}

#[test]
fn s12_one_endpoints_count_alone_is_not_believed() {
    let alone = adopted(&[Ok(count(1_000, 1_000))], &[]).unwrap_err();
    assert!(alone.contains("e1 alone says that 1000") && alone.contains("--next-nonce"), "{alone}");
    let only = |why| {
        let counts = [(of_its_own("e1"), Ok(count(NONCE, NONCE)))];
        adopt(&halted(why), &counts, &open(&[]), None)
    };
    let new = only(HaltReason::UsedBefore { transactions: NONCE });
    assert!(matches!(new, Err(AdoptRefusal::OneWord { next_nonce: NONCE, .. })), "{new:?}");
    let same = only(HaltReason::NonceTaken { nonce: NONCE - 1 });
    assert_eq!(same, Ok(Adoption { next_nonce: NONCE, latest: NONCE }), "no nonce comes of it that was not given out");
    assert_eq!(adopted(&[Ok(count(9, 9)); 2], &[]), Ok((9, 9)), "two that agree are enough");
    let one_s = ["e1", "e2"].map(|name| {
        let endpoint = KnownEndpoint { operator: Operator::named("one"), ..of_its_own(name) };
        (endpoint, Ok(count(9, 9)))
    });
    let wallet = halted(HaltReason::UsedElsewhere { ours: NONCE, theirs: 9 });
    let both = adopt(&wallet, &one_s, &open(&[]), None);
    assert!(matches!(both, Err(AdoptRefusal::OneWord { next_nonce: 9, .. })), "not two endpoints of one: {both:?}");
    assert_eq!(adopt(&wallet, &one_s, &open(&[]), Some(9)), Ok(Adoption { next_nonce: 9, latest: 9 }));
}

#[test]
fn s12_a_nonce_is_taken_by_others_when_enough_operators_say_so() {
    let says = |name: &str, latest| (Operator::named(name), count(latest, latest));
    for (counts, agreement, expected) in [
        (vec![], 1, false),
        (vec![says("a", 7)], 1, false),
        (vec![says("a", 8)], 1, true),
        (vec![says("a", 8)], 2, false),
        (vec![says("a", 8), says("b", 7)], 2, false),
        (vec![says("a", 8), says("a", 9)], 2, false),
        (vec![says("a", 8), says("b", 9), says("c", 7)], 2, true),
        (vec![says("a", 8)], 0, true),
        (vec![], 0, false),
    ] {
        assert_eq!(is_taken(7, &counts, agreement), expected, "{counts:?} {agreement}");
    }
}

#[test]
fn s12_a_person_s_count_is_taken_where_an_endpoint_says_the_same() {
    let high = Ok(count(1_000, 1_000));
    assert_eq!(adopted_at(&[Ok(count(9, 9))], &[], Some(9)), Ok((9, 9)));
    assert_eq!(adopted_at(&[high, Ok(count(9, 9))], &[], Some(9)), Ok((9, 9)), "they need not agree");
    assert_eq!(adopted_at(&[Err("timed out"), Ok(count(9, 9))], &[], Some(9)), Ok((9, 9)), "nor all answer");
    assert_eq!(adopted_at(&[Ok(count(7, 8))], &[7, 8], Some(9)), Ok((9, 7)), "ours wait");
    for (counts, nonces, given, words) in [
        (vec![high], vec![], 9, ["no endpoint says that 9", "\"e1\" says 1000"]),
        (vec![Ok(count(9, 9))], vec![], 1_000, ["no endpoint says that 1000", "\"e1\" says 9"]),
        (vec![Err("timed out")], vec![], 9, ["no endpoint says that 9", "timed out"]),
        (vec![Ok(count(7, 9))], vec![7, 8], 8, ["order p8:1 holds nonce 8", "8 cannot be the next one"]),
        (vec![Ok(count(7, 8))], vec![], 8, ["no endpoint says that 8", "nonce 7 waits"]),
        (vec![], vec![], 8, ["no endpoint says that 8", ""]),
    ] {
        let text = adopted_at(&counts, &nonces, Some(given)).unwrap_err();
        for word in words {
            assert!(text.contains(word), "{word:?} in {text:?}");
        }
    }
}
