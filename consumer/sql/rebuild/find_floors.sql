-- For each region ($1): the first full run whose records are all at or behind the first offsets ($4) of the partitions ($2,
-- $3) that lost their beginning; null where there is none yet. All records of a run are behind the end-of-run record of any
-- earlier run. The end of a transaction takes an offset too, and it comes before the next run of the region can begin. So an
-- end-of-run record 2 offsets before the first offset is enough. Where the decisions lost their beginning ($5), the run must
-- also be later than each run whose decision is gone. $6 and $7 are the runs whose decisions the topic still has. Decisions
-- that these tables have not published yet are not lost, unless the tables are new ($8) and decided only because the topic
-- contains no decision.
with lost (topic, partition, first_offset) as (
    select topic, partition, first_offset
    from unnest($2::text[], $3::integer[], $4::bigint[]) as given (topic, partition, first_offset)
),
given (region) as (
    select region
    from unnest($1::text[]) as given (region)
),
ends (region, run, is_complete) as (
    select given.region, min(stored.run), count(stored.run) > 0
    from given
    cross join lost
    left join run_partitions as stored
        on stored.region = given.region and stored.topic = lost.topic and stored.partition = lost.partition
        and stored.marker_offset >= greatest(lost.first_offset - 2, 0)
    group by given.region, lost.topic, lost.partition
    union all
    select verdicts.region, max(verdicts.run), true
    from verdicts
    where $5::boolean and (verdicts.published or $8::boolean)
        and not exists (
            select from unnest($6::text[], $7::bigint[]) as kept (region, run)
            where kept.region = verdicts.region and kept.run = verdicts.run
        )
    group by verdicts.region
),
bounds as (
    select given.region, coalesce(max(ends.run), 0) as run, coalesce(bool_and(ends.is_complete), true) as is_complete
    from given
    left join ends using (region)
    group by given.region
),
floors as (
    select
        bounds.region,
        case
            when bounds.is_complete then (
                select min(runs.run)
                from runs
                where runs.region = bounds.region and runs.run > bounds.run and runs.mode = 'full'
                    and runs.state not in ('open', 'abandoned')
            )
        end as run
    from bounds
)
select
    floors.region,
    floors.run,
    exists (select from runs where runs.region = floors.region) as is_crawled,
    (
        select count(*)
        from socrata_dataset_stats as stats
        join socrata_datasets as stored using (region, domain, id)
        where stats.region = floors.region and stored.retired_at is null
            and stats.last_run < coalesce(floors.run, 9223372036854775807)
    ) as active_below
from floors
order by floors.region collate "C" desc
