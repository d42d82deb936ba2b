//! What a payout asked for, held against what the API says: of a quote, and of the payment that was opened.

use super::super::quotes::same_terms;
use super::PayoutParams;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::payment::{BankAccountId, PaymentId, PayoutReference, RecipientId, Refusal};
use crate::domain::payout::{Payout, PayoutReview, TakenQuote};
use crate::domain::quote::Quote;
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};

/// How long a quote counts that does not say when it runs out: the lower of the 10 to 15 minutes that the API documents.
const QUOTE_LIFE: Span = Span::from_secs(600);

/// What the API says of a payment that bears our key. What it leaves out is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub payment: PaymentId,
    /// `OFF_RAMP` or `ON_RAMP`, as it came.
    pub kind: Option<String>,
    /// The key that it bears.
    pub key: Option<String>,
    pub recipient: Option<RecipientId>,
    /// The bank account that it goes to.
    pub bank_account: Option<BankAccountId>,
    pub address: Option<Address>,
    /// How much is to be sent, in base units.
    pub amount: Option<Amount>,
    /// On which chain, as it came.
    pub chain: Option<String>,
    /// The currency that is to be sent, as it came.
    pub currency: Option<String>,
    /// Who will send.
    pub sender: Option<Address>,
    /// Where, and with which amount, the payment is known here already.
    pub known: Option<(Address, Amount)>,
    /// Another payout that this payment came of.
    pub other: Option<PayoutReference>,
}

/// Until when a quote may be used: until it runs out by the API's word, and no longer than it lives counted from when it was
/// asked for, so that a clock that goes wrong here does not lengthen it; less the margin.
#[must_use]
pub fn usable_until(taken: &TakenQuote, margin: Span) -> Timestamp {
    let Quote { expires_at, created_at, .. } = &taken.quote;
    let life = match (created_at, expires_at) {
        (Some(from), Some(to)) => to.since(*from),
        (None, Some(_)) => Span::from_millis(u64::MAX),
        (_, None) => QUOTE_LIFE,
    };
    let by_life = taken.asked_at.plus(life);
    expires_at.map_or(by_life, |at| at.min(by_life)).minus(margin)
}

/// The first of the terms that the API tells otherwise than it was asked: field, what was asked, what it says.
#[must_use]
pub fn differing(payout: &Payout, said: &Said, params: &PayoutParams) -> Option<(String, String, String)> {
    let wish = &payout.wish;
    let differs = |field: &str, ours: String, theirs: Option<String>| {
        theirs.filter(|theirs| *theirs != ours).map(|theirs| (field.to_owned(), ours, short(&theirs)))
    };
    let lower = |text: &String| text.to_lowercase();
    let payable = |address: &Address| {
        if address.is_zero() || *address == params.token || *address == wish.from_address {
            return address.to_string();
        }
        "an address to send to".to_owned()
    };
    None.or_else(|| differs("idempotencyKey", payout.key.to_string(), said.key.clone()))
        .or_else(|| differs("type", "OFF_RAMP".to_owned(), said.kind.clone()))
        .or_else(|| {
            differs("recipientId", wish.recipient.to_string(), said.recipient.as_ref().map(|id| id.to_string()))
        })
        .or_else(|| {
            let theirs = said.bank_account.as_ref().map(|id| id.to_string());
            differs("bankAccountId", wish.bank_account.to_string(), theirs)
        })
        .or_else(|| {
            let theirs = said.amount.map(|amount| amount.to_string());
            differs("depositAmount", wish.exchange.source_amount.to_string(), theirs)
        })
        .or_else(|| differs("depositChain", lower(&params.chain_name), said.chain.as_ref().map(lower)))
        .or_else(|| differs("currency", lower(&params.currency), said.currency.as_ref().map(lower)))
        .or_else(|| differs("fromAddress", wish.from_address.to_string(), said.sender.map(|sender| sender.to_string())))
        .or_else(|| {
            let theirs = said.address.as_ref().map(payable);
            differs("depositAddress", "an address to send to".to_owned(), theirs)
        })
        .or_else(|| {
            let (address, amount) = said.known?;
            let theirs = said.address.map(|address| address.to_string());
            differs("depositAddress", address.to_string(), theirs)
                .or_else(|| differs("depositAmount", amount.to_string(), said.amount.map(|amount| amount.to_string())))
        })
        .or_else(|| {
            // One payment pays one payee, whatever keys it is given for.
            let theirs = format!("{}, which payout {} has", said.payment, said.other.as_ref()?);
            differs("id", "an off-ramp of its own".to_owned(), Some(theirs))
        })
}

/// What stands against opening anything on this quote, for good.
pub(super) fn objection(payout: &Payout, quote: &Quote) -> Option<PayoutReview> {
    if let Err(other) = same_terms(&payout.wish.exchange, &quote.rate) {
        return Some(PayoutReview::QuoteDiffers { what: short(&other.to_string()) });
    }
    let least = payout.wish.min_destination_amount.clone()?;
    let pays = quote.rate.destination_amount.clone();
    let enough = pays.as_ref().is_some_and(|pays| *pays >= least);
    (!enough).then_some(PayoutReview::PaysTooLittle { pays, least })
}

/// Whether a refusal speaks of the quote: another one may be taken.
#[must_use]
pub fn speaks_of_quote(refusal: &Refusal) -> bool {
    refusal.message.to_lowercase().contains("quote")
}
