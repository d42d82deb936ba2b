//! A receipt for people: the same sections and lines as plain text and as Markdown.

use super::output::{origin, plain};
use crate::domain::actor::Actor;
use crate::domain::order::{AttemptKind, Placer};
use crate::view::DepositView;
use crate::view::receipt::{
    CompletionCall, CostView, MinedView, Note, ReceiptOrder, ReceiptPayout, ReceiptTransaction, ReceiptView,
};

/// A part of the receipt.
struct Section {
    title: String,
    lines: Vec<Line>,
}

/// A name with its value, or something that happened.
enum Line {
    Field(&'static str, String),
    Item(String),
}

impl Section {
    fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), lines: Vec::new() }
    }

    fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.lines.push(Line::Field(name, plain(&value.into())));
        self
    }

    fn maybe(self, name: &'static str, value: Option<&String>) -> Self {
        match value {
            Some(value) => self.field(name, value.clone()),
            None => self,
        }
    }

    fn items(mut self, items: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(items.into_iter().map(|item| Line::Item(plain(&item))));
        self
    }
}

/// As plain text.
pub(super) fn text(view: &ReceiptView) -> String {
    let mut text = format!("Receipt of payment {}\n", view.payment.id);
    for section in sections(view) {
        text.push_str(&format!("\n{}\n", section.title));
        let names = section.lines.iter().filter_map(|line| match line {
            Line::Field(name, _) => Some(name.len()),
            Line::Item(_) => None,
        });
        let width = names.max().unwrap_or(0);
        for line in &section.lines {
            match line {
                Line::Field(name, value) => text.push_str(&format!("  {name:<width$}  {value}\n")),
                Line::Item(item) => text.push_str(&format!("  - {item}\n")),
            }
        }
    }
    text
}

pub(super) fn markdown(view: &ReceiptView) -> String {
    let mut text = format!("# Receipt of payment {}\n", escaped(view.payment.id.as_str()));
    for section in sections(view) {
        text.push_str(&format!("\n## {}\n\n", escaped(&section.title)));
        for line in &section.lines {
            match line {
                Line::Field(name, value) => text.push_str(&format!("- **{name}**: {}\n", escaped(value))),
                Line::Item(item) => text.push_str(&format!("- {}\n", escaped(item))),
            }
        }
    }
    text
}

/// A text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let special = |c: char| matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '#' | '~' | '&' | '!');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn sections(view: &ReceiptView) -> Vec<Section> {
    let mut all = vec![payment(view)];
    all.extend(view.payout.iter().map(payout));
    all.extend(view.orders.iter().map(order));
    all.extend(view.deposit.iter().map(|row| deposit(view, row)));
    all.extend(view.completions.iter().map(completion));
    let statuses = view.statuses.iter().map(|said| {
        let hash =
            said.tx_hash.as_ref().map_or_else(|| "no transaction".to_owned(), |hash| format!("transaction {hash}"));
        format!("{}: {}, {hash}", said.at, said.status)
    });
    let decisions = view
        .decisions
        .iter()
        .map(|said| format!("{}: {}{}, because {:?}", said.at, said.action, by(said.by.as_ref()), said.reason));
    let others = view.other_deposits.iter().map(|row| {
        format!(
            "{}: {} by transaction {}, log {}: {}",
            row.block_time, row.amount, row.tx_hash, row.log_index, row.verdict_text
        )
    });
    let reviews = view.reviews.iter().map(|review| format!("{} {}: {}", review.subject, review.id, review.what));
    let lists: [(&str, Vec<String>); 8] = [
        ("What the API said", statuses.collect()),
        ("How it went", notes(&view.states)),
        ("What people decided", decisions.collect()),
        ("Alarms", notes(&view.alarms)),
        ("Other deposits", others.collect()),
        ("What a person must decide", reviews.collect()),
        ("Money back", view.money_back.iter().map(|back| back.text.clone()).collect()),
        ("Missing", view.missing.clone()),
    ];
    let named = lists.into_iter().filter(|(_, items)| !items.is_empty());
    all.extend(named.map(|(title, items)| Section::new(title).items(items)));
    if view.missing.is_empty() {
        all.push(Section::new("Missing").items(["nothing".to_owned()]));
    }
    all
}

fn notes(all: &[Note]) -> Vec<String> {
    all.iter().map(|note| format!("{}: {}", note.at, note.text)).collect()
}

fn payment(view: &ReceiptView) -> Section {
    let payment = &view.payment;
    let by = payment.typed_by.as_ref();
    let with_origin = |value: &str, from| match from {
        Some(from) => format!("{value} ({})", origin(from, by)),
        None => value.to_owned(),
    };
    Section::new("Payment")
        .field("id", payment.id.to_string())
        .field("recipient", with_origin(payment.recipient_id.as_str(), payment.recipient_from))
        .maybe("bank account", view.bank_account.as_ref())
        .field("amount", format!("{} ({})", payment.amount, origin(payment.amount_from, by)))
        .field("base units", payment.amount.base_units.base_units().to_string())
        .field("address", format!("{} ({})", payment.deposit_address, origin(payment.address_from, by)))
        .field("token", format!("{} on chain {}", payment.token, payment.chain_id))
        .maybe("sender", payment.sender.as_ref().map(|sender| with_origin(sender, payment.sender_from)).as_ref())
        .maybe("API fee", view.api_fee.as_ref())
        .field("created", payment.created_at.clone())
        .maybe("expires", payment.expires_at.as_ref().map(|at| with_origin(at, payment.expiry_from)).as_ref())
        .field("added here", payment.added_at.clone())
        .field("state", format!("{}: {}", payment.state.name, payment.state.text))
}

/// How rampwatch opened the payment at the API.
fn payout(payout: &ReceiptPayout) -> Section {
    let mut section = Section::new(format!("Payout {}", payout.reference))
        .field("asked for", format!("by {} at {}", payout.placed_by, payout.placed_at))
        .field("idempotency key", payout.idempotency_key.clone())
        .field("sent", payout.source.clone())
        .field("paid out", payout.destination.clone())
        .field("bank account", payout.bank_account.clone())
        .field("reason", payout.reason.clone())
        .maybe("document", payout.document_reference.as_ref())
        .maybe("reference id", payout.reference_id.as_ref());
    if let Some(quote) = &payout.quote {
        let until = quote.expires_at.as_ref().map_or_else(String::new, |at| format!(", good until {at}"));
        section = section
            .field("quote", format!("{}, asked at {}{until}", quote.id, quote.asked_at))
            .maybe("exchange rate", quote.exchange_rate.as_ref())
            .maybe("quoted fee", quote.total_fee.as_ref());
    }
    section
        .field("create calls", payout.calls.to_string())
        .items(payout.files.iter().map(|file| format!("file {file}")))
        .items(notes(&payout.history))
}

fn by(name: Option<&Actor>) -> String {
    name.map_or_else(String::new, |name| format!(", by {name}"))
}

fn named(name: Option<&Actor>) -> String {
    name.map_or_else(String::new, |name| format!(" ({name})"))
}

fn order(evidence: &ReceiptOrder) -> Section {
    let order = &evidence.order;
    let placer = match order.placed_by {
        Placer::Person => "a person",
        Placer::Auto => "the automatic mode",
    };
    Section::new(format!("Order {}", order.id))
        .field("placed", format!("by {placer}{} at {}", named(order.placed_by_name.as_ref()), order.placed_at))
        .maybe("approved by", order.approved_by.as_ref().map(ToString::to_string).as_ref())
        .maybe("four eyes", evidence.own_approval.as_ref())
        .field("amount", order.amount.to_string())
        .field("from", order.wallet.to_string())
        .field("to", order.to.to_string())
        .maybe("network fee", evidence.fee.as_ref())
        .maybe("in wei", evidence.fee_wei.as_ref())
        .field("state", order.text.clone())
        .items(evidence.transactions.iter().map(transaction))
        .items(notes(&evidence.states))
}

fn transaction(tx: &ReceiptTransaction) -> String {
    let what = match tx.kind {
        AttemptKind::Transfer => "transfer",
        AttemptKind::SelfSend => "self-send",
    };
    let sent = tx
        .sent
        .as_ref()
        .map_or_else(String::new, |sent| format!("; given to the nodes at {} ({})", sent.at, sent.text));
    let mined = tx.mined.as_ref().map_or_else(
        || "; no receipt of it was noted".to_owned(),
        |mined| {
            let cost = mined.cost.as_ref().map_or_else(
                || "the node did not tell what it cost".to_owned(),
                |cost| {
                    let CostView { gas_used, gas_price_gwei, fee_wei, fee } = cost;
                    format!("{gas_used} gas at {gas_price_gwei} gwei, fee {fee} ({fee_wei} wei)")
                },
            );
            let MinedView { at, block, .. } = mined;
            format!("; in block {} ({}), noted at {at}: {cost}", block.number, block.hash)
        },
    );
    format!(
        "{what} {} with nonce {}, at most {} gwei, tip {} gwei, signed at {}{sent}{mined}",
        tx.tx_hash, tx.nonce, tx.cap_gwei, tx.tip_gwei, tx.signed_at
    )
}

fn deposit(view: &ReceiptView, deposit: &DepositView) -> Section {
    let mut section = Section::new("Deposit")
        .field("amount", deposit.amount.to_string())
        .field("base units", deposit.amount.base_units.base_units().to_string())
        .field("from", deposit.from.clone())
        .field("to", deposit.to.clone())
        .field("token", deposit.token.clone())
        .field("transaction", deposit.tx_hash.to_string())
        .field("block", format!("{} ({}) at {}", deposit.block_number, deposit.block_hash, deposit.block_time))
        .field("log index", deposit.log_index.to_string())
        .field("first seen", deposit.first_seen_at.clone());
    if let Some(matched) = &view.matched {
        let at = matched.at.as_ref().map_or_else(String::new, |at| format!(" ({at})"));
        section = section.field("match", format!("{}: {}{at}", matched.rule, matched.text));
    }
    match &view.finality {
        Some(finality) => {
            section.field("final", format!("since {}, by the configured rule: {}", finality.at, finality.rule))
        }
        None => section.field("final", "no"),
    }
}

fn completion(call: &CompletionCall) -> Section {
    Section::new(format!("Completion, call {}", call.call))
        .field("called", call.at.clone())
        .field("with", call.tx_hash.to_string())
        .items(notes(&call.outcome))
}
