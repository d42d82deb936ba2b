//! The route of the notices: what people were told, and what is still to be told.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Api, ApiResponse};
use super::api_request::ApiRequest;
use super::problem::Code;
use super::route::Access::Needs;
use super::route::get;
use super::routes::limit;
use crate::domain::actor::Role::Read;
use crate::view::Page;
use crate::view::notice::NoticeView;

/// What `GET /v1/notices` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoticesQuery {
    /// Only what is still to be told.
    #[serde(default)]
    pending: bool,
    /// Those after this one.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

pub(super) fn routes(api: &mut Api) {
    let route = get("/v1/notices", Needs(Read), "listNotices", "What people were told, and what is still to be told");
    api.add(route.refuses(&[Code::Invalid]), notices);
}

async fn notices(asked: ApiRequest<NoticesQuery>) -> ApiResponse<Page<NoticeView>> {
    let NoticesQuery { pending, after, limit: most } = asked.query;
    Ok(asked.handle.list_notices(pending, after.as_deref(), limit(most)?).await?)
}
