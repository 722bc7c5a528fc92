//! The guards between programs of different builds and between concurrent transactions, on a real PostgreSQL.

use anyhow::{Context, Result};
use catalog_shared::exit::Stop;
use sqlx::{Connection, PgConnection, PgPool, raw_sql};
use tokio::sync::oneshot;
use tokio::time::{Duration, interval, timeout};

use super::tables::{Tables, dataset};
use crate::decode::rows::Rows;
use crate::model::effect::Effect;
use crate::store::db_error;
use crate::store::rows::{self, CopyRows, stats};
use crate::store::schema_lock::{LockMode, lock};

const ONE: &str = r#"{"resource":{"id":"aaaa-bbbb","name":"one"},"classification":{"tags":["b","a"]},"metadata":{"domain":"d.example"}}"#;
const OTHER: &str = r#"{"resource":{"id":"aaaa-bbbb","name":"other"},"metadata":{"domain":"d.example"}}"#;

/// The effect of a migration of a newer build.
const MIGRATED: &str =
    "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
    values (9999, 'of a newer build', true, '', 0)";

async fn write(tx: &mut PgConnection, text: &str, version: (u32, u32)) -> Result<Effect> {
    let applied = rows::write(tx, Rows::Datasets(vec![dataset(text, version)]), CopyRows::Never).await?;
    Ok(applied.first().context("a row was given")?.effect)
}

async fn store(pool: &PgPool, text: &str, version: (u32, u32)) -> Result<Effect> {
    let mut tx = pool.begin().await?;
    let effect = write(&mut tx, text, version).await?;
    tx.commit().await?;
    Ok(effect)
}

/// Returns when a session waits for a lock. PostgreSQL has no event for that.
pub(super) async fn until_blocked(pool: &PgPool, session: i32) -> Result<()> {
    let mut again = interval(Duration::from_millis(10));
    let asking = async {
        let query = "select cardinality(pg_blocking_pids($1)) > 0";
        while !sqlx::query_scalar::<_, bool>(query).bind(session).fetch_one(pool).await? {
            again.tick().await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(60), asking).await.context("never blocked")?
}

/// The names and whether both hashes of the row are equal.
async fn stored(pool: &PgPool) -> Result<(String, bool)> {
    let query = "select name, stats.content_hash = stored.content_hash
        from socrata_datasets as stored join socrata_dataset_stats as stats using (region, domain, id)";
    Ok(sqlx::query_as(query).fetch_one(pool).await?)
}

/// T1 writes other content at (5,1). Concurrently T2 writes the old content at (5,2), and its snapshot still shows the old
/// hash. Returns both effects.
async fn side_by_side(pool: &PgPool) -> Result<(Effect, Effect)> {
    let mut first = pool.begin().await?;
    let one = write(&mut first, OTHER, (5, 1)).await?;
    let (sender, receiver) = oneshot::channel();
    let second = async {
        let mut tx = pool.begin().await?;
        let session: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
        sender.send(session).ok().context("the receiver was dropped")?;
        let effect = write(&mut tx, ONE, (5, 2)).await?;
        tx.commit().await?;
        anyhow::Ok(effect)
    };
    let commit = async {
        until_blocked(pool, receiver.await?).await?;
        anyhow::Ok(first.commit().await?)
    };
    let (other, ()) = tokio::try_join!(second, commit)?;
    Ok((one, other))
}

#[tokio::test]
async fn a_hash_is_compared_as_the_concurrent_transaction_left_it() -> Result<()> {
    let tables = Tables::make("beside").await?;
    store(&tables.pool, ONE, (4, 1)).await?;
    assert_eq!(side_by_side(&tables.pool).await?, (Effect::Changed, Effect::Changed));
    assert_eq!(stored(&tables.pool).await?, ("one".to_owned(), true));

    tables.wipe().await?;
    assert_eq!(side_by_side(&tables.pool).await?, (Effect::New, Effect::Changed));
    assert_eq!(stored(&tables.pool).await?, ("one".to_owned(), true));
    tables.drop().await
}

/// Which rows are new is read from a system column, which has to be right for rows of the same transaction too.
#[tokio::test]
async fn a_row_is_new_once_in_a_transaction() -> Result<()> {
    let tables = Tables::make("new_once").await?;
    let mut tx = tables.pool.begin().await?;
    for effect in [Effect::New, Effect::Unchanged, Effect::Unchanged] {
        let mut savepoint = tx.begin().await?;
        assert_eq!(write(&mut savepoint, ONE, (1, 1)).await?, effect);
        savepoint.commit().await?;
        assert_eq!(write(&mut tx, ONE, (1, 1)).await?, Effect::Unchanged);
    }
    tx.commit().await?;
    tables.drop().await
}

/// The same if T1 begins between the two statements of T2: only the row lock shows T2 the new hash then.
#[tokio::test]
async fn a_hash_is_read_under_the_lock_of_its_row() -> Result<()> {
    let tables = Tables::make("under_lock").await?;
    let pool = &tables.pool;
    store(pool, ONE, (4, 1)).await?;
    let mut first = pool.begin().await?;
    write(&mut first, OTHER, (5, 1)).await?;
    let (sender, receiver) = oneshot::channel();
    let second = async {
        let mut tx = pool.begin().await?;
        let session: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
        sender.send(session).ok().context("the receiver was dropped")?;
        let guarded = stats::win(&mut tx, &[dataset(ONE, (5, 2))]).await?;
        anyhow::Ok(guarded.into_iter().next().context("a row was given")?)
    };
    let commit = async {
        until_blocked(pool, receiver.await?).await?;
        anyhow::Ok(first.commit().await?)
    };
    let (guarded, ()) = tokio::try_join!(second, commit)?;
    assert!(guarded.won);
    let other = dataset(OTHER, (5, 1)).row.scanned.content_hash;
    assert_eq!(guarded.content_hash.as_deref(), Some(other.as_bytes()));
    tables.drop().await
}

/// The row's last write.
async fn last_write(pool: &PgPool) -> Result<String> {
    Ok(sqlx::query_scalar("select xmin::text || ctid::text from socrata_datasets").fetch_one(pool).await?)
}

#[tokio::test]
async fn a_row_that_only_its_revision_changes_is_rewritten_and_counts_as_unchanged() -> Result<()> {
    const OLDER: &str = "update socrata_datasets set content_hash = set_byte(content_hash, 0, 3);
        update socrata_dataset_stats set content_hash = set_byte(content_hash, 0, 3)";
    // The form of builds before revisions: lists in the order of the API, another kind of hash, and no hash in the stats.
    const BEFORE_REVISIONS: &str = r#"update socrata_dataset_stats set content_hash = null;
        update socrata_datasets set content_hash = '\xff00', tags = '{b,a}', record =
            '{"resource":{"id":"aaaa-bbbb","name":"one"},"classification":{"tags":["b","a"]},"metadata":{"domain":"d.example"}}'"#;
    let tables = Tables::make("older_form").await?;
    store(&tables.pool, ONE, (1, 1)).await?;
    let before = tables.contents().await?;
    for age in [OLDER, BEFORE_REVISIONS] {
        raw_sql(age).execute(&tables.pool).await?;
        let written = last_write(&tables.pool).await?;
        assert_eq!(store(&tables.pool, ONE, (1, 1)).await?, Effect::Unchanged);
        assert_ne!(last_write(&tables.pool).await?, written);
        assert_eq!(tables.contents().await?, before);

        let written = last_write(&tables.pool).await?;
        assert_eq!(store(&tables.pool, ONE, (1, 1)).await?, Effect::Unchanged);
        assert_eq!(last_write(&tables.pool).await?, written);
    }
    for age in [OLDER, BEFORE_REVISIONS] {
        raw_sql(age).execute(&tables.pool).await?;
        assert_eq!(store(&tables.pool, OTHER, (1, 1)).await?, Effect::Changed);
        assert_eq!(stored(&tables.pool).await?, ("other".to_owned(), true));
    }
    tables.drop().await
}

/// Builds of revision 4 hashed in another way, so their rows are compared by the stored object, with what was sanitized.
#[tokio::test]
async fn a_row_with_a_hash_of_another_kind_is_compared_by_its_object() -> Result<()> {
    const ODD: &str = r#"{"resource":{"id":"aaaa-bbbb","name":7,"x":["a\u0000",1.0],"download_count":"many"},
        "classification":{"tags":["b","a"]},"metadata":{"domain":"d.example"}}"#;
    const REVISION_4: &str = "
        update socrata_datasets set content_hash = '\\x0450a5f1ab3e8e1d4b3b6ed4c1f7a2c9';
        update socrata_dataset_stats set content_hash = '\\x0450a5f1ab3e8e1d4b3b6ed4c1f7a2c9'";
    let tables = Tables::make("other_hash").await?;
    store(&tables.pool, ODD, (1, 1)).await?;
    let before = tables.contents().await?;
    raw_sql(REVISION_4).execute(&tables.pool).await?;
    assert_ne!(tables.contents().await?, before);
    assert_eq!(store(&tables.pool, ODD, (1, 1)).await?, Effect::Unchanged);
    assert_eq!(tables.contents().await?, before);
    raw_sql(REVISION_4).execute(&tables.pool).await?;
    assert_eq!(
        store(&tables.pool, &ODD.replace("many", "few").replace(r"\u0000", ""), (1, 1)).await?,
        Effect::Changed
    );
    tables.drop().await
}

fn is_guard<T>(result: Result<T>) -> String {
    let Err(error) = result else { panic!("it was not refused") };
    assert!(matches!(error.downcast_ref(), Some(Stop::Guard(_))), "{error:#}");
    error.to_string()
}

#[tokio::test]
async fn a_row_of_a_newer_revision_is_not_overwritten() -> Result<()> {
    let (tables, other) = (Tables::make("newer_form").await?, Tables::make("newer_form").await?);
    store(&tables.pool, ONE, (2, 1)).await?;
    let newer = "update socrata_datasets set content_hash = set_byte(content_hash, 0, 200);
        update socrata_dataset_stats set content_hash = set_byte(content_hash, 0, 200)";
    raw_sql(newer).execute(&tables.pool).await?;
    let before = tables.contents().await?;
    for text in [ONE, OTHER] {
        let refusal = is_guard(store(&tables.pool, text, (3, 1)).await);
        assert!(refusal.contains("us/d.example/aaaa-bbbb") && refusal.contains("form 200"), "{refusal}");
    }
    // An older version writes nothing, so it is not refused.
    assert_eq!(store(&tables.pool, OTHER, (1, 1)).await?, Effect::Older);
    store(&other.pool, OTHER, (3, 1)).await?;
    is_guard(tables.make_equal_to(&other).await);
    assert_eq!(tables.contents().await?, before);
    tables.drop().await?;
    other.drop().await
}

async fn take_lock(pool: &PgPool) -> Result<()> {
    for mode in [LockMode::SharedWithAsynchronousCommit, LockMode::Shared, LockMode::Exclusive] {
        let mut tx = pool.begin().await?;
        lock(&mut tx, mode).await?;
    }
    Ok(())
}

#[tokio::test]
async fn tables_that_were_migrated_or_replaced_meanwhile_are_not_written_to() -> Result<()> {
    let tables = Tables::make("other_tables").await?;
    take_lock(&tables.pool).await?;
    raw_sql(MIGRATED).execute(&tables.pool).await?;
    assert!(is_guard(take_lock(&tables.pool).await).contains("upgrade this program"));
    raw_sql("delete from _sqlx_migrations where version = 9999").execute(&tables.pool).await?;
    take_lock(&tables.pool).await?;

    let restored = "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)";
    let mut tx = tables.pool.begin().await?;
    raw_sql(restored).execute(&mut *tx).await?;
    assert!(is_guard(lock(&mut tx, LockMode::Shared).await).contains("catalog-consumer migrate"));
    tx.rollback().await?;

    raw_sql("update installation set identity = gen_random_uuid()").execute(&tables.pool).await?;
    assert!(is_guard(take_lock(&tables.pool).await).contains("other tables than at the start"));
    tables.drop().await
}

/// A batch waits for a running migration and then sees its changes.
#[tokio::test]
async fn a_batch_that_waits_for_a_migration_sees_its_revision() -> Result<()> {
    let tables = Tables::make("waits").await?;
    let options = (*tables.pool.connect_options()).clone();
    let mut migration = PgConnection::connect_with(&options).await?;
    // A new connection needs the search path of the tables.
    let schema: String = sqlx::query_scalar("select current_schema()::text").fetch_one(&tables.pool).await?;
    sqlx::query("select set_config('search_path', $1, false)").bind(schema).execute(&mut migration).await?;
    raw_sql(include_str!("../../sql/apply/lock_session.sql")).execute(&mut migration).await?;
    let (sender, receiver) = oneshot::channel();
    let batch = async {
        let mut tx = tables.pool.begin().await?;
        let session: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
        sender.send(session).ok().context("the receiver was dropped")?;
        anyhow::Ok(lock(&mut tx, LockMode::Shared).await)
    };
    let commit = async {
        until_blocked(&tables.pool, receiver.await?).await?;
        raw_sql(MIGRATED).execute(&mut migration).await?;
        migration.close().await?;
        anyhow::Ok(())
    };
    let (locked, ()) = tokio::try_join!(batch, commit)?;
    is_guard(locked);
    tables.drop().await
}

/// What programs before migration 0007 do with each batch ends with an error that stops them, and makes no dead letter.
#[tokio::test]
async fn statements_of_older_programs_fail_for_good() -> Result<()> {
    const MOVE_POSITION: &str = "update positions
        set position = 2, counted_to = greatest(counted_to, 2), records = records + 1, updated_at = now()
        where topic = 'a' and partition = 0";
    let tables = Tables::make("older_program").await?;
    for (statement, code) in [(MOVE_POSITION, "42703"), ("select no_such_function('us', 1::bigint)", "42883")]
    {
        let error = raw_sql(statement).execute(&tables.pool).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some(code));
        assert!(!db_error::refuses_a_row(&error), "{code} would make dead letters");
        assert!(!db_error::is_transient(&error.into()), "{code} would be retried forever");
    }
    tables.drop().await
}
