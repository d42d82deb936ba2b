//! Bugs that are planted one at a time, so that the simulation proves that it would find them: `make planted-bugs`.
//!
//! Each place that can be wrong asks [`planted`] whether it is to be. Without the feature `planted-bugs` the answer is a
//! constant `false`, and the compiler leaves nothing of the question behind. With it, whoever runs a simulation plants one
//! bug for its own thread; the program itself refuses to start (`main.rs`). Deliberately absent: a way to plant from
//! outside, be it the configuration, the environment or the command line; and two bugs at once.

macro_rules! bugs {
    ($($(#[doc = $rule:literal])+ $bug:ident = $does:literal,)+) => {
        /// A bug that can be planted. The documentation of each is the rule that it breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[doc = $rule])+ $bug,)+
        }

        #[cfg(feature = "planted-bugs")]
        impl Bug {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$bug,)+];

            /// What the program does wrong with it.
            #[must_use]
            pub const fn does(self) -> &'static str {
                match self {
                    $(Self::$bug => $does,)+
                }
            }
        }
    };
}

bugs! {
    /// The blocks just below the coverage are read again by each sweep, so that what a node shows late is found by the next
    /// sweep and does not wait for the second reading (decision 3).
    NoOverlap = "a sweep begins right above the coverage",
    /// Coverage belongs to an address: what was read for others was not read for a new one (decision 4).
    OneCoverageForAll = "a new address counts as read as far as the others",
    /// Coverage rises in the commit that stores what was read, never before (decision 4).
    CoverageBeforeDeposits = "the coverage is stored in a commit of its own, before the deposits",
    /// An empty answer is a claim: each range is read once more, some minutes later (decision 5).
    EmptyAnswerBelieved = "the first reading counts as the second one too",
    /// No address is let go without a last reading of its whole window (decision 5).
    NoLastReading = "an address is let go without a last reading",
    /// An address stays watched for a while after its payment has ended.
    LetGoAtOnce = "an address is let go as soon as its payment has ended",
    /// A deposit is known by chain, block, transaction and log: one transaction can hold several.
    KeyedByTransaction = "a second transfer of a known transaction is taken for the first one",
    /// Hints are never trusted to be complete: the sweep goes on without them (decision 3).
    HintsAreEnough = "while the subscription works, nothing is swept without a hint",
    /// A log that is missing although its block stands is withheld, not gone.
    WithheldMeansGone = "a deposit that an answer leaves out is taken for gone, though its block stands",
    /// What fails is asked again later and later.
    NoBackoff = "a chain that cannot be read is asked again at once",
    /// What counts as read above the head was never there: it is taken back and read again.
    CoverageAboveHeadKept = "coverage above the head stays as it is",

    /// A deposit is final only if the hash at its height is still its block's (decision 6).
    FinalByNumber = "a deposit is called final by its block's number, whatever its hash",
    /// Nothing counts as final but by the configured rule (decision 6).
    HeadIsFinal = "the head counts as final",
    /// A deposit whose block is not on the chain any more is gone.
    GoneDepositsStay = "a reorg takes no deposit away",
    /// What was final long ago is looked at again before the call (decision 6).
    FinalForever = "before a call, nobody asks whether what was once final still is",
    /// No call above the final number once that has moved back (decision 6).
    CallsAboveTheMark = "a final number that has moved back below the deposit holds no call back",
    /// The last look before a call compares the block's hash (decision 6).
    LastLookByNumber = "the last look before a call takes any block at the deposit's height for its own",

    /// Two payments that fit are a review (decision 9).
    GuessesBetweenTwo = "of two payments that fit, the first is taken",
    /// Too little is a review (decision 9).
    TooLittleIsEnough = "any amount up to the payment's pays it",
    /// Only the configured token pays.
    AnyTokenPays = "a deposit in another known token pays",
    /// No deposit pays two payments.
    OneDepositPaysTwo = "every payment of the address with a deposit's amount takes it",
    /// What could pay nothing is no brake: only what could pay, alone or with others, stands in the way of funding.
    DustHolds = "any money at the address stands in the way of funding",
    /// What could pay by itself is kept, whatever came before it.
    DustHidesPayment = "behind many small deposits, any other is counted and not kept",
    /// A deposit that is counted is counted once.
    StrayCountedTwice = "what is read again is counted again",
    /// Money that came before the payment was opened or after it ran out is a review (decision 9).
    AnyTimePays = "money that came too early or too late pays",
    /// A transfer from an address to itself moves nothing.
    MoneyToItselfPays = "a transfer from the deposit address to itself pays",

    /// No further call without a fresh GET (decision 7).
    RetryWithoutAsking = "after a call that failed, the next one is made without asking how the payment stands",
    /// After an unclear answer twice the API's time-out passes before the question (decision 7).
    RetryTooEarly = "after an unclear answer the API is asked, and called again, at once",
    /// "Calling" is on the disk before the POST (decision 7).
    PostBeforeCalling = "the POST goes out before it is stored that it will",
    /// The local clock never ends a payment (decision 9).
    LocalClockExpires = "a payment whose expiry has passed by the local clock is over",
    /// That the API does not know a payment is a review: a 404 can be wrong.
    UnknownMeansOver = "a 404 ends a payment",
    /// A conflict means that nothing was stored, and that the decision is made anew (decision 2).
    ConflictIsSuccess = "a commit that ran into a conflict counts as made",
    /// A stale writer never overwrites (decision 2).
    StaleWriteWins = "what was decided on old records overwrites newer ones",
    /// Every change is explained by an event of its own commit (decision 2).
    ChangeUntold = "no event tells what the API said",
    /// What a webhook says moves nothing (decision 11).
    HintIsTheWord = "a webhook counts as the API's word that the payment has moved on",
    /// A webhook wakes a question only where that is the next step: an unclear call is looked into at its own pace.
    HintHurriesUnclear = "a webhook has an unclear call asked after, and called again, at once",

    /// All attempts of an order bear one nonce, until a receipt at it is final (decision 8).
    NewNonceOnRetry = "an order whose block is gone takes another nonce",
    /// The commit that stores the signed bytes takes the nonce (decision 8).
    NonceNotTaken = "the signed bytes are stored, and the wallet's next nonce is not raised",
    /// Only what is on the disk is broadcast (decision 8).
    BroadcastBeforeCommit = "a transfer is broadcast before its bytes are stored",
    /// A spend counts until it is certain that no money moved.
    SpendGivenBackEarly = "an order that is cancelled gives its spend back while its transfer can still be mined",
    /// Before every broadcast, and again after a crash, everything is checked anew (decision 8).
    NoCheckBeforeBroadcast = "signed bytes are broadcast again without another check",
    /// A payment has one order at a time.
    OrderPlacedTwice = "a payment with an open order gets another",
    /// What the rules want approved waits for somebody's approval.
    ApprovalNotNeeded = "no order waits for an approval",
    /// Nobody approves an order of their own.
    OwnOrderApproved = "whoever placed an order may approve it",
    /// A refusal of one payment says nothing of the key.
    OneRefusalShutsAll = "the API's refusal of one payment shuts it for all",
    /// Nobody approves what he has typed a term of.
    TypistApproves = "whoever typed the address or amount of a payment may approve its order",
    /// The rules hold when money leaves, not only when an order is placed.
    RulesNotAppliedAgain = "rules that were tightened do not hold for orders placed before",
    /// What a person typed is not the API's word.
    TypedRecipientListed = "a recipient that a person typed satisfies the list of allowed ones",
    /// Many small orders are one large one.
    StructuringAllowed = "a person may place any number of orders just below what needs an approval",
    /// What is placed keeps to the limits.
    LimitsIgnored = "an order is placed whatever has been spent",
    /// A self-send consumes the nonce of the order's own transfer (decision 8).
    SelfSendAtAnotherNonce = "a self-send bears the nonce after the order's",
    /// A reverted transfer ends its nonce only once its receipt is final (decision 8).
    RevertBelievedAtOnce = "an order is over, and its spend given back, as soon as its transfer has failed in a block",
    /// An order is paid once its transfer's block is final.
    MinedIsPaid = "an order has paid as soon as its transfer is in a block",
    /// As many operators as configured say the same before a fact frees something (decision 14).
    AgreementSkipped = "a completion, or an order's end, rests on one operator's word, however many are to agree",
    /// A block is final when as many operators as configured say so (decision 14).
    FinalByOne = "an operator that agrees on a transaction counts, whether or not it calls its block final",
    /// A second reading is made by as many operators as have to agree, so that none alone can hide a deposit (decision 14).
    SecondReadingByOne = "one operator's second reading is enough to let an address go",
    /// An end that the API names is believed when it says so again, some minutes later (decision 14).
    EndBelievedAtOnce = "an end that the API names is believed at once",
    /// Spend counts for as long as its order is open, however old that is.
    WindowForgetsOpenOrders = "an order that was placed a day ago counts no more, though it is open",
    /// An adoption books what the wallet sent in the last 24 hours.
    AdoptForgetsSpend = "an adoption books nothing of what the wallet has sent",
    /// An approval ages out.
    ApprovalForEver = "an order may be approved however long ago it was placed",
    /// After a revert the same value is never signed again by itself (decision 14).
    RevertSignedAgain = "an order whose transfer failed is checked anew and signed again by itself",
    /// No money is sent for a payment that somebody else has paid.
    PaidByHandPaidAgain = "money that is there already does not hold a transfer back",
    /// Signed bytes are not broadcast when too little of the payment's time is left.
    TimeLeftIgnored = "a transfer is broadcast however little time is left",
}

/// Whether this bug is planted: never, in a program that is built to be used.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use self::ground::{plant, planted};

#[cfg(feature = "planted-bugs")]
mod ground {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        /// The bug of this thread. A simulation never leaves its thread.
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this bug is planted in this thread.
    #[must_use]
    pub fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Plants a bug for this thread, or weeds it out, until the next call.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}
