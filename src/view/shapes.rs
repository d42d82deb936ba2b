//! What the domain's types look like in JSON, for the OpenAPI document.
//!
//! The domain knows nothing of documents, so the views say `#[schemars(with = "shapes::…")]` where they show one of its
//! types as it is. A test holds every specimen of a record against these. Where the domain's type is an enum with
//! fields, the shape says its tag's values and leaves the fields open: they are there to be read together with the
//! sentence beside them, and more of them may come.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// Declares a shape: a name for it in the document, and its schema.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident = $($schema:tt)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

shape! {
    /// An id of the payment API: of a payment, a recipient or a bank account.
    Id = {
        "type": "string",
        "description": "An id of the payment API: letters, digits, '-', '_' and '.', and not only dots.",
        "pattern": r"^\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
        "maxLength": 128
    }
}
shape! {
    /// An order's id.
    OrderId = {
        "type": "string",
        "description": "An order's id: the payment's, a colon, and which of its orders it is, from 1.",
        "pattern": r"^\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*:[1-9][0-9]{0,8}$",
        "maxLength": 138
    }
}
shape! {
    /// The name of somebody who may ask.
    Actor = {
        "type": "string",
        "description": "The name of a token, or 'local' for the machine's own.",
        "pattern": "^[A-Za-z][A-Za-z0-9_.@-]*$",
        "maxLength": 64
    }
}
shape! {
    Role = { "type": "string", "enum": ["read", "operate", "approve"] }
}
shape! {
    Address = { "type": "string", "description": "An address.", "pattern": "^0x[0-9a-fA-F]{40}$" }
}
shape! {
    /// The hash of a block or a transaction.
    Hash = { "type": "string", "description": "32 bytes in hexadecimal.", "pattern": "^0x[0-9a-f]{64}$" }
}
shape! {
    /// An amount in base units.
    BaseUnits = {
        "type": "string",
        "description": "An amount in base units of the token, as digits: JSON readers lose large numbers.",
        "pattern": "^[0-9]{1,39}$"
    }
}
shape! {
    /// An amount in whole units, as people write it.
    DecimalAmount = {
        "type": "string",
        "description": "An amount in whole units of the token, such as 1000.50; no sign, separators or exponent.",
        "pattern": r"^[0-9]{1,20}(\.[0-9]{1,6})?$"
    }
}
shape! {
    /// An exact figure of the payment API: an amount of fiat money, a rate, a fee.
    Figure = {
        "type": "string",
        "description": "An exact decimal, such as 17.2041, as text: JSON readers round numbers.",
        "pattern": r"^[0-9]{1,30}(\.[0-9]{1,30})?$"
    }
}
shape! {
    /// A currency or a rail, as the payment API calls it.
    Word = {
        "type": "string",
        "description": "As the payment API calls it, such as MXN or SPEI.",
        "pattern": "^[A-Za-z0-9_.-]{1,32}$"
    }
}
shape! {
    Country = { "type": "string", "description": "The two letters of ISO 3166-1.", "pattern": "^[A-Z]{2}$" }
}
shape! {
    /// A moment, as people write it.
    Moment = {
        "type": "string",
        "format": "date-time",
        "description": "A moment with its offset (RFC 3339), such as 2026-11-22T10:00:00Z."
    }
}
shape! {
    /// What tells one deposit from every other.
    DepositKey = {
        "type": "object",
        "description": "What tells one deposit from every other.",
        "properties": {
            "chain_id": { "type": "integer", "minimum": 0 },
            "block_hash": { "type": "string", "pattern": "^0x[0-9a-f]{64}$" },
            "tx_hash": { "type": "string", "pattern": "^0x[0-9a-f]{64}$" },
            "log_index": { "type": "integer", "minimum": 0 }
        },
        "required": ["chain_id", "block_hash", "tx_hash", "log_index"]
    }
}
shape! {
    /// A deposit's key as text.
    DepositId = {
        "type": "string",
        "description": "A deposit's key: chain, block hash, transaction hash and log index, with colons between.",
        "pattern": "^[0-9]{1,18}:0x[0-9a-f]{64}:0x[0-9a-f]{64}:[0-9]{1,18}$"
    }
}
shape! {
    /// What people may call a deposit by.
    DepositName = {
        "type": "string",
        "description": "A deposit: its key, or the hash of a transaction that has only one, or with `:log-index` where \
                        it has several.",
        "pattern": "^([0-9]{1,18}:0x[0-9a-f]{64}:)?0x[0-9a-f]{64}(:[0-9]{1,18})?$"
    }
}
shape! {
    /// A place in the list of reviews.
    ReviewPlace = {
        "type": "string",
        "description": "A place in the list, as a part before gave it.",
        "pattern": r"^(\.*[A-Za-z0-9_-][A-Za-z0-9_.-]{0,120}|:|[0-9]{1,18}:0x[0-9a-f]{64}:0x[0-9a-f]{64}:[0-9]{1,18})$",
        "maxLength": 180
    }
}
shape! {
    BlockRef = {
        "type": "object",
        "description": "A block by number and hash.",
        "properties": {
            "number": { "type": "integer", "minimum": 0 },
            "hash": { "type": "string", "pattern": "^0x[0-9a-f]{64}$" }
        },
        "required": ["number", "hash"]
    }
}
shape! {
    /// Where an address or an amount is known from.
    Provenance = {
        "type": "string",
        "description": "Where it is known from: our own creation, the API, or a person who typed it.",
        "enum": ["created", "api", "typed"]
    }
}
shape! {
    Outcome = { "type": "string", "enum": ["completed", "failed", "expired", "refunded", "cancelled"] }
}
shape! {
    Placer = { "type": "string", "enum": ["person", "auto"] }
}
shape! {
    /// What a transaction is meant to do.
    AttemptKind = { "type": "string", "enum": ["transfer", "self_send"] }
}
shape! {
    /// Why an off-ramp is not taken up without a person.
    CandidateReason = {
        "type": "object",
        "description": "Why an off-ramp is not taken up without a person, with the particulars of this reason.",
        "properties": {
            "reason": { "type": "string", "enum": ["incomplete", "other_currency", "disagrees", "unusable"] }
        },
        "required": ["reason"]
    }
}
shape! {
    /// What became of a candidate.
    CandidateState = {
        "type": "object",
        "description": "What became of a candidate, with the person's reason where one has dismissed it.",
        "properties": { "is": { "type": "string", "enum": ["open", "added", "gone", "dismissed"] } },
        "required": ["is"]
    }
}
shape! {
    /// What a person must decide about a payment.
    PaymentReview = {
        "type": "object",
        "description": "What a person must decide, with the particulars of this reason.",
        "properties": {
            "reason": {
                "type": "string",
                "enum": [
                    "other_hash", "refused", "still_awaiting", "ended_with_money", "terms_differ", "gone_after_final",
                    "not_found", "unreadable"
                ]
            }
        },
        "required": ["reason"]
    }
}
shape! {
    /// What a deposit is taken for.
    Verdict = {
        "type": "object",
        "description": "What the deposit is taken for, with the particulars.",
        "properties": {
            "is": { "type": "string", "enum": ["unjudged", "pays", "nothing", "review", "ignored"] }
        },
        "required": ["is"]
    }
}
shape! {
    /// How far an order is.
    OrderState = {
        "type": "object",
        "description": "The order's whole state, as it is stored.",
        "properties": {
            "is": {
                "type": "string",
                "enum": ["awaiting_approval", "ready", "held", "sending", "cancelling", "mined", "ended"]
            }
        },
        "required": ["is"]
    }
}
shape! {
    /// Why a person must approve an order.
    ApprovalReason = {
        "type": "object",
        "description": "Why a person must approve the order.",
        "properties": {
            "reason": {
                "type": "string",
                "enum": [
                    "above_amount", "typed_address", "typed_amount", "expiry_unknown", "typed_recipient", "typed_expiry",
                    "above_per_day", "reverted"
                ]
            }
        },
        "required": ["reason"]
    }
}
