//! The payout's state machine: every state with every fact; what quotes and payments are held against.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::order::OrderId;
use rampwatch::domain::payment::{BankAccountId, PayoutReference, QuoteId, RecipientId, Refusal, UserId};
use rampwatch::domain::payout::{
    FundBy, Funding, IdempotencyKey, PaymentReason, Payout, PayoutReview, PayoutState as State, PayoutWish, TakenQuote,
};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::payment_machine::CallFailure;
use rampwatch::policy::payout_machine::{
    MAX_SPOILT_QUOTES, PayoutContext, PayoutFact as Fact, PayoutParams, PayoutStep, Said, differing, speaks_of_quote,
    step, usable_until,
};
use rampwatch::policy::retry::Jitter;

use super::samples::{ALICE, ASKED, HOME, NOW, PACE, USDC, at, id};

fn params() -> PayoutParams {
    let (currency, chain_name) = ("USDC".to_owned(), "polygon".to_owned());
    PayoutParams { quote_margin: Span::from_secs(60), currency, chain_name, token: USDC }
}

fn wish() -> PayoutWish {
    PayoutWish {
        user: UserId::new("user-1").unwrap(),
        recipient: RecipientId::new("rec-1").unwrap(),
        bank_account: BankAccountId::new("bank-1").unwrap(),
        exchange: Exchange {
            source_currency: "USDC".to_owned(),
            source_amount: Amount::from_base_units(ASKED),
            source_rail: "POLYGON".to_owned(),
            destination_currency: "MXN".to_owned(),
            destination_rail: "SPEI".to_owned(),
            destination_country: "MX".to_owned(),
            developer_fee: None,
        },
        from_address: ALICE,
        reason: PaymentReason::new("RENT").unwrap(),
        document_reference: None,
        reference_id: None,
        files: vec![],
        min_destination_amount: None,
        fund: FundBy::ByHand,
    }
}

/// A quote asked for at a moment that runs out at another, in seconds.
fn quote(asked_at: u64, expires_at: u64) -> TakenQuote {
    let rate = Rate {
        source_amount: Some(Amount::from_base_units(ASKED)),
        source_currency: Some("usdc".to_owned()),
        destination_amount: Decimal::from_person("1700").ok(),
        destination_currency: Some("MXN".to_owned()),
        exchange_rate: None,
        total_fee: None,
        sentra_fee: None,
        developer_fee: None,
    };
    let (expires_at, created_at) = (Some(at(expires_at)), Some(at(asked_at)));
    TakenQuote { quote: Quote { id: QuoteId::new("q").unwrap(), rate, expires_at, created_at }, asked_at: at(asked_at) }
}

fn payout(state: State) -> Payout {
    Payout {
        reference: PayoutReference::new("ref-1").unwrap(),
        key: IdempotencyKey::from_random([1; 16]),
        wish: wish(),
        placed_by: Actor::local(),
        state,
        quote: Some(quote(NOW - 10, NOW + 590)),
        payment: None,
        attempts: 1,
        may_be_open: false,
        spoilt_quotes: 0,
        failures: 2,
        trouble: Some("something".to_owned()),
        placed_at: at(NOW - 100),
        updated_at: at(NOW - 50),
    }
}

fn refusal(status: u16, message: &str) -> Refusal {
    Refusal { status, message: message.to_owned() }
}

fn order() -> OrderId {
    OrderId { payment: id("pay-1"), turn: 1 }
}

/// Every state. The call of the first "creating" can no longer take effect, that of the second can.
pub(super) fn states() -> Vec<Payout> {
    let review = |why| State::Review { why };
    let refused = || refusal(422, "no such bank account");
    let states = [
        State::Placed,
        State::Quoted,
        State::Creating { started_at: at(NOW - 61) },
        State::Creating { started_at: at(NOW - 60) },
        State::Unclear { refusal: None },
        State::Unclear { refusal: Some(refused()) },
        State::Created { funding: Funding::Hand },
        State::Created { funding: Funding::Due },
        State::Created { funding: Funding::Order { order: order() } },
        State::Created { funding: Funding::Nobody { why: "no".to_owned() } },
        review(PayoutReview::QuoteRefused { refusal: refused() }),
        review(PayoutReview::TermsDiffer { field: "f".to_owned(), ours: "o".to_owned(), theirs: "t".to_owned() }),
        review(PayoutReview::NoDepositAddress { missing: "depositAddress".to_owned() }),
        review(PayoutReview::Several { payments: vec![id("a"), id("b")] }),
        State::Cancelled { reason: "no".to_owned() },
    ];
    let mut payouts: Vec<Payout> = states.into_iter().map(payout).collect();
    for (place, may_be_open, payment) in [
        (6, true, true),
        (7, true, true),
        (8, true, true),
        (9, true, true),
        (11, true, true),
        (12, true, true),
        (13, true, false),
    ] {
        payouts[place].may_be_open = may_be_open;
        payouts[place].payment = payment.then(|| id("pay-1"));
    }
    payouts
}

fn context(params: &PayoutParams) -> PayoutContext<'_> {
    PayoutContext { now: at(NOW), pace: &PACE, jitter: Jitter(0), params }
}

pub(super) fn told(payout: &Payout, fact: &Fact) -> Option<PayoutStep> {
    let params = params();
    step(payout, fact, &context(&params)).ok()
}

/// A state's name, with what there is to know of it.
fn name(state: &State) -> String {
    match state {
        State::Unclear { refusal: Some(refusal) } => format!("unclear {}", refusal.status),
        State::Created { funding } => {
            format!("created {funding:?}").split([' ', '{']).take(2).collect::<Vec<_>>().join(" ")
        }
        State::Review { why } => why.name().to_owned(),
        other => other.name().to_owned(),
    }
}

/// A step in short: the state, when it is looked at again, and `open` where a call may have taken effect.
fn short(before: &Payout, step: &PayoutStep) -> String {
    let state = if step.payout.state == before.state { "same".to_owned() } else { name(&step.payout.state) };
    let next = match step.next_at {
        None => "never".to_owned(),
        Some(next) if next == Timestamp::FAR_FUTURE => "kept".to_owned(),
        Some(next) => format!("+{}", next.since(at(NOW)).as_secs()),
    };
    format!("{state} {next}{}", if step.payout.may_be_open { " open" } else { "" })
}

/// Holds a fact against every state: which states take it, and what it makes of each. All others must not expect it.
fn check(fact: &Fact, expected: &[(usize, &str)]) {
    for (place, payout) in states().iter().enumerate() {
        let got = told(payout, fact).map(|step| short(payout, &step));
        let wanted = expected.iter().find(|(at, _)| *at == place).map(|(_, text)| (*text).to_owned());
        assert_eq!(got, wanted, "{fact:?} in state {place}: {:?}", payout.state);
    }
}

fn said() -> Said {
    Said {
        payment: id("pay-1"),
        kind: Some("OFF_RAMP".to_owned()),
        key: Some(IdempotencyKey::from_random([1; 16]).to_string()),
        recipient: RecipientId::new("rec-1").ok(),
        bank_account: BankAccountId::new("bank-1").ok(),
        address: Some(HOME),
        amount: Some(Amount::from_base_units(ASKED)),
        chain: Some("POLYGON".to_owned()),
        currency: Some("USDC".to_owned()),
        sender: Some(ALICE),
        known: None,
        other: None,
    }
}

fn opened(said: Said) -> Fact {
    Fact::Opened(Box::new(said))
}

fn failed(failure: CallFailure) -> Fact {
    Fact::CallFailed { failure, detail: "what happened".to_owned() }
}

#[test]
fn quotes_are_taken_only_where_one_is_wanted() {
    check(&Fact::Quoted(Box::new(quote(NOW, NOW + 600))), &[(0, "quoted +0")]);
    let none = |failure| Fact::QuoteFailed { failure, detail: "what happened".to_owned() };
    check(&none(CallFailure::NotNow { retry_after: None }), &[(0, "same +4")]);
    check(&none(CallFailure::Unclear { retry_after: Some(Span::from_secs(9)) }), &[(0, "same +9")]);
    check(&none(CallFailure::Refused(refusal(400, "no"))), &[(0, "quote_refused never")]);
}

#[test]
fn a_call_starts_only_from_a_quote() {
    check(&Fact::CallStarted, &[(1, "creating +61")]);
    let lost = |again| Fact::FileLost { detail: "gone".to_owned(), again };
    check(&lost(true), &[(1, "same +4")]);
    check(&lost(false), &[(1, "file_lost never")]);
}

#[test]
fn what_the_call_said_counts_only_while_it_is_made() {
    check(&failed(CallFailure::NotNow { retry_after: None }), &[(2, "quoted +4"), (3, "quoted +4")]);
    let unclear = [(2, "unclear +61 open"), (3, "unclear +61 open")];
    check(&failed(CallFailure::Unclear { retry_after: None }), &unclear);
    let told = Some(Span::from_secs(90));
    check(&failed(CallFailure::Unclear { retry_after: told }), &[(2, "unclear +90 open"), (3, "unclear +90 open")]);
    let refused = [(2, "unclear 409 +0"), (3, "unclear 409 +0")];
    check(&failed(CallFailure::Refused(refusal(409, "key in use"))), &refused);
}

#[test]
fn the_payment_that_bears_the_key_is_taken() {
    let four = |text| [(2, text), (3, text), (4, text), (5, text)];
    check(&opened(said()), &four("created Hand never open"));
    check(&opened(Said { address: None, ..said() }), &four("no_deposit_address never open"));
    check(&opened(Said { amount: None, ..said() }), &four("no_deposit_address never open"));
    let other = Said { amount: Some(Amount::from_base_units(ASKED - 1)), ..said() };
    check(&opened(other), &four("terms_differ never open"));
    check(&Fact::SeveralListed(vec![id("a"), id("b")]), &four("several kept open"));
    for payout in &states()[2..6] {
        let step = told(payout, &opened(said())).unwrap();
        assert_eq!((step.payout.payment, step.payout.trouble), (Some(id("pay-1")), None));
        let mut wallet = payout.clone();
        wallet.wish.fund = FundBy::Wallet;
        assert_eq!(short(&wallet, &told(&wallet, &opened(said())).unwrap()), "created Due +0 open");
    }
}

#[test]
fn what_is_not_listed_is_called_again_and_only_once_the_call_is_over() {
    check(&Fact::NotListed, &[(2, "quoted +4"), (3, "same +1"), (4, "quoted +4"), (5, "refused never")]);
    check(
        &Fact::ListRefused(refusal(404, "no such recipient")),
        &[(2, "quoted +4 open"), (3, "quoted +4 open"), (4, "quoted +4 open"), (5, "refused never")],
    );
    let silent = Fact::AskFailed { retry_after: None, detail: "no answer".to_owned() };
    check(&silent, &[(2, "unclear +4 open"), (3, "unclear +4 open"), (4, "same +4 open"), (5, "same +4")]);
    // A conflict says that something is there, whatever the list says.
    let conflict = payout(State::Unclear { refusal: Some(refusal(409, "the key was used")) });
    assert_eq!(short(&conflict, &told(&conflict, &Fact::NotListed).unwrap()), "refused never open");
}

#[test]
fn a_refusal_that_speaks_of_the_quote_takes_another_a_few_times() {
    let refused = refusal(400, "Quote has expired");
    assert!(speaks_of_quote(&refused) && !speaks_of_quote(&refusal(400, "no such bank account")));
    let mut payout = payout(State::Unclear { refusal: Some(refused) });
    for spoilt in 1..MAX_SPOILT_QUOTES {
        let step = told(&payout, &Fact::NotListed).unwrap();
        assert_eq!((name(&step.payout.state).as_str(), step.payout.spoilt_quotes), ("placed", spoilt));
        payout.spoilt_quotes = spoilt;
    }
    let step = told(&payout, &Fact::NotListed).unwrap();
    assert_eq!(name(&step.payout.state), "no_usable_quote");
    assert!(
        matches!(step.payout.state, State::Review { why: PayoutReview::NoUsableQuote { last } } if last.contains("expired"))
    );
}

#[test]
fn orders_are_told_only_where_one_is_due() {
    check(&Fact::OrderPlaced(order()), &[(7, "created Order never open")]);
    let refused = |again| Fact::OrderRefused { why: "the limit".to_owned(), again };
    check(&refused(true), &[(7, "same +60 open")]);
    check(&refused(false), &[(7, "created Nobody never open")]);
}

#[test]
fn people_add_what_the_api_does_not_tell() {
    check(&Fact::Added, &[(11, "created Hand never open"), (12, "created Hand never open")]);
    for (place, expected) in [(11, "created Hand never open"), (12, "created Due +0 open")] {
        let mut payout = states().remove(place);
        payout.wish.fund = FundBy::Wallet;
        // What has other terms than were asked for is not funded because somebody wanted it watched.
        assert_eq!(short(&payout, &told(&payout, &Fact::Added).unwrap()), expected);
    }
}

#[test]
fn people_try_again_and_never_while_a_call_may_take_effect() {
    let looked = "unclear +0 open";
    check(
        &Fact::Retry,
        &[
            (0, "same +0"),
            (1, "same +0"),
            (7, "same +0 open"),
            (10, "placed +0"),
            (11, looked),
            (12, looked),
            (13, looked),
        ],
    );
    let mut payout = states().remove(10);
    payout.may_be_open = true;
    assert_eq!(short(&payout, &told(&payout, &Fact::Retry).unwrap()), looked);
}

#[test]
fn people_cancel_what_is_not_open_or_stays_unpaid() {
    let cancel = Fact::Cancel { reason: "no".to_owned() };
    let cancelled = "cancelled never";
    check(
        &cancel,
        &[
            (0, cancelled),
            (1, cancelled),
            (10, cancelled),
            (11, "cancelled never open"),
            (12, "cancelled never open"),
            (13, "cancelled never open"),
        ],
    );
    for place in [0, 1, 10] {
        let mut payout = states().remove(place);
        payout.may_be_open = true;
        assert_eq!(told(&payout, &cancel), None, "a call may have opened it: {:?}", payout.state);
    }
}

/// One of each fact.
pub(super) fn facts() -> Vec<Fact> {
    vec![
        Fact::Quoted(Box::new(quote(NOW, NOW + 600))),
        Fact::QuoteFailed { failure: CallFailure::NotNow { retry_after: None }, detail: String::new() },
        Fact::CallStarted,
        opened(said()),
        failed(CallFailure::Unclear { retry_after: None }),
        Fact::NotListed,
        Fact::ListRefused(refusal(404, "")),
        Fact::SeveralListed(vec![]),
        Fact::AskFailed { retry_after: None, detail: String::new() },
        Fact::FileLost { detail: String::new(), again: false },
        Fact::Added,
        Fact::OrderPlaced(order()),
        Fact::OrderRefused { why: String::new(), again: true },
        Fact::Retry,
        Fact::Cancel { reason: String::new() },
    ]
}

#[test]
fn the_key_and_the_wish_never_change() {
    let mut steps = 0;
    for payout in states() {
        for fact in &facts() {
            let Some(step) = told(&payout, fact) else { continue };
            steps += 1;
            let kept = |payout: &Payout| (payout.key.clone(), payout.wish.clone(), payout.reference.clone());
            assert_eq!(kept(&step.payout), kept(&payout));
            assert!(step.payout.attempts == payout.attempts + u32::from(*fact == Fact::CallStarted));
        }
    }
    assert!(steps > 35, "{steps}");
}

#[test]
fn a_quote_is_used_only_while_it_has_time_left() {
    let margin = Span::from_secs(60);
    // By the API's word, and no longer than it lives from when it was asked for: a clock that is late here does not help it.
    let mut late = quote(NOW, NOW + 600);
    late.asked_at = at(NOW - 1_000);
    let mut endless = quote(NOW, NOW);
    endless.quote.expires_at = None;
    let mut bare = quote(NOW, NOW + 700);
    bare.quote.created_at = None;
    let cases = [(quote(NOW, NOW + 600), 540), (bare, 640), (endless, 540)];
    for (taken, left) in cases {
        assert_eq!(usable_until(&taken, margin), at(NOW + left), "{taken:?}");
    }
    assert_eq!(usable_until(&late, margin), at(NOW - 1_000 + 540));
    for (expires_in, expected) in [(61, "creating +61"), (60, "placed +0"), (1, "placed +0")] {
        let payout = Payout { quote: Some(quote(NOW - 500, NOW + expires_in)), ..payout(State::Quoted) };
        assert_eq!(short(&payout, &told(&payout, &Fact::CallStarted).unwrap()), expected, "{expires_in}");
    }
    let payout = Payout { quote: None, ..payout(State::Quoted) };
    assert_eq!(short(&payout, &told(&payout, &Fact::CallStarted).unwrap()), "placed +0");
}

#[test]
fn quotes_that_come_too_late_are_asked_for_a_few_times() {
    let mut payout = payout(State::Placed);
    for spoilt in 1..=MAX_SPOILT_QUOTES {
        let step = told(&payout, &Fact::Quoted(Box::new(quote(NOW, NOW + 60)))).unwrap();
        let expected = if spoilt < MAX_SPOILT_QUOTES { "placed" } else { "no_usable_quote" };
        assert_eq!(name(&step.payout.state), expected);
        payout = Payout { state: State::Placed, ..step.payout };
    }
}

#[test]
fn a_quote_for_less_or_for_something_else_opens_nothing() {
    let least = |least: &str| {
        let mut payout = payout(State::Placed);
        payout.wish.min_destination_amount = Decimal::from_person(least).ok();
        payout
    };
    let taken = || quote(NOW, NOW + 600);
    for (given, expected) in [("1700", "quoted"), ("1699.99", "quoted"), ("1700.01", "pays_too_little")] {
        let step = told(&least(given), &Fact::Quoted(Box::new(taken()))).unwrap();
        assert_eq!(name(&step.payout.state), expected, "{given}");
        assert_eq!(step.payout.quote, Some(taken()), "what was offered is kept");
    }
    let mut silent = taken();
    silent.quote.rate.destination_amount = None;
    let step = told(&least("1"), &Fact::Quoted(Box::new(silent.clone()))).unwrap();
    let least_ = Decimal::from_person("1").unwrap();
    let why = PayoutReview::PaysTooLittle { pays: None, least: least_ };
    assert_eq!(step.payout.state, State::Review { why });
    assert_eq!(name(&told(&payout(State::Placed), &Fact::Quoted(Box::new(silent))).unwrap().payout.state), "quoted");
    let mut other = taken();
    other.quote.rate.source_amount = Some(Amount::from_base_units(ASKED + 1));
    let mut currency = taken();
    currency.quote.rate.destination_currency = Some("BRL".to_owned());
    for taken in [other, currency] {
        let step = told(&payout(State::Placed), &Fact::Quoted(Box::new(taken))).unwrap();
        assert_eq!(name(&step.payout.state), "quote_differs");
    }
}

#[test]
fn the_payment_is_held_against_what_was_asked() {
    let payout = payout(State::Creating { started_at: at(NOW) });
    let field = |said: Said| differing(&payout, &said, &params()).map(|(field, ..)| field);
    assert_eq!(field(said()), None);
    let bare = Said {
        kind: None,
        key: None,
        recipient: None,
        bank_account: None,
        address: None,
        amount: None,
        chain: None,
        currency: None,
        sender: None,
        ..said()
    };
    assert_eq!(field(bare), None, "what is left out contradicts nothing");
    let text = |text: &str| Some(text.to_owned());
    let amount = Amount::from_base_units(ASKED);
    let cases = [
        ("idempotencyKey", Said { key: text("another"), ..said() }),
        ("type", Said { kind: text("ON_RAMP"), ..said() }),
        ("recipientId", Said { recipient: RecipientId::new("rec-2").ok(), ..said() }),
        ("bankAccountId", Said { bank_account: BankAccountId::new("bank-2").ok(), ..said() }),
        ("depositAmount", Said { amount: Some(Amount::from_base_units(ASKED + 1)), ..said() }),
        ("depositChain", Said { chain: text("ethereum"), ..said() }),
        ("currency", Said { currency: text("USDT"), ..said() }),
        ("fromAddress", Said { sender: Some(HOME), ..said() }),
        ("depositAddress", Said { address: Some(USDC), ..said() }),
        ("depositAddress", Said { address: Some(ALICE), ..said() }),
        ("depositAddress", Said { address: Some(rampwatch::domain::chain::Address::ZERO), ..said() }),
        ("depositAddress", Said { known: Some((ALICE, amount)), ..said() }),
        ("depositAmount", Said { known: Some((HOME, Amount::from_base_units(1))), ..said() }),
    ];
    for (expected, said) in cases {
        assert_eq!(field(said.clone()).as_deref(), Some(expected), "{said:?}");
    }
    assert_eq!(field(Said { known: Some((HOME, amount)), ..said() }), None);
}

#[test]
fn s4_a_payment_is_of_one_payout_only() {
    let taken = Said { other: PayoutReference::new("other").ok(), ..said() };
    let (field, _, theirs) = differing(&payout(State::Placed), &taken, &params()).unwrap();
    assert!(field == "id" && theirs.contains("other"), "{field}: {theirs}");
    let calling = payout(State::Creating { started_at: at(NOW) });
    let refused = told(&calling, &Fact::Opened(Box::new(taken))).unwrap().payout;
    assert_eq!(refused.payment, None, "it is the other payout's, whatever a person decides about this one");
    assert!(matches!(refused.state, State::Review { why: PayoutReview::TermsDiffer { .. } }), "{:?}", refused.state);
    let cancelled = told(&refused, &Fact::Cancel { reason: "not ours".to_owned() }).unwrap();
    assert!(matches!(cancelled.payout.state, State::Cancelled { .. }), "what the API opened is known");
}

#[test]
fn a_call_that_begins_in_the_future_is_given_its_time_once_more() {
    let ahead = payout(State::Creating { started_at: at(NOW + 86_400) });
    let begun = told(&ahead, &Fact::NotListed).unwrap();
    let again = Some(at(NOW).plus(PACE.unclear_wait()));
    assert_eq!((begun.payout.state, begun.next_at), (State::Creating { started_at: at(NOW) }, again));
}
