//! The ids of log events. They are stable: scripts, alerts and tests match on them and not on the text of a message.
//!
//! A JSON line carries the id in `event`. Text lines omit it, because the message already reads as a sentence.
//! `docs/reference/logs.md` explains each event.

macro_rules! events {
    ($($(#[$doc:meta])+ $name:ident = $id:literal;)+) => {
        $($(#[$doc])+ pub const $name: &str = $id;)+

        /// The name of each constant, and its id.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

events! {
    /// The program ends with this error; `exit_code` is its exit code.
    FAILED = "failed";
    /// The version and the settings in effect, at the start of a crawl, a consumer or a rebuild.
    CONFIGURED = "configured";
    /// SIGTERM or SIGINT was received, and work in flight ends first.
    SHUTTING_DOWN = "shutting_down";
    /// Log lines could not be written and were dropped; `lost` counts them.
    LOG_LINES_LOST = "log_lines_lost";
    /// Metrics and health checks are served at `addr`.
    MONITORING_STARTED = "monitoring_started";
    /// No broker answers, and the program retries.
    KAFKA_UNREACHABLE = "kafka_unreachable";
    /// Kafka became unreachable or unready during work, which is retried.
    KAFKA_NOT_READY = "kafka_not_ready";
    /// Kafka is reachable again.
    KAFKA_REACHABLE = "kafka_reachable";
    /// The Kafka client reported an error that it usually recovers from.
    KAFKA_CLIENT_ERROR = "kafka_client_error";
    /// The Kafka options in effect, without secrets.
    KAFKA_CONFIGURED = "kafka_configured";
    /// A missing topic was created.
    TOPIC_CREATED = "topic_created";
    /// The region is claimed, and a run starts or continues.
    CRAWL_STARTED = "crawl_started";
    /// A dry run starts: it publishes nothing.
    DRY_RUN_STARTED = "dry_run_started";
    /// Pages and objects so far, every 10 s.
    CRAWL_PROGRESS = "crawl_progress";
    /// The API answered a request for a page.
    PAGE_RECEIVED = "page_received";
    /// Requests to the API go through a proxy.
    PROXY_USED = "proxy_used";
    /// The hostname of the proxy can't be resolved.
    PROXY_UNRESOLVED = "proxy_unresolved";
    /// A request to the API failed and is retried.
    REQUEST_RETRIED = "request_retried";
    /// A response was incomplete, so a smaller page is requested.
    PAGE_SIZE_REDUCED = "page_size_reduced";
    /// A response is not valid JSON, so its objects are read separately.
    ANSWER_NOT_JSON = "answer_not_json";
    /// An object could not be read and was skipped.
    OBJECT_SKIPPED = "object_skipped";
    /// A range of ids could not be read and was skipped, which puts the run on hold.
    ID_RANGE_SKIPPED = "id_range_skipped";
    /// A record exceeds the limit of its topic and becomes a dead letter.
    RECORD_TOO_LARGE = "record_too_large";
    /// The listing of changes is incomplete, so the whole catalog is crawled.
    LISTING_INCOMPLETE = "listing_incomplete";
    /// Pages in flight were not published before the shutdown timeout.
    SHUTDOWN_TIMED_OUT = "shutdown_timed_out";
    /// The next crawl of the schedule starts at `next`.
    CRAWL_SCHEDULED = "crawl_scheduled";
    /// A slot needs no crawl, because its run has already ended.
    SLOT_DONE = "slot_done";
    /// Slots passed without a crawl; `missed` counts them.
    SLOTS_MISSED = "slots_missed";
    /// A crawl of the schedule failed, and the next slot tries again.
    CRAWL_FAILED = "crawl_failed";
    /// The transactional id of the region is claimed, and its cursor was read.
    REGION_OPENED = "region_opened";
    /// The transaction with a page and the cursor is committed.
    PAGE_PUBLISHED = "page_published";
    /// Kafka acknowledged the records of a transaction that is still open.
    RECORDS_DELIVERED = "records_delivered";
    /// The end-of-run records are about to be published.
    RUN_ENDING = "run_ending";
    /// Another producer wrote the cursor meanwhile, so the claim is retried.
    CLAIM_RETRIED = "claim_retried";
    /// A transaction is in doubt, so its run is discarded and a new one starts.
    RUN_DISCARDED = "run_discarded";
    /// A transaction ended late, so a new producer instance is opened.
    INSTANCE_REPLACED = "instance_replaced";
    /// Publishing failed and is retried.
    PUBLISH_RETRIED = "publish_retried";
    /// A commit timed out and is retried.
    COMMIT_RETRIED = "commit_retried";
    /// The readable cursor stays older than the last committed one, so a new producer instance is opened to find out why.
    COMMIT_INVISIBLE = "commit_invisible";
    /// An abort timed out and is retried.
    ABORT_RETRIED = "abort_retried";
    /// A partition is assigned, with the position from which it is read.
    PARTITION_ASSIGNED = "partition_assigned";
    /// A rebalance revokes partitions; their batches in flight end first.
    REVOCATION_STARTED = "revocation_started";
    /// A partition was revoked.
    PARTITION_REVOKED = "partition_revoked";
    /// A rebalance waits until the database, the group or the assigned partitions can be read.
    REBALANCE_WAITS = "rebalance_waits";
    /// Assigned partitions can't be started yet, and the start is retried.
    ASSIGNMENT_WAITS = "assignment_waits";
    /// A rebalance failed, and the partitions stay as they are.
    REBALANCE_FAILED = "rebalance_failed";
    /// Another consumer moved the stored position, and this one resumes from it.
    POSITION_MOVED = "position_moved";
    /// A stored position is lower than the one that this consumer had committed, as after a crash of the database.
    POSITION_WENT_BACK = "position_went_back";
    /// An operator reset the offset of the group, and the position follows it.
    OFFSET_RESET = "offset_reset";
    /// An offset could not be committed; stored positions decide, so nothing is lost.
    OFFSET_COMMIT_FAILED = "offset_commit_failed";
    /// The group belonged to another copy of the tables, which has no running consumer.
    GROUP_CLAIMED = "group_claimed";
    /// A running consumer of another copy of the tables uses the same group, so nothing is applied.
    GROUP_CONTESTED = "group_contested";
    /// No other copy of the tables uses the group any more.
    GROUP_UNCONTESTED = "group_uncontested";
    /// The group can't be read while another copy of the tables uses it, and it is read again.
    GROUP_UNREADABLE = "group_unreadable";
    /// A topic does not exist, and the program retries.
    TOPIC_MISSING = "topic_missing";
    /// Kafka does not report ids of its cluster or topics, so a recreated topic may go unnoticed.
    TOPIC_IDS_UNKNOWN = "topic_ids_unknown";
    /// It can't be checked yet which topics the tables belong to, and the check is retried.
    BINDING_CHECK_FAILED = "binding_check_failed";
    /// The end is not reached yet, because an open transaction of a producer may block records.
    OPEN_TRANSACTION = "open_transaction";
    /// All records are applied, but Kafka did not answer the last questions, which are asked again.
    END_CHECK_RETRIED = "end_check_retried";
    /// A consumer that has applied everything could not leave its group, which removes it after its session timeout.
    GROUP_NOT_LEFT = "group_not_left";
    /// Partitions have lost records, and the remaining ones are read as `--accept-loss` demands.
    RECORDS_LOST = "records_lost";
    /// A record has a newer schema, so its partition waits for an upgrade.
    NEWER_SCHEMA_WAITS = "newer_schema_waits";
    /// As `newer_schema_waits`, repeated while the partition waits.
    NEWER_SCHEMA_STILL_WAITS = "newer_schema_still_waits";
    /// Records applied, offsets left and the rate, every 10 s.
    CONSUME_PROGRESS = "consume_progress";
    /// Records read by a dry run so far.
    DRY_RUN_PROGRESS = "dry_run_progress";
    /// The transaction of a batch is committed.
    BATCH_APPLIED = "batch_applied";
    /// A batch failed because of another transaction or a timeout, and is retried.
    BATCH_RETRIED = "batch_retried";
    /// A batch timed out and is retried in halves.
    BATCH_HALVED = "batch_halved";
    /// Batches did not end before the shutdown timeout; their positions show whether they were applied.
    BATCHES_ABANDONED = "batches_abandoned";
    /// The database is unreachable or refuses work for now, and the program retries.
    DATABASE_UNREACHABLE = "database_unreachable";
    /// The database is reachable again.
    DATABASE_REACHABLE = "database_reachable";
    /// The figures of the ledger can't be read, so metrics of regions and runs are missing or old.
    FIGURES_UNREADABLE = "figures_unreadable";
    /// The webhook of `--notify-url` has accepted a notification.
    NOTIFICATION_SENT = "notification_sent";
    /// The webhook of `--notify-url` did not accept a notification, which is sent again later.
    NOTIFICATION_FAILED = "notification_failed";
    /// A migration is about to take the schema lock, for which it may have to wait.
    SCHEMA_LOCK_WANTED = "schema_lock_wanted";
    /// All migrations are applied.
    SCHEMA_UP_TO_DATE = "schema_up_to_date";
    /// Records could not be applied and were stored as dead letters.
    DEAD_LETTERS_WRITTEN = "dead_letters_written";
    /// Dead letters that producers published were stored.
    PRODUCER_DEAD_LETTERS_WRITTEN = "producer_dead_letters_written";
    /// Dead letters of producers expired before they were read.
    DEAD_LETTERS_EXPIRED = "dead_letters_expired";
    /// A run is complete, and its state was decided.
    RUN_JUDGED = "run_judged";
    /// A run is on hold and retires nothing.
    RUN_ON_HOLD = "run_on_hold";
    /// A run was accepted but retires nothing in some domains.
    DOMAINS_SHIELDED = "domains_shielded";
    /// A run has already ended in this partition; the second end-of-run record is ignored.
    RUN_ENDED_AGAIN = "run_ended_again";
    /// A run was discarded for a later one.
    RUN_ABANDONED = "run_abandoned";
    /// A full crawl covered domains for the first time.
    DOMAINS_FIRST_COVERED = "domains_first_covered";
    /// A decision was published to the topic `verdicts`.
    DECISION_PUBLISHED = "decision_published";
    /// A decision in the topic that these tables did not have was applied: another installation's, or one that they lost.
    DECISION_APPLIED = "decision_applied";
    /// Decisions could not be published yet; a running consumer or the next start publishes them.
    DECISIONS_UNPUBLISHED = "decisions_unpublished";
    /// The topic `verdicts` can't be read or written, and the program retries.
    DECISIONS_RETRIED = "decisions_retried";
    /// A record in the topic `verdicts` can't be parsed and is ignored.
    DECISION_UNREADABLE = "decision_unreadable";
    /// `rebuild` or `verify --topics` starts to replay the topics.
    REPLAY_STARTED = "replay_started";
    /// Records whose keys and headers were read in the first pass, every 10 s.
    KEYS_READ = "keys_read";
    /// The first pass of a replay has found the newest version of each row.
    NEWEST_VERSIONS_FOUND = "newest_versions_found";
    /// The first pass of a replay continues with temporary files, because its rows don't fit into memory.
    VERSIONS_SPILLED = "versions_spilled";
    /// The newest version of some rows can't be read or was compacted meanwhile, so their other versions are read.
    TOPICS_READ_AGAIN = "topics_read_again";
    /// Records replayed and offsets left, every 10 s.
    REPLAY_PROGRESS = "replay_progress";
    /// A batch was applied to the shadow.
    BATCH_REPLAYED = "batch_replayed";
    /// All rows were compared while consumers continue.
    SNAPSHOT_COMPARED = "snapshot_compared";
    /// Decisions, positions or many rows have changed since all rows were compared, so they are compared again.
    SNAPSHOT_REPEATED = "snapshot_repeated";
    /// Decisions, positions or many rows have changed since the snapshot, so all rows are compared under the lock, and
    /// consumers wait.
    SNAPSHOT_OUTDATED = "snapshot_outdated";
    /// Missing tables and views are recreated.
    TABLES_RECREATED = "tables_recreated";
    /// Topics have lost their first records, so some rows stay as they are.
    LOST_BEGINNINGS = "lost_beginnings";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_is_the_name_of_its_constant_in_lower_case_and_occurs_once() {
        for (name, id) in ALL {
            assert_eq!(*id, name.to_lowercase());
        }
        let ids: BTreeSet<_> = ALL.iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), ALL.len());
    }
}
