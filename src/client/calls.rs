//! Every call of the operator API that a command makes, typed.

use super::{Client, ClientError, Feed};
use crate::service::adopt::AdoptRequest;
use crate::service::books::BookEntry;
use crate::service::events::Since;
use crate::service::export::ExportRow;
use crate::service::orders::{ApproveRequest, FundRequest, ReasonRequest};
use crate::service::queries::DepositFilter;
use crate::service::requests::{AddRequest, ResolveRequest};
use crate::view::dispute::{DisputeView, EndpointView, TrustRequest};
use crate::view::notice::NoticeView;
use crate::view::order::{FundView, OrderView, WalletView};
use crate::view::payout::{FileRef, PayoutRequest, PayoutView, RepeatView};
use crate::view::quote::{QuoteRequest, QuoteView, RateRequest, RateView};
use crate::view::receipt::ReceiptView;
use crate::view::returns::{PaymentDetail, ReturnsView};
use crate::view::webhook::{RegisterRequest, UpdateRequest, WebhookView};
use crate::view::{DepositView, EventView, Page, PaymentView, ResolvedView, ReviewView, WhyView};

type Answer<T> = Result<T, ClientError>;

fn because(reason: &str) -> ReasonRequest {
    ReasonRequest { reason: reason.to_owned() }
}

/// A place in the list of events, as the API takes it.
fn place(since: Since) -> (&'static str, String) {
    match since {
        Since::After(after) => ("after", after.to_string()),
        Since::Newest(newest) => ("newest", newest.to_string()),
    }
}

/// Payments, deposits, reviews, events and notices.
#[expect(clippy::missing_errors_doc, reason = "each errs as `ClientError` says")]
impl Client {
    /// Payments in this state, by id.
    pub async fn payments(&self, state: Option<&str>, after: Option<&str>, limit: usize) -> Answer<Page<PaymentView>> {
        self.get(&["payments"], &[("state", state), ("after", after), ("limit", Some(&limit.to_string()))]).await
    }

    /// One payment, with where its money came from and went.
    pub async fn show(&self, id: &str) -> Answer<PaymentDetail> {
        self.get(&["payments", id], &[]).await
    }

    /// Adds a payment.
    pub async fn add(&self, request: &AddRequest) -> Answer<PaymentView> {
        self.post(&["payments"], request).await
    }

    /// Deposits.
    pub async fn deposits(
        &self,
        filter: &DepositFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Page<DepositView>> {
        let limit = limit.to_string();
        let query = [
            ("address", filter.address.as_deref()),
            ("payment", filter.payment.as_deref()),
            ("verdict", filter.verdict.as_deref()),
            ("after", after),
            ("limit", Some(limit.as_str())),
        ];
        self.get(&["deposits"], &query).await
    }

    /// What a person must decide.
    pub async fn reviews(&self, after: Option<&str>, limit: usize) -> Answer<Page<ReviewView>> {
        self.get(&["reviews"], &[("after", after), ("limit", Some(&limit.to_string()))]).await
    }

    /// Decides a review.
    pub async fn resolve(&self, request: &ResolveRequest) -> Answer<ResolvedView> {
        self.post(&["resolve"], request).await
    }

    /// Why something stands where it stands.
    pub async fn why(&self, subject: &str) -> Answer<WhyView> {
        self.get(&["why", subject], &[]).await
    }

    /// What happened, by number.
    pub async fn events(&self, since: Since, limit: usize) -> Answer<Page<EventView>> {
        let (name, place) = place(since);
        self.get(&["events"], &[(name, Some(&place)), ("limit", Some(&limit.to_string()))]).await
    }

    /// What happens, as it happens.
    pub async fn follow(&self, since: Since) -> Answer<Feed> {
        let (name, place) = place(since);
        self.stream(&["events", "stream"], &[(name, Some(&place))]).await
    }

    /// Notices, the oldest first; with `pending` only those that are still to be told.
    pub async fn notices(&self, pending: bool, after: Option<&str>, limit: usize) -> Answer<Page<NoticeView>> {
        let (pending, limit) = (pending.then_some("true"), limit.to_string());
        self.get(&["notices"], &[("pending", pending), ("after", after), ("limit", Some(&limit))]).await
    }
}

/// Orders and the wallet.
#[expect(clippy::missing_errors_doc, reason = "each errs as `ClientError` says")]
impl Client {
    /// What funding a payment would mean.
    pub async fn preview_fund(&self, payment: &str) -> Answer<FundView> {
        self.get(&["payments", payment, "fund"], &[]).await
    }

    /// Places an order.
    pub async fn fund(&self, request: &FundRequest) -> Answer<OrderView> {
        self.post(&["orders"], request).await
    }

    /// Orders, by id.
    pub async fn orders(
        &self,
        state: Option<&str>,
        payment: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Page<OrderView>> {
        let limit = limit.to_string();
        let query = [("state", state), ("payment", payment), ("after", after), ("limit", Some(limit.as_str()))];
        self.get(&["orders"], &query).await
    }

    /// One order.
    pub async fn order(&self, id: &str) -> Answer<OrderView> {
        self.get(&["orders", id], &[]).await
    }

    /// Approves an order, as it was shown.
    pub async fn approve(&self, id: &str, request: &ApproveRequest) -> Answer<OrderView> {
        self.post(&["orders", id, "approve"], request).await
    }

    /// Rejects an order that waits for an approval.
    pub async fn reject(&self, id: &str, reason: &str) -> Answer<OrderView> {
        self.post(&["orders", id, "reject"], &because(reason)).await
    }

    /// Cancels an order.
    pub async fn cancel_order(&self, id: &str, reason: &str) -> Answer<OrderView> {
        self.post(&["orders", id, "cancel"], &because(reason)).await
    }

    /// How the wallet is.
    pub async fn wallet(&self) -> Answer<WalletView> {
        self.get(&["wallet"], &[]).await
    }

    /// Pauses the wallet.
    pub async fn pause_wallet(&self, reason: &str) -> Answer<WalletView> {
        self.post(&["wallet", "pause"], &because(reason)).await
    }

    /// Ends a pause.
    pub async fn resume_wallet(&self, reason: &str) -> Answer<WalletView> {
        self.post(&["wallet", "resume"], &because(reason)).await
    }

    /// Ends a halt.
    pub async fn adopt_wallet(&self, request: &AdoptRequest) -> Answer<WalletView> {
        self.post(&["wallet", "adopt"], request).await
    }

    /// Money that came to the wallet.
    pub async fn wallet_returns(&self, after: Option<&str>, limit: usize) -> Answer<ReturnsView> {
        self.get(&["wallet", "returns"], &[("after", after), ("limit", Some(&limit.to_string()))]).await
    }
}

/// Payouts, rates, quotes and webhooks.
#[expect(clippy::missing_errors_doc, reason = "each errs as `ClientError` says")]
impl Client {
    /// Places a payout. The same content under the same reference gives the one that is there.
    pub async fn place_payout(&self, request: &PayoutRequest) -> Answer<PayoutView> {
        self.post(&["payouts"], request).await
    }

    /// Whether a payout would repeat an earlier one.
    pub async fn repeat_of(&self, request: &PayoutRequest) -> Answer<RepeatView> {
        self.post(&["repeats"], request).await
    }

    /// One payout.
    pub async fn payout(&self, reference: &str) -> Answer<PayoutView> {
        self.get(&["payouts", reference], &[]).await
    }

    /// Payouts in this state, by reference.
    pub async fn payouts(&self, state: Option<&str>, after: Option<&str>, limit: usize) -> Answer<Page<PayoutView>> {
        self.get(&["payouts"], &[("state", state), ("after", after), ("limit", Some(&limit.to_string()))]).await
    }

    /// Cancels a payout.
    pub async fn cancel_payout(&self, reference: &str, reason: &str) -> Answer<PayoutView> {
        self.post(&["payouts", reference, "cancel"], &because(reason)).await
    }

    /// Has a payout go on that stands still.
    pub async fn retry_payout(&self, reference: &str, reason: &str) -> Answer<PayoutView> {
        self.post(&["payouts", reference, "retry"], &because(reason)).await
    }

    /// Keeps a file; the same bytes are kept once.
    pub async fn put_attachment(&self, bytes: Vec<u8>, media_type: &str) -> Answer<FileRef> {
        self.put(&["attachments"], media_type, bytes).await
    }

    /// A rate.
    pub async fn rate(&self, request: &RateRequest) -> Answer<RateView> {
        self.post(&["rate"], request).await
    }

    /// A quote.
    pub async fn quote(&self, request: &QuoteRequest) -> Answer<QuoteView> {
        self.post(&["quote"], request).await
    }

    /// The webhooks at the payment API.
    pub async fn webhooks(&self) -> Answer<Page<WebhookView>> {
        self.get(&["webhooks"], &[]).await
    }

    /// Registers a webhook.
    pub async fn register_webhook(&self, request: &RegisterRequest) -> Answer<WebhookView> {
        self.post(&["webhooks"], request).await
    }

    /// Changes a webhook.
    pub async fn update_webhook(&self, id: &str, request: &UpdateRequest) -> Answer<WebhookView> {
        self.post(&["webhooks", id], request).await
    }
}

/// The books, and operators that contradict each other.
#[expect(clippy::missing_errors_doc, reason = "each errs as `ClientError` says")]
impl Client {
    /// What happened to money in an interval.
    pub async fn export(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Page<ExportRow>> {
        let limit = limit.to_string();
        self.get(&["export"], &[("from", from), ("to", to), ("after", after), ("limit", Some(&limit))]).await
    }

    /// All that is known of one payment's money.
    pub async fn receipt(&self, payment: &str) -> Answer<ReceiptView> {
        self.get(&["payments", payment, "receipt"], &[]).await
    }

    /// A part of the books.
    pub async fn books(&self, part: &str, after: Option<&str>, limit: usize) -> Answer<Page<BookEntry>> {
        self.get(&["books"], &[("part", Some(part)), ("after", after), ("limit", Some(&limit.to_string()))]).await
    }

    /// Disputes, by id; with `all` also those that have ended.
    pub async fn disputes(&self, all: bool, after: Option<&str>, limit: usize) -> Answer<Page<DisputeView>> {
        let (all, limit) = (all.then_some("true"), limit.to_string());
        self.get(&["disputes"], &[("all", all), ("after", after), ("limit", Some(&limit))]).await
    }

    /// Believes one operator in one case.
    pub async fn decide_dispute(&self, id: &str, request: &TrustRequest) -> Answer<DisputeView> {
        self.post(&["disputes", id, "decide"], request).await
    }

    /// The endpoints.
    pub async fn endpoints(&self) -> Answer<Page<EndpointView>> {
        self.get(&["endpoints"], &[]).await
    }

    /// Excludes an endpoint.
    pub async fn exclude(&self, name: &str, reason: &str) -> Answer<Page<EndpointView>> {
        self.post(&["endpoints", name, "exclude"], &because(reason)).await
    }

    /// Includes an endpoint again.
    pub async fn include(&self, name: &str, reason: &str) -> Answer<Page<EndpointView>> {
        self.post(&["endpoints", name, "include"], &because(reason)).await
    }
}
