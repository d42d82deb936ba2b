//! The three state machines, drawn from what they do: every fact is given to every state, and what comes of it is an arrow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};

use rampwatch::domain::payment::ApiStatus;
use rampwatch::policy::order_machine::apply;
use rampwatch::policy::payment_machine::{Fact, step};

use super::orders::FUNDING;
use super::samples::*;
use super::{order_machine, payment_machine, payout};
use crate::support::pages::{docs_of_variants, hold};

/// From one state to another, and the facts that lead there.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// A fact's name in words: `CallStarted(…)` is "call started".
fn words(fact: &impl Debug) -> String {
    let debug = format!("{fact:?}");
    let mut words = String::new();
    for letter in debug.chars().take_while(|letter| letter.is_ascii_alphanumeric()) {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn draw(page: &mut String, arrows: &Arrows, ends: &[&str]) {
    let name = |state: &str| state.replace('-', "_");
    page.push_str("\n```mermaid\nstateDiagram-v2\n");
    for ((from, to), facts) in arrows {
        let facts: Vec<&str> = facts.iter().map(String::as_str).collect();
        writeln!(page, "    {} --> {}: {}", name(from), name(to), facts.join(", ")).unwrap();
    }
    for end in ends {
        writeln!(page, "    {} --> [*]", name(end)).unwrap();
    }
    page.push_str("```\n");
}

/// What each state is, by the comments on its variants.
fn list(page: &mut String, file: &str, name: &str) {
    let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    page.push_str("\n| state | |\n|---|---|\n");
    for (variant, docs) in docs_of_variants(&text, name) {
        writeln!(page, "| `{variant}` | {docs} |").unwrap();
    }
}

fn payments() -> Arrows {
    let hashes = [None, Some(tx(1).to_string()), Some(tx(2).to_string())];
    let statuses = [
        ApiStatus::AwaitingFunds,
        ApiStatus::Pending,
        ApiStatus::Processing,
        ApiStatus::Completed,
        ApiStatus::Failed,
        ApiStatus::Expired,
        ApiStatus::Refunded,
    ];
    let views = hashes.iter().flat_map(|hash| statuses.iter().map(move |status| view(status.clone(), hash.as_deref())));
    let answers = views.flat_map(|view| [Fact::Reported(view.clone()), Fact::Accepted(view)]);
    let facts: Vec<Fact> = payment_machine::table().into_iter().map(|(fact, _)| fact).chain(answers).collect();
    let mut arrows = Arrows::new();
    // A second round begins where the first one came to: an end is believed at the second look.
    for before in payment_machine::states() {
        for fact in &facts {
            let Ok(after) = step(&before, fact, &context()) else { continue };
            if after.state.name() != before.state.name() {
                let arrow = (before.state.name().to_owned(), after.state.name().to_owned());
                arrows.entry(arrow).or_default().insert(words(fact));
            }
            let mut looked = before.clone();
            (looked.state, looked.next_at, looked.ending) = (after.state, after.next_at, after.ending);
            let Ok(last) = step(&looked, fact, &context_at(NOW + 3_600)) else { continue };
            if last.state.is_ended() && !looked.state.is_ended() {
                let arrow = (looked.state.name().to_owned(), last.state.name().to_owned());
                arrows.entry(arrow).or_default().insert(words(fact));
            }
        }
    }
    arrows
}

fn orders() -> Arrows {
    let mut arrows = Arrows::new();
    for (fact, _) in order_machine::table() {
        for before in order_machine::states() {
            let mut after = before.clone();
            if apply(&mut after, &fact, at(NOW), &FUNDING).is_ok() && after.state.name() != before.state.name() {
                let arrow = (before.state.name().to_owned(), after.state.name().to_owned());
                arrows.entry(arrow).or_default().insert(words(&fact));
            }
        }
    }
    arrows
}

fn payouts() -> Arrows {
    let mut arrows = Arrows::new();
    for fact in payout::facts() {
        for before in payout::states() {
            let Some(after) = payout::told(&before, &fact) else { continue };
            if after.payout.state.name() != before.state.name() {
                let arrow = (before.state.name().to_owned(), after.payout.state.name().to_owned());
                arrows.entry(arrow).or_default().insert(words(&fact));
            }
        }
    }
    arrows
}

#[test]
fn the_state_machines() {
    let mut page = "# The three state machines\n\nDrawn from the functions themselves: every fact of the policy's tests is given to every \
                    state. An arrow carries the facts that lead along it; a fact\nthat changes only a moment or a counter has none. What a \
                    state does not expect is refused, and the caller reads again.\n\nTo add a state: add the variant in `domain`; the closed \
                    matches in `policy` then do not compile until they answer for it; add its column to the table in\n`tests/it/policy`; \
                    give it a sentence in `view` and a specimen in `tests/it/store/specimens.rs`; run `make docs`.\n\n## A \
                    payment\n\n`policy::payment_machine::step`, tested in `tests/it/policy/payment_machine.rs`.\n"
        .to_owned();
    list(&mut page, "src/domain/payment.rs", "PaymentState");
    let arrows = payments();
    assert!(arrows.len() > 15, "{arrows:?}");
    draw(&mut page, &arrows, &["ended"]);
    page.push_str(
        "\n## An order of the wallet\n\n`policy::order_machine::apply`, tested in `tests/it/policy/order_machine.rs`; what is done next is \
         `policy::order_machine::acts`.\n",
    );
    list(&mut page, "src/domain/order.rs", "OrderState");
    let arrows = orders();
    assert!(arrows.len() > 10, "{arrows:?}");
    draw(&mut page, &arrows, &["ended"]);
    page.push_str("\n## A payout\n\n`policy::payout_machine::step`, tested in `tests/it/policy/payout.rs`. Once its payment is there, the payment's machine goes on.\n");
    list(&mut page, "src/domain/payout.rs", "PayoutState");
    let arrows = payouts();
    assert!(arrows.len() > 8, "{arrows:?}");
    draw(&mut page, &arrows, &["created", "cancelled"]);
    hold("docs/internals/state-machines.md", &page);
}
