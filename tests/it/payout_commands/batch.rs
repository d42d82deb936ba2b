//! Batches: what is refused, what goes on, and what the result file says.
