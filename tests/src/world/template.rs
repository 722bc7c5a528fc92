//! The template of the worlds' databases. Its tables are created once per set of migrations, and not once
//! per test.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use super::{Program, role_script};

/// The roles of all databases that are copied: they are made by deploy/roles.sql and stay, like the template.
pub(super) const ROLES: &str = "test_catalog";
/// Their password.
pub(super) const PASSWORD: &str = "role7Q";
/// Held while the template and its roles are made.
const LOCK: &str = "test_template";

/// Creates a database with all tables, as deploy/roles.sql and `catalog-consumer migrate` leave it.
pub(super) async fn copy(server: &PgConnectOptions, database: &str) -> Result<()> {
    let template = name()?;
    let mut connection = server.connect().await?;
    if !exists(&mut connection, &template).await? {
        make(&mut connection, server, &template).await?;
    }
    execute(&mut connection, &format!("create database {database} template {template}")).await?;
    // Rights on the database itself are not copied.
    let rights = format!("grant temporary, create on database {database} to {ROLES}_owner, {ROLES}_writer");
    execute(&mut connection, &rights).await?;
    // Two copies with one identity would be a database and its restored backup.
    let mut copied = server.clone().database(database).connect().await?;
    execute(&mut copied, "update catalog.installation set identity = default").await
}

/// Logs in as the owner or the writer of the tables.
pub(super) fn login(server: &PgConnectOptions, role: &str, database: &str) -> PgConnectOptions {
    server.clone().username(&format!("{ROLES}_{role}")).password(PASSWORD).database(database)
}

/// The name depends on the migrations and the roles, so a new migration gets a new template.
fn name() -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let files = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    paths.push(role_script::SCRIPT.into());
    let mut hasher = DefaultHasher::new();
    for path in paths {
        std::fs::read(&path)?.hash(&mut hasher);
    }
    Ok(format!("test_template_{:016x}", hasher.finish()))
}

/// Creates the template unless another test has done so meanwhile. It gets its name once it is complete.
async fn make(connection: &mut PgConnection, server: &PgConnectOptions, template: &str) -> Result<()> {
    sqlx::query("select pg_advisory_lock(hashtext($1))").bind(LOCK).execute(&mut *connection).await?;
    if !exists(connection, template).await? {
        let incomplete = format!("{template}_incomplete");
        execute(connection, &format!("drop database if exists {incomplete}")).await?;
        execute(connection, &format!("create database {incomplete}")).await?;
        role_script::grant(&server.clone().database(&incomplete), ROLES).await?;
        for role in ["owner", "writer"] {
            execute(connection, &format!("alter role {ROLES}_{role} password '{PASSWORD}'")).await?;
        }
        let url = login(server, "owner", &incomplete).to_url_lossy().to_string();
        let migrate = Program::new("catalog-consumer")?.args(["migrate"]);
        migrate.env("DATABASE_URL", &url).succeed().await?;
        execute(connection, &format!("alter database {incomplete} rename to {template}")).await?;
    }
    sqlx::query("select pg_advisory_unlock(hashtext($1))").bind(LOCK).execute(connection).await?;
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
