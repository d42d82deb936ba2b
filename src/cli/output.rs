//! Data to stdout: JSON for programs, tables and plain lines for people.

use std::io::{ErrorKind, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::{Exit, Failure};
use crate::domain::actor::Actor;
use crate::domain::payment::Provenance;
use crate::domain::text::is_hidden;
use crate::service::queries::MAX_PAGE;
use crate::view::candidate::CandidateView;
use crate::view::{DepositView, Page, PaymentView, ReviewView};

/// Writes to stdout for people: what cannot be seen is shown as such ([`plain`]), whoever wrote it. A reader that has gone away ends
/// the command, quietly.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    write(&seen(text))
}

/// Writes to stdout as it is: JSON, and the codes that colour a terminal.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new(Exit::Failed, format!("cannot write to stdout: {error}")),
    })
}

/// Writes a remark to stderr. It is no data, so a reader that has gone away is no failure.
pub(super) fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", seen(text)));
}

/// Says where a list goes on, if it does.
pub(super) fn remark_more(next: Option<&str>) {
    if let Some(next) = next {
        remark(&format!("there may be more: --after {next}"));
    }
}

/// Asks for one part of a list after the other, from `after` on, until there are `limit` items or no more.
pub(super) async fn gather<T, E: Into<Failure>>(
    limit: u32,
    after: Option<String>,
    mut ask: impl AsyncFnMut(Option<String>, usize) -> Result<Page<T>, E>,
) -> Result<Page<T>, Failure> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Page { items: Vec::new(), next: after };
    loop {
        let most = wanted.saturating_sub(page.items.len()).min(MAX_PAGE);
        let more = ask(page.next.take(), most).await.map_err(Into::into)?;
        page.items.extend(more.items);
        page.next = more.next;
        if page.next.is_none() || page.items.len() >= wanted {
            return Ok(page);
        }
    }
}

/// A review reason's name, as in JSON.
pub(super) fn reason(why: &impl Serialize) -> String {
    let value = serde_json::to_value(why).unwrap_or_default();
    value.get("reason").and_then(|reason| reason.as_str()).unwrap_or("unknown").to_owned()
}

/// Writes one JSON value.
pub(super) fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("the answer cannot be written as JSON: {error}")))?;
    write(&format!("{text}\n"))
}

/// Writes one JSON value on one line.
pub(super) fn print_json_line<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("the answer cannot be written as JSON: {error}")))?;
    write(&format!("{text}\n"))
}

/// A table. On a terminal it is fitted to the width; in a pipe each row is one line.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().copied()).add_rows(rows);
    format!("{}\n", table.trim_fmt())
}

/// Lines of a name and a value each, the values below each other.
pub(super) fn fields(lines: &[(&str, Option<String>)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let shown =
        lines.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name:<width$}  {value}\n")));
    shown.collect()
}

/// Where a figure came from, and who typed it, if somebody did.
pub(super) fn origin(from: Provenance, typed_by: Option<&Actor>) -> String {
    match (from, typed_by) {
        (Provenance::Created, _) => "from our create call".to_owned(),
        (Provenance::Api, _) => "from the API".to_owned(),
        (Provenance::Typed, Some(name)) => format!("typed by {name}"),
        (Provenance::Typed, None) => "typed by a person".to_owned(),
    }
}

/// A payment, in full.
pub(super) fn payment(view: &PaymentView) -> String {
    let by = view.typed_by.as_ref();
    let with_origin = |value: &str, from| match from {
        Some(from) => format!("{value} ({})", origin(from, by)),
        None => value.to_owned(),
    };
    let api = view.api.as_ref().map(|word| {
        let hash = word.tx_hash.as_ref().map_or_else(String::new, |hash| format!(", transaction {}", plain(hash)));
        format!("{}{hash} (as of {})", plain(&word.status), word.as_of)
    });
    let unread = view.api.as_ref().map(|word| plain(&word.unread.join("; ")));
    fields(&[
        ("payment", Some(view.id.to_string())),
        ("recipient", Some(with_origin(view.recipient_id.as_str(), view.recipient_from))),
        ("state", Some(view.state.name.clone())),
        ("", Some(view.state.text.clone())),
        ("deposit", view.state.deposit.map(|key| key.to_string())),
        ("API says", Some(api.unwrap_or_else(|| "not asked yet".to_owned()))),
        ("unread", unread.filter(|unread| !unread.is_empty())),
        ("in vain", view.unanswered.as_deref().map(plain)),
        ("amount", Some(format!("{} ({})", view.amount, origin(view.amount_from, by)))),
        ("address", Some(format!("{} ({})", view.deposit_address, origin(view.address_from, by)))),
        ("token", Some(format!("{} on chain {}", view.token, view.chain_id))),
        ("sender", view.sender.as_ref().map(|sender| with_origin(sender, view.sender_from))),
        ("created", Some(view.created_at.clone())),
        ("expires", view.expires_at.as_ref().map(|at| with_origin(at, view.expiry_from))),
        ("added", Some(view.added_at.clone())),
        ("next look", view.next_look_at.clone()),
    ])
}

/// A deposit, in full.
pub(super) fn deposit(view: &DepositView) -> String {
    let standing = view.standing.final_at.as_ref().map_or_else(String::new, |at| format!(" since {at}"));
    fields(&[
        ("deposit", Some(view.key.clone())),
        ("amount", Some(view.amount.to_string())),
        ("from", Some(view.from.clone())),
        ("to", Some(view.to.clone())),
        ("token", Some(view.token.clone())),
        ("block", Some(format!("{} at {}", view.block_number, view.block_time))),
        ("standing", Some(format!("{}{standing}", view.standing.name))),
        ("verdict", Some(view.verdict_text.clone())),
        ("", view.comes_back_from.as_ref().map(|whence| whence.text.clone())),
        ("counted", view.counted.as_ref().map(|counted| counted.text.clone())),
    ])
}

/// Which refunded payment a deposit to the wallet comes back from, in a few words; `None` where none is known.
pub(super) fn whence(view: &DepositView) -> Option<String> {
    let whence = view.comes_back_from.as_ref()?;
    let named =
        |ids: &[crate::domain::payment::PaymentId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (&whence.payment, whence.may_be.as_slice()) {
        (Some(id), _) => Some(id.to_string()),
        (None, []) => None,
        (None, ids) => Some(format!("may be {}", named(ids))),
    }
}

/// A candidate, in full.
pub(super) fn candidate(view: &CandidateView) -> String {
    fields(&[
        ("lead", Some(view.payment.to_string())),
        ("state", Some(view.state.name().to_owned())),
        ("reason", Some(view.why.name().to_owned())),
        ("API says", Some(plain(&view.status))),
        ("recipient", view.recipient_id.as_ref().map(ToString::to_string)),
        ("amount", view.amount.as_ref().map(ToString::to_string)),
        ("address", view.deposit_address.clone()),
        ("created", view.created_at.clone()),
        ("expires", view.expires_at.clone()),
        ("found", Some(view.found_at.clone())),
    ])
}

/// A review: what happened, and the ways out.
pub(super) fn review(view: &ReviewView) -> String {
    let mut text = format!("{} {}: {}\n  {}\n  What would settle it:\n", view.subject, view.id, view.reason, view.what);
    for way in &view.settle {
        text.push_str(&format!("  - {}\n", way.when));
        if let Some(command) = &way.command {
            text.push_str(&format!("      {command}\n"));
        }
    }
    if !view.runbook.is_empty() {
        text.push_str(&format!("  More: {}\n", view.runbook));
    }
    text
}

/// How many of something: `1 warning`, `2 warnings`.
pub(super) fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What others wrote, without anything that could steer a terminal or forge a line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if is_hidden(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// The same of a whole text, whose lines stay lines.
pub(super) fn seen(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}
