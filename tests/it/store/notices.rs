//! The records and alarms of telling people, one of every shape.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{B256, BlockRef};
use rampwatch::domain::dispute::{Dispute, DisputeEnd, DisputeKind, Exclusion, Matter, Trust};
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::notice::{
    Condition, ConditionName, Message, Notice, NoticeCursor, NoticeKind, NoticeState, notice_id,
};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::record::{Record, RecordBody};
use rampwatch::domain::testimony::Said;
use rampwatch::domain::wei::Wei;

use crate::support::records::{at, order_id, payment_id};

fn text(text: &str) -> String {
    text.to_owned()
}

fn notice(event: u64, kind: NoticeKind, state: NoticeState) -> RecordBody {
    let endpoint = text("treasury");
    let message = Message {
        kind,
        at: at(event),
        title: text("A payment needs a decision"),
        text: vec![text("The API refused the completion with HTTP 422 (\"no\").")],
        remedies: vec![text("rampwatch resolve retry --reason '…' pay-000001")],
        payment: Some(payment_id(1)),
        order: event.is_multiple_of(2).then(|| order_id(1, 1)),
    };
    RecordBody::Notice(Box::new(Notice { id: notice_id(event, at(event), &endpoint), endpoint, event, message, state }))
}

/// A record of every shape.
pub(super) fn records() -> Vec<Record> {
    let states = [
        (NoticeKind::Hold, NoticeState::Withheld, Some(at(9))),
        (NoticeKind::Review, NoticeState::Pending { attempts: 0, trouble: None }, Some(at(8))),
        (NoticeKind::Stall, NoticeState::Pending { attempts: 2, trouble: Some(text("HTTP 503")) }, Some(at(10))),
        (NoticeKind::Balance, NoticeState::Delivered { at: at(11), attempts: 1 }, None),
        (NoticeKind::Failure, NoticeState::GivenUp { at: at(12), attempts: 13, why: text("HTTP 500") }, None),
        (NoticeKind::Approval, NoticeState::Dropped { at: at(13) }, None),
        (NoticeKind::Completed, NoticeState::Delivered { at: at(14), attempts: 3 }, None),
    ];
    let mut all: Vec<Record> = (1..)
        .zip(states)
        .map(|(event, (kind, state, next_at))| Record::new(notice(event, kind, state), next_at))
        .collect();
    let cursor = |endpoint: &str, through| {
        Record::new(RecordBody::NoticeCursor(NoticeCursor { endpoint: text(endpoint), through }), None)
    };
    all.extend([cursor("new", None), cursor("treasury", Some(41))]);
    let names = [ConditionName::LowToken, ConditionName::LowNative, ConditionName::ChainUnread];
    all.extend(
        names
            .into_iter()
            .zip([None, Some(at(1)), Some(at(2))])
            .map(|(what, since)| Record::new(RecordBody::Condition(Condition { what, since }), None)),
    );
    all
}

/// A dispute of every kind, and an endpoint that was excluded.
pub(super) fn disputes() -> Vec<Record> {
    let said = |operator: &str, words: &str| Said {
        operator: Operator::named(operator),
        endpoint: operator.to_owned(),
        words: text(words),
    };
    let dispute = |matter, kind_of, ended: Option<&str>| {
        let trust = Trust { operator: Operator::named("b"), by: Some(actor()), reason: text("seen"), at: at(5) };
        let next_at = ended.is_none().then_some(at(3));
        let body = RecordBody::Dispute(Box::new(Dispute {
            matter,
            tx_hash: B256::repeat_byte(7),
            block: BlockRef { number: 9, hash: B256::repeat_byte(8) },
            kind_of,
            since: at(3),
            said: vec![said("a", "failed in block 9"), said("b", "no receipt; head 12, finalized 8")],
            deadline: Some(at(90)),
            trusted: ended.map(|_| trust),
            ended: ended.map(|how| DisputeEnd { at: at(6), how: text(how) }),
        }));
        Record::new(body, next_at)
    };
    let excluded =
        Exclusion { endpoint: text("a"), excluded: true, by: Some(actor()), reason: text("it lies"), at: at(4) };
    vec![
        dispute(Matter::Payment(payment_id(1)), DisputeKind::Silence, None),
        dispute(Matter::Order(order_id(1, 1)), DisputeKind::Contradiction, Some("the operators agree")),
        Record::new(RecordBody::Exclusion(excluded), None),
    ]
}

fn actor() -> Actor {
    Actor::new("alice").expect("a name")
}

/// Events about them.
pub(super) fn kinds() -> Vec<EventKind> {
    let alarm = |alarm| EventKind::Alarm { alarm };
    let units = Amount::from_base_units;
    let told = notice(1, NoticeKind::Review, NoticeState::Delivered { at: at(11), attempts: 1 });
    vec![
        alarm(Alarm::LowToken { have: units(5), mark: units(6) }),
        alarm(Alarm::LowNative { have: Wei::new(7), mark: Wei::new(8) }),
        alarm(Alarm::ChainUnread { since: at(1), detail: text("nobody home") }),
        EventKind::RecordChanged { body: Box::new(told), why: text("was delivered to treasury") },
    ]
}
