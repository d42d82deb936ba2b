//! The sled store's database behind its back.

use std::path::Path;
use std::time::{Duration, Instant};

/// Everything in it, in the order of the keys: `key => value`, as text.
pub(super) fn dump(path: &Path) -> Vec<String> {
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

/// Puts a value under a key.
pub(super) fn put(path: &Path, key: &[u8], value: &[u8]) {
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
