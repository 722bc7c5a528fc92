//! Roles of a world, to log in with fewer rights.

use anyhow::Result;
use sqlx::ConnectOptions;

use super::cleanup::ExecuteRaw;
use super::role_script::grant;
use super::{Program, World, template};

const USER_PASSWORD: &str = "user7Q";
/// The suffix of roles' names after the database's name. The creator of the others comes last, because it can't be dropped
/// before them.
const ROLES: [&str; 5] = ["", "_owner", "_writer", "_reader", "_creator"];

impl World {
    /// A database URL that logs in with this password (letters and digits), as a separate role with the
    /// rights of the tests' user.
    ///
    /// # Errors
    /// If the tests' user may not create roles.
    pub async fn login(&self, password: &str) -> Result<String> {
        let name = &self.database;
        let writer = if self.has_writer { format!(", {}_writer", template::ROLES) } else { String::new() };
        let create = format!("create role {name} login password '{password}' in role current_user{writer}");
        self.server.connect().await?.execute_raw(&create).await?;
        let options = self.server.clone().username(name).password(password).database(name);
        Ok(options.to_url_lossy().to_string())
    }

    /// A database URL for a separate role, named by the database and `suffix`, that has only the rights in `with`,
    /// such as `connection limit 1`.
    ///
    /// # Errors
    /// If the tests' user may not create roles.
    pub async fn user(&self, suffix: &str, with: &str) -> Result<String> {
        let name = format!("{}{suffix}", self.database);
        let create = format!("create role {name} login password '{USER_PASSWORD}' {with}");
        self.server.connect().await?.execute_raw(&create).await?;
        let options = self.server.clone().username(&name).password(USER_PASSWORD).database(&self.database);
        Ok(options.to_url_lossy().to_string())
    }

    /// Runs deploy/roles.sql for the roles of this world, which may exist already.
    ///
    /// # Errors
    /// The errors of `psql`.
    pub async fn grant_roles(&self) -> Result<()> {
        let prefix = if self.has_writer { template::ROLES } else { &self.database };
        grant(&self.server.clone().database(&self.database), prefix).await
    }

    /// Same as [`World::grant_roles`], as the user of this URL, in a world whose database is empty.
    ///
    /// # Errors
    /// The errors of `psql`.
    pub async fn grant_roles_as(&self, url: &str) -> Result<()> {
        grant(&url.parse()?, &self.database).await
    }

    /// Makes a command run as the owner of the tables, for what the writer may not do.
    #[must_use]
    pub fn as_owner(&self, program: Program) -> Program {
        let login = template::login(&self.server, "owner", &self.database);
        program.env("DATABASE_URL", login.to_url_lossy().as_str())
    }

    /// The database's name, with which the names of roles begin.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The statement that drops them all.
    pub(super) fn drop_roles(&self) -> String {
        let roles = ROLES.map(|suffix| format!("{}{suffix}", self.database));
        format!("drop role if exists {}", roles.join(", "))
    }
}
