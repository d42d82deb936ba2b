//! Changing an off-ramp from outside, and telling of it what is not so.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::payment::BankAccountId;
use crate::domain::time::Timestamp;

/// What of an off-ramp is to change. What is `None` stays as it is. Over HTTP, `PATCH /control/off-ramps/{id}` takes
/// the same in JSON, with names in camelCase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Change {
    /// Its status, such as `EXPIRED`, `FAILED`, or a word that nobody knows.
    pub status: Option<String>,
    /// The transaction it bears.
    pub transaction_hash: Option<String>,
    /// When it runs out. One that has run out already comes back only with a status.
    pub expires_at: Option<Timestamp>,
    /// Who will send; `Some(None)` (`null` in JSON) when nobody is named any more.
    #[serde(deserialize_with = "given")]
    pub sender: Option<Option<Address>>,
    pub bank_account: Option<BankAccountId>,
    /// What is told instead of the truth from now on, all of it: `Told::default()` is honest again.
    pub told: Option<Told>,
}

/// What the fake API tells of an off-ramp instead of the truth, as a hostile or buggy API would. What is `None` is told
/// as it is. The truth stays what it was: a verifier, and those who add up at the end, go by it. Only the guide's shape
/// tells an address, an amount, a chain and a currency at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Told {
    pub deposit_address: Option<Address>,
    /// The amount, in base units of a token with 6 decimals.
    pub amount: Option<Amount>,
    /// The chain's name; `POLYGON` in truth.
    pub deposit_chain: Option<String>,
    /// The currency to send; `USDC` in truth.
    pub source_currency: Option<String>,
    /// Nothing of when it runs out.
    pub no_expiry: bool,
    /// Nothing of whose it is.
    pub no_recipient: bool,
    /// These fields as they are here, by their names in the API's JSON.
    pub fields: BTreeMap<String, Value>,
}

/// A field that is there, even with `null` in it.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Address>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
