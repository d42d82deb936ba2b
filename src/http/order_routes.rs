//! The routes of funding: orders and the hot wallet.
//!
//! Deliberately absent: anything that signs or sends. These change what the store says, and the one sender acts on that.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Api, ApiResponse};
use super::api_request::{ApiRequest, NoQuery};
use super::problem::Code;
use super::route::Access::{AnyRole, Needs};
use super::route::{get, post};
use super::routes::limit;
use crate::domain::actor::Role::{Approve, Operate, Read};
use crate::service::adopt::AdoptRequest;
use crate::service::orders::{ApproveRequest, FundRequest, ORDER_STATES, ReasonRequest};
use crate::view::Page;
use crate::view::order::{FundView, OrderView, WalletView};
use crate::view::returns::ReturnsView;
use crate::view::shapes;

/// What `GET /v1/orders` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OrdersQuery {
    /// Only those in this state.
    #[schemars(extend("enum" = ORDER_STATES))]
    state: Option<String>,
    /// Only those that fund this payment.
    #[schemars(with = "Option<shapes::Id>")]
    payment: Option<String>,
    /// Those after this order, by payment and number.
    #[schemars(with = "Option<shapes::OrderId>")]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// What `GET /v1/wallet/returns` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReturnsQuery {
    /// Those after this deposit, by its key.
    #[schemars(with = "Option<shapes::DepositId>")]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// The routes of orders.
pub(super) fn routes(api: &mut Api) {
    use Code::{Invalid, NotFound, OwnOrder, Refused};

    let refusals = [Invalid, NotFound, Refused];
    api.add(
        get("/v1/payments/{id}/fund", Needs(Read), "previewFund", "What funding a payment would mean")
            .about("Where the money would go, how much, the most that the fee can be, and what is left of each limit.")
            .param::<shapes::Id>("The payment's id.")
            .refuses(&refusals),
        preview,
    );
    api.add(get("/v1/orders", Needs(Read), "listOrders", "Orders, by payment and number").refuses(&[Invalid]), orders);
    api.add(
        post("/v1/orders", Needs(Operate), "placeOrder", "Places an order to fund a payment, exactly as it was shown")
            .refuses(&refusals),
        fund,
    );
    api.add(
        get("/v1/orders/{id}", Needs(Read), "showOrder", "One order")
            .param::<shapes::OrderId>("The order's id.")
            .refuses(&[Invalid, NotFound]),
        order,
    );
    api.add(
        post("/v1/orders/{id}/approve", Needs(Approve), "approveOrder", "Lets an order go on that waits for it")
            .about(
                "Whoever placed the order, or typed a term of its payment, cannot approve it. What was shown to the person is \
                 said again, so that nothing else is approved.",
            )
            .param::<shapes::OrderId>("The order's id.")
            .refuses(&[Invalid, NotFound, Refused, OwnOrder]),
        approve,
    );
    api.add(
        post("/v1/orders/{id}/reject", Needs(Approve), "rejectOrder", "Refuses an order that waits for an approval")
            .param::<shapes::OrderId>("The order's id.")
            .refuses(&refusals),
        reject,
    );
    api.add(
        post("/v1/orders/{id}/cancel", Needs(Operate), "cancelOrder", "Cancels an order")
            .about(
                "One of which nothing is signed ends at once. Where the transfer is signed, its nonce is consumed by a \
                 self-send; which of the two is mined is not known before one of them is final.",
            )
            .param::<shapes::OrderId>("The order's id.")
            .refuses(&refusals),
        cancel,
    );
}

/// The routes of the hot wallet.
pub(super) fn wallet_routes(api: &mut Api) {
    use Code::{Invalid, Refused};

    api.add(get("/v1/wallet", Needs(Read), "showWallet", "How the hot wallet is").refuses(&[Refused]), wallet);
    api.add(
        get("/v1/wallet/returns", Needs(Read), "listReturns", "Money that came to the wallet")
            .about("Tied to refunded payments where the amounts say so.")
            .refuses(&[Invalid, Refused]),
        returns,
    );
    api.add(
        post("/v1/wallet/pause", AnyRole, "pauseWallet", "Stops sending at once, until it is resumed")
            .refuses(&[Invalid, Refused]),
        pause,
    );
    api.add(
        post("/v1/wallet/resume", Needs(Approve), "resumeWallet", "Ends the pause").refuses(&[Invalid, Refused]),
        resume,
    );
    api.add(
        post(
            "/v1/wallet/adopt",
            Needs(Approve),
            "adoptWallet",
            "Ends a halt, once every endpoint agrees on the nonces",
        )
        .about(
            "Where the endpoints are all one operator's, or they do not agree, give `next_nonce` as you know it from elsewhere: one \
             endpoint must say the same. What the wallet sent in the last 24 hours counts as spent from then on.",
        )
        .refuses(&[Invalid, Refused]),
        adopt,
    );
}

async fn preview(asked: ApiRequest) -> ApiResponse<FundView> {
    Ok(asked.handle.preview_fund(&asked.path).await?)
}

async fn fund(asked: ApiRequest<NoQuery, FundRequest>) -> ApiResponse<OrderView> {
    Ok(asked.handle.fund(&asked.body).await?)
}

async fn orders(asked: ApiRequest<OrdersQuery>) -> ApiResponse<Page<OrderView>> {
    let OrdersQuery { state, payment, after, limit } = asked.query;
    let (state, payment, after) = (state.as_deref(), payment.as_deref(), after.as_deref());
    Ok(asked.handle.list_orders(state, payment, after, self::limit(limit)?).await?)
}

async fn order(asked: ApiRequest) -> ApiResponse<OrderView> {
    Ok(asked.handle.show_order(&asked.path).await?)
}

async fn approve(asked: ApiRequest<NoQuery, ApproveRequest>) -> ApiResponse<OrderView> {
    Ok(asked.handle.approve(&asked.path, &asked.body).await?)
}

async fn reject(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<OrderView> {
    Ok(asked.handle.reject(&asked.path, &asked.body.reason).await?)
}

async fn cancel(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<OrderView> {
    Ok(asked.handle.cancel_order(&asked.path, &asked.body.reason).await?)
}

async fn wallet(asked: ApiRequest) -> ApiResponse<WalletView> {
    Ok(asked.handle.wallet().await?)
}

async fn returns(asked: ApiRequest<ReturnsQuery>) -> ApiResponse<ReturnsView> {
    let ReturnsQuery { after, limit } = asked.query;
    Ok(asked.handle.wallet_returns(after.as_deref(), self::limit(limit)?).await?)
}

async fn pause(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<WalletView> {
    Ok(asked.handle.pause_wallet(&asked.body.reason).await?)
}

async fn resume(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<WalletView> {
    Ok(asked.handle.resume_wallet(&asked.body.reason).await?)
}

async fn adopt(asked: ApiRequest<NoQuery, AdoptRequest>) -> ApiResponse<WalletView> {
    Ok(asked.handle.adopt(&asked.body).await?)
}
