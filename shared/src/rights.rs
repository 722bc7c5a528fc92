//! Names the permission that Kafka denies. docs/how-to/grant-kafka-rights.md lists all that the programs need.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

/// A missing permission.
#[derive(Debug, Error)]
#[error("Kafka's authorizer denies {0} (docs/how-to/grant-kafka-rights.md)")]
struct Denied(&'static str);

/// Whether an error means that this user lacks a permission.
#[must_use]
pub fn is_missing(error: &KafkaError) -> bool {
    code(error).and_then(right).is_some()
}

/// Whether an error, or one of its causes, means that this user lacks a permission.
#[must_use]
pub fn is_denied(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<KafkaError>()).any(is_missing)
}

/// Adds the missing permission to an authorization error that does not name it yet.
///
/// # Errors
/// The same error, with the permission.
pub fn named<T>(result: anyhow::Result<T>) -> anyhow::Result<T> {
    result.map_err(name)
}

/// Adds the missing permission to an authorization error that does not name it yet.
#[must_use]
pub fn name(error: anyhow::Error) -> anyhow::Error {
    let denied = error.chain().find_map(|cause| cause.downcast_ref::<KafkaError>());
    match denied.and_then(code).and_then(right) {
        Some(right) if !error.is::<Denied>() => error.context(Denied(right)),
        _ => error,
    }
}

/// Adds the missing permission to the error of a transaction. librdkafka passes its cause on as text only.
#[must_use]
pub fn name_write(error: anyhow::Error) -> anyhow::Error {
    if format!("{error:#}").contains("Topic authorization failed") {
        return error.context(Denied("WRITE on a topic"));
    }
    error
}

/// The missing permission in the terms of Kafka's tools.
const fn right(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::GroupAuthorizationFailed => Some("READ on the consumer group"),
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            Some("WRITE and DESCRIBE on the transactional id")
        }
        RDKafkaErrorCode::TopicAuthorizationFailed => Some("a permission on a topic"),
        RDKafkaErrorCode::ClusterAuthorizationFailed => Some("a permission on the cluster"),
        _ => None,
    }
}

/// The code of an error, including that of an admin request, which `rdkafka_error_code` omits.
pub(crate) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Stop;

    #[test]
    fn a_missing_permission_is_named_and_other_errors_are_not() {
        let message = |code| {
            let failed: anyhow::Result<()> = Err(KafkaError::MessageConsumption(code).into());
            format!("{:#}", named(named(failed)).unwrap_err())
        };
        assert_eq!(message(RDKafkaErrorCode::ClusterAuthorizationFailed).matches("denies").count(), 1);
        assert!(message(RDKafkaErrorCode::GroupAuthorizationFailed).contains("READ on the consumer group"));
        assert!(!message(RDKafkaErrorCode::UnknownTopicOrPartition).contains("denies"));
        let aborted =
            anyhow::anyhow!("aborted: Failed to add partition \"t\" [0]: Broker: Topic authorization failed");
        let written = format!("{:#}", name_write(aborted));
        assert!(written.contains("denies WRITE on a topic") && written.contains("\"t\" [0]"), "{written}");
        assert!(!name_write(anyhow::anyhow!("timed out")).is::<Denied>());
        let guard: anyhow::Result<()> = Err(Stop::Guard("a guard".to_owned()).into());
        assert!(named(guard).unwrap_err().downcast_ref::<Stop>().is_some());
    }
}
