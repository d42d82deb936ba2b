//! What is done next with a signed order: the cases one by one, and an order driven through all weathers.

use proptest::prelude::*;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Attempt, AttemptKind, Effect, Fees, MAX_ATTEMPTS, Order, OrderState as State};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Market;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::broadcast::{BroadcastOutcome, Heard, read};
use rampwatch::policy::fees::is_includable;
use rampwatch::policy::order_machine::{Act, OrderFact, apply, next_act};
use rampwatch::policy::order_machine::{jam, too_cheap};

use super::orders::*;
use super::samples::*;

/// An order whose last transfer of 130 gwei was signed and given so many seconds before [`NOW`].
fn sent_before(signed_s: u64, given_s: u64) -> Order {
    let attempt = Attempt { signed_at: at(NOW - signed_s), sent_at: Some(at(NOW - given_s)), sends: 1, ..transfer(1) };
    Order { attempts: vec![attempt], ..order_in("p", sending()) }
}

fn refused() -> Hold {
    Hold::NodeRefuses { detail: "tip too low".to_owned() }
}

fn next(order: &Order, market: &Market, is_lowest: bool) -> Act {
    next_act(order, market, is_lowest, at(NOW), &FUNDING, &FEES)
}

/// In short.
fn short(act: &Act) -> String {
    match act {
        Act::Broadcast(hash) => format!("broadcast {}", hash.0[0]),
        Act::Sign(AttemptKind::Transfer, fees) => format!("transfer {}/{}", fees.cap.to_gwei(), fees.tip.to_gwei()),
        Act::Sign(AttemptKind::SelfSend, fees) => format!("self-send {}/{}", fees.cap.to_gwei(), fees.tip.to_gwei()),
        Act::Hold(hold) => hold.name().to_owned(),
        Act::Wait(until) => format!("wait {}", until.as_secs() - NOW),
    }
}

#[test]
fn a_transfer_that_was_given_to_the_nodes() {
    let (fits, dear, beyond) = (50, 110, 2_000);
    for (what, signed_s, given_s, base, is_lowest, expected) in [
        ("just sent", 0, 0, fits, true, "wait 45"),
        ("its patience ends before it is sent again", 20, 10, fits, true, "wait 35"),
        ("or after", 59, 2, fits, true, "wait 1"),
        ("it is forgotten by nodes now and then", 50, 45, fits, true, "broadcast 1"),
        ("three times the patience while a block could take it", 60, 10, fits, true, "transfer 146.25/33.75"),
        ("behind a lower nonce it is not raised", 600, 10, fits, false, "wait 20"),
        ("only sent again", 600, 45, fits, false, "broadcast 1"),
        ("no block can take it", 20, 10, dear, true, "transfer 253.75/33.75"),
        ("not quite yet", 19, 10, dear, true, "wait 1"),
        ("also behind a lower nonce", 20, 10, dear, false, "transfer 253.75/33.75"),
        ("the market is above the ceiling", 20, 10, beyond, true, "fee-ceiling"),
        ("that is noted first, however long ago it was sent", 200, 45, beyond, true, "fee-ceiling"),
    ] {
        let act = next(&sent_before(signed_s, given_s), &market(base, 30), is_lowest);
        assert_eq!(short(&act), expected, "{what}");
    }
}

#[test]
fn what_was_signed_by_a_clock_that_was_ahead_does_not_wait_for_it() {
    for (what, signed_in, given_in, base, expected) in [
        ("days ahead", 86_400, 86_400, 50, "transfer 146.25/33.75"),
        ("days ahead, and no block can take it", 86_400, 86_400, 110, "transfer 253.75/33.75"),
        ("signed lately, given days ahead", 1, 86_400, 50, "broadcast 1"),
        ("a little ahead: it waits a little longer", 5, 5, 50, "wait 50"),
    ] {
        let (signed_at, sent_at) = (at(NOW + signed_in), Some(at(NOW + given_in)));
        let attempt = Attempt { signed_at, sent_at, sends: 1, ..transfer(1) };
        let order = Order { attempts: vec![attempt], ..order_in("p", sending()) };
        assert_eq!(short(&next(&order, &market(base, 30), true)), expected, "{what}");
    }
}

#[test]
fn what_was_never_given_to_the_nodes_is_given_first() {
    for base in [50, 110, 2_000] {
        for is_lowest in [true, false] {
            let old = Attempt { signed_at: at(1), ..transfer(1) };
            let order = Order { attempts: vec![old], ..order_in("p", sending()) };
            assert_eq!(next(&order, &market(base, 30), is_lowest), Act::Broadcast(tx(1)), "a crash lies between");
            let paused = Order { state: troubled(Hold::WalletPaused), ..order };
            assert_eq!(next(&paused, &market(base, 30), is_lowest), Act::Broadcast(tx(1)), "the checks come then");
        }
    }
}

#[test]
fn what_the_nodes_refuse_is_raised_and_does_not_wait_for_ever() {
    let never = |signed_s| {
        let attempt = Attempt { signed_at: at(NOW - signed_s), ..transfer(1) };
        Order { attempts: vec![attempt], ..order_in("p", troubled(refused())) }
    };
    for is_lowest in [true, false] {
        let of = |order: &Order, base| short(&next(order, &market(base, 30), is_lowest));
        assert_eq!(of(&never(19), 50), "broadcast 1", "once more; it may have been a whim");
        assert_eq!(of(&never(20), 50), "transfer 146.25/33.75", "no node has it, and the cap fits");
        assert_eq!(of(&never(20), 110), "transfer 253.75/33.75", "no node took it, for no block could");
        assert_eq!(of(&never(20), 2_000), "fee-ceiling", "nothing can be raised");
        let later = Order { state: troubled(refused()), ..sent_before(20, 10) };
        assert_eq!(of(&later, 50), "transfer 146.25/33.75", "it was taken once, and is refused now");
    }
}

#[test]
fn a_withdrawal_takes_the_transfers_place_at_once() {
    let of = |order: &Order, base| short(&next(order, &market(base, 30), false));
    let withdrawn = |order: Order| Order { state: cancelling(), ..order };
    assert_eq!(of(&withdrawn(sent_before(0, 0)), 50), "self-send 146.25/33.75", "the transfer is not sent again");
    let unsent = Order { attempts: vec![transfer(1)], ..order_in("p", cancelling()) };
    assert_eq!(of(&unsent, 50), "self-send 146.25/33.75", "neither for the first time");
    let top = Attempt { fees: gwei(400, 40), ..given(transfer(1)) };
    let top = Order { attempts: vec![top], ..order_in("p", cancelling()) };
    assert_eq!(of(&top, 50), "self-send 450.00/45.00", "a transfer at its ceiling can be withdrawn");
    assert_eq!(of(&top, 4_000), "self-send 450.00/45.00", "above the market too, before that comes down");
    let second = given(Attempt { signed_at: at(NOW - 30), ..self_send(2) });
    let both = Order { attempts: vec![given(transfer(1)), second], ..order_in("p", cancelling()) };
    assert_eq!(of(&both, 300), "self-send 450.00/67.50", "a self-send is raised like any other");
    assert_eq!(of(&both, 4_000), "fee-ceiling");
}

#[test]
fn the_last_attempts_are_kept_for_the_self_send() {
    let with = |count: u8, state: State| {
        let attempts = (0..count).map(|number| Attempt { signed_at: at(1), ..given(transfer(number + 1)) });
        let attempts = attempts.map(|attempt| Attempt { sent_at: Some(at(NOW - 1)), ..attempt }).collect();
        short(&next(&Order { attempts, ..order_in("p", state) }, &market(110, 30), true))
    };
    let most = u8::try_from(MAX_ATTEMPTS).unwrap();
    assert!(with(most - 5, sending()).starts_with("transfer"));
    assert_eq!(with(most - 4, sending()), "too-many-attempts");
    assert!(with(most - 4, cancelling()).starts_with("self-send"));
    assert_eq!(with(most, cancelling()), "too-many-attempts");
}

#[test]
fn nothing_is_done_with_what_has_no_nonce_or_is_mined() {
    let idle = [awaiting(), State::Ready, State::Held { why: refused() }, mined(1, Effect::Reverted, None)];
    for state in idle.into_iter().chain(outcomes().into_iter().map(ended)) {
        let order = Order { attempts: vec![given(transfer(1))], ..order_in("p", state) };
        assert_eq!(next(&order, &market(50, 30), true), Act::Wait(Timestamp::FAR_FUTURE), "{:?}", order.state);
    }
}

#[test]
fn the_attempts_of_an_older_nonce_are_left_alone() {
    let older = Attempt { nonce: NONCE - 3, fees: gwei(390, 39), ..given(transfer(1)) };
    let order = Order { attempts: vec![older, transfer(2)], reverts: 1, ..order_in("p", sending()) };
    assert_eq!(next(&order, &market(50, 30), true), Act::Broadcast(tx(2)));
    let order = Order { state: cancelling(), ..order };
    assert_eq!(short(&next(&order, &market(50, 30), true)), "self-send 146.25/33.75");
}

fn ceiling() -> Hold {
    Hold::FeeCeiling { needed: Wei::from_gwei(2_030), ceiling: Wei::from_gwei(400) }
}

#[test]
fn at_the_ceiling_the_same_bytes_are_offered_for_as_long_as_it_takes() {
    for (hold, state) in [(ceiling(), troubled(ceiling())), (Hold::TooManyAttempts, troubled(Hold::TooManyAttempts))] {
        for is_lowest in [true, false] {
            let of = |given_s, base| {
                let order = Order { state: state.clone(), ..sent_before(600, given_s) };
                short(&next(&order, &market(base, 30), is_lowest))
            };
            assert_eq!(of(10, 2_000), "fee-ceiling", "{hold} is not forgotten");
            assert_eq!(of(45, 2_000), "broadcast 1", "nodes that have dropped it take it up again");
            assert_eq!(of(45, 50), if is_lowest { "transfer 146.25/33.75" } else { "broadcast 1" }, "the market fell");
            assert_eq!(of(10, 110), "transfer 253.75/33.75", "it fell to where more can be offered");
        }
        // No node ever took it: it is offered all the same, and raised as soon as it can be.
        let attempt = Attempt { signed_at: at(NOW - 600), ..transfer(1) };
        let never = Order { attempts: vec![attempt], ..order_in("p", state) };
        assert_eq!(short(&next(&never, &market(2_000, 30), true)), "broadcast 1");
        assert_eq!(short(&next(&never, &market(110, 30), true)), "transfer 253.75/33.75");
        assert_eq!(short(&next(&never, &market(50, 30), false)), "broadcast 1");
    }
    let self_send = Attempt { signed_at: at(1), sent_at: Some(at(NOW - 45)), ..given(self_send(2)) };
    let why = State::Cancelling { nonce: NONCE, why: person(), trouble: Some(ceiling()) };
    let withdrawn = Order { attempts: vec![given(transfer(1)), self_send], ..order_in("p", why) };
    assert_eq!(short(&next(&withdrawn, &market(2_000, 30), true)), "broadcast 2", "a self-send too");
}

#[test]
fn what_nodes_say_of_the_fees_is_no_news_at_the_ceiling() {
    let said = "one: replacement underpriced";
    let of = |state| too_cheap(&order_in("p", state), said);
    assert_eq!(of(troubled(ceiling())), ceiling());
    assert_eq!(of(troubled(Hold::TooManyAttempts)), Hold::TooManyAttempts);
    let refuses = Hold::NodeRefuses { detail: said.to_owned() };
    assert_eq!(of(sending()), refuses);
    assert_eq!(of(troubled(Hold::TokenPaused)), refuses);
    use Heard::{Accepted, InsufficientFunds, NonceTooHigh, NonceTooLow, NotReached, Refused, TooCheap, Unclear};
    for (heard, word) in [
        (vec![TooCheap, NotReached], BroadcastOutcome::TooCheap),
        (vec![TooCheap, NonceTooHigh], BroadcastOutcome::TooCheap),
        (vec![TooCheap, Refused], BroadcastOutcome::Refused),
        (vec![TooCheap, InsufficientFunds], BroadcastOutcome::Refused),
        (vec![NonceTooHigh, NotReached], BroadcastOutcome::OutOfTurn),
        (vec![NonceTooHigh, Refused], BroadcastOutcome::Refused),
        (vec![TooCheap, Accepted], BroadcastOutcome::Taken),
        (vec![NonceTooHigh, Unclear], BroadcastOutcome::Unclear),
        (vec![TooCheap, NonceTooLow], BroadcastOutcome::NonceTooLow),
        (vec![NotReached], BroadcastOutcome::NotReached),
    ] {
        assert_eq!(read(&heard), word, "{heard:?}");
    }
}

#[test]
fn the_last_transfer_that_may_be_signed_offers_all_that_it_may() {
    let count = u8::try_from(MAX_ATTEMPTS).unwrap() - 5;
    let attempts = (0..count).map(|number| Attempt { signed_at: at(1), ..given(transfer(number + 1)) }).collect();
    let order = Order { attempts, ..order_in("p", sending()) };
    assert_eq!(short(&next(&order, &market(110, 30), true)), "transfer 400.00/33.75");
}

#[test]
fn nothing_takes_a_nonce_behind_one_that_no_block_takes() {
    let of = |state, base: u64| jam(&Order { state, ..sent_before(600, 10) }, Wei::from_gwei(base), &FEES);
    let told = |base: u64| Some(Hold::FeeCeiling { needed: Wei::from_gwei(base + 30), ceiling: Wei::from_gwei(130) });
    assert_eq!(of(troubled(ceiling()), 380), told(380), "others could still pay that, and would only queue");
    assert_eq!(of(troubled(Hold::TooManyAttempts), 380), told(380));
    assert_eq!(of(troubled(ceiling()), 50), None, "the next block can take it");
    assert_eq!(of(sending(), 380), None, "it is raised first");
    assert_eq!(of(troubled(refused()), 380), None);
}

/// One look at the order, and the weather then.
#[derive(Clone, Copy, Debug)]
struct Look {
    after_s: u64,
    base: u64,
    tip: u64,
    is_lowest: bool,
    /// 0: the nodes take it; 1: they refuse; 2: a check holds it; 3: the process dies before it.
    luck: u8,
    /// The order is withdrawn before this look.
    cancel: bool,
}

fn look() -> impl Strategy<Value = Look> {
    let weather = (prop_oneof![3 => 1..200_u64, 1 => 200..3_000_u64], 0..200_u64);
    (0..120_u64, weather, any::<bool>(), 0..4_u8, prop::bool::weighted(0.05)).prop_map(
        |(after_s, (base, tip), is_lowest, luck, cancel)| Look { after_s, base, tip, is_lowest, luck, cancel },
    )
}

/// Does what is to be done, as the funder would.
fn carry_out(order: &mut Order, act: &Act, luck: u8, now: Timestamp) {
    let number = u8::try_from(order.attempts.len() + 1).unwrap();
    let mut take = |fact: &OrderFact| {
        let got = apply(order, fact, now, &FUNDING);
        assert!(got.is_ok(), "{fact:?}: {got:?}");
    };
    match act {
        Act::Broadcast(tx_hash) => match luck {
            0 => take(&OrderFact::Sent { tx_hash: *tx_hash, said: "taken".to_owned() }),
            1 => take(&OrderFact::Held(refused())),
            2 => take(&OrderFact::Held(Hold::TokenPaused)),
            _ => {}
        },
        Act::Sign(kind, fees) => {
            let signed = Attempt { signed_at: now, ..attempt(number, *kind, *fees) };
            take(&OrderFact::Signed(signed));
        }
        Act::Hold(hold) => take(&OrderFact::Held(hold.clone())),
        Act::Wait(_) => {}
    }
}

fn check(order: &Order, act: &Act, look: &Look, now: Timestamp) -> Result<(), TestCaseError> {
    let market = market(look.base, look.tip);
    let last = order.live_attempts().last().unwrap();
    let (kind, trouble) = match &order.state {
        State::Sending { trouble, .. } => (AttemptKind::Transfer, trouble),
        State::Cancelling { trouble, .. } => (AttemptKind::SelfSend, trouble),
        state => panic!("{state:?}"),
    };
    let fits = is_includable(&last.fees, market.base_fee, &FEES);
    let is_refused =
        matches!(trouble, Some(Hold::NodeRefuses { .. } | Hold::FeeCeiling { .. } | Hold::TooManyAttempts));
    match act {
        Act::Wait(until) => {
            prop_assert!(*until > now, "what is due now does not wait");
            prop_assert!(until.since(now) <= FUNDING.rebroadcast_after);
            prop_assert!(last.sent_at.is_some(), "what was never sent does not wait");
        }
        Act::Broadcast(hash) => {
            prop_assert_eq!(*hash, last.tx_hash);
            prop_assert_eq!(last.kind, kind, "a withdrawn transfer is not sent again");
        }
        Act::Sign(signed, Fees { cap, tip }) => {
            prop_assert_eq!(*signed, kind, "the other kind is never signed");
            prop_assert!(cap.get() * 8 >= last.fees.cap.get() * 9 && tip.get() * 8 >= last.fees.tip.get() * 9);
            let most = if kind == AttemptKind::Transfer { FEES.for_transfers().ceiling } else { FEES.ceiling };
            prop_assert!(*cap <= most && tip <= cap);
            if last.kind == kind {
                prop_assert!(look.is_lowest || !fits || is_refused, "what only waits for its turn is not raised");
                prop_assert!(last.sent_at.is_some() || is_refused, "it is sent before it is raised");
            }
        }
        Act::Hold(hold) => {
            let is_named = matches!(hold, Hold::FeeCeiling { .. } | Hold::TooManyAttempts);
            prop_assert!(is_named, "{hold}");
            prop_assert!(last.kind == kind || last.kind == AttemptKind::SelfSend, "a withdrawal is never stuck");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_order_in_all_weathers(looks in prop::collection::vec(look(), 1..80)) {
        let mut order = Order { attempts: vec![transfer(1)], ..order_in("p", sending()) };
        let mut now = at(NOW);
        for look in looks {
            now = Timestamp::from_millis(now.as_millis() + look.after_s * 1_000);
            if look.cancel && matches!(order.state, State::Sending { .. }) {
                let asked = OrderFact::CancelAsked { reason: "changed my mind".to_owned(), by: alice() };
                apply(&mut order, &asked, now, &FUNDING).unwrap();
            }
            let act = next_act(&order, &market(look.base, look.tip), look.is_lowest, now, &FUNDING, &FEES);
            check(&order, &act, &look, now)?;
            carry_out(&mut order, &act, look.luck, now);
            prop_assert_eq!(order.state.nonce(), Some(NONCE));
            prop_assert!(order.attempts.len() <= MAX_ATTEMPTS);
        }
    }

    /// Nodes that want a higher tip than was offered get it, if the ceiling allows it: in whatever state they find it.
    #[test]
    fn a_tip_that_is_too_low_is_raised_until_it_is_taken(
        wanted in 30..86_u64, is_lowest in any::<bool>(), was_sent in any::<bool>()
    ) {
        let first = if was_sent { given(transfer(1)) } else { transfer(1) };
        let mut order = Order { attempts: vec![first], ..order_in("p", sending()) };
        let mut now = at(NOW);
        for _ in 0..60 {
            now = now.plus(FUNDING.hold_check);
            let act = next_act(&order, &market(20, 30), is_lowest, now, &FUNDING, &FEES);
            let taken = order.live_attempts().last().unwrap().fees.tip >= Wei::from_gwei(wanted);
            if taken && matches!(act, Act::Broadcast(_)) {
                return Ok(());
            }
            carry_out(&mut order, &act, 1, now);
        }
        prop_assert!(false, "{:?}", order.attempts.last());
    }
}
