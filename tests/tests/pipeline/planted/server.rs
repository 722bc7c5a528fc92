//! The other next commands about a database, each on a server of the test's own.

use anyhow::{Context, Result};
use catalog_tests::world::{DatabaseServer, Operator, World, until_ok};

use super::{find, succeed};

const DOCTOR: &str = "catalog-consumer doctor";

/// The doctor must find this, and the next command must succeed.
async fn solve(operator: &Operator<'_>, check: &str, level: &str) -> Result<()> {
    let found = find(operator, DOCTOR, check, level).await?;
    let solved = operator.next(&found).await?;
    assert_eq!(solved.code, Some(0), "{found}: {}", solved.stderr);
    Ok(())
}

async fn turn_autovacuum_off(operator: &Operator<'_>) -> Result<()> {
    let off = "psql \"$DATABASE_URL\" --command 'alter system set autovacuum = off' --command 'select pg_reload_conf()'";
    succeed(operator, off).await?;
    // The server reads its configuration a moment later.
    until_ok(async || find(operator, DOCTOR, "database_settings", "warning").await).await.map(drop)
}

/// A server that is down, a missing database, another encoding, a setting, and the limit of connections.
#[tokio::test]
async fn each_problem_of_a_server_is_solved_by_its_next_command() -> Result<()> {
    let mut server = DatabaseServer::start().await?;
    let latin =
        World::on_server_with(&server, "encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'")
            .await?;
    let operator = latin.operator()?;
    let address = server.url()?;
    let address = address.strip_suffix("/catalog").context("a URL ends with the database")?;
    let url = |database: &str| format!("{address}/{database}");

    solve(&operator, "database", "problem").await?;
    let operator = operator.database(&url(&format!("{}_utf8", latin.database())));
    find(&operator, DOCTOR, "database", "ok").await?;

    let operator = operator.database(&url("missing"));
    solve(&operator, "database", "problem").await?;
    solve(&operator, "schema", "problem").await?;
    find(&operator, DOCTOR, "schema", "ok").await?;

    turn_autovacuum_off(&operator).await?;
    solve(&operator, "database_settings", "warning").await?;

    let few = "psql \"$DATABASE_URL\" --command \"create role few login connection limit 3\"";
    succeed(&operator, few).await?;
    let limited = latin.operator()?.database(&url("missing").replace("//catalog@", "//few@"));
    solve(&limited, "connections", "problem").await?;
    find(&limited, DOCTOR, "connections", "ok").await?;

    server.kill().await?;
    let found = find(&operator, DOCTOR, "database", "problem").await?;
    let shown = operator.next(&found).await?;
    assert_eq!(shown.code, Some(2), "{}", shown.stdout);
    // `check` leads to the doctor.
    let unknown = find(&operator, "catalog-consumer check", "database", "unknown").await?;
    assert_eq!(operator.next(&unknown).await?.code, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_standby_is_named_until_it_is_promoted() -> Result<()> {
    let mut server = DatabaseServer::start().await?;
    let world = World::on_server(&server).await?;
    world.migrate().await?;
    server.become_standby().await?;
    let operator = world.operator()?;
    let found = find(&operator, DOCTOR, "database_server", "problem").await?;
    assert!(found["found"].to_string().contains("is a standby, which accepts no writes"), "{found}");
    let shown = operator.next(&found).await?;
    assert!(shown.code == Some(0) && shown.stdout.contains("\n t\n"), "{}{}", shown.stdout, shown.stderr);
    let disk = find(&operator, DOCTOR, "database_disk", "skipped").await?;
    assert_eq!(disk["found"], "a standby accepts no writes");
    let promoted = operator.run("psql \"$DATABASE_URL\" --command 'select pg_promote()'").await?;
    assert_eq!(promoted.code, Some(0), "{}", promoted.stderr);
    find(&operator, DOCTOR, "database_server", "ok").await.map(drop)
}
