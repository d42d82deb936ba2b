//! The records and alarms of telling people, one of every shape.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::desk::{DeskBody, DeskRecord};
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::notice::{
    Condition, ConditionName, Message, Notice, NoticeCursor, NoticeKind, NoticeState, notice_id,
};
use rampwatch::domain::wei::Wei;

use crate::support::records::{at, order_id, payment_id};

fn text(text: &str) -> String {
    text.to_owned()
}

fn notice(event: u64, kind: NoticeKind, state: NoticeState) -> DeskBody {
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
    DeskBody::Notice(Box::new(Notice { id: notice_id(event, at(event), &endpoint), endpoint, event, message, state }))
}

/// A record of every shape.
pub(super) fn records() -> Vec<DeskRecord> {
    let states = [
        (NoticeKind::Hold, NoticeState::Withheld, Some(at(9))),
        (NoticeKind::Review, NoticeState::Pending { attempts: 0, trouble: None }, Some(at(8))),
        (NoticeKind::Stall, NoticeState::Pending { attempts: 2, trouble: Some(text("HTTP 503")) }, Some(at(10))),
        (NoticeKind::Balance, NoticeState::Delivered { at: at(11), attempts: 1 }, None),
        (NoticeKind::Failure, NoticeState::GivenUp { at: at(12), attempts: 13, why: text("HTTP 500") }, None),
        (NoticeKind::Approval, NoticeState::Dropped { at: at(13) }, None),
        (NoticeKind::Completed, NoticeState::Delivered { at: at(14), attempts: 3 }, None),
    ];
    let mut all: Vec<DeskRecord> = (1..)
        .zip(states)
        .map(|(event, (kind, state, next_at))| DeskRecord::new(notice(event, kind, state), next_at))
        .collect();
    let cursor = |endpoint: &str, through| {
        DeskRecord::new(DeskBody::NoticeCursor(NoticeCursor { endpoint: text(endpoint), through }), None)
    };
    all.extend([cursor("new", None), cursor("treasury", Some(41))]);
    let names = [ConditionName::LowToken, ConditionName::LowNative, ConditionName::ChainUnread];
    all.extend(
        names
            .into_iter()
            .zip([None, Some(at(1)), Some(at(2))])
            .map(|(what, since)| DeskRecord::new(DeskBody::Condition(Condition { what, since }), None)),
    );
    all
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
        EventKind::DeskChanged { body: Box::new(told), why: text("was delivered to treasury") },
    ]
}
