//! The documentation: links lead somewhere, every page is in the book, and what the code names is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::pages::docs_of_variants;

/// The most lines of the README: whoever reads it has five minutes.
const MOST_README_LINES: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder whose names end so, but for those of other tools.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "corpus", "rampwatch-sandbox"].contains(&name) {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(root(), ".md", &mut found);
    assert!(found.len() > 30, "{found:?}");
    found
}

/// What a heading is called in a link: lower case, words with hyphens between them.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|it| it.is_alphanumeric() || *it == '-' || *it == '_').collect()
}

/// The targets of a page's links that are no URLs.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).filter(|target| !target.contains("://")).collect()
}

#[test]
fn the_readme_is_short() {
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= MOST_README_LINES, "{lines} lines");
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            count += 1;
            let (file, place) =
                target.split_once('#').map_or((target.as_str(), None), |(file, place)| (file, Some(place)));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target} leads nowhere", page.display());
            if let Some(place) = place {
                let there = std::fs::read_to_string(&path).unwrap();
                let headings = there.lines().filter(|line| line.starts_with('#'));
                let found = headings.map(|line| anchor(line.trim_start_matches('#'))).any(|it| it == place);
                assert!(found, "{}: {target} has no such heading", page.display());
            }
        }
    }
    assert!(count > 80, "{count} links");
}

/// The names of an enum's variants, with this between their words.
fn names(file: &str, of: &str, between: char) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let variants = docs_of_variants(&text, of).into_iter().map(|(variant, _)| variant);
    let name = |variant: String| {
        let mut name = String::new();
        for letter in variant.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push(between);
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    };
    variants.map(name).collect()
}

#[test]
fn every_review_hold_and_halt_has_its_place_in_the_runbook_and_nothing_else_has() {
    let headings = |page: &str, level: &str| -> Vec<String> {
        let text = std::fs::read_to_string(root().join("docs/runbook").join(page)).unwrap();
        text.lines().filter_map(|line| line.strip_prefix(level)).map(|it| it.trim().to_owned()).collect()
    };
    let mut reviews = Vec::new();
    for (subject, file, of) in [
        ("deposit", "src/domain/deposit.rs", "ReviewReason"),
        ("payment", "src/domain/payment.rs", "PaymentReview"),
        ("candidate", "src/domain/candidate.rs", "CandidateReason"),
        ("payout", "src/domain/payout.rs", "PayoutReview"),
    ] {
        reviews.extend(names(file, of, '_').into_iter().map(|name| format!("{subject}: {name}")));
    }
    assert_eq!(BTreeSet::from_iter(headings("reviews.md", "### ")), BTreeSet::from_iter(reviews));
    let holds = names("src/domain/hold.rs", "Hold", '-');
    assert_eq!(BTreeSet::from_iter(headings("holds.md", "## ")), BTreeSet::from_iter(holds));
    let alerts: BTreeSet<String> = headings("alerts.md", "## ").iter().map(|alert| alert.to_lowercase()).collect();
    for alarm in names("src/domain/event.rs", "Alarm", '_') {
        assert!(alerts.contains(&format!("rampwatch{}", alarm.replace('_', ""))), "no alert for {alarm}");
    }
    let halts = names("src/domain/wallet.rs", "HaltReason", '_');
    assert_eq!(BTreeSet::from_iter(headings("halts.md", "## ")), BTreeSet::from_iter(halts));
}

#[test]
fn every_page_is_in_the_book() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = links(&summary).iter().map(|link| root().join("docs").join(link)).collect();
    let mut found = Vec::new();
    files(&root().join("docs"), ".md", &mut found);
    for page in found.iter().filter(|page| !page.ends_with("SUMMARY.md")) {
        assert!(listed.contains(page), "docs/SUMMARY.md does not list {}", page.display());
    }
}

#[test]
fn every_decision_that_the_code_names_is_written_down() {
    let folder = root().join("docs/internals/decisions");
    let numbers: BTreeSet<u32> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.split_once('-')?.0.parse().ok())
        .collect();
    let mut sources = Vec::new();
    files(&root().join("src"), ".rs", &mut sources);
    let mut named = BTreeSet::new();
    for source in sources {
        let text = std::fs::read_to_string(&source).unwrap();
        for rest in text.split("decision ").skip(1) {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            named.extend(number.parse::<u32>());
        }
    }
    assert!(named.len() > 8 && named.is_subset(&numbers), "{named:?} of {numbers:?}");
}
