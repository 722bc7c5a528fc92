//! Gathers what a run is judged by.

use std::collections::BTreeMap;

use catalog_shared::cursor::Coverage;
use catalog_shared::end_record::EndRecord;
use catalog_shared::key::is_name;
use catalog_shared::region::Region;
use catalog_shared::verdict::{Judged, Judgement};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::config::thresholds::RunThresholds;
use crate::store::ledger::decisions::RunId;
use crate::store::ledger::judge::{self, Counts, Evidence, LedgerSums, Loss, Streak};

/// Judges a run that nobody has judged.
pub(crate) async fn look(
    tx: &mut PgConnection,
    id: RunId,
    (marker, ended_at): (&EndRecord, OffsetDateTime),
    books: &LedgerSums,
    thresholds: RunThresholds,
) -> anyhow::Result<Judged> {
    let coverage = marker.shape.coverage();
    let streak = match coverage {
        Coverage::None => return Ok(Judged::plain(Judgement::Ended)),
        Coverage::Full => find_streak(tx, id, ended_at, thresholds.confirm_after).await?,
        Coverage::Domains(_) => None,
    };
    let losses = count_losses(tx, id, marker, streak.as_ref()).await?;
    let dead = if books.dead_datasets > 0 { count_dead(tx, id).await? } else { BTreeMap::new() };
    Ok(judge::judge(&Evidence { marker, books, losses, dead, streak, thresholds }))
}

/// The full crawls that confirm losses together with this one.
async fn find_streak(
    tx: &mut PgConnection,
    id: RunId,
    ended_at: OffsetDateTime,
    confirm_after: u32,
) -> anyhow::Result<Option<Streak>> {
    if confirm_after == 0 {
        return Ok(None);
    }
    let runs: Vec<(i64, Json<EndRecord>)> =
        sqlx::query_as(include_str!("../../../sql/ledger/find_confirming_runs.sql"))
            .bind(id.region.name())
            .bind(id.number())
            .bind(ended_at)
            .bind(i64::from(confirm_after))
            .fetch_all(tx)
            .await?;
    let Some((first, _)) = runs.first() else { return Ok(None) };
    let first = u32::try_from(*first)?;
    Ok(Some(Streak { first, counts: runs.iter().map(|(_, marker)| Counts::of(marker)).collect() }))
}

async fn count_losses(
    tx: &mut PgConnection,
    id: RunId,
    marker: &EndRecord,
    streak: Option<&Streak>,
) -> sqlx::Result<Vec<Loss>> {
    sqlx::query_as(include_str!("../../../sql/ledger/count_losses.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(scope(marker))
        .bind(streak.map(|streak| i64::from(streak.first)))
        .bind(&marker.unread_ids)
        .fetch_all(tx)
        .await
}

/// The domains that a run was limited to and crawled completely, in lower case; none for other runs.
pub(crate) fn scope(marker: &EndRecord) -> Option<Vec<String>> {
    match marker.shape.coverage() {
        Coverage::Domains(domains) => Some(domains.into_iter().collect()),
        Coverage::Full | Coverage::None => None,
    }
}

/// The run's dead letters by the domain that their keys name. Those whose keys name none are left out.
async fn count_dead(tx: &mut PgConnection, id: RunId) -> sqlx::Result<BTreeMap<String, i64>> {
    let keys: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar(include_str!("../../../sql/ledger/list_dead_keys.sql"))
            .bind(id.region.name())
            .bind(id.number())
            .fetch_all(tx)
            .await?;
    let mut dead = BTreeMap::new();
    for domain in keys.iter().flatten().filter_map(|key| domain_of(key, id.region)) {
        *dead.entry(domain).or_default() += 1;
    }
    Ok(dead)
}

/// The domain of a dataset's key, in lower case.
fn domain_of(key: &[u8], region: Region) -> Option<String> {
    let key = str::from_utf8(key).ok()?.strip_prefix(region.name())?.strip_prefix('/')?;
    let (domain, id) = key.split_once('/')?;
    (is_name(domain) && is_name(id)).then(|| domain.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_domain_where_it_is_a_datasets_key() {
        let domain = |key: &[u8]| domain_of(key, Region::Us);
        assert_eq!(domain(b"us/A.example/aaaa-0001").as_deref(), Some("a.example"));
        for key in
            [&b"eu/a.example/aaaa-0001"[..], b"us/a.example", b"us//aaaa-0001", b"us/a.example/", b"\xff"]
        {
            assert_eq!(domain(key), None);
        }
    }
}
