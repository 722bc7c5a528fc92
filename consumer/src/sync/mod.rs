//! What needs PostgreSQL and Kafka at once: the two must agree on decisions, and on which topics the tables belong to.

pub(crate) mod decisions;
pub(crate) mod source_check;
