//! Which domains are within reach of full crawls: those that a full crawl has listed or seen, from that run on. The
//! markers say it and nothing else, so any order of arrival gives the same.

use std::collections::BTreeSet;

use catalog_shared::cursor::Mode;
use catalog_shared::end_record::EndRecord;
use catalog_shared::region::Region;
use sqlx::PgConnection;

use crate::store::ledger::decisions;

/// Enters the domains of a marker. Where that makes any of them known earlier, and a later run may judge it
/// therefore, its datasets get the `retired_at` that follows.
pub(crate) async fn enter(tx: &mut PgConnection, region: Region, marker: &EndRecord) -> sqlx::Result<()> {
    if marker.shape.mode != Mode::Full {
        return Ok(());
    }
    let named = marker.declared.keys().chain(marker.seen.keys());
    let domains: BTreeSet<String> = named.map(|domain| domain.to_ascii_lowercase()).collect();
    let new: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/ledger/upsert_first_runs.sql"))
        .bind(region.name())
        .bind(i64::from(marker.run))
        .bind(domains.into_iter().collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await?;
    if new.is_empty() || !has_later_accepted(tx, region, marker.run).await? {
        return Ok(());
    }
    decisions::derive_superseded(tx, region).await?;
    let moved = decisions::retire(tx, region, i64::MAX, Some(&new)).await?;
    tracing::info!(%region, run = marker.run, domains = new.len(), ?moved, "domains came within reach");
    Ok(())
}

async fn has_later_accepted(tx: &mut PgConnection, region: Region, run: u32) -> sqlx::Result<bool> {
    sqlx::query_scalar(include_str!("../../../sql/ledger/has_later_accepted.sql"))
        .bind(region.name())
        .bind(i64::from(run))
        .fetch_one(tx)
        .await
}
