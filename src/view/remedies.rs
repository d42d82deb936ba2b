//! What can be done, each with its command.

use crate::domain::chain::Address;
use crate::domain::event::Alarm;
use crate::domain::hold::Hold;
use crate::domain::order::{OrderId, OrderOutcome, OrderState};
use crate::domain::stall::Stall;

/// The command that tells everything about a payment or a deposit.
pub(crate) fn why(id: &str) -> String {
    let argument = if id.starts_with('-') { format!("-- {id}") } else { id.to_owned() };
    format!("Everything about it: rampwatch why {argument}")
}

fn order_argument(id: &OrderId) -> String {
    let id = id.to_string();
    if id.starts_with('-') { format!("-- {id}") } else { id }
}

fn cancel(id: &OrderId) -> String {
    format!("If it is not to be paid from the wallet any more: rampwatch cancel --reason '…' {}", order_argument(id))
}

/// What can be done about an order in this state.
pub(crate) fn of_order(id: &OrderId, state: &OrderState) -> Vec<String> {
    let order = order_argument(id);
    match state {
        OrderState::AwaitingApproval { .. } => vec![
            format!("If it is to be paid: rampwatch approve --reason '…' {order}"),
            format!("If it is not: rampwatch reject --reason '…' {order}"),
        ],
        OrderState::Held { why } => of_hold(id, why),
        OrderState::Sending { trouble: Some(hold), .. } | OrderState::Cancelling { trouble: Some(hold), .. } => {
            of_hold(id, hold)
        }
        OrderState::Ended { outcome: OrderOutcome::Displaced { .. }, .. } => vec![
            "Find out who else uses the wallet's key; the wallet stays halted until then: rampwatch wallet status"
                .to_owned(),
            why(id.payment.as_str()),
        ],
        OrderState::Ended { .. }
        | OrderState::Ready
        | OrderState::Sending { trouble: None, .. }
        | OrderState::Cancelling { trouble: None, .. }
        | OrderState::Mined { .. } => vec![why(id.payment.as_str())],
    }
}

/// What can be done about a hold.
pub(crate) fn of_hold(id: &OrderId, hold: &Hold) -> Vec<String> {
    let first = match hold {
        Hold::ApiUnavailable { .. } => "See whether the payment API works; the order goes on once it answers.",
        Hold::ChainUnavailable { .. } => "See whether the nodes work: rampwatch config check",
        Hold::TokenShort { .. } => "Send more of the token to the wallet: rampwatch wallet balance",
        Hold::NativeShort { .. } => "Send more of the native coin, for gas, to the wallet: rampwatch wallet balance",
        Hold::FeeCeiling { .. } => "It goes on once blocks are cheaper; or raise funding.max_fee_gwei and restart.",
        Hold::GasTooHigh { .. } => "If the figure is right, raise funding.gas_limit_max and restart.",
        Hold::TimeShort { .. } => "Open a new payment at the API; this one is about to run out.",
        Hold::OtherSender { .. } => "Have the named sender pay it, or open the payment anew for the wallet's address.",
        Hold::MoneyThere { .. } => "See whether it pays the payment already: rampwatch reviews",
        Hold::TermsDiffer { .. } => "Ask the provider which terms hold.",
        Hold::WalletBlacklisted => "Ask the token's issuer; nothing can be sent from this wallet meanwhile.",
        Hold::RecipientBlacklisted => "Ask the provider for another deposit address: open the payment anew.",
        Hold::RecipientForbidden { .. } => "Ask the provider for the right deposit address.",
        Hold::TokenPaused => "The token's issuer has paused it; the order goes on once that is over.",
        Hold::CallFails { .. } | Hold::NodeRefuses { .. } => {
            "Look at what the node says, and at the wallet's balances."
        }
        Hold::Policy { .. } => {
            "The rules were tightened after it was placed. Cancel the order; or loosen the rule again and restart."
        }
        Hold::ApprovalMissing { .. } => "See what waits for an approval: rampwatch orders --state awaiting-approval",
        Hold::TooManyAttempts => "The transfer is offered as often as is tried; look at it in an explorer.",
        Hold::Signer { .. } => "Look at the keystore and its password: rampwatch config check",
        Hold::WalletPaused => "Go on with sending: rampwatch wallet resume --reason '…'",
        Hold::WalletHalted => "See why: rampwatch wallet status",
        Hold::ApiStatus { .. }
        | Hold::EndUnconfirmed { .. }
        | Hold::ApiHasHash { .. }
        | Hold::PaymentState { .. }
        | Hold::PaymentEnded => "See how the payment stands.",
        Hold::ClockBehind { .. } => {
            "Set the clock of this machine. If it is right, an endpoint's blocks are dated into the future: rampwatch doctor"
        }
        Hold::NotReadYet | Hold::OwnTransferSeen { .. } => "Nothing is to be done; if it lasts, see /readyz.",
    };
    vec![first.to_owned(), cancel(id), why(id.payment.as_str())]
}

/// What can be done where operators contradict each other.
fn of_disagreement() -> Vec<String> {
    vec![
        "See what each operator says: rampwatch disputes".to_owned(),
        "Look the transaction up in an explorer of your own choice; then exclude the endpoint that is wrong: rampwatch \
         endpoints exclude --reason '…' NAME"
            .to_owned(),
    ]
}

/// What can be done where too few operators say anything.
fn of_missing_agreement() -> Vec<String> {
    vec![
        "See which endpoints answer: rampwatch doctor".to_owned(),
        "With endpoints of three operators one of them may be silent; two wait for each other.".to_owned(),
    ]
}

/// What is to be done about a store that holds less than it had acknowledged.
const STORE_INCOMPLETE: &str = "Stop rampwatch and put the newest folder of the store back, if there is one. Else compare the \
     payments with the API and the chain (rampwatch reconcile), then let the wallet go on: rampwatch wallet adopt";

/// What can be done where something stands still.
fn of_standstill(what: Stall) -> String {
    match what {
        Stall::Head => {
            "Compare with an explorer. If the chain goes on there, the endpoints hang: replace them in rpc.endpoints. If it does \
             not, wait: what is sent meanwhile is seen afterwards."
        }
        Stall::Finality => {
            "Completions go on by themselves once blocks are final again; see whether the chain or only the node stands: \
             rampwatch config check"
        }
        Stall::Settling => {
            "See what the endpoints can do: rampwatch doctor. Add another endpoint to rpc.endpoints if it lasts."
        }
        Stall::Unread => {
            "Add an endpoint that has these blocks (an archive node, if they are old) to rpc.endpoints, and restart: rampwatch \
             doctor"
        }
    }
    .to_owned()
}

/// What can be done about an address that is unlike those before it.
fn of_pattern(address: Address) -> String {
    format!(
        "Ask the provider whether {address} is theirs, by a way that does not go through the payment API. If it is not, pause \
             the wallet: rampwatch wallet pause. To send to known addresses only: funding.allowed_addresses."
    )
}

/// What can be done about an alarm.
pub(crate) fn of_alarm(alarm: &Alarm, wallet: Option<Address>) -> Vec<String> {
    let to_wallet = || wallet.map_or_else(|| "the wallet".to_owned(), |address| format!("the wallet {address}"));
    let said = match alarm {
        Alarm::GoneAfterFinal => {
            "Compare the transaction on nodes of other providers; what it concerns is with a person: rampwatch reviews"
                .to_owned()
        }
        Alarm::MissedByFirstReading | Alarm::LogWithheld | Alarm::MalformedLog { .. } => {
            "Nothing is lost. If it comes again, give another provider's endpoint in rpc.endpoints.".to_owned()
        }
        Alarm::FinalityStalled { .. } => of_standstill(Stall::Finality),
        Alarm::KeyRefused { .. } => {
            "Put a valid key where api.key_env or api.key_file says, and restart; watching goes on meanwhile."
                .to_owned()
        }
        Alarm::FundingStuck { order, hold } => return of_hold(order, hold),
        Alarm::MovedNothing { order } => {
            return vec![
                "Look at the transaction in an explorer before anything is paid again.".to_owned(),
                why(order.payment.as_str()),
            ];
        }
        Alarm::WalletHalted { .. } => "See why: rampwatch wallet status".to_owned(),
        Alarm::LowToken { .. } => format!("Send more of the token to {}: rampwatch wallet balance", to_wallet()),
        Alarm::LowNative { .. } => {
            format!("Send more of the native coin to {}: rampwatch wallet balance", to_wallet())
        }
        Alarm::OperatorsDisagree { .. } => return of_disagreement(),
        Alarm::AgreementMissing { .. } => return of_missing_agreement(),
        Alarm::EndpointContradicts { .. } => {
            "Other endpoints are asked instead, where there are any. If it comes again, ask its provider, or replace it in \
             rpc.endpoints. If every endpoint is said to tell wrong times, set this machine's clock: rampwatch doctor"
                .to_owned()
        }
        Alarm::EndpointStalled { .. } => {
            "The other endpoints are asked first. If it lasts, ask its provider, or replace it in rpc.endpoints."
                .to_owned()
        }
        Alarm::CoverageAboveHead { .. } => {
            "Nothing is lost: the blocks are read again. Find out which endpoint reported them (see the alarms before \
             this one), and replace it in rpc.endpoints."
                .to_owned()
        }
        Alarm::RecordUnreadable { .. } => {
            "Stop rampwatch, keep a copy of the folder, and see what else does not read: rampwatch store check. Start the newer \
             rampwatch that wrote the record, if one did. What is older than the store would forget what was sent since."
                .to_owned()
        }
        Alarm::StoreIncomplete { .. } => STORE_INCOMPLETE.to_owned(),
        Alarm::AddressPattern { address, .. } => of_pattern(*address),
        Alarm::ApiUnanswered { about, .. } => format!(
            "Ask the payment API's provider what {about} should say; the log has what came instead (rampwatch doctor, and rampwatch show \
             for a payment). A payment whose terms the API does not tell readably can be added with them: rampwatch add --help"
        ),
        Alarm::AutoUnlimited => {
            "Set funding.auto_max_per_day to the most that may leave in 24 hours without anybody being asked, and restart \
             rampwatch; or set funding.auto = false."
                .to_owned()
        }
        Alarm::NotListening { setting, .. } => {
            format!("Free the place, or give {setting} another one and restart: rampwatch doctor")
        }
        Alarm::Standstill { what, .. } => of_standstill(*what),
        Alarm::ChainUnread { .. } => {
            "See which endpoints answer: rampwatch config check. What is sent meanwhile is seen afterwards.".to_owned()
        }
    };
    vec![said]
}
