//! What several endpoints' answers to one broadcast come to.

/// What one endpoint answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It took the transaction.
    Accepted,
    /// It had it already.
    AlreadyKnown,
    /// The nonce is consumed already.
    NonceTooLow,
    /// The nonce is further ahead than it takes.
    NonceTooHigh,
    /// The fees are below what it takes, or what a replacement needs.
    TooCheap,
    /// The wallet cannot pay for the gas.
    InsufficientFunds,
    /// It refused for another reason.
    Refused,
    /// Nobody knows whether it took it.
    Unclear,
    /// It certainly did not get it.
    NotReached,
}

/// What all the answers come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroadcastOutcome {
    /// At least one has it.
    Taken,
    /// One says that the nonce is consumed: by which transaction has to be found out.
    NonceTooLow,
    /// One may have it; it counts as sent.
    Unclear,
    /// Those that answered say that it offers too little.
    TooCheap,
    /// Those that answered say that lower nonces are missing.
    OutOfTurn,
    /// Those that answered refuse it.
    Refused,
    /// None got it.
    NotReached,
}

/// What all the answers come to. That the nonce is consumed comes first: an endpoint that is behind still takes what
/// another has seen mined, and what it takes can never be mined.
#[must_use]
pub fn read(answers: &[Heard]) -> BroadcastOutcome {
    let has = |wanted: &[Heard]| answers.iter().any(|answer| wanted.contains(answer));
    if has(&[Heard::NonceTooLow]) {
        return BroadcastOutcome::NonceTooLow;
    }
    if has(&[Heard::Accepted, Heard::AlreadyKnown]) {
        return BroadcastOutcome::Taken;
    }
    if has(&[Heard::Unclear]) {
        return BroadcastOutcome::Unclear;
    }
    if has(&[Heard::InsufficientFunds, Heard::Refused]) {
        return BroadcastOutcome::Refused;
    }
    if has(&[Heard::TooCheap]) {
        return BroadcastOutcome::TooCheap;
    }
    if has(&[Heard::NonceTooHigh]) {
        return BroadcastOutcome::OutOfTurn;
    }
    BroadcastOutcome::NotReached
}
