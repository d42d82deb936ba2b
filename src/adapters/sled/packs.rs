//! Events as they are stored: those that follow each other share a record, because each further key costs the writer more than
//! a few hundred further bytes.
//!
//! A record bears the number of its last event. One event alone is stored as itself, several as a list in their order; so
//! what was written when each event had a record of its own is read as it is.

use ::sled::IVec;

use super::keys;
use super::reader::number_of;
use super::records::{PreparedEvent, decode};
use crate::domain::event::{Event, Recorded};
use crate::ports::store::StoreError;

/// A record takes no further event beyond so many bytes. Whoever looks for one event reads those beside it.
const PACK_BYTES: usize = 4 << 10;

/// An event record that is ready to be stored.
pub(super) struct Pack {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// The index entries of what its events are about, each once.
    pub(super) entries: Vec<Vec<u8>>,
}

/// Numbers the events from above `last` on, and puts them into records.
pub(super) fn pack(mut last: u64, events: &[PreparedEvent]) -> Vec<Pack> {
    let mut packs = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let (some, others) = rest.split_at(fitting(rest));
        rest = others;
        // The writer has made sure that there are numbers left.
        last = last.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
        let mut entries: Vec<Vec<u8>> =
            some.iter().flat_map(|event| &event.subjects).map(|subject| keys::numbered(subject, last)).collect();
        entries.sort_unstable();
        entries.dedup();
        packs.push(Pack { key: keys::event(last), value: joined(some), entries });
    }
    packs
}

/// How many of the events go into one record; at least one does.
fn fitting(events: &[PreparedEvent]) -> usize {
    let mut bytes = 0_usize;
    let fit = events.iter().take_while(|event| {
        bytes = bytes.saturating_add(event.value.len()).saturating_add(1);
        bytes < PACK_BYTES
    });
    fit.count().max(1)
}

fn joined(events: &[PreparedEvent]) -> Vec<u8> {
    if let [alone] = events {
        return alone.value.clone();
    }
    let values: Vec<&[u8]> = events.iter().map(|event| event.value.as_slice()).collect();
    [b"[".as_slice(), &values.join(&b','), b"]"].concat()
}

/// The events of a record, in their order.
///
/// # Errors
/// [`StoreError::Corrupt`] when the key has no number, the bytes cannot be read, or there are more events in them than the
/// number allows.
pub(super) fn unpack(key: &IVec, value: &[u8]) -> Result<Vec<Recorded>, StoreError> {
    let last = number_of(key)?;
    let events: Vec<Event> = if value.first() == Some(&b'[') { decode(value)? } else { vec![decode(value)?] };
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let before = last.checked_sub(count).filter(|_| count > 0);
    let before = before.ok_or_else(|| StoreError::Corrupt(format!("event record {last} holds {count} events")))?;
    let recorded = |(seq, event)| Recorded { seq, event };
    Ok((before.saturating_add(1)..).zip(events).map(recorded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::event::{Alarm, EventKind};
    use crate::domain::time::Timestamp;

    fn event(detail: &str) -> Event {
        let kind = EventKind::Alarm { alarm: Alarm::MalformedLog { detail: detail.to_owned() } };
        Event::new(Timestamp::EPOCH, kind)
    }

    fn prepared(detail: &str, subjects: &[&str]) -> PreparedEvent {
        let subjects = subjects.iter().map(|subject| subject.as_bytes().to_vec()).collect();
        PreparedEvent { value: serde_json::to_vec(&event(detail)).unwrap(), subjects }
    }

    #[test]
    fn what_is_packed_is_unpacked_with_its_numbers() {
        let long = "x".repeat(PACK_BYTES);
        let (middling, short) = (&long[..PACK_BYTES / 2], &long[..3]);
        let cases: [(&[&str], &[usize]); 6] = [
            (&[], &[]),
            (&[short], &[1]),
            (&[short; 7], &[7]),
            (&[middling, short, middling, short], &[2, 2]),
            (&[&long], &[1]),
            (&[short, &long, &long, short, short], &[1, 1, 1, 2]),
        ];
        for (details, counts) in cases {
            let events: Vec<PreparedEvent> = details.iter().map(|detail| prepared(detail, &[])).collect();
            let packs = pack(41, &events);
            let unpacked = |pack: &Pack| unpack(&IVec::from(pack.key.as_slice()), &pack.value).unwrap();
            let read: Vec<Vec<Recorded>> = packs.iter().map(unpacked).collect();
            assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), counts);
            let expected = (42..).zip(details).map(|(seq, detail)| Recorded { seq, event: event(detail) });
            assert_eq!(read.concat(), expected.collect::<Vec<_>>());
            assert!(packs.iter().zip(&read).all(|(pack, read)| pack.key == keys::event(read.last().unwrap().seq)));
        }
    }

    #[test]
    fn a_subject_is_listed_once_for_each_record() {
        let events = [prepared("one", &["b", "a"]), prepared("two", &["a"]), prepared("three", &[])];
        let packs = pack(0, &events);
        assert_eq!(packs.len(), 1);
        assert_eq!(packs[0].entries, [keys::numbered(b"a", 3), keys::numbered(b"b", 3)]);
    }

    #[test]
    fn what_cannot_be_is_corrupt() {
        let one = String::from_utf8(serde_json::to_vec(&event("one")).unwrap()).unwrap();
        let key = |number: u64| IVec::from(keys::event(number));
        assert_eq!(unpack(&key(9), one.as_bytes()).unwrap()[0].seq, 9);
        let two = format!("[{one},{one}]");
        assert_eq!(unpack(&key(2), two.as_bytes()).unwrap()[0].seq, 1);
        let refused: [(IVec, &str); 6] = [
            (key(1), &two),
            (key(0), &one),
            (key(3), "[]"),
            (key(3), "[{}]"),
            (key(3), &two[..two.len() - 1]),
            (IVec::from(b"E"), &one),
        ];
        for (key, value) in refused {
            assert!(matches!(unpack(&key, value.as_bytes()), Err(StoreError::Corrupt(_))), "{key:?} {value}");
        }
    }
}
