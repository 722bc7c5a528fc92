//! Whether the server can write at the moment: space on its disk, and sessions that block others.

use catalog_shared::doctor::Finding;
use sqlx::{FromRow, PgConnection, raw_sql};

use super::{judgement, next};
use crate::store::database::{self, DatabaseTarget};

const DISK: &str = "database_disk";
const BLOCKED: &str = "blocked_sessions";
/// SQLSTATE of a full disk.
const DISK_FULL: &str = "53100";
/// Below this, a session waits as part of normal work, such as for the decision about a run.
const LONGEST_WAIT: f64 = 2.0;

/// Both checks. `read_only` is why nothing can be written. An error is the finding of its own check, so that the others are
/// still reported.
pub(super) async fn examine(
    connection: &mut PgConnection,
    (read_only, version): (Option<&'static str>, i32),
    target: &DatabaseTarget,
) -> [Finding; 2] {
    if !judgement::is_supported(version) {
        return [DISK, BLOCKED].map(|check| Finding::skipped(check, "the server is too old"));
    }
    let disk = disk(connection, read_only).await.unwrap_or_else(|error| failed(DISK, &error));
    let blocked = blocked_session(connection, target).await.unwrap_or_else(|error| failed(BLOCKED, &error));
    [disk, blocked]
}

fn failed(check: &'static str, error: &sqlx::Error) -> Finding {
    Finding::problem(check, database::message(error), next::CONNECT)
}

/// Whether the disk of the database has space: writes a temporary table and rolls back.
///
/// # Errors
/// If the connection fails.
async fn disk(connection: &mut PgConnection, read_only: Option<&'static str>) -> sqlx::Result<Finding> {
    if let Some(why) = read_only {
        return Ok(Finding::skipped(DISK, why));
    }
    // Temporary tables may be configured to be on another disk.
    raw_sql("begin; set local temp_tablespaces = ''").execute(&mut *connection).await?;
    let written =
        sqlx::query(include_str!("../../../sql/doctor/write_temporary.sql")).execute(&mut *connection).await;
    raw_sql("rollback").execute(connection).await?;
    let Err(error) = written else { return Ok(Finding::ok(DISK, "the disk of the database has space")) };
    let message = database::message(&error);
    match database::code(&error).as_deref() {
        Some(DISK_FULL) => Ok(Finding::problem(
            DISK,
            format!("the disk of the database is full: {message}"),
            "df --human-readable  # on the host of the database: free space there, or enlarge the disk",
        )),
        // Such as of a database that is read-only.
        Some(_) => Ok(Finding::problem(
            DISK,
            format!("the database can't write a temporary table: {message}"),
            next::CONNECT,
        )),
        None => Err(error),
    }
}

/// A session that waits for a lock, and one that holds it.
#[derive(FromRow)]
struct Blocked {
    waiting_pid: i32,
    seconds: f64,
    /// The longest wait of all sessions, which may wait for this one.
    longest: f64,
    blocking_pid: i32,
    blocking_user: String,
    blocking_application: String,
}

/// Whether a session of the database has waited long for a lock.
///
/// # Errors
/// The error of the database.
async fn blocked_session(connection: &mut PgConnection, target: &DatabaseTarget) -> sqlx::Result<Finding> {
    let blocked: Option<Blocked> = sqlx::query_as(include_str!("../../../sql/doctor/blocked_session.sql"))
        .fetch_optional(connection)
        .await?;
    Ok(blocked.filter(|blocked| blocked.longest >= LONGEST_WAIT).map_or_else(
        || Finding::ok(BLOCKED, "no session waits for a lock"),
        |blocked| blocked.finding(target),
    ))
}

impl Blocked {
    fn finding(&self, target: &DatabaseTarget) -> Finding {
        let Self { waiting_pid, seconds, blocking_pid, blocking_user, blocking_application, .. } = self;
        let application = match blocking_application.as_str() {
            "" => "no application name".to_owned(),
            name => format!("application {name}"),
        };
        let found = format!(
            "session {waiting_pid} has waited {} for a lock that session {blocking_pid} holds (user {blocking_user}, \
             {application})",
            judgement::duration(*seconds)
        );
        let terminate = format!("select pg_terminate_backend({blocking_pid})");
        let note =
            ", or as that user. It ends the session; a rebuild, a migration or a decision ends by itself";
        Finding::warning(BLOCKED, found, next::as_superuser(target, &[&terminate], note))
    }
}
