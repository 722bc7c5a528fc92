-- A run publishes the host of each asset that it publishes, so the row exists once the whole run has arrived. It may be
-- missing while the run is open or after the run was abandoned. Only plain permalinks are checked, because the URL
-- standard that the producer follows would need hundreds of lines here.
with behind as (
    -- Regions whose last known run still has hosts to arrive. After compaction, the only record of a host that an
    -- earlier run saw may be among them.
    select region
    from (
        select region, run from runs where state <> 'abandoned' and (kinds is null or 'hosts' = any (kinds))
        union
        select region, run from verdicts where (region, run) not in (select region, run from runs)
    ) as known
    group by region
    having max(run) > coalesce(
        (
            select max(stored.run) from run_partitions as stored
            where stored.region = known.region and stored.topic like '%hosts' and stored.marker_offset is not null
        ),
        0
    )
)
select
    region || '/' || domain || '/' || id as what,
    'socrata_hosts has no row for ' || host || ', although run ' || last_run || ' has arrived completely' as finding
from (
    select region, domain, id, last_run, asset_host(permalink, domain) collate "C" as host
    from socrata_datasets
    join socrata_dataset_stats using (region, domain, id)
    join runs using (region)
    where runs.run = last_run and runs.state not in ('open', 'abandoned') and runs.dead = 0
        and permalink collate "C" ~* '^https?://[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]+/' and permalink collate "C" !~* '//([^/]*\.)?xn--'
) as asset
where region not in (select region from behind) and not exists (
    select from socrata_hosts as stored
    where stored.region = asset.region and stored.host = asset.host
)
