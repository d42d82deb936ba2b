//! One record of every shape that the domain has; those of the hot wallet are in `funding`.
//!
//! New shapes go to the ends of the lists, so that what is in `golden.txt` stays as it is. A variant that has no record
//! here is found out: `shapes` does not compile until it is named there, and fails until it is here.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::address_pattern::PatternBreak;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::coverage::{Coverage, FinalityMark, Swept};
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::deposit::{BlockStatus, Deposit, MatchRule, NothingReason, ReviewReason, Tally, Verdict};
use rampwatch::domain::event::{Alarm, Event, EventKind, Reading, WalletChange};
use rampwatch::domain::payment::{
    ApiStatus, ApiView, BankAccountId, Ending, Outcome, Payment, PaymentId, PaymentReview, PaymentState, Provenance,
    Refusal, Terms,
};
use rampwatch::domain::stall::Stall;

use rampwatch::domain::wallet::HaltReason;
use rampwatch::ports::store::Commit;

use super::{desk, funding};
use crate::support::records::{self, address, at, deposit_key, hash, order_id, payment_id};

pub(super) fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

pub(super) fn text(text: &str) -> String {
    text.to_owned()
}

fn refusal() -> Refusal {
    Refusal { status: 422, message: text("\"no\"\n — nein") }
}

pub(super) fn block(number: u64) -> BlockRef {
    BlockRef { number, hash: hash(number) }
}

pub(super) fn numbered<A, B>(all: Vec<A>, make: impl Fn(u64, A) -> B) -> Vec<B> {
    (1..).zip(all).map(|(number, one)| make(number, one)).collect()
}

pub(super) fn states() -> Vec<PaymentState> {
    let deposit = deposit_key(1);
    let review = |why| PaymentState::Review { why, deposit: Some(deposit) };
    let ended = |outcome| PaymentState::Ended { outcome, at: at(5) };
    let (ours, theirs) = (text("1000.00"), text("999.00"));
    vec![
        PaymentState::Waiting,
        PaymentState::Seen { deposit },
        PaymentState::Due { deposit, attempt: 2 },
        PaymentState::Calling { deposit, attempt: 1, started_at: at(4) },
        PaymentState::Unclear { deposit, attempt: 1, refusal: None },
        PaymentState::Unclear { deposit, attempt: 2, refusal: Some(refusal()) },
        PaymentState::Following { deposit: None },
        PaymentState::Following { deposit: Some(deposit) },
        ended(Outcome::Completed),
        ended(Outcome::Failed),
        ended(Outcome::Expired),
        ended(Outcome::Refunded),
        ended(Outcome::Cancelled),
        review(PaymentReview::OtherHash { theirs: text("0xother") }),
        review(PaymentReview::Refused { refusal: refusal() }),
        review(PaymentReview::StillAwaiting),
        review(PaymentReview::EndedWithMoney { status: ApiStatus::Expired }),
        review(PaymentReview::TermsDiffer { field: text("amount"), ours, theirs }),
        review(PaymentReview::GoneAfterFinal),
        PaymentState::Review { why: PaymentReview::NotFound, deposit: None },
        PaymentState::Waiting,
    ]
}

/// A payment in every state, some with everything that may be absent.
pub(crate) fn payments() -> Vec<Payment> {
    let mut all = numbered(states(), |number, state| Payment { state, ..records::payment(number) });
    all[1].next_at = Some(at(9));
    all[2].next_at = Some(at(9));
    all[3].quiet_checks = 3;
    let status = ApiStatus::Other(text("A_NEW_ONE"));
    all[5].api = Some(ApiView { status, tx_hash: Some(text("0xabc")), as_of: at(8), fee: None, unread: Vec::new() });
    all[6].api =
        Some(ApiView { status: ApiStatus::AwaitingFunds, tx_hash: None, as_of: at(8), fee: None, unread: Vec::new() });
    let known = Terms {
        address_from: Provenance::Created,
        amount_from: Provenance::Typed,
        amount: units(u128::MAX),
        sender: Some(address(0xbeef)),
        expires_at: Some(at(1_000)),
        ..records::payment(1).terms
    };
    all[0].terms = known;
    all[20].terms.bank_account = Some(BankAccountId::new("acc-1").unwrap());
    let fee = Some(Decimal::from_person("1.25").unwrap());
    all[20].api = Some(ApiView { status: ApiStatus::Sent, tx_hash: None, as_of: at(8), fee, unread: Vec::new() });
    let ending = Some(Ending { outcome: Outcome::Expired, since: at(8) });
    let last = records::payment(u64::try_from(all.len()).unwrap() + 1);
    all.push(Payment { ending, taken: Some(true), next_at: Some(at(9)), ..last });
    let mut typed = records::payment(u64::try_from(all.len()).unwrap() + 1);
    typed.terms.recipient_from = Some(Provenance::Typed);
    (typed.terms.expires_at, typed.terms.expiry_from) = (Some(at(1_000)), Some(Provenance::Typed));
    (typed.terms.sender, typed.terms.sender_from) = (Some(address(0xbeef)), Some(Provenance::Api));
    typed.terms.typed_by = Some(Actor::new("alice").unwrap());
    all.push(typed);
    all
}

pub(super) fn verdicts() -> Vec<Verdict> {
    let pays = |rule| Verdict::Pays { payment: payment_id(1), rule };
    let review = |why| Verdict::Review { why };
    let payment = || payment_id(1);
    vec![
        Verdict::Unjudged,
        pays(MatchRule::Exact),
        pays(MatchRule::Tolerance { off_by: units(5) }),
        pays(MatchRule::Sender),
        pays(MatchRule::Assigned { reason: text("by phone") }),
        Verdict::Nothing { why: NothingReason::ZeroValue },
        Verdict::Nothing { why: NothingReason::SelfTransfer },
        Verdict::Ignored { reason: text("a test") },
        review(ReviewReason::WrongToken),
        review(ReviewReason::Under { missing: units(1) }),
        review(ReviewReason::Over { excess: units(1) }),
        review(ReviewReason::Split { payment: payment(), parts: 2 }),
        review(ReviewReason::Ambiguous { candidates: vec![payment_id(1), payment_id(2)] }),
        review(ReviewReason::NoFit),
        review(ReviewReason::SecondDeposit { payment: payment() }),
        review(ReviewReason::Early { payment: payment() }),
        review(ReviewReason::Replaced { payment: payment() }),
        review(ReviewReason::Late { payment: payment() }),
        review(ReviewReason::PaymentEnded { payment: payment() }),
        review(ReviewReason::NoPayment),
        review(ReviewReason::GoneAfterFinal { payment: None }),
        review(ReviewReason::GoneAfterFinal { payment: Some(payment()) }),
        pays(MatchRule::OwnTransfer { order: order_id(1, 2) }),
        Verdict::Nothing { why: NothingReason::WalletCredit },
        Verdict::Nothing { why: NothingReason::Dust },
    ]
}

/// Thousands of deposits, counted.
pub(super) fn tally() -> Box<Tally> {
    Box::new(Tally {
        count: 20_000,
        sum: units(20_001),
        most: units(2),
        ignored: units(7),
        from: 100,
        through: 200,
        second_to: 0,
        last_tx: hash(9),
        last_at: at(9),
    })
}

/// A deposit of every verdict and every standing.
pub(crate) fn deposits() -> Vec<Deposit> {
    let mut all = numbered(verdicts(), |number, verdict| Deposit { verdict, ..records::deposit(number) });
    all[1].standing = BlockStatus::Final { at: at(6) };
    all[2].standing = BlockStatus::Gone { after_final: false };
    all[3].standing = BlockStatus::Gone { after_final: true };
    all[24].tally = Some(tally());
    all
}

/// Coverage at every stage.
pub(crate) fn coverage() -> Vec<Coverage> {
    let swept = Swept { start: 100, covered_to: 200, confirmed_to: 150, second_reading: None };
    let twice = Swept { second_reading: Some((200, at(7))), ..swept };
    vec![
        records::coverage(1),
        Coverage { swept: Some(swept), ..records::coverage(2) },
        Coverage { swept: Some(twice), watch_until: Some(at(99)), ..records::coverage(3) },
        Coverage { swept: Some(swept), watch_until: Some(at(99)), closed: true, ..records::coverage(4) },
    ]
}

/// A mark that has moved back.
pub(super) fn finality() -> FinalityMark {
    FinalityMark { highest: block(9), ..records::finality(7) }
}

pub(crate) fn kinds() -> Vec<EventKind> {
    let alarm = |alarm| EventKind::Alarm { alarm };
    let view = ApiView {
        status: ApiStatus::Pending,
        tx_hash: Some(text("0xabc")),
        as_of: at(8),
        fee: None,
        unread: Vec::new(),
    };
    let (from, to) = (Box::new(PaymentState::Waiting), Box::new(PaymentState::Seen { deposit: deposit_key(1) }));
    let seen = |reading| EventKind::DepositSeen { deposit: Box::new(records::deposit(1)), reading };
    let standing = BlockStatus::Gone { after_final: false };
    let mut all = vec![
        EventKind::PaymentAdded { payment: Box::new(records::payment(1)) },
        EventKind::PaymentMoved { from, to, why: text("seen") },
        EventKind::ApiReported { view },
        seen(Reading::Sweep),
        seen(Reading::Second),
        EventKind::DepositJudged { verdict: Verdict::Unjudged },
        EventKind::DepositStands { standing, block: block(1), canonical: Some(hash(2)), made_at: None },
        EventKind::DepositStands {
            standing: BlockStatus::Final { at: at(6) },
            block: block(1),
            canonical: None,
            made_at: None,
        },
        EventKind::PersonDecided { action: text("ignore"), reason: text("a test"), by: None },
        EventKind::FinalityMoved { from: block(9), to: block(7) },
        alarm(Alarm::GoneAfterFinal),
        alarm(Alarm::MissedByFirstReading),
        alarm(Alarm::LogWithheld),
        alarm(Alarm::MalformedLog { detail: text("two topics") }),
        alarm(Alarm::FinalityStalled { at: 9 }),
        alarm(Alarm::KeyRefused { status: 401 }),
        EventKind::AddressPlaced { address: address(1), start: 100 },
        EventKind::AddressClosed { address: address(1), through: 200 },
    ];
    all.extend(funding::kinds());
    all.extend(funding::named_kinds());
    all.extend(desk::kinds());
    all
}

/// Kinds that came after the stored forms were written down.
pub(crate) fn later_kinds() -> Vec<EventKind> {
    let alarm = |alarm| EventKind::Alarm { alarm };
    vec![
        alarm(Alarm::EndpointContradicts { endpoint: text("one"), said: text("tomorrow") }),
        alarm(Alarm::EndpointStalled { endpoint: text("two"), said: text("9") }),
        alarm(Alarm::CoverageAboveHead { addresses: 3, covered: 90, head: 9 }),
        EventKind::EndpointBack { endpoint: text("one") },
        alarm(Alarm::OperatorsDisagree { about: text("order pay-000001:1"), deadline: None }),
        alarm(Alarm::AgreementMissing { about: text("payment pay-000001"), deadline: Some(at(90)) }),
        alarm(Alarm::AutoUnlimited),
        alarm(Alarm::NotListening { setting: text("http.listen"), said: text("in use") }),
        EventKind::ListenerBack { setting: text("http.listen") },
        alarm(Alarm::RecordUnreadable { record: text("payment pay-000001"), why: text("EOF") }),
        alarm(Alarm::AddressPattern {
            recipient: "rec-000001".parse().unwrap(),
            address: address(1),
            broken: PatternBreak::NewAmongFixed,
        }),
        EventKind::DepositsCounted { tally: tally() },
        alarm(Alarm::Standstill { what: Stall::Head, since: at(7), detail: text("it is 9") }),
        EventKind::StallOver { what: Stall::Unread, since: at(7) },
        alarm(Alarm::StoreIncomplete { held: 8, acknowledged: Some(9) }),
        EventKind::WalletChanged {
            address: address(1),
            change: WalletChange::Halted { why: HaltReason::StoreIncomplete { held: 8, acknowledged: None } },
        },
        alarm(Alarm::ApiUnanswered { since: at(1), about: text("pay-000001"), detail: text("no id") }),
        EventKind::DepositStands {
            standing: BlockStatus::Provisional,
            block: block(1),
            canonical: None,
            made_at: Some(at(9)),
        },
    ]
}

/// An event of every kind, about a payment, a deposit, both or neither.
pub(crate) fn events() -> Vec<Event> {
    numbered(kinds(), |number, kind| {
        let payment: Option<PaymentId> = (number % 2 == 0).then(|| payment_id(1));
        let deposit = (number % 3 == 0).then(|| deposit_key(1));
        Event { at: at(number), payment, deposit, kind }
    })
}

/// All of it in one commit to an empty store.
pub(crate) fn everything() -> Commit {
    Commit {
        payments: payments(),
        deposits: deposits(),
        coverage: coverage(),
        finality: Some(finality()),
        orders: funding::orders(),
        wallet: Some(funding::wallet()),
        records: desk::records(),
        events: events(),
    }
}
