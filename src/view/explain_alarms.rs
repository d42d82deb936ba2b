//! The words: every alarm as a sentence.

use crate::domain::address_pattern::PatternBreak;
use crate::domain::event::Alarm;
use crate::domain::stall::Stall;
use crate::domain::time::Timestamp;
use crate::view::explain::Names;
use crate::view::moment;

/// When a payment that waits runs out.
fn until(deadline: Option<Timestamp>) -> String {
    deadline.map(|at| format!("; the payment expires at {}", moment(at))).unwrap_or_default()
}

/// An alarm as a sentence.
pub(crate) fn alarm_text(alarm: &Alarm, names: &Names<'_>) -> String {
    match alarm {
        Alarm::GoneAfterFinal => "a deposit that was final is not on the chain any more.".to_owned(),
        Alarm::MissedByFirstReading => {
            "the second reading found a deposit that the first had missed; the provider's answers have holes."
                .to_owned()
        }
        Alarm::LogWithheld => {
            "a provider does not return a log although the block that holds it still stands.".to_owned()
        }
        Alarm::MalformedLog { detail } => format!("a provider returned a log that is no transfer: {detail:?}."),
        Alarm::FinalityStalled { at } => format!("the final block has stayed at {at} for too long."),
        Alarm::KeyRefused { status } => format!("the payment API refused the key with HTTP {status}."),
        Alarm::FundingStuck { order, hold } => format!("order {order} cannot go on by itself: {hold}."),
        Alarm::MovedNothing { order } => {
            format!("the transfer of order {order} succeeded by its receipt, and moved nothing.")
        }
        Alarm::WalletHalted { why } => format!("the hot wallet is halted: {why}."),
        Alarm::LowToken { have, mark } => {
            format!("the hot wallet has {}, less than {} (notify.low_token).", names.paid(*have), names.paid(*mark))
        }
        Alarm::LowNative { have, mark } => format!(
            "the hot wallet has {} of the native coin for gas, less than {} (notify.low_native).",
            have.to_native(),
            mark.to_native()
        ),
        Alarm::OperatorsDisagree { about, deadline } => format!(
            "operators contradict each other about {about}; nothing of it is done until they agree{}.",
            until(*deadline)
        ),
        Alarm::AgreementMissing { about, deadline } => {
            format!("too few operators say anything about {about}; it waits for them{}.", until(*deadline))
        }
        Alarm::ChainUnread { since, detail } => {
            format!("the chain could not be read since {}: {detail:?}.", moment(*since))
        }
        Alarm::ApiUnanswered { since, about, detail } => {
            format!("the payment API is asked in vain for {about} since {}: {detail:?}.", moment(*since))
        }
        Alarm::EndpointContradicts { endpoint, said } => {
            format!("RPC endpoint {endpoint:?} says what cannot be, and is not believed: {said:?}.")
        }
        Alarm::Standstill { what, since, detail } => standstill(*what, &moment(*since), detail),
        Alarm::EndpointStalled { endpoint, said } => {
            format!("RPC endpoint {endpoint:?} stands still or lags; its word on finality does not count: {said:?}.")
        }
        Alarm::CoverageAboveHead { addresses, covered, head } => format!(
            "{addresses} addresses or the final block counted as read up to block {covered}, but the chain's head is \
             {head}. An endpoint reported blocks that do not exist; the blocks are read again."
        ),
        Alarm::RecordUnreadable { record, why } => {
            format!("{record} does not read ({why}). It is left as it is, and what it belongs to stands still.")
        }
        Alarm::AddressPattern { recipient, address, broken: PatternBreak::RepeatedAmongFresh } => format!(
            "the payments of recipient {recipient} had a deposit address each so far, and {address} was there before. Nothing is \
             held for that."
        ),
        Alarm::AddressPattern { recipient, address, broken: PatternBreak::NewAmongFixed } => format!(
            "the payments of recipient {recipient} had the same deposit addresses so far, and {address} is a new one. Nothing is \
             held for that."
        ),
        Alarm::StoreIncomplete { held, acknowledged } => incomplete(*held, *acknowledged),
        Alarm::AutoUnlimited => {
            "the automatic mode is on and has no limit of its own (funding.auto_max_per_day), so it \
                                 sends nothing."
                .to_owned()
        }
        Alarm::NotListening { setting, said } => {
            format!("nothing listens at {setting}: {said:?}. Watching and completing go on, and it is tried again.")
        }
    }
}

fn incomplete(held: u64, acknowledged: Option<u64>) -> String {
    let lacks = acknowledged.map_or("how many there were is not known any more".to_owned(), |acknowledged| {
        format!("it had acknowledged them up to {acknowledged}")
    });
    format!(
        "the store held events up to {held} when it was opened, and {lacks}. A wallet is halted until a person has looked."
    )
}

/// What stands still, since when, and what is known of it.
fn standstill(what: Stall, since: &str, detail: &str) -> String {
    match what {
        Stall::Head => format!("the chain's newest block has been the same since {since}; {detail}."),
        Stall::Finality => format!("the final block has been the same since {since}; {detail}."),
        Stall::Settling => format!(
            "deposits are in final blocks since {since} and cannot be settled, so their payments wait: {detail:?}."
        ),
        Stall::Unread => format!(
            "blocks cannot be read since {since}; all else goes on, and so does what is new for these addresses: {detail:?}."
        ),
    }
}
