//! What a candidate lacks, in words, and the ways to settle it.

use crate::domain::candidate::{Candidate, CandidateReason, CandidateState, Missing};
use crate::view::explain::Names;
use crate::view::reviews::argument;
use crate::view::runbook;
use crate::view::{ReviewView, WayOut};

/// What is missing, in words.
const fn missing_text(what: Missing) -> &'static str {
    match what {
        Missing::Recipient => "whose it is",
        Missing::DepositAddress => "where the money goes",
        Missing::Amount => "how much is to be paid",
        Missing::CreatedAt => "when it was created",
    }
}

/// Words with commas, and "and" before the last.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Why a candidate is not taken up, as a sentence.
pub(crate) fn why_text(candidate: &Candidate, names: &Names<'_>) -> String {
    match &candidate.why {
        CandidateReason::Incomplete { missing } => {
            let words: Vec<&str> = missing.iter().copied().map(missing_text).collect();
            format!(
                "The API lists this off-ramp, which waits for funds, and does not say {}. Nothing of it is guessed, so its \
                 money would not be seen.",
                listed(&words)
            )
        }
        CandidateReason::OtherCurrency { currency } => format!(
            "The API lists this off-ramp on our chain in {currency:?}, which is not what the configuration calls the token. \
             If it is another token, its money is not rampwatch's business."
        ),
        CandidateReason::Disagrees { field, listed, told } => {
            let amount = |text: &str| {
                let units = text.parse().map(crate::domain::amount::Amount::from_base_units);
                units.map_or_else(|_| format!("{text:?}"), |amount| names.paid(amount).to_string())
            };
            let (listed, told) = if field == "depositAmount" {
                (amount(listed), amount(told))
            } else {
                (format!("{listed:?}"), format!("{told:?}"))
            };
            format!(
                "The API contradicts itself: in its list {field} is {listed}, and when it is asked for the payment {told}. \
                 Whichever is wrong, money could go astray by it."
            )
        }
        CandidateReason::Unusable { problem } => {
            format!("The API lists this off-ramp with terms that cannot be: {problem}.")
        }
    }
}

/// The command that adds the payment, with what a person has to fill in.
fn add_command(candidate: &Candidate) -> String {
    let missing =
        |what: Missing| matches!(&candidate.why, CandidateReason::Incomplete { missing } if missing.contains(&what));
    let recipient = candidate.recipient_id.as_ref().map_or("<recipient>", |recipient| recipient.as_str());
    let mut flags = String::new();
    if missing(Missing::DepositAddress) {
        flags.push_str(" --deposit-address <address>");
    }
    if missing(Missing::Amount) {
        flags.push_str(" --amount <amount>");
    }
    if missing(Missing::CreatedAt) {
        flags.push_str(" --created-at <time>");
    }
    // After `--` nothing is a flag, so the ids come last.
    let dashed = candidate.payment.as_str().starts_with('-') || recipient.starts_with('-');
    let dashes = if dashed { " --" } else { "" };
    format!("rampwatch add{flags}{dashes} {} {recipient}", candidate.payment)
}

/// The review of a candidate, if it is open.
pub(crate) fn review(candidate: &Candidate, names: &Names<'_>) -> Option<ReviewView> {
    if candidate.state != CandidateState::Open {
        return None;
    }
    let add_when = match &candidate.why {
        CandidateReason::Incomplete { .. } => {
            "Whoever opened it was told the rest: add it. What was sent before is found then, from its creation on."
        }
        CandidateReason::OtherCurrency { .. } => "If it is our token under another name:",
        CandidateReason::Disagrees { .. } => {
            "Once the provider has said which holds, and the API says so when it is asked:"
        }
        CandidateReason::Unusable { .. } => "Once the provider has mended it:",
    };
    let settle = vec![
        WayOut { when: add_when.to_owned(), command: Some(add_command(candidate)) },
        WayOut {
            when: "If rampwatch is not to complete it: it is not listed here again.".to_owned(),
            command: Some(format!("rampwatch resolve dismiss --reason '…' {}", argument(candidate.payment.as_str()))),
        },
        WayOut {
            when:
                "If nothing is done: it leaves this list by itself once the API says that it waits for funds no more."
                    .to_owned(),
            command: None,
        },
    ];
    Some(ReviewView {
        subject: "lead".to_owned(),
        id: candidate.payment.to_string(),
        reason: candidate.why.name().to_owned(),
        what: why_text(candidate, names),
        settle,
        runbook: runbook::review(names.docs, "candidate", candidate.why.name()),
    })
}
