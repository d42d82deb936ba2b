//! What operators and programs may ask and decide, whether the daemon runs or only the store is open.
//!
//! Each use case reads what it needs, asks `policy`, and writes through the engine's one way of writing. Deliberately absent: HTTP
//! and terminals (`http` and `cli` drive this), and loops (they are in `engine`).

use crate::engine::EngineSettings;
use crate::view::TokenName;
use crate::view::explain::Names;

pub mod adopt;
pub mod books;
mod candidates;
pub mod disputes;
pub mod events;
mod explain_payouts;
pub mod export;
mod funding_queries;
mod listeners;
pub mod notice_words;
mod notices;
mod operator_calls;
mod operator_error;
pub mod operator_service;
pub mod orders;
mod payout_requests;
mod payout_reviews;
pub mod payouts;
pub mod queries;
mod quotes;
mod receipt;
mod receipt_payout;
pub mod reconcile;
mod reconcile_report;
pub mod repeats;
pub mod requests;
mod review_pages;
pub mod tally;
pub mod wake;
pub mod webhooks;

pub use crate::engine::health::Readiness;

/// What these settings call things.
pub(crate) fn names_of<'a>(settings: &'a EngineSettings, tokens: &'a [TokenName]) -> Names<'a> {
    let shadow = !settings.mode.acts();
    Names { paying: settings.token, decimals: settings.decimals, tokens, shadow, docs: &settings.docs_url }
}
