-- As for hosts: a run publishes the agency of each asset that it publishes. A text that was sanitized or cut here
-- differs from the text that the producer read.
with behind as (
    -- Regions whose last known run still has agencies to arrive. After compaction, the only record of an agency
    -- that an earlier run saw may be among them.
    select region
    from (
        select region, run from runs where state <> 'abandoned' and (kinds is null or 'agencies' = any (kinds))
        union
        select region, run from verdicts where (region, run) not in (select region, run from runs)
    ) as known
    group by region
    having max(run) > coalesce(
        (
            select max(stored.run) from run_partitions as stored
            where stored.region = known.region and stored.topic like '%agencies' and stored.marker_offset is not null
        ),
        0
    )
)
select
    region || '/' || domain || '/' || id as what,
    'socrata_agencies has no row for ' || agency || ' on ' || host || ', although run ' || last_run
        || ' has arrived completely' as finding
from (
    select region, domain, id, last_run, asset_host(permalink, domain) collate "C" as host,
        agency_name(attribution) collate "C" as agency
    from socrata_datasets
    join socrata_dataset_stats using (region, domain, id)
    join runs using (region)
    where runs.run = last_run and runs.state not in ('open', 'abandoned') and runs.dead = 0
        and permalink collate "C" ~* '^https?://[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]+/' and permalink collate "C" !~* '//([^/]*\.)?xn--'
        and not 'resource.attribution' = any (unreadable)
) as asset
where agency is not null and region not in (select region from behind) and not exists (
    select from socrata_agencies as stored
    where stored.region = asset.region and stored.host = asset.host and stored.agency = asset.agency
)
