//! The checks before a transfer: each hold by itself, which comes first, and whose money is at the address.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockRef, Transfer};
use rampwatch::domain::deposit::{BlockStatus, Deposit, NothingReason, ReviewReason, Verdict};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Order, OrderId, OrderState};
use rampwatch::domain::payment::{ApiStatus, Outcome, Payment, PaymentReview, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wei::Wei;
use rampwatch::policy::preflight::{
    ApiFinding, PaymentFindings, PreflightParams, check_clock, check_payment, despite, moment,
};

use super::orders::*;
use super::samples::*;

/// What must stay in the wallet.
pub(super) const RESERVE: u128 = 1_000_000;

pub(super) fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

pub(super) fn params() -> PreflightParams {
    PreflightParams {
        chain_name: "polygon".to_owned(),
        currency: "USDC".to_owned(),
        under: Amount::ZERO,
        min_time_left: Span::from_secs(600),
        reserve_token: units(RESERVE),
        reserve_native: Wei::from_gwei(1_000),
        fees: FEES,
    }
}

/// Everything that a payment is checked by. As it begins, nothing stands in the way.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) order: Order,
    pub(super) payment: Payment,
    pub(super) api: ApiFinding,
    pub(super) deposits: Vec<Deposit>,
    pub(super) confirmed_to: u64,
    pub(super) fresh: Vec<Transfer>,
    pub(super) orders: Vec<Order>,
    pub(super) now: Timestamp,
}

/// Nothing is signed yet.
pub(super) fn ready() -> Scene {
    let api = ApiFinding {
        status: ApiStatus::AwaitingFunds,
        tx_hash: None,
        differs: None,
        chain: Some("Polygon".to_owned()),
        currency: Some("usdc".to_owned()),
        sender: None,
        expires_at: None,
    };
    let (deposits, fresh, orders) = (Vec::new(), Vec::new(), Vec::new());
    let (order, payment) = (order("p"), payment("p"));
    Scene { order, payment, api, deposits, confirmed_to: u64::MAX, fresh, orders, now: at(NOW) }
}

/// A transfer is signed: transaction 9.
pub(super) fn signed() -> Scene {
    ready().with(|it| {
        it.order.state = sending();
        it.order.attempts = vec![transfer(9)];
    })
}

/// The transfer of transaction 9 reverted for good, and the order was signed again, as transaction 10.
fn signed_again() -> Scene {
    signed().with(|it| {
        it.order.reverts = 1;
        it.order.state = OrderState::Sending { nonce: NONCE + 4, trouble: None };
        it.order.attempts.push(rampwatch::domain::order::Attempt { nonce: NONCE + 4, ..transfer(10) });
    })
}

impl Scene {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn findings(&self) -> PaymentFindings<'_> {
        PaymentFindings {
            payment: &self.payment,
            api: &self.api,
            deposits: &self.deposits,
            confirmed_to: self.confirmed_to,
            fresh: &self.fresh,
            orders: &self.orders,
            now: self.now,
            own_is_nowhere: false,
        }
    }

    pub(super) fn check(&self) -> Result<(), Hold> {
        check_payment(&self.order, &self.findings(), &params())
    }

    /// The same while the chain's transfers cannot be read.
    fn unread(&self) -> Hold {
        despite(Hold::NotReadYet, &self.order, Ok(&self.findings()), &params())
    }

    /// The same while the API is silent.
    fn unheard(&self) -> Hold {
        let silent = Hold::ApiUnavailable { detail: "silent".to_owned() };
        despite(silent, &self.order, Err((&self.payment, self.now)), &params())
    }
}

pub(super) fn judged(number: u8, verdict: Verdict) -> Deposit {
    Deposit { verdict, ..deposit(number, ASKED) }
}

fn seen(number: u8) -> PaymentState {
    PaymentState::Seen { deposit: deposit(number, ASKED).key }
}

fn money(number: u8) -> Result<(), Hold> {
    Err(Hold::MoneyThere { tx_hash: tx(number), amount: units(ASKED) })
}

fn own(number: u8) -> Result<(), Hold> {
    Err(Hold::OwnTransferSeen { tx_hash: tx(number) })
}

fn differs(field: &str, ours: impl ToString, theirs: impl ToString) -> Hold {
    Hold::TermsDiffer { field: field.to_owned(), ours: ours.to_string(), theirs: theirs.to_string() }
}

type Change = Box<dyn Fn(&mut Scene)>;

/// What stands in the way, in the order in which it is told.
fn hurdles() -> Vec<(Change, Hold)> {
    fn case(change: impl Fn(&mut Scene) + 'static, hold: Hold) -> (Change, Hold) {
        (Box::new(change), hold)
    }
    vec![
        case(|it| it.api.status = ApiStatus::Expired, Hold::EndUnconfirmed { status: ApiStatus::Expired }),
        case(|it| it.api.status = ApiStatus::Completed, Hold::ApiStatus { status: ApiStatus::Completed }),
        case(|it| it.api.tx_hash = Some("0xabc".to_owned()), Hold::ApiHasHash { tx_hash: "0xabc".to_owned() }),
        case(|it| it.order.chain_id = 80_002, differs("chain", 80_002, 137)),
        case(
            |it| it.payment.terms.amount = units(ASKED + 1),
            differs(
                "payment",
                format!("{ASKED} base units of {USDC} to {HOME}"),
                format!("{} base units of {USDC} to {HOME}", ASKED + 1),
            ),
        ),
        case(
            |it| it.api.differs = Some(("depositAmount".to_owned(), "1".to_owned(), "2".to_owned())),
            differs("depositAmount", 1, 2),
        ),
        case(|it| it.api.chain = Some("base".to_owned()), differs("depositChain", "polygon", "base")),
        case(|it| it.api.currency = Some("EURC".to_owned()), differs("sourceCurrency", "USDC", "EURC")),
        case(
            |it| it.payment.terms.expires_at = Some(at(NOW + 599)),
            Hold::TimeShort { expires_at: at(NOW + 599), least_s: 600 },
        ),
        case(|it| it.payment.terms.sender = Some(ALICE), Hold::OtherSender { named: ALICE }),
        case(
            |it| it.api.expires_at = Some(at(NOW + 598)),
            differs("expiresAt", format!("{EXPIRY} s"), format!("{} s", NOW + 598)),
        ),
        case(|it| it.api.sender = Some(BOB), differs("senderAddress", WALLET, BOB)),
        case(|it| it.order.wallet = HOME, Hold::RecipientForbidden { what: "the wallet itself".to_owned() }),
        case(|it| it.deposits = vec![deposit(1, ASKED)], money(1).unwrap_err()),
        case(|it| it.fresh = vec![fresh(2)], money(2).unwrap_err()),
        case(
            |it| it.payment.state = PaymentState::Ended { outcome: Outcome::Cancelled, at: at(NOW) },
            Hold::PaymentEnded,
        ),
    ]
}

#[test]
fn each_hurdle_by_itself() {
    assert_eq!(ready().check(), Ok(()));
    assert_eq!(signed().check(), Ok(()));
    assert_eq!(signed_again().check(), Ok(()));
    for (change, hold) in hurdles() {
        for scene in [ready(), signed(), signed_again()] {
            assert_eq!(scene.with(|it| change(it)).check(), Err(hold.clone()), "{}", hold.name());
        }
    }
}

#[test]
fn the_first_hurdle_is_told() {
    let hurdles = hurdles();
    for (first, (change, hold)) in hurdles.iter().enumerate() {
        for (later, other) in hurdles.iter().skip(first + 1) {
            // Both wishes may be about one field: what is changed last must not undo the first.
            let got = ready()
                .with(|it| {
                    later(it);
                    change(it);
                })
                .check();
            let named_sender = matches!(other, Hold::RecipientForbidden { .. })
                && (matches!(hold, Hold::OtherSender { .. })
                    || matches!(hold, Hold::TermsDiffer { field, .. } if field == "senderAddress"));
            // Once the payment is over, what the API says of it is believed.
            let is_over = *other == Hold::PaymentEnded && got == Err(Hold::PaymentEnded);
            let is_word =
                matches!(hold, Hold::EndUnconfirmed { .. } | Hold::ApiStatus { .. } | Hold::ApiHasHash { .. });
            assert!(
                got == Err(hold.clone()) || named_sender || (is_over && is_word),
                "{} before {}: {got:?}",
                hold.name(),
                other.name()
            );
        }
    }
}

#[test]
fn what_the_api_does_not_tell_is_no_hurdle() {
    let silent = ready().with(|it| (it.api.chain, it.api.currency) = (None, None));
    assert_eq!(silent.check(), Ok(()));
    let named = ready().with(|it| (it.payment.terms.sender, it.api.sender) = (Some(WALLET), Some(WALLET)));
    assert_eq!(named.check(), Ok(()));
}

#[test]
fn the_time_left_is_the_shorter_one() {
    let of = |ours: Option<u64>, theirs: Option<u64>| {
        let scene = ready().with(|it| {
            it.payment.terms.expires_at = ours.map(|secs| at(NOW + secs));
            it.api.expires_at = theirs.map(|secs| at(NOW + secs));
        });
        scene.check().is_ok()
    };
    assert!(of(None, None), "a person has approved it");
    assert!(of(Some(600), None));
    assert!(!of(Some(599), None));
    assert!(!of(Some(599), Some(5_000)), "a later word does not make it longer");
    assert!(!of(Some(5_000), Some(599)));
    assert!(of(Some(600), Some(600)));
    assert!(ready().with(|it| it.now = at(EXPIRY + 1)).check().is_err());
}

#[test]
fn addresses_that_must_never_be_paid() {
    for (to, what) in [(Address::ZERO, "the zero address"), (USDC, "the token itself"), (WALLET, "the wallet itself")] {
        let scene = ready().with(|it| (it.order.to, it.payment.terms.deposit_address) = (to, to));
        assert_eq!(scene.check(), Err(Hold::RecipientForbidden { what: what.to_owned() }));
    }
}

#[test]
fn a_stored_deposit_stands_in_the_way_unless_it_is_certainly_anothers() {
    let review = |why| Verdict::Review { why };
    let gone = |after_final| BlockStatus::Gone { after_final };
    let cases = [
        (Verdict::Unjudged, BlockStatus::Provisional, true),
        (Verdict::Unjudged, FINAL, true),
        (pays("p"), FINAL, true),
        (pays("q"), FINAL, false),
        (assigned("q"), BlockStatus::Provisional, false),
        (review(ReviewReason::NoFit), FINAL, true),
        (review(ReviewReason::WrongToken), FINAL, true),
        (review(ReviewReason::Ambiguous { candidates: vec![id("p"), id("q")] }), FINAL, true),
        (review(ReviewReason::SecondDeposit { payment: id("q") }), FINAL, true),
        (Verdict::Nothing { why: NothingReason::ZeroValue }, FINAL, false),
        (Verdict::Nothing { why: NothingReason::SelfTransfer }, FINAL, false),
        (Verdict::Ignored { reason: "dust".to_owned() }, FINAL, false),
        (Verdict::Unjudged, gone(false), false),
        (Verdict::Unjudged, gone(true), false),
    ];
    for (verdict, standing, in_the_way) in cases {
        let scene = ready().with(|it| it.deposits = vec![Deposit { standing, ..judged(1, verdict.clone()) }]);
        let expected = if in_the_way { money(1) } else { Ok(()) };
        assert_eq!(scene.check(), expected, "{verdict:?} {standing:?}");
    }
    let second = ready().with(|it| it.deposits = vec![judged(1, pays("q")), judged(2, Verdict::Unjudged)]);
    assert_eq!(second.check(), money(2), "all are looked at");
}

#[test]
fn a_deposit_that_one_operator_calls_gone_stands_in_the_way_until_its_block_was_read_twice() {
    let gone = Deposit { standing: BlockStatus::Gone { after_final: false }, ..deposit(1, ASKED) };
    let number = gone.block_number;
    let of = |gone: Deposit, confirmed_to| {
        let scene = signed().with(|it| (it.deposits, it.confirmed_to) = (vec![gone], confirmed_to));
        scene.check()
    };
    assert_eq!(of(gone.clone(), number - 1), money(1));
    assert_eq!(of(gone.clone(), number), Ok(()), "two have read that it is not there");
    assert_eq!(of(Deposit { amount: Amount::ZERO, ..gone.clone() }, 0), Ok(()), "it moved nothing");
    assert_eq!(of(Deposit { standing: gone.standing, ..deposit(9, ASKED) }, 0), Ok(()), "our own is offered again");
}

#[test]
fn nothing_goes_out_while_the_chain_is_further_on_than_our_clock() {
    // How many seconds the head is ahead of our clock, and by how many it is told.
    for (ahead, told) in [(0, None), (120, None), (121, Some(121)), (3_600, Some(3_600))] {
        let checked = check_clock(at(NOW), at(NOW + ahead), Span::from_secs(120));
        assert_eq!(checked, told.map_or(Ok(()), |by_s| Err(Hold::ClockBehind { by_s })), "{ahead} s");
    }
    assert_eq!(check_clock(at(NOW), at(1), Span::ZERO), Ok(()), "what is behind was made earlier");
}

#[test]
fn a_fresh_transfer_stands_in_the_way_unless_its_deposit_is_known() {
    let of = |deposits: Vec<Deposit>, transfers: Vec<Transfer>| {
        ready().with(|it| (it.deposits, it.fresh) = (deposits, transfers)).check()
    };
    assert_eq!(of(vec![], vec![fresh(1)]), money(1));
    assert_eq!(of(vec![judged(1, pays("q"))], vec![fresh(1)]), Ok(()), "its verdict is known");
    assert_eq!(of(vec![judged(1, pays("q"))], vec![fresh(1), fresh(2)]), money(2));
    let other_log = Transfer { log_index: 1, ..fresh(1) };
    assert_eq!(of(vec![judged(1, pays("q"))], vec![fresh(1), other_log]), money(1), "two logs of the transaction");
    assert_eq!(of(vec![judged(1, pays("q"))], vec![other_log]), Ok(()), "the same one, as another node numbers it");
    let other_block = Transfer { block: BlockRef { hash: B256::ZERO, ..fresh(1).block }, ..fresh(1) };
    assert_eq!(of(vec![judged(1, pays("q"))], vec![other_block]), money(1), "the same in another block");
    let gone = Deposit { standing: BlockStatus::Gone { after_final: false }, ..judged(1, Verdict::Unjudged) };
    assert_eq!(of(vec![gone], vec![fresh(1)]), money(1), "it was gone, and is back");
    assert_eq!(of(vec![], vec![Transfer { amount: Amount::ZERO, ..fresh(1) }]), Ok(()), "nothing moves");
    assert_eq!(of(vec![], vec![Transfer { from: HOME, ..fresh(1) }]), Ok(()), "a self-transfer moves nothing");
    assert_eq!(of(vec![], vec![Transfer { amount: units(1), ..fresh(1) }]), Ok(()), "it could pay nothing");
    assert_eq!(of(vec![], vec![Transfer { token: BRIDGED, ..fresh(1) }]), money(1), "another known token is money too");
}

#[test]
fn our_own_transfer_in_a_block_is_awaited() {
    let paid = |number: u8| judged(number, pays("p"));
    for (what, scene) in [
        ("the watcher has matched it", signed().with(|it| it.payment.state = seen(9))),
        ("it is stored and not judged", signed().with(|it| it.deposits = vec![deposit(9, ASKED)])),
        ("it was read just now", signed().with(|it| it.fresh = vec![fresh(9)])),
        (
            "somebody else has paid as well",
            signed().with(|it| (it.deposits, it.fresh) = (vec![deposit(1, ASKED)], vec![fresh(9)])),
        ),
        (
            "and the API has gone on with it",
            signed().with(|it| {
                it.payment.state = PaymentState::Following { deposit: Some(deposit(9, ASKED).key) };
                it.api.status = ApiStatus::Processing;
                it.deposits = vec![paid(9)];
            }),
        ),
    ] {
        assert_eq!(scene.check(), own(9), "{what}");
    }
    let of_order = |orders: Vec<Order>| signed().with(|it| (it.fresh, it.orders) = (vec![fresh(9)], orders)).check();
    assert_eq!(of_order(vec![signed().order]), own(9), "the order itself may be among all");
    // It is gone again: it goes out once more.
    let lost = Deposit { standing: BlockStatus::Gone { after_final: false }, ..deposit(9, ASKED) };
    assert_eq!(signed().with(|it| it.deposits = vec![lost.clone()]).check(), Ok(()));
    let paid_by_hand = signed().with(|it| it.deposits = vec![lost, deposit(1, ASKED)]);
    assert_eq!(paid_by_hand.check(), money(1));
}

#[test]
fn money_by_an_attempt_that_had_failed_for_good_is_money_like_any_other() {
    let again = signed_again();
    for scene in [
        again.clone().with(|it| it.fresh = vec![fresh(9)]),
        again.clone().with(|it| it.deposits = vec![deposit(9, ASKED)]),
        again.clone().with(|it| (it.payment.state, it.deposits) = (seen(9), vec![judged(9, pays("p"))])),
    ] {
        assert_eq!(scene.check(), money(9), "the chain broke its word: the next transfer is withdrawn");
        let unsigned = scene.with(|it| {
            it.order.state = OrderState::Ready;
            it.order.attempts.truncate(1);
        });
        assert_eq!(unsigned.check(), money(9), "and not signed");
    }
    assert_eq!(again.with(|it| it.fresh = vec![fresh(10)]).check(), own(10));
}

#[test]
fn payments_that_share_an_address() {
    let other = Order { state: sending(), attempts: vec![transfer(5)], ..order("q") };
    let earlier = Order { state: ended(outcomes()[2].clone()), attempts: vec![transfer(6)], ..order("p") };
    let earlier = Order { id: OrderId { payment: id("p"), turn: 3 }, ..earlier };
    let of = |change: &dyn Fn(&mut Scene)| {
        [ready(), signed()].map(|scene| {
            let scene = scene.with(|it| it.orders = vec![other.clone(), it.order.clone(), earlier.clone()]);
            scene.with(change).check()
        })
    };
    let both = |expected: Result<(), Hold>| [expected.clone(), expected];
    assert_eq!(of(&|it| it.fresh = vec![fresh(5)]), both(Ok(())), "the other order's transfer is the other's");
    assert_eq!(of(&|it| it.deposits = vec![deposit(5, ASKED)]), both(Ok(())), "before it is judged too");
    assert_eq!(of(&|it| it.deposits = vec![judged(5, pays("p"))]), both(money(5)), "unless it is said to be ours");
    assert_eq!(of(&|it| it.fresh = vec![fresh(6)]), both(money(6)), "an earlier order's is for this payment");
    assert_eq!(of(&|it| it.fresh = vec![fresh(5), fresh(7)]), both(money(7)), "and a stranger's may be");
}

#[test]
fn a_transfer_that_somebody_named_to_the_api_before_it_was_mined_is_kept_alive() {
    let named = |status: &str, number: u8| {
        signed().with(|it| {
            it.api.status = ApiStatus::from(status.to_owned());
            it.api.tx_hash = Some(format!(" {} ", tx(number)));
        })
    };
    let following = |scene: Scene| scene.with(|it| it.payment.state = PaymentState::Following { deposit: None });
    for status in ["AWAITING_FUNDS", "PENDING", "PROCESSING", "SENT", "ODD"] {
        assert_eq!(named(status, 9).check(), Ok(()), "{status}: the API waits for just this transfer");
        assert_eq!(following(named(status, 9)).check(), Ok(()), "{status}");
        let late = named(status, 9).with(|it| it.now = at(EXPIRY));
        assert!(matches!(late.check(), Err(Hold::TimeShort { .. })), "{status}: and the other checks hold");
        assert_eq!(named(status, 9).with(|it| it.fresh = vec![fresh(1)]).check(), money(1));
    }
    assert_eq!(named("COMPLETED", 9).check(), own(9));
    for status in ["FAILED", "EXPIRED", "REFUNDED"] {
        let status_of = ApiStatus::from(status.to_owned());
        assert_eq!(named(status, 9).check(), Err(Hold::EndUnconfirmed { status: status_of }), "{status}");
    }
    assert!(matches!(named("AWAITING_FUNDS", 1).check(), Err(Hold::ApiHasHash { .. })), "a stranger's");
    assert!(matches!(named("PENDING", 1).check(), Err(Hold::ApiStatus { .. })));
    let unsigned = named("AWAITING_FUNDS", 9).with(|it| it.order.state = OrderState::Ready);
    assert!(matches!(unsigned.check(), Err(Hold::ApiHasHash { .. })), "a hash that had failed for good");
    let older = signed_again().with(|it| it.api.tx_hash = Some(tx(9).to_string()));
    assert!(matches!(older.check(), Err(Hold::ApiHasHash { .. })));
}

#[test]
fn only_a_payment_that_waits_is_paid() {
    let key = deposit(1, ASKED).key;
    let of = |state: PaymentState| ready().with(|it| it.payment.state = state).check();
    for state in [
        seen(1),
        PaymentState::Due { deposit: key, attempt: 0 },
        PaymentState::Calling { deposit: key, attempt: 1, started_at: at(NOW) },
        PaymentState::Unclear { deposit: key, attempt: 1, refusal: None },
        PaymentState::Following { deposit: None },
        PaymentState::Following { deposit: Some(key) },
        PaymentState::Review { why: PaymentReview::NotFound, deposit: None },
    ] {
        let hold = Hold::PaymentState { state: state.name().to_owned() };
        assert_eq!(of(state), Err(hold));
    }
    for outcome in [Outcome::Completed, Outcome::Cancelled, Outcome::Refunded] {
        assert_eq!(of(PaymentState::Ended { outcome, at: at(NOW) }), Err(Hold::PaymentEnded));
    }
}

#[test]
fn silence_does_not_keep_a_transfer_minable_past_its_time() {
    let ended = |outcome| PaymentState::Ended { outcome, at: at(NOW) };
    for scene in [ready(), signed()] {
        let late = scene.clone().with(|it| it.now = at(EXPIRY));
        assert!(matches!(late.unread(), Hold::TimeShort { .. }), "{:?}", late.unread());
        assert!(matches!(late.unheard(), Hold::TimeShort { .. }), "{:?}", late.unheard());
        let over = scene.clone().with(|it| it.api.status = ApiStatus::from("EXPIRED".to_owned()));
        assert_eq!(over.unread(), Hold::NotReadYet, "an end that one answer names ends nothing");
        let over = over.with(|it| it.payment.state = ended(Outcome::Expired));
        assert_eq!(over.unread(), Hold::PaymentEnded);
        for outcome in [Outcome::Cancelled, Outcome::Expired, Outcome::Failed] {
            let stopped = scene.clone().with(|it| it.payment.state = ended(outcome));
            assert_eq!((stopped.unread(), stopped.unheard()), (Hold::PaymentEnded, Hold::PaymentEnded));
        }
        assert_eq!(scene.unread(), Hold::NotReadYet, "nothing is known against it");
        assert!(matches!(scene.unheard(), Hold::ApiUnavailable { .. }));
    }
    // What can be mended is waited for, as long as nothing is signed.
    let by_hand = |scene: Scene| scene.with(|it| it.deposits = vec![deposit(1, ASKED)]).unread();
    assert_eq!(by_hand(ready()), Hold::NotReadYet);
    assert_eq!(Err(by_hand(signed())), money(1));
    // Our own transfer in a block is no reason to withdraw it.
    let own = signed().with(|it| (it.payment.state, it.now) = (seen(9), at(EXPIRY)));
    assert_eq!(own.unread(), Hold::NotReadYet);
    assert!(matches!(own.unheard(), Hold::ApiUnavailable { .. }));
    let completed = signed().with(|it| it.payment.state = ended(Outcome::Completed));
    assert!(matches!(completed.unheard(), Hold::ApiUnavailable { .. }), "its receipt is awaited");
}

#[test]
fn f18_a_head_moves_the_moment_by_no_more_than_the_skew() {
    let skew = Span::from_secs(120);
    // The head's seconds, and the moment when our clock is at second 1,000.
    let cases =
        [(0, 1_000), (999, 1_000), (1_000, 1_000), (1_060, 1_060), (1_120, 1_120), (1_121, 1_120), (87_400, 1_120)];
    for (head, expected) in cases {
        let found = moment(Timestamp::from_secs(1_000), Timestamp::from_secs(head), skew);
        assert_eq!(found, Timestamp::from_secs(expected), "a head at {head}");
    }
}
