//! Why Kafka ended a transaction, as librdkafka logs it.
//!
//! The records of such a transaction only report that they were purged. Only a commit would return the reason, and a transaction
//! without all its records must not be committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a partition reports whose registration Kafka has skipped because of another partition.
const NOT_ATTEMPTED: &str = "Operation not attempted";

/// The reason of the current transaction of one producer. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AbortReason(Arc<Mutex<Option<String>>>);

impl AbortReason {
    /// Reads a line of librdkafka. A partition that can't be part of a transaction (`ADDPARTS`) is logged with the name of its
    /// topic, before the error of the whole transaction (`TXNERR`). So the first line counts.
    pub(crate) fn read(&self, facility: &str, message: &str) {
        if !matches!(facility, "ADDPARTS" | "TXNERR") {
            return;
        }
        let mut reason = self.lock();
        if reason.as_ref().is_none_or(|known| known.contains(NOT_ATTEMPTED)) {
            // The name of the thread comes first.
            let text = message.split_once("]: ").map_or(message, |(_, text)| text);
            *reason = Some(text.to_owned());
        }
    }

    /// The reason, if there is one.
    pub(crate) fn get(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Forgets it, for a new transaction.
    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_that_was_refused_is_the_reason() {
        let reason = AbortReason::default();
        reason.read("ENDTXN", "[thrd:main]: EndTxn returned NO_ERROR in state CommittingTransaction");
        assert_eq!(reason.get(), None);
        for (facility, text) in [
            (
                "ADDPARTS",
                "Failed to add partition \"p.cursors\" [0] to transaction: Broker: Operation not attempted",
            ),
            (
                "ADDPARTS",
                "Failed to add partition \"p.hosts\" [0] to transaction: Broker: Topic authorization failed",
            ),
            ("TXNERR", "Current transaction failed in state InTransaction: Failed to add partition(s)"),
        ] {
            reason.read(facility, &format!("[thrd:main]: {text}"));
        }
        let refused =
            "Failed to add partition \"p.hosts\" [0] to transaction: Broker: Topic authorization failed";
        assert_eq!(reason.get().as_deref(), Some(refused));
        reason.clear();
        assert_eq!(reason.get(), None);
    }
}
