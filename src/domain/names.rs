//! The names of reasons, rules and alarms, as they are in JSON, metrics and filters.

use crate::domain::deposit::{BlockStatus, MatchRule, NothingReason, ReviewReason, Verdict};
use crate::domain::event::Alarm;
use crate::domain::payment::PaymentReview;

/// The name of a deposit's review reason, as in JSON.
pub const fn review_name(why: &ReviewReason) -> &'static str {
    match why {
        ReviewReason::WrongToken => "wrong_token",
        ReviewReason::Under { .. } => "under",
        ReviewReason::Over { .. } => "over",
        ReviewReason::Split { .. } => "split",
        ReviewReason::Ambiguous { .. } => "ambiguous",
        ReviewReason::NoFit => "no_fit",
        ReviewReason::SecondDeposit { .. } => "second_deposit",
        ReviewReason::Replaced { .. } => "replaced",
        ReviewReason::Early { .. } => "early",
        ReviewReason::Late { .. } => "late",
        ReviewReason::PaymentEnded { .. } => "payment_ended",
        ReviewReason::NoPayment => "no_payment",
        ReviewReason::GoneAfterFinal { .. } => "gone_after_final",
    }
}

/// The name of a payment's review reason, as in JSON.
pub const fn payment_review_name(why: &PaymentReview) -> &'static str {
    match why {
        PaymentReview::OtherHash { .. } => "other_hash",
        PaymentReview::Refused { .. } => "refused",
        PaymentReview::StillAwaiting => "still_awaiting",
        PaymentReview::EndedWithMoney { .. } => "ended_with_money",
        PaymentReview::TermsDiffer { .. } => "terms_differ",
        PaymentReview::GoneAfterFinal => "gone_after_final",
        PaymentReview::NotFound => "not_found",
        PaymentReview::Unreadable { .. } => "unreadable",
    }
}

/// The name of a rule, as in JSON.
pub const fn rule_name(rule: &MatchRule) -> &'static str {
    match rule {
        MatchRule::Exact => "exact",
        MatchRule::Tolerance { .. } => "tolerance",
        MatchRule::Sender => "sender",
        MatchRule::OwnTransfer { .. } => "own_transfer",
        MatchRule::Assigned { .. } => "assigned",
    }
}

/// The name of the reason why a deposit credits nothing, as in JSON.
pub const fn nothing_name(why: NothingReason) -> &'static str {
    match why {
        NothingReason::ZeroValue => "zero_value",
        NothingReason::SelfTransfer => "self_transfer",
        NothingReason::WalletCredit => "wallet_credit",
        NothingReason::Dust => "dust",
    }
}

/// The word for a verdict.
#[must_use]
pub const fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Unjudged => "unjudged",
        Verdict::Pays { .. } => "pays",
        Verdict::Nothing { .. } => "nothing",
        Verdict::Review { .. } => "review",
        Verdict::Ignored { .. } => "ignored",
    }
}

/// The word for where a deposit stands.
#[must_use]
pub const fn standing_name(standing: &BlockStatus) -> &'static str {
    match standing {
        BlockStatus::Provisional => "provisional",
        BlockStatus::Final { .. } => "final",
        BlockStatus::Gone { after_final: false } => "gone",
        BlockStatus::Gone { after_final: true } => "gone_after_final",
    }
}

/// Every name that [`alarm_name`] gives. A test goes through all alarms.
pub const ALARM_NAMES: [&str; 24] = [
    "gone_after_final",
    "missed_by_first_reading",
    "log_withheld",
    "malformed_log",
    "finality_stalled",
    "key_refused",
    "funding_stuck",
    "moved_nothing",
    "wallet_halted",
    "low_token",
    "low_native",
    "operators_disagree",
    "agreement_missing",
    "chain_unread",
    "endpoint_contradicts",
    "endpoint_stalled",
    "coverage_above_head",
    "auto_unlimited",
    "not_listening",
    "record_unreadable",
    "address_pattern",
    "standstill",
    "store_incomplete",
    "api_unanswered",
];

/// The name of an alarm, as in JSON.
pub const fn alarm_name(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::GoneAfterFinal => "gone_after_final",
        Alarm::MissedByFirstReading => "missed_by_first_reading",
        Alarm::LogWithheld => "log_withheld",
        Alarm::MalformedLog { .. } => "malformed_log",
        Alarm::FinalityStalled { .. } => "finality_stalled",
        Alarm::KeyRefused { .. } => "key_refused",
        Alarm::FundingStuck { .. } => "funding_stuck",
        Alarm::MovedNothing { .. } => "moved_nothing",
        Alarm::WalletHalted { .. } => "wallet_halted",
        Alarm::LowToken { .. } => "low_token",
        Alarm::LowNative { .. } => "low_native",
        Alarm::OperatorsDisagree { .. } => "operators_disagree",
        Alarm::AgreementMissing { .. } => "agreement_missing",
        Alarm::ChainUnread { .. } => "chain_unread",
        Alarm::EndpointContradicts { .. } => "endpoint_contradicts",
        Alarm::EndpointStalled { .. } => "endpoint_stalled",
        Alarm::CoverageAboveHead { .. } => "coverage_above_head",
        Alarm::AutoUnlimited => "auto_unlimited",
        Alarm::NotListening { .. } => "not_listening",
        Alarm::RecordUnreadable { .. } => "record_unreadable",
        Alarm::AddressPattern { .. } => "address_pattern",
        Alarm::Standstill { .. } => "standstill",
        Alarm::StoreIncomplete { .. } => "store_incomplete",
        Alarm::ApiUnanswered { .. } => "api_unanswered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address_pattern::PatternBreak;
    use crate::domain::amount::Amount;
    use crate::domain::hold::Hold;
    use crate::domain::order::OrderId;
    use crate::domain::stall::Stall;
    use crate::domain::time::Timestamp;
    use crate::domain::wallet::HaltReason;
    use crate::domain::wei::Wei;

    fn order() -> OrderId {
        "pay:1".parse().unwrap()
    }

    /// The alarm after this one. An alarm that is new must get its place here, or this does not compile.
    fn next(alarm: &Alarm) -> Option<Alarm> {
        match alarm {
            Alarm::GoneAfterFinal => Some(Alarm::MissedByFirstReading),
            Alarm::MissedByFirstReading => Some(Alarm::LogWithheld),
            Alarm::LogWithheld => Some(Alarm::MalformedLog { detail: String::new() }),
            Alarm::MalformedLog { .. } => Some(Alarm::FinalityStalled { at: 1 }),
            Alarm::FinalityStalled { .. } => Some(Alarm::KeyRefused { status: 401 }),
            Alarm::KeyRefused { .. } => Some(Alarm::FundingStuck { order: order(), hold: Hold::TooManyAttempts }),
            Alarm::FundingStuck { .. } => Some(Alarm::MovedNothing { order: order() }),
            Alarm::MovedNothing { .. } => Some(Alarm::WalletHalted { why: HaltReason::NonceTaken { nonce: 1 } }),
            Alarm::WalletHalted { .. } => Some(Alarm::LowToken { have: Amount::ZERO, mark: Amount::ZERO }),
            Alarm::LowToken { .. } => Some(Alarm::LowNative { have: Wei::new(1), mark: Wei::new(2) }),
            Alarm::LowNative { .. } => Some(Alarm::OperatorsDisagree { about: String::new(), deadline: None }),
            Alarm::OperatorsDisagree { .. } => Some(Alarm::AgreementMissing { about: String::new(), deadline: None }),
            Alarm::AgreementMissing { .. } => {
                Some(Alarm::ChainUnread { since: Timestamp::EPOCH, detail: String::new() })
            }
            Alarm::ChainUnread { .. } => {
                Some(Alarm::EndpointContradicts { endpoint: String::new(), said: String::new() })
            }
            Alarm::EndpointContradicts { .. } => {
                Some(Alarm::EndpointStalled { endpoint: String::new(), said: String::new() })
            }
            Alarm::EndpointStalled { .. } => Some(Alarm::CoverageAboveHead { addresses: 1, covered: 2, head: 1 }),
            Alarm::CoverageAboveHead { .. } => Some(Alarm::AutoUnlimited),
            Alarm::AutoUnlimited => Some(Alarm::NotListening { setting: String::new(), said: String::new() }),
            Alarm::NotListening { .. } => Some(Alarm::RecordUnreadable { record: String::new(), why: String::new() }),
            Alarm::RecordUnreadable { .. } => Some(Alarm::AddressPattern {
                recipient: "rec".parse().unwrap(),
                address: Default::default(),
                broken: PatternBreak::NewAmongFixed,
            }),
            Alarm::AddressPattern { .. } => {
                Some(Alarm::Standstill { what: Stall::Head, since: Timestamp::EPOCH, detail: String::new() })
            }
            Alarm::Standstill { .. } => Some(Alarm::StoreIncomplete { held: 1, acknowledged: Some(2) }),
            Alarm::StoreIncomplete { .. } => {
                Some(Alarm::ApiUnanswered { since: Timestamp::EPOCH, about: String::new(), detail: String::new() })
            }
            Alarm::ApiUnanswered { .. } => None,
        }
    }

    #[test]
    fn the_list_of_alarms_is_whole_and_names_are_as_in_json() {
        let all: Vec<Alarm> = std::iter::successors(Some(Alarm::GoneAfterFinal), next).collect();
        assert_eq!(all.iter().map(alarm_name).collect::<Vec<_>>(), ALARM_NAMES);
        for alarm in all {
            assert_eq!(serde_json::to_value(&alarm).unwrap()["alarm"], alarm_name(&alarm));
        }
        let rules = [
            MatchRule::Exact,
            MatchRule::Tolerance { off_by: Amount::ZERO },
            MatchRule::Sender,
            MatchRule::OwnTransfer { order: order() },
            MatchRule::Assigned { reason: String::new() },
        ];
        for rule in rules {
            assert_eq!(serde_json::to_value(&rule).unwrap()["rule"], rule_name(&rule));
        }
        let nothing =
            [NothingReason::ZeroValue, NothingReason::SelfTransfer, NothingReason::WalletCredit, NothingReason::Dust];
        for why in nothing {
            assert_eq!(serde_json::to_value(why).unwrap(), nothing_name(why));
        }
    }
}
