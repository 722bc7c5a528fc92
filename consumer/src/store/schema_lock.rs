//! The schema lock. Every transaction that writes takes it first, and then checks that the tables are still those that this
//! program was built for and started with.

use catalog_shared::exit::Stop;
use sqlx::{FromRow, PgConnection, raw_sql};

use crate::store::database;

/// The result of the lock's statement.
#[derive(Debug, FromRow)]
struct Found {
    /// The number of the last migration.
    revision: Option<i64>,
    /// `None` if the table `installation` is empty.
    identity: Option<String>,
    /// The identity that was read at the program's start; none on a connection that was opened without one.
    expected: Option<String>,
}

/// How a transaction holds the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LockMode {
    /// No other transaction writes meanwhile.
    Exclusive,
    /// Batches write concurrently.
    Shared,
    /// Like `Shared`. The transaction's commit does not wait for the disk (`synchronous_commit = off`), so a crash of the
    /// server may undo it; it then undoes it as a whole, and all later transactions too.
    SharedWithAsynchronousCommit,
}

/// Takes the schema lock until the transaction ends.
///
/// # Errors
/// [`Stop::Guard`] if the tables were migrated or replaced while this program ran, or the error of the database.
pub(crate) async fn lock(tx: &mut PgConnection, mode: LockMode) -> anyhow::Result<()> {
    let statements = match mode {
        LockMode::Exclusive => include_str!("../../sql/apply/lock_exclusive.sql"),
        LockMode::Shared => include_str!("../../sql/apply/lock_shared.sql"),
        LockMode::SharedWithAsynchronousCommit => {
            concat!("set local synchronous_commit = off;\n", include_str!("../../sql/apply/lock_shared.sql"))
        }
    };
    let rows = raw_sql(statements).fetch_all(tx).await?;
    // The first row is the empty result of the lock function.
    let found = rows.last().map(Found::from_row).transpose()?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(found.check(database::revision())?)
}

impl Found {
    fn check(&self, built_for: i64) -> Result<(), Stop> {
        let revision = self.revision.unwrap_or_default();
        if revision != built_for {
            let way_on = if revision > built_for {
                "upgrade this program, then start it again"
            } else {
                "run `catalog-consumer migrate`, then start it again"
            };
            return Err(Stop::Guard(format!(
                "the tables have revision {revision} and this program was built for {built_for}: another program has \
                 migrated or restored them. Nothing was written. To go on, {way_on}"
            )));
        }
        match &self.expected {
            Some(expected) if self.identity.as_ref() != Some(expected) => Err(Stop::Guard(format!(
                "these are other tables than at the start: their identity (table `installation`) was {expected} and is \
                 {}. Nothing was written. If they replace the old ones on purpose, start the program again; \
                 if not, check --database-url and --schema",
                self.identity.as_deref().unwrap_or("missing")
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(revision: i64, identity: Option<&str>, expected: Option<&str>) -> Option<String> {
        let found = Found {
            revision: Some(revision),
            identity: identity.map(str::to_owned),
            expected: expected.map(str::to_owned),
        };
        found.check(7).err().map(|stop| {
            assert!(matches!(stop, Stop::Guard(_)));
            stop.to_string()
        })
    }

    #[test]
    fn another_revision_or_identity_is_refused_and_names_the_way_on() {
        assert_eq!(refusal(7, Some("a"), Some("a")), None);
        assert_eq!(refusal(7, Some("a"), None), None);
        assert!(refusal(8, Some("a"), Some("a")).unwrap().contains("upgrade this program"));
        assert!(refusal(6, Some("a"), Some("a")).unwrap().contains("catalog-consumer migrate"));
        assert!(refusal(7, Some("b"), Some("a")).unwrap().contains("was a and is b"));
        assert!(refusal(7, None, Some("a")).unwrap().contains("is missing"));
    }
}
