-- Runs without all of their end-of-run records, and how many seconds ago each was last active: when its newest record in the
-- tables was observed, when it ended if some of its end-of-run records have arrived (an incremental run may have no others), or
-- when the next known run started. Null if none of these is known.
select
    runs.region, runs.run,
    extract(epoch from now() - coalesce(greatest(newest.observed_at, runs.ended_at), later.started_at))::float8 as age
from runs
cross join lateral (
    select max(observed_at) as observed_at
    from (
        select observed_at from socrata_dataset_stats where region = runs.region and last_run = runs.run
        union all
        select observed_at from socrata_domains where region = runs.region and last_run = runs.run
        union all
        select observed_at from socrata_hosts where region = runs.region and last_run = runs.run
        union all
        select observed_at from socrata_agencies where region = runs.region and last_run = runs.run
    ) as records
) as newest
cross join lateral (
    select min(started_at) as started_at
    from runs as others
    where others.region = runs.region and others.run > runs.run
) as later
where runs.state = 'open' and ($1::text is null or runs.region = $1)
order by runs.region, runs.run
