//! Code that needs both PostgreSQL and Kafka: synchronising decisions, and checking which topics the tables belong to.

pub(crate) mod decisions;
pub(crate) mod source_check;
