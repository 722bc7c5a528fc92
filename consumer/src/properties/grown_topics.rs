//! After a topic got more partitions, a key is in two of them, so two batches may write its row at the same time.

use anyhow::{Context, Result};
use catalog_shared::record::Version;
use catalog_shared::region::Region;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::guards::until_blocked;
use super::tables::Tables;
use crate::decode::rows::{Domain, Rows, Versioned};
use crate::model::effect::Effect;
use crate::store::rows::{self, CopyRows};

/// Writes the row of a domain that declares so many assets.
async fn write(tx: &mut PgConnection, declared_count: i64, page: u32) -> Result<Effect> {
    let row = Domain { domain: "d.example".to_owned(), declared_count };
    let (version, observed_at) = (Version { run: 5, page }, OffsetDateTime::UNIX_EPOCH);
    let row = Versioned { region: Region::Us, version, observed_at, offset: 0, row };
    let applied = rows::write(tx, Rows::Domains(vec![row]), CopyRows::Never).await?;
    Ok(applied.first().context("a row was given")?.effect)
}

#[tokio::test]
async fn a_domain_is_compared_as_the_concurrent_transaction_left_it() -> Result<()> {
    let tables = Tables::make("grown").await?;
    let pool = &tables.pool;
    // The second time the snapshot of the second transaction shows the content that it writes.
    for (page, counts, first_effect) in [(1, [7, 8], Effect::New), (3, [9, 8], Effect::Changed)] {
        let mut first = pool.begin().await?;
        assert_eq!(write(&mut first, counts[0], page).await?, first_effect);
        let mut second = pool.begin().await?;
        let session: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *second).await?;
        let commit = async {
            until_blocked(pool, session).await?;
            Ok(first.commit().await?)
        };
        let (effect, ()) = tokio::try_join!(write(&mut second, counts[1], page + 1), commit)?;
        assert_eq!(effect, Effect::Changed, "beside {first_effect:?}");
        second.commit().await?;
    }
    tables.drop().await
}
