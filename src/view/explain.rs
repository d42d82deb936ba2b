//! The words: every state, verdict and event as a sentence that says what is the case and why.
//!
//! What others wrote (the API's messages, hashes as they came) is quoted with its control characters escaped, so that it can
//! neither forge a line nor steer a terminal.

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::deposit::{BlockStatus, Deposit, MatchRule, NothingReason, ReviewReason, Tally, Verdict};
use crate::domain::event::{EventKind, Reading};
use crate::domain::payment::{ApiView, Ending, Outcome, PaymentReview, PaymentState};
use crate::domain::record::RecordBody;
use crate::domain::time::Timestamp;
use crate::view::explain_alarms::alarm_text;
use crate::view::explain_orders;
use crate::view::{AmountView, TokenName, moment};

/// What tokens are called, for amounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    /// The token that pays.
    pub(crate) paying: Address,
    pub(crate) decimals: u8,
    pub(crate) tokens: &'a [TokenName],
    /// Whether it runs in shadow mode.
    pub(crate) shadow: bool,
    /// Where the documentation is served.
    pub(crate) docs: &'a str,
}

impl Names<'_> {
    pub(crate) fn amount(&self, amount: Amount, token: Address) -> AmountView {
        let known = self.tokens.iter().find(|known| known.address == token);
        let decimals = known.map(|known| known.decimals).or_else(|| (token == self.paying).then_some(self.decimals));
        AmountView {
            base_units: amount,
            decimal: decimals.map(|decimals| amount.to_decimal(decimals)),
            symbol: known.map(|known| known.symbol.clone()),
        }
    }

    /// An amount of the token that pays.
    pub(crate) fn paid(&self, amount: Amount) -> AmountView {
        self.amount(amount, self.paying)
    }
}

/// A payment's state as a sentence.
pub(crate) fn state(state: &PaymentState, names: &Names<'_>) -> String {
    match state {
        PaymentState::Waiting => "No deposit pays it yet.".to_owned(),
        PaymentState::Seen { deposit } => {
            format!("Transaction {} pays it, in a block that is not final yet.", deposit.tx_hash)
        }
        PaymentState::Due { deposit, .. } if names.shadow => format!(
            "Transaction {} pays it and is final; in shadow mode it is not completed, and the API is asked whether somebody \
             else has.",
            deposit.tx_hash
        ),
        PaymentState::Due { deposit, attempt: 0 } => {
            format!("Transaction {} pays it and is final; the completion is called next.", deposit.tx_hash)
        }
        PaymentState::Due { deposit, attempt } => format!(
            "Transaction {} pays it and is final; {attempt} call(s) of the completion had no effect, and it is called again.",
            deposit.tx_hash
        ),
        PaymentState::Calling { deposit, attempt, started_at } => format!(
            "The completion with transaction {} is being called (call {attempt}, since {}); if the process died \
             meanwhile, the API is asked before anything else.",
            deposit.tx_hash,
            moment(*started_at)
        ),
        PaymentState::Unclear { attempt, refusal: None, .. } => format!(
            "The answer to call {attempt} of the completion is unclear; the API is asked how the payment stands once the \
             call can no longer take effect."
        ),
        PaymentState::Unclear { attempt, refusal: Some(refusal), .. } => format!(
            "The API answered call {attempt} of the completion with HTTP {} ({:?}); it is asked how the payment stands.",
            refusal.status, refusal.message
        ),
        PaymentState::Following { deposit: Some(deposit) } => format!(
            "The API has the payment in hand, with transaction {}; it is asked until its status is final.",
            deposit.tx_hash
        ),
        PaymentState::Following { deposit: None } => {
            "The API has the payment in hand, completed by somebody else; it is asked until its status is final."
                .to_owned()
        }
        PaymentState::Ended { outcome, at } => format!("{} ({}).", outcome_text(*outcome), moment(*at)),
        PaymentState::Review { why, .. } => payment_review(why, names),
    }
}

/// An end that the API names and that is not confirmed, as a sentence.
pub(crate) fn ending(ending: Ending, second: Option<Timestamp>) -> String {
    let word = match ending.outcome {
        Outcome::Completed => "COMPLETED, without naming our transaction,",
        Outcome::Failed => "FAILED",
        Outcome::Expired => "EXPIRED",
        Outcome::Refunded => "REFUNDED",
        Outcome::Cancelled => "that it is over",
    };
    let then = second.map(|at| format!("; it is asked again at {}", moment(at))).unwrap_or_default();
    format!(
        "The API has said {word} since {}. One answer may be wrong, so nothing is let go until a later one says the \
         same{then}.",
        moment(ending.since)
    )
}

const fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "The API says that it is completed",
        Outcome::Failed => "The API says that it failed",
        Outcome::Expired => "The API says that it ran out",
        Outcome::Refunded => "The API says that it was paid back",
        Outcome::Cancelled => {
            "A person stopped our completion; the off-ramp itself stays open at the payment API until it expires"
        }
    }
}

/// What happened to a payment that is with a person, and why.
pub(crate) fn payment_review(why: &PaymentReview, names: &Names<'_>) -> String {
    match why {
        PaymentReview::OtherHash { theirs } => format!(
            "The API names transaction {theirs:?}, which is not the one that was matched. Somebody else may have completed \
             it, with other money; nothing is called, because a second completion could pay twice."
        ),
        PaymentReview::Refused { refusal } => format!(
            "The API refused the completion with HTTP {} ({:?}) and still waits for funds. The same call would be \
             refused again, so it is not repeated unasked.",
            refusal.status, refusal.message
        ),
        PaymentReview::StillAwaiting => {
            "The API took the completion and says again and again that it waits for funds. Calling once more might \
             complete twice, so the provider has to say what became of the call."
                .to_owned()
        }
        PaymentReview::EndedWithMoney { status } => format!(
            "The API ended the payment ({:?}) although its money is there. The money has to be paid back or the payment \
             opened again, and only the provider can do either.",
            status.as_str()
        ),
        PaymentReview::TermsDiffer { field, ours, theirs } => {
            let (ours, theirs) = if field == "depositAmount" {
                (amount_text(ours, names), amount_text(theirs, names))
            } else {
                (format!("{ours:?}"), format!("{theirs:?}"))
            };
            format!(
                "The API's {field} is {theirs}, and {ours} was matched against. Completing on terms that changed could \
                 complete the wrong payment."
            )
        }
        PaymentReview::GoneAfterFinal => {
            "Its deposit was final, and its block went away all the same: the chain or a provider broke its word. \
             Without a deposit that stands nothing may be completed."
                .to_owned()
        }
        PaymentReview::Unreadable { field, said } => format!(
            "The API's {field} is {said:?}, which cannot be read. It may be another one than what was matched, so nothing is \
             completed on it."
        ),
        PaymentReview::NotFound => {
            "The API does not know the payment. It may be the wrong id, the wrong API key, or deleted over there."
                .to_owned()
        }
    }
}

/// An amount that is kept as text ("1000000 base units"), readable.
fn amount_text(text: &str, names: &Names<'_>) -> String {
    let digits = text.strip_suffix(" base units").and_then(|digits| digits.parse().ok());
    digits.map_or_else(|| format!("{text:?}"), |units| names.paid(Amount::from_base_units(units)).to_string())
}

/// A deposit's verdict as a sentence, with the rule that gave it.
pub(crate) fn verdict(deposit: &Deposit, names: &Names<'_>) -> String {
    match &deposit.verdict {
        Verdict::Unjudged => match deposit.standing {
            BlockStatus::Gone { .. } => "Its block is not on the chain any more, so it counts for nothing.".to_owned(),
            BlockStatus::Provisional | BlockStatus::Final { .. } => "It was not judged yet.".to_owned(),
        },
        Verdict::Pays { payment, rule } => format!("It pays payment {payment}: {}.", rule_text(rule, names)),
        Verdict::Nothing { why: NothingReason::ZeroValue } => {
            "It credits nothing: its amount is zero, and anyone can make such a transfer in anyone's name (address \
             poisoning)."
                .to_owned()
        }
        Verdict::Nothing { why: NothingReason::SelfTransfer } => {
            "It credits nothing: sender and recipient are the same, and such a transfer moves nothing.".to_owned()
        }
        Verdict::Nothing { why: NothingReason::WalletCredit } => {
            "It pays nothing: it came to the hot wallet itself, as its funding or as money that came back.".to_owned()
        }
        Verdict::Nothing { why: NothingReason::Dust } => {
            "It is noted and pays nothing: it is less than a thousandth of the least amount asked for at its address, and \
             the first deposit like it stands for all."
                .to_owned()
        }
        Verdict::Review { why } => deposit_review(deposit, why, names),
        Verdict::Ignored { reason } => format!("A person decided that it pays nothing: {reason:?}."),
    }
}

fn rule_text(rule: &MatchRule, names: &Names<'_>) -> String {
    match rule {
        MatchRule::Exact => "it is the one open payment of this address with exactly this amount".to_owned(),
        MatchRule::Tolerance { off_by } => format!(
            "it is the one open payment of this address whose amount is within the configured tolerance (off by {})",
            names.paid(*off_by)
        ),
        MatchRule::Sender => "several payments fit, and only this one names the deposit's sender".to_owned(),
        MatchRule::OwnTransfer { order } => format!("it is our own transfer, by order {order}"),
        MatchRule::Assigned { reason } => format!("a person said so ({reason:?})"),
    }
}

/// What happened to a deposit that is with a person, and why.
pub(crate) fn deposit_review(deposit: &Deposit, why: &ReviewReason, names: &Names<'_>) -> String {
    let amount = names.amount(deposit.amount, deposit.token);
    match why {
        ReviewReason::WrongToken => format!(
            "{amount} arrived, and no payment of this address expects that token ({}). The payment API cannot complete with \
             it, so nothing is credited.",
            deposit.token
        ),
        ReviewReason::Under { missing } => format!(
            "{amount} is {} less than the open payment of this address asks for, which is more than the tolerance allows.",
            names.paid(*missing)
        ),
        ReviewReason::Over { excess } => format!(
            "{amount} is {} more than the open payment of this address asks for, which is more than the tolerance allows; \
             it may be meant for something else.",
            names.paid(*excess)
        ),
        ReviewReason::Split { payment, parts } => format!(
            "{amount} is one of {parts} deposits that only together make the amount of payment {payment}. A completion \
             names one transaction, and whether the API adds up several is not known."
        ),
        ReviewReason::Ambiguous { candidates } => {
            let named: Vec<&str> = candidates.iter().map(|id| id.as_str()).collect();
            format!(
                "{amount} fits several open payments of this address ({}), and no sender tells them apart. Choosing one \
                 would be a guess.",
                named.join(", ")
            )
        }
        ReviewReason::NoFit => {
            format!("Several payments are open at this address, and none of them asks for {amount}.")
        }
        ReviewReason::SecondDeposit { payment } => {
            format!(
                "Payment {payment} has its deposit already, and {amount} came beside it: it was paid twice, or this was meant \
                 for something else."
            )
        }
        ReviewReason::Replaced { payment } => format!(
            "It was the deposit of payment {payment} until a person assigned another one. The API may have been told its \
             transaction, so it pays no other payment by itself."
        ),
        ReviewReason::Early { payment } => format!(
            "Its block ({}) is older than payment {payment}, by more than the configured skew: it was sent for something \
             else, or the payment's creation time is wrong.",
            moment(deposit.block_time)
        ),
        ReviewReason::Late { payment } => format!(
            "Its block ({}) is younger than the expiry of payment {payment}, by more than the configured skew: the API \
             may not take it any more.",
            moment(deposit.block_time)
        ),
        ReviewReason::PaymentEnded { payment } => {
            format!("Payment {payment}, which {amount} would fit, has ended or is with a person.")
        }
        ReviewReason::NoPayment => {
            format!("{amount} came to a watched address of which no payment is known.")
        }
        ReviewReason::GoneAfterFinal { payment: Some(payment) } => format!(
            "It was final and paid payment {payment}, and its block went away all the same: the chain or a provider broke \
             its word. Look at the transaction on another node."
        ),
        ReviewReason::GoneAfterFinal { payment: None } => {
            "It was final, and its block went away all the same: the chain or a provider broke its word. Look at the \
             transaction on another node."
                .to_owned()
        }
    }
}

/// An event's name and its sentence.
pub(crate) fn event(kind: &EventKind, names: &Names<'_>) -> (&'static str, String) {
    match kind {
        EventKind::PaymentAdded { payment } => {
            let terms = &payment.terms;
            let amount = names.amount(terms.amount, terms.token);
            ("payment_added", format!("Payment {} was added: {amount} to {}.", payment.id, terms.deposit_address))
        }
        EventKind::PaymentMoved { from, to, why } => {
            ("payment_moved", format!("Payment went from {} to {}: {why}.", from.name(), to.name()))
        }
        EventKind::ApiReported { view } => ("api_reported", reported(view)),
        EventKind::DepositSeen { deposit, reading } => {
            let amount = names.amount(deposit.amount, deposit.token);
            let by = match reading {
                Reading::Sweep => "the sweep",
                Reading::Second => "the second reading, after the first had missed it",
            };
            let (from, block) = (deposit.from, deposit.block_number);
            ("deposit_seen", format!("{amount} from {from} was seen in block {block} by {by}."))
        }
        EventKind::DepositJudged { verdict } => ("deposit_judged", judged(verdict, names)),
        EventKind::DepositsCounted { tally } => ("deposits_counted", counted(tally, None)),
        EventKind::DepositStands { block, made_at: Some(made_at), .. } => (
            "deposit_stands",
            format!("Block {} was made at {}, and not when its log had said.", block.number, moment(*made_at)),
        ),
        EventKind::DepositStands { standing, block, canonical, made_at: None } => {
            let now = canonical.map_or_else(String::new, |hash| format!(" (the chain has {hash} there now)"));
            let text = match standing {
                BlockStatus::Provisional => format!("Block {} is on the chain, and not final.", block.number),
                BlockStatus::Final { .. } => format!("Block {} is final.", block.number),
                BlockStatus::Gone { after_final: false } => format!("Block {} went away{now}.", block.number),
                BlockStatus::Gone { after_final: true } => {
                    format!("Block {} went away{now} although it had been final.", block.number)
                }
            };
            ("deposit_stands", text)
        }
        EventKind::PersonDecided { action, reason, by } => {
            let who = by.as_ref().map_or("A person", |by| by.as_str());
            ("person_decided", format!("{who} decided: {action}, because {reason:?}."))
        }
        EventKind::FinalityMoved { from, to } => {
            ("finality_moved", format!("The final block moved from {} to {}.", from.number, to.number))
        }
        EventKind::Alarm { alarm } => ("alarm", format!("ALARM: {}", alarm_text(alarm, names))),
        EventKind::AddressPlaced { address, start } => {
            ("address_placed", format!("{address} is swept from block {start} on."))
        }
        EventKind::AddressClosed { address, through } => (
            "address_closed",
            format!("{address} is not watched any more; it was read a last time through block {through}."),
        ),
        EventKind::EndpointBack { endpoint } => {
            ("endpoint_back", format!("RPC endpoint {endpoint:?} is used again; what it says is plausible."))
        }
        EventKind::ListenerBack { setting } => ("listener_back", format!("rampwatch listens again at {setting}.")),
        EventKind::StallOver { what, since } => {
            ("stall_over", format!("It goes on again: {what}. It had stood still since {}.", moment(*since)))
        }
        EventKind::OrderPlaced { .. }
        | EventKind::OrderMoved { .. }
        | EventKind::AttemptSigned { .. }
        | EventKind::AttemptSent { .. }
        | EventKind::AttemptMined { .. }
        | EventKind::WalletChanged { .. } => explain_orders::event(kind, names),
        EventKind::RecordChanged { body, why } => desk_changed(body, why),
    }
}

fn reported(view: &ApiView) -> String {
    let none = || "no transaction".to_owned();
    let hash = view.tx_hash.as_ref().map_or_else(none, |hash| format!("transaction {hash:?}"));
    let unread: Vec<String> = view.unread.iter().map(ToString::to_string).collect();
    let unread = if unread.is_empty() { String::new() } else { format!(" It says {}.", unread.join("; ")) };
    format!("The API says {:?}, with {hash}.{unread}", view.status.as_str())
}

fn desk_changed(body: &RecordBody, why: &str) -> (&'static str, String) {
    let key = body.key();
    match body {
        RecordBody::Shadow(_) => ("shadow", format!("Shadow mode: {why}.")),
        RecordBody::Dispute(_) => ("dispute", format!("The dispute about {} {why}.", key.id)),
        RecordBody::Addresses(_) => ("addresses", format!("The addresses of recipient {} {why}.", key.id)),
        RecordBody::Exclusion(_) => ("endpoint", format!("The endpoint {} {why}.", key.id)),
        _ => ("desk_changed", format!("The {key} {why}.")),
    }
}

/// What was counted at a deposit's address, in a sentence. `names` with the token, where that is known.
pub(crate) fn counted(tally: &Tally, token: Option<(&Names<'_>, Address)>) -> String {
    let amount = |amount: Amount| match token {
        Some((names, token)) => names.amount(amount, token).to_string(),
        None => format!("{} base units", amount.base_units()),
    };
    let ignored = if tally.ignored.is_zero() {
        String::new()
    } else {
        format!("; a person has ignored {} of it", amount(tally.ignored))
    };
    format!(
        "{} more like it came to its address, each too small to pay anything there, and were counted: {} together, at most \
         {} each; the newest is transaction {} at {}{ignored}.",
        tally.count,
        amount(tally.sum),
        amount(tally.most),
        tally.last_tx,
        moment(tally.last_at)
    )
}

/// A verdict in an event, which does not bear the deposit.
fn judged(verdict: &Verdict, names: &Names<'_>) -> String {
    match verdict {
        Verdict::Unjudged => "It counts for nothing while its block is gone.".to_owned(),
        Verdict::Pays { payment, rule } => format!("It pays payment {payment}: {}.", rule_text(rule, names)),
        Verdict::Nothing { why: NothingReason::ZeroValue } => "It credits nothing: its amount is zero.".to_owned(),
        Verdict::Nothing { why: NothingReason::SelfTransfer } => {
            "It credits nothing: it was sent to itself.".to_owned()
        }
        Verdict::Nothing { why: NothingReason::WalletCredit } => "It came to the hot wallet itself.".to_owned(),
        Verdict::Nothing { why: NothingReason::Dust } => "It is noted: too little to pay anything here.".to_owned(),
        Verdict::Review { why } => format!("A person must decide: {}.", why.name().replace('_', " ")),
        Verdict::Ignored { reason } => format!("It pays nothing, a person decided: {reason:?}."),
    }
}
