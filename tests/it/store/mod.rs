//! The store: one contract suite for every store, and what only the sled store has to show.

#[cfg(test)]
mod contract;
