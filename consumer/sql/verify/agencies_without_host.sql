-- A run publishes the host of each agency too.
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
    region || '/' || host || '/' || agency as what,
    'socrata_hosts has no row for ' || host || ', although run ' || last_run || ' has arrived completely' as finding
from socrata_agencies
join runs using (region)
where runs.run = last_run and runs.state not in ('open', 'abandoned') and runs.dead = 0
    and region not in (select region from behind)
    and not exists (
        select from socrata_hosts as stored
        where stored.region = socrata_agencies.region and stored.host = socrata_agencies.host
    )
