//! The routes of the ledger: what happened in an interval, and the evidence of one payment.
//!
//! Deliberately absent: files. A page is JSON like every other list; the command makes CSV of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Api, Told};
use super::asked::{Asked, NoQuery};
use super::problem::Code::{Invalid, NotFound};
use super::route::Access::Needs;
use super::route::get;
use super::routes::limit;
use crate::domain::actor::Role::Read;
use crate::engine::export::{ExportRow, Interval};
use crate::engine::receipt_views::ReceiptView;
use crate::engine::shapes;
use crate::engine::views::Page;

/// What `GET /v1/export` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// Rows from this moment on: a date or a moment.
    from: Option<String>,
    /// Rows before this moment: a date or a moment.
    to: Option<String>,
    /// Those after this row.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// The routes.
pub(super) fn routes(api: &mut Api) {
    api.add(
        get("/v1/export", Needs(Read), "exportLedger", "What happened in an interval, row by row").refuses(&[Invalid]),
        export,
    );
    api.add(
        get("/v1/payments/{id}/receipt", Needs(Read), "showReceipt", "The whole evidence of one payment")
            .param::<shapes::Id>("The payment's id.")
            .refuses(&[Invalid, NotFound]),
        receipt,
    );
}

async fn export(asked: Asked<ExportQuery>) -> Told<Page<ExportRow>> {
    let ExportQuery { from, to, after, limit: most } = asked.query;
    let interval = Interval::parse(from.as_deref(), to.as_deref())?;
    Ok(asked.handle.export(&interval, after.as_deref(), limit(most)?).await?)
}

async fn receipt(asked: Asked<NoQuery>) -> Told<ReceiptView> {
    Ok(asked.handle.receipt(&asked.path).await?)
}
