//! Chance with a seed: SplitMix64. Everything random in a simulation comes from here.
//!
//! Each piece of the simulation has a stream of its own, named by a word, so that one more draw in one piece does not
//! change what happens in the others.

use rampwatch::domain::chain::{Address, B256};

/// A stream of numbers that its seed and name determine.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    /// The stream `name` of a seed.
    pub(super) fn stream(seed: u64, name: &str) -> Self {
        let mut rng = Self(seed ^ fold(name.as_bytes()));
        rng.next();
        rng
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not including, `bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// From `low` up to and including `high`.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True this many times out of a thousand.
    pub(super) fn permille(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).expect("an index fits");
        &from[at]
    }

    /// A hash that nobody else has.
    pub(super) fn hash(&mut self) -> B256 {
        let mut bytes = [0_u8; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        B256::from(bytes)
    }

    /// An address that nobody else has.
    pub(super) fn address(&mut self) -> Address {
        Address::from_word(self.hash())
    }
}

/// FNV-1a over some bytes, for names and for the digest of what happened.
pub(super) fn fold(bytes: &[u8]) -> u64 {
    fold_on(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on with a digest.
pub(super) fn fold_on(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
