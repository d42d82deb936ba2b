//! Which chain it is, beyond its id: the hash of its first block, as each endpoint gives it.
//!
//! What most endpoints say counts; between equals, what was said first. Remembered for the life of the process only: a test
//! chain that was made anew is another one then. Deliberately absent: a list of known chains.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy::primitives::B256;

use crate::ports::chain::EndpointId;

use super::classify::Class;
use super::failure::Failure;

/// The block whose hash is asked for. No node forgets its header, and a chain that is a second old has it.
pub(super) const OLD_BLOCK: u64 = 0;

/// What the endpoints say.
#[derive(Debug, Default)]
pub(super) struct Identity(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    by: BTreeMap<EndpointId, B256>,
    held: Option<B256>,
}

impl Identity {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an endpoint says. Who says something else than before contradicts himself, this once.
    pub(super) fn note(&self, endpoint: EndpointId, hash: B256) -> Result<(), Failure> {
        let before = {
            let mut said = self.said();
            let before = said.by.insert(endpoint, hash);
            said.count();
            before
        };
        match before {
            Some(before) if before != hash => Err(other_chain(hash, before)),
            _ => self.contradiction(endpoint).map_or(Ok(()), Err),
        }
    }

    /// What speaks against the endpoint: others say that the chain began with another block.
    pub(super) fn contradiction(&self, endpoint: EndpointId) -> Option<Failure> {
        let said = self.said();
        let (own, held) = (*said.by.get(&endpoint)?, said.held?);
        (own != held).then(|| other_chain(own, held))
    }
}

impl Said {
    /// What most say is held; what is held already goes before what as many say.
    fn count(&mut self) {
        let votes = |hash: &B256| self.by.values().filter(|said| *said == hash).count();
        let best = self.by.values().max_by_key(|hash| (votes(hash), self.held == Some(**hash))).copied();
        self.held = best;
    }
}

fn other_chain(said: B256, held: B256) -> Failure {
    let text = format!("its block {OLD_BLOCK} is {said}, not {held}: it is on another chain with the same id");
    Failure::new(Class::Contradiction, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f3_what_most_endpoints_say_counts_and_the_first_word_between_equals() {
        let (ours, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let identity = Identity::default();
        identity.note(EndpointId(0), other).unwrap();
        let failure = identity.note(EndpointId(1), ours).unwrap_err();
        assert_eq!((failure.class, failure.chain), (Class::Contradiction, None));
        identity.note(EndpointId(2), ours).expect("two say so by now");
        assert!(identity.contradiction(EndpointId(0)).is_some(), "the first one is the liar");
        assert!(identity.contradiction(EndpointId(1)).is_none());
        assert!(identity.contradiction(EndpointId(7)).is_none(), "who has said nothing contradicts nobody");
    }

    #[test]
    fn a_single_endpoint_whose_chain_is_made_anew_is_told_once_and_used_again() {
        let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let identity = Identity::default();
        identity.note(EndpointId(0), one).unwrap();
        identity.note(EndpointId(0), other).unwrap_err();
        identity.note(EndpointId(0), other).unwrap();
    }
}
