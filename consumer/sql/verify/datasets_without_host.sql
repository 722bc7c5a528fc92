-- A run publishes the host of each asset that it publishes, so the row exists once the run is complete. It may be missing
-- while the run is open or if it was abandoned. Only plain permalinks are checked, because producers parse URLs by a
-- standard that would need hundreds of lines here.
with behind as (
    -- Regions whose last known run still has unread hosts. Compaction may have removed the records of earlier runs for
    -- the same hosts.
    select region
    from (
        select region, run from runs where state <> 'abandoned' and (kinds is null or 'hosts' = any (kinds))
        union
        select region, run from verdicts where (region, run) not in (select region, run from runs)
    ) as known
    group by region
    having max(run) > coalesce(
        (
            select max(held.run) from run_partitions as held
            where held.region = known.region and held.topic like '%hosts' and held.marker_offset is not null
        ),
        0
    )
)
select
    region || '/' || domain || '/' || id as what,
    'there is no row for ' || host || ' in socrata_hosts, though run ' || last_run || ' has arrived' as finding
from (
    select region, domain, id, last_run, asset_host(permalink, domain) collate "C" as host
    from socrata_datasets
    join socrata_dataset_stats using (region, domain, id)
    join runs using (region)
    where runs.run = last_run and runs.state not in ('open', 'abandoned') and runs.dead = 0
        and permalink collate "C" ~* '^https?://[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]+/' and permalink collate "C" !~* '//([^/]*\.)?xn--'
) as asset
where region not in (select region from behind) and not exists (
    select from socrata_hosts as held
    where held.region = asset.region and held.host = asset.host
)
