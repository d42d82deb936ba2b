//! The sled store's database behind its back.

use std::path::Path;
use std::time::{Duration, Instant};

/// Everything in it, in the order of the keys: `key => value`, as text.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let lines = open(path).iter().map(|entry| {
        let (key, value) = entry.unwrap();
        format!("{} => {}", text(&key), text(&value))
    });
    lines.collect()
}

/// As text, or else in hexadecimal digits.
fn text(bytes: &[u8]) -> String {
    let readable = std::str::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control));
    readable.map_or_else(|| alloy::hex::encode(bytes), str::to_owned)
}

/// What [`text`] was made of. No text that the store writes looks like hexadecimal digits.
fn bytes(text: &str) -> Vec<u8> {
    alloy::hex::decode(text).unwrap_or_else(|_| text.as_bytes().to_vec())
}

/// Makes a database of the lines of a [`dump`].
pub(crate) fn restore<'a>(path: &Path, lines: impl IntoIterator<Item = &'a str>) {
    let db = open(path);
    for line in lines {
        let (key, value) = line.split_once(" => ").unwrap();
        db.insert(bytes(key), bytes(value)).unwrap();
    }
    db.flush().unwrap();
}

/// Removes everything whose key begins with the prefix; tells how much it was.
pub(crate) fn remove(path: &Path, prefix: &[u8]) -> usize {
    let db = open(path);
    let gone: Vec<_> = db.scan_prefix(prefix).keys().map(Result::unwrap).collect();
    gone.iter().for_each(|key| drop(db.remove(key).unwrap()));
    db.flush().unwrap();
    gone.len()
}

/// The value under a key.
pub(crate) fn get(path: &Path, key: &[u8]) -> Option<Vec<u8>> {
    open(path).get(key).unwrap().map(|value| value.to_vec())
}

/// Puts a value under a key.
pub(crate) fn put(path: &Path, key: &[u8], value: &[u8]) {
    let db = open(path);
    db.insert(key, value).unwrap();
    db.flush().unwrap();
}

/// The database lets go of its lock a moment after it was closed.
fn open(path: &Path) -> sled::Db {
    let begun = Instant::now();
    loop {
        match sled::Config::new().path(path).segment_size(4 << 20).flush_every_ms(None).open() {
            Ok(db) => return db,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::yield_now();
    }
}
