//! What befalls the wallet from outside: dear gas, a token that is paused, blacklists, thefts and gifts, a key that is
//! used elsewhere. Drawn before anything happens; all of it ends with the chaos.

use rampwatch::domain::chain::Address;
use rampwatch::domain::time::Span;

use super::super::rng::Rng;
use super::account::Conditions;

/// A wei count of one gwei.
pub(crate) const GWEI: u128 = 1_000_000_000;

/// What befalls it, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fortune {
    /// The base fee is so many times as high.
    Dear(u128),
    /// Producers want so many gwei as a tip.
    Picky(u128),
    /// No block takes a transaction of the wallet.
    Ignored,
    /// In this many blocks of a thousand, transfers fail for no reason that a look before shows.
    Flickers(u64),
    /// The token is paused.
    Paused,
    /// The token has blacklisted the wallet.
    WalletBlacklisted,
    /// The token has blacklisted the deposit address of the so-manieth payment.
    Blacklisted(usize),
    /// The signer cannot be reached.
    SignerAway,
    /// The signer refuses.
    SignerRefuses,
}

/// Something that happens to it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Somebody with an allowance takes nearly all of the token.
    Theft,
    /// Somebody sends it so much of the token, in base units.
    Gift(u128),
    /// Somebody sends it so much of the native coin, in wei.
    Fuel(u128),
    /// Somebody signs with its key elsewhere.
    Outsider,
}

/// All that befalls one wallet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fortunes {
    /// For a while each.
    pub(crate) spells: Vec<(Span, Span, Fortune)>,
    /// Once each, by time.
    pub(crate) turns: Vec<(Span, Turn)>,
}

impl Fortunes {
    /// Draws what befalls a wallet in a world whose chaos is this long.
    pub(crate) fn draw(rng: &mut Rng, chaos: Span, payments: u64) -> Self {
        let mut fortunes = Self::default();
        for _ in 0..rng.below(14) {
            let fortune = match rng.below(16) {
                0..4 => Fortune::Dear(u128::from(rng.range(2, 10))),
                4 | 5 => Fortune::Flickers(rng.range(300, 900)),
                6 => Fortune::Picky(u128::from(rng.range(30, 90))),
                7 | 8 => Fortune::Ignored,
                9 => Fortune::Paused,
                10 => Fortune::WalletBlacklisted,
                11 | 12 => Fortune::Blacklisted(usize::try_from(rng.below(payments)).expect("few")),
                13 => Fortune::SignerRefuses,
                _ => Fortune::SignerAway,
            };
            let from = Span::from_millis(rng.below(chaos.as_millis()));
            let to = from.plus(Span::from_millis(rng.range(3_000, 240_000)));
            fortunes.spells.push((from, to.min(chaos), fortune));
        }
        for _ in 0..rng.below(3) {
            let turn =
                if rng.permille(500) { Turn::Theft } else { Turn::Gift(u128::from(rng.range(1, 4_000_000_000))) };
            fortunes.turns.push((Span::from_millis(rng.below(chaos.as_millis())), turn));
        }
        if rng.permille(70) {
            fortunes.turns.push((Span::from_millis(rng.below(chaos.as_millis())), Turn::Outsider));
        }
        fortunes
    }

    /// In the end there is enough of everything again.
    pub(crate) fn mended(mut self, at: Span, token: u128, native: u128) -> Self {
        self.turns.push((at, Turn::Gift(token)));
        self.turns.push((at, Turn::Fuel(native)));
        self.turns.sort_by_key(|(at, _)| *at);
        self
    }

    /// What befalls it at this time.
    pub(crate) fn at(&self, elapsed: Span) -> impl Iterator<Item = Fortune> + '_ {
        let on = move |(from, to, _): &&(Span, Span, Fortune)| *from <= elapsed && elapsed < *to;
        self.spells.iter().filter(on).map(|(.., fortune)| *fortune)
    }

    /// Whether this very thing befalls it now.
    pub(crate) fn is(&self, elapsed: Span, fortune: Fortune) -> bool {
        self.at(elapsed).any(|on| on == fortune)
    }

    /// What a block is made under. `addresses` are the payments' deposit addresses.
    pub(crate) fn conditions(&self, elapsed: Span, rng: &mut Rng, addresses: &[Address]) -> Conditions {
        let mut conditions = Conditions { base_fee: GWEI * u128::from(rng.range(25, 45)), ..Conditions::plain() };
        for fortune in self.at(elapsed) {
            match fortune {
                Fortune::Dear(times) => conditions.base_fee *= times,
                Fortune::Picky(gwei) => conditions.least_tip = gwei * GWEI,
                Fortune::Flickers(times) => conditions.fails = rng.permille(times),
                Fortune::Paused => conditions.paused = true,
                Fortune::WalletBlacklisted => conditions.wallet_blacklisted = true,
                Fortune::Blacklisted(place) => conditions.blacklisted = addresses.get(place).copied(),
                Fortune::Ignored | Fortune::SignerAway | Fortune::SignerRefuses => {}
            }
        }
        conditions
    }
}
