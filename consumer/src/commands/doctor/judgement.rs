//! Findings that follow from what the database answered, and from its errors.

use catalog_shared::doctor::Finding;
use catalog_shared::human::{bytes, count, span};

use super::next;
use crate::store::database::{DatabaseTarget, SchemaState};

/// The oldest supported version, as `server_version_num`.
const OLDEST: i32 = 150_000;
/// A difference of clocks that distorts ages and retirement, and one that certificates and tokens don't survive.
const CLOCK_WARNING: f64 = 5.0;
const CLOCK_PROBLEM: f64 = 300.0;
/// How many tables are listed by size.
const MAX_LISTED: usize = 3;

/// Whether the programs support a server of this version.
pub(super) const fn is_supported(number: i32) -> bool {
    number >= OLDEST
}

/// The server's version, and whether it accepts writes.
pub(super) fn server(version: &str, number: i32, is_standby: bool) -> Finding {
    const CHECK: &str = "database_server";
    if !is_supported(number) {
        let found = format!("PostgreSQL {version} is too old");
        let next = "psql \"$DATABASE_URL\" --command 'show server_version'  # upgrade the server to PostgreSQL 15 or newer";
        return Finding::problem(CHECK, found, next);
    }
    if is_standby {
        let found = format!("PostgreSQL {version} is a standby, which accepts no writes");
        let next = "psql \"$DATABASE_URL\" --command 'select pg_is_in_recovery()'  # name the primary server in DATABASE_URL";
        return Finding::problem(CHECK, found, next);
    }
    Finding::ok(CHECK, format!("PostgreSQL {version}, UTF-8, without a pooler that shares sessions"))
}

/// Whether the schema fits this build.
pub(super) fn schema(state: &SchemaState, schema: &str, target: &DatabaseTarget) -> Finding {
    const CHECK: &str = "schema";
    const MIGRATE: &str = "catalog-consumer migrate";
    match state {
        SchemaState::UpToDate(revision) => Finding::ok(
            CHECK,
            format!("the schema {schema} has migration {revision}, which is what this build needs"),
        ),
        SchemaState::Unusable { exists: false, reason } => Finding::problem(CHECK, reason, MIGRATE),
        SchemaState::Unusable { exists: true, reason } => {
            Finding::problem(CHECK, reason, next::grant(target, schema))
        }
        SchemaState::Outdated { applied, known } => {
            let found = format!("the schema {schema} has {applied} of {known} migrations");
            Finding::problem(CHECK, found, MIGRATE)
        }
        SchemaState::Newer => {
            let found = format!("a newer build has migrated the schema {schema}");
            Finding::problem(CHECK, found, "catalog-consumer --version  # install the newer build")
        }
    }
}

/// Rights of the user on the database.
pub(super) struct DatabaseRights {
    /// To create schemas.
    pub(super) may_create: bool,
    /// To create temporary tables.
    pub(super) may_use_temporary: bool,
}

/// Rights of the user on the tables, and on the database: to create schemas and temporary tables.
pub(super) fn rights(user: &str, missing: &[String], on_database: &DatabaseRights, next: String) -> Finding {
    const CHECK: &str = "database_rights";
    if !missing.is_empty() {
        return Finding::problem(
            CHECK,
            format!("the user {user} lacks rights on {}", missing.join(", ")),
            next,
        );
    }
    let DatabaseRights { may_create, may_use_temporary } = *on_database;
    if may_create && may_use_temporary {
        return Finding::ok(CHECK, format!("the user {user} has the rights of every command except migrate"));
    }
    let found = format!(
        "the user {user} may not create schemas or temporary tables in the database, which rebuild, verify --topics and \
         run --dry-run need"
    );
    Finding::warning(CHECK, found, next)
}

/// Settings of the server that must be on.
pub(super) fn settings(settings: &[(String, String)], target: &DatabaseTarget) -> Finding {
    const CHECK: &str = "database_settings";
    let off: Vec<&str> =
        settings.iter().filter(|(_, value)| value == "off").map(|(name, _)| name.as_str()).collect();
    if off.is_empty() {
        let names: Vec<&str> = settings.iter().map(|(name, _)| name.as_str()).collect();
        return Finding::ok(CHECK, format!("on: {}", names.join(", ")));
    }
    let mut set: Vec<String> = off.iter().map(|name| format!("alter system set {name} = on")).collect();
    set.push("select pg_reload_conf()".to_owned());
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let found = format!("off: {}. Data may be lost in a crash, or tables grow without bound", off.join(", "));
    Finding::warning(CHECK, found, next::as_superuser(target, &set, ""))
}

/// The connections that `run` needs, including one for monitoring. Without monitoring it needs one less.
pub(super) fn connections(
    needed: u32,
    limit: anyhow::Result<()>,
    is_enough_without_monitoring: bool,
    target: &DatabaseTarget,
) -> Finding {
    const CHECK: &str = "connections";
    let next = || {
        let raise = format!("alter role \"{}\" connection limit {needed}", target.user.replace('"', "\"\""));
        next::as_superuser(target, &[&raise], "; or run with fewer --connections")
    };
    match limit {
        Ok(()) => {
            let found = format!("run may have its {needed} connections, including one for monitoring");
            Finding::ok(CHECK, found)
        }
        Err(_) if is_enough_without_monitoring => {
            let found = format!(
                "run may have {} connections, and needs {needed} with --metrics-addr or systemd",
                needed - 1
            );
            Finding::warning(CHECK, found, next())
        }
        Err(error) => Finding::problem(CHECK, error.to_string(), next()),
    }
}

/// The clock of the server against ours, and that of the producer of the last run. `ahead` is how many seconds the server is
/// ahead, and `run_ahead` how many seconds in the future the last run ended, by our clock.
pub(super) fn clock(ahead: f64, run_ahead: Option<f64>) -> Finding {
    const CHECK: &str = "clocks";
    const NEXT: &str = "date --utc '+%F %T'; psql \"$DATABASE_URL\" --command \"select now() at time zone 'utc'\"  # correct the wrong clock \
                        with timedatectl";
    if ahead.abs() >= CLOCK_WARNING {
        let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
        let found =
            format!("the database's clock is {} {direction} the clock of this host", duration(ahead.abs()));
        return if ahead.abs() >= CLOCK_PROBLEM {
            Finding::problem(CHECK, found, NEXT)
        } else {
            Finding::warning(CHECK, found, NEXT)
        };
    }
    if let Some(run_ahead) = run_ahead.filter(|ahead| *ahead >= CLOCK_WARNING) {
        let found =
            format!("the last run ends {} in the future, by its producer's clock", duration(run_ahead));
        return Finding::warning(CHECK, found, NEXT);
    }
    Finding::ok(CHECK, format!("the clocks of the database and of this host differ by {:.1} s", ahead.abs()))
}

/// Whole seconds as text.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) fn duration(seconds: f64) -> String {
    span(seconds as u64)
}

/// The largest tables.
pub(super) fn sizes(tables: &[(String, i64)]) -> Finding {
    let size = |size: i64| u64::try_from(size).unwrap_or_default();
    let total: u64 = tables.iter().map(|(_, table)| size(*table)).sum();
    let largest = tables.iter().take(MAX_LISTED);
    let largest: Vec<String> =
        largest.map(|(name, table)| format!("{name} {}", bytes(size(*table)))).collect();
    let number = count(tables.len() as u64);
    Finding::ok("table_sizes", format!("{} in {number} tables: {}", bytes(total), largest.join(", ")))
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::Level;

    use super::*;

    fn target() -> DatabaseTarget {
        DatabaseTarget { host: "db".into(), port: 5432, user: "me".into(), database: "catalog".into() }
    }

    #[test]
    fn an_old_server_and_a_standby_are_problems() {
        let level = |number, is_standby| server("x", number, is_standby).level;
        assert_eq!(
            [level(140_012, false), level(150_000, true), level(150_000, false)],
            [Level::Problem, Level::Problem, Level::Ok]
        );
    }

    #[test]
    fn an_old_server_leads_to_its_version_and_to_the_oldest_supported_one() {
        let old = server("14.9", 140_009, true);
        assert_eq!(old.found, "PostgreSQL 14.9 is too old");
        assert_eq!(
            old.next.as_deref(),
            Some(
                "psql \"$DATABASE_URL\" --command 'show server_version'  # upgrade the server to PostgreSQL 15 or newer"
            )
        );
    }

    #[test]
    fn a_schema_that_does_not_fit_names_the_command_that_changes_it() {
        let next = |state| schema(&state, "catalog", &target()).next;
        assert_eq!(next(SchemaState::UpToDate(15)), None);
        for state in [
            SchemaState::Outdated { applied: 14, known: 15 },
            SchemaState::Unusable { exists: false, reason: "it does not exist".into() },
        ] {
            assert_eq!(next(state).as_deref(), Some("catalog-consumer migrate"));
        }
        let denied = SchemaState::Unusable { exists: true, reason: "no USAGE".into() };
        assert!(next(denied).is_some_and(|next| next.contains("deploy/roles.sql")));
        assert!(next(SchemaState::Newer).is_some_and(|next| next.contains("newer build")));
    }

    #[test]
    fn a_limit_that_only_lacks_the_connection_for_monitoring_is_a_warning() {
        let level = |limit, without| connections(5, limit, without, &target()).level;
        assert_eq!(level(Ok(()), true), Level::Ok);
        assert_eq!(level(Err(anyhow::anyhow!("4")), true), Level::Warning);
        assert_eq!(level(Err(anyhow::anyhow!("3")), false), Level::Problem);
    }

    #[test]
    fn clocks_are_judged_in_both_directions() {
        let level = |ahead, run| clock(ahead, run).level;
        assert_eq!([level(0.2, Some(-60.0)), level(-4.9, None)], [Level::Ok; 2]);
        assert_eq!([level(5.0, None), level(-6.0, None), level(0.0, Some(7.0))], [Level::Warning; 3]);
        assert_eq!([level(300.0, None), level(-9_000.0, None)], [Level::Problem; 2]);
        assert!(clock(-90.0, None).found.contains("1 min 30 s behind"));
    }

    #[test]
    fn rights_and_settings_name_what_is_missing() {
        let may = |may_create| DatabaseRights { may_create, may_use_temporary: true };
        let missing = rights("me", &["runs (delete, update)".into()], &may(true), "grant".into());
        assert!(missing.level == Level::Problem && missing.found.contains("runs (delete, update)"));
        assert_eq!(rights("me", &[], &may(false), "grant".into()).level, Level::Warning);
        assert_eq!(rights("me", &[], &may(true), "grant".into()).level, Level::Ok);
        let off = settings(&[("autovacuum".into(), "off".into()), ("fsync".into(), "on".into())], &target());
        assert!(
            off.level == Level::Warning && off.next.is_some_and(|next| next.contains("set autovacuum = on"))
        );
    }
}
