//! The books: what became of each record of a run, the verdict on the run, and the topic that keeps verdicts.

pub(crate) mod decisions;
pub(crate) mod evidence;
pub(crate) mod judge;
pub(crate) mod ledger;
pub(crate) mod order;
pub(crate) mod outbox;
pub(crate) mod reach;
pub(crate) mod verdict_log;
pub(crate) mod verdict_reader;
pub(crate) mod verdicts;
