//! Every target with its examples, and with what chance makes of them. A run of `make fuzz` goes further: it follows the
//! branches that are taken.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// How many texts are made of the examples of each target.
const CASES: u32 = 600;

/// Words that mean something to one of the readers.
const WORDS: [&str; 22] = [
    "null",
    "\"\"",
    "{}",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
    "\u{1b}[2J",
    "-1",
    "1e999",
    "0x",
    "\u{0}",
    "\"",
    "99999999999999999999",
    "\u{202e}",
    "=",
    "\u{feff}",
    "\\u001b",
    "\\n",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Edit {
    /// Another byte at this place.
    Byte(prop::sample::Index, u8),
    /// A word put in there.
    Word(prop::sample::Index, prop::sample::Index),
    /// So many bytes taken out there.
    Cut(prop::sample::Index, usize),
    /// So many bytes of there, once more.
    Again(prop::sample::Index, usize),
    /// Nothing from there on.
    End(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (place(), place()).prop_map(|(at, word)| Edit::Word(at, word)),
        (place(), 1..40_usize).prop_map(|(at, many)| Edit::Cut(at, many)),
        (place(), 1..80_usize).prop_map(|(at, many)| Edit::Again(at, many)),
        place().prop_map(Edit::End),
    ]
}

fn edited(mut text: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let place = |at: &prop::sample::Index| at.index(text.len() + 1);
        match edit {
            Edit::Byte(at, byte) => {
                let at = place(at);
                if let Some(there) = text.get_mut(at) {
                    *there = *byte;
                }
            }
            Edit::Word(at, word) => {
                let at = place(at);
                text.splice(at..at, word.get(&WORDS).bytes());
            }
            Edit::Cut(at, many) => {
                let at = place(at);
                text.drain(at..text.len().min(at + many));
            }
            Edit::Again(at, many) => {
                let at = place(at);
                let part = text[at..text.len().min(at + many)].to_vec();
                text.splice(at..at, part);
            }
            Edit::End(at) => text.truncate(place(at)),
        }
    }
    text
}

fn examples(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| file.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn whatever_comes_nothing_breaks() {
    for (target, reads) in TARGETS {
        let examples = examples(target);
        assert!(!examples.is_empty(), "{target} has no examples");
        for (path, example) in &examples {
            println!("{}", path.display());
            run(reads, example);
        }
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        let texts = (any::<prop::sample::Index>(), prop::collection::vec(edit(), 0..6));
        let made = texts.prop_map(|(at, edits)| edited(at.get(&examples).1.clone(), &edits));
        let any_text = prop_oneof![9 => made, 1 => prop::collection::vec(any::<u8>(), 0..200)];
        let mut runner = TestRunner::new(config);
        let outcome = runner.run(&any_text, |text| {
            run(reads, &text);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{target}: {error}"));
    }
}

#[test]
fn a_target_that_breaks_is_told() {
    let shows: Reads = |data| vec![String::from_utf8_lossy(data).into_owned()];
    run(shows, b"plain");
    assert!(std::panic::catch_unwind(|| run(shows, b"\x1b[2J")).is_err(), "a terminal's commands");
    assert!(std::panic::catch_unwind(|| run(shows, &vec![b'a'; MOST_SHOWN + 1])).is_err(), "too much");
}
