//! The operator API without a listener: the same routes, called in this process, for when no daemon runs.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, HOST};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Operator, router};
use crate::domain::time::Span;
use crate::service::operator_service::OperatorService;

/// The routes of the operator API, as the machine's own user reaches them.
#[derive(Clone)]
pub struct InProcess(Router);

impl InProcess {
    /// Over this service. `timeout`: how long a request may take.
    #[must_use]
    pub fn new(handle: OperatorService, timeout: Span) -> Self {
        let operator = Operator {
            handle,
            tokens: Arc::default(),
            hosts: Arc::default(),
            metrics: Arc::new(String::new),
            lag: timeout,
            timeout,
        };
        Self(router(operator, true, CancellationToken::new()))
    }

    /// Status and body of the answer to a request. `body`: its media type, and the bytes.
    ///
    /// # Errors
    /// The path makes no request, or the answer breaks off.
    pub async fn ask(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<(u16, Vec<u8>), String> {
        let request = Request::builder().method(method).uri(path_and_query).header(HOST, "localhost");
        let request = match body {
            Some((media_type, bytes)) => request.header(CONTENT_TYPE, media_type).body(Body::from(bytes)),
            None => request.body(Body::empty()),
        };
        let request = request.map_err(|error| error.to_string())?;
        let response = match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.map_err(|error| error.to_string())?;
        Ok((parts.status.as_u16(), bytes.to_vec()))
    }
}
