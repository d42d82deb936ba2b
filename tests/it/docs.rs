//! The documentation: links lead somewhere, every page is in the book, and what the code names is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
