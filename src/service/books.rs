//! The ledger's records as they are kept, page by page: what a reconciliation holds against the chain and the API.
//!
//! Deliberately absent: the signed bytes of attempts, which whoever has them can send.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::domain::chain::Address;
use crate::domain::coverage::Coverage;
use crate::domain::deposit::Deposit;
use crate::domain::odd::explained;
use crate::domain::order::{Order, RawTransaction};
use crate::domain::payment::Payment;
use crate::domain::wallet::Wallet;
use crate::ports::store::if_readable;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::{MAX_PAGE, parse_key};
use crate::service::requests::parse_payment;
use crate::view::Page;

pub use crate::policy::reconcile::Books;

/// The parts of the books, in the order in which they are to be read: coverage before deposits, so that no deposit in
/// covered blocks can be missing.
pub const PARTS: [&str; 4] = ["watched", "payments", "deposits", "orders"];

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "record", rename_all = "snake_case")]
pub enum BookEntry {
    Payment(Box<Payment>),
    Deposit(Box<Deposit>),
    /// An order, without its signed bytes.
    Order(Box<Order>),
    /// Which blocks were swept for an address. It may come several times.
    Coverage(Box<Coverage>),
    Wallet(Box<Wallet>),
}

impl JsonSchema for BookEntry {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("BookEntry")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A record of the addresses, as it is kept, without signed bytes.",
            "properties": {
                "kind": { "type": "string", "enum": ["payment", "deposit", "order", "coverage", "wallet"] },
                "record": { "type": "object" }
            },
            "required": ["kind", "record"]
        })
    }
}

/// Takes a record into the books.
pub fn enter(books: &mut Books, entry: BookEntry) {
    match entry {
        BookEntry::Payment(payment) => drop(books.payments.insert(payment.id.clone(), *payment)),
        BookEntry::Deposit(deposit) => drop(books.deposits.insert(deposit.key, *deposit)),
        BookEntry::Order(order) => drop(books.orders.insert(order.id.clone(), *order)),
        // The first one holds: what was covered when the reading began.
        BookEntry::Coverage(coverage) => drop(books.coverage.entry(coverage.address).or_insert(*coverage)),
        BookEntry::Wallet(wallet) => books.wallet = Some(*wallet),
    }
}

fn parse_address(text: &str) -> Result<Address, OperatorError> {
    let problem = |error| explained(format_args!("{text:?} is no address: {error}"), text);
    text.parse().map_err(|error: <Address as std::str::FromStr>::Err| OperatorError::Invalid {
        field: "after",
        problem: problem(error),
    })
}

fn without_bytes(mut order: Order) -> Order {
    for attempt in &mut order.attempts {
        attempt.raw = RawTransaction::default();
    }
    order
}

impl OperatorService {
    /// Records of one of the [`PARTS`], those after `after`. Each payment comes with the coverage of its address.
    ///
    /// # Errors
    /// When there is no such part, `after` is no key of it, or the store fails.
    pub async fn books(&self, part: &str, after: Option<&str>, limit: usize) -> Result<Page<BookEntry>, OperatorError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut items = Vec::new();
        let next = match part {
            "watched" => {
                let after = after.map(parse_address).transpose()?;
                let page = self.store.watched(after, limit).await?;
                let next = page.last().filter(|_| page.len() >= limit).map(|last| last.address.to_string());
                items.extend(page.into_iter().map(|coverage| BookEntry::Coverage(Box::new(coverage))));
                if after.is_none() {
                    items.extend(
                        if_readable(self.store.wallet().await)?.map(|wallet| BookEntry::Wallet(Box::new(wallet))),
                    );
                }
                next
            }
            "payments" => {
                let after = after.map(parse_payment).transpose()?;
                let page = self.store.payments(after.as_ref(), limit).await?;
                let next = page.last().filter(|_| page.len() >= limit).map(|last| last.id.to_string());
                for payment in page {
                    let coverage = if_readable(self.store.coverage(payment.terms.deposit_address).await)?;
                    items.extend(coverage.map(|coverage| BookEntry::Coverage(Box::new(coverage))));
                    items.push(BookEntry::Payment(Box::new(payment)));
                }
                next
            }
            "deposits" => {
                let after = after.map(parse_key).transpose()?;
                let page = self.store.deposits(after.as_ref(), limit).await?;
                let next = page.last().filter(|_| page.len() >= limit).map(|last| last.key.to_string());
                items.extend(page.into_iter().map(|deposit| BookEntry::Deposit(Box::new(deposit))));
                next
            }
            "orders" => {
                let after = after.map(crate::service::orders::parse_order).transpose()?;
                let page = self.store.orders(after.as_ref(), limit).await?;
                let next = page.last().filter(|_| page.len() >= limit).map(|last| last.id.to_string());
                items.extend(page.into_iter().map(|order| BookEntry::Order(Box::new(without_bytes(order)))));
                next
            }
            other => {
                let problem = format!("{other:?} is none; it must be one of {}", PARTS.join(", "));
                return Err(OperatorError::Invalid { field: "part", problem });
            }
        };
        Ok(Page { items, next })
    }
}
