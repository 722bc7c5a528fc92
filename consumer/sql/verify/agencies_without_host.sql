-- A run also publishes the host of each agency.
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
    region || '/' || host || '/' || agency as what,
    'there is no row for ' || host || ' in socrata_hosts, though run ' || last_run || ' has arrived' as finding
from socrata_agencies
join runs using (region)
where runs.run = last_run and runs.state not in ('open', 'abandoned') and runs.dead = 0
    and region not in (select region from behind)
    and not exists (
        select from socrata_hosts as held
        where held.region = socrata_agencies.region and held.host = socrata_agencies.host
    )
