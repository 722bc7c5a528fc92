//! Whether Kafka answered each end of a transaction at its first try.
//!
//! librdkafka sends a request to end a transaction again when no answer comes, and reports only the last
//! answer. The first request may still be on its way. If it arrives in the next transaction, it ends that
//! one too early, because both have the same epoch (KIP-890; librdkafka#5423): half of a page is committed.
//! Only a new epoch makes the late request harmless, so the caller needs to know about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catalog_shared::kafka::LogContext;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

/// An end that takes longer counts as not answered, whatever the client's log says. Usual is 1 ms, and
/// 50 ms is rare (shared/rdkafka.md, section 1).
const PROMPT: Duration = Duration::from_secs(1);
/// The debug context whose lines say how each request to end a transaction was answered.
const DEBUG: &str = "eos";

/// What is known about the ends of one producer's transactions. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Arc<AtomicBool>);

impl Ends {
    /// Whether a request to end a transaction may still be on its way.
    pub(crate) fn is_one_late(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Notes how long an end took.
    pub(crate) fn took_since(&self, start: Instant) {
        if start.elapsed() > PROMPT {
            self.set_late();
        }
    }

    fn set_late(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A client context that reads librdkafka's debug lines about ends of transactions.
pub(crate) struct EndsContext {
    ends: Ends,
    log: LogContext,
    /// Whether the user has asked for debug lines. If not, none reaches the log.
    shows_debug: bool,
}

impl EndsContext {
    /// Makes the context, and adds to the configuration what it needs.
    pub(crate) fn new(config: &mut ClientConfig) -> Self {
        let asked = config.get("debug").map(str::trim).filter(|asked| !asked.is_empty());
        let shows_debug = asked.is_some();
        let debug = asked.map_or_else(|| DEBUG.to_owned(), |asked| format!("{asked},{DEBUG}"));
        config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
        Self { ends: Ends::default(), log: LogContext::default(), shows_debug }
    }

    pub(crate) fn ends(&self) -> Ends {
        self.ends.clone()
    }
}

impl ClientContext for EndsContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "ENDTXN" && is_unanswered(message) {
            self.ends.set_late();
        }
        if self.shows_debug || (level as i32) < RDKafkaLogLevel::Debug as i32 {
            self.log.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

/// Whether a line says that no answer came. `EndTxn returned CODE in state …`: codes of the client itself
/// begin with an underscore, those of the broker's answers do not.
fn is_unanswered(message: &str) -> bool {
    message.split_once("EndTxn returned ").is_some_and(|(_, code)| code.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(debug: Option<&str>) -> (EndsContext, ClientConfig) {
        let mut config = ClientConfig::new();
        if let Some(debug) = debug {
            config.set("debug", debug);
        }
        (EndsContext::new(&mut config), config)
    }

    #[test]
    fn an_answer_is_told_from_none() {
        for (code, late) in [
            ("NO_ERROR", false),
            ("CONCURRENT_TRANSACTIONS", false),
            ("_TRANSPORT", true),
            ("_TIMED_OUT", true),
        ] {
            let (context, _) = context(None);
            let line = format!("[thrd:main]: EndTxn returned {code} in state CommittingTransaction");
            context.log(RDKafkaLogLevel::Debug, "ENDTXN", &line);
            assert_eq!(context.ends().is_one_late(), late, "{code}");
        }
    }

    #[test]
    fn what_the_user_wants_to_debug_stays() {
        for (asked, set) in [(None, "eos"), (Some(" "), "eos"), (Some("broker"), "broker,eos")] {
            assert_eq!(context(asked).1.get("debug"), Some(set));
        }
        assert!(context(Some("broker")).0.shows_debug && !context(None).0.shows_debug);
    }
}
