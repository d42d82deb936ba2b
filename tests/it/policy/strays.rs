//! Deposits that could pay nothing: they stand in nobody's way, the first few are kept, and the rest is counted, once.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Transfer;
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, NothingReason, ReviewReason, Tally, Verdict};
use rampwatch::domain::event::{EventKind, Reading};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::payment::Payment;
use rampwatch::policy::address::AddressState;
use rampwatch::policy::matching::{Own, judge};
use rampwatch::policy::preflight::{PreflightParams, check_payment};
use rampwatch::policy::resolve::{ResolveError, ignore_all};
use rampwatch::policy::strays::{self, Fate, KEPT, Window, fate, is_dust, may_be_counted, may_be_left, reads_again};

use super::preflight::{judged, params, ready, signed, units};
use super::samples::*;

fn asking(name: &str, amount: u128) -> Payment {
    let mut payment = payment(name);
    payment.terms.amount = units(amount);
    payment
}

/// The `n`th deposit of a base unit: in block 1 000 + `n`.
fn dust(n: u64) -> Deposit {
    let mut deposit = deposit(1, 1);
    deposit.key.log_index = n;
    deposit.block_number = 1_000 + n;
    Deposit { standing: FINAL, ..deposit }
}

fn coverage(covered_to: u64, confirmed_to: u64) -> Coverage {
    let swept = Swept { start: 1_000, covered_to, confirmed_to, second_reading: None };
    Coverage { address: HOME, version: 1, since: at(0), swept: Some(swept), watch_until: None, closed: false }
}

/// A reading that raised the marks from these to those.
fn window(reading: Reading, before: (u64, u64), after: (u64, u64)) -> Window {
    let (before, after) = (coverage(before.0, before.1), coverage(after.0, after.1));
    Window::new(reading, Some(&before), Some(&after)).unwrap()
}

/// Takes a reading in as the watcher does. Returns how many were kept.
fn take_in(book: &mut AddressState, read: Vec<Deposit>, window: &Window) -> usize {
    let (mut left, mut kept) = (Vec::new(), 0);
    let mut keep = |book: &mut AddressState, deposit: Deposit| {
        if book.deposit(&deposit.key).is_none() {
            kept += 1;
            book.add_deposit(deposit, window.reading);
        }
    };
    for deposit in read {
        if may_be_left(book, &deposit, &STRICT) { left.push(deposit) } else { keep(book, deposit) }
    }
    strays::take_in(book, left, Some(window), &STRICT, at(NOW), keep);
    book.settle(&STRICT, &context()).unwrap();
    kept
}

fn tally_of(book: &AddressState) -> Option<Tally> {
    let mut tallies = book.deposits().iter().filter_map(|deposit| deposit.tally.as_deref());
    let first = tallies.next().cloned();
    assert_eq!(tallies.next(), None, "one bears what is counted");
    first
}

fn counted(book: &AddressState) -> (u64, u128) {
    tally_of(book).map_or((0, 0), |tally| (tally.count, tally.sum.base_units()))
}

fn in_review(book: &AddressState) -> usize {
    book.deposits().iter().filter(|it| matches!(it.verdict, Verdict::Review { .. })).count()
}

/// A tally of this sum, so much of it ignored, in all blocks up to this one.
fn tally(sum: u128, ignored: u128, through: u64) -> Box<Tally> {
    Box::new(Tally {
        count: 20_000,
        sum: units(sum),
        most: units(9),
        ignored: units(ignored),
        from: 1,
        through,
        second_to: 0,
        last_tx: tx(7),
        last_at: at(9),
    })
}

#[test]
fn f15_what_could_pay_is_kept_whatever_came_before() {
    // The amounts asked for, how many are kept, the amount, and whether it is counted.
    let table: [(&[u128], usize, u128, bool); 18] = [
        (&[ASKED], 0, 0, false),
        (&[ASKED], KEPT - 1, 1, false),
        (&[ASKED], KEPT, 0, true),
        (&[ASKED], KEPT, 1, true),
        (&[ASKED], KEPT, ASKED / 1_000 - 1, true),
        (&[ASKED], KEPT, ASKED / 1_000, false),
        (&[ASKED], 2 * KEPT, ASKED / 1_000, true),
        (&[ASKED], 2 * KEPT, ASKED / 500, false),
        (&[ASKED], 3 * KEPT, ASKED / 500, true),
        (&[ASKED], 11 * KEPT, ASKED / 2, true),
        (&[ASKED], 1_000_000, ASKED - 1, true),
        (&[ASKED], 1_000_000, ASKED, false),
        (&[ASKED], usize::MAX, ASKED, false),
        (&[ASKED, 5], 1_000_000, 5, false),
        (&[ASKED, 5], 1_000_000, 4, true),
        (&[], KEPT, 9_999, true),
        (&[], KEPT, 10_000, false),
        (&[], 1_000_000, 10_000, false),
    ];
    for (asked, kept, amount, expected) in table {
        let payments: Vec<Payment> = asked.iter().map(|asked| asking("p", *asked)).collect();
        let got = may_be_counted(units(amount), kept, &payments, &STRICT);
        assert_eq!(got, expected, "{amount} for {asked:?} behind {kept}");
    }
    assert!(is_dust(units(ASKED / 1_000 - 1), &[payment("p")], &STRICT));
    assert!(!is_dust(units(ASKED / 1_000), &[payment("p")], &STRICT));
}

#[test]
fn f15_each_is_counted_once_however_often_it_is_read() {
    let mut book = AddressState::open(vec![payment("p")], Vec::new());
    let all = |from: u64, to: u64| (from..=to).map(dust).collect::<Vec<_>>();
    // Blocks up to 1 099 are covered, and what came up to 1 150 is read.
    let first = window(Reading::Sweep, (999, 999), (1_099, 999));
    assert_eq!(take_in(&mut book, all(0, 150), &first), KEPT);
    assert_eq!(counted(&book), (84, 84), "what is above the coverage is left");
    // The same once more, as after a crash in between, and with an overlap.
    assert_eq!(take_in(&mut book, all(0, 150), &window(Reading::Sweep, (1_099, 999), (1_099, 999))), 0);
    assert_eq!(counted(&book), (84, 84));
    assert_eq!(take_in(&mut book, all(70, 150), &window(Reading::Sweep, (1_099, 999), (1_120, 999))), 0);
    assert_eq!(counted(&book), (105, 105));
    // The second reading brings all of it again, and the last one too.
    assert_eq!(take_in(&mut book, all(0, 120), &window(Reading::Second, (1_120, 999), (1_120, 1_099))), 0);
    assert_eq!(take_in(&mut book, all(0, 120), &window(Reading::Second, (1_120, 1_099), (1_120, 1_120))), 0);
    assert_eq!(counted(&book), (105, 105));
    // The coverage is taken back by a little: what was counted there counts.
    assert_eq!(take_in(&mut book, all(90, 150), &window(Reading::Sweep, (1_099, 1_099), (1_150, 1_099))), 0);
    assert_eq!(counted(&book), (135, 135));
    // It begins anew: so does the count.
    assert_eq!(take_in(&mut book, all(0, 150), &window(Reading::Sweep, (999, 999), (1_150, 999))), 0);
    assert_eq!(counted(&book), (135, 135));
    // A second reading brings what the first had missed in blocks that nothing was counted in, and again.
    assert_eq!(take_in(&mut book, all(200, 209), &window(Reading::Second, (1_300, 1_150), (1_300, 1_300))), 0);
    assert_eq!(take_in(&mut book, all(200, 209), &window(Reading::Second, (1_300, 1_150), (1_300, 1_300))), 0);
    assert_eq!(counted(&book), (145, 145));
    // The right deposit pays, whatever came before it.
    let right = Deposit { block_number: 1_400, ..final_deposit(9, ASKED) };
    assert_eq!(take_in(&mut book, vec![right.clone()], &window(Reading::Sweep, (1_300, 1_300), (1_400, 1_300))), 1);
    assert_eq!(book.deposit(&right.key).unwrap().verdict, pays("p"));
    let told =
        book.changes().events.into_iter().filter(|event| matches!(event.kind, EventKind::DepositsCounted { .. }));
    assert!(told.count() <= 24, "told when it has doubled");
}

#[test]
fn f15_what_only_the_last_reading_brings_is_counted_once() {
    let mut book = AddressState::open(vec![payment("p")], Vec::new());
    let some = |from, to| (from..to).map(dust).collect();
    assert_eq!(take_in(&mut book, some(0, 16), &window(Reading::Sweep, (999, 999), (1_500, 999))), KEPT);
    assert_eq!(take_in(&mut book, some(0, 16), &window(Reading::Second, (1_500, 999), (1_500, 1_500))), 0);
    // It raises no mark, comes in pieces, and may begin anew.
    let last = window(Reading::Second, (1_500, 1_500), (1_500, 1_500));
    for (from, to, expected) in [(100, 150, 50), (200, 210, 60), (0, 150, 60), (150, 210, 60)] {
        assert_eq!(take_in(&mut book, some(from, to), &last), 0);
        assert_eq!(counted(&book), (expected, u128::from(expected)));
    }
}

#[test]
fn f15_what_is_larger_than_all_that_was_counted_was_not_counted() {
    let mut book = AddressState::open(vec![payment("p")], Vec::new());
    let all: Vec<Deposit> = (0..100).map(dust).collect();
    assert_eq!(take_in(&mut book, all, &window(Reading::Sweep, (999, 999), (1_100, 999))), KEPT);
    // It was withheld of a block that others were counted in; it comes twice.
    let larger = Deposit { amount: units(2), key: DepositKey { log_index: 700, ..dust(50).key }, ..dust(50) };
    for _ in 0..2 {
        let second = window(Reading::Second, (1_100, 999), (1_100, 1_100));
        assert_eq!(take_in(&mut book, vec![larger.clone()], &second), 0);
        assert_eq!(counted(&book), (85, 86));
    }
}

#[test]
fn f15_what_a_sweep_counts_below_its_window_is_counted_once() {
    let mut book = AddressState::open(vec![payment("p")], Vec::new());
    let few: Vec<Deposit> = (0..16).map(dust).collect();
    assert_eq!(take_in(&mut book, few, &window(Reading::Sweep, (999, 999), (1_100, 999))), KEPT);
    assert_eq!(take_in(&mut book, vec![dust(150)], &window(Reading::Sweep, (1_100, 999), (1_200, 999))), 0);
    // One that was withheld below all that was counted comes, and then all of them again.
    let below = Deposit { amount: units(9), ..dust(50) };
    let late = vec![below.clone(), dust(250)];
    assert_eq!(take_in(&mut book, late, &window(Reading::Sweep, (1_200, 999), (1_300, 999))), 0);
    assert_eq!(counted(&book), (3, 11));
    let all = vec![below, dust(150), dust(250)];
    assert_eq!(take_in(&mut book, all, &window(Reading::Second, (1_300, 999), (1_300, 1_300))), 0);
    assert_eq!(counted(&book), (3, 11));
}

#[test]
fn f15_what_is_not_covered_is_not_counted() {
    let mut book = AddressState::open(vec![payment("p")], Vec::new());
    let provisional = |n| Deposit { standing: BlockStatus::Provisional, ..dust(n) };
    let above = window(Reading::Sweep, (999, 999), (999, 999));
    assert_eq!(
        take_in(&mut book, (0..500).map(provisional).collect(), &above),
        KEPT,
        "the first ones are seen at once"
    );
    assert_eq!(counted(&book), (0, 0));
    let unplaced = Coverage { swept: None, ..coverage(1, 1) };
    assert_eq!(Window::new(Reading::Sweep, Some(&unplaced), Some(&coverage(1, 1))), None);
    assert_eq!(fate(&book, &dust(600), None, &STRICT), Fate::Leave);
}

#[test]
fn f15_one_deposit_of_the_dust_is_with_a_person() {
    let review = |missing| Verdict::Review { why: ReviewReason::Under { missing: units(missing) } };
    let noted = Verdict::Nothing { why: NothingReason::Dust };
    let of = |deposits: &[Deposit]| judge(&[payment("p")], deposits, &Own::default(), &STRICT);
    assert_eq!(of(&[dust(3), dust(1), dust(2)]), [noted.clone(), review(ASKED - 1), noted.clone()]);
    let ignored = Deposit { verdict: Verdict::Ignored { reason: "dust".to_owned() }, ..dust(1) };
    let verdicts = of(&[ignored.clone(), dust(2)]);
    assert_eq!(verdicts, [ignored.verdict, noted.clone()], "a person has decided about the dust");
    let gone = Deposit { standing: BlockStatus::Gone { after_final: false }, ..dust(1) };
    assert_eq!(of(&[gone, dust(2)]), [Verdict::Unjudged, review(ASKED - 1)]);
    let other = Deposit { token: BRIDGED, ..dust(2) };
    assert_eq!(of(&[dust(1), other]), [review(ASKED - 1), noted]);
    // What is more than dust is each a person's, and the right deposit pays among all of it.
    let (part, right) = (Deposit { amount: units(ASKED / 1_000), ..dust(2) }, final_deposit(9, ASKED));
    let verdicts = of(&[dust(1), part, right]);
    assert_eq!(verdicts[2], pays("p"));
    assert!(matches!(verdicts[0], Verdict::Review { .. }) && matches!(verdicts[1], Verdict::Review { .. }));
}

#[test]
fn f15_parts_that_together_could_pay_are_with_a_person() {
    let split = |parts| Verdict::Review { why: ReviewReason::Split { payment: id("p"), parts } };
    let noted = Verdict::Nothing { why: NothingReason::Dust };
    let part = |n, amount| Deposit { amount: units(amount), ..dust(n) };
    let of = |deposits: &[Deposit]| judge(&[payment("p")], deposits, &Own::default(), &STRICT);
    let half = ASKED / 2;
    assert_eq!(of(&[part(1, half), part(2, half)]), [split(2), split(2)]);
    let with_dust = of(&[dust(0), part(1, half), part(2, half)]);
    assert_eq!(with_dust[1..], [split(2), split(2)], "dust hides no split");
    assert_eq!(of(&[part(1, half), part(2, half - 1), dust(3)]), [split(3), split(3), split(3)]);
    let bearer = |ignored| Deposit { tally: Some(tally(ASKED - 2, ignored, 9)), ..dust(0) };
    assert_eq!(of(&[bearer(0), dust(1)]), [split(2), noted], "what is counted counts");
    assert!(!matches!(of(&[bearer(1), dust(1)])[0], Verdict::Review { why: ReviewReason::Split { .. } }));
}

#[test]
fn f15_dust_that_comes_to_the_amount_after_all_was_ignored_is_with_a_person_again() {
    let mut book = AddressState::open(vec![asking("p", 1_000)], Vec::new());
    // A thousand of one unit are asked for: only after as many again are they counted.
    take_in(&mut book, (0..500).map(dust).collect(), &window(Reading::Sweep, (999, 999), (1_499, 999)));
    while ignore_all(&mut book, said("dust"), &STRICT, &context()).unwrap().more {}
    book.settle(&STRICT, &context()).unwrap();
    assert_eq!(in_review(&book), 0);
    take_in(&mut book, (500..1_490).map(dust).collect(), &window(Reading::Sweep, (1_499, 999), (2_489, 999)));
    assert_eq!(in_review(&book), 0, "990 of them pay nothing");
    let before = book.deposits().len();
    take_in(&mut book, (1_490..1_700).map(dust).collect(), &window(Reading::Sweep, (2_489, 999), (2_699, 999)));
    assert_eq!(book.deposits().len(), before + 1, "a thousand could, and one of them is kept");
    assert_eq!(in_review(&book), 1);
}

#[test]
fn f15_a_payment_that_something_counted_could_pay_has_all_of_it_read_again() {
    let mut book = AddressState::open(vec![payment("p")], Vec::new());
    take_in(&mut book, (0..100).map(dust).collect(), &window(Reading::Sweep, (999, 999), (1_099, 999)));
    let deposits = book.deposits().to_vec();
    for (asked, expected) in [(ASKED, false), (2, false), (1, true)] {
        assert_eq!(reads_again(&[payment("p"), asking("q", asked)], &deposits, &STRICT), expected, "{asked}");
    }
    assert!(!reads_again(&[], &deposits, &STRICT));
    book.uncount();
    assert_eq!(tally_of(&book), None);
}

#[test]
fn f15_all_dust_is_ignored_at_once_and_nothing_else() {
    let of = |deposits: Vec<Deposit>| {
        let mut book = AddressState::open(vec![payment("p")], deposits);
        book.settle(&STRICT, &context()).unwrap();
        book
    };
    let ignore = |book: &mut AddressState| ignore_all(book, said("dust"), &STRICT, &context());
    let mut book = of(Vec::new());
    take_in(&mut book, (0..300).map(dust).collect(), &window(Reading::Sweep, (999, 999), (1_299, 999)));
    let done = ignore(&mut book).unwrap();
    assert_eq!((done.count, done.more), (300, false));
    assert_eq!(tally_of(&book).map(|tally| tally.undecided()), Some(Amount::ZERO));
    assert!(book.deposits().iter().all(|it| matches!(it.verdict, Verdict::Ignored { .. })));
    assert_eq!(ignore(&mut book).unwrap().count, 0, "nothing is left");
    // Many that are kept go in bounded commits.
    let first = ignore(&mut of((0..150).map(dust).collect())).unwrap();
    assert_eq!((first.count, first.more), (64, true));
    // What could pay stays, alone or with others.
    let (part, more) = (Deposit { amount: units(ASKED / 2), ..dust(1) }, final_deposit(9, ASKED + 1));
    let mut book = of(vec![part.clone(), more.clone()]);
    assert_eq!(ignore(&mut book).unwrap().count, 1);
    assert!(matches!(book.deposit(&more.key).unwrap().verdict, Verdict::Review { .. }));
    let other = Deposit { amount: units(ASKED / 2), ..dust(2) };
    assert_eq!(ignore(&mut of(vec![part, other])), Err(ResolveError::Together));
    let nameless = ignore_all(&mut of(Vec::new()), said(" "), &STRICT, &context());
    assert_eq!(nameless, Err(ResolveError::Reason));
}

#[test]
fn f9_only_money_that_could_pay_stands_in_the_way() {
    type Case = (Vec<Deposit>, Vec<Transfer>, u128, Option<u128>);
    let review = || Verdict::Review { why: ReviewReason::Under { missing: units(1) } };
    let noted = || Verdict::Nothing { why: NothingReason::Dust };
    let of = |number, amount, verdict| Deposit { amount: units(amount), ..judged(number, verdict) };
    let read = |number, amount| Transfer { amount: units(amount), ..fresh(number) };
    let bridged = |deposit| Deposit { token: BRIDGED, ..deposit };
    let through = fresh(7).block.number;
    let bearing = |sum, ignored| Deposit { tally: Some(tally(sum, ignored, through)), ..of(1, 1, review()) };
    let half = ASKED / 2;
    // What is stored, what was read, how much less pays all the same, and how much stands in the way.
    let table: [Case; 19] = [
        (vec![of(1, 1, review())], vec![], 0, None),
        (vec![of(1, 1, Verdict::Unjudged)], vec![read(2, 1)], 0, None),
        (vec![of(1, ASKED - 1, review())], vec![], 0, None),
        (vec![of(1, ASKED - 1, review())], vec![], 1, Some(ASKED - 1)),
        (vec![of(1, ASKED, review())], vec![], 0, Some(ASKED)),
        (vec![of(1, ASKED + 1, review())], vec![], 0, Some(ASKED + 1)),
        (vec![of(1, half, review()), of(2, half, review())], vec![], 0, Some(ASKED)),
        (vec![of(1, half, review()), of(2, half - 1, review())], vec![], 0, None),
        (vec![of(1, half, review())], vec![read(2, half)], 0, Some(ASKED)),
        (vec![], vec![read(1, half), read(2, half - 1), read(3, 1)], 0, Some(ASKED)),
        (vec![of(1, half, review()), bridged(of(2, half, review()))], vec![], 0, None),
        (vec![bridged(of(2, ASKED, review()))], vec![], 0, Some(ASKED)),
        (vec![of(1, half, review()), of(2, half, noted())], vec![], 0, Some(ASKED)),
        (vec![of(1, 3, pays("p"))], vec![], 0, Some(3)),
        (vec![of(1, half, review()), of(2, half, pays("q"))], vec![], 0, None),
        (vec![bearing(ASKED - 1, 0)], vec![], 0, Some(ASKED)),
        (vec![bearing(ASKED - 1, 1)], vec![], 0, None),
        (vec![bearing(ASKED - 2, 0)], vec![read(7, 9)], 0, None),
        (vec![bearing(ASKED - 2, 0)], vec![read(7, 10)], 0, Some(ASKED + 9)),
    ];
    for (number, (deposits, fresh, under, expected)) in table.into_iter().enumerate() {
        for (scene, name) in [(ready(), "not signed"), (signed(), "signed")] {
            let scene = scene.with(|it| (it.deposits, it.fresh) = (deposits.clone(), fresh.clone()));
            let params = PreflightParams { under: units(under), ..params() };
            let got = match check_payment(&scene.order, &scene.findings(), &params) {
                Ok(()) => None,
                Err(Hold::MoneyThere { amount, .. }) => Some(amount.base_units()),
                Err(other) => panic!("{number}: {other:?}"),
            };
            assert_eq!(got, expected, "{number}, {name}");
        }
    }
}

#[test]
fn f9_our_own_transfer_is_known_among_dust() {
    let own = signed().order.live_attempts().next().unwrap().tx_hash;
    let dust = Transfer { amount: units(1), ..fresh(1) };
    let scene = signed().with(|it| it.fresh = vec![dust, Transfer { tx_hash: own, ..fresh(2) }]);
    assert_eq!(scene.check(), Err(Hold::OwnTransferSeen { tx_hash: own }));
}
