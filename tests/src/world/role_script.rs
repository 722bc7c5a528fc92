//! The script deploy/roles.sql.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// The script that makes roles.
pub(super) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");

/// Runs deploy/roles.sql in a database, for roles whose names begin with `prefix`.
///
/// # Errors
/// The errors of `psql`.
pub(super) async fn grant(database: &PgConnectOptions, prefix: &str) -> Result<()> {
    let url = database.to_url_lossy().to_string();
    let mut psql = tokio::process::Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]);
    for role in ["owner", "writer", "reader"] {
        psql.args(["--set", &format!("{role}={prefix}_{role}")]);
    }
    // psql does not know all parameters of sqlx.
    psql.args(["--dbname", url.split('?').next().unwrap_or_default(), "--file", SCRIPT]);
    let ended = psql.stdin(Stdio::null()).output().await.context("psql")?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
