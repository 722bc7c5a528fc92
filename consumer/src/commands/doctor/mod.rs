//! `doctor`: examines the configuration, Kafka and the database side by side, and names the next command for each problem. It
//! changes nothing: what it writes to test the disk is a temporary table, and is rolled back.

use anyhow::bail;
use catalog_shared::doctor::{Finding, Group, Report, examine};
use catalog_shared::exit::Stop;
use catalog_shared::kafka_doctor::{self, Side, check_brokers};
use catalog_shared::rights;
use catalog_shared::shutdown::CancellationToken;

use crate::store::database as store_database;

mod args;
mod database;
mod group;
mod judgement;
mod next;
mod source;
mod storage;

pub(crate) use args::DoctorArgs;

/// Examines everything and prints a report.
///
/// # Errors
/// If there is a problem (exit code 1).
pub(crate) async fn run(args: &DoctorArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report: Report = tokio::select! {
        report = examine(groups(args), args.timeout) => report,
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the examination is incomplete".to_owned())),
    };
    report.print(args.json)
}

/// For errors of Kafka or the database, such as that they were too slow.
const EITHER: &str =
    "catalog-consumer doctor --timeout 2m  # again; then look into the logs of Kafka and the database";
/// Why a check was skipped that reads all topics. The check `topics` names the missing ones.
const MISSING_TOPIC: &str = "a topic is missing, or hidden from this user";

fn groups(args: &DoctorArgs) -> Vec<Group> {
    let DoctorArgs { kafka, database, timeout, connections, .. } = args;
    let (limit, needed) = (*timeout, u32::from(*connections));
    let (kafka_args, database_args, group) = (kafka.clone(), database.clone(), args.group.clone());
    let configuration = move || async move {
        let kafka = kafka_doctor::configuration(&kafka_args)?;
        let database = store_database::address(&database_args)?;
        let schema = &database_args.schema;
        Ok(vec![Finding::ok("configuration", format!("{kafka}; group {group}; {database}, schema {schema}"))])
    };
    let brokers = || check_brokers(kafka);
    let (one, two, three) = (kafka.clone(), kafka.clone(), kafka.clone());
    let (same, other) = (database.clone(), database.clone());
    let in_group = || (kafka.clone(), args.group.clone());
    let (members_kafka, members_group) = in_group();
    let (rights_kafka, rights_group) = in_group();
    let (source_kafka, source_group) = in_group();
    vec![
        Group::new("configuration", "catalog-consumer run --help", configuration),
        Group::new("brokers", brokers(), move || kafka_doctor::brokers(one, limit)),
        Group::new("topics", brokers(), move || async move {
            rights::named(kafka_doctor::topics(two, Side::Consumer, limit).await)
        }),
        Group::new("topic_rights", brokers(), move || group::topic_rights(three, limit)),
        Group::new("group", brokers(), move || group::members(members_kafka, members_group)),
        Group::new("group_rights", brokers(), move || group::group_rights(rights_kafka, rights_group, limit)),
        Group::new("database", next::CONNECT, move || async move {
            database::examine(&same, needed).await.map_err(store_database::with_formatted_text)
        }),
        Group::new("tables_and_topics", EITHER, move || async move {
            let found = source::examine(&other, &source_kafka, &source_group).await;
            found.map_err(store_database::with_formatted_text)
        }),
        Group::new("not_checked", "", || async { Ok(vec![not_checked()]) }),
    ]
}

fn not_checked() -> Finding {
    Finding::skipped(
        "not_checked",
        "the clocks of the brokers and the disk space of topics, because librdkafka has no request for them \
         (kafka-log-dirs.sh --describe shows the disk space); the right WRITE on verdicts, because only publishing a decision uses it",
    )
}
