use super::*;

const RULES: Plausibility = Plausibility {
    skew: Span::from_secs(120),
    least_block_time: Span::from_millis(250),
    slack: 100,
    stall_after: Span::from_secs(60),
};

const START: u64 = 1_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(START.saturating_add(seconds))
}

fn shown(number: u64, seconds: u64) -> Shown {
    Shown { number, time: Some(at(seconds)) }
}

/// Heads that have come to block 1,000 at second 0.
fn known() -> Heads {
    let mut heads = Heads::default();
    heads.judge(shown(1_000, 0), at(0), &RULES).unwrap();
    heads
}

#[test]
fn f3_a_number_is_possible_as_far_as_time_and_slack_allow() {
    // Seconds since the last head, the number, and whether it can be.
    let cases = [
        (0, 1_001, true),
        (0, 1_100, true),
        (0, 1_101, false),
        (1, 1_108, true),
        (1, 1_109, false),
        (60, 1_580, true),
        (60, 1_581, false),
        (86_400, 1_000 + 691_300, true),
        (0, 401_000_007, false),
        (86_400, 401_000_007, false),
        (0, 1_000, true),
        (0, 12, true),
        (0, u64::MAX, false),
    ];
    for (seconds, number, possible) in cases {
        let judged = known().judge(shown(number, seconds), at(seconds), &RULES);
        assert_eq!(judged.is_ok(), possible, "{number} after {seconds} s: {judged:?}");
    }
}

#[test]
fn f3_slack_is_spent_once_and_comes_back_with_time() {
    let mut heads = known();
    heads.judge(shown(1_100, 0), at(0), &RULES).unwrap();
    heads.judge(shown(1_101, 0), at(0), &RULES).unwrap_err();
    for second in 1..=100 {
        heads.judge(shown(1_100 + 8 * second, second), at(second), &RULES).unwrap();
    }
    heads.judge(shown(2_000, 100), at(100), &RULES).unwrap_err();
    // A quiet minute: the pace is not used up, and the slack is whole again.
    heads.judge(shown(1_901, 160), at(160), &RULES).unwrap();
    heads.judge(shown(2_001, 160), at(160), &RULES).unwrap();
    heads.judge(shown(2_002, 160), at(160), &RULES).unwrap_err();
}

#[test]
fn f18_a_time_in_the_future_cannot_be_and_the_past_can() {
    let cases = [(0, true), (120, true), (121, false), (86_400, false)];
    for (ahead, possible) in cases {
        assert_eq!(Heads::default().judge(shown(5, ahead), at(0), &RULES).is_ok(), possible, "first, {ahead} s ahead");
        assert_eq!(known().judge(shown(1_001, ahead), at(0), &RULES).is_ok(), possible, "then, {ahead} s ahead");
    }
    let ages_ago = Shown { number: 1_001, time: Some(Timestamp::EPOCH) };
    known().judge(ages_ago, at(0), &RULES).expect("a test chain may have any past, and stand for long");
    let timeless = Shown { number: 1_001, time: None };
    known().judge(timeless, at(0), &RULES).expect("not every answer has a time");
}

#[test]
fn f3_a_refused_head_changes_nothing_for_the_others() {
    let mut heads = known();
    heads.judge(shown(401_000_007, 1), at(1), &RULES).unwrap_err();
    assert_eq!(heads.highest(), 1_000);
    heads.judge(shown(1_002, 2), at(2), &RULES).unwrap();
    assert_eq!(heads.highest(), 1_002);
}

#[test]
fn f3_what_nobody_contradicts_for_long_becomes_the_truth_until_somebody_does() {
    let mut heads = known();
    for second in (10..70).step_by(10) {
        heads.judge(shown(50_000 + second, second), at(second), &RULES).unwrap_err();
    }
    heads.judge(shown(50_080, 80), at(80), &RULES).expect("a test chain that was reset to another block");
    assert_eq!(heads.highest(), 50_080);
    // An honest endpoint comes back.
    heads.judge(shown(1_050, 90), at(90), &RULES).unwrap();
    assert_eq!(heads.highest(), 1_050);
    heads.judge(shown(50_090, 91), at(91), &RULES).unwrap_err();
}

#[test]
fn f3_an_honest_endpoint_keeps_the_liar_out_for_ever() {
    let mut heads = known();
    for second in 1..1_000 {
        heads.judge(shown(50_000 + second, second), at(second), &RULES).unwrap_err();
        heads.judge(shown(1_000 + second, second), at(second), &RULES).unwrap();
    }
    assert_eq!(heads.highest(), 1_999);
}

#[test]
fn f3_heads_that_leap_each_time_are_never_believed() {
    let mut heads = known();
    for second in 1..1_000 {
        heads.judge(shown(50_000 + 1_000 * second, second), at(second), &RULES).unwrap_err();
    }
}

#[test]
fn f18_a_clock_of_ours_that_is_set_back_stops_honest_nodes_for_a_while_only() {
    let mut heads = known();
    // Our clock goes back a day: all heads are a day ahead of it.
    let (back, mut believed) = (86_400, 0);
    for second in 1..200 {
        let now = Timestamp::from_secs(START - back + second);
        believed += u32::from(heads.judge(shown(1_000 + second / 2, second), now, &RULES).is_ok());
    }
    assert!(believed > 100, "{believed}");
    assert_eq!(heads.highest(), 1_099);
}

#[test]
fn f3_a_deep_reorganisation_lowers_what_is_possible() {
    let mut heads = known();
    heads.settle(500, at(1));
    assert_eq!(heads.highest(), 500);
    heads.judge(shown(700, 1), at(1), &RULES).unwrap_err();
    heads.settle(9_000, at(1));
    assert_eq!(heads.highest(), 500, "nothing rises by it");
}

#[test]
fn f3_the_first_head_of_a_life_comes_after_what_the_last_one_believed() {
    // Seconds since block 1,000 was final, the first head, and whether it can be.
    let cases = [(0, 1_100, true), (0, 1_101, false), (60, 1_580, true), (60, 200_000_000, false), (60, 12, true)];
    for (seconds, number, possible) in cases {
        let mut heads = Heads::default();
        heads.go_on_from(1_000, at(0), at(seconds), &RULES);
        assert_eq!(heads.judge(shown(number, seconds), at(seconds), &RULES).is_ok(), possible, "{number}");
    }
}

#[test]
fn f3_a_head_that_came_before_the_earlier_life_was_known_is_held_against_it() {
    for (first, stays) in [(1_050, true), (950, true), (200_000_000, false)] {
        let mut heads = Heads::default();
        heads.judge(shown(first, 5), at(5), &RULES).unwrap();
        heads.go_on_from(1_000, at(0), at(5), &RULES);
        assert_eq!(heads.highest(), if stays { first } else { 0 });
        heads.judge(shown(1_010, 6), at(6), &RULES).unwrap();
        assert_eq!(heads.judge(shown(first, 7), at(7), &RULES).is_ok(), stays, "{first}");
    }
}

#[test]
fn f3_what_an_earlier_life_believed_allows_no_more_than_the_heads_of_this_one() {
    let mut heads = Heads::default();
    heads.go_on_from(1_000, at(0), at(0), &RULES);
    heads.judge(shown(1_001, 0), at(0), &RULES).unwrap();
    for hour in 1..=24 {
        heads.judge(shown(1_001 + 1_800 * hour, 3_600 * hour), at(3_600 * hour), &RULES).unwrap();
    }
    heads.judge(shown(300_000, 86_400), at(86_400), &RULES).unwrap_err();
}

#[test]
fn what_everybody_shows_for_long_enough_is_believed_after_a_restart_too() {
    let mut heads = Heads::default();
    heads.go_on_from(1_000, at(0), at(0), &RULES);
    heads.judge(shown(5_000_000, 0), at(0), &RULES).unwrap_err();
    heads.judge(shown(5_000_001, 60), at(60), &RULES).unwrap();
    heads.judge(shown(1_050, 61), at(61), &RULES).unwrap();
    heads.judge(shown(5_000_002, 62), at(62), &RULES).unwrap_err();
}
