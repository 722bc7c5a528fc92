//! What both passes over the topics share: the group id of their readers, and their times.

use std::time::Duration;

/// The group id of the readers, which never join the group.
pub(super) const GROUP: &str = "catalog-consumer-rebuild";

/// Interval between progress lines in the log.
pub(super) const REPORT_EVERY: Duration = Duration::from_secs(10);
/// The replay fails after this time without progress, because it may be blocking the live consumers.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(60);
