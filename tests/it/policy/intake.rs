//! Which of the off-ramps that the API lists are taken up, which wait for a person, and which are left alone.

use std::collections::BTreeSet;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::api_field::ApiField;
use rampwatch::domain::candidate::{Candidate, CandidateReason, CandidateState, Missing};
use rampwatch::domain::payment::{ApiStatus, ApiView, PaymentState, RecipientId};
use rampwatch::domain::time::Span;
use rampwatch::policy::intake::{
    Home, Judged, Known, Left, Own, Sorted, Told, ask_at, found, heard, judge, merged, over, sort,
};
use rampwatch::policy::retry::Jitter;

use super::samples::*;

fn home() -> Home {
    Home { chain: "polygon".to_owned(), currency: "USDC".to_owned() }
}

fn rec(id: &str) -> RecipientId {
    RecipientId::new(id).unwrap()
}

/// An off-ramp of which the API tells everything.
fn whole() -> Told {
    Told {
        kind: Some("OFF_RAMP".to_owned()),
        status: ApiStatus::AwaitingFunds,
        tx_hash: None,
        idempotency_key: Some("theirs".to_owned()),
        recipient_id: Some(rec("rec-1")),
        deposit_address: Some(HOME),
        amount: Some(Amount::from_base_units(ASKED)),
        chain: Some("POLYGON".to_owned()),
        currency: Some("usdc".to_owned()),
        created_at: Some(at(CREATED)),
        unread: Vec::new(),
        expires_at: Some(at(EXPIRY)),
    }
}

/// One of which it tells only what the reference lists.
fn bare() -> Told {
    Told { kind: None, recipient_id: None, deposit_address: None, amount: None, chain: None, currency: None, ..whole() }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn lead_in(state: CandidateState) -> Candidate {
    let why = CandidateReason::Incomplete { missing: vec![Missing::DepositAddress] };
    let told = Told { deposit_address: None, ..whole() };
    Candidate { state, ..found(id("p"), &told, None, why, at(NOW)) }
}

#[test]
fn what_is_not_known_is_asked_after_unless_it_is_plainly_not_ours() {
    let cases = [
        (whole(), Sorted::Ask),
        (bare(), Sorted::Ask),
        (Told { kind: text("ON_RAMP"), ..whole() }, Sorted::Leave(Left::OtherKind)),
        (Told { kind: text("SWAP"), ..whole() }, Sorted::Leave(Left::OtherKind)),
        (Told { kind: None, ..whole() }, Sorted::Ask),
        (Told { status: ApiStatus::Processing, ..whole() }, Sorted::Leave(Left::MovedOn)),
        (Told { status: ApiStatus::Completed, ..whole() }, Sorted::Leave(Left::MovedOn)),
        (Told { status: ApiStatus::Other("NEW".to_owned()), ..whole() }, Sorted::Leave(Left::MovedOn)),
        (Told { tx_hash: text("0xabc"), ..whole() }, Sorted::Leave(Left::MovedOn)),
        (Told { chain: text("ethereum"), ..whole() }, Sorted::Leave(Left::OtherChain)),
        (Told { currency: text("USDT"), chain: None, ..whole() }, Sorted::Leave(Left::OtherCurrency)),
        (Told { currency: text("USDT"), ..whole() }, Sorted::Ask),
        (Told { chain: text(" Polygon "), ..whole() }, Sorted::Ask),
    ];
    for (listed, expected) in cases {
        assert_eq!(sort(&listed, Known::Nothing, &home()), expected, "{listed:?}");
    }
}

#[test]
fn what_is_known_is_not_touched_and_news_only_wakes() {
    let view =
        |status: ApiStatus, tx_hash| Some(ApiView { status, tx_hash, as_of: at(NOW), fee: None, unread: Vec::new() });
    let deposit = deposit(1, ASKED).key;
    let moved = Told { status: ApiStatus::Processing, tx_hash: text("0xabc"), ..whole() };
    let awaiting = view(ApiStatus::AwaitingFunds, None);
    let cases = [
        (PaymentState::Waiting, awaiting.clone(), &whole(), Sorted::Leave(Left::Known)),
        (PaymentState::Waiting, awaiting.clone(), &moved, Sorted::Wake),
        (PaymentState::Waiting, None, &whole(), Sorted::Wake),
        (PaymentState::Seen { deposit }, awaiting.clone(), &moved, Sorted::Wake),
        (PaymentState::Following { deposit: None }, awaiting.clone(), &moved, Sorted::Wake),
        (
            PaymentState::Following { deposit: None },
            view(ApiStatus::Processing, text("0xabc")),
            &moved,
            Sorted::Leave(Left::Known),
        ),
        (PaymentState::Due { deposit, attempt: 0 }, awaiting.clone(), &moved, Sorted::Leave(Left::Known)),
        (
            PaymentState::Calling { deposit, attempt: 1, started_at: at(NOW) },
            awaiting.clone(),
            &moved,
            Sorted::Leave(Left::Known),
        ),
        (
            PaymentState::Unclear { deposit, attempt: 1, refusal: None },
            awaiting.clone(),
            &moved,
            Sorted::Leave(Left::Known),
        ),
        (
            PaymentState::Ended { outcome: rampwatch::domain::payment::Outcome::Expired, at: at(NOW) },
            awaiting,
            &moved,
            Sorted::Leave(Left::Known),
        ),
    ];
    for (state, api, listed, expected) in cases {
        let payment = rampwatch::domain::payment::Payment { state, api, ..payment("p") };
        assert_eq!(sort(listed, Known::Payment(&payment), &home()), expected, "{:?}", payment.state);
    }
}

#[test]
fn a_lead_is_asked_after_when_the_list_tells_something_new() {
    let open = || lead_in(CandidateState::Open);
    let dismissed = lead_in(CandidateState::Dismissed { reason: "no".to_owned() });
    let quiet = Told { deposit_address: None, ..whole() };
    let moved = Told { status: ApiStatus::Expired, ..quiet.clone() };
    let cases = [
        (open(), &quiet, Sorted::Leave(Left::Known)),
        (open(), &whole(), Sorted::Ask),
        (open(), &moved, Sorted::Ask),
        (lead_in(CandidateState::Gone), &quiet, Sorted::Ask),
        (lead_in(CandidateState::Gone), &moved, Sorted::Leave(Left::Known)),
        (lead_in(CandidateState::Added), &quiet, Sorted::Leave(Left::Known)),
        (dismissed.clone(), &whole(), Sorted::Leave(Left::Dismissed)),
        (dismissed, &moved, Sorted::Leave(Left::Dismissed)),
    ];
    for (candidate, listed, expected) in cases {
        assert_eq!(sort(listed, Known::Candidate(&candidate), &home()), expected, "{candidate:?} {listed:?}");
    }
}

#[test]
fn what_says_everything_is_taken_up_and_what_lacks_something_is_asked_of_a_person() {
    use Missing::{Amount as HowMuch, CreatedAt, DepositAddress, Recipient};
    let lacks = |missing: &[Missing]| Judged::Ask(CandidateReason::Incomplete { missing: missing.to_vec() });
    let take_up = |id| Judged::TakeUp(rec(id));
    let from = rec("rec-1");
    let silent = bare();
    let cases: Vec<(Told, Told, Option<&RecipientId>, Judged)> = vec![
        (whole(), whole(), None, take_up("rec-1")),
        (whole(), whole(), Some(&from), take_up("rec-1")),
        (whole(), silent.clone(), None, take_up("rec-1")),
        (silent.clone(), whole(), None, take_up("rec-1")),
        (silent.clone(), silent.clone(), None, lacks(&[Recipient, DepositAddress, HowMuch])),
        (silent.clone(), silent.clone(), Some(&from), lacks(&[DepositAddress, HowMuch])),
        (whole(), Told { created_at: None, ..whole() }, None, take_up("rec-1")),
        (Told { created_at: None, ..whole() }, Told { created_at: None, ..whole() }, None, lacks(&[CreatedAt])),
        (silent.clone(), Told { recipient_id: None, ..whole() }, None, lacks(&[Recipient])),
        (silent.clone(), Told { recipient_id: None, ..whole() }, Some(&from), take_up("rec-1")),
        (silent.clone(), Told { amount: None, ..whole() }, None, lacks(&[HowMuch])),
        (whole(), Told { status: ApiStatus::Pending, ..whole() }, None, Judged::Leave(Left::MovedOn)),
        (whole(), Told { kind: text("ON_RAMP"), ..whole() }, None, Judged::Leave(Left::OtherKind)),
        (bare(), Told { chain: text("base"), ..whole() }, None, Judged::Leave(Left::OtherChain)),
        (bare(), Told { currency: text("EURC"), chain: None, ..whole() }, None, Judged::Leave(Left::OtherCurrency)),
        (
            whole(),
            Told { currency: text("USDT"), ..whole() },
            None,
            Judged::Ask(CandidateReason::OtherCurrency { currency: "USDT".to_owned() }),
        ),
    ];
    for (listed, told, whose, expected) in cases {
        assert_eq!(judge(&listed, &told, whose, &Own::default(), &home()), expected, "{listed:?} {told:?} {whose:?}");
    }
}

#[test]
fn contradictions_are_never_resolved_by_picking_one() {
    let disagrees = |field: &str, listed: &str, told: &str| {
        let (field, listed, told) = (field.to_owned(), listed.to_owned(), told.to_owned());
        Judged::Ask(CandidateReason::Disagrees { field, listed, told })
    };
    let (one, two) = (rec("rec-1"), rec("rec-2"));
    let more = Amount::from_base_units(ASKED + 1);
    let other = |told: Told| judge(&whole(), &told, None, &Own::default(), &home());
    let (home_text, alice) = (HOME.to_string(), ALICE.to_string());
    assert_eq!(
        other(Told { deposit_address: Some(ALICE), ..whole() }),
        disagrees("depositAddress", &home_text, &alice)
    );
    assert_eq!(other(Told { amount: Some(more), ..whole() }), disagrees("depositAmount", "100000000", "100000001"));
    assert_eq!(other(Told { recipient_id: Some(two.clone()), ..whole() }), disagrees("recipientId", "rec-1", "rec-2"));
    assert_eq!(
        judge(&whole(), &whole(), Some(&two), &Own::default(), &home()),
        disagrees("recipientId", "rec-2", "rec-1")
    );
    let silent = Told { recipient_id: None, ..whole() };
    let told = Told { recipient_id: Some(two), ..whole() };
    assert_eq!(judge(&silent, &told, Some(&one), &Own::default(), &home()), disagrees("recipientId", "rec-1", "rec-2"));
}

#[test]
fn what_is_being_opened_here_is_left_to_whoever_opens_it() {
    let own = Own { keys: BTreeSet::from(["ours".to_owned()]), opening_for: BTreeSet::from([rec("rec-1")]) };
    let keyed = |key: &str| Told { idempotency_key: text(key), ..whole() };
    let keyless = Told { idempotency_key: None, ..whole() };
    let nobodys = Told { recipient_id: None, ..keyless.clone() };
    let opening = Judged::Leave(Left::Opening);
    let of = |told: &Told, own: &Own| judge(told, told, None, own, &home());
    assert_eq!(of(&keyed("ours"), &own), opening);
    assert_eq!(of(&keyed("theirs"), &own), Judged::TakeUp(rec("rec-1")));
    assert_eq!(of(&keyless, &own), opening, "without a key it may be the one that is being opened");
    assert_eq!(of(&nobodys, &own), opening);
    assert_eq!(of(&Told { recipient_id: Some(rec("rec-9")), ..keyless.clone() }, &own), Judged::TakeUp(rec("rec-9")));
    let settled = Own { opening_for: BTreeSet::new(), ..own };
    assert_eq!(of(&keyless, &settled), Judged::TakeUp(rec("rec-1")));
    let listed = keyed("ours");
    assert_eq!(judge(&listed, &keyless, None, &settled, &home()), opening, "the list's word on the key counts too");
}

#[test]
fn the_payments_own_word_goes_before_the_lists() {
    let told = Told { status: ApiStatus::Expired, tx_hash: text("0x1"), deposit_address: Some(ALICE), ..bare() };
    let both = merged(&whole(), &told);
    assert_eq!((both.status, both.tx_hash, both.deposit_address), (ApiStatus::Expired, text("0x1"), Some(ALICE)));
    assert_eq!((both.amount, both.recipient_id, both.chain), (whole().amount, whole().recipient_id, whole().chain));
}

#[test]
fn a_lead_is_told_once_and_again_only_for_news() {
    let open = lead_in(CandidateState::Open);
    let (same, news) = heard(&open, Candidate { found_at: at(NOW + 9), ..open.clone() });
    assert_eq!((same.found_at, news), (at(NOW), None));
    let why = CandidateReason::Incomplete { missing: vec![Missing::Amount] };
    let (_, news) = heard(&open, Candidate { why, ..open.clone() });
    assert_eq!(news.as_deref(), Some("is told otherwise by the API"));
    let (again, news) = heard(&lead_in(CandidateState::Gone), open.clone());
    assert_eq!((again.state, news.as_deref()), (CandidateState::Open, Some("waits for funds again, and for a person")));
    let gone = Candidate { status: ApiStatus::Expired, ..lead_in(CandidateState::Gone) };
    assert_eq!(over(&gone, Left::MovedOn), "is over: the API says \"EXPIRED\"");
    assert_eq!(over(&gone, Left::OtherChain), "is over: the API says that it is on another chain");
}

#[test]
fn open_leads_are_asked_after_as_payments_that_wait_are() {
    let candidate = lead_in(CandidateState::Open);
    let later = |candidate: &Candidate, now: u64, told| {
        ask_at(candidate, at(now), &PACE, Jitter(0), told).since(at(now)).as_secs()
    };
    assert_eq!(later(&candidate, NOW, None), 600);
    assert_eq!(later(&candidate, EXPIRY - 60, None), 90, "just after it runs out");
    let failed = Candidate { failures: 3, ..candidate };
    assert_eq!(later(&failed, NOW, None), 4);
    assert_eq!(later(&failed, NOW, Some(Span::from_secs(70))), 70);
}

/// The list's word does not stand in for what the payment itself says and nobody can read.
#[test]
fn r3_what_the_payment_says_unreadably_is_not_taken_from_the_list() {
    let listed = whole();
    let told = Told { amount: None, unread: vec![ApiField::DepositAmount], ..whole() };
    assert_eq!(merged(&listed, &told).amount, None);
    assert_eq!(merged(&listed, &Told { amount: None, ..whole() }).amount, listed.amount, "where it is silent it does");
    assert_eq!(merged(&listed, &told).deposit_address, listed.deposit_address);
}
