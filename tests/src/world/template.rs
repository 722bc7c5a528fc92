//! The template of the worlds' databases. Its tables are created once per set of migrations, and not once
//! per test.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use super::Program;

/// Creates a database with all tables, as `catalog-consumer migrate` leaves it.
pub(super) async fn copy(server: &PgConnectOptions, database: &str) -> Result<()> {
    let template = name()?;
    let mut connection = server.connect().await?;
    if !exists(&mut connection, &template).await? {
        make(&mut connection, server, &template).await?;
    }
    execute(&mut connection, &format!("create database {database} template {template}")).await?;
    // Two copies with one identity would be a database and its restored backup.
    let mut copied = server.clone().database(database).connect().await?;
    execute(&mut copied, "update catalog.installation set identity = default").await
}

/// The name depends on the migrations, so a new migration gets a new template.
fn name() -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let files = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let mut hasher = DefaultHasher::new();
    for path in paths {
        std::fs::read(&path)?.hash(&mut hasher);
    }
    Ok(format!("test_template_{:016x}", hasher.finish()))
}

/// Creates the template unless another test has done so meanwhile. It gets its name once it is complete.
async fn make(connection: &mut PgConnection, server: &PgConnectOptions, template: &str) -> Result<()> {
    sqlx::query("select pg_advisory_lock(hashtext($1))").bind(template).execute(&mut *connection).await?;
    if !exists(connection, template).await? {
        let incomplete = format!("{template}_incomplete");
        execute(connection, &format!("drop database if exists {incomplete}")).await?;
        execute(connection, &format!("create database {incomplete}")).await?;
        let url = server.clone().database(&incomplete).to_url_lossy().to_string();
        let migrate = Program::new("catalog-consumer")?.args(["migrate"]);
        migrate.env("DATABASE_URL", &url).succeed().await?;
        execute(connection, &format!("alter database {incomplete} rename to {template}")).await?;
    }
    sqlx::query("select pg_advisory_unlock(hashtext($1))").bind(template).execute(connection).await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, database: &str) -> Result<bool> {
    let query = "select exists (select from pg_database where datname = $1)";
    Ok(sqlx::query_scalar(query).bind(database).fetch_one(connection).await?)
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<()> {
    raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}
