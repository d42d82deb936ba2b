//! The checks before a transfer is signed, and again before it is broadcast: what stands in the way, by name.
//!
//! What is checked is what can have changed since the order was placed. Deliberately absent: asking, for the engine asks and
//! brings the findings; and the rules themselves, which are held against the order anew by `spend::rule`.

use std::collections::{BTreeMap, BTreeSet};

use super::fees::{self, FeeParams};
use super::numbering::as_known;
use super::spend::forbidden;
use super::strays::{is_undecided, plus};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, BlockNumber, Transfer};
use crate::domain::deposit::{Deposit, Verdict};
use crate::domain::hold::Hold;
use crate::domain::order::{AttemptKind, CancelReason, Fees, Order};
use crate::domain::payment::{ApiStatus, Outcome, Payment, PaymentReview, PaymentState};
use crate::domain::time::{Span, Timestamp};
use crate::domain::wallet::{CallResult, TransferView};
use crate::domain::wei::Wei;
use crate::planted::{Bug, planted};

/// What the checks go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightParams {
    /// What the API calls the chain.
    pub chain_name: String,
    /// What the API calls the token's currency.
    pub currency: String,
    /// How much less than a payment's amount pays it all the same, in base units of the token.
    pub under: Amount,
    /// The least time that must be left before the payment runs out.
    pub min_time_left: Span,
    /// What must stay in the wallet of the token, in base units.
    pub reserve_token: Amount,
    /// What must stay in the wallet of the native coin.
    pub reserve_native: Wei,
    /// What the fees go by.
    pub fees: FeeParams,
}

/// What the API said of the payment, just now. What it left out is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFinding {
    pub status: ApiStatus,
    /// Its transaction hash.
    pub tx_hash: Option<String>,
    /// The first term that it tells otherwise than the payment: field, ours, theirs.
    pub differs: Option<(String, String, String)>,
    pub chain: Option<String>,
    pub currency: Option<String>,
    /// Who is to send.
    pub sender: Option<crate::domain::chain::Address>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
}

/// What is known of a payment before money is sent for it.
#[derive(Clone, Copy, Debug)]
pub struct PaymentFindings<'a> {
    /// The payment as the store has it.
    pub payment: &'a Payment,
    pub api: &'a ApiFinding,
    /// The deposits at its address that the store has.
    pub deposits: &'a [Deposit],
    /// Up to which block as many operators as must agree have read its address: above it, that a deposit has gone is one's word.
    pub confirmed_to: BlockNumber,
    /// The transfers to its address that were read up to the head at this moment, above what is covered.
    pub fresh: &'a [Transfer],
    /// All orders that pay to its address, ended ones too: what they signed is no stranger's money. This order need not
    /// be among them.
    pub orders: &'a [Order],
    /// The moment (our clock).
    pub now: Timestamp,
    /// Whether no endpoint has a receipt of the order's own transfer, whatever is stored of it.
    pub own_is_nowhere: bool,
}

/// What other signed orders will take from the wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Of the token, in base units.
    pub token: Amount,
    /// Of the native coin, at the most.
    pub native: Wei,
}

/// Whether the payment may still be funded.
///
/// # Errors
/// The first thing that stands in the way.
pub fn check_payment(order: &Order, findings: &PaymentFindings<'_>, params: &PreflightParams) -> Result<(), Hold> {
    let PaymentFindings { payment, api, .. } = *findings;
    // What our own transfer has moved on says nothing against it; but there is nothing to send any more.
    let seen = payment.state.deposit().map(|key| key.tx_hash);
    // A person has the payment, and nobody shows the transfer: what was stored of it on one word is no reason to wait for ever.
    let is_nowhere = findings.own_is_nowhere && matches!(payment.state, PaymentState::Review { .. });
    if let Some(tx_hash) = seen.filter(|hash| is_live(order, *hash) && !is_nowhere) {
        return Err(Hold::OwnTransferSeen { tx_hash });
    }
    let is_named = check_word(order, payment, api)?;
    check_terms(order, payment, api, params)?;
    check_time(payment.terms.expires_at, findings.now, params)?;
    if let Some(named) = payment.terms.sender.filter(|named| *named != order.wallet) {
        return Err(Hold::OtherSender { named });
    }
    check_news(order, payment, findings, params)?;
    if let Some(what) = forbidden(order.to, order.token, Some(order.wallet)) {
        return Err(Hold::RecipientForbidden { what: what.to_owned() });
    }
    if planted(Bug::PaidByHandPaidAgain) {
        return Ok(());
    }
    money_there(order, findings, params)?;
    match &payment.state {
        PaymentState::Waiting => Ok(()),
        PaymentState::Following { deposit: None } if is_named => Ok(()),
        PaymentState::Ended { .. } => Err(Hold::PaymentEnded),
        state => Err(Hold::PaymentState { state: state.name().to_owned() }),
    }
}

/// The moment that a payment's time is held against: our clock, or the head's time where that is later, by no more than the
/// skew. A clock that is slow must not make a payment look younger than it is, and a head that is dated into the future must
/// not make it look older.
#[must_use]
pub fn moment(clock: Timestamp, head: Timestamp, skew: Span) -> Timestamp {
    clock.max(head.min(clock.plus(skew)))
}

/// Whether our clock and the chain's are near enough to tell how much time is left. Where the head is dated later than the skew
/// allows, one of the two is wrong, and nothing goes out on either word.
///
/// # Errors
/// [`Hold::ClockBehind`].
pub fn check_clock(clock: Timestamp, head: Timestamp, skew: Span) -> Result<(), Hold> {
    let by_s = head.since(clock.plus(skew)).as_secs();
    if by_s == 0 { Ok(()) } else { Err(Hold::ClockBehind { by_s: head.since(clock).as_secs() }) }
}

/// What already says that the order must not be paid, while `unread`, an endpoint or the API that is silent, keeps the rest from
/// being asked for: `unread` itself, unless what is known is reason enough to end or to withdraw the order. `findings` are what
/// was found without the chain's transfers, or, where the API is silent, only the payment as the store has it and the moment. A
/// signed transfer must not stay minable past the payment's time because of somebody's silence.
#[must_use]
pub fn despite(
    unread: Hold,
    order: &Order,
    findings: Result<&PaymentFindings<'_>, (&Payment, Timestamp)>,
    params: &PreflightParams,
) -> Hold {
    let found = match findings {
        Ok(findings) => check_payment(order, findings, params),
        Err((payment, now)) => check_record(order, payment, now, params),
    };
    let enough = |hold: &Hold| answer_to(hold, order.state.nonce().is_some()) != Answer::Wait;
    found.err().filter(enough).unwrap_or(unread)
}

/// The same by the store's word alone.
fn check_record(order: &Order, payment: &Payment, now: Timestamp, params: &PreflightParams) -> Result<(), Hold> {
    if let Some(tx_hash) = payment.state.deposit().map(|key| key.tx_hash).filter(|hash| is_live(order, *hash)) {
        return Err(Hold::OwnTransferSeen { tx_hash });
    }
    match &payment.state {
        // Most likely our own transfer has completed it, and its receipt is awaited.
        PaymentState::Ended { outcome: Outcome::Completed, .. } => return Ok(()),
        PaymentState::Ended { .. } => return Err(Hold::PaymentEnded),
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Calling { .. }
        | PaymentState::Unclear { .. }
        | PaymentState::Following { .. }
        | PaymentState::Review { .. } => {}
    }
    check_time(payment.terms.expires_at, now, params)
}

fn check_time(expires_at: Option<Timestamp>, now: Timestamp, params: &PreflightParams) -> Result<(), Hold> {
    match expires_at.filter(|at| at.since(now) < params.min_time_left && !planted(Bug::TimeLeftIgnored)) {
        Some(expires_at) => Err(Hold::TimeShort { expires_at, least_s: params.min_time_left.as_secs() }),
        None => Ok(()),
    }
}

/// Whether a transaction is a transfer of the order that can still be mined, or is, at the nonce in use. One at an older
/// nonce is none: it is known to have failed for good, and if it moved money all the same, that is money like any other.
fn is_live(order: &Order, tx_hash: B256) -> bool {
    let mut live = order.live_attempts().filter(|attempt| attempt.kind == AttemptKind::Transfer);
    live.any(|attempt| attempt.tx_hash == tx_hash)
}

/// Whether the API's word allows the transfer. `Ok(true)`: it does, because somebody named this very transfer to it
/// before it was seen in a block. Now it waits for just that, so the bytes must not be left to be forgotten.
fn check_word(order: &Order, payment: &Payment, api: &ApiFinding) -> Result<bool, Hold> {
    let named = api.tx_hash.as_ref().and_then(|text| text.trim().parse::<B256>().ok());
    match (named.filter(|hash| is_live(order, *hash)), api.status.outcome()) {
        (Some(_), None) => return Ok(true),
        (Some(tx_hash), Some(Outcome::Completed)) => return Err(Hold::OwnTransferSeen { tx_hash }),
        (Some(_), Some(Outcome::Failed | Outcome::Expired | Outcome::Refunded | Outcome::Cancelled)) | (None, _) => {}
    }
    let is_open = api.status == ApiStatus::AwaitingFunds && api.tx_hash.is_none();
    // What the API says is believed here: the payment's record has it by two looks.
    if !is_open && payment.state.is_ended() {
        return Err(Hold::PaymentEnded);
    }
    if api.status != ApiStatus::AwaitingFunds {
        let status = api.status.clone();
        return Err(match status.outcome() {
            Some(Outcome::Failed | Outcome::Expired | Outcome::Refunded) if !ended_with_money(payment) => {
                Hold::EndUnconfirmed { status }
            }
            // Nobody paid it, or somebody else did, and then a transfer of ours would pay it twice.
            Some(Outcome::Failed | Outcome::Expired | Outcome::Refunded | Outcome::Completed | Outcome::Cancelled)
            | None => Hold::ApiStatus { status },
        });
    }
    match &api.tx_hash {
        Some(tx_hash) => Err(Hold::ApiHasHash { tx_hash: tx_hash.clone() }),
        None => Ok(false),
    }
}

/// Whether the end that the API names was confirmed, and a person has the payment because of its money.
const fn ended_with_money(payment: &Payment) -> bool {
    matches!(payment.state, PaymentState::Review { why: PaymentReview::EndedWithMoney { .. }, .. })
}

/// Whether the API says now that there is less time, or another sender, than when the payment was added. One answer is
/// enough to send nothing, and too little to end an order.
fn check_news(
    order: &Order,
    payment: &Payment,
    findings: &PaymentFindings<'_>,
    params: &PreflightParams,
) -> Result<(), Hold> {
    let none = || "none".to_owned();
    if check_time(findings.api.expires_at, findings.now, params).is_err() {
        let told = |at: Option<Timestamp>| at.map_or_else(none, |at| format!("{} s", at.as_secs()));
        let (ours, theirs) = (told(payment.terms.expires_at), told(findings.api.expires_at));
        return Err(Hold::TermsDiffer { field: "expiresAt".to_owned(), ours, theirs });
    }
    match findings.api.sender.filter(|named| *named != order.wallet) {
        Some(named) => {
            let (field, ours) = ("senderAddress".to_owned(), order.wallet.to_string());
            Err(Hold::TermsDiffer { field, ours, theirs: named.to_string() })
        }
        None => Ok(()),
    }
}

fn check_terms(order: &Order, payment: &Payment, api: &ApiFinding, params: &PreflightParams) -> Result<(), Hold> {
    let differs =
        |field: &str, ours: String, theirs: String| Err(Hold::TermsDiffer { field: field.into(), ours, theirs });
    let terms = &payment.terms;
    if terms.chain_id != order.chain_id {
        return differs("chain", order.chain_id.to_string(), terms.chain_id.to_string());
    }
    if (terms.deposit_address, terms.amount, terms.token) != (order.to, order.amount, order.token) {
        let ours = format!("{} of {} to {}", order.amount, order.token, order.to);
        return differs("payment", ours, format!("{} of {} to {}", terms.amount, terms.token, terms.deposit_address));
    }
    if let Some((field, ours, theirs)) = &api.differs {
        return differs(field, ours.clone(), theirs.clone());
    }
    if let Some(chain) = api.chain.as_ref().filter(|chain| !chain.eq_ignore_ascii_case(&params.chain_name)) {
        return differs("depositChain", params.chain_name.clone(), chain.clone());
    }
    match api.currency.as_ref().filter(|currency| !currency.eq_ignore_ascii_case(&params.currency)) {
        Some(currency) => differs("sourceCurrency", params.currency.clone(), currency.clone()),
        None => Ok(()),
    }
}

/// Money that is at an address, or may be.
struct There {
    tx_hash: B256,
    token: Address,
    amount: Amount,
    /// Whether it is the payment's deposit already.
    pays: bool,
}

/// Is there money at the address that could pay this payment, by itself or together with other money of its token? Whatever is
/// not certainly another's counts, in every known token. What could not pay is no reason to wait: anybody can send that.
fn money_there(order: &Order, findings: &PaymentFindings<'_>, params: &PreflightParams) -> Result<(), Hold> {
    let there = all_there(order, findings);
    // Once our own is in a block, its nonce is consumed: nothing can be withdrawn, and nothing more can go out.
    if let Some(own) = there.iter().find(|it| is_live(order, it.tx_hash)) {
        return Err(Hold::OwnTransferSeen { tx_hash: own.tx_hash });
    }
    if let Some(it) = there.iter().find(|it| it.pays || planted(Bug::DustHolds)) {
        return Err(Hold::MoneyThere { tx_hash: it.tx_hash, amount: it.amount });
    }
    let mut sums: BTreeMap<Address, Amount> = BTreeMap::new();
    let counted =
        stored(order, findings).filter_map(|deposit| Some((deposit.token, deposit.tally.as_ref()?.undecided())));
    for (token, amount) in there.iter().map(|it| (it.token, it.amount)).chain(counted) {
        let sum = sums.entry(token).or_default();
        *sum = plus(*sum, amount);
    }
    let paying = order.amount.checked_sub(params.under).unwrap_or(Amount::ZERO);
    let could_pay = |it: &&There| it.amount >= paying || sums.get(&it.token).is_some_and(|sum| *sum >= paying);
    match there.iter().rev().filter(could_pay).max_by_key(|it| it.amount) {
        Some(it) => {
            let amount =
                if it.amount >= paying { it.amount } else { sums.get(&it.token).copied().unwrap_or(it.amount) };
            Err(Hold::MoneyThere { tx_hash: it.tx_hash, amount })
        }
        None => Ok(()),
    }
}

/// The deposits of the address that are stored, but for the order's own where those are nowhere.
fn stored<'a>(order: &'a Order, findings: &PaymentFindings<'a>) -> impl Iterator<Item = &'a Deposit> {
    let own_counts = !findings.own_is_nowhere;
    findings.deposits.iter().filter(move |deposit| own_counts || order.attempt(deposit.key.tx_hash).is_none())
}

/// All money at the address that is not certainly another's, but for what is only counted.
fn all_there(order: &Order, findings: &PaymentFindings<'_>) -> Vec<There> {
    // Several payments may share an address: the transfer of another's order is the other's, judged or not.
    let is_for_another = |tx_hash: B256| {
        let mut others = findings.orders.iter().filter(|other| other.id.payment != order.id.payment);
        others.any(|other| other.attempt(tx_hash).is_some())
    };
    let pays =
        |deposit: &Deposit| matches!(&deposit.verdict, Verdict::Pays { payment, .. } if *payment == order.id.payment);
    let key = |transfer: &Transfer| (transfer.block.hash, transfer.tx_hash, transfer.log_index);
    let standing: BTreeSet<_> =
        stored(order, findings).filter(|deposit| deposit.stands()).map(|deposit| deposit.key).collect();
    let standing: BTreeSet<_> = standing.iter().map(|key| (key.block_hash, key.tx_hash, key.log_index)).collect();
    // A deposit that is gone by the store's word, and was read just now, is back. What was counted is counted already.
    let known = |transfer: &Transfer| {
        let tallies = || stored(order, findings).filter(|deposit| deposit.token == transfer.token);
        standing.contains(&key(transfer))
            || tallies().filter_map(|it| it.tally.as_ref()).any(|it| it.has(transfer.block.number, transfer.amount))
    };
    let moves = |transfer: &Transfer| !transfer.amount.is_zero() && transfer.from != transfer.to;
    // What one operator calls gone may be there. Our own transfer that has gone is offered again.
    let may_stand = |deposit: &Deposit| {
        let moves = !deposit.amount.is_zero() && deposit.from != deposit.to;
        let is_strange = moves && order.attempt(deposit.key.tx_hash).is_none();
        deposit.stands() || (is_strange && deposit.block_number > findings.confirmed_to)
    };
    let is_meant = |deposit: &Deposit| pays(deposit) || (is_undecided(deposit) && !is_for_another(deposit.key.tx_hash));
    let known_there =
        stored(order, findings).filter(|deposit| may_stand(deposit) && is_meant(deposit)).map(|deposit| There {
            tx_hash: deposit.key.tx_hash,
            token: deposit.token,
            amount: deposit.amount,
            pays: pays(deposit),
        });
    let mut fresh = findings.fresh.to_vec();
    as_known(&mut fresh, stored(order, findings));
    let fresh = fresh.iter().filter(|it| moves(it) && !known(it) && !is_for_another(it.tx_hash));
    let fresh = fresh.map(|transfer| There {
        tx_hash: transfer.tx_hash,
        token: transfer.token,
        amount: transfer.amount,
        pays: false,
    });
    known_there.chain(fresh).collect()
}

/// Whether the token and the wallet allow the transfer. `fees` and `gas_limit` are what it would be signed with, or is.
///
/// # Errors
/// The first thing that stands in the way.
pub fn check_chain(
    order: &Order,
    view: &TransferView,
    committed: &Committed,
    fees: &Fees,
    gas_limit: u64,
    params: &PreflightParams,
) -> Result<(), Hold> {
    if view.paused {
        return Err(Hold::TokenPaused);
    }
    if view.wallet_blacklisted {
        return Err(Hold::WalletBlacklisted);
    }
    if view.recipient_blacklisted {
        return Err(Hold::RecipientBlacklisted);
    }
    let have = view.token_balance.checked_sub(committed.token).unwrap_or(Amount::ZERO);
    let need = order.amount.checked_add(params.reserve_token).unwrap_or(Amount::from_base_units(u128::MAX));
    if have < need {
        return Err(Hold::TokenShort { have, need });
    }
    check_native(view.native_balance, committed.native, fees, gas_limit, params.reserve_native)?;
    match &view.call {
        CallResult::True => Ok(()),
        CallResult::Other(reason) | CallResult::Reverted(reason) => Err(Hold::CallFails { reason: reason.clone() }),
    }
}

/// Whether the wallet can pay for the gas, and keep its reserve.
///
/// # Errors
/// [`Hold::NativeShort`].
pub fn check_native(balance: Wei, committed: Wei, fees: &Fees, gas_limit: u64, reserve: Wei) -> Result<(), Hold> {
    let have = balance.minus(committed);
    let need = fees::worst_cost(fees, gas_limit).plus(reserve);
    if have < need { Err(Hold::NativeShort { have, need }) } else { Ok(()) }
}

/// What to do about a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Wait, and check again.
    Wait,
    /// Nothing is signed, and it will not get better: the order ends.
    End,
    /// The transfer is signed and must not go out any more: its nonce is consumed by a self-send.
    SelfSend,
}

/// What to do about a hold, with the transfer signed or not. Waiting is for what can be mended while the transfer stays
/// right; a signed transfer that may have become wrong is never left to be mined some day.
#[must_use]
pub const fn answer_to(hold: &Hold, is_signed: bool) -> Answer {
    let (unsigned, signed) = match hold {
        // The payment's own doing: it cannot be funded any more, by anybody.
        Hold::PaymentEnded | Hold::TimeShort { .. } | Hold::OtherSender { .. } | Hold::RecipientForbidden { .. } => {
            (Answer::End, Answer::SelfSend)
        }
        // A person can mend it, the API can say otherwise, or the chain can take it back. Nothing is let go on that, and what is
        // signed must not wait for it: somebody else may have paid.
        Hold::ApiStatus { .. }
        | Hold::ApiHasHash { .. }
        | Hold::TermsDiffer { .. }
        | Hold::PaymentState { .. }
        | Hold::MoneyThere { .. }
        | Hold::RecipientBlacklisted
        | Hold::CallFails { .. } => (Answer::Wait, Answer::SelfSend),
        // Whoever tightens the rules must not see it sent all the same; loosened again, they let it go on.
        Hold::Policy { .. } | Hold::ApprovalMissing { .. } => (Answer::Wait, Answer::SelfSend),
        // It says nothing against the transfer itself, or is not believed before the second look: nothing is sent meanwhile.
        Hold::ApiUnavailable { .. }
        | Hold::EndUnconfirmed { .. }
        | Hold::OwnTransferSeen { .. }
        | Hold::NotReadYet
        | Hold::ClockBehind { .. }
        | Hold::TokenPaused
        | Hold::WalletBlacklisted
        | Hold::TokenShort { .. }
        | Hold::NativeShort { .. }
        | Hold::GasTooHigh { .. }
        | Hold::FeeCeiling { .. }
        | Hold::TooManyAttempts
        | Hold::ChainUnavailable { .. }
        | Hold::NodeRefuses { .. }
        | Hold::WalletPaused
        | Hold::WalletHalted
        | Hold::Signer { .. } => (Answer::Wait, Answer::Wait),
    };
    if is_signed { signed } else { unsigned }
}

/// Why a signed transfer is withdrawn.
#[must_use]
pub const fn withdrawn(hold: Hold) -> CancelReason {
    CancelReason::Hold { hold }
}
