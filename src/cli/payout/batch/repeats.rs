//! Rows that are a payout of late over again, or another row of the file: asked before anything is placed. Placing decides
//! again, and that is what counts.

use std::collections::HashMap;

use futures_util::StreamExt as _;

use super::super::super::exit::{Exit, Failure};
use super::super::draft::Field;
use super::Item;
use super::known::Known;
use crate::client::Client;
use crate::config::Settings;
use crate::daemon;
use crate::domain::payment::PayoutReference;
use crate::service::repeats::{Alike, Likeness, likeness};
use crate::view::payout::PayoutRequest;

/// How many rows are asked about at once.
const AT_ONCE: usize = 8;

/// Looks at every good row. One that repeats something becomes a bad row, unless that is allowed.
pub(super) async fn look_up(operator: Option<&Client>, items: &mut [Item], settings: &Settings) -> Result<(), Failure> {
    if let Some(operator) = operator {
        among_placed(operator, items).await?;
    }
    among_rows(items, settings);
    Ok(())
}

/// Whether a row is new, and may not repeat anything.
fn is_asked(item: &Item) -> bool {
    item.is_good() && item.known == Known::No && !item.draft.allow_repeat
}

/// Those that repeat what was placed.
async fn among_placed(operator: &Client, items: &mut [Item]) -> Result<(), Failure> {
    let new = items.iter().enumerate().filter(|(_, item)| is_asked(item));
    let wanted: Vec<(usize, PayoutRequest)> =
        new.map(|(at, item)| (at, item.draft.request(item.attached.clone()))).collect();
    let mut asked = futures_util::stream::iter(wanted)
        .map(|(at, request)| async move { (at, operator.repeat_of(&request).await.map_err(Failure::from)) })
        .buffer_unordered(AT_ONCE);
    while let Some((at, answer)) = asked.next().await {
        let Some(item) = items.get_mut(at) else { continue };
        match answer {
            Ok(view) => {
                let repeats = view.earlier.map(|earlier| fault(item.reference(), &earlier.text));
                item.faults.extend(repeats);
            }
            // The row itself is refused: placing it would be refused in the same words.
            Err(failure) if failure.exit() == Exit::Usage => item.faults.push(format!("column {}", failure.message())),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Those that repeat a row above them.
fn among_rows(items: &mut [Item], settings: &Settings) {
    let rules = daemon::engine_settings(settings);
    let mut by_content: HashMap<_, (u64, String)> = HashMap::new();
    let mut by_name: HashMap<String, (u64, String)> = HashMap::new();
    for item in items.iter_mut().filter(|item| item.is_good()) {
        let request = item.draft.request(item.attached.clone());
        let Ok(named) = PayoutReference::new(item.reference()) else { continue };
        let own: Likeness = match likeness(&rules, &named, &request) {
            Ok(own) => own,
            // What was placed goes on, whatever is configured now.
            Err(error) => {
                item.faults.extend((item.known == Known::No).then(|| format!("column {error}")));
                continue;
            }
        };
        let repeats = by_content.get(&own.content).map(|row| (row, Alike::Content));
        let repeats = repeats.or_else(|| by_name.get(&own.name).map(|row| (row, Alike::Name)));
        match repeats {
            Some(((line, other), alike)) if is_asked(item) => {
                let in_what = match alike {
                    Alike::Content => "in everything but its reference",
                    Alike::Name => "in its reference, as a spreadsheet rewrites it",
                };
                item.faults.push(fault(item.reference(), &format!("equals line {line} ({other}) {in_what}")));
            }
            // Only a row that goes is one that others repeat.
            _ => {
                let row = (item.line, item.reference().to_owned());
                by_content.entry(own.content).or_insert_with(|| row.clone());
                by_name.entry(own.name).or_insert(row);
            }
        }
    }
}

fn fault(reference: &str, text: &str) -> String {
    format!(
        "column {}: {reference:?} {text}: the same may be paid twice. Leave the row out, or allow it with --allow-repeat \
         {reference}",
        Field::Reference.name()
    )
}
