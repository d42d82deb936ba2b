//! The sweep's smaller decisions.

use super::*;

const PARAMS: SweepParams = SweepParams {
    overlap: 0,
    chunk: 100,
    interval: Span::from_secs(60),
    poll_interval: Span::from_secs(40),
    ended_interval: Span::from_secs(300),
    second_after: Span::from_secs(300),
    keep: Span::from_secs(600),
    start_margin: Span::from_secs(10),
    kept_at_once: 10,
    filter: 1_000,
};

#[test]
fn news_go_before_the_coverage_of_others_but_not_for_ever() {
    let params = SweepParams { overlap: 32, ..PARAMS };
    let cases = [
        (100, 100, Some(100), false, true),
        (100, 100, Some(100), true, false),
        (100, 179, Some(179), true, false),
        (100, 180, Some(180), true, true),
        (100, 180, Some(179), true, false),
        (100, 900, None, true, false),
        (100, 900, None, false, true),
    ];
    for (from, to, last_final, brought_news, expected) in cases {
        let job = job(from, to, vec![Address::ZERO]).expect("a range");
        let got = is_worth_raising(&job, last_final, brought_news, &params);
        assert_eq!(got, expected, "{from} to {to}, final {last_final:?}, news {brought_news}");
    }
}

#[test]
fn finds_a_start_in_few_steps() {
    let time = |number: u64| Timestamp::from_millis(1_700_000_000_000 + number * 1_500);
    let head = 80_000_000;
    for back in [0, 1, 63, 64, 65, 2_400, 40_000, 3_000_000, 79_999_999, 80_000_000] {
        let wanted = time(head - back);
        let mut known = BTreeMap::from([(head, time(head))]);
        let mut steps = 0;
        let start = loop {
            match find_start(&known, wanted) {
                Search::Probe(probe) => known.insert(probe, time(probe)),
                Search::Found(start) => break start,
            };
            steps += 1;
            assert!(steps < 5, "a steady chain is no search: {back}");
        };
        assert!(start <= head - back, "nothing at or after the moment is left out: {start}");
        let enough = NEAR_ENOUGH_BLOCKS.max(back / NEAR_ENOUGH_PART + 1);
        assert!(head - back - start <= enough, "{start} is near {}", head - back);
    }
    // Paces that change, stand still or jump: it still ends, and never above the moment.
    let uneven: [fn(u64) -> u64; 4] =
        [|n| n * n / 1_000, |n| n / 50_000 * 90_000_000, |n| if n < 70_000_000 { n } else { n * 9 }, |n| n / 7];
    for time in uneven {
        let time = |number: u64| Timestamp::from_millis(1_700_000_000_000 + time(number));
        for wanted in [0, 1, 5_000_000, 69_999_999, 70_000_001, 79_000_000, head].map(time) {
            let (mut known, mut steps) = (BTreeMap::from([(head, time(head))]), 0);
            let start = loop {
                match find_start(&known, wanted) {
                    Search::Probe(probe) => {
                        assert!(known.insert(probe, time(probe)).is_none(), "{probe} is asked for once")
                    }
                    Search::Found(start) => break start,
                };
                steps += 1;
                assert!(steps < 120, "the search ends");
            };
            assert!(start == 0 || time(start - 1) < wanted, "nothing is left out");
        }
    }
    let future = find_start(&BTreeMap::from([(5, time(5)), (0, time(0))]), time(9));
    assert!(matches!(future, Search::Found(_)), "a moment after the head starts at the head: {future:?}");
}
