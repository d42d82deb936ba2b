//! The words for payouts: what happens next, and how to pay by hand.

use crate::domain::payout::PayoutState;
use crate::engine::payout_repository::Kept;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::payout_requests::request_of;
use crate::view::order::OrderView;
use crate::view::payout::{PayoutView, QuoteView};
use crate::view::payout_text::{PayToken, next, pay};
use crate::view::{PaymentView, moment};

impl OperatorService {
    /// A payout as it is shown, with its payment and its order.
    pub(crate) async fn payout_view(&self, kept: &Kept) -> Result<PayoutView, OperatorError> {
        let Kept { payout, version, next_at } = kept;
        let names = self.names();
        let (mut payment, mut order) = (None, None);
        if let Some(id) = &payout.payment {
            payment = self.store.payment(id).await?;
            order = self.store.orders_of(id).await?.pop();
        }
        let stop = if order.is_some() { self.stop().await? } else { None };
        let review = match &payout.state {
            PayoutState::Review { why } => Some(why.name().to_owned()),
            _ => None,
        };
        let now = self.clock.now();
        let quote = payout.quote.as_ref();
        let decimals = self.settings.decimals;
        let params = &self.settings.payouts.params;
        let token = PayToken { symbol: &params.currency, chain: &params.chain_name, decimals };
        Ok(PayoutView {
            reference: payout.reference.clone(),
            idempotency_key: payout.key.to_string(),
            state: payout.state.name().to_owned(),
            next: next(payout, payment.as_ref(), &names, *next_at),
            review,
            request: request_of(Some(&payout.reference), &payout.wish, decimals),
            quote: quote.map(|taken| {
                let source = names.paid(payout.wish.exchange.source_amount);
                QuoteView::new(&payout.wish.exchange, &payout.wish.bank_account, &taken.quote, source, now)
            }),
            payment_id: payout.payment.as_ref().map(ToString::to_string),
            pay: payment.as_ref().and_then(|payment| pay(payout, payment, order.as_ref(), &token)),
            payment: payment.as_ref().map(|payment| PaymentView::of(payment, &names)),
            order: order.as_ref().map(|order| OrderView::new(order, &names).with_stop(stop.as_ref())),
            trouble: payout.trouble.clone(),
            placed_by: payout.placed_by.clone(),
            placed_at: moment(payout.placed_at),
            updated_at: moment(payout.updated_at),
            version: *version,
        })
    }
}
