//! The next commands for findings about the database.

use catalog_shared::doctor::shell_word;
use catalog_shared::exit::Stop;

use crate::config::DatabaseArgs;
use crate::store::database::{self, DatabaseTarget};
use crate::store::db_error;

/// Shows whether the database accepts this user. The password stays in the variable.
pub(super) const CONNECT: &str =
    "psql \"$DATABASE_URL\" --command 'select 1'  # and look into the log of the server";

/// A statement as a superuser.
pub(super) fn as_superuser(target: &DatabaseTarget, statements: &[&str], note: &str) -> String {
    let commands: Vec<String> =
        statements.iter().map(|statement| format!("--command {}", shell_word(statement))).collect();
    format!("{} {}  # as a superuser{note}", administrate(target), commands.join(" "))
}

/// Gives the user the rights of every command except `migrate`.
pub(super) fn grant(target: &DatabaseTarget, schema: &str) -> String {
    let user = shell_word(&target.user);
    format!(
        "{} --set ON_ERROR_STOP=1 --set schema={schema} --set writer={user} --file deploy/roles.sql  # as a superuser; \
         docs/how-to/set-up-postgresql.md lists the rights",
        administrate(target)
    )
}

/// `psql` without a user, because another one is needed than that of the consumer.
fn administrate(target: &DatabaseTarget) -> String {
    format!("psql {} --dbname {}", address(target), shell_word(&target.database))
}

fn address(target: &DatabaseTarget) -> String {
    format!("--host {} --port {}", shell_word(&target.host), target.port)
}

/// The database can't be used.
pub(super) fn for_unusable(args: &DatabaseArgs, error: &anyhow::Error, code: Option<&str>) -> String {
    let Ok(target) = database::target(args) else { return SET_URL.to_owned() };
    if let Some(step) = error.chain().find_map(|cause| cause.downcast_ref()).and_then(database::next_step) {
        return format!("psql \"$DATABASE_URL\" --command 'select 1'  # {step}");
    }
    let user = shell_word(&target.user);
    match (error.downcast_ref::<Stop>(), code) {
        (Some(Stop::Usage(_)), _) => SET_URL.to_owned(),
        (Some(stop), _) if stop.to_string().contains(database::SESSION_MODE) => format!(
            "psql {} --dbname pgbouncer --command 'show pools'  # as an administrator of PgBouncer: set pool_mode to session, \
             or name the server itself in DATABASE_URL",
            address(&target)
        ),
        (Some(_), _) => format!(
            "createdb {} --username {user} --encoding UTF8 --template template0 {}  # and name it in DATABASE_URL",
            address(&target),
            shell_word(&format!("{}_utf8", target.database))
        ),
        (None, Some("3D000")) => format!(
            "createdb {} --username {user} {}  # or name another database in DATABASE_URL",
            address(&target),
            shell_word(&target.database)
        ),
        _ if db_error::is_transient(error) => {
            "pg_isready --dbname \"$DATABASE_URL\"  # start PostgreSQL, or correct host and port in DATABASE_URL"
                .to_owned()
        }
        _ => CONNECT.to_owned(),
    }
}

const SET_URL: &str =
    "export DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/DATABASE  # the address of the database";

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str) -> DatabaseArgs {
        DatabaseArgs { database_url: Some(url.into()), schema: "catalog".to_owned() }
    }

    fn next(error: impl Into<anyhow::Error>, code: Option<&str>) -> String {
        for_unusable(&args("postgres://me:Ssst@db:6432/my%20catalog"), &error.into(), code)
    }

    #[test]
    fn errors_of_the_configuration_name_the_setting() {
        assert!(next(Stop::Usage("missing".into()), None).contains("export DATABASE_URL"));
        assert!(for_unusable(&args(""), &anyhow::anyhow!("no"), None).contains("export DATABASE_URL"));
        assert_eq!(
            next(anyhow::anyhow!("no"), Some("3D000")).split("  #").next(),
            Some("createdb --host db --port 6432 --username me 'my catalog'")
        );
        let unreachable = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(next(unreachable, None).contains("pg_isready"));
    }

    #[test]
    fn a_shared_pooler_and_an_encoding_have_different_commands() {
        let pooler = Stop::Guard(format!("use a pool with {}", database::SESSION_MODE));
        assert!(next(pooler, None).starts_with("psql --host db --port 6432 --dbname pgbouncer"));
        assert!(next(Stop::Guard("LATIN1".into()), None).contains("--encoding UTF8"));
    }
}
