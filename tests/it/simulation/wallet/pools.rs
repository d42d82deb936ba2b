//! Where signed transactions wait: a pool at each endpoint, and those of the blocks' producers.
//!
//! Whatever left the process once may be mined at any time while its nonce fits, be it that every pool the process can
//! ask has forgotten it. Deliberately absent: the way to an endpoint (`fake_sender`), and what a block does with it.

use std::collections::BTreeMap;

use rampwatch::domain::chain::B256;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::sender::SendAnswer;

use super::super::rng::Rng;
use super::account::State;
use super::bytes::Signed;

/// So far ahead of the account a nonce may be for an endpoint to keep it.
const FURTHEST: u64 = 64;
/// The least tip that an endpoint takes at all, in wei.
const LEAST_TIP: u128 = 25_000_000_000;
/// The most transactions of the wallet in a block.
const MOST_IN_BLOCK: usize = 6;

/// A transaction in a pool, from some moment on.
#[derive(Clone, Debug)]
struct Waiting {
    signed: Signed,
    from: Timestamp,
}

/// All pools.
pub(crate) struct Pools {
    /// Of each endpoint, by nonce.
    endpoints: Vec<BTreeMap<u64, Waiting>>,
    /// How much more, in hundredths, each endpoint wants for one that takes another's place. A tenth is usual.
    more: Vec<u128>,
    /// Of the producers: all that they ever heard of, replaced or not.
    producers: BTreeMap<B256, Waiting>,
    rng: Rng,
}

impl Pools {
    /// Empty ones.
    pub(crate) fn new(seed: u64, endpoints: usize) -> Self {
        let mut rng = Rng::stream(seed, "pools");
        let more = (0..endpoints).map(|_| *rng.pick(&[10, 10, 10, 25])).collect();
        Self { endpoints: vec![BTreeMap::new(); endpoints], more, producers: BTreeMap::new(), rng }
    }

    /// The same, with endpoints that all want a tenth more.
    #[allow(dead_code, reason = "for the tests of the fakes, which `make simulate` leaves out")]
    pub(crate) fn with_usual_prices(self) -> Self {
        Self { more: vec![10; self.more.len()], ..self }
    }

    /// An endpoint is given a transaction, and says what it says. `account` is as it shows it. With `spreads`, what it
    /// takes comes to all others too.
    pub(crate) fn offer(
        &mut self,
        endpoint: usize,
        signed: &Signed,
        account: &State,
        now: Timestamp,
        spreads: bool,
    ) -> SendAnswer {
        let nonce = signed.tx.nonce;
        let pool = &self.endpoints[endpoint];
        let there = pool.get(&nonce).filter(|waiting| waiting.from <= now);
        let answer = match there {
            // What waited at a nonce that is consumed was let go of with the block that consumed it.
            _ if nonce < account.nonce => SendAnswer::NonceTooLow,
            Some(waiting) if waiting.signed.hash == signed.hash => SendAnswer::AlreadyKnown,
            _ if nonce > account.nonce + FURTHEST => SendAnswer::NonceTooHigh,
            _ if signed.tip() < LEAST_TIP => SendAnswer::FeeTooLow("gas tip cap below the minimum".to_owned()),
            _ if account.native < signed.cap() * u128::from(signed.tx.gas_limit) => SendAnswer::InsufficientFunds,
            Some(waiting) if !replaces(signed, &waiting.signed, self.more[endpoint]) => SendAnswer::Underpriced,
            Some(_) | None => SendAnswer::Accepted,
        };
        match answer {
            SendAnswer::Accepted => {
                let waiting = Waiting { signed: signed.clone(), from: now };
                self.endpoints[endpoint].insert(nonce, waiting);
                if spreads {
                    self.spread(signed, now);
                }
            }
            SendAnswer::AlreadyKnown if spreads => self.spread(signed, now),
            _ => {}
        }
        answer
    }

    /// The transaction comes to the producers soon, and to the other endpoints that have none to set against it.
    pub(crate) fn spread(&mut self, signed: &Signed, now: Timestamp) {
        let from = now.plus(Span::from_millis(self.rng.range(50, 4_000)));
        let entry = self.producers.entry(signed.hash).or_insert_with(|| Waiting { signed: signed.clone(), from });
        entry.from = entry.from.min(from);
        for (pool, more) in self.endpoints.iter_mut().zip(&self.more) {
            let better = |waiting: &Waiting| replaces(signed, &waiting.signed, *more);
            if pool.get(&signed.tx.nonce).is_none_or(better) && self.rng.permille(900) {
                pool.insert(signed.tx.nonce, Waiting { signed: signed.clone(), from });
            }
        }
    }

    /// How many transactions an endpoint counts together with those that wait there.
    pub(crate) fn pending(&self, endpoint: usize, mined: u64, now: Timestamp) -> u64 {
        let pool = &self.endpoints[endpoint];
        let waits = |nonce: &u64| pool.get(nonce).is_some_and(|waiting| waiting.from <= now);
        (mined..).find(|nonce| !waits(nonce)).unwrap_or(mined)
    }

    /// An endpoint forgets all that waits there.
    pub(crate) fn forget(&mut self, endpoint: usize) {
        self.endpoints[endpoint].clear();
    }

    /// The producers forget all that they have heard. Somebody gives some of it to them again later.
    pub(crate) fn producers_forget(&mut self, now: Timestamp) {
        for waiting in self.producers.values_mut() {
            let back = if self.rng.permille(600) { self.rng.range(20, 400) } else { 100_000 };
            waiting.from = now.plus(Span::from_secs(back));
        }
    }

    /// What was lost is all there again, and what an endpoint kept to itself is passed on.
    pub(crate) fn remember(&mut self, now: Timestamp) {
        for waiting in self.endpoints.iter().flat_map(BTreeMap::values) {
            self.producers.entry(waiting.signed.hash).or_insert_with(|| waiting.clone());
        }
        for waiting in self.producers.values_mut() {
            waiting.from = waiting.from.min(now);
        }
    }

    /// A reorg has taken a transaction out: most producers keep it.
    pub(crate) fn comes_loose(&mut self, signed: Signed, now: Timestamp, certainly: bool) {
        let soon = certainly || self.rng.permille(700);
        let wait = if soon { self.rng.range(0, 3) } else { self.rng.range(30, 300) };
        let from = now.plus(Span::from_secs(wait));
        self.producers.insert(signed.hash, Waiting { signed, from });
    }

    /// What the next block takes: mostly what pays best, and now and then another with the same nonce.
    pub(crate) fn pick(&mut self, account: State, now: Timestamp) -> Vec<Signed> {
        let mut picked: Vec<Signed> = Vec::new();
        let mut next = account;
        while picked.len() < MOST_IN_BLOCK {
            let heard = self.producers.values().filter(|waiting| waiting.from <= now);
            let mut fits: Vec<&Signed> =
                heard.map(|waiting| &waiting.signed).filter(|signed| next.takes(signed)).collect();
            fits.sort_by_key(|signed| (signed.tip(), signed.cap()));
            let any = self.rng.permille(150);
            let Some(best) = fits.last().copied() else { break };
            let chosen = if any { *self.rng.pick(&fits) } else { best };
            let chosen = chosen.clone();
            next.execute(chosen.clone());
            picked.push(chosen);
        }
        picked
    }

    /// The lowest nonce that nothing waits for, from this one on.
    pub(crate) fn free_nonce(&self, from: u64) -> u64 {
        let taken = |nonce: u64| self.producers.values().any(|waiting| waiting.signed.tx.nonce == nonce);
        (from..).find(|nonce| !taken(*nonce)).unwrap_or(from)
    }
}

/// Whether a transaction offers so many hundredths more than the one in its place, tip and cap.
fn replaces(new: &Signed, old: &Signed, more: u128) -> bool {
    let least = |price: u128| price + (price * more).div_ceil(100);
    new.hash != old.hash && new.cap() >= least(old.cap()) && new.tip() >= least(old.tip())
}
