//! The commands that read the topics from their beginning.

use anyhow::Result;
use sqlx::{Postgres, Transaction};

use super::{Ended, Program, Running, World};

/// The last table that is compared at the snapshot.
const LAST_COMPARED: &str = "lock table socrata_agencies in access exclusive mode";
/// A table of the shadow that every transaction of the rebuild's session names at its beginning.
const NAMED_BY_EACH: &str = "lock table catalog_rebuild.run_partitions in access exclusive mode";

/// A rebuild that has compared all rows and waits before it takes the schema lock.
pub struct PausedRebuild {
    running: Running,
    blocker: Transaction<'static, Postgres>,
}

impl PausedRebuild {
    /// Lets it continue.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub async fn resume(self) -> Result<Running> {
        self.blocker.rollback().await?;
        Ok(self.running)
    }

    /// Lets it continue, and waits for its end.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn finish(self) -> Result<Ended> {
        self.resume().await?.ended().await
    }
}

impl World {
    /// A rebuild of the tables.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn rebuild(&self) -> Result<Program> {
        self.replaying(&["rebuild", "--json"])
    }

    /// A comparison of the tables with the topics.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn verify_topics(&self) -> Result<Program> {
        self.replaying(&["verify", "--topics", "--json"])
    }

    /// Starts a rebuild or a comparison, and returns between its comparison of all rows and its lock.
    ///
    /// # Errors
    /// If it does not get there.
    pub async fn pause_before_lock(&self, rebuild: Program) -> Result<PausedRebuild> {
        let mut comparing = self.pool.begin().await?;
        sqlx::query(LAST_COMPARED).execute(&mut *comparing).await?;
        let running = rebuild.start()?;
        self.until_blocked("%candidates_agencies%").await?;
        // This waits for the rebuild's transaction, and the rebuild's next one waits for this.
        let mut blocker = self.pool.begin().await?;
        let continued = async {
            self.until_blocked(NAMED_BY_EACH).await?;
            comparing.rollback().await?;
            self.until_blocked("%temporary view pg_temp.shadow_datasets%").await
        };
        let (blocked, continued) = tokio::join!(
            async { sqlx::query(NAMED_BY_EACH).execute(&mut *blocker).await.map(drop) },
            continued
        );
        blocked?;
        continued?;
        Ok(PausedRebuild { running, blocker })
    }

    fn replaying(&self, args: &[&'static str]) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(args.iter().copied());
        Ok(self.configured(program).env("DATABASE_URL", &self.database_url))
    }
}
