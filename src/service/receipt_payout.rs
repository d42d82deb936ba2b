//! How a payment was opened at the API, for its receipt.

use crate::domain::payment::PaymentId;
use crate::domain::payout::{Attachment, Payout, TakenQuote};
use crate::domain::record::{RecordBody, RecordKind};
use crate::ports::store::Subject;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::explain::{self, Names};
use crate::view::moment;
use crate::view::receipt::{Note, ReceiptPayout, ReceiptQuote};

/// The most events of a payout that are told.
const MAX_EVENTS: usize = 500;

impl OperatorService {
    /// The payout that a payment came of, if it came of one.
    pub(crate) async fn payout_of(&self, payment: &PaymentId) -> Result<Option<ReceiptPayout>, OperatorError> {
        let Some(record) = self.store.record_by_alias(RecordKind::Payout, payment.as_str()).await? else {
            return Ok(None);
        };
        let key = record.body.key();
        let RecordBody::Payout(payout) = record.body else { return Ok(None) };
        let names = self.names();
        let events = self.store.events_of(&Subject::Record(key), 0, MAX_EVENTS).await?;
        let note = |at, kind| Note { at: moment(at), text: explain::event(kind, &names).1 };
        let history = events.iter().map(|recorded| note(recorded.event.at, &recorded.event.kind)).collect();
        Ok(Some(evidence(&payout, history, &names)))
    }
}

fn evidence(payout: &Payout, history: Vec<Note>, names: &Names<'_>) -> ReceiptPayout {
    let (wish, exchange) = (&payout.wish, &payout.wish.exchange);
    let rate = payout.quote.as_ref().map(|taken| &taken.quote.rate);
    let paid_out = rate.and_then(|rate| rate.destination_amount.as_ref()).map(|amount| format!("{amount} "));
    ReceiptPayout {
        reference: payout.reference.clone(),
        idempotency_key: payout.key.to_string(),
        placed_by: payout.placed_by.clone(),
        placed_at: moment(payout.placed_at),
        source: format!(
            "{} {} by {}",
            exchange.source_amount.to_decimal(names.decimals),
            exchange.source_currency,
            exchange.source_rail
        ),
        destination: format!(
            "{}{} by {} to {}",
            paid_out.unwrap_or_default(),
            exchange.destination_currency,
            exchange.destination_rail,
            exchange.destination_country
        ),
        bank_account: wish.bank_account.to_string(),
        reason: wish.reason.as_str().to_owned(),
        document_reference: wish.document_reference.clone(),
        reference_id: wish.reference_id.clone(),
        quote: payout.quote.as_ref().map(quote),
        files: wish.files.iter().map(file).collect(),
        calls: payout.attempts,
        history,
    }
}

fn quote(taken: &TakenQuote) -> ReceiptQuote {
    let (quote, rate) = (&taken.quote, &taken.quote.rate);
    ReceiptQuote {
        id: quote.id.clone(),
        asked_at: moment(taken.asked_at),
        expires_at: quote.expires_at.map(moment),
        exchange_rate: rate.exchange_rate.as_ref().map(ToString::to_string),
        total_fee: rate.total_fee.as_ref().map(ToString::to_string),
    }
}

fn file(file: &Attachment) -> String {
    format!("{} ({}, {} bytes, SHA-256 {})", file.name, file.media_type, file.bytes, file.digest)
}
