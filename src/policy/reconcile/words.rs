//! The names of differences, what each means, and what to do about it.

use strum::{IntoStaticStr, VariantArray};

/// The kinds of differences, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum Kind {
    /// A transfer to a watched address is on the chain and not in the ledger.
    DepositMissingHere,
    /// A deposit of the ledger is not on the chain.
    DepositNotOnChain,
    /// A deposit is on both sides with other content.
    DepositDiffers,
    /// A final deposit pays nothing.
    DepositWithoutPayment,
    /// Money left the wallet, and no order explains it.
    OutflowUnexplained,
    /// An order counts as paid, and its transfer is not on the chain.
    OrderNotOnChain,
    /// The wallet has used nonces that the ledger never gave out.
    NonceAhead,
    /// A nonce that the ledger gave out is neither used nor held by an open order.
    NonceGap,
    /// The wallet's balance is not what its transfers make it.
    BalanceDiffers,
    /// The API has a payment that the ledger does not know.
    UnknownHere,
    /// The API does not know a payment of the ledger.
    UnknownThere,
    /// Several payments bear one transaction at the API.
    HashTwice,
    /// The API names another transaction than the deposit's.
    OtherHash,
    /// The API's amount is another.
    ApiAmountDiffers,
    /// The API's deposit address is another.
    ApiAddressDiffers,
    /// The API has a payment in hand, or has ended it, that is open here.
    TakenThereOpenHere,
    /// The API has ended a payment that is still followed here.
    EndedThereFollowedHere,
    /// A payment has ended here, and otherwise or not at all at the API.
    EndedHereNotThere,
    /// The API completed a payment for which the ledger has no deposit.
    CompletedWithoutDeposit,
    /// A deposit has been final for a while, and the API still waits for funds.
    FinalNotCompleted,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// Its name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::DepositMissingHere => {
                "A transfer to a watched address is in final blocks that count as read, and the ledger does not have it: \
                 the provider left it out of two readings, or the store is an old copy."
            }
            Self::DepositNotOnChain => {
                "The ledger has a deposit whose log is not on the chain: a reorg deeper than the finality rule, a provider \
                 that made it up, or one that leaves it out now."
            }
            Self::DepositDiffers => "The ledger and the chain have the same log with other content.",
            Self::DepositWithoutPayment => "Money came in, is final, and pays nothing.",
            Self::OutflowUnexplained => {
                "Money left the hot wallet in a transaction that no order of this ledger signed, or not as the order says: \
                 the key is used elsewhere, or the store is an old copy."
            }
            Self::OrderNotOnChain => "An order counts as paid, and the chain does not have its transfer.",
            Self::NonceAhead => {
                "The hot wallet has used nonces that this ledger never gave out: the key is used elsewhere, or the store is \
                 an old copy."
            }
            Self::NonceGap => {
                "The ledger gave out a nonce that the chain has not used, and no open order holds it: whatever is sent \
                 after it waits for ever."
            }
            Self::BalanceDiffers => {
                "The hot wallet's balance is not what it had before, plus what came in, less what went out: the provider \
                 leaves out transfers."
            }
            Self::UnknownHere => {
                "The API has an off-ramp that rampwatch does not watch: its deposit would not be seen."
            }
            Self::UnknownThere => "The API does not know a payment that the ledger has.",
            Self::HashTwice => {
                "At the API, several payments bear the same transaction: one of them was not paid by it."
            }
            Self::OtherHash => "The API names another transaction than the deposit that pays the payment here.",
            Self::ApiAmountDiffers => "The API asks for another amount than the ledger matches against.",
            Self::ApiAddressDiffers => "The API has another deposit address than the ledger watches.",
            Self::TakenThereOpenHere => {
                "The API has the payment in hand, or has ended it, while it is open here: somebody else completed it, or it \
                 ran out. Within a minute or so of the change this is usual."
            }
            Self::EndedThereFollowedHere => {
                "The API has ended the payment, and rampwatch has not noticed yet. Within a few minutes of the end this is \
                 usual."
            }
            Self::EndedHereNotThere => "The payment has ended here, and the API says something else.",
            Self::CompletedWithoutDeposit => {
                "The API completed the payment, and the ledger has no deposit that pays it: somebody completed it with \
                 money that rampwatch has not seen."
            }
            Self::FinalNotCompleted => {
                "The payment's deposit has been final for more than ten minutes, and the API still waits for funds."
            }
        }
    }

    /// What a person can do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::DepositMissingHere => {
                "Look at the transaction on another node. Do not complete the payment by hand before you know whether \
                 rampwatch will; if the store is an old copy, stop rampwatch and restore the newest."
            }
            Self::DepositNotOnChain => {
                "Look at the transaction on another node. If its payment was completed, tell the provider of the API."
            }
            Self::DepositDiffers => {
                "Compare with another node, and take the provider that is wrong out of [[rpc.endpoints]]."
            }
            Self::DepositWithoutPayment => "`rampwatch reviews` says what would settle it.",
            Self::OutflowUnexplained => {
                "If nobody knows the transaction, `rampwatch wallet pause` and move what is left to a new key. If it was \
                 sent on purpose, write it down."
            }
            Self::OrderNotOnChain => {
                "Look at the transaction on another node before anything is paid again; tell the recipient."
            }
            Self::NonceAhead => {
                "`rampwatch wallet status`; stop whatever else uses the key, then `rampwatch wallet adopt`."
            }
            Self::NonceGap => {
                "`rampwatch orders` and `rampwatch wallet status`; if the wallet is halted, `rampwatch wallet adopt`."
            }
            Self::BalanceDiffers => {
                "Run it again over another endpoint; if it stays, look at the wallet in an explorer."
            }
            Self::UnknownHere => "`rampwatch add <payment> <recipient>`, or leave it if another system looks after it.",
            Self::UnknownThere => "Check the id and the API key; `rampwatch resolve cancel` if it is gone for good.",
            Self::HashTwice => "Ask the provider which of them the transaction paid, and have the other one corrected.",
            Self::OtherHash => {
                "Find out who completed it with what; `rampwatch why <payment>` has the deposit that was matched here."
            }
            Self::ApiAmountDiffers | Self::ApiAddressDiffers => {
                "Ask the provider which holds. Do not pay before both agree."
            }
            Self::TakenThereOpenHere => {
                "See that rampwatch runs and run this again. If it stays, `rampwatch resolve retry <payment>` looks at it now."
            }
            Self::EndedThereFollowedHere => "See that rampwatch runs and run this again.",
            Self::EndedHereNotThere => "Ask the provider; `rampwatch receipt <payment>` has what the API said before.",
            Self::CompletedWithoutDeposit => {
                "Ask the provider who completed it, and look at the transaction that it names."
            }
            Self::FinalNotCompleted => {
                "See that rampwatch runs; `rampwatch why <payment>` says what it waits for, and `rampwatch reviews` what a \
                 person must decide."
            }
        }
    }
}
