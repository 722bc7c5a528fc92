//! The shell and SQL blocks of the documentation, run in a world.

use std::borrow::Cow;
use std::env;
use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::ConnectOptions;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::{TOPICS, World, template};
use crate::docs::{Block, Page, Run, root};

const LIMIT: Duration = Duration::from_secs(300);
pub(super) const PREAMBLE: &str = include_str!("documented.sh");

impl World {
    /// Runs the `sh` and `sql` blocks of a page, one after the other in one shell, as its reader would. The world's services
    /// and `variables` are in the environment. Names in the page that several tests would share are replaced by the world's,
    /// and the port for metrics by the address in `CATALOG_METRICS_ADDR`.
    ///
    /// # Errors
    /// If a block's exit code differs from the page. Contains the output.
    pub async fn run_page(&self, page: &Page, variables: &[(&str, &str)]) -> Result<()> {
        let mut script = self.with_own_names(&script(page)?)?;
        if let Some((_, addr)) = variables.iter().find(|(name, _)| *name == "CATALOG_METRICS_ADDR") {
            script = script.replace("127.0.0.1:9464", addr);
        }
        let folder = TempDir::new()?;
        let mut bash = self.bash(&script, folder.path())?;
        bash.envs(variables.iter().copied());
        let ended =
            timeout(LIMIT, bash.output()).await.with_context(|| format!("{} never ends", page.path))??;
        let (out, error) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        ensure!(ended.status.success(), "{}: {}\n{out}{error}", page.path, ended.status);
        Ok(())
    }

    /// A shell for a script, with this world's services in its environment.
    pub(super) fn bash(&self, script: &str, folder: &Path) -> Result<Command> {
        let programs = env::current_exe()?;
        let programs = programs.ancestors().nth(2).context("a test is built into target/PROFILE/deps")?;
        let path = format!("{}:{}", programs.display(), env::var("PATH")?);
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).current_dir(folder);
        bash.env("PATH", path).env("REPOSITORY", root().canonicalize()?);
        bash.env("KAFKA_BROKERS", &self.brokers).env("DATABASE_URL", self.plain_url());
        bash.env("CATALOG_TOPIC_PREFIX", &self.prefix).env("CATALOG_GROUP", &self.database);
        bash.stdin(Stdio::null()).kill_on_drop(true);
        Ok(bash)
    }

    /// The database's URL for `psql`, without parameters that only sqlx knows.
    pub(super) fn plain_url(&self) -> String {
        let url = self.server.clone().database(&self.database).to_url_lossy().to_string();
        url.split('?').next().unwrap_or_default().to_owned()
    }

    fn with_own_names(&self, script: &str) -> Result<String> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let script = script.replace("--group catalog-consumer", &format!("--group {}", self.database));
        let script = script.replace("catalog-staging", &format!("{}.staging", self.database));
        // In a regular expression.
        let script = script.replace(r"socrata\.", &self.prefix.replace('.', r"\."));
        let script = TOPICS
            .iter()
            .fold(script, |script, name| script.replace(&format!("socrata.{name}"), &self.topic(name)));
        Ok(self.with_own_roles(&script).replace("127.0.0.1:8802", &format!("127.0.0.1:{port}")))
    }

    /// Roles are the whole server's: those of deploy/roles.sql, and that of a person in an example.
    fn with_own_roles(&self, script: &str) -> String {
        let prefix = if self.has_writer { template::ROLES } else { &self.database };
        let script = ["owner", "writer", "reader"].iter().fold(script.to_owned(), |script, role| {
            script.replace(&format!("catalog_{role}"), &format!("{prefix}_{role}"))
        });
        script
            .replace("role alice", &format!("role {}", self.database))
            .replace("to alice", &format!("to {}", self.database))
    }
}

/// What a shell runs for a block. `psql` gets SQL as somebody would paste it whose name is not that of the schema.
fn commands(block: &Block) -> Cow<'_, str> {
    if block.language == "sql" {
        let psql =
            "PGOPTIONS='-c search_path=public' psql --no-psqlrc --set ON_ERROR_STOP=1 \"$DATABASE_URL\"";
        return format!("{psql} <<'SQL'\n{}SQL\n", block.text).into();
    }
    block.text.as_str().into()
}

/// All blocks of a page as one script.
fn script(page: &Page) -> Result<String> {
    let mut script = PREAMBLE.to_owned();
    for block in page.blocks()?.iter().filter(|block| block.is_command()) {
        let (place, text) = (format!("{}:{}", page.path, block.line), commands(block));
        match block.run {
            Run::Not => {}
            Run::Ends(0) => write!(script, "echo '== {place}'\n{text}")?,
            Run::Ends(code) => {
                write!(
                    script,
                    "echo '== {place}'\nset +e\n{text}code=$?\nset -e\nended $code {code} '{place}'\n"
                )?;
            }
        }
    }
    Ok(script)
}
