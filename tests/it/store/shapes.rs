//! No shape is without a record in `golden.txt`. A new variant of one of these enums does not compile here until it is
//! named, and then fails until there is a record of it among the specimens.

use std::collections::BTreeSet;

use rampwatch::domain::address_pattern::AddressTally;
use rampwatch::domain::api_field::{ApiField, Unread};
use rampwatch::domain::candidate::{CandidateReason, CandidateState, Missing};
use rampwatch::domain::deposit::{BlockStatus, MatchRule, NothingReason, ReviewReason, Verdict};
use rampwatch::domain::event::{Alarm, EventKind, Reading, WalletChange};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::notice::{ConditionName, NoticeKind, NoticeState};
use rampwatch::domain::order::{
    ApprovalReason, AttemptKind, CancelReason, Effect, OrderOutcome, OrderState, Placer, Spend, UnsentReason,
};
use rampwatch::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentReview, PaymentState, Provenance};
use rampwatch::domain::payout::{Funding, PayoutReview, PayoutState};
use rampwatch::domain::record::{Record, RecordBody};
use rampwatch::domain::shadow::{ShadowAct, ShadowOutcome};
use rampwatch::domain::wallet::HaltReason;
use rampwatch::domain::webhook::AttemptState;

use super::{desk, funding, payouts, specimens};
use crate::support::records;

/// Fails unless the values have every variant of the enum among them.
macro_rules! every {
    ($values:expr => $shape:ident: $($variant:ident),* $(,)?) => {
        let values: Vec<$shape> = $values.into_iter().collect();
        let found: BTreeSet<&str> = values.iter().map(|value| match value {
            $($shape::$variant { .. } => stringify!($variant),)*
        }).collect();
        assert_eq!(found, BTreeSet::from([$(stringify!($variant)),*]), "specimens of {}", stringify!($shape));
    };
}

#[test]
fn payments_have_every_shape() {
    let payments = specimens::payments();
    let states = || payments.iter().map(|payment| payment.state.clone());
    every!(states() => PaymentState: Waiting, Seen, Due, Calling, Unclear, Following, Ended, Review);
    let outcomes = states().filter_map(|state| match state {
        PaymentState::Ended { outcome, .. } => Some(outcome),
        _ => None,
    });
    every!(outcomes => Outcome: Completed, Failed, Expired, Refunded, Cancelled);
    let reviews = states().filter_map(|state| match state {
        PaymentState::Review { why, .. } => Some(why),
        _ => None,
    });
    let unreadable = match unread_payment().state {
        PaymentState::Review { why, .. } => Some(why),
        _ => None,
    };
    every!(reviews.chain(unreadable) => PaymentReview:
        OtherHash, Refused, StillAwaiting, EndedWithMoney, TermsDiffer, GoneAfterFinal, NotFound, Unreadable);
    let sources = payments.iter().flat_map(|payment| [payment.terms.address_from, payment.terms.amount_from]);
    every!(sources => Provenance: Created, Api, Typed);
    assert!(payments.iter().any(|payment| payment.terms.bank_account.is_some()));
    assert!(payments.iter().filter_map(|payment| payment.api.as_ref()).any(|api| api.fee.is_some()));
}

#[test]
fn deposits_have_every_shape() {
    let deposits = specimens::deposits();
    let verdicts = || deposits.iter().map(|deposit| deposit.verdict.clone());
    every!(verdicts() => Verdict: Unjudged, Pays, Nothing, Review, Ignored);
    let rules = verdicts().filter_map(|verdict| match verdict {
        Verdict::Pays { rule, .. } => Some(rule),
        _ => None,
    });
    every!(rules => MatchRule: Exact, Tolerance, Sender, OwnTransfer, Assigned);
    let nothing = verdicts().filter_map(|verdict| match verdict {
        Verdict::Nothing { why } => Some(why),
        _ => None,
    });
    every!(nothing => NothingReason: ZeroValue, SelfTransfer, WalletCredit, Dust);
    assert!(deposits.iter().any(|deposit| deposit.tally.is_some()));
    let reviews = verdicts().filter_map(|verdict| match verdict {
        Verdict::Review { why } => Some(why),
        _ => None,
    });
    every!(reviews => ReviewReason:
        WrongToken, Under, Over, Split, Ambiguous, NoFit, SecondDeposit, Replaced, Early, Late, PaymentEnded, NoPayment,
        GoneAfterFinal);
    every!(deposits.iter().map(|deposit| deposit.standing) => BlockStatus: Provisional, Final, Gone);
}

#[test]
fn orders_have_every_shape() {
    let orders = funding::orders();
    let states = || orders.iter().map(|order| order.state.clone());
    every!(states() => OrderState: AwaitingApproval, Ready, Held, Sending, Cancelling, Mined, Ended);
    let approvals = states().filter_map(|state| match state {
        OrderState::AwaitingApproval { why } => Some(why),
        _ => None,
    });
    every!(approvals => ApprovalReason:
        AboveAmount, TypedAddress, TypedAmount, ExpiryUnknown, Reverted, TypedRecipient, TypedExpiry, AbovePerDay);
    let holds = states().filter_map(|state| match state {
        OrderState::Held { why } => Some(why),
        _ => None,
    });
    every!(holds => Hold:
        ApiUnavailable, ApiStatus, EndUnconfirmed, ApiHasHash, TermsDiffer, PaymentState, TimeShort, OtherSender, MoneyThere, NotReadYet, OwnTransferSeen,
        PaymentEnded, ClockBehind,
        TokenPaused, WalletBlacklisted, RecipientBlacklisted, RecipientForbidden, TokenShort, NativeShort, CallFails,
        GasTooHigh, FeeCeiling, TooManyAttempts, ChainUnavailable, NodeRefuses, WalletPaused, WalletHalted, Signer,
        Policy, ApprovalMissing);
    let names: Vec<&str> = funding::holds().iter().map(Hold::name).collect();
    assert_eq!(BTreeSet::from_iter(names), Hold::NAMES.iter().copied().collect(), "the metrics show every hold");
    let cancels = states().filter_map(|state| match state {
        OrderState::Cancelling { why, .. } => Some(why),
        _ => None,
    });
    every!(cancels => CancelReason: Person, Hold);
    let effects = states().filter_map(|state| match state {
        OrderState::Mined { effect, .. } => Some(effect),
        _ => None,
    });
    every!(effects => Effect: Paid, Reverted, MovedNothing, SelfSent);
    let outcomes = || {
        states().filter_map(|state| match state {
            OrderState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        })
    };
    every!(outcomes() => OrderOutcome: Paid, SelfSent, Reverted, MovedNothing, Unsent, Displaced);
    let unsent = outcomes().filter_map(|outcome| match outcome {
        OrderOutcome::Unsent { why } => Some(why),
        _ => None,
    });
    every!(unsent => UnsentReason: Rejected, Cancelled, NotPayable, ApprovalExpired);
    every!(orders.iter().map(|order| order.placed_by) => Placer: Person, Auto);
    assert!(orders.iter().any(|order| order.placed_by_name.is_some() && order.approved_by.is_some()));
    every!(orders.iter().map(|order| order.spend) => Spend: Counted, GivenBack);
    let attempts = orders.iter().flat_map(|order| &order.attempts);
    every!(attempts.map(|attempt| attempt.kind) => AttemptKind: Transfer, SelfSend);
}

#[test]
fn records_of_the_desk_have_every_shape() {
    let bodies = desk::records().into_iter().map(|record| record.body).chain([tally()]);
    every!(bodies => RecordBody:
        Webhook, WebhookAttempt, Candidate, Payout, Notice, NoticeCursor, Condition, Shadow, Dispute, Exclusion,
        Addresses);
    let shadows = desk::shadows();
    every!(shadows.iter().map(|shadow| shadow.act.clone()) => ShadowAct: Complete, Send, Create);
    every!(shadows.iter().filter_map(|shadow| shadow.outcome.clone()) => ShadowOutcome:
        Agreed, Differed, Unnamed, NotDone, TakenOver);
    every!(payouts::states() => PayoutState: Placed, Quoted, Creating, Unclear, Created, Review, Cancelled);
    every!(payouts::reviews() => PayoutReview:
        QuoteRefused, PaysTooLittle, QuoteDiffers, NoUsableQuote, Refused, FileLost, TermsDiffer, NoDepositAddress, Several);
    let fundings = payouts::states().into_iter().filter_map(|state| match state {
        PayoutState::Created { funding } => Some(funding),
        _ => None,
    });
    every!(fundings => Funding: Hand, Due, Order, Nobody);
    let candidates = desk::candidates();
    every!(candidates.iter().map(|candidate| candidate.why.clone()) => CandidateReason: Incomplete, OtherCurrency, Disagrees, Unusable);
    every!(candidates.iter().map(|candidate| candidate.state.clone()) => CandidateState: Open, Added, Gone, Dismissed);
    let missing = candidates.iter().flat_map(|candidate| match &candidate.why {
        CandidateReason::Incomplete { missing } => missing.clone(),
        _ => Vec::new(),
    });
    every!(missing => Missing: Recipient, DepositAddress, Amount, CreatedAt);
    every!(desk::attempt_states() => AttemptState: Calling, Registered, Refused, Unclear);
    let bodies = || desk::records().into_iter().map(|record| record.body);
    let notices = || {
        bodies().filter_map(|body| match body {
            RecordBody::Notice(notice) => Some(*notice),
            _ => None,
        })
    };
    every!(notices().map(|notice| notice.state) => NoticeState: Withheld, Pending, Delivered, GivenUp, Dropped);
    every!(notices().map(|notice| notice.message.kind) => NoticeKind:
        Review, Approval, Hold, Stall, Balance, Failure, Completed);
    let conditions = bodies().filter_map(|body| match body {
        RecordBody::Condition(condition) => Some(condition.what),
        _ => None,
    });
    let conditions = conditions.chain([ConditionName::ApiUnanswered]);
    every!(conditions => ConditionName: LowToken, LowNative, ChainUnread, ApiUnanswered);
    assert_eq!(serde_json::to_string(&ConditionName::ApiUnanswered).unwrap(), "\"api_unanswered\"");
}

/// What is on disk outlives the program: these must be read for ever.
#[test]
fn kinds_that_came_later_are_stored_like_this() {
    let stored = [
        r#"{"event":"alarm","alarm":{"alarm":"endpoint_contradicts","endpoint":"one","said":"tomorrow"}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"endpoint_stalled","endpoint":"two","said":"9"}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"coverage_above_head","addresses":3,"covered":90,"head":9}}"#,
        r#"{"event":"endpoint_back","endpoint":"one"}"#,
        r#"{"event":"alarm","alarm":{"alarm":"operators_disagree","about":"order pay-000001:1","deadline":null}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"agreement_missing","about":"payment pay-000001","deadline":1790000000090}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"auto_unlimited"}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"not_listening","setting":"http.listen","said":"in use"}}"#,
        r#"{"event":"listener_back","setting":"http.listen"}"#,
        r#"{"event":"alarm","alarm":{"alarm":"record_unreadable","record":"payment pay-000001","why":"EOF"}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"address_pattern","recipient":"rec-000001","address":"0x0000000000000000000000000000000000000001","broken":"new_among_fixed"}}"#,
        r#"{"event":"deposits_counted","tally":{"count":20000,"sum":"20001","most":"2","ignored":"7","from":100,"through":200,"second_to":0,"last_tx":"0x0000000000000000000000000000000000000000000000000000000000000009","last_at":1790000000009}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"standstill","what":"head","since":1790000000007,"detail":"it is 9"}}"#,
        r#"{"event":"stall_over","what":"unread","since":1790000000007}"#,
        r#"{"event":"alarm","alarm":{"alarm":"store_incomplete","held":8,"acknowledged":9}}"#,
        r#"{"event":"wallet_changed","address":"0x0000000000000000000000000000000000000001","change":{"is":"halted","why":{"reason":"store_incomplete","held":8,"acknowledged":null}}}"#,
        r#"{"event":"alarm","alarm":{"alarm":"api_unanswered","since":1790000000001,"about":"pay-000001","detail":"no id"}}"#,
        r#"{"event":"deposit_stands","standing":{"is":"provisional"},"block":{"number":1,"hash":"0x0000000000000000000000000000000000000000000000000000000000000001"},"canonical":null,"made_at":1790000000009}"#,
    ];
    let kinds = specimens::later_kinds();
    let written: Vec<String> = kinds.iter().map(|kind| serde_json::to_string(kind).unwrap()).collect();
    assert_eq!(written, stored);
    let read: Vec<EventKind> = stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(read, kinds);
}

/// A payment whose API answers have a field that cannot be read, which came after the stored forms were written down.
fn unread_payment() -> Payment {
    let unread = Unread::new(ApiField::DepositAmount, "1000.1000000000001");
    let (field, said) = (unread.field, unread.said.clone());
    let why = PaymentReview::Unreadable { field, said };
    let as_of = records::at(8);
    let view = ApiView { status: ApiStatus::AwaitingFunds, tx_hash: None, as_of, fee: None, unread: vec![unread] };
    let state = PaymentState::Review { why, deposit: None };
    Payment { state, api: Some(view), vouched: vec![ApiField::DepositChain], ..records::payment(1) }
}

#[test]
fn fields_that_cannot_be_read_are_stored_like_this() {
    let payment = serde_json::to_value(unread_payment()).unwrap();
    let state = r#"{"is":"review","why":{"reason":"unreadable","field":"depositAmount","said":"1000.1000000000001"},"deposit":null}"#;
    assert_eq!(payment["state"], serde_json::from_str::<serde_json::Value>(state).unwrap());
    let unread = r#"[{"field":"depositAmount","said":"1000.1000000000001"}]"#;
    assert_eq!(payment["api"]["unread"], serde_json::from_str::<serde_json::Value>(unread).unwrap());
    assert_eq!(payment["vouched"], serde_json::json!(["depositChain"]));
    assert_eq!(serde_json::from_value::<Payment>(payment).unwrap(), unread_payment());
    let before = serde_json::to_string(&records::payment(1)).unwrap();
    assert!(!before.contains("unread") && !before.contains("vouched"), "what has none of them is stored as before");
}

/// A kind of body that came after the stored forms were written down.
fn tally() -> RecordBody {
    RecordBody::Addresses(AddressTally { recipient: "rec-000001".parse().unwrap(), fresh: 5, repeated: 0 })
}

#[test]
fn a_tally_of_addresses_is_stored_like_this() {
    let stored =
        r#"{"version":1,"next_at":null,"body":{"kind":"addresses","recipient":"rec-000001","fresh":5,"repeated":0}}"#;
    let record = Record { version: 1, next_at: None, body: tally() };
    assert_eq!(serde_json::to_string(&record).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Record>(stored).unwrap(), record);
}

#[test]
fn events_have_every_shape() {
    let events = specimens::events();
    let kinds = || events.iter().map(|event| event.kind.clone()).chain(specimens::later_kinds());
    every!(kinds() => EventKind:
        PaymentAdded, PaymentMoved, ApiReported, DepositSeen, DepositJudged, DepositStands, DepositsCounted, PersonDecided, FinalityMoved,
        Alarm, AddressPlaced, AddressClosed, EndpointBack, ListenerBack, StallOver, OrderPlaced, OrderMoved, AttemptSigned, AttemptSent, AttemptMined,
        WalletChanged, RecordChanged);
    let alarms = kinds().filter_map(|kind| match kind {
        EventKind::Alarm { alarm } => Some(alarm),
        _ => None,
    });
    every!(alarms => Alarm:
        GoneAfterFinal, MissedByFirstReading, LogWithheld, MalformedLog, FinalityStalled, KeyRefused, FundingStuck,
        MovedNothing, WalletHalted, LowToken, LowNative, OperatorsDisagree, AgreementMissing, ChainUnread,
        EndpointContradicts, EndpointStalled, CoverageAboveHead, AutoUnlimited, NotListening, RecordUnreadable,
        AddressPattern, Standstill, StoreIncomplete, ApiUnanswered);
    let readings = kinds().filter_map(|kind| match kind {
        EventKind::DepositSeen { reading, .. } => Some(reading),
        _ => None,
    });
    every!(readings => Reading: Sweep, Second);
    let changes = || {
        kinds().filter_map(|kind| match kind {
            EventKind::WalletChanged { change, .. } => Some(change),
            _ => None,
        })
    };
    every!(changes() => WalletChange: Opened, Paused, Resumed, Halted, Adopted);
    let halts = changes().filter_map(|change| match change {
        WalletChange::Halted { why } => Some(why),
        _ => None,
    });
    every!(halts => HaltReason: UsedBefore, UsedElsewhere, NonceTaken, OtherWallet, StoreIncomplete);
}
