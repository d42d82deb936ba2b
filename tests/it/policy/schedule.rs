//! What the scanner does next, by what is known: a table.

use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::schedule::{Extent, Order, Schedule, Task};

use super::samples::{NOW, at};

const IDLE: Order = Order { has_final: true, pays: false, catches_up: false, may_read_further: false };

/// Nothing is due: the next sweep is a minute away.
fn quiet() -> Schedule {
    Schedule { sweep_at: at(NOW + 60), whole_at: at(NOW + 60), settled_at: at(NOW), ..Schedule::default() }
}

/// All tasks of a turn, in their order.
fn turn(schedule: &Schedule, order: &Order) -> Vec<Task> {
    let (mut tasks, mut done) = (Vec::new(), None);
    loop {
        let task = schedule.next(done, order, at(NOW));
        if task == Task::Rest {
            return tasks;
        }
        tasks.push(task);
        done = Some(task);
        assert!(tasks.len() < 6, "each comes once: {tasks:?}");
    }
}

#[test]
fn what_comes_next() {
    use Extent::{OnlyNew, Whole};
    use Task::{GoOnSettling, ReadFurther, Settle, SettlePayments, Sweep};
    let paying = Order { pays: true, ..IDLE };
    let further = Order { may_read_further: true, ..IDLE };
    let asks = Schedule { ask_final_at: Some(at(NOW)), ..quiet() };
    let sweeps = Schedule { sweep_at: at(NOW), whole_at: at(NOW), ..quiet() };
    let new_head = Schedule { sweep_at: at(NOW), heads_only: true, ..quiet() };
    let rows: Vec<(&str, Schedule, Order, Vec<Task>)> = vec![
        ("nothing is due", quiet(), IDLE, vec![]),
        ("a new schedule sweeps at once", Schedule::default(), IDLE, vec![Sweep(Whole)]),
        ("the sweep's time has come", sweeps.clone(), IDLE, vec![Sweep(Whole)]),
        ("only a head is new", new_head.clone(), IDLE, vec![Sweep(OnlyNew)]),
        ("and a transfer was hinted", Schedule { hinted: Some((1, 0)), ..new_head }, IDLE, vec![Sweep(Whole)]),
        ("something waits for finality", asks.clone(), IDLE, vec![Settle]),
        ("it is a payment's: before the sweep", asks.clone(), paying, vec![SettlePayments, Settle]),
        ("it is not time yet", Schedule { ask_final_at: Some(at(NOW + 1)), ..quiet() }, paying, vec![]),
        ("the first sweep asks by itself", asks.clone(), Order { has_final: false, ..paying }, vec![Settle]),
        (
            "a sweep is due too",
            Schedule { ask_final_at: Some(at(NOW)), ..sweeps.clone() },
            paying,
            vec![SettlePayments, Sweep(Whole), Settle],
        ),
        ("what is final is not settled", Schedule { unsettled: true, ..quiet() }, further, vec![GoOnSettling]),
        ("there is time for more", sweeps, further, vec![Sweep(Whole), ReadFurther]),
        (
            "settling may wait while others are caught up with",
            asks,
            Order { catches_up: true, ..further },
            vec![ReadFurther],
        ),
    ];
    for (what, schedule, order, expected) in rows {
        assert_eq!(turn(&schedule, &order), expected, "{what}");
    }
}

#[test]
fn a_sweep_of_what_is_new_does_not_put_the_whole_one_off() {
    let pause = Span::from_secs(10);
    let mut schedule = Schedule { whole_at: at(NOW + 3), ..quiet() };
    schedule.swept(Extent::OnlyNew, at(NOW), pause);
    assert_eq!((schedule.sweep_at, schedule.whole_at), (at(NOW + 3), at(NOW + 3)));
    schedule.swept(Extent::Whole, at(NOW + 3), pause);
    assert_eq!((schedule.sweep_at, schedule.whole_at), (at(NOW + 13), at(NOW + 13)));
}

#[test]
fn finality_is_asked_for_as_soon_as_it_is_worth_it_and_no_sooner() {
    let gap = Span::from_secs(2);
    let mut schedule = Schedule { asked_final_at: at(NOW - 1), ..quiet() };
    schedule.want_final(at(NOW), gap);
    assert_eq!(schedule.ask_final_at, Some(at(NOW + 1)), "not twice within the gap");
    // A new head does not wait for the question before it, but heads in a rush wait for each other.
    schedule.want_final_of(7, at(NOW), gap);
    assert_eq!((schedule.ask_final_at, schedule.final_wanted), (Some(at(NOW)), (7, at(NOW))));
    let mut rush = Schedule { final_wanted: (7, at(NOW)), ..quiet() };
    rush.want_final_of(8, at(NOW + 1), gap);
    assert_eq!(rush.ask_final_at, Some(at(NOW + 2)));
}

#[test]
fn a_clock_that_was_set_back_puts_nothing_off() {
    let ask_final_at = Some(at(NOW + 500));
    let mut schedule = Schedule { ask_final_at, asked_final_at: at(NOW + 400), ..quiet() };
    schedule.set_back(at(NOW));
    let Schedule { sweep_at, whole_at, ask_final_at, asked_final_at, .. } = schedule;
    assert_eq!((sweep_at, whole_at, ask_final_at), (at(NOW), at(NOW), Some(at(NOW))));
    assert_eq!(asked_final_at, Timestamp::EPOCH);
}

#[test]
fn it_sleeps_until_the_first_of_all_moments() {
    let schedule = Schedule { ask_final_at: Some(at(NOW + 9)), ..quiet() };
    assert_eq!(schedule.due_at([None, None]), at(NOW + 9));
    assert_eq!(schedule.due_at([Some(at(NOW + 5)), Some(at(NOW + 7))]), at(NOW + 5));
    assert_eq!(quiet().due_at([None, None]), at(NOW + 60));
}
