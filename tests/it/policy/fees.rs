//! Fees and gas: the figures one by one, and the laws for all of them.

use proptest::prelude::*;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::Fees;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::fees::{AboveCeiling, FeeParams, bump, first, gas_limit, is_includable, outbid, worst_cost};

use super::orders::*;

const fn wei(wei: u128) -> Wei {
    Wei::new(wei)
}

const fn g(gwei: u64) -> Wei {
    Wei::from_gwei(gwei)
}

fn above(needed: u64, ceiling: u64) -> Result<Fees, AboveCeiling> {
    Err(AboveCeiling { needed: g(needed), ceiling: g(ceiling) })
}

#[test]
fn a_ninth_of_the_ceiling_is_kept_back_for_the_self_send() {
    assert_eq!(FEES.for_transfers(), FeeParams { ceiling: g(400), ..FEES });
    for ceiling in [0, 1, 8, 9, 10, 449_999_999_999] {
        let params = FeeParams { ceiling: wei(ceiling), ..FEES };
        let most = params.for_transfers().ceiling.get();
        assert!(most + most.div_ceil(8) <= ceiling.max(1), "{most} of {ceiling}");
    }
}

#[test]
fn the_first_offer() {
    for (what, base, tip, expected) in [
        ("a quiet market", 50, 30, Ok(gwei(130, 30))),
        ("no base fee at all", 0, 0, Ok(gwei(30, 30))),
        ("a tip of 1 wei is not followed", 50, 0, Ok(gwei(130, 30))),
        ("a tip above the floor is", 50, 45, Ok(gwei(145, 45))),
        ("up to four times the floor", 50, 120, Ok(gwei(220, 120))),
        ("and no further", 50, 4_000, Ok(gwei(220, 120))),
        ("twice the base fee is cut at the ceiling", 200, 40, Ok(gwei(400, 40))),
        ("a high tip makes room for the base fee", 350, 120, Ok(gwei(400, 50))),
        ("just below", 370, 120, Ok(gwei(400, 30))),
        ("just above", 371, 30, above(401, 400)),
        ("ten times as much", 3_700, 30, above(3_730, 400)),
    ] {
        assert_eq!(first(g(base), g(tip), &FEES), expected, "{what}");
    }
    let all = first(wei(u128::MAX), wei(u128::MAX), &FEES);
    assert_eq!(all, Err(AboveCeiling { needed: wei(u128::MAX), ceiling: g(400) }), "nothing wraps");
    let low = FeeParams { ceiling: g(20), ..FEES };
    assert!(first(Wei::ZERO, Wei::ZERO, &low).is_err(), "a ceiling below the floor sends nothing");
}

#[test]
fn the_next_offer() {
    let rounded = Fees { cap: wei(146_250_000_000), tip: wei(33_750_000_000) };
    let last = gwei(130, 30);
    for (what, base, tip, expected) in [
        ("an eighth more", 50, 30, Ok(rounded)),
        ("never down", 0, 0, Ok(rounded)),
        ("the market's base fee", 80, 30, Ok(Fees { cap: wei(193_750_000_000), ..rounded })),
        ("the market's tip", 50, 60, Ok(gwei(160, 60))),
        ("ten times the base fee, cut", 366, 30, Ok(Fees { cap: g(450), ..rounded })),
        ("above the ceiling", 420, 30, Err(AboveCeiling { needed: wei(453_750_000_000), ceiling: g(450) })),
    ] {
        assert_eq!(bump(&last, g(base), g(tip), &FEES), expected, "{what}");
    }
    assert_eq!(bump(&gwei(400, 30), g(1), g(1), &FEES).unwrap().cap, g(450), "exactly the ceiling");
    let beyond = Fees { cap: wei(400_000_000_001), tip: g(30) };
    let needed = wei(450_000_000_002);
    assert_eq!(bump(&beyond, g(1), g(1), &FEES), Err(AboveCeiling { needed, ceiling: g(450) }));
    let tiny = Fees { cap: wei(1), tip: Wei::ZERO };
    let free = FeeParams { tip_floor: Wei::ZERO, ..FEES };
    assert_eq!(bump(&tiny, Wei::ZERO, Wei::ZERO, &free).unwrap(), Fees { cap: wei(2), tip: wei(1) }, "at least a wei");
}

#[test]
fn a_self_send_takes_the_transfers_place_even_above_the_market() {
    let last = gwei(400, 40);
    assert!(bump(&last, g(2_000), g(30), &FEES).is_err());
    assert_eq!(outbid(&last, g(2_000), g(30), &FEES), Ok(gwei(450, 45)));
    assert_eq!(outbid(&gwei(130, 30), g(50), g(30), &FEES), bump(&gwei(130, 30), g(50), g(30), &FEES));
    let at_top = outbid(&gwei(450, 45), g(50), g(30), &FEES);
    assert_eq!(at_top, Err(AboveCeiling { needed: wei(506_250_000_000), ceiling: g(450) }));
}

#[test]
fn a_hold_at_the_ceiling_names_both_figures() {
    let above = AboveCeiling { needed: g(401), ceiling: g(400) };
    let hold = Hold::from(above);
    assert_eq!(hold, Hold::FeeCeiling { needed: g(401), ceiling: g(400) });
    for text in [above.to_string(), hold.to_string()] {
        assert!(text.contains("401") && text.contains("400"), "{text}");
    }
}

#[test]
fn a_block_can_take_it_when_the_cap_covers_base_and_least_tip() {
    for (cap, tip, base, expected) in [
        (130, 30, 100, true),
        (130, 30, 101, false),
        // The producer's share shrinks to what the cap leaves; the floor is the least.
        (130, 60, 100, true),
        (130, 10, 120, true),
        (130, 10, 121, false),
    ] {
        assert_eq!(is_includable(&gwei(cap, tip), g(base), &FEES), expected, "{cap} {tip} {base}");
    }
    assert!(!is_includable(&gwei(130, 30), wei(u128::MAX), &FEES));
}

#[test]
fn the_gas_limit_has_a_margin_and_bounds() {
    for (estimate, expected) in [
        (0, Ok(70_000)),
        (45_047, Ok(70_000)),
        (56_000, Ok(70_000)),
        (56_004, Ok(70_005)),
        (62_147, Ok(77_683)),
        (120_000, Ok(150_000)),
        (120_001, Ok(150_000)),
        (150_000, Ok(150_000)),
        (150_001, Err(Hold::GasTooHigh { estimate: 150_001, most: 150_000 })),
        (u64::MAX, Err(Hold::GasTooHigh { estimate: u64::MAX, most: 150_000 })),
    ] {
        assert_eq!(gas_limit(estimate, &FEES), expected);
    }
    let small = FeeParams { gas_limit_max: 60_000, ..FEES };
    assert_eq!(gas_limit(45_047, &small), Ok(60_000), "the bound is above the least");
    let boundless = FeeParams { gas_limit_max: u64::MAX, ..FEES };
    assert_eq!(gas_limit(u64::MAX, &boundless), Ok(u64::MAX));
}

#[test]
fn the_worst_cost_is_the_cap_for_all_the_gas() {
    assert_eq!(worst_cost(&gwei(130, 30), 80_000), wei(10_400_000_000_000_000));
    let huge = Fees { cap: wei(u128::MAX), tip: Wei::ZERO };
    assert_eq!(worst_cost(&huge, 2), wei(u128::MAX), "more than anybody has");
}

/// Prices up to 10,000 gwei, with the small ones, where rounding tells, as likely as the large ones.
fn price() -> impl Strategy<Value = Wei> {
    prop_oneof![0..1_000_u128, 0..10_000_000_000_000_u128].prop_map(Wei::new)
}

fn params() -> impl Strategy<Value = FeeParams> {
    (price(), price()).prop_map(|(tip_floor, ceiling)| FeeParams { tip_floor, ceiling, gas_limit_max: 150_000 })
}

/// Whether a pool with this threshold in percent takes `new` for `old`, however it rounds: geth compares with
/// `old * (100 + percent) / 100`, and wants more than before.
fn passes(old: Wei, new: Wei, percent: u128) -> bool {
    new > old
        && new.get() * 100 >= old.get() * (100 + percent)
        && new.get() >= (old.get() * (100 + percent)).div_ceil(100)
}

proptest! {
    #[test]
    fn a_first_offer_is_mined_now_and_stays_under_the_ceiling(base in price(), tip in price(), params in params()) {
        let most = params.for_transfers().ceiling;
        match first(base, tip, &params) {
            Ok(fees) => {
                prop_assert!(fees.cap <= most && fees.tip <= fees.cap);
                prop_assert!(fees.tip >= params.tip_floor);
                prop_assert!(fees.tip <= params.tip_floor.times(4));
                prop_assert!(fees.cap >= base.plus(fees.tip), "the whole tip is paid at this base fee");
                prop_assert!(is_includable(&fees, base, &params));
            }
            Err(above) => {
                prop_assert_eq!(above.ceiling, most);
                prop_assert!(base.plus(params.tip_floor) > most, "not even the floor fits");
            }
        }
    }

    #[test]
    fn a_raise_passes_every_pools_threshold(
        cap in price(), tip in price(), base in price(), market in price(), params in params()
    ) {
        let last = Fees { cap: cap.max(tip), tip };
        for raised in [bump(&last, base, market, &params), outbid(&last, base, market, &params)].into_iter().flatten() {
            for (old, new) in [(last.cap, raised.cap), (last.tip, raised.tip)] {
                prop_assert!(passes(old, new, 10) && passes(old, new, 12));
                prop_assert!(new.get() * 8 >= old.get() * 9, "an eighth more: {old} {new}");
            }
            prop_assert!(raised.cap <= params.ceiling && raised.tip <= raised.cap);
        }
    }

    #[test]
    fn a_raise_follows_the_market_or_says_what_is_missing(
        cap in price(), tip in price(), base in price(), market in price(), params in params()
    ) {
        let last = Fees { cap: cap.max(tip), tip };
        match bump(&last, base, market, &params) {
            Ok(raised) => {
                prop_assert!(raised.tip >= params.tip_floor);
                prop_assert!(is_includable(&raised, base, &params));
                prop_assert!(raised.cap >= base.plus(raised.tip));
            }
            Err(above) => prop_assert!(above.needed > above.ceiling && above.ceiling == params.ceiling),
        }
    }

    /// However often and high a transfer was raised: the self-send that withdraws it can be signed.
    #[test]
    fn a_transfer_can_always_be_withdrawn(
        base in price(), market in price(), params in params(),
        moves in prop::collection::vec((price(), price()), 0..12), last in (price(), price())
    ) {
        let Ok(mut fees) = first(base, market, &params) else { return Ok(()) };
        for (base, tip) in moves {
            if let Ok(raised) = bump(&fees, base, tip, &params.for_transfers()) {
                fees = raised;
            }
        }
        let self_send = outbid(&fees, last.0, last.1, &params);
        prop_assert!(self_send.is_ok(), "{fees:?} under {:?}: {self_send:?}", params.ceiling);
    }
}
