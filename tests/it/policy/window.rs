//! What counts for 24 hours: open orders, what was mined, what was booked; and the window's clock.

use proptest::prelude::*;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Effect, Order, OrderState, Spend};
use rampwatch::domain::payment::RecipientId;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::{BookedSpend, Wallet};
use rampwatch::policy::rules::{Limit, RuleBroken};
use rampwatch::policy::spend::{SpendRefusal, Spending, left, window_now, window_start};
use rampwatch::policy::window::book;

use super::orders::*;
use super::samples::*;
use super::spend::{DAY, LATER, SKEW, Scene, limits, scene, spent, to_another, units};

fn spending(orders: &[Order], secs: u64) -> Spending<'_> {
    Spending { orders, booked: &[], at: at(secs) }
}

fn entry(secs: u64, recipient: Option<&str>, amount: u128) -> BookedSpend {
    let recipient = recipient.map(|name| RecipientId::new(name).unwrap());
    BookedSpend { at: at(secs), recipient, amount: units(amount) }
}

#[test]
fn what_was_mined_counts_for_exactly_a_day() {
    let counts = |mined_at: u64| {
        let order = spent("q", 1, Timestamp::from_millis(mined_at));
        spending(&[order], LATER).all() == units(1)
    };
    let now = at(LATER).as_millis();
    let day = DAY * 1_000;
    for (mined_at, expected) in
        [(now - day - 1, false), (now - day, false), (now - day + 1, true), (now, true), (now + day, true)]
    {
        assert_eq!(counts(mined_at), expected, "{mined_at} at {now}");
    }
    assert_eq!(window_start(at(0)), at(0), "at the epoch everything counts");
    assert_eq!(window_start(at(DAY - 1)), at(0));
    assert_eq!(window_start(at(DAY)).as_millis(), 1);
}

#[test]
fn f2_an_open_order_counts_whatever_its_age_and_its_state() {
    let states = [
        awaiting(),
        OrderState::Ready,
        OrderState::Held { why: Hold::TokenPaused },
        sending(),
        cancelling(),
        mined(1, Effect::MovedNothing, None),
    ];
    for state in states {
        let old = Order { placed_at: at(1), amount: units(7), ..order_in("q", state) };
        assert_eq!(spending(std::slice::from_ref(&old), LATER + 30 * DAY).all(), units(7), "{:?}", old.state);
        let back = Order { spend: Spend::GivenBack, ..old };
        assert_eq!(spending(&[back], LATER).all(), Amount::ZERO);
    }
}

/// Whether it is the limit for a day that refuses.
fn is_day(refusal: &SpendRefusal) -> bool {
    matches!(refusal, SpendRefusal::Rule(RuleBroken::Over { limit: Limit::Day, .. }))
}

/// One order a day waits for its approval, each of all that a day allows: there is room for one, however long they wait.
#[test]
fn f2_five_days_of_approvals_never_leave_in_one_day() {
    let limit = ASKED * 5;
    let whole = |it: &mut Scene| {
        it.limits.max_per_payment = units(limit);
        it.limits.max_per_recipient = units(limit);
        it.payment.terms.amount = units(limit);
        it.payment.terms.expires_at = None;
        it.shown = None;
    };
    let mut placed: Vec<Order> = Vec::new();
    for day in 0..5 {
        let today = LATER + day * DAY;
        let wish = scene().with(whole).with(|it| {
            it.payment.id = id(&format!("p{day}"));
            (it.now, it.newest, it.window) = (at(today), Some(at(today)), placed.clone());
        });
        match wish.decide() {
            Ok(granted) => {
                assert!(granted.approval.is_some());
                let order = order_in(&format!("p{day}"), awaiting());
                placed.push(Order { amount: units(limit), placed_at: at(today), ..order });
            }
            Err(refusal) if is_day(&refusal) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(placed.len(), 1, "the first one's reservation holds for as long as it waits");
    // It is approved on the fifth day, and mined then: it counts for a day from its block on.
    let mined_at = LATER + 4 * DAY + 10;
    let paid = spent("p0", limit, at(mined_at));
    for (secs, expected) in [(mined_at, limit), (mined_at + DAY - 1, limit), (mined_at + DAY, 0)] {
        assert_eq!(spending(std::slice::from_ref(&paid), secs).all(), units(expected), "{secs}");
    }
}

#[test]
fn f2_a_record_without_a_block_time_counts_from_its_placing_as_it_did() {
    let old = |secs| Order { placed_at: at(secs), spent_at: None, ..spent("q", 3, at(1)) };
    assert_eq!(spending(&[old(LATER - 1)], LATER).all(), units(3));
    assert_eq!(spending(&[old(LATER - DAY)], LATER).all(), Amount::ZERO);
}

#[test]
fn what_is_given_back_does_not_count() {
    let back = Order { spend: Spend::GivenBack, ..spent("q", ASKED * 9, at(LATER)) };
    let granted = scene().with(|it| it.window = vec![back]).decide().unwrap();
    assert_eq!(granted.left.per_day, units(ASKED * 5));
}

#[test]
fn sums_that_do_not_fit_are_above_every_limit() {
    let huge = |name| spent(name, u128::MAX, at(LATER));
    let boundless = |it: &mut Scene| {
        it.limits.max_per_day = units(u128::MAX);
        it.limits.max_per_recipient = units(u128::MAX);
    };
    let two = scene().with(boundless).with(|it| it.window = vec![huge("q"), huge("r")]).decide();
    assert!(two.as_ref().is_err_and(is_day), "{two:?}");
    let one = scene().with(boundless).with(|it| it.window = vec![huge("q")]).decide();
    assert!(one.as_ref().is_err_and(is_day), "the sum with the wish does not fit: {one:?}");
    let rest = left(&payment("p"), &spending(&[huge("q"), huge("r")], LATER), &limits());
    assert_eq!((rest.per_day, rest.per_recipient), (Amount::ZERO, Amount::ZERO));
}

#[test]
fn f8_the_windows_clock_is_the_chains() {
    let stored = |secs| Wallet { clock: at(secs), ..wallet() };
    let clock = |stored: Option<u64>, newest: Option<u64>, now: u64| {
        let record = stored.map(|secs| Wallet { clock: at(secs), ..wallet() });
        window_now(record.as_ref(), newest.map(at), at(now), SKEW).as_secs()
    };
    let skew = SKEW.as_secs();
    for (what, record, newest, now, expected) in [
        ("our clock jumps a day ahead", Some(LATER), Some(LATER + 9), LATER + DAY + 1, LATER + 9),
        ("our clock is behind", Some(LATER), Some(LATER + 9), LATER - DAY, LATER),
        ("a block from the future is not followed", Some(LATER), Some(LATER + DAY), LATER + 5, LATER + 5 + skew),
        ("a node that lags takes nothing back", Some(LATER), Some(LATER - 9), LATER, LATER),
        ("our clock was ahead when it was stored", Some(LATER + DAY), Some(LATER), LATER, LATER),
        ("by less than the skew it may have been", Some(LATER + skew), Some(LATER), LATER, LATER + skew),
        ("no block is known", Some(LATER), None, LATER + DAY + 1, LATER),
        ("no block is known, and it was ahead", Some(LATER + DAY), None, LATER, LATER),
        ("nothing is known", None, None, LATER, LATER),
    ] {
        assert_eq!(clock(record, newest, now), expected, "{what}");
    }
    assert_eq!(window_now(Some(&stored(LATER)), Some(at(LATER + 9)), at(LATER + 9), Span::ZERO), at(LATER + 9));
}

#[test]
fn f8_a_clock_that_jumps_ahead_begins_no_new_day() {
    let spent_all = scene().with(|it| it.window = vec![to_another(spent("q", ASKED * 5, at(LATER - 10)))]);
    assert!(spent_all.decide().as_ref().is_err_and(is_day));
    let jumped = spent_all.clone().with(|it| {
        it.now = at(LATER + DAY + 1);
        it.payment.terms.expires_at = None;
    });
    assert!(jumped.decide().as_ref().is_err_and(is_day), "86,401 s are no day of the chain");
    let blind = jumped.clone().with(|it| it.newest = None);
    assert!(blind.decide().as_ref().is_err_and(is_day), "nor without a chain to be seen");
    let next_day = jumped.with(|it| it.newest = Some(at(LATER + DAY + 1)));
    assert!(next_day.decide().is_ok(), "a day of the chain is one");
}

#[test]
fn f8_a_clock_that_was_ahead_does_not_lock_the_limit_up() {
    // Our clock was a year ahead when the last order was placed and paid.
    let ahead = LATER + 365 * DAY;
    let paid = Order { placed_at: at(ahead), ..to_another(spent("q", ASKED * 5, at(LATER - 10))) };
    let back = scene().with(|it| {
        it.wallet = Some(Wallet { clock: at(ahead), ..wallet() });
        it.window = vec![paid];
    });
    assert!(back.decide().as_ref().is_err_and(is_day));
    let next_day = back.with(|it| {
        (it.now, it.newest) = (at(LATER + DAY), Some(at(LATER + DAY)));
        it.payment.terms.expires_at = None;
    });
    assert!(next_day.decide().is_ok());
}

#[test]
fn f8_what_was_booked_counts_by_its_block_time_and_for_its_recipient() {
    let whose = payment("p").recipient_id;
    let of = |booked: Vec<BookedSpend>, secs| {
        let spending = Spending { orders: &[], booked: &booked, at: at(secs) };
        (spending.all(), spending.to(&whose))
    };
    let known = entry(LATER, Some(whose.as_str()), 5);
    let (other, unknown) = (entry(LATER, Some("another"), 7), entry(LATER, None, 11));
    assert_eq!(of(vec![known.clone(), other.clone(), unknown.clone()], LATER), (units(23), units(16)));
    assert_eq!(of(vec![known, other, unknown], LATER + DAY), (Amount::ZERO, Amount::ZERO));
    let full = scene().with(|it| {
        it.wallet = Some(Wallet { booked: vec![entry(LATER, Some("another"), ASKED * 5)], ..wallet() });
    });
    assert!(full.decide().as_ref().is_err_and(is_day));
}

#[test]
fn f8_booking_twice_changes_nothing_and_finding_less_takes_nothing_back() {
    let found = [entry(LATER, None, 5), entry(LATER + 1, None, 6), entry(LATER, Some("a"), 7), entry(1, None, 9)];
    let sum = |booked: &[BookedSpend]| Spending { orders: &[], booked, at: at(LATER) }.all();
    let once = book(&[], &found, at(LATER + 1));
    assert_eq!(sum(&once), units(18), "{once:?}");
    assert_eq!(once.len(), 2, "by recipient and hour, and what is older than a day is left out");
    assert_eq!(book(&once, &found, at(LATER + 1)), once);
    assert_eq!(book(&once, &found[..1], at(LATER + 1)), once);
    let more = [found.as_slice(), &[entry(LATER + 2, None, 1)]].concat();
    assert_eq!(sum(&book(&once, &more, at(LATER + 2))), units(19));
    assert_eq!(book(&once, &[], at(LATER + 2 * DAY)), []);
    // However many recipients there are, the record has a bound; whose it was is then not known any more, and counts for all.
    let many: Vec<BookedSpend> = (0..500).map(|n| entry(LATER + n, Some(&format!("r{n}")), 1)).collect();
    let bounded = book(&[], &many, at(LATER + 500));
    assert!(bounded.len() <= 32 && bounded.iter().all(|entry| entry.recipient.is_none()), "{bounded:?}");
    assert_eq!(sum(&bounded), units(500));
    assert_eq!(book(&bounded, &many, at(LATER + 500)), bounded);
}

/// What happens next in a wallet's life.
#[derive(Clone, Debug)]
enum Turn {
    /// Somebody wishes this much, for one of two recipients.
    Wish(u128, bool),
    /// The chain goes on by so many seconds.
    Blocks(u64),
    /// Our clock jumps.
    Jump(i64),
    /// An open order is mined and final, by the chain's time.
    Mined(prop::sample::Index),
    /// An open order ends unsent.
    Unsent(prop::sample::Index),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (1..ASKED * 2, any::<bool>()).prop_map(|(amount, is_other)| Turn::Wish(amount, is_other)),
        3 => (1..40_000_u64).prop_map(Turn::Blocks),
        1 => (-300_000..300_000_i64).prop_map(Turn::Jump),
        4 => any::<prop::sample::Index>().prop_map(Turn::Mined),
        1 => any::<prop::sample::Index>().prop_map(Turn::Unsent),
    ]
}

proptest! {
    /// Whatever is wished, approved late or dropped, and however our clock jumps: in no 24 hours of block time more than the
    /// limit leaves the wallet, nor to one recipient more than the limit of one.
    #[test]
    fn f2_no_day_of_block_time_holds_more_than_its_limit(turns in prop::collection::vec(turn(), 1..120)) {
        let (mut chain, mut skewed) = (10 * DAY, 0_i64);
        let mut record = wallet();
        let mut orders: Vec<Order> = Vec::new();
        for (number, turn) in turns.into_iter().enumerate() {
            let open: Vec<usize> = (0..orders.len()).filter(|place| !orders[*place].state.is_ended()).collect();
            match turn {
                Turn::Blocks(secs) => chain += secs,
                Turn::Jump(secs) => skewed += secs,
                Turn::Mined(which) if !open.is_empty() => {
                    let order = &mut orders[open[which.index(open.len())]];
                    chain += 1;
                    let (state, spent_at) = (spent("q", 1, at(1)).state, Some(at(chain)));
                    *order = Order { state, spent_at, ..order.clone() };
                }
                Turn::Unsent(which) if !open.is_empty() => {
                    let order = &mut orders[open[which.index(open.len())]];
                    let state = ended(outcomes().pop().unwrap());
                    *order = Order { state, spend: Spend::GivenBack, ..order.clone() };
                }
                Turn::Mined(_) | Turn::Unsent(_) => {}
                Turn::Wish(amount, is_other) => {
                    let name = format!("p{number}");
                    let mut scene = scene();
                    scene.payment.id = id(&name);
                    scene.payment.terms.amount = units(amount);
                    scene.payment.terms.expires_at = None;
                    if is_other {
                        scene.payment.recipient_id = RecipientId::new("another").unwrap();
                    }
                    (scene.window, scene.wallet, scene.newest) = (orders.clone(), Some(record.clone()), Some(at(chain)));
                    (scene.now, scene.shown) = (at(chain.saturating_add_signed(skewed)), None);
                    if scene.decide().is_err() {
                        continue;
                    }
                    prop_assert!(scene.clock() <= at(chain).plus(SKEW), "the clock is not ahead of the chain");
                    record.clock = scene.clock();
                    let recipient_id = scene.payment.recipient_id.clone();
                    let order = Order { recipient_id, amount: units(amount), ..order_in(&name, sending()) };
                    orders.push(order);
                }
            }
        }
        let paid: Vec<&Order> = orders.iter().filter(|order| order.spent_at.is_some()).collect();
        for last in &paid {
            let within = |order: &&&Order| {
                order.spent_at <= last.spent_at && order.spent_at >= last.spent_at.map(window_start)
            };
            let sum = |same: bool| -> u128 {
                let of = paid.iter().filter(within);
                of.filter(|order| !same || order.recipient_id == last.recipient_id)
                    .map(|order| order.amount.base_units())
                    .sum()
            };
            prop_assert!(sum(false) <= ASKED * 5);
            prop_assert!(sum(true) <= ASKED * 3);
        }
    }
}
