//! Gathers the evidence for the decision about a run.

use std::collections::BTreeMap;

use catalog_shared::cursor::Coverage;
use catalog_shared::decision::{Judged, Judgement};
use catalog_shared::end_record::EndRecord;
use catalog_shared::key::is_name;
use catalog_shared::region::Region;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::config::thresholds::RunThresholds;
use crate::store::ledger::decisions::RunId;
use crate::store::ledger::judge::{self, Counts, DomainLoss, Evidence, LedgerSums, Streak};

/// Gathers the evidence and decides about a run without a decision.
pub(crate) async fn judge_run(
    tx: &mut PgConnection,
    id: RunId,
    (end_record, ended_at): (&EndRecord, OffsetDateTime),
    sums: &LedgerSums,
    thresholds: RunThresholds,
) -> anyhow::Result<Judged> {
    let coverage = end_record.parameters.coverage();
    let streak = match coverage {
        Coverage::None => return Ok(Judged::plain(Judgement::Ended)),
        Coverage::Full => find_streak(tx, id, ended_at, thresholds.confirm_after).await?,
        Coverage::Domains(_) => None,
    };
    let losses = count_losses(tx, id, end_record, streak.as_ref()).await?;
    let dead = if sums.dead_datasets > 0 { count_dead(tx, id).await? } else { BTreeMap::new() };
    Ok(judge::judge(&Evidence { end_record, sums, losses, dead, streak, thresholds }))
}

/// The previous full crawls that confirm losses together with this one; `None` if there are too few.
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
    Ok(Some(Streak { first, counts: runs.iter().map(|(_, end_record)| Counts::of(end_record)).collect() }))
}

async fn count_losses(
    tx: &mut PgConnection,
    id: RunId,
    end_record: &EndRecord,
    streak: Option<&Streak>,
) -> sqlx::Result<Vec<DomainLoss>> {
    sqlx::query_as(include_str!("../../../sql/ledger/count_losses.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(scope(end_record))
        .bind(streak.map(|streak| i64::from(streak.first)))
        .bind(&end_record.missed.unread_ids)
        .fetch_all(tx)
        .await
}

/// The domains of a run that crawled selected domains completely, in lower case; none for other runs.
pub(crate) fn scope(end_record: &EndRecord) -> Option<Vec<String>> {
    match end_record.parameters.coverage() {
        Coverage::Domains(domains) => Some(domains.into_iter().collect()),
        Coverage::Full | Coverage::None => None,
    }
}

/// The run's dead letters by the domain of their key. Keys without a domain are left out.
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
    fn the_domain_of_a_datasets_key_is_found() {
        let domain = |key: &[u8]| domain_of(key, Region::Us);
        assert_eq!(domain(b"us/A.example/aaaa-0001").as_deref(), Some("a.example"));
        for key in
            [&b"eu/a.example/aaaa-0001"[..], b"us/a.example", b"us//aaaa-0001", b"us/a.example/", b"\xff"]
        {
            assert_eq!(domain(key), None);
        }
    }
}
