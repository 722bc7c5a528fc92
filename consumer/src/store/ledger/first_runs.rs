//! The first full crawl that listed or saw each domain. Full crawls cover the domain from that run on. Only end-of-run
//! records define it, so any order of arrival gives the same result.

use std::collections::BTreeSet;

use catalog_shared::cursor::Mode;
use catalog_shared::end_record::EndRecord;
use catalog_shared::events;
use catalog_shared::region::Region;
use sqlx::PgConnection;

use crate::store::ledger::decisions;

/// Stores the domains of an end-of-run record. If a domain's first run changes and a later run is accepted, `retired_at` of
/// its datasets is updated.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    region: Region,
    end_record: &EndRecord,
) -> sqlx::Result<()> {
    if end_record.parameters.mode != Mode::Full {
        return Ok(());
    }
    let listed = end_record.declared.keys().chain(end_record.seen.keys());
    let domains: BTreeSet<String> = listed.map(|domain| domain.to_ascii_lowercase()).collect();
    let new: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/ledger/upsert_first_runs.sql"))
        .bind(region.name())
        .bind(i64::from(end_record.run))
        .bind(domains.into_iter().collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await?;
    if new.is_empty() || !has_later_accepted(tx, region, end_record.run).await? {
        return Ok(());
    }
    decisions::update_superseded(tx, region).await?;
    let changed = decisions::update_retired_at(tx, region, i64::MAX, Some(&new)).await?;
    tracing::info!(event = events::DOMAINS_FIRST_COVERED, %region, run = end_record.run, domains = new.len(), ?changed, "domains first covered by a full crawl");
    Ok(())
}

async fn has_later_accepted(tx: &mut PgConnection, region: Region, run: u32) -> sqlx::Result<bool> {
    sqlx::query_scalar(include_str!("../../../sql/ledger/has_later_accepted.sql"))
        .bind(region.name())
        .bind(i64::from(run))
        .fetch_one(tx)
        .await
}
