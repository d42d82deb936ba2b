//! The window of 24 hours: its edges, its sums, and its clock.

use proptest::prelude::*;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::{Order, Spend};
use rampwatch::domain::payment::RecipientId;
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Wallet;
use rampwatch::policy::spend::{SpendRefusal, left, window_now, window_start};

use super::orders::*;
use super::samples::*;
use super::spend::{DAY, LATER, Scene, limits, scene, spent, to_another, units};

#[test]
fn the_window_is_exactly_a_day_long() {
    let counts = |placed_at: u64| {
        let order = spent("q", 1, Timestamp::from_millis(placed_at));
        let got = left(&payment("p"), &[order], at(LATER), &limits());
        got.per_day != units(ASKED * 5)
    };
    let now = at(LATER).as_millis();
    let day = DAY * 1_000;
    for (placed_at, expected) in
        [(now - day - 1, false), (now - day, false), (now - day + 1, true), (now, true), (now + day, true)]
    {
        assert_eq!(counts(placed_at), expected, "{placed_at} at {now}");
    }
    assert_eq!(window_start(at(0)), at(0), "at the epoch everything counts");
    assert_eq!(window_start(at(DAY - 1)), at(0));
    assert_eq!(window_start(at(DAY)).as_millis(), 1);
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
    assert!(matches!(two, Err(SpendRefusal::PerDay { spent, .. }) if spent == units(u128::MAX)), "{two:?}");
    let one = scene().with(boundless).with(|it| it.window = vec![huge("q")]).decide();
    assert!(matches!(one, Err(SpendRefusal::PerDay { .. })), "the sum with the wish does not fit: {one:?}");
    let rest = left(&payment("p"), &[huge("q"), huge("r")], at(LATER), &limits());
    assert_eq!((rest.per_day, rest.per_recipient), (Amount::ZERO, Amount::ZERO));
}

#[test]
fn the_windows_clock_never_runs_back() {
    let clock = |secs| Wallet { clock: at(secs), ..wallet() };
    assert_eq!(window_now(None, at(5)), at(5));
    assert_eq!(window_now(Some(&clock(9)), at(5)), at(9));
    assert_eq!(window_now(Some(&clock(5)), at(9)), at(9));
    // The clock jumped two days ahead, an order was placed, and it jumps back.
    let ahead = LATER + 2 * DAY;
    let back = scene().with(|it| {
        it.wallet = Some(clock(ahead));
        it.window = vec![to_another(spent("q", ASKED * 4, at(ahead)))];
    });
    assert_eq!(back.decide().unwrap().placed_at, at(ahead), "it counts from the latest moment on");
    let full = back.clone().with(|it| it.window.push(to_another(spent("r", 1, at(ahead)))));
    assert!(matches!(full.decide(), Err(SpendRefusal::PerDay { .. })));
    let a_day_on = full.clone().with(|it| {
        it.now = at(LATER + DAY);
        it.payment.terms.expires_at = Some(at(LATER + DAY + 3_600));
    });
    assert!(matches!(a_day_on.decide(), Err(SpendRefusal::PerDay { .. })), "the window waits for the clock");
    let lost = full.with(|it| it.wallet = None);
    assert!(matches!(lost.decide(), Err(SpendRefusal::PerDay { .. })), "what lies ahead counts without a record too");
}

proptest! {
    /// Whatever is wished in whatever order, and however the clock jumps: no 24 hours of the window's clock hold more
    /// than the limit, nor any recipient more than the limit of one.
    #[test]
    fn no_day_holds_more_than_its_limit(
        wishes in prop::collection::vec((1..ASKED * 2, any::<bool>(), -90_000..90_000_i64), 1..60)
    ) {
        let mut now = 10 * DAY;
        let mut record = wallet();
        let mut placed: Vec<Order> = Vec::new();
        for (number, (amount, is_other, jump)) in wishes.into_iter().enumerate() {
            now = now.saturating_add_signed(jump).max(5 * DAY);
            let mut scene = scene();
            scene.payment.id = id(&format!("p{number}"));
            scene.payment.terms.amount = units(amount);
            scene.payment.terms.expires_at = None;
            if is_other {
                scene.payment.recipient_id = RecipientId::new("another").unwrap();
            }
            (scene.window, scene.wallet, scene.now) = (placed.clone(), Some(record.clone()), at(now));
            scene.shown = None;
            let Ok(granted) = scene.decide() else { continue };
            prop_assert!(granted.placed_at >= record.clock, "the clock does not run back");
            record.clock = granted.placed_at;
            let recipient_id = scene.payment.recipient_id.clone();
            placed.push(Order { recipient_id, ..spent(&format!("p{number}"), amount, granted.placed_at) });
        }
        for last in &placed {
            let within = |order: &&Order| {
                order.placed_at <= last.placed_at && order.placed_at >= window_start(last.placed_at)
            };
            let sum = |same: bool| -> u128 {
                let of = placed.iter().filter(within);
                of.filter(|order| !same || order.recipient_id == last.recipient_id)
                    .map(|order| order.amount.base_units())
                    .sum()
            };
            prop_assert!(sum(false) <= ASKED * 5);
            prop_assert!(sum(true) <= ASKED * 3);
        }
    }
}
