//! What one reading says, held against another: who shows a transfer, what has gone by whose word, what is read again.

use rampwatch::domain::chain::{Address, Transfer};
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::deposit::{BlockStatus, Deposit};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::time::Timestamp;
use rampwatch::policy::finality::{GoneBy, gone};
use rampwatch::policy::numbering::{missing_from, together};
use rampwatch::policy::sweep::owed_again;

use super::samples::*;

#[test]
fn what_has_gone_counts_as_far_as_it_was_one_operators_word() {
    let (north, south) = (Operator::named("north"), Operator::named("south"));
    let both = [north.clone(), south.clone()];
    let only_south = [south.clone()];
    let (provisional, last) = (BlockStatus::Provisional, BlockStatus::Final { at: Timestamp::EPOCH });
    let gone_as = |after_final| Some(BlockStatus::Gone { after_final });
    // Where it stands, who showed it, who called its block final, who says that it has gone, and where it stands then.
    let cases = [
        (provisional, Some(&north), None, GoneBy::Only, gone_as(false)),
        (provisional, Some(&north), None, GoneBy::One, gone_as(false)),
        (provisional, Some(&north), None, GoneBy::Several(&only_south), gone_as(false)),
        (last, None, None, GoneBy::Only, gone_as(true)),
        (last, Some(&north), Some(&north), GoneBy::Only, gone_as(true)),
        (last, Some(&north), Some(&north), GoneBy::One, None),
        (last, Some(&north), Some(&south), GoneBy::One, None),
        (last, Some(&north), Some(&north), GoneBy::Several(&only_south), None),
        (last, Some(&north), Some(&north), GoneBy::Several(&both), gone_as(false)),
        (last, Some(&north), Some(&south), GoneBy::Several(&both), gone_as(true)),
        (last, None, None, GoneBy::Several(&both), gone_as(true)),
        (BlockStatus::Gone { after_final: true }, None, None, GoneBy::Only, None),
    ];
    for (standing, seen_by, final_by, by, expected) in cases {
        let (seen_by, final_by) = (seen_by.cloned(), final_by.cloned());
        let deposit = Deposit { standing, seen_by, final_by, ..deposit(1, ASKED) };
        assert_eq!(gone(&deposit, by), expected, "{deposit:?} {by:?}");
    }
}

#[test]
fn f19_a_block_that_one_operator_has_without_a_deposit_is_read_a_second_time_again() {
    // Start, covered, confirmed, the block of the deposit; confirmed afterwards, `None` where it was not read twice yet.
    let cases = [
        (100, 900, 899, 900, None),
        (100, 900, 900, 900, Some(899)),
        (100, 900, 700, 700, Some(699)),
        (100, 900, 700, 701, None),
        (100, 900, 700, 500, Some(499)),
        (100, 900, 700, 100, Some(99)),
    ];
    for (start, covered_to, confirmed_to, from, expected) in cases {
        let (address, since) = (Address::ZERO, Timestamp::EPOCH);
        let swept = Some(Swept { start, covered_to, confirmed_to, second_reading: None });
        let coverage = Coverage { address, version: 3, since, swept, watch_until: None, closed: false };
        let second_reading = Some((covered_to, at(NOW)));
        let owed = expected.map(|confirmed_to| {
            let swept = Some(Swept { start, covered_to, confirmed_to, second_reading });
            Coverage { swept, ..coverage.clone() }
        });
        assert_eq!(owed_again(&coverage, from, at(NOW)), owed, "{from} of {swept:?}");
    }
}

#[test]
fn two_readings_show_together_what_either_has_and_each_transfer_has_its_witness() {
    let same = fresh(1);
    let renumbered = Transfer { log_index: same.log_index + 7, ..same };
    let (only_one, only_other) = (fresh(2), fresh(3));
    let (one, other) = (vec![same, only_one], [renumbered, only_other]);
    assert_eq!(missing_from(&one, &other), vec![only_one]);
    assert_eq!(missing_from(&other, &one), vec![only_other]);
    assert_eq!(together(one, &other), vec![same, only_one, only_other], "by block and log");
    // The same amount twice in one transaction is two transfers.
    let twice = vec![same, renumbered];
    assert_eq!(missing_from(&twice, &[same]), vec![renumbered]);
    assert_eq!(missing_from(&twice, &[renumbered]), vec![same]);
    assert_eq!(together(vec![same], &twice), twice);
}
