//! The table of routes: each is said once, and that makes both the route and its part of the OpenAPI document.
//!
//! A new route is one line in a `routes` function and a handler:
//!
//! ```text
//! api.add(get("/v1/things/{id}", Needs(Read), "showThing", "One thing").param::<shapes::Id>("The thing's id")
//!     .refuses(&[NotFound]), thing);
//!
//! async fn thing(asked: ApiRequest<ThingQuery, ThingRequest>) -> ApiResponse<ThingView> {
//!     Ok(asked.handle.thing(&asked.path, &asked.query, &asked.body).await?)
//! }
//! ```
//!
//! What the handler takes and returns is what the document says: query and body are the parameters of [`ApiRequest`]
//! (`NoQuery` and `NoBody` unless named), and all three derive `JsonSchema`. The token and its role are looked at before
//! the handler runs, the error answers that go for every route are in the document by themselves, and `handle` acts as
//! who asks, so that what is decided is kept with a name. A route that answers in something else than JSON, such as
//! CSV, is added with [`Api::add_other`]; one that takes something else, by a `TakesBody` of its own. A new role has to be
//! put into the table of `tests/it/http/roles.rs` by hand, and `docs/openapi.json` is made anew with `rampwatch openapi`.

use std::future::Future;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Serving;
use super::api_request::{ApiRequest, TakesBody, TakesQuery};
use super::document::Document;
use super::problem::Problem;
use super::route::{Method, Route};

/// What a handler answers.
pub(super) type ApiResponse<T> = Result<T, Problem>;

/// Routes, and the document that describes them.
pub(super) struct Api {
    router: Router<Arc<Serving>>,
    document: Document,
}

impl Api {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), document: Document::new() }
    }

    /// Adds a route that answers in JSON.
    pub(super) fn add<Q, B, A, F, W>(&mut self, route: Route, handler: F)
    where
        Q: TakesQuery,
        B: TakesBody,
        A: Serialize + JsonSchema + Send + 'static,
        F: Fn(ApiRequest<Q, B>) -> W + Clone + Send + Sync + 'static,
        W: Future<Output = ApiResponse<A>> + Send + 'static,
    {
        self.document.add_json::<Q, B, A>(&route);
        self.serve(route, move |asked| {
            let told = handler(asked);
            async move { told.await.map(|answer| Json(answer).into_response()) }
        });
    }

    /// Adds a route whose answer is of another media type.
    pub(super) fn add_other<Q, B, F, W>(&mut self, route: Route, media_type: &'static str, handler: F)
    where
        Q: TakesQuery,
        B: TakesBody,
        F: Fn(ApiRequest<Q, B>) -> W + Clone + Send + Sync + 'static,
        W: Future<Output = ApiResponse<Response>> + Send + 'static,
    {
        self.document.add_other::<Q, B>(&route, media_type);
        self.serve(route, handler);
    }

    fn serve<Q, B, F, W>(&mut self, route: Route, handler: F)
    where
        Q: TakesQuery,
        B: TakesBody,
        F: Fn(ApiRequest<Q, B>) -> W + Clone + Send + Sync + 'static,
        W: Future<Output = ApiResponse<Response>> + Send + 'static,
    {
        let path = route.path;
        let method = match route.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
        };
        let route = Arc::new(route);
        let answer = move |State(serving): State<Arc<Serving>>, request: Request| {
            let (handler, route) = (handler.clone(), Arc::clone(&route));
            async move { handler(ApiRequest::read(serving, request, &route).await?).await }
        };
        let router = std::mem::take(&mut self.router);
        // The limit that is nearest to the handler counts.
        self.router = router.route(path, on(method, answer).layer(DefaultBodyLimit::max(B::MOST)));
    }

    /// The routes and the document.
    pub(super) fn finish(self) -> (Router<Arc<Serving>>, Value) {
        (self.router, self.document.finish())
    }
}
