//! TLS and access rules of a test's own PostgreSQL.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::time::timeout;

use super::{DatabaseServer, LIMIT, LOOK_AGAIN};
use crate::certificates::{Authority, Certificate};

impl DatabaseServer {
    /// Serves TLS with this certificate from now on, trusts clients with a certificate from `authority`, and lets other users
    /// than the tests' in by these lines of `pg_hba.conf`. Returns when new connections have it.
    ///
    /// # Errors
    /// The system's error, or PostgreSQL's.
    pub async fn secure(&self, certificate: &Certificate, authority: &Authority, rules: &str) -> Result<()> {
        let name = certificate.certificate.file_stem().and_then(|name| name.to_str()).context("a name")?;
        let rules = format!("local all all trust\nhost all catalog 127.0.0.1/32 trust\n{rules}\n");
        self.give("pg_hba.conf", rules.as_bytes())?;
        self.give("clients.crt", &fs::read(authority.file())?)?;
        self.give(&format!("{name}.crt"), &fs::read(&certificate.certificate)?)?;
        self.give(&format!("{name}.key"), &fs::read(&certificate.key)?)?;
        let settings = [
            ("ssl_ca_file", "clients.crt".to_owned()),
            ("ssl_key_file", format!("{name}.key")),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", format!("{name}.crt")),
        ];
        let mut connection = PgConnection::connect(&self.url()?).await?;
        for (setting, value) in settings {
            let statement = format!("alter system set {setting} = '{value}'");
            raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        raw_sql("select pg_reload_conf()").execute(&mut connection).await?;
        connection.close().await?;
        timeout(LIMIT, self.until_served(&format!("{name}.crt"))).await.context("it never reloads")?
    }

    /// A new connection has the settings of the server after its reload.
    async fn until_served(&self, file: &str) -> Result<()> {
        loop {
            let mut connection = PgConnection::connect(&self.url()?).await?;
            let served: String = sqlx::query_scalar("show ssl_cert_file").fetch_one(&mut connection).await?;
            connection.close().await?;
            if served == file {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Writes a file into its data folder, for its own user alone.
    fn give(&self, name: &str, content: &[u8]) -> Result<()> {
        let folder = self.folder.path().join("postgres");
        let (path, owner) = (folder.join(name), fs::metadata(&folder)?);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(chown(&path, Some(owner.uid()), Some(owner.gid()))?)
    }
}
