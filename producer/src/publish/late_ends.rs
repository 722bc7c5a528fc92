//! Detects late ends of transactions.
//!
//! librdkafka repeats an unanswered `EndTxn` request and reports only the last answer. The first request may still
//! arrive later. If it arrives during the next transaction, it ends that one too early, because both have the same
//! epoch (KIP-890; librdkafka#5423): half of a page is committed. Only a new epoch makes the late request harmless, so
//! the caller must know about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catalog_shared::kafka::LogContext;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use crate::publish::abort_reason::AbortReason;

/// An end that takes longer counts as late, whatever the client logs. 1 ms is usual, and 50 ms is rare (measured).
const LATE_AFTER: Duration = Duration::from_secs(1);
/// The debug context that logs the answer to each `EndTxn` request.
const DEBUG: &str = "eos";

/// Whether one producer's transactions had a late end. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateEnds(Arc<AtomicBool>);

impl LateEnds {
    /// Whether an `EndTxn` request may still be in flight.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Records the duration of an end.
    pub(crate) fn record(&self, start: Instant) {
        if start.elapsed() > LATE_AFTER {
            self.set_late();
        }
    }

    fn set_late(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A client context that reads librdkafka's lines about `EndTxn` and about failed transactions.
pub(crate) struct EndTxnContext {
    ends: LateEnds,
    abort_reason: AbortReason,
    log: LogContext,
    /// Whether the user has enabled debug lines. If not, none is logged.
    shows_debug: bool,
}

impl EndTxnContext {
    /// Creates the context and adds the settings that it needs to the configuration.
    pub(crate) fn new(config: &mut ClientConfig) -> Self {
        let set = config.get("debug").map(str::trim).filter(|contexts| !contexts.is_empty());
        let shows_debug = set.is_some();
        let debug = set.map_or_else(|| DEBUG.to_owned(), |contexts| format!("{contexts},{DEBUG}"));
        config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
        let (ends, abort_reason) = (LateEnds::default(), AbortReason::default());
        Self { ends, abort_reason, log: LogContext::default(), shows_debug }
    }

    pub(crate) fn ends(&self) -> LateEnds {
        self.ends.clone()
    }

    pub(crate) fn abort_reason(&self) -> AbortReason {
        self.abort_reason.clone()
    }
}

impl ClientContext for EndTxnContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "ENDTXN" && is_unanswered(message) {
            self.ends.set_late();
        }
        let is_debug = level as i32 >= RDKafkaLogLevel::Debug as i32;
        if !is_debug {
            self.abort_reason.read(facility, message);
        }
        if self.shows_debug || !is_debug {
            self.log.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

/// Whether a line reports an unanswered request: `EndTxn returned CODE in state …`. Codes of the client itself start with
/// an underscore, those of the broker's answers do not.
fn is_unanswered(message: &str) -> bool {
    message.split_once("EndTxn returned ").is_some_and(|(_, code)| code.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(debug: Option<&str>) -> (EndTxnContext, ClientConfig) {
        let mut config = ClientConfig::new();
        if let Some(debug) = debug {
            config.set("debug", debug);
        }
        (EndTxnContext::new(&mut config), config)
    }

    #[test]
    fn unanswered_requests_are_late() {
        for (code, late) in [
            ("NO_ERROR", false),
            ("CONCURRENT_TRANSACTIONS", false),
            ("_TRANSPORT", true),
            ("_TIMED_OUT", true),
        ] {
            let (context, _) = context(None);
            let line = format!("[thrd:main]: EndTxn returned {code} in state CommittingTransaction");
            context.log(RDKafkaLogLevel::Debug, "ENDTXN", &line);
            assert_eq!(context.ends().any(), late, "{code}");
        }
    }

    #[test]
    fn debug_contexts_of_the_user_are_kept() {
        for (given, set) in [(None, "eos"), (Some(" "), "eos"), (Some("broker"), "broker,eos")] {
            assert_eq!(context(given).1.get("debug"), Some(set));
        }
        assert!(context(Some("broker")).0.shows_debug && !context(None).0.shows_debug);
    }
}
