//! What a request gave, read and checked before a handler sees it: who asks, path, query, headers and body.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::listener::Caller;
use super::problem::{Code, Problem};
use super::route::{Access, Route};
use super::tokens::Bearer;
use super::{MAX_BODY_BYTES, Serving};
use crate::service::operator_service::OperatorService;

/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What a handler gets. `Q` is what the query holds, `B` the body.
pub(super) struct ApiRequest<Q = NoQuery, B = NoBody> {
    pub(super) serving: Arc<Serving>,
    /// The engine's handle, acting as who asks.
    pub(super) handle: OperatorService,
    /// The parameter in the path; empty where the route has none.
    pub(super) path: String,
    pub(super) query: Q,
    pub(super) headers: HeaderMap,
    pub(super) body: B,
}

/// A route that takes no query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// A route that takes no body.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoBody;

/// What can stand in a query: a struct of texts and numbers, with `deny_unknown_fields`.
pub(super) trait TakesQuery: DeserializeOwned + JsonSchema + Send + 'static {}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> TakesQuery for T {}

/// What can be a body: nothing, or JSON.
pub(super) trait TakesBody: Sized + Send + 'static {
    /// Whether there is a body to read.
    const TAKES: bool;

    /// The most bytes that it may have.
    const MOST: usize = MAX_BODY_BYTES;

    /// What it comes as.
    const MEDIA_TYPES: &'static [&'static str] = &["application/json"];

    /// What it looks like, for the document.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;

    fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Self, Problem>;
}

impl TakesBody for NoBody {
    const TAKES: bool = false;

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn read(_: &HeaderMap, _: &Bytes) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> TakesBody for T {
    const TAKES: bool = true;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Self, Problem> {
        let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = said.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(Code::MediaType, "the body must come with Content-Type: application/json"));
        }
        json(bytes)
    }
}

/// Reads a body as JSON. The error names the field, and never shows the body.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        Problem::new(Code::Malformed, format!("the body is not what this route takes: at {place:?}: {}", error.inner()))
    })?;
    reader.end().map_err(|error| Problem::new(Code::Malformed, format!("the body goes on after its end: {error}")))?;
    Ok(value)
}

impl<Q: TakesQuery, B: TakesBody> ApiRequest<Q, B> {
    /// Lets in who may ask, and reads what they gave.
    pub(super) async fn read(serving: Arc<Serving>, mut request: Request, route: &Route) -> Result<Self, Problem> {
        let handle = match route.access {
            Access::Open => serving.operator.handle.clone(),
            Access::Needs(role) => {
                let bearer = let_in(&serving, &request, route)?;
                if !bearer.roles.contains(&role) {
                    serving.refusals.note("role", Some(&bearer.name), route.name);
                    return Err(Problem::missing_role(role, &bearer.name));
                }
                serving.operator.handle.acting_as(&bearer.name)
            }
            Access::AnyRole => {
                let bearer = let_in(&serving, &request, route)?;
                serving.operator.handle.acting_as(&bearer.name)
            }
        };
        let path = match route.param {
            Some(_) => {
                let found: Result<Path<String>, _> = request.extract_parts().await;
                found.map(|Path(path)| path).map_err(|error| Problem::new(Code::Malformed, error.body_text()))?
            }
            None => String::new(),
        };
        let Query(query) = Query::<Q>::try_from_uri(request.uri())
            .map_err(|error| Problem::new(Code::Malformed, error.body_text()))?;
        let headers = request.headers().clone();
        let bytes = if B::TAKES { body(request, B::MOST).await? } else { Bytes::new() };
        let body = B::read(&headers, &bytes)?;
        Ok(Self { serving, handle, path, query, headers, body })
    }
}

async fn body(request: Request, most: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_WITHIN, request.extract::<Bytes, _>()).await.map_err(|_| {
        let seconds = BODY_WITHIN.as_secs();
        Problem::new(Code::SlowBody, format!("the body did not come within {seconds} s"))
    })?;
    read.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::new(Code::TooLarge, format!("the body may have at most {most} bytes"));
        }
        Problem::new(Code::Malformed, error.body_text())
    })
}

/// Who asks. A connection that has shown a token is a stranger's no more.
fn let_in(serving: &Serving, request: &Request, route: &Route) -> Result<Arc<Bearer>, Problem> {
    let bearer = bearer(serving, request.headers(), route.name)?;
    if let Some(ConnectInfo(caller)) = request.extensions().get::<ConnectInfo<Caller>>() {
        caller.note_token();
    }
    Ok(bearer)
}

/// Who asks for `route`. A token that is shown counts at either door; who shows none is let in only at the machine's own.
pub(super) fn bearer(serving: &Serving, headers: &HeaderMap, route: &'static str) -> Result<Arc<Bearer>, Problem> {
    let header = headers.get(AUTHORIZATION);
    if serving.is_local && header.is_none() {
        return Ok(Arc::new(Bearer::local()));
    }
    let header = header.and_then(|value| value.to_str().ok());
    let given =
        header.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = given else {
        let detail = "a bearer token is needed: Authorization: Bearer <what is in the file of one of http.tokens, or in \
                      http.token_file>; the machine's own user needs none at http.socket";
        return Err(Problem::new(Code::Unauthorized, detail));
    };
    serving.operator.tokens.bearer(token.trim()).ok_or_else(|| {
        serving.refusals.note("token", None, route);
        let detail = "the bearer token is neither one of http.tokens nor the one in http.token_file, which is made anew at \
                      each start";
        Problem::new(Code::Unauthorized, detail)
    })
}
