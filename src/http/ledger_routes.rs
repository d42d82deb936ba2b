//! The routes of the ledger: what happened in an interval, and the evidence of one payment.
//!
//! Deliberately absent: files. A page is JSON like every other list; the command makes CSV of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Api, ApiResponse};
use super::api_request::ApiRequest;
use super::problem::Code;
use super::route::Access::Needs;
use super::route::get;
use super::routes::limit;
use crate::domain::actor::Role::Read;
use crate::service::books::{BookEntry, PARTS};
use crate::service::export::{ExportRow, Interval};
use crate::view::Page;
use crate::view::receipt::ReceiptView;
use crate::view::shapes;

/// What `GET /v1/export` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// From this day (midnight UTC) or moment (RFC 3339) on; else from the beginning.
    from: Option<String>,
    /// Up to, but not including, this day or moment.
    to: Option<String>,
    /// Those after the event with this number.
    after: Option<String>,
    /// At most so many; an event that makes two rows may add one.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// What `GET /v1/books` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BooksQuery {
    /// Which part of the books.
    #[schemars(extend("enum" = PARTS))]
    part: String,
    /// Those after this key.
    after: Option<String>,
    /// At most so many; a payment comes with the coverage of its address.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// The routes of the ledger.
pub(super) fn routes(api: &mut Api) {
    use Code::{Invalid, NotFound};

    api.add(
        get("/v1/export", Needs(Read), "export", "The ledger's rows of an interval, in order")
            .about("Every deposit, match, completion, order and fee; docs/export.md describes the columns.")
            .refuses(&[Invalid]),
        export,
    );
    api.add(
        get("/v1/books", Needs(Read), "books", "The ledger's records as they are kept, for a reconciliation")
            .about("Without signed bytes. Read the parts in the order watched, payments, deposits, orders.")
            .refuses(&[Invalid]),
        books,
    );
    api.add(
        get("/v1/payments/{id}/receipt", Needs(Read), "receipt", "The whole chain of evidence of one payment")
            .about("What is missing is named. The same ledger gives the same receipt.")
            .param::<shapes::Id>("The payment's id.")
            .refuses(&[Invalid, NotFound]),
        receipt,
    );
}

async fn books(asked: ApiRequest<BooksQuery>) -> ApiResponse<Page<BookEntry>> {
    let BooksQuery { part, after, limit } = asked.query;
    Ok(asked.handle.books(&part, after.as_deref(), self::limit(limit)?).await?)
}

async fn export(asked: ApiRequest<ExportQuery>) -> ApiResponse<Page<ExportRow>> {
    let ExportQuery { from, to, after, limit } = asked.query;
    let interval = Interval::parse(from.as_deref(), to.as_deref())?;
    Ok(asked.handle.export(&interval, after.as_deref(), self::limit(limit)?).await?)
}

async fn receipt(asked: ApiRequest) -> ApiResponse<ReceiptView> {
    Ok(asked.handle.receipt(&asked.path).await?)
}
