//! What several groups of tests share: stand-ins for the ports, and sample records.

#[cfg(test)]
pub(crate) mod memory_store;
#[cfg(test)]
pub(crate) mod records;
